"""The five playbooks of docs/INCIDENT_RESPONSE.md, drilled against the emulators: what stops, and what goes on."""

import asyncio
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog.testing
import typer

from orchestrator import cli, complaints, handling, relaxing, standstill, stopping, stops
from orchestrator.unconfirmed import unconfirmed_in
from orchestrator.watching import WATCHED, decide, look
from servers.hunter.restriction import restrict
from shared.alerts import link
from shared.approval import Person
from shared.clock import iso
from shared.effect import Outcome
from shared.event import Event
from shared.pipeline_schema import stop
from shared.ports import ContactRecord
from shared.schema import effect
from tests.orchestrator.world import World, approved, launched, members, put, rows, the, world
from tests.scenarios.test_round_trip import people_who_do_nothing

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "docs" / "INCIDENT_RESPONSE.md"
TITLES = (
    "Too many bounces",
    "A spam complaint",
    "An opt-out that isn't everywhere",
    "Duplicate contacts",
    "A warning of LinkedIn",
)
PARTS = ("**Detection:**", "**First five minutes", "**Look into it:**", "**Verify:**", "**Recovery:**")
ADMIN = Person("root@host", "admin")
Facts = dict[str, object]


# ── the document ─────────────────────────────────────────────────────────────────────────────────────────
def commands(text: str) -> Iterator[str]:
    """Every `swarm …` that stands in a text as code, without what stands behind it."""
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        yield from (line.split("  #")[0].strip() for line in block.splitlines() if line.startswith("swarm "))
    yield from re.findall(r"(?<!`)`(swarm [^`]+)`(?!`)", text)


