"""The watch: what is decided from facts, and that the facts are what the database, the files and the disk say."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import watching
from orchestrator.app import App
from orchestrator.rules import load_rules
from orchestrator.schedules import Standing as Lagging
from orchestrator.watching import WATCHED, Facts, decide, look
from orchestrator.worker import Worker
from shared.alerts import Alerts, link, open_alerts
from shared.audit import Entry
from shared.clock import iso
from shared.errors import Fatal, Retryable
from shared.kernel import Kernel
from shared.metrics import Queue, Standing
from shared.pipeline_schema import campaign, handoff, run, stop
from shared.safety_rules import AlertRules
from shared.schema import effect, inbound, relaxation, vendor_clock
from shared.settings import Settings
from shared.store import Unavailable
from shared.suite import Suite
from shared.vendor_standing import VendorStanding
from tests.conftest import CONFIG
from tests.shared.world import HandClock, opened, stricter

RULES = AlertRules()
CALM = Standing(
    killed=False,
    safe_mode=False,
    read_only=False,
    pauses=0,
    in_doubt=Queue(),
    stops=Queue(),
    suppression_sync=Queue(),
    inbox=Queue(),
    inbox_failed=0,
    reviews=Queue(),
    handoffs=Queue(),
    handoffs_overdue=Queue(),
    audit_entries=10,
    audit_exposed=0,
)
LATE = Lagging("daily_report", "", "", "failed", "", "", "", 901.0, 900.0, 1, "no")
WELL = Facts(CALM, free_mb=10_000)


def facts(**changes: Any) -> Facts:
    """Nothing is wrong but this."""
    own = {name: changes.pop(name) for name in list(changes) if hasattr(CALM, name)}
    return replace(WELL, standing=replace(CALM, **own), **changes)


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def test_nobody_is_told_where_nothing_is_wrong() -> None:
    assert decide(WELL, RULES) == []


# What is wrong just above its threshold, and what it is called.
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"in_doubt": Queue(1, 15 * 60 + 1)}, "in_doubt"),
    ({"suppression_sync": Queue(1, 3601)}, "suppression_sync"),
    ({"stops": Queue(1, 121)}, "stops"),
    ({"vendor_pause": Queue(1, 121)}, "vendor_pause"),
    ({"inbox": Queue(1, 301)}, "inbox"),
    ({"inbox_failed": 1}, "inbox_failed"),
    ({"reviews": Queue(1, 24 * 3600 + 1)}, "reviews"),
    ({"privacy": Queue(1, 1)}, "privacy"),
    ({"handoffs_overdue": Queue(1, 1)}, "handoffs"),
    ({"breached": (("handoff-1", "critical"),)}, "sla"),
    ({"audit_exposed": 501}, "audit_exposed"),
    ({"audit_window": 501, "watched_over": True}, "audit_window"),
    ({"forked": ("witness.example/one",)}, "audit_forked"),
    ({"spooled": 61.0}, "spool"),
    ({"unpublished": {"other/disk.jsonl": 301.0}}, "checkpoint"),
    ({"lost": {"ghl": "2026-11-20T09:00:00Z"}}, "credentials"),
    ({"broken": {"inbox": "KeyError"}}, "worker_part"),
    ({"late": (LATE,)}, "schedule"),
    ({"free_mb": 499.0}, "disk"),
    ({"vendors": {"ghl": VendorStanding("open", 121.0)}}, "breaker"),
    ({"vendors": {"ghl": VendorStanding(clock_ahead_seconds=-61.0)}}, "clock_skew"),
    ({"channels": {"slack": 601.0}}, "alert_channel"),
    ({"killed": True, "kill_sources": ("database",)}, "kill_switch"),
    ({"halts": ("vendor:instantly",)}, "halt"),
    ({"alone": ("kill",)}, "alone"),
]
# The same at its threshold.
RIGHT: list[dict[str, Any]] = [
    {"in_doubt": Queue(9, 15 * 60)},
    {"suppression_sync": Queue(9, 3600)},
    {"stops": Queue(9, 120)},
    {"vendor_pause": Queue(9, 120)},
    {"inbox": Queue(999, 300)},
    {"reviews": Queue(9, 24 * 3600)},
    {"handoffs": Queue(9, 9_999_999)},
    {"audit_exposed": 500},
    {"audit_window": 500, "watched_over": True},
    {"audit_window": 9_000},
    {"unpublished": {"other/disk.jsonl": 300.0}},
    {"free_mb": 500.0},
    {"vendors": {"ghl": VendorStanding("open", 120.0), "clay": VendorStanding(clock_ahead_seconds=60.0)}},
    {"channels": {"slack": 600.0}},
]


@pytest.mark.parametrize(("wrong", "name"), WRONG)
def test_what_is_above_its_threshold_is_told(wrong: dict[str, Any], name: str) -> None:
    assert [alert.name for alert in decide(facts(**wrong), RULES)] == [name]


@pytest.mark.parametrize("right", RIGHT)
def test_what_is_at_its_threshold_is_not(right: dict[str, Any]) -> None:
    assert decide(facts(**right), RULES) == []


def test_everything_that_may_be_raised_is_watched_for_its_end() -> None:
    assert {name for _, name in WRONG} == WATCHED


def test_every_alert_says_what_was_measured_and_has_its_place_in_the_runbook() -> None:
    runbook = (Path(__file__).parents[2] / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
    for name in [*WATCHED, watching.NO_DATABASE.name]:
        assert f'<a id="{link("", name).removeprefix("#")}"></a>`{name}`' in runbook
    for wrong, _ in WRONG:
        (alert,) = decide(facts(**wrong), RULES)
        assert alert.unit
        assert alert.text
        assert alert.value < alert.threshold if alert.name == "disk" else alert.value > alert.threshold


async def test_lost_credentials_are_told_and_their_end_too(live_kernel: Kernel) -> None:
    await live_kernel.vault.put("ghl", {"access": "a", "refresh": "b"}, after=0)
    assert (await look(live_kernel, {})).lost == {}
    await live_kernel.vault.lose("ghl", "invalid_grant")
    assert list((await look(live_kernel, {})).lost) == ["ghl"]
    await live_kernel.vault.put("ghl", {"access": "c", "refresh": "d"}, after=1)
    assert (await look(live_kernel, {})).lost == {}


def test_thresholds_come_from_the_configuration() -> None:
    strict = RULES.model_copy(update={"in_doubt_minutes": 1.0})
    (alert,) = decide(facts(in_doubt=Queue(3, 90)), strict)
    assert (alert.value, alert.threshold, alert.unit, alert.text) == (
        1.5,
        1,
        "minutes",
        "3 effects are in doubt",
    )


def test_each_part_file_and_halt_is_an_alert_of_its_own() -> None:
    many = facts(
        broken={"a": "X", "b": "Y"}, halts=("all", "vendor:ghl"), unpublished={"f": 999.0, "g": 999.0}
    )
    scopes = [alert.scope for alert in decide(many, RULES)]
    assert scopes == ["all", "vendor:ghl", "f", "g", "a", "b"]


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings], clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as opened_one:
        yield opened_one


async def put(kernel: Kernel, table: sa.Table, **values: object) -> None:
    await kernel.store.write(lambda c: c.execute(sa.insert(table).values(**values)))


async def told(kernel: Kernel, **broken: str) -> list[str]:
    """The alerts that stand after one round."""
    alerts = open_alerts(kernel)
    await watching.work(kernel, alerts, broken)
    return sorted(one.alert.name for one in await alerts.shown() if not one.cleared_at)


async def test_a_new_installation_has_nothing_to_tell(kernel: Kernel) -> None:
    assert await told(kernel) == []


@pytest.mark.requirement("I8")
async def test_an_effect_in_doubt_is_told_when_it_is_old_and_over_when_it_is_settled(
    kernel: Kernel, clock: HandClock
) -> None:
    at = iso(clock.now())
    await put(kernel, effect, key="k", vendor="ghl", action="a", status="in_doubt", claimed_at=at)
    assert await told(kernel) == []
    clock.move(15 * 60 + 1)
    assert await told(kernel) == ["in_doubt"]
    await kernel.store.write(lambda c: c.execute(sa.update(effect).values(status="applied")))
    assert await told(kernel) == []


@pytest.mark.requirement("U11")
async def test_an_opt_out_that_no_vendor_confirmed_is_told_after_minutes_and_again_after_an_hour(
    kernel: Kernel, clock: HandClock
) -> None:
    await put(kernel, stop, id="s", kind="person", target="jane@corp.example", at=iso(clock.now()))
    clock.move(121)
    assert await told(kernel) == ["stops"]
    clock.move(3600)
    assert await told(kernel) == ["stops", "suppression_sync"]
    shown = repr(await open_alerts(kernel).shown())
    assert "jane" not in shown
    assert "corp.example" not in shown


async def test_a_sequence_that_isnt_stopped_is_no_opt_out(kernel: Kernel, clock: HandClock) -> None:
    await put(kernel, stop, id="s", kind="sequence", target="jane@corp.example", at=iso(clock.now()))
    clock.move(7200)
    assert await told(kernel) == ["stops"]


async def test_webhooks_that_wait_or_failed_are_told(kernel: Kernel, clock: HandClock) -> None:
    at = iso(clock.now())
    await put(kernel, inbound, vendor="ghl", event_id="1", raw=b"{}", received_at=at)
    await put(kernel, inbound, vendor="ghl", event_id="2", raw=b"{}", received_at=at, state="failed")
    assert await told(kernel) == ["inbox_failed"]
    clock.move(301)
    assert await told(kernel) == ["inbox", "inbox_failed"]


async def test_a_handoff_is_told_once_it_is_past_its_due_time(kernel: Kernel, clock: HandClock) -> None:
    due = {"created_at": iso(clock.now())}
    clock.move(60)
    await put(kernel, handoff, id="h", due_at=iso(clock.now()), **due)
    await put(kernel, handoff, id="never", due_at="", **due)
    assert await told(kernel) == []
    clock.move(1)
    assert await told(kernel) == ["handoffs"]
    await kernel.store.write(lambda c: c.execute(sa.update(handoff).values(state="acknowledged")))
    assert await told(kernel) == []


async def test_the_kill_switch_is_told_and_its_release_ends_it(kernel: Kernel) -> None:
    await kernel.switches.kill(actor="Ada", reason="jane@corp.example called")
    assert await told(kernel) == ["kill_switch"]
    assert "jane" not in repr(await open_alerts(kernel).shown())
    await kernel.switches.release(actor="Ada", reason="fine")
    assert await told(kernel) == []


async def test_a_halt_is_told_and_a_pause_is_not(kernel: Kernel) -> None:
    await kernel.switches.pause("vendor:ghl", actor="Ada", reason="by hand")
    assert await told(kernel) == []
    await kernel.switches.pause("all", actor="rule", reason="bounces", kind="halt")
    assert await told(kernel) == ["halt"]


async def live_campaign(kernel: Kernel) -> None:
    """One that its vendor sends."""
    now = iso(kernel.clock.now())
    await put(kernel, run, id="r", mode="live", state="launching")
    await put(kernel, campaign, id="c1", run_id="r", state="live", vendor_ref="v1", created_at=now)
    started = {"status": "applied", "campaign": "c1", "settled_at": now, "claimed_at": now}
    await put(kernel, effect, key="start", vendor="instantly", action="activate_campaign", **started)


@pytest.mark.parametrize("by", ["switch", "flag", "pause"])
@pytest.mark.requirement("K6")
async def test_a_campaign_that_its_vendor_may_still_send_is_told_until_the_pause_is_confirmed(
    kernel: Kernel, clock: HandClock, by: str
) -> None:
    await live_campaign(kernel)
    clock.move(3600)
    if by == "switch":
        await kernel.switches.kill(actor="Ada", reason="stop")
    elif by == "flag":
        kernel.switches.flags[0].write_text("by hand")
    else:
        await kernel.switches.pause("campaign:c1", actor="Ada", reason="stop")
    assert "vendor_pause" not in await told(kernel)
    clock.move(121)
    assert "vendor_pause" in await told(kernel)
    paused = {"status": "applied", "target": "v1", "claimed_at": iso(clock.now())}
    await put(kernel, effect, key="pause", vendor="instantly", action="pause_campaign", **paused)
    assert "vendor_pause" not in await told(kernel)


@pytest.mark.requirement("K6")
async def test_a_mailbox_that_its_vendor_may_still_send_from_is_told_until_the_pause_is_confirmed(
    kernel: Kernel, clock: HandClock
) -> None:
    await kernel.switches.pause("mailbox:alex@sender.example", actor="Ada", reason="stop")
    clock.move(119)
    assert "vendor_pause" not in await told(kernel)
    clock.move(2)
    assert "vendor_pause" in await told(kernel)
    paused = {"status": "applied", "target": "accounts/alex@sender.example", "claimed_at": iso(clock.now())}
    await put(kernel, effect, key="pause", vendor="instantly", action="pause_mailbox", **paused)
    assert "vendor_pause" not in await told(kernel)


async def test_a_campaign_that_runs_as_it_should_is_no_unconfirmed_pause(
    kernel: Kernel, clock: HandClock
) -> None:
    await live_campaign(kernel)
    await kernel.switches.pause("campaign:other", actor="Ada", reason="stop")
    clock.move(999)
    assert await told(kernel) == []


async def test_audit_entries_without_a_checkpoint_are_told(
    settings_for: Callable[..., Settings], clock: HandClock
) -> None:
    few = stricter(settings_for(), alerts=AlertRules(audit_exposed=3))
    async with opened(few, clock) as kernel:
        await kernel.audit.record(*(Entry("test", str(n), {}) for n in range(4)))
        assert await told(kernel) == ["audit_exposed"]
        await kernel.audit.checkpoint("test")
        assert await told(kernel) == []


async def test_a_file_that_checkpoints_dont_reach_is_told(
    settings_for: Callable[..., Settings], clock: HandClock, tmp_path: Path
) -> None:
    (tmp_path / "mount").write_text("no folder", encoding="utf-8")
    found = settings_for()
    due = found.safety.checkpoints.model_copy(update={"publish_to": (str(tmp_path / "mount" / "log.jsonl"),)})
    async with opened(stricter(found, checkpoints=due), clock) as kernel:
        await kernel.audit.record(Entry("test", "1", {}))
        await kernel.audit.checkpoint("test")
        for _ in range(4):  # newer ones that don't arrive either make it no younger
            assert await told(kernel) == []
            clock.move(100)
            await kernel.audit.record(Entry("test", "2", {}))
            await kernel.audit.checkpoint("test")
        assert await told(kernel) == ["checkpoint"]
        assert {one.alert.scope for one in await open_alerts(kernel).shown()} == {"mount/log.jsonl"}


async def test_the_disk_is_looked_at(settings_for: Callable[..., Settings], clock: HandClock) -> None:
    huge = stricter(settings_for(), alerts=AlertRules(disk_free_mb=10**12))
    async with opened(huge, clock) as kernel:
        assert await told(kernel) == ["disk"]
        assert (await look(kernel, {})).free_mb > 0


async def test_a_database_that_fails_is_told_without_it(kernel: Kernel, clock: HandClock) -> None:
    took: list[str] = []

    async def channel(subject: str, text: str) -> None:
        took.append(subject)

    alerts = Alerts(kernel.store, clock, RULES, {"slack": channel})
    kernel.store.close()
    for _ in range(3):
        with pytest.raises(Unavailable):
            await watching.work(kernel, alerts, {})
    assert took == ["[alpha-swarm] critical: database"]


# ── the worker's own parts ───────────────────────────────────────────────────────────────────────────────
class Engineless:
    """No flow is started here."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [(KeyError("jane@corp.example"), "KeyError"), (Fatal("no", code="credentials"), "credentials")],
)
async def test_a_part_of_the_worker_that_breaks_is_told_until_it_works_again(
    kernel: Kernel, error: Exception, kind: str
) -> None:
    app = App(kernel, Suite({}, {}), load_rules(CONFIG), {})
    worker = Worker(app, Engineless())  # type: ignore[arg-type]  # its parts aren't started

    async def breaks() -> None:
        raise error

    async def works() -> None:
        return

    await worker._once("inbox", breaks)
    assert worker.broken == {"inbox": kind}
    assert await told(kernel, **worker.broken) == ["worker_part"]
    shown = repr(await open_alerts(kernel).shown())
    assert re.search(kind, shown)
    assert "jane" not in shown
    await worker._once("inbox", works)
    assert await told(kernel, **worker.broken) == []


