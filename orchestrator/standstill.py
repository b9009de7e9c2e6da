"""What stands still here must stand still at the vendor: its campaigns are paused there, until it confirms.

last started ─ kill switch, safe mode, pause or halt ─ paused at the vendor, confirmed ─▶ still  (a person resumes)
             └ not confirmed ─▶ tried again

Whether a campaign may still be sending is read from the ledger: its last start, or one on its way, is later than
the last confirmed pause. Safe mode that somebody engaged stands for the whole installation; one that only this
process was started with is its own rehearsal, and stops nobody else's campaigns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
OVER = ("completed", "simulated")
SIDE_BY_SIDE = 8
Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Open:
    """A campaign that stands still here and isn't confirmed to at the vendor. `since`: "" where nobody knows."""

    id: str
    name: str
    since: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the vendor is: it confirmed so many of all that stand still here and were sending."""

    confirmed: int = 0
    open: tuple[Open, ...] = ()

    @property
    def of(self) -> int:
        """All of them."""
        return self.confirmed + len(self.open)


async def work(app: App, later: Later) -> int:
    """Pause at the vendor what stands still here. Returns how many it did not confirm."""
    safety = await app.kernel.switches.now()
    if not stands_anywhere(safety) or safety.read_only:
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

    async def one(row: Row) -> None:
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


def progress(connection: sa.Connection, safety: Safety) -> Progress:
    """In the caller's transaction: what the vendor confirmed of what stands still here, and what it didn't."""
    if not stands_anywhere(safety):
        return Progress()
    sending = [row for row in _sending(connection) if _stands(safety, str(row.id))]
    open_ones = tuple(Open(str(row.id), str(row.name), since(safety, str(row.id))) for row in sending)
    return Progress(_confirmed(connection, safety, {one.id for one in open_ones}), open_ones)


def _confirmed(connection: sa.Connection, safety: Safety, but: set[str]) -> int:
    """Campaigns that were paused at the vendor since they stand still here."""
    paused = (
        sa.select(campaign.c.id, sa.func.max(effect.c.settled_at).label("at"))
        .join(effect, effect.c.target == campaign.c.vendor_ref)
        .where(campaign.c.vendor_ref != "", effect.c.action == PAUSING, effect.c.status == "applied")
        .group_by(campaign.c.id)
    )
    return sum(
        row.id not in but and _stands(safety, str(row.id)) and row.at >= since(safety, str(row.id))
        for row in connection.execute(paused)
    )


def stands_anywhere(safety: Safety) -> bool:
    """Whether anything stands still."""
    return safety.killed or bool(safety.pauses) or "database" in safety.safe_sources


def since(safety: Safety, campaign_id: str) -> str:
    """From when this campaign stands still here, as far as anybody wrote it down."""
    pause = standing(safety, VENDOR, campaign_id)
    moments = (safety.killed_at, safety.safe_at, pause.at if pause else "")
    return min(filter(None, moments), default="")


def _stands(safety: Safety, campaign_id: str) -> bool:
    everything = safety.killed or "database" in safety.safe_sources
    return everything or standing(safety, VENDOR, campaign_id) is not None


def _sending(connection: sa.Connection) -> Sequence[Row]:
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
    query = sa.select(campaign.c.id, campaign.c.vendor_ref, campaign.c.name).where(
        campaign.c.state.not_in(OVER),
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
