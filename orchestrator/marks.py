"""Tells the CRM whom the first message reached, a few people at a time: nothing else should wait for it."""

import sqlalchemy as sa

from orchestrator.app import App
from shared.clock import iso
from shared.effect import Outcome
from shared.schema import campaign_lead, event

AT_ONCE = 5
# The CRM said something final: asking again would change nothing.
FINAL = {"applied", "replayed", "simulated", "failed"}


async def work(app: App) -> int:
    """Tag the next few contacts `contacted`. Returns how many were told."""
    sent = sa.select(event.c.lead_id).where(event.c.type == "sent")
    query = (
        sa.select(
            campaign_lead.c.campaign_id,
            campaign_lead.c.lead_id,
            campaign_lead.c.email,
            campaign_lead.c.contact_ref,
        )
        .where(
            campaign_lead.c.marked_at == "",
            campaign_lead.c.contact_ref != "",
            campaign_lead.c.lead_id.in_(sent),
        )
        .limit(AT_ONCE)
    )
    rows = await app.kernel.store.read(lambda c: c.execute(query).all())
    for row in rows:
        outcome = await app.suite.crm.tag_contact(
            contact_id=str(row.contact_ref), email=str(row.email), add=["contacted"]
        )
        await _note(app, str(row.campaign_id), str(row.lead_id), outcome)
    return len(rows)


async def _note(app: App, campaign_id: str, lead_id: str, outcome: Outcome) -> None:
    if outcome.status not in FINAL:
        return
    where = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
    values = {"marked_at": iso(app.kernel.clock.now())}
    await app.kernel.store.write(lambda c: c.execute(sa.update(campaign_lead).where(*where).values(**values)))