async def test_a_vendor_that_is_down_breaks_no_part(kernel: Kernel) -> None:
    worker = Worker(App(kernel, Suite({}, {}), load_rules(CONFIG), {}), Engineless())  # type: ignore[arg-type]  # as above

    async def fails() -> None:
        raise Retryable("the vendor is down")

    await worker._once("stops", fails)
    assert worker.broken == {}


async def test_somebody_who_let_it_go_on_alone_is_told_of_for_a_day(kernel: Kernel, clock: HandClock) -> None:
    at = iso(clock.now())
    await put(kernel, relaxation, what="kill", state="alone", actor="root@host", at=at)
    assert await told(kernel) == ["alone"]
    clock.move(86_401)
    assert await told(kernel) == []


# ── vendors and channels ─────────────────────────────────────────────────────────────────────────────────
async def test_a_vendor_that_is_left_alone_for_minutes_is_told_until_it_answers(
    kernel: Kernel, clock: HandClock
) -> None:
    for _ in range(kernel.settings.vendor("ghl").file.breaker.least_calls):
        await kernel.limits.pace("apify")
    clock.move(10)
    for _ in range(kernel.settings.vendor("apify").file.breaker.least_calls):
        await kernel.breaker.failed("apify")
    assert await told(kernel) == []
    clock.move(121)
    assert await told(kernel) == ["breaker"]
    await kernel.breaker.answered("apify")
    assert await told(kernel) == []


