"""When doubt is settled after a launch gave up on it, people and campaigns follow what the ledger says.

person in_doubt   ─ the ledger has them applied ─▶ live · failed ─▶ failed
campaign stalled  ─ the ledger has its start applied ─▶ live
stop confirmed    ─ somebody was added behind its back ─▶ open
"""

from typing import Any

import sqlalchemy as sa

from orchestrator import runs
from orchestrator.app import App
from orchestrator.dossier import ACTIVATE, ADD_LEAD
from orchestrator.stops import late_in, reopen_in
from shared.audit import Entry, append
from shared.clock import iso
from shared.pipeline_schema import campaign, campaign_lead, run_lead
from shared.schema import effect
from shared.telemetry import logger

log = logger("settled")
AT_ONCE = 200
STATES = {"applied": "live", "failed": "failed"}


async def follow_ledger(app: App) -> dict[str, int]:
    """One pass. Returns how many people, campaigns and stops moved. Writes only where something has to move."""
    now = app.kernel.clock.now()
    people = await app.kernel.store.read(_people)
    started = await app.kernel.store.read(_campaigns)
    late = await app.kernel.store.read(lambda c: late_in(c, now))
    moved = {"people": len(people), "campaigns": len(started), "stops": len(late)}
    if not any(moved.values()):
        return moved

    def change(connection: sa.Connection) -> None:
        for person in people:
            _move(connection, person)
        for one in started:
            _start(app, connection, str(one.id))
        reopen_in(connection, late, now)

    await app.kernel.store.write(change)
    for run_id in sorted({str(one.run_id) for one in started}):
        await runs.finish_if_done(app.kernel, run_id)
    log.info("settled.pass", **moved)
    return moved


def _move(connection: sa.Connection, person: sa.Row[Any]) -> None:
    """Still in doubt here: then as the ledger says."""
    values = {"state": STATES[person.status], "reason": person.reason}
    here = (
        campaign_lead.c.campaign_id == person.campaign_id,
        campaign_lead.c.lead_id == person.lead_id,
        campaign_lead.c.state == "in_doubt",
    )
    if connection.execute(sa.update(campaign_lead).where(*here).values(**values)).rowcount:
        there = (run_lead.c.run_id == person.run_id, run_lead.c.lead_id == person.lead_id)
        connection.execute(sa.update(run_lead).where(*there).values(**values))


def _start(app: App, connection: sa.Connection, campaign_id: str) -> None:
    now = app.kernel.clock.now()
    stalled = (campaign.c.id == campaign_id, campaign.c.state == "stalled")
    started = sa.update(campaign).where(*stalled).values(state="live", updated_at=iso(now))
    if connection.execute(started).rowcount:
        append(connection, [Entry("campaign.changed", campaign_id, {"state": "live", "by": "ledger"})], now)


def _people(connection: sa.Connection) -> list[sa.Row[Any]]:
    query = (
        sa.select(
            campaign_lead.c.campaign_id,
            campaign_lead.c.lead_id,
            campaign.c.run_id,
            effect.c.status,
            effect.c.reason,
        )
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .join(
            effect,
            sa.and_(
                effect.c.campaign == campaign_lead.c.campaign_id,
                effect.c.target == campaign_lead.c.email,
                effect.c.action == ADD_LEAD.partition(".")[2],
            ),
        )
        .where(
            campaign_lead.c.state == "in_doubt",
            effect.c.status.in_(tuple(STATES)),
            # A launch under way settles its own people.
            campaign.c.state.in_(("live", "paused", "stalled", "completed")),
        )
        .limit(AT_ONCE)
    )
    return list(connection.execute(query))


def _campaigns(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Stalled ones that were started after all."""
    started = sa.exists().where(
        effect.c.campaign == campaign.c.id,
        effect.c.action == ACTIVATE.partition(".")[2],
        effect.c.status == "applied",
    )
    query = sa.select(campaign.c.id, campaign.c.run_id).where(campaign.c.state == "stalled", started)
    return list(connection.execute(query.limit(AT_ONCE)))
