"""While the kill switch is on, campaigns that the vendor sends by itself are paused there, until it confirms.

live ─ killed ─ paused at the vendor, confirmed ─▶ paused      (a person resumes, after the release)
              └ not confirmed ─▶ live, tried again every second
"""

import sqlalchemy as sa

from orchestrator.app import App
from shared.audit import Entry, append
from shared.clock import iso
from shared.schema import campaign
from shared.telemetry import logger

log = logger("standstill")
CONFIRMED = {"applied", "replayed", "simulated"}


async def work(app: App) -> int:
    """Pause what still sends. Returns how many the vendor did not confirm."""
    safety = await app.kernel.switches.now()
    if not safety.killed:
        return 0
    query = sa.select(campaign.c.id, campaign.c.vendor_ref).where(
        campaign.c.state == "live", campaign.c.vendor_ref != ""
    )
    rows = await app.kernel.store.read(lambda c: c.execute(query).all())
    left = 0
    for row in rows:
        outcome = await app.suite.sequencer.pause_campaign(campaign_ref=row.vendor_ref, reason="kill switch")
        if outcome.status in CONFIRMED:
            await _note(app, row.id)
        else:
            left += 1
    if rows:
        log.warning("kill.vendor_campaigns", confirmed=len(rows) - left, of=len(rows))
    return left


async def _note(app: App, campaign_id: str) -> None:
    now = app.kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        values = {"state": "paused", "updated_at": iso(now)}
        connection.execute(sa.update(campaign).where(campaign.c.id == campaign_id).values(**values))
        append(connection, [Entry("campaign.paused_by_kill", campaign_id, {})], now)

    await app.kernel.store.write(change)
