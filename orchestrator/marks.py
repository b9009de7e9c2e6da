"""Tells the CRM who was written to and who answered, a few people at a time: nothing else waits for it.

campaign_lead.told:  "" ─ first message left ─▶ contacted ─ they answered ─▶ replied
"""

from typing import Literal

import sqlalchemy as sa

from orchestrator.app import App
from shared.effect import Outcome
from shared.schema import campaign, campaign_lead, event, run
from shared.telemetry import correlated

Told = Literal["contacted", "replied"]
AT_ONCE = 5
HAPPENED: dict[Told, str] = {"contacted": "sent", "replied": "replied"}
TAGS: dict[Told, tuple[str, ...]] = {"contacted": ("contacted",), "replied": ("contacted", "replied")}
# The CRM, or the gate, said something that asking again would not change.
FINAL = {"applied", "replayed", "simulated", "failed"}
Row = sa.Row[tuple[object, ...]]


async def work(app: App, what: Told) -> int:
    """Tell the CRM about the next few people. Returns how many."""
    rows = await app.kernel.store.read(lambda c: _next(c, what))
    for row in rows:
        with correlated(str(row.correlation_id)):
            await _note(app, row, what, await _tell(app, row, what))
    return len(rows)


async def _tell(app: App, row: Row, what: Told) -> Outcome:
    contact, email = str(row.contact_ref), str(row.email)
    outcome = await app.suite.crm.tag_contact(contact_id=contact, email=email, add=list(TAGS[what]))
    if outcome.done and what == "replied":
        outcome = await app.suite.crm.move_opportunity(contact_id=contact, email=email, stage="Replied")
    return outcome


def _next(connection: sa.Connection, what: Told) -> list[Row]:
    """People of whom it happened, and whom the CRM was not told about; opted-out ones are `stops.py`'s."""
    happened = sa.select(event.c.lead_id).where(event.c.type == HAPPENED[what])
    columns = (
        campaign_lead.c.campaign_id,
        campaign_lead.c.lead_id,
        campaign_lead.c.email,
        campaign_lead.c.contact_ref,
        run.c.correlation_id,
    )
    earlier = ("",) if what == "contacted" else ("", "contacted")
    query = (
        sa.select(*columns)
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .join(run, run.c.id == campaign.c.run_id)
        .where(
            campaign_lead.c.told.in_(earlier),
            campaign_lead.c.contact_ref != "",
            campaign_lead.c.lead_id.in_(happened),
        )
        .limit(AT_ONCE)
    )
    return list(connection.execute(query))


async def _note(app: App, row: Row, what: Told, outcome: Outcome) -> None:
    if outcome.status not in FINAL and outcome.reason != "suppressed":
        return
    where = (campaign_lead.c.campaign_id == row.campaign_id, campaign_lead.c.lead_id == row.lead_id)
    await app.kernel.store.write(lambda c: c.execute(sa.update(campaign_lead).where(*where).values(told=what)))