async def test_a_vendors_clock_that_differs_is_told(kernel: Kernel, clock: HandClock) -> None:
    await put(kernel, vendor_clock, vendor="ghl", seconds=-300.0, at=iso(clock.now()))
    assert await told(kernel) == ["clock_skew"]
    clock.move(3_601)
    assert await told(kernel) == []


@pytest.mark.requirement("M2")
async def test_a_channel_that_takes_nothing_is_told_by_the_other_one(
    kernel: Kernel, clock: HandClock
) -> None:
    took: list[str] = []
    fails = True

    async def slack(_: str, __: str) -> None:
        if fails:
            raise Retryable("no", code="http_404")

    async def mail(subject: str, text: str) -> None:
        took.append(subject)

    alerts = Alerts(kernel.store, clock, RULES, {"slack": slack, "mail": mail})
    await kernel.switches.kill(actor="Ada", reason="test")
    await watching.work(kernel, alerts, {})
    assert took == ["[alpha-swarm] critical: kill_switch"]
    clock.move(601)
    await watching.work(kernel, alerts, {})
    assert took[1:] == ["[alpha-swarm] critical: alert_channel"]
    shown = {one.alert.name: one for one in await alerts.shown()}
    assert shown["alert_channel"].alert.scope == "slack"
    assert shown["kill_switch"].problems == ("slack: http_404",)
    fails = False
    clock.move(3_600)
    for _ in range(2):
        await watching.work(kernel, alerts, {})
    assert [one.alert.name for one in await alerts.shown() if not one.cleared_at] == ["kill_switch"]
