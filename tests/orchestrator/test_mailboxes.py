"""A mailbox that stands still here is paused at the vendor, until it shows it; once cleared, it sends again."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from orchestrator import complaints, handling, mailboxes, outreach, relaxing, standstill
from orchestrator.app import App
from orchestrator.later import Later
from orchestrator.pausing import pause_campaign, resume_campaign
from orchestrator.situation import left_over, situation
from shared.approval import Person
from shared.clock import iso
from shared.errors import Invalid, Retryable
from shared.event import Event
from shared.halt_rules import HaltRules
from shared.halts import Halts
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, event, run
from shared.schema import approval, effect
from tests.orchestrator.world import (
    World,
    alone,
    approved,
    launched,
    opened,
    people,
    planned,
    put,
    rows,
    the,
    world,
)
from tests.shared.test_feedback import report
from tests.shared.world import stricter

ADMIN = Person("admin@alpha-swarm.example", "admin")
BOX, OTHER, THIRD = "alex@sender.example", "alex.morgan@sender.example", "a.morgan@sender.example"
SCOPE = f"mailbox:{BOX}"
FIRST = "person1@corp1.com"


# ── which mailbox ────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    """Somebody in a live campaign."""
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    return app


async def told(app: App, kind: Any, name: str, box: str, vendor: str = "instantly", **more: Any) -> None:
    said = {"email": FIRST, "campaign_ref": "ref-1", **more}
    await handling.handle(app, Event(name, vendor, kind, "", detail={"mailbox": box}, **said))


def judged(app: App) -> Halts:
    """The rules by evidence."""
    kernel = app.kernel
    settings = stricter(kernel.settings, halts=HaltRules(policy="evidence"))
    return Halts(kernel.store, kernel.clock, kernel.switches, kernel.audit, settings)


async def stopped(app: App) -> list[str]:
    await judged(app).look()
    return [pause.scope for pause in (await app.kernel.switches.now()).pauses if "mailbox" in pause.scope]


@pytest.mark.parametrize(
    "text",
    ["", "alex@sender.example.evil", "mallory@corp9.com", "all", f"{BOX}\nvendor:ghl", f"x {BOX}", "É@x.y"],
)
async def test_a_text_that_names_no_mailbox_of_ours_becomes_no_scope(app: App, text: str) -> None:
    await told(app, "sent", "m0", text)
    await told(app, "replied", "m1", text, text="I will report you as spam, this is spam!")
    (sent, reply) = await rows(app, sa.select(event).order_by(event.c.id))
    assert ("mailbox" in json.loads(sent.detail), "mailbox" in json.loads(reply.detail)) == (False, False)
    assert await stopped(app) == []


@pytest.mark.requirement("H2")
async def test_a_known_one_is_stopped_however_it_is_written(app: App) -> None:
    await told(app, "replied", "m1", f" {BOX.upper()}", text=report(to=FIRST))
    assert [row.id for row in await rows(app, sa.select(event))] == ["instantly:m1"]
    assert await stopped(app) == [SCOPE]


async def test_one_that_is_configured_is_known_though_the_event_belongs_to_no_campaign(app: App) -> None:
    stranger = {"email": "somebody@corp9.com", "campaign_ref": "ref-9"}
    await told(app, "replied", "m1", BOX, text=report(to="redacted"), **stranger)
    assert await stopped(app) == [SCOPE]


async def test_one_that_is_configured_no_more_is_known_by_the_campaign_that_was_drafted_with_it(
    app: App,
) -> None:
    await put(app, sa.update(campaign).values(draft='{"mailboxes": ["Old@sender.example"]}'))
    await told(app, "replied", "m1", "old@sender.example", text=report(to=FIRST))
    await told(app, "replied", "m2", "older@sender.example", text=report(to=FIRST))
    assert await stopped(app) == ["mailbox:old@sender.example"]


async def test_a_complaint_that_a_person_notes_stops_the_mailbox_that_had_written(app: App) -> None:
    await told(app, "sent", "m1", OTHER)
    await complaints.note(app, FIRST, reason="by telephone", actor="ada")
    assert await stopped(app) == [f"mailbox:{OTHER}"]


async def test_with_the_shipped_policy_no_mailbox_is_stopped(app: App) -> None:
    await told(app, "sent", "m1", BOX)
    await complaints.note(app, FIRST, reason="by telephone", actor="ada")
    assert [pause.scope for pause in (await app.kernel.switches.now()).pauses] == []


# ── at the vendor ────────────────────────────────────────────────────────────────────────────────────────
@asynccontextmanager
async def connected(folder: Path, *, safe: bool = False) -> AsyncIterator[World]:
    """Everything but a worker, with our mailboxes at the vendor."""
    async with world(folder, safe=safe) as it:
        for box in (BOX, OTHER, THIRD):
            await it.witness.act("instantly", "workspace", mailbox=box, status=1)
        yield it


async def _live(it: World, start: int = 1) -> str:
    _, campaign_id = await approved(it.app, people(2, start))
    assert await launched(it.app, campaign_id) == "live"
    return campaign_id


async def _work(it: World, app: App | None = None) -> int:
    return await mailboxes.work(app or it.app, Later(it.clock, 1.0, 30.0))


async def _halt(it: World, *boxes: str) -> None:
    for box in boxes or (BOX,):
        scope = f"mailbox:{box}"
        await it.kernel.switches.pause(scope, actor="rule:complaint", reason="1 complaints", kind="halt")


async def _clear(it: World, scope: str = SCOPE) -> None:
    answer = await relaxing.clear(it.kernel, scope, person=ADMIN, reason="list thrown away", alone=True)
    assert answer.done


async def _at_vendor(it: World) -> list[str]:
    """Everything that Instantly says was done to mailboxes."""
    found = [one for one in await it.witness.log("instantly") if one["action"].endswith("_account")]
    return [f"{one['action'].removesuffix('_account')} {one['target']}" for one in found]


async def _asked(it: World) -> int:
    """How much of another round is asked of the vendor."""
    with structlog.testing.capture_logs() as logs:
        assert await _work(it) == 0
    return sum(line["event"] == "mailboxes.asked" for line in logs)


async def _progress(it: World) -> tuple[int, int]:
    found = (await situation(it.kernel)).mailboxes
    return found.confirmed, found.of


@pytest.mark.requirement("H2", "K6")
async def test_a_complaint_pauses_the_mailbox_at_the_vendor_and_a_person_lets_it_go_on(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as it:
        campaign_id = await _live(it)
        reference = (await the(it.app, campaign_id)).vendor_ref
        await told(it.app, "sent", "m1", BOX, campaign_ref=reference)
        await told(it.app, "complained", "m2", "", vendor="ghl", campaign_ref=reference)
        assert await stopped(it.app) == [SCOPE]
        assert await _progress(it) == (0, 1)
        assert await _work(it) == 0
        assert await _work(it) == 0
        assert await _at_vendor(it) == [f"pause {BOX}"]
        assert await _progress(it) == (1, 1)
        await _clear(it)
        assert await _work(it) == 0
        assert await _work(it) == 0
        assert await _at_vendor(it) == [f"pause {BOX}", f"resume {BOX}"]
        assert await _asked(it) == 0
        assert await stopped(it.app) == []


@pytest.mark.requirement("K6", "D5")
async def test_what_a_vendor_that_is_away_does_not_confirm_is_tried_again_and_shown(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await it.break_things("instantly", {"kind": "status", "status": 503, "times": -1})
        later = Later(it.clock, 1.0, 30.0)
        assert await mailboxes.work(it.app, later) == 1
        left: Any = left_over(it.kernel, await situation(it.kernel))["vendor_mailboxes"]
        assert (left["confirmed"], left["of"], left["unconfirmed"][0]["id"]) == (0, 1, SCOPE)
        await it.break_things("instantly")
        assert await _at_vendor(it) == []
        await it.clock.sleep(601)
        assert await mailboxes.work(it.app, later) == 0
        assert await _at_vendor(it) == [f"pause {BOX}"]
        assert await _progress(it) == (1, 1)


async def test_what_failed_rests_a_moment(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await it.break_things("instantly", {"kind": "status", "status": 503, "times": -1})
        later = Later(it.clock, 100.0, 100.0)
        assert [await mailboxes.work(it.app, later) for _ in range(2)] == [1, 0]


@pytest.mark.requirement("D4", "F1")
async def test_a_pause_whose_process_died_is_followed_by_the_ledger(tmp_path: Path) -> None:
    """Neither the answer nor the account could be read; another process goes on."""
    async with connected(tmp_path) as it:
        await _halt(it)
        lost = {"kind": "drop_after", "method": "POST", "path": "/pause$", "times": -1}
        unread = {"kind": "drop_before", "method": "GET", "path": "/accounts/", "times": -1, "skip": 1}
        await it.break_things("instantly", lost, unread)
        assert await _work(it) == 1
        await put(it.app, sa.update(effect).values(status="claimed", settled_at="", process="gone"))
        await it.break_things("instantly")
        await it.clock.sleep(601)
        async with opened(it.kernel.settings, it.clock) as another:
            assert await _work(it, another) == 0
        assert await _progress(it) == (1, 1)
        await _clear(it)
        assert await _work(it) == 0
        assert (await _at_vendor(it))[-1] == f"resume {BOX}"


@pytest.mark.requirement("A5", "K7")
async def test_only_the_yes_of_a_person_who_clears_it_resumes_it_at_the_vendor(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await _work(it)
        await it.kernel.switches.resume(SCOPE, actor="somebody", reason="no yes is given by this")
        await _work(it)
        assert await _at_vendor(it) == [f"pause {BOX}"]


async def test_what_somebody_had_paused_there_before_is_left_paused_and_paused_anew_by_the_next_halt(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as it:
        await it.witness.act("instantly", "workspace", mailbox=BOX, status=2)
        await _halt(it)
        await _work(it)
        await _clear(it)
        assert (await _work(it), await _asked(it)) == (0, 0)
        assert await _at_vendor(it) == [f"pause {BOX}"]
        await it.witness.act("instantly", "workspace", mailbox=BOX, status=1)
        await _halt(it)
        assert await _progress(it) == (0, 1)
        assert await _work(it) == 0
        assert await _at_vendor(it) == [f"pause {BOX}"] * 2


async def test_a_mailbox_that_stands_still_again_before_it_was_resumed_stays_paused(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await _work(it)
        await _clear(it)
        await _halt(it)
        assert [await _work(it) for _ in range(2)] == [0, 0]
        assert {one.split()[0] for one in await _at_vendor(it)} == {"pause"}
        await _clear(it)
        await _work(it)
        assert (await _at_vendor(it))[-1] == f"resume {BOX}"


async def test_a_resume_that_is_on_its_way_does_not_count_as_paused(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await _work(it)
        await _clear(it)
        await _work(it)
        await _halt(it)
        await _work(it)
        assert await _progress(it) == (1, 1)
        resumed = sa.update(effect).where(effect.c.action == "resume_mailbox")
        await put(it.app, resumed.values(status="claimed", settled_at=""))
        assert await _progress(it) == (0, 1)


async def test_what_never_came_to_be_paused_is_not_resumed(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await it.break_things("instantly", {"kind": "drop_before", "path": "/pause$", "times": -1})
        assert await _work(it) == 1
        await _clear(it)
        assert await _asked(it) == 0


async def test_a_yes_that_has_run_out_resumes_nothing(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await _work(it)
        await _clear(it)
        await it.clock.sleep(73 * 3600)
        assert await _asked(it) == 0


@pytest.mark.requirement("K5")
async def test_nothing_is_resumed_while_everything_is_stopped_or_simulated(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        await _halt(it)
        await _work(it)
        await _clear(it)
        await it.kernel.switches.kill(actor="ada", reason="stop")
        assert await _work(it) == 0
        await it.kernel.switches.release(actor="ada", reason="go on")
        await it.kernel.switches.engage_safe_mode(actor="ada", reason="careful")
        assert await _work(it) == 0
        assert await rows(it.app, sa.select(effect).where(effect.c.action == "resume_mailbox")) == []
        await it.kernel.switches.leave_safe_mode(actor="ada", reason="over")
        assert await _work(it) == 0
        assert (await _at_vendor(it))[-1] == f"resume {BOX}"


async def test_in_safe_mode_a_mailbox_is_paused_where_something_was_really_done(tmp_path: Path) -> None:
    async with connected(tmp_path, safe=True) as it:
        await _halt(it)
        assert (await _work(it), await _progress(it)) == (0, (0, 0))
        assert await rows(it.app, sa.select(effect)) == []
        await it.kernel.switches.leave_safe_mode(actor="ada", reason="live")
        await _work(it)
        await _live(it)
        await it.kernel.switches.engage_safe_mode(actor="ada", reason="careful")
        await _halt(it, OTHER)
        assert await _work(it) == 0
        assert sorted(await _at_vendor(it)) == sorted([f"pause {BOX}", f"pause {OTHER}"])


# ── launching meanwhile ──────────────────────────────────────────────────────────────────────────────────
async def test_a_campaign_is_launched_as_it_was_approved_while_one_mailbox_is_paused(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        await _halt(it)
        await _work(it)
        assert await launched(it.app, campaign_id) == "live"


async def test_nothing_is_started_before_the_vendor_paused_what_stands_still(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        await _halt(it)
        with pytest.raises(Retryable, match="paused at the vendor"):
            await launched(it.app, campaign_id)
        assert await it.wrote("instantly", "activate_campaign") == []
        await _work(it)
        assert (await outreach.activate(it.app, campaign_id))["state"] == "live"


async def test_a_launch_with_no_mailbox_left_is_refused_and_says_why(tmp_path: Path) -> None:
    async with connected(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        await _halt(it, BOX, OTHER, THIRD)
        assert await launched(it.app, campaign_id) == "stalled"
        assert (await rows(it.app, sa.select(run.c.message)))[0].message == outreach.NO_MAILBOX
        assert await it.wrote("instantly", "create_campaign") == []
        await _clear(it)
        await _work(it)
        assert await outreach.again(it.app, run_id) == 1
        assert await launched(it.app, campaign_id) == "live"


async def test_nothing_is_resumed_by_a_person_before_the_vendor_paused_what_stands_still(
    tmp_path: Path,
) -> None:
    async with connected(tmp_path) as it:
        campaign_id = await _live(it)
        suite, kernel = it.app.suite, it.kernel
        await pause_campaign(kernel, suite, campaign_id, person=ADMIN, reason="a look")
        await _halt(it)
        with pytest.raises(Invalid, match="paused at the vendor"):
            await resume_campaign(kernel, suite, campaign_id, person=ADMIN, reason="fine")
        await _work(it)
        await resume_campaign(kernel, suite, campaign_id, person=ADMIN, reason="fine")
        assert (await the(it.app, campaign_id)).state == "live"
        assert standstill.stands_anywhere(await kernel.switches.now())


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.both_databases
async def test_the_ledger_says_what_is_confirmed_and_what_may_be_resumed(live_kernel: Kernel) -> None:
    async def was(action: str, **more: str) -> None:
        at = iso(live_kernel.clock.now())
        values = {"key": action, "vendor": "instantly", "action": action, "target": f"accounts/{BOX}", **more}
        done = sa.insert(effect).values(status="applied", claimed_at=at, settled_at=at, **values)
        await live_kernel.store.write(lambda c: c.execute(done))

    async def found() -> tuple[int, int, list[str]]:
        safety, now = await live_kernel.switches.now(), iso(live_kernel.clock.now())
        done = await live_kernel.store.read(lambda c: mailboxes.progress(c, safety))
        cleared = await live_kernel.store.read(lambda c: mailboxes._cleared(c, safety, now))
        return done.confirmed, done.of, [box for _, box in cleared]

    await live_kernel.switches.pause(SCOPE, actor="rule:complaint", reason="complaint: 1", kind="halt")
    assert await found() == (0, 1, [])
    await was("pause_mailbox")
    assert await found() == (1, 1, [])
    await relaxing.clear(live_kernel, SCOPE, person=ADMIN, reason="looked at", alone=True)
    assert await found() == (0, 0, [BOX])
    given = await live_kernel.store.read(lambda c: c.execute(sa.select(approval.c.id)).scalar_one())
    await was("resume_mailbox", approval=str(given))
    assert await found() == (0, 0, [])
