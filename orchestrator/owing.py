"""What of our list a vendor has still to be told: many at a time where it takes many, until it shows each.

owed ─ the block list shows it · the CRM has its mark ─▶ gone, and in the audit log
     ├ refused, or not shown ─▶ owed, tried again ever more seldom, in ever smaller parts
     └ safe mode ─▶ simulated ─ safe mode is over ─▶ owed

For people who run in no campaign of ours: whoever does is stopped (`stops.py`). Noted by `shared/owed.py`.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, Outcome
from shared.errors import SwarmError
from shared.owed import Port
from shared.pipeline_schema import owed
from shared.telemetry import logger

log = logger("owing")
BLOCKED = 500  # in one request
SMALLER = 8  # by how much a part shrinks that was refused
MARKED = 40  # in one look
SIDE_BY_SIDE = 4
LONGEST_PAUSE = 300.0  # seconds between two tries
DONE = frozenset({"applied", "replayed"})


async def work(app: App) -> int:
    """Tell what is due. Returns how many entries vendors have shown."""
    listed, marked = await due(app)
    return await _block(app, _part(listed)) + await _mark(app, marked)


async def due(app: App) -> tuple[list[sa.Row[Any]], list[sa.Row[Any]]]:
    """What the sequencer and what the CRM are told next."""
    safety = await app.kernel.switches.now()
    if safety.read_only:
        return [], []
    if not safety.safe_mode:
        await app.kernel.store.write(_resume_simulated)
    now = iso(app.kernel.clock.now())
    return await app.kernel.store.read(
        lambda c: (_due(c, "sequencer", now, BLOCKED), _due(c, "crm", now, MARKED))
    )


async def settle(app: App, told: Callable[[int], object] = lambda _: None) -> int:
    """Tell everything that is due now. Returns how many entries vendors have shown; `told` hears it on the way."""
    total = 0
    while shown := await work(app):
        total += shown
        told(total)
    return total


def _resume_simulated(connection: sa.Connection) -> None:
    connection.execute(
        sa.update(owed).where(owed.c.state == "simulated").values(state="open", due_at="", attempts=0)
    )


def _due(connection: sa.Connection, port: Port, now: str, most: int) -> list[sa.Row[Any]]:
    """The untried first."""
    mine = (owed.c.port == port, owed.c.state == "open", owed.c.due_at <= now)
    return list(
        connection.execute(sa.select(owed).where(*mine).order_by(owed.c.attempts, owed.c.at).limit(most))
    )


def _part(rows: Sequence[sa.Row[Any]]) -> Sequence[sa.Row[Any]]:
    """Those tried as often as the first one: smaller parts each time, so that one bad value holds up only itself."""
    if not rows:
        return rows
    attempts = int(rows[0].attempts)
    alike = [row for row in rows if row.attempts == attempts and row.reason == rows[0].reason]
    return alike[: max(1, BLOCKED // SMALLER ** min(attempts, 4))]


async def _block(app: App, rows: Sequence[sa.Row[Any]]) -> int:
    if not rows:
        return 0
    values, reason = [str(row.target) for row in rows], str(rows[0].reason)
    status = await _try(lambda: app.suite.sequencer.add_to_blocklist(values=values, reason=reason))
    return await app.kernel.store.write(lambda c: note_how(app, c, rows, status))


async def _mark(app: App, rows: Sequence[sa.Row[Any]]) -> int:
    room, shown = anyio.CapacityLimiter(SIDE_BY_SIDE), list[int]()

    async def one(row: sa.Row[Any]) -> None:
        async with room:
            status = await _try(lambda: app.suite.crm.set_dnc(email=str(row.target), reason=str(row.reason)))
        shown.append(await app.kernel.store.write(lambda c: note_how(app, c, [row], status)))

    async with anyio.create_task_group() as tasks:
        for row in rows:
            tasks.start_soon(one, row)
    return sum(shown)


async def _try(act: Callable[[], Awaitable[Outcome]]) -> str:
    try:
        outcome = await act()
    except SwarmError as error:
        log.warning("owing.failed", code=error.code, kind=error.kind)
        return f"error: {error.code or error.kind}"
    # A contact that isn't there needs no mark.
    return "applied" if outcome.reason == "not_found" else outcome.status


def note_how(app: App, connection: sa.Connection, rows: Sequence[sa.Row[Any]], status: str) -> int:
    """In the caller's transaction: how it ended for these. Returns how many are over."""
    now, these = app.kernel.clock.now(), owed.c.id.in_([row.id for row in rows])
    if status in DONE:
        connection.execute(sa.delete(owed).where(these))
        targets = sorted(str(row.target) for row in rows)
        told: dict[str, Json] = {
            "port": rows[0].port,
            "entries": len(rows),
            "keys": hashlib.sha256(b"".join(_keys(app, targets))).hexdigest(),
        }
        about = targets[0] if len(targets) == 1 else f"{len(targets)} entries"
        append(connection, [Entry("suppression.mirrored", about, told)], now)
        return len(rows)
    if status == "simulated":
        connection.execute(sa.update(owed).where(these).values(state="simulated"))
        return 0
    attempts = int(rows[0].attempts) + 1
    pause = timedelta(seconds=min(LONGEST_PAUSE, 2.0 ** min(attempts - 1, 20)))
    values = {"attempts": attempts, "due_at": iso(now + pause), "problem": status}
    connection.execute(sa.update(owed).where(these).values(**values))
    return 0


def _keys(app: App, targets: Iterable[str]) -> list[bytes]:
    return [key for one in targets for key in app.kernel.suppression.keys_for(one)]
