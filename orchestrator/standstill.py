"""What stands still here must stand still at the vendor: its campaigns are paused there, until it confirms.

last started ─ kill switch, pause or halt ─ paused at the vendor, confirmed ─▶ still    (a person resumes)
             └ not confirmed ─▶ tried again

Whether a campaign may still be sending is read from the ledger: its last start, or one on its way, is later than
the last confirmed pause. In safe mode nothing can be paused for real, so nothing is tried.
"""

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.dossier import ACTIVATE, RESUME
from orchestrator.later import Later
from shared.audit import Entry, append
from shared.clock import iso
from shared.errors import SwarmError
from shared.pipeline_schema import campaign
from shared.schema import effect
from shared.switches import Safety, standing
from shared.telemetry import logger

log = logger("standstill")
VENDOR, _, STARTING = ACTIVATE.partition(".")
RESUMING = RESUME.partition(".")[2]
PAUSING = "pause_campaign"
CONFIRMED = frozenset({"applied", "replayed"})
SENT_BY_VENDOR = ("launching", "stalled", "live", "paused")
SIDE_BY_SIDE = 8


async def work(app: App, later: Later) -> int:
    """Pause at the vendor what stands still here. Returns how many it did not confirm."""
    safety = await app.kernel.switches.now()
    if not (safety.killed or safety.pauses) or safety.safe_mode or safety.read_only:
        return 0
    confirmed, total = await pause_at_vendor(app, safety, "stands still here", later)
    return total - confirmed


async def pause_at_vendor(
    app: App, safety: Safety, reason: str, later: Later | None = None
) -> tuple[int, int]:
    """Pause every campaign that stands still here and may be sending there.

    Returns how many the vendor confirmed, of how many; those that `later` puts off aren't tried.
    """
    rows = [row for row in await app.kernel.store.read(_sending) if _stands(safety, str(row.id))]
    tried = [row for row in rows if later is None or later.due(str(row.id))]
    confirmed: list[str] = []
    room = anyio.CapacityLimiter(SIDE_BY_SIDE)

    async def one(row: sa.Row[tuple[str, str]]) -> None:
        async with room:
            if await _paused(app, str(row.vendor_ref), reason):
                await app.kernel.store.write(lambda c: _note(app, c, str(row.id)))
                confirmed.append(row.id)
            elif later:
                later.put_off(str(row.id))

    async with anyio.create_task_group() as tasks:
        for row in tried:
            tasks.start_soon(one, row)
    if tried:
        log.warning("standstill.vendor_campaigns", confirmed=len(confirmed), of=len(rows))
    return len(confirmed), len(rows)


def unconfirmed(connection: sa.Connection, safety: Safety) -> list[str]:
    """In the caller's transaction: campaigns that stand still here, and that the vendor may still be sending."""
    return [str(row.id) for row in _sending(connection) if _stands(safety, str(row.id))]


def _stands(safety: Safety, campaign_id: str) -> bool:
    return safety.killed or standing(safety, VENDOR, campaign_id) is not None


def _sending(connection: sa.Connection) -> list[sa.Row[tuple[str, str]]]:
    """Campaigns whose last start is not followed by a confirmed pause."""
    # Empty until it is settled: a start that is on its way is later than any pause.
    started = sa.select(sa.func.max(sa.func.coalesce(sa.func.nullif(effect.c.settled_at, ""), "9"))).where(
        effect.c.campaign == campaign.c.id,
        effect.c.action.in_((STARTING, RESUMING)),
        effect.c.status.in_(("claimed", "in_doubt", "applied")),
    )
    paused = sa.select(sa.func.coalesce(sa.func.max(effect.c.claimed_at), "")).where(
        effect.c.target == campaign.c.vendor_ref,
        effect.c.action == PAUSING,
        effect.c.status == "applied",
    )
    query = sa.select(campaign.c.id, campaign.c.vendor_ref).where(
        campaign.c.state.in_(SENT_BY_VENDOR),
        campaign.c.vendor_ref != "",
        started.scalar_subquery() > paused.scalar_subquery(),
    )
    return list(connection.execute(query))


async def _paused(app: App, reference: str, reason: str) -> bool:
    try:
        outcome = await app.suite.sequencer.pause_campaign(campaign_ref=reference, reason=reason)
    except SwarmError as error:
        log.warning("standstill.not_paused", code=error.code, kind=error.kind)
        return False
    return outcome.status in CONFIRMED


def _note(app: App, connection: sa.Connection, campaign_id: str) -> None:
    """It is paused now; one that is still being launched ends its launch by itself."""
    now = app.kernel.clock.now()
    live = (campaign.c.id == campaign_id, campaign.c.state == "live")
    changed = sa.update(campaign).where(*live).values(state="paused", updated_at=iso(now))
    if connection.execute(changed).rowcount:
        append(connection, [Entry("campaign.paused", campaign_id, {"by": "standstill"})], now)
