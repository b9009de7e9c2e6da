"""Launch, first half: the people of a campaign get a contact and an opportunity in the CRM.

drafted ─ contact ─ opportunity ─▶ drafted, with the contact's id      (ready for the sequencer)
        └ not confirmed, or only in part ─▶ in_doubt · failed · refused, reason "crm:…", tried again if it may pass

What is written down says that both are there: after a crash in between both are asked for again, and the ledger
answers for what was done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.enrolment import Launch, Row, launch_of, people_from
from orchestrator.intake import read_leads
from orchestrator.passing import may_pass
from shared.effect import Outcome
from shared.errors import SwarmError
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, run_lead
from shared.ports import ContactRecord
from shared.telemetry import logger

log = logger("crm")
TAG = "alpha-swarm"
OPEN_STATES: Mapping[str, str] = {"refused": "refused", "failed": "failed", "in_doubt": "in_doubt"}


@dataclass(frozen=True, slots=True)
class _Person:
    """Somebody of the batch, with what is known of them."""

    row: Row
    lead: Lead
    score: int
    tier: str


async def write_crm(app: App, campaign_id: str, start: str) -> dict[str, int]:
    """Contacts and opportunities of one batch."""
    launch = await launch_of(app, campaign_id)
    rows = [row for row in await people_from(app, campaign_id, start) if to_write(row)]
    people = await app.kernel.store.read(lambda c: _known(c, launch, rows))
    if not people:
        return {}
    records = [_contact(person, campaign_id) for person in people]
    written = await app.suite.crm.upsert_contacts(contacts=records)
    contacts = dict(zip([person.lead.id for person in people], written.outcomes, strict=True))
    deals = await _open_opportunities(app, [p for p in people if _there(contacts[p.lead.id])], contacts)
    notes = {lead_id: _values(launch, outcome, deals.get(lead_id)) for lead_id, outcome in contacts.items()}
    await app.kernel.store.write(lambda c: _note(c, campaign_id, notes))
    return dict(written.counts)


def to_write(row: Row) -> bool:
    """Not in the CRM yet as far as we know, and nothing final stands against it."""
    if row.state == "drafted":
        return not row.contact_ref
    reason = str(row.reason)
    return reason.startswith("crm:") and may_pass(str(row.state), reason.removeprefix("crm:"))


def _known(connection: sa.Connection, launch: Launch, rows: Sequence[Row]) -> list[_Person]:
    """Leads and scores of these people; somebody who was erased meanwhile is left out."""
    ids = [str(row.lead_id) for row in rows]
    leads = read_leads(connection, ids)
    scored = sa.select(run_lead.c.lead_id, run_lead.c.score, run_lead.c.tier).where(
        run_lead.c.run_id == launch.run_id, run_lead.c.lead_id.in_(ids)
    )
    scores = {row.lead_id: (row.score, row.tier) for row in connection.execute(scored)}
    return [
        _Person(row, leads[str(row.lead_id)], *scores.get(row.lead_id, (-1, "")))
        for row in rows
        if row.lead_id in leads
    ]


def _contact(person: _Person, campaign_id: str) -> ContactRecord:
    lead = person.lead
    sources = sorted({source.type for source in lead.sources if source.type != "unknown"})
    return ContactRecord(
        email=str(person.row.email),
        first_name=lead.first_name,
        last_name=lead.last_name,
        company=lead.company,
        title=lead.title,
        linkedin_url=lead.linkedin_url,
        phone=lead.phone,
        icp_score=person.score,
        icp_tier=person.tier,
        last_campaign_id=campaign_id,
        enriched_at=lead.enriched_at.date().isoformat() if lead.enriched_at else "",
        tags=(TAG, *([person.tier] if person.tier else []), *sources),
    )


def _there(outcome: Outcome) -> bool:
    return outcome.done or outcome.status == "simulated"


async def _open_opportunities(
    app: App, people: Sequence[_Person], contacts: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """One for each person, by lead id; one that fails must not take the others with it."""
    # As many as may be on the wire: more would only queue for the vendor's rate limit, each with a deadline.
    room = anyio.CapacityLimiter(app.kernel.settings.safety.concurrent_calls)
    ended: dict[str, Outcome] = {}

    async def one(person: _Person) -> None:
        lead = person.lead
        async with room:
            contact = contacts[lead.id].reference or f"simulated:{lead.id}"
            name = f"{lead.name} · {lead.company}"[:200]
            ended[lead.id] = await _opportunity(app, contact, str(person.row.email), name)

    async with anyio.create_task_group() as tasks:
        for person in people:
            tasks.start_soon(one, person)
    return ended


async def _opportunity(app: App, contact: str, email: str, name: str) -> Outcome:
    try:
        return await app.suite.crm.create_opportunity(contact_id=contact, email=email, name=name)
    except SwarmError as error:
        log.warning("crm.no_opportunity", kind=error.kind, code=error.code)
        return Outcome("failed", error.code or error.kind, error.message)


def _values(launch: Launch, contact: Outcome, deal: Outcome | None) -> dict[str, str]:
    """What is written of one person. An opportunity that is refused for good keeps nobody from being written to."""
    reference = {"contact_ref": contact.reference} if contact.done else {}
    ended = contact if deal is None else deal
    status, reason = launch.seen(ended)
    if status in OPEN_STATES and (deal is None or may_pass(status, reason)):
        return {**reference, "state": OPEN_STATES[status], "reason": f"crm:{reason}"}
    return {**reference, "state": "drafted", "reason": ""}


def _note(connection: sa.Connection, campaign_id: str, notes: Mapping[str, dict[str, str]]) -> None:
    """Somebody who was stopped meanwhile stays stopped."""
    for lead_id, values in notes.items():
        here = (
            campaign_lead.c.campaign_id == campaign_id,
            campaign_lead.c.lead_id == lead_id,
            campaign_lead.c.state.not_in(("stopped", "held")),
        )
        connection.execute(sa.update(campaign_lead).where(*here).values(**values))
