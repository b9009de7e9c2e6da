"""Launch: an approved campaign reaches the CRM and the sequencer, each person once.

approved ─ CRM contacts and opportunities ─ campaign draft ─ people added ─ activated ─▶ live
                                                                        └ not activated ─▶ stalled, for a person

Every stage may be repeated: what is done is replayed by the ledger, what is in doubt is looked up first.
"""

from collections.abc import Mapping, Sequence

import anyio
import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import runs
from orchestrator.app import App
from orchestrator.intake import read_leads
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Outcome
from shared.lead import Lead
from shared.ports import CampaignDraft, ContactRecord, Enrollment
from shared.schema import campaign, campaign_lead, run_lead
from shared.telemetry import logger

log = logger("outreach")
BATCH = 100
DRAFT = TypeAdapter(CampaignDraft)
ENROLLMENT = TypeAdapter(Enrollment)
STATES: Mapping[str, str] = {
    "applied": "live",
    "replayed": "live",
    "simulated": "simulated",
    "refused": "refused",
    "failed": "failed",
    "in_doubt": "in_doubt",
}
# Reasons that time, or a person elsewhere, cures; a later pass tries these again.
PASSING = frozenset(
    {"retry_later", "rate_limited", "unreachable", "in_flight", "not_there", "server_error", "answer_lost"}
    | {"kill_switch", "halted", "paused", "limit", "budget", "log_unavailable", "stopped", "deadline"}
)
TAG = "alpha-swarm"


