"""An opt-out anywhere is one everywhere within five seconds, whatever is lost on the way; nothing is decided after it.

Over HTTP both ways: the emulators send their webhooks to a listening Gatekeeper, and are asked what they hold.
"""

import asyncio
import itertools
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog.testing

from orchestrator import inbox, outreach, owing, stopping
from orchestrator.app import App
from orchestrator.crm import write_crm
from orchestrator.dossier import ENROLLMENT
from orchestrator.serving import listening
from servers.ghl.sandbox import sign
from servers.instantly.sandbox_tempers import temper
from shared.clock import parse
from shared.lead import Lead
from shared.pipeline_schema import stop
from shared.schema import effect, suppression
from tests.orchestrator.world import World, approved, launched, members, rows, the, world
from tests.simulation.scheduler import interrupted
from tests.waiting import somebody

WITHIN = timedelta(seconds=5)
ROUNDS = 12  # of half a second: as the worker goes round
LONGEST_TRAIL = 200
A_WHILE = 300.0  # seconds until vendors' limits have forgotten the case before
PEOPLE, APART = 24, 4  # who is enrolled, and how many awaits lie between the points at which they are marked
CRM, SEQUENCER, ANSWER = "DNC in the CRM", "unsubscribed at the sequencer", "answered with stop"
WRITES = "POST|PUT|DELETE"
FAULTS: dict[str, tuple[dict[str, Any], ...]] = {
    "nothing": (),
    "the connection ends after the commit": ({"kind": "drop_after", "method": WRITES, "times": 1},),
    "503 twice": ({"kind": "status", "status": 503, "method": WRITES, "times": 2},),
    "429": ({"kind": "status", "status": 429, "retry_after": "1", "method": WRITES, "times": 1},),
    "webhooks twice": ({"kind": "duplicate", "times": 2},),
}
CASES = list(itertools.product((CRM, SEQUENCER, ANSWER), FAULTS))
OUT_OF_ORDER = (SEQUENCER, "told of the mail before it afterwards")


@dataclass(frozen=True)
class Ended:
    """How an opt-out ended: where each vendor says they are stopped, how long it took, and what the log has."""

    everywhere: dict[str, bool]
    took: timedelta
    trail: list[str]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Ended]:
    """Each case with a person of its own, one after the other, in one live campaign."""
    with structlog.testing.capture_logs():
        return asyncio.run(all_of_them(tmp_path_factory.mktemp("round trip")))


async def all_of_them(folder: Path) -> dict[tuple[str, str], Ended]:
    quiet = people_who_do_nothing(len(CASES) + 1)
    async with world(folder) as here, listening(here.app) as gatekeeper:
        await here.witness.act("ghl", "set_location", calls=10_000)  # its clock doesn't leap with ours
        await here.witness.act("instantly", "pace", seconds=0)
        await here.app.suite.sequencer.ensure_webhooks(base_url=gatekeeper)
        await here.witness.send_events_to("ghl", f"{gatekeeper}/webhooks/ghl")
        _, campaign_id = await approved(here.app, quiet)
        assert await launched(here.app, campaign_id) == "live"
        await here.witness.act("instantly", "run", steps=1)
        await settle(here)
        found = {case: await one(here, *case, who.email) for case, who in zip(CASES, quiet, strict=False)}
        found[OUT_OF_ORDER] = await out_of_order(here, quiet[-1].email)
        return found


def people_who_do_nothing(count: int) -> list[Lead]:
    """Whom the emulator lets neither answer nor bounce by themselves."""
    everybody = (somebody(number) for number in itertools.count(1))
    nature = ((one, temper(one.email)) for one in everybody)
    quiet = (who for who, has in nature if not (has.bounces or has.unsubscribes or has.reply))
    return list(itertools.islice(quiet, count))


async def one(here: World, cause: str, fault: str, email: str) -> Ended:
    await here.clock.sleep(A_WHILE)
    for account in ("ghl", "instantly"):
        await here.break_things(account, *FAULTS[fault])
    await opts_out(here, cause, email)
    row = await stopped(here, email)
    for account in ("ghl", "instantly"):
        await here.break_things(account)
    correlation_id = json.loads(row.detail)["correlation_id"]
    took = parse(row.confirmed_at) - parse(row.at)
    return Ended(await everywhere(here, email), took, await trail(here, correlation_id))


async def out_of_order(here: World, email: str) -> Ended:
    """The vendor tells of mail that left before the opt-out after it told of the opt-out."""
    await here.break_things("instantly", {"kind": "reorder", "times": 1})
    await here.witness.act("instantly", "happen", lead=email, event="email_sent")
    await opts_out(here, SEQUENCER, email)
    await stopped(here, email)
    await settle(here)
    row = await stopped(here, email)
    return Ended(
        await everywhere(here, email),
        timedelta(),
        await trail(here, json.loads(row.detail)["correlation_id"]),
    )


async def settle(here: World) -> None:
    """A round of the worker."""
    await inbox.drain(here.app)
    await stopping.work(here.app)
    await owing.work(here.app)
    await here.clock.sleep(0.5)


async def opts_out(here: World, cause: str, email: str) -> None:
    """They do, in the vendor's own way."""
    if cause == CRM:
        await here.witness.act("ghl", "set_dnd", email=email)
    elif cause == SEQUENCER:
        await here.witness.act("instantly", "happen", lead=email, event="lead_unsubscribed")
    else:
        await here.witness.act("instantly", "receive", lead=email, text="Stop")


