"""When doubt is settled after a launch gave up on it, people and campaigns follow what the ledger says.

person in_doubt   ─ the ledger has them applied ─▶ live · failed ─▶ failed
campaign stalled  ─ the ledger has its start applied ─▶ live
stop confirmed    ─ somebody was added behind its back ─▶ open
"""

import sqlalchemy as sa

from orchestrator import runs
from orchestrator.app import App
from orchestrator.dossier import ACTIVATE, ADD_LEAD
from orchestrator.stops import reopen_in
from shared.audit import Entry, append
from shared.clock import iso
from shared.schema import campaign, campaign_lead, effect, run_lead
from shared.telemetry import logger

log = logger("settled")
AT_ONCE = 200
STATES = {"applied": "live", "failed": "failed"}


async def follow_ledger(app: App) -> dict[str, int]:
    """One pass. Returns how many people, campaigns and stops moved."""
    moved, run_ids = await app.kernel.store.write(lambda c: _move(app, c))
    for run_id in run_ids:
        await runs.finish_if_done(app.kernel, run_id)
    if any(moved.values()):
        log.info("settled.pass", **moved)
    return moved


def _move(app: App, connection: sa.Connection) -> tuple[dict[str, int], list[str]]:
    now = app.kernel.clock.now()
    people, started = _people(connection), _campaigns(connection)
    for row in started:
        values = {"state": "live", "updated_at": iso(now)}
        connection.execute(sa.update(campaign).where(campaign.c.id == row.id).values(**values))
        append(connection, [Entry("campaign.changed", row.id, {"state": "live", "by": "ledger"})], now)
    reopened = reopen_in(connection, now)
    counts = {"people": people, "campaigns": len(started), "stops": reopened}
    return counts, sorted({str(row.run_id) for row in started})


def _people(connection: sa.Connection) -> int:
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
    rows = connection.execute(query).all()
    for row in rows:
        values = {"state": STATES[row.status], "reason": row.reason}
        here = (campaign_lead.c.campaign_id == row.campaign_id, campaign_lead.c.lead_id == row.lead_id)
        connection.execute(sa.update(campaign_lead).where(*here).values(**values))
        there = (run_lead.c.run_id == row.run_id, run_lead.c.lead_id == row.lead_id)
        connection.execute(sa.update(run_lead).where(*there).values(**values))
    return len(rows)


def _campaigns(connection: sa.Connection) -> list[sa.Row[tuple[str, str]]]:
    """Stalled ones that were started after all."""
    started = sa.exists().where(
        effect.c.campaign == campaign.c.id,
        effect.c.action == ACTIVATE.partition(".")[2],
        effect.c.status == "applied",
    )
    query = sa.select(campaign.c.id, campaign.c.run_id).where(campaign.c.state == "stalled", started)
    return list(connection.execute(query.limit(AT_ONCE)))