async def begin(app: App, campaign_id: str) -> dict[str, int]:
    """Take the campaign up. Returns how many batches of people it has; 0 if it may not be launched."""
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> int:
        row = connection.execute(sa.select(campaign).where(campaign.c.id == campaign_id)).one()
        if row.state not in {"approved", "launching"}:
            return 0
        taken = {"state": "launching", "updated_at": now}
        connection.execute(sa.update(campaign).where(campaign.c.id == campaign_id).values(**taken))
        people = sa.select(sa.func.count()).where(
            campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.state != "held"
        )
        return -(-(connection.execute(people).scalar() or 0) // BATCH)

    return {"batches": await app.kernel.store.write(change)}


async def _people(app: App, campaign_id: str, batch: int) -> list[sa.Row[tuple[object, ...]]]:
    """One batch of a campaign's people, always the same ones: by id, those held left out."""
    query = (
        sa.select(campaign_lead)
        .where(campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.state != "held")
        .order_by(campaign_lead.c.lead_id)
        .offset(batch * BATCH)
        .limit(BATCH)
    )
    return await app.kernel.store.read(lambda c: list(c.execute(query)))


# ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────
async def write_crm(app: App, campaign_id: str, batch: int) -> dict[str, int]:
    """Contacts and opportunities of one batch."""
    people = [p for p in await _people(app, campaign_id, batch) if _to_write(p)]
    leads = await app.kernel.store.read(lambda c: read_leads(c, [p.lead_id for p in people]))
    scores = await _scores(app, campaign_id)
    records = [
        _contact(leads[p.lead_id], p.email, campaign_id, scores.get(p.lead_id, (-1, ""))) for p in people
    ]
    if not records:
        return {}
    written = await app.suite.crm.upsert_contacts(contacts=records)
    for person, outcome in zip(people, written.outcomes, strict=True):
        await _note_contact(app, campaign_id, person.lead_id, outcome)
    done = [
        (leads[person.lead_id], person.email, outcome.reference)
        for person, outcome in zip(people, written.outcomes, strict=True)
        if outcome.done or outcome.status == "simulated"
    ]
    await _open_opportunities(app, done)
    return dict(written.counts)


async def _scores(app: App, campaign_id: str) -> dict[str, tuple[int, str]]:
    query = sa.select(run_lead.c.lead_id, run_lead.c.score, run_lead.c.tier).where(
        run_lead.c.campaign_id == campaign_id
    )
    return await app.kernel.store.read(lambda c: {r.lead_id: (r.score, r.tier) for r in c.execute(query)})


def _contact(lead: Lead, email: str, campaign_id: str, scored: tuple[int, str]) -> ContactRecord:
    sources = sorted({source.type for source in lead.sources if source.type != "unknown"})
    return ContactRecord(
        email=email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company=lead.company,
        title=lead.title,
        linkedin_url=lead.linkedin_url,
        phone=lead.phone,
        icp_score=scored[0],
        icp_tier=scored[1],
        last_campaign_id=campaign_id,
        enriched_at=lead.enriched_at.date().isoformat() if lead.enriched_at else "",
        tags=(TAG, *([scored[1]] if scored[1] else []), *sources),
    )


def _to_write(person: sa.Row[tuple[object, ...]]) -> bool:
    """Not in the CRM yet as far as we know, and nothing but time stands against it."""
    if person.state == "drafted":
        return not person.contact_ref
    return _may_pass(person, str(person.reason).removeprefix("crm:")) and str(person.reason).startswith(
        "crm:"
    )


def _may_pass(person: sa.Row[tuple[object, ...]], reason: str) -> bool:
    return person.state == "in_doubt" or (person.state in {"failed", "refused"} and reason in PASSING)


async def _note_contact(app: App, campaign_id: str, lead_id: str, outcome: Outcome) -> None:
    """Keep the CRM's id; a person whose contact can't be written is not written to either."""
    values = {"contact_ref": outcome.reference, "state": "drafted", "reason": ""} if outcome.done else {}
    if not outcome.done and outcome.status != "simulated":
        values = {"state": STATES[outcome.status], "reason": f"crm:{outcome.reason}"}
    if not values:
        return
    where = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
    await app.kernel.store.write(lambda c: c.execute(sa.update(campaign_lead).where(*where).values(**values)))


async def _open_opportunities(app: App, people: Sequence[tuple[Lead, str, str]]) -> None:
    # As many as may be on the wire: more would only queue for the vendor's rate limit, each with a deadline.
    room = anyio.CapacityLimiter(app.kernel.settings.safety.concurrent_calls)

    async def one(lead: Lead, email: str, contact: str) -> None:
        async with room:
            await app.suite.crm.create_opportunity(
                contact_id=contact or f"simulated:{lead.id}",
                email=email,
                name=f"{lead.name} · {lead.company}"[:200],
            )

    async with anyio.create_task_group() as tasks:
        for person in people:
            tasks.start_soon(one, *person)


# ── the sequencer ────────────────────────────────────────────────────────────────────────────────────────
async def create(app: App, campaign_id: str) -> dict[str, str]:
    """The campaign as a draft at the vendor."""
    row = await _campaign(app, campaign_id)
    outcome = await app.suite.sequencer.create_campaign(draft=DRAFT.validate_json(str(row.draft)))
    reference = outcome.reference if outcome.done else ""
    if outcome.status == "simulated":
        reference = f"simulated:{campaign_id}"
    await _set(app, campaign_id, vendor_ref=reference)
    return {"status": outcome.status, "reference": reference, "reason": outcome.reason}


async def enrol(app: App, campaign_id: str, batch: int) -> dict[str, int]:
    """Add one batch of people to the campaign, each with the words that were approved for them."""
    row = await _campaign(app, campaign_id)
    people = [p for p in await _people(app, campaign_id, batch) if _to_add(p)]
    if not people or not row.vendor_ref:
        return {}
    added = await app.suite.sequencer.add_leads_to_campaign(
        campaign_ref=str(row.vendor_ref),
        enrollments=[ENROLLMENT.validate_json(str(p.enrollment)) for p in people],
        approval=str(row.approval_id),
    )
    ended = {p.lead_id: outcome for p, outcome in zip(people, added.outcomes, strict=True)}
    await app.kernel.store.write(lambda c: _note_added(c, campaign_id, str(row.run_id), ended))
    return dict(added.counts)


def _to_add(person: sa.Row[tuple[object, ...]]) -> bool:
    """Drafted, in doubt, or failed for a reason that may have passed; never somebody without a CRM contact."""
    reason = str(person.reason)
    if reason.startswith("crm:"):
        return False
    return person.state == "drafted" or _may_pass(person, reason)


def _note_added(
    connection: sa.Connection, campaign_id: str, run_id: str, ended: Mapping[str, Outcome]
) -> None:
    for lead_id, outcome in ended.items():
        state = STATES[outcome.status]
        values = {"state": state, "reason": outcome.reason}
        where = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
        # Somebody who was stopped meanwhile stays stopped.
        connection.execute(
            sa.update(campaign_lead).where(*where, campaign_lead.c.state != "stopped").values(**values)
        )
        in_run = (run_lead.c.run_id == run_id, run_lead.c.lead_id == lead_id)
        connection.execute(sa.update(run_lead).where(*in_run).values(**values))


async def unsettled(app: App, campaign_id: str, batch: int) -> bool:
    """Whether somebody in the batch is still in doubt, or failed for a reason that may pass."""
    return any(_to_add(p) and p.state != "drafted" for p in await _people(app, campaign_id, batch))


async def activate(app: App, campaign_id: str) -> dict[str, str]:
    """Start sending, and note how it went."""
    row = await _campaign(app, campaign_id)
    if not row.vendor_ref:
        await _set(app, campaign_id, state="stalled")
        return {"status": "failed", "reason": "no_campaign_at_vendor"}
    outcome = await app.suite.sequencer.activate_campaign(
        campaign_ref=str(row.vendor_ref), campaign_id=campaign_id, approval=str(row.approval_id)
    )
    state = "live" if outcome.done else "simulated" if outcome.status == "simulated" else "stalled"
    await _set(app, campaign_id, state=state)
    log.info("campaign.activated", campaign=campaign_id, status=outcome.status, reason=outcome.reason)
    await runs.finish_if_done(app.kernel, str(row.run_id))
    return {"status": outcome.status, "reason": outcome.reason, "state": state}


async def _campaign(app: App, campaign_id: str) -> sa.Row[tuple[object, ...]]:
    query = sa.select(campaign).where(campaign.c.id == campaign_id)
    return await app.kernel.store.read(lambda c: c.execute(query).one())


async def _set(app: App, campaign_id: str, **values: str) -> None:
    now = app.kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        where = campaign.c.id == campaign_id
        connection.execute(sa.update(campaign).where(where).values(updated_at=iso(now), **values))
        append(connection, [Entry("campaign.changed", campaign_id, dict(values))], now)

    await app.kernel.store.write(change)


async def stall(app: App, campaign_id: str) -> None:
    """The launch stopped half-way for a reason that the log has; `swarm implement` takes it up again."""
    await _set(app, campaign_id, state="stalled")


async def again(app: App, run_id: str) -> int:
    """Stalled campaigns of a run go back to the start of their launch. Returns how many."""
    now = iso(app.kernel.clock.now())
    values = {"state": "approved", "version": campaign.c.version + 1, "updated_at": now}
    where = (campaign.c.run_id == run_id, campaign.c.state == "stalled")
    return await app.kernel.store.write(
        lambda c: c.execute(sa.update(campaign).where(*where).values(**values)).rowcount
    )
