"""Tells the CRM who was written to and who answered, a few people at a time: nothing else waits for it.

campaign_lead.told:  "" ─ first message left ─▶ contacted_due ─ CRM told ─▶ contacted
                     ─ they answered ─▶ replied_due ─ CRM told ─▶ replied
"""

from collections.abc import Mapping
from typing import Literal

import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.later import Later
from orchestrator.passing import may_pass
from shared.effect import Outcome
from shared.errors import Invalid
from shared.event import EventType
from shared.pipeline_schema import campaign, campaign_lead, run
from shared.ports import ContactRecord
from shared.switches import MAILBOX
from shared.telemetry import correlated, logger

log = logger("marks")
Told = Literal["contacted", "replied"]
AT_ONCE = 5
LOOKED_AT = 50
HAPPENED: Mapping[EventType, Told] = {"sent": "contacted", "replied": "replied"}
EARLIER: Mapping[Told, tuple[str, ...]] = {
    "contacted": ("",),
    "replied": ("", "contacted_due", "contacted"),
}
TAGS: Mapping[Told, tuple[str, ...]] = {"contacted": ("contacted",), "replied": ("contacted", "replied")}
STAGES: Mapping[Told, str] = {"contacted": "Contacted", "replied": "Replied"}
Row = sa.Row[tuple[object, ...]]


def note_in(connection: sa.Connection, lead_id: str, campaign_id: str, what: Told) -> None:
    """In the caller's transaction: the CRM is to be told this, where it has the person and doesn't know more."""
    where = [
        campaign_lead.c.lead_id == lead_id,
        campaign_lead.c.contact_ref != "",
        campaign_lead.c.told.in_(EARLIER[what]),
        *([campaign_lead.c.campaign_id == campaign_id] if campaign_id else []),
    ]
    connection.execute(sa.update(campaign_lead).where(*where).values(told=f"{what}_due"))


async def work(app: App, what: Told, later: Later) -> int:
    """Tell the CRM about the next few people. Returns how many. While all stands still, nobody is asked about."""
    safety = await app.kernel.switches.now()
    some = ("campaign:", MAILBOX)  # of which the CRM may be told
    if safety.killed or safety.read_only or any(not p.scope.startswith(some) for p in safety.pauses):
        return 0
    rows = [row for row in await app.kernel.store.read(lambda c: _next(c, what)) if later.due(_key(row))]
    for row in rows[:AT_ONCE]:
        with correlated(str(row.correlation_id)):
            outcome = await _tell(app, row, what)
        if may_pass(outcome.status, outcome.reason):
            later.put_off(_key(row))
        else:
            await _note(app, row, what)
    return len(rows[:AT_ONCE])


def _key(row: Row) -> str:
    return f"{row.campaign_id}/{row.lead_id}"


def _next(connection: sa.Connection, what: Told) -> list[Row]:
    """Some who wait, picked by chance: those whom the CRM keeps refusing must not stand before the rest."""
    columns = (
        campaign_lead.c.campaign_id,
        campaign_lead.c.lead_id,
        campaign_lead.c.email,
        campaign_lead.c.contact_ref,
        campaign_lead.c.told,
        run.c.correlation_id,
    )
    query = (
        sa.select(*columns)
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .join(run, run.c.id == campaign.c.run_id)
        .where(campaign_lead.c.told == f"{what}_due")
        .order_by(sa.func.random())
        .limit(LOOKED_AT)
    )
    return list(connection.execute(query))


async def _tell(app: App, row: Row, what: Told) -> Outcome:
    """Tag, day and stage. An opportunity that somebody took further on, or closed, stays where it is."""
    contact, email = str(row.contact_ref), str(row.email)
    day = app.kernel.clock.now().date().isoformat() if what == "contacted" else ""
    try:
        record = ContactRecord(email, contacted_at=day, tags=TAGS[what])
        outcome = await app.suite.crm.update_contact(contact_id=contact, contact=record)
        if outcome.done:
            outcome = await app.suite.crm.move_opportunity(
                contact_id=contact, email=email, stage=STAGES[what], only_forward=True
            )
        return outcome
    except Invalid as error:
        log.warning("mark.refused", code=error.code)
        return Outcome("failed", error.code or error.kind, error.message)


async def _note(app: App, row: Row, what: Told) -> None:
    """Told, or refused for good; unless more happened meanwhile."""
    same = (
        campaign_lead.c.campaign_id == row.campaign_id,
        campaign_lead.c.lead_id == row.lead_id,
        campaign_lead.c.told == row.told,
    )
    await app.kernel.store.write(lambda c: c.execute(sa.update(campaign_lead).where(*same).values(told=what)))