async def stopped(here: World, email: str) -> Any:
    """The stop of this address, once it is confirmed."""
    query = sa.select(stop).where(stop.c.target == email, stop.c.kind == "person")
    for _ in range(ROUNDS):
        await settle(here)
        found = await rows(here.app, query)
        if found and found[0].state == "confirmed":
            return found[0]
    raise AssertionError(f"not confirmed: {[dict(one._mapping) for one in await rows(here.app, query)]}")


async def everywhere(here: World, email: str) -> dict[str, bool]:
    """Where they are stopped, as each vendor says."""
    sequencer, crm = here.app.suite.sequencer, here.app.suite.crm
    blocked = (await sequencer.list_blocklist(search=email)).entries
    [contact] = (await crm.get_contact(email=email)).contacts
    return {
        "our list": await here.kernel.suppression.find(email) is not None,
        "out of every campaign": not (await sequencer.get_lead_status(email=email)).found,
        "block list": [one.value for one in blocked] == [email],
        "tag": "dnc" in contact.tags,
        "DND": contact.dnd_email,
    }


async def trail(here: World, correlation_id: str) -> list[str]:
    """What the audit log has of it, in order."""
    newest = await here.kernel.audit.tail(LONGEST_TRAIL)
    return [str(entry["kind"]) for entry in reversed(newest) if entry["cid"] == correlation_id]


@pytest.mark.requirement("U14", "D5")
@pytest.mark.parametrize("case", [*CASES, OUT_OF_ORDER], ids=", ".join)
def test_an_opt_out_anywhere_is_one_everywhere_within_five_seconds(
    ended: dict[tuple[str, str], Ended], case: tuple[str, str]
) -> None:
    how = ended[case]
    sys.stdout.write("\n  ".join([f"{case}: {how.took}", *how.trail]) + "\n")
    assert all(how.everywhere.values()), how.everywhere
    assert how.took <= WITHIN


@pytest.mark.requirement("U14", "I6")
@pytest.mark.parametrize("case", CASES, ids=", ".join)
def test_the_log_has_every_step_of_it_under_one_correlation_id(
    ended: dict[tuple[str, str], Ended], case: tuple[str, str]
) -> None:
    first, second, *between, last = ended[case].trail
    events = {CRM: "event.dnd_changed", SEQUENCER: "event.unsubscribed", ANSWER: "event.replied"}
    assert {first, second} == {"suppression.added", events[case[0]]}
    assert last == "person.stopped"
    assert between.count("effect.applied") >= 3  # out of the campaigns, on the block list, marked


# ── at every point of a launch ───────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("I3", "U14")
async def test_nothing_is_decided_after_a_mark_in_the_crm_at_any_point_of_an_enrolment(
    tmp_path: Path,
) -> None:
    with structlog.testing.capture_logs():
        await mark_everywhere(tmp_path)


async def mark_everywhere(folder: Path) -> None:
    async with world(folder) as here:
        await here.witness.act("ghl", "set_location", calls=10_000)
        _, campaign_id = await approved(here.app, [somebody(number) for number in range(1, PEOPLE + 1)])
        version = (await the(here.app, campaign_id)).version
        for start in (await outreach.begin(here.app, campaign_id, version))["starts"]:
            await write_crm(here.app, campaign_id, start)
        await outreach.create(here.app, campaign_id)
        launch = await the(here.app, campaign_id)
        everybody = [row for row in await members(here.app, campaign_id) if row.email]
        decided = [
            await mark_at(here.app, launch, row, number * APART) for number, row in enumerate(everybody)
        ]
        assert {"refused", "applied"} <= set(decided), (
            decided
        )  # some points lie before the decision, some after it
        while await stopping.work(here.app):
            await here.clock.sleep(2)
        assert await late(here.app) == []
        removed = [
            entry["target"]
            for entry in await here.witness.log("instantly")
            if entry["action"] == "delete_lead"
        ]
        added = [row.email for row, how in zip(everybody, decided, strict=True) if how == "applied"]
        assert set(added) <= set(removed)


async def mark_at(app: App, launch: Any, row: Any, point: int) -> str:
    """Enrol this person, and let the CRM mark them when the enrolment stands at that await; how it was decided."""

    async def enrol() -> str:
        answer = await app.suite.sequencer.add_leads_to_campaign(
            campaign_ref=launch.vendor_ref,
            enrollments=[ENROLLMENT.validate_json(str(row.enrollment))],
            approval=launch.approval_id,
        )
        return answer.outcomes[0].status

    async def intrude(_: object) -> None:
        raw = json.dumps(dnd(row)).encode()
        assert await inbox.receive(app, "ghl", {"X-GHL-Signature": sign(raw)}, raw) == 200
        await inbox.drain(app)

    ended, came_so_far = await interrupted(enrol(), point, intrude)
    if not came_so_far:
        await intrude(None)
    assert isinstance(ended, str), ended
    return ended


def dnd(row: Any) -> dict[str, Any]:
    """A webhook of the CRM."""
    return {
        "type": "ContactDndUpdate",
        "locationId": "sandbox-location",
        "webhookId": f"dnd-{row.lead_id}",
        "id": row.contact_ref,
        "email": row.email,
        "dnd": True,
        "dndSettings": {"Email": {"status": "active"}},
    }


async def late(app: App) -> list[str]:
    """Additions that were decided after their person was on the list."""
    since = {key: row.at for row in await rows(app, sa.select(suppression)) for key in (bytes(row.key),)}

    def of(email: str) -> str:
        return min(since[key] for key in app.kernel.suppression.keys_for(email) if key in since)

    query = sa.select(effect).where(
        effect.c.action == "add_lead", effect.c.status.in_(("applied", "in_doubt"))
    )
    return [row.target for row in await rows(app, query) if row.claimed_at > of(row.target)]