def sections() -> dict[str, str]:
    parts = re.split(r"^## ", PLAYBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {part.split("\n", 1)[0]: part for part in parts[1:]}


@pytest.mark.parametrize("line", sorted({*commands(PLAYBOOKS.read_text(encoding="utf-8"))}))
def test_every_command_of_the_playbooks_is_one(line: str) -> None:
    command: Any = typer.main.get_command(cli.app)
    words = shlex.split(line)[1:]
    while hasattr(command, "get_command"):
        name = words.pop(0)
        found = command.get_command(typer.Context(command), name)
        assert found is not None, f"{line}: there is no {name}"
        command = found
    assert command.make_context("swarm", [*words, *_needed(command, words)]), line


def _needed(command: Any, words: list[str]) -> list[str]:
    """A playbook may leave out the reason where the sentence is about something else; the command asks for it."""
    lacks = any(p.name == "reason" and p.required for p in command.params) and "--reason" not in words
    return ["--reason", "named in the playbook"] if lacks else []


@pytest.mark.parametrize("title", TITLES)
def test_each_playbook_has_every_part_and_commands_for_the_first_minutes(title: str) -> None:
    section = sections()[title]
    at = [section.index(part) for part in PARTS]
    assert at == sorted(at)
    assert list(commands(section[at[1] : at[2]]))


def test_the_runbook_leads_to_each_playbook_and_alerts_lead_to_the_runbook() -> None:
    runbook = (ROOT / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
    for title in TITLES:
        anchor = re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        assert f"INCIDENT_RESPONSE.md#{anchor}" in runbook, title
    for name in WATCHED:
        assert f'id="{link("", name).removeprefix("#")}"' in runbook, name


# ── the drills ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def drilled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Facts]:
    """Each incident in turn on one installation; what came of it, by playbook."""
    with structlog.testing.capture_logs():
        return asyncio.run(all_of_them(tmp_path_factory.mktemp("incidents")))


async def all_of_them(folder: Path) -> dict[str, Facts]:
    async with world(folder) as here:
        await here.witness.act("ghl", "set_location", calls=10_000)
        await here.witness.act("instantly", "pace", seconds=0)
        _, campaign_id = await approved(here.app, people_who_do_nothing(25))
        assert await launched(here.app, campaign_id) == "live"
        mailed = [row.email for row in await members(here.app, campaign_id)]
        for email in mailed:
            await happens(here, "sent", email)
        return {
            TITLES[2]: await opt_out_not_everywhere(here, mailed[0]),
            TITLES[0]: await bounces(here, campaign_id, mailed[1:3], mailed[3]),
            TITLES[1]: await complained(here, mailed[4], mailed[5]),
            TITLES[3]: await duplicates(here, mailed[6]),
            TITLES[4]: await warned(here),
        }


async def happens(here: World, kind: Any, email: str, **more: Any) -> None:
    said = Event(id=f"{kind}-{email}", vendor="instantly", type=kind, occurred_at="", email=email, **more)
    await handling.handle(here.app, said)


async def alerts(here: World) -> set[str]:
    """The names of what a person is told now."""
    return {one.name for one in decide(await look(here.kernel, {}), here.kernel.settings.safety.alerts)}


async def write(here: World, number: int) -> Outcome:
    """Something that isn't a stop, at the CRM."""
    record = ContactRecord(email=f"new{number}@corp{number}.com", first_name="Dana", last_name="Field")
    return (await here.app.suite.crm.upsert_contacts(contacts=[record])).outcomes[0]


async def halted(here: World) -> set[str]:
    """What a rule has stopped."""
    await here.kernel.halts.look()
    return {one.scope for one in (await here.kernel.switches.now()).pauses if one.kind == "halt"}


async def still_stops(here: World, email: str) -> bool:
    """Whether somebody who opts out now is stopped at every vendor all the same."""
    await stops.suppress(here.kernel, email, reason="asked", source="drill")
    for _ in range(10):
        await stopping.work(here.app)
        await here.clock.sleep(2)
    found = await rows(here.app, sa.select(stop).where(stop.c.target == email))
    return [row.state for row in found] == ["confirmed"]


async def opt_out_not_everywhere(here: World, email: str) -> Facts:
    refusing = {"kind": "status", "status": 503, "method": "POST", "path": "block-lists", "times": -1}
    await here.break_things("instantly", refusing)
    await happens(here, "unsubscribed", email, stops_contact=True)
    await stopping.work(here.app)
    before = "suppression_sync" in await alerts(here)
    await here.clock.sleep(3_700)
    await stopping.work(here.app)
    verdicts = [one.rule for one in await here.kernel.halts.look()]
    told = await alerts(here)
    listed = await here.kernel.store.read(lambda c: unconfirmed_in(c, here.clock.now()))
    await here.break_things("instantly")
    await here.clock.sleep(400)
    await stopping.work(here.app)
    await here.kernel.halts.look()
    return {
        "told before an hour": before,
        "told": "suppression_sync" in told,
        "rule": verdicts,
        "manual list": [(one.target == email, one.to_do) for one in listed],
        "over": "suppression_sync" not in await alerts(here),
        "standing": await here.kernel.halts.standing(),
    }


async def duplicates(here: World, marked_now: str) -> Facts:
    now = iso(here.clock.now())
    common = {
        "vendor": "ghl",
        "action": "create_contact",
        "target": "twice@corp.example",
        "status": "applied",
    }
    for number in range(12):
        row = {
            "key": f"twice-{number}",
            "reference": f"contact-{number}",
            "claimed_at": now,
            "settled_at": now,
        }
        await put(here.app, sa.insert(effect).values(**common, **row))
    scopes, told, refused = await halted(here), await alerts(here), await write(here, 1)
    marked = await here.app.suite.crm.set_dnc(email=marked_now, reason="asked")
    await relaxing.clear(here.kernel, "vendor:ghl", person=ADMIN, reason="merged")
    await here.kernel.halts.look()
    return {
        "scopes": scopes,
        "told": "halt" in told,
        "refused": (refused.status, refused.reason),
        "marks go on": marked.status,
        "after": (await write(here, 1)).status,
    }


async def warned(here: World) -> Facts:
    hunter = here.app.suite.server("hunter").instance
    await restrict(hunter, "a warning by mail", ["agent-1"])
    refused = await source(here)
    scopes = await halted(here)
    await here.clock.sleep(71 * 3_600)
    early = await source(here)
    await here.clock.sleep(3_700)
    later = await halted(here)
    await relaxing.clear(here.kernel, "session:phantombuster:agent-1", person=ADMIN, reason="fresh session")
    return {
        "scopes": scopes,
        "refused": {refused.reason, early.reason},
        "after 72 h": later,
        "after": await halted(here),
        "goes on": (await source(here)).reason,
    }


async def source(here: World) -> Outcome:
    url = "https://www.linkedin.com/posts/somebody_activity-7000000000000000000"
    key = iso(here.clock.now())
    return await here.app.suite.source.scrape_posts(post_url=url, kind="likers", idempotency_key=key)


async def bounces(here: World, campaign_id: str, bad: list[str], another: str) -> Facts:
    for email in bad:
        await happens(here, "bounced", email, bounce="hard")
    scopes, told = await halted(here), await alerts(here)
    confirmed = await standstill.pause_at_vendor(here.app, await here.kernel.switches.now(), "drill")
    ref = (await the(here.app, campaign_id)).vendor_ref
    shown = await here.app.suite.sequencer.list_campaigns()
    stops_go_on = await still_stops(here, another)
    await relaxing.clear(here.kernel, "vendor:instantly", person=ADMIN, reason="list verified")
    return {
        "scopes": scopes,
        "told": "halt" in told,
        "paused": confirmed,
        "at the vendor": [one.status for one in shown.campaigns if one.id == ref],
        "opt-outs go on": stops_go_on,
        "after": await halted(here),
    }


async def complained(here: World, email: str, another: str) -> Facts:
    noted = await complaints.note(here.app, email, reason="by telephone", actor="ada")
    killed, told, refused = await here.kernel.switches.now(), await alerts(here), await write(here, 2)
    stops_go_on = await still_stops(here, another)
    check = await here.kernel.suppression.find(email)
    await relaxing.release(here.kernel, person=ADMIN, reason="wording withdrawn")
    await here.kernel.halts.look()
    return {
        "noted": noted,
        "by": killed.kill_reason.split(":")[0],
        "told": "kill_switch" in told,
        "refused": (refused.status, refused.reason),
        "opt-outs go on": stops_go_on,
        "why": check.reason if check else "",
        "after": ((await here.kernel.switches.now()).killed, (await write(here, 2)).status),
    }


@pytest.mark.requirement("H7")
def test_too_many_bounces_stop_sending_and_nothing_else_until_a_person_clears_it(
    drilled: dict[str, Facts],
) -> None:
    assert drilled[TITLES[0]] == {
        "scopes": {"vendor:instantly"},
        "told": True,
        "paused": (1, 1),
        "at the vendor": ["paused"],
        "opt-outs go on": True,
        "after": set(),
    }


@pytest.mark.requirement("H7")
def test_a_complaint_kills_and_people_are_stopped_all_the_same(drilled: dict[str, Facts]) -> None:
    assert drilled[TITLES[1]] == {
        "noted": True,
        "by": "complaints",
        "told": True,
        "refused": ("refused", "kill_switch"),
        "opt-outs go on": True,
        "why": "complained",
        "after": (False, "applied"),
    }


@pytest.mark.requirement("H7", "U13")
def test_an_opt_out_that_a_vendor_does_not_take_is_told_listed_and_over_with_its_word(
    drilled: dict[str, Facts],
) -> None:
    assert drilled[TITLES[2]] == {
        "told before an hour": False,
        "told": True,
        "rule": ["opt_outs"],
        "manual list": [(True, ("put them on the mail vendor's block list",))],
        "over": True,
        "standing": [],
    }


@pytest.mark.requirement("H7")
def test_duplicates_stop_writing_to_the_crm_but_for_marks(drilled: dict[str, Facts]) -> None:
    assert drilled[TITLES[3]] == {
        "scopes": {"vendor:ghl"},
        "told": True,
        "refused": ("refused", "halted"),
        "marks go on": "applied",
        "after": "applied",
    }


@pytest.mark.requirement("H7")
def test_a_warning_of_linkedin_stops_sourcing_for_three_days_and_the_session_until_a_person(
    drilled: dict[str, Facts],
) -> None:
    assert drilled[TITLES[4]] == {
        "scopes": {"vendor:phantombuster", "vendor:apify", "session:phantombuster:agent-1"},
        "refused": {"halted"},
        "after 72 h": {"session:phantombuster:agent-1"},
        "after": set(),
        "goes on": "",
    }
