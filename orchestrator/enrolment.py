"""Launch, second half: people are added to the campaign at the sequencer, each with the words that were approved.

drafted ─ added ─▶ live · simulated          in_doubt · failed · refused ─ may pass ─ asked again
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from orchestrator import clearance
from orchestrator.app import App
from orchestrator.dossier import ENROLLMENT
from orchestrator.passing import RESTS, cured_by_time, may_pass
from shared.effect import Outcome
from shared.errors import Fatal
from shared.pipeline_schema import campaign, campaign_lead, run, run_lead

BATCH = 100
FIRST_PAUSE = 2.0  # seconds before what time may cure is asked for again; three times as long each time
STATES: Mapping[str, str] = {
    "applied": "live",
    "replayed": "live",
    "simulated": "simulated",
    "refused": "refused",
    "failed": "failed",
    "in_doubt": "in_doubt",
}
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Launch:
    """A campaign as its launch sees it."""

    id: str
    run_id: str
    safe: bool  # its run was made in safe mode: it is only ever simulated
    state: str
    draft: str
    vendor_ref: str
    approval: str

    def seen(self, outcome: Outcome) -> tuple[str, str]:
        """Status and reason. What was only simulated since safe mode came on half-way has yet to be done."""
        if outcome.status == "simulated" and not self.safe:
            return "refused", "safe_mode"
        return outcome.status, outcome.reason


async def launch_of(app: App, campaign_id: str) -> Launch:
    """The campaign. Raises `Fatal` where it was made in safe mode and would be for real now."""
    query = (
        sa.select(campaign, run.c.mode)
        .join(run, run.c.id == campaign.c.run_id)
        .where(campaign.c.id == campaign_id)
    )
    row = await app.kernel.store.read(lambda c: c.execute(query).one())
    if row.mode == "safe" and not (await app.kernel.switches.now()).safe_mode:
        message = "this campaign was made in safe mode and is only ever simulated; start a new run"
        raise Fatal(message, code="made_in_safe_mode")
    return Launch(
        row.id, row.run_id, row.mode == "safe", row.state, row.draft, row.vendor_ref, row.approval_id
    )


def starts_in(connection: sa.Connection, campaign_id: str) -> list[str]:
    """The lead id that each batch begins with; those held are in none."""
    number = sa.func.row_number().over(order_by=campaign_lead.c.lead_id).label("number")
    people = (
        sa.select(campaign_lead.c.lead_id, number)
        .where(campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.state != "held")
        .subquery()
    )
    query = sa.select(people.c.lead_id).where(people.c.number % BATCH == 1).order_by(people.c.lead_id)
    return list(connection.execute(query).scalars())


async def people_from(app: App, campaign_id: str, start: str) -> list[Row]:
    """One batch of a campaign's people, by id from `start` on; those held are left out."""
    query = (
        sa.select(campaign_lead)
        .where(
            campaign_lead.c.campaign_id == campaign_id,
            campaign_lead.c.state != "held",
            campaign_lead.c.lead_id >= start,
        )
        .order_by(campaign_lead.c.lead_id)
        .limit(BATCH)
    )
    return await app.kernel.store.read(lambda c: list(c.execute(query)))


async def enrol(app: App, campaign_id: str, start: str) -> dict[str, int]:
    """Add one batch of people to the campaign, each with the words that were approved for them."""
    launch = await launch_of(app, campaign_id)
    people = [row for row in await people_from(app, campaign_id, start) if _to_add(row)]
    if not people or not launch.vendor_ref:
        return {}
    against = await clearance.refused(app, people)
    await app.kernel.store.write(lambda c: _note(c, launch, against))
    people = [row for row in people if str(row.lead_id) not in against]
    if not people:
        return {"refused": len(against)}
    added = await app.suite.sequencer.add_leads_to_campaign(
        campaign_ref=launch.vendor_ref,
        enrollments=[ENROLLMENT.validate_json(str(row.enrollment)) for row in people],
        approval=launch.approval,
    )
    ended = {str(row.lead_id): outcome for row, outcome in zip(people, added.outcomes, strict=True)}
    await app.kernel.store.write(lambda c: _note(c, launch, ended))
    return {**added.counts, "refused": added.counts.get("refused", 0) + len(against)}


def _to_add(row: Row) -> bool:
    """Drafted, in doubt, or failed for a reason that may have passed; never somebody without a CRM contact."""
    if str(row.reason).startswith("crm:"):
        return False
    return row.state == "drafted" or may_pass(str(row.state), str(row.reason))


def _note(connection: sa.Connection, launch: Launch, ended: Mapping[str, Outcome]) -> None:
    for lead_id, outcome in ended.items():
        status, reason = launch.seen(outcome)
        values = {"state": STATES[status], "reason": reason}
        # Somebody who was stopped meanwhile stays stopped, and who is in the campaign stays in it.
        kept = ("stopped",) if outcome.done else ("stopped", "live")
        here = (
            campaign_lead.c.campaign_id == launch.id,
            campaign_lead.c.lead_id == lead_id,
            campaign_lead.c.state.not_in(kept),
        )
        if connection.execute(sa.update(campaign_lead).where(*here).values(**values)).rowcount:
            there = (run_lead.c.run_id == launch.run_id, run_lead.c.lead_id == lead_id)
            connection.execute(sa.update(run_lead).where(*there).values(**values))


async def wait_for_time(app: App, campaign_id: str, start: str, turn: int) -> bool:
    """Wait, if somebody of the batch is in doubt or failed for a reason that time cures. True if so."""
    people = await people_from(app, campaign_id, start)
    open_ones = {_reason(row) for row in people if cured_by_time(str(row.state), _reason(row))}
    if open_ones:
        rests = max(RESTS.get(reason, 0.0) for reason in open_ones)
        await app.kernel.clock.sleep(max(rests, FIRST_PAUSE * 3 ** (turn - 1)))
    return bool(open_ones)


def _reason(row: Row) -> str:
    return str(row.reason).removeprefix("crm:")


async def left_behind(app: App, campaign_id: str) -> dict[str, int]:
    """People of a campaign by how their launch ended; "open" are those who may still get in."""
    query = sa.select(campaign_lead).where(campaign_lead.c.campaign_id == campaign_id)
    counts: dict[str, int] = {}

    def count(connection: sa.Connection) -> dict[str, int]:
        for row in connection.execute(query.with_only_columns(campaign_lead.c.state, campaign_lead.c.reason)):
            names = [row.state] + (["open"] if may_pass(row.state, row.reason.removeprefix("crm:")) else [])
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        return counts

    return await app.kernel.store.read(count)
