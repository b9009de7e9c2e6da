"""Carrying out stops at the vendors, a few people at a time, the untried ones first."""

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.stops import may_be_enrolled
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Outcome, canonical
from shared.errors import SwarmError
from shared.pipeline_schema import stop
from shared.telemetry import correlated, logger

log = logger("stopping")
AT_ONCE = 50
SIDE_BY_SIDE = 4
LONGEST_PAUSE = 300.0  # seconds between two tries of what the vendor doesn't confirm
# What each kind of stop takes.
STEPS: Mapping[str, tuple[str, ...]] = {
    "person": ("removed", "blocked", "dnc"),
    "sequence": ("removed",),
    "domain": ("blocked",),
}
ENDED = frozenset({"applied", "replayed", "simulated"})
Row = sa.Row[tuple[object, ...]]
Act = Callable[[], Awaitable[Outcome]]


async def work(app: App) -> int:
    """Carry out what is due. Returns how many of those are still open afterwards."""
    safety = await app.kernel.switches.now()
    if safety.read_only:
        return 0
    if not safety.safe_mode:
        await app.kernel.store.write(_resume_simulated)
    rows = await app.kernel.store.read(lambda c: _due(c, iso(app.kernel.clock.now())))
    open_ones: list[str] = []
    room = anyio.CapacityLimiter(SIDE_BY_SIDE)

    async def one(row: Row) -> None:
        async with room:
            with correlated(str(json.loads(str(row.detail)).get("correlation_id", ""))):
                if not await _carry_out(app, row):
                    open_ones.append(str(row.id))

    async with anyio.create_task_group() as tasks:
        for row in rows:
            tasks.start_soon(one, row)
    return len(open_ones)


def _resume_simulated(connection: sa.Connection) -> None:
    """What was only simulated has still to be done: whoever asked to be left alone asked for real."""
    again = sa.update(stop).where(stop.c.state == "simulated")
    connection.execute(again.values(state="open", detail="{}", due_at="", attempts=0))


def _due(connection: sa.Connection, now: str) -> list[Row]:
    """The untried first: what a vendor keeps refusing must not stand before them."""
    due = sa.select(stop).where(stop.c.state == "open", stop.c.due_at <= now)
    return list(connection.execute(due.order_by(stop.c.attempts, stop.c.at).limit(AT_ONCE)))


async def _carry_out(app: App, row: Row) -> bool:
    """Everything that isn't done yet. True if the stop is over."""
    began = iso(app.kernel.clock.now())
    detail: dict[str, str] = json.loads(str(row.detail))
    steps = _steps(app, row)
    for name, act in steps.items():
        if detail.get(name) not in ENDED:
            detail[name] = await _try(act)
    return await app.kernel.store.write(lambda c: _note(app, c, row, {**detail}, list(steps), began))


def _steps(app: App, row: Row) -> Mapping[str, Act]:
    target, reason = str(row.target), str(row.reason)
    sequencer, crm = app.suite.sequencer, app.suite.crm
    steps: dict[str, Act] = {
        "removed": lambda: sequencer.remove_lead(email=target, reason=reason),
        "blocked": lambda: sequencer.add_to_blocklist(values=[target], reason=reason),
        "dnc": lambda: crm.set_dnc(email=target, reason=reason),
    }
    return {name: steps[name] for name in STEPS[str(row.kind)]}


async def _try(act: Act) -> str:
    try:
        outcome = await act()
    except SwarmError as error:
        log.warning("stop.failed", code=error.code, kind=error.kind)
        return f"error: {error.code or error.kind}"
    # Nobody there to be stopped is as good as stopped.
    return "applied" if outcome.reason == "not_found" else outcome.status


def _note(
    app: App, connection: sa.Connection, row: Row, detail: dict[str, str], steps: list[str], began: str
) -> bool:
    """How far it is, unless it was asked for anew meanwhile. True if it is over."""
    now = app.kernel.clock.now()
    if "removed" in detail and may_be_enrolled(connection, str(row.target), began):
        detail["removed"] = "somebody was being added"
    attempts = int(str(row.attempts)) + 1
    done = all(detail.get(name) in ENDED for name in steps)
    state = ("simulated" if "simulated" in detail.values() else "confirmed") if done else "open"
    pause = timedelta(seconds=min(LONGEST_PAUSE, 2.0 ** min(attempts - 1, 20)))
    values = {
        "state": state,
        "detail": canonical(detail).decode(),
        "attempts": attempts,
        "due_at": "" if done else iso(now + pause),
        "confirmed_at": iso(now) if state == "confirmed" else "",
    }
    same = (stop.c.id == row.id, stop.c.state == "open", stop.c.at == row.at)
    kept = connection.execute(sa.update(stop).where(*same).values(**values)).rowcount > 0
    if kept and done:
        append(connection, [Entry(f"person.{_word(state)}", str(row.target), dict(detail))], now)
    return kept and done


def _word(state: str) -> str:
    return "stopped" if state == "confirmed" else "stop_simulated"
