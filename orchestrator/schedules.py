"""What is done again and again, on the durable engine: a row says what is due, a flow per occasion does it.

    waiting ─ due ─▶ running ─ done ───▶ waiting, until it is due next
                             ├ failed ─▶ waiting, tried again soon, ever more seldom
                             └ the process died: the flow goes on wherever flows do

Never twice at once: the row is running for one flow, and one living process holds it. What was missed is caught up
once, as the last occasion that was missed. Times come from the rhythm and the clock, so a row may be lost.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

import anyio
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.engine import Args, Step
from orchestrator.rhythm import following, latest, told
from orchestrator.schedule_rules import Rhythm, Schedule, ScheduleRules
from shared.clock import iso, parse
from shared.effect import Json
from shared.errors import Fatal
from shared.kernel import Kernel
from shared.pipeline_schema import schedule
from shared.telemetry import logger

log = logger("schedules")
AGAIN = timedelta(minutes=1)  # after the first failure; twice as long after each
LONGEST_AGAIN = timedelta(hours=1)
ROUND = "round:"  # how the name of a part of the worker begins
CUT_OFF = "it took too long, and was cut off"
# What a schedule does on an occasion (the moment it was due at); what it returns is told as its result.
Do = Callable[[App, datetime], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Task:
    """What a schedule does, in words and as a function. It may be repeated: a process may die in the middle."""

    what: str
    do: Do


Timetable = Mapping[Schedule, Task]


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule as it is now. Times are ISO 8601, empty where there is none."""

    name: str
    what: str
    rhythm: str
    state: str  # waiting, running, failed; round: goes round all the time
    last_run: str  # when it began last
    last_done: str  # when it went well last
    next_run: str
    lag_seconds: float  # since it was due, and isn't done
    late_after_seconds: float  # so long, and somebody is told
    failures: int  # since it went well last
    message: str  # what came of it

    @property
    def late(self) -> bool:
        """Behind by more than may be."""
        return self.lag_seconds > self.late_after_seconds


@dataclass(frozen=True, slots=True)
class Round:
    """A part of the worker that goes round all the time, and when it was done last."""

    name: str
    every_seconds: float
    at: datetime


# ── what is due ──────────────────────────────────────────────────────────────────────────────────────────
async def begin_due(app: App, timetable: Timetable) -> int:
    """Mark what is due as running, for the engine to take up. Returns how many were begun."""
    now, rules = app.kernel.clock.now(), app.rules.schedules

    def look(connection: sa.Connection) -> list[Schedule]:
        rows = _rows(connection)
        return [name for name in timetable if _begins(rows.get(name), rules, rules.schedules[name], now)]

    due = await app.kernel.store.read(look)
    if not due:
        return 0

    def change(connection: sa.Connection) -> int:
        return sum(_begin(connection, name, rules, now) for name in due)

    return await app.kernel.store.write(change)


def _rows(connection: sa.Connection) -> dict[str, sa.Row[Any]]:
    return {row.name: row for row in connection.execute(sa.select(schedule))}


def _begins(row: sa.Row[Any] | None, rules: ScheduleRules, rhythm: Rhythm, now: datetime) -> bool:
    """Whether it has to be written down: one that is due, and one that nobody knows yet."""
    return row is None or (row.state != "running" and due_at(row, rules, rhythm, now) <= now)


def due_at(row: sa.Row[Any], rules: ScheduleRules, rhythm: Rhythm, now: datetime) -> datetime:
    """When it is due. Never after the rhythm's next moment: clocks are set back, and rhythms are changed."""
    at_last = following(rhythm, rules.zone, now)
    return min(parse(row.due_at), at_last) if row.due_at else at_last


def _begin(connection: sa.Connection, name: Schedule, rules: ScheduleRules, now: datetime) -> bool:
    """A new one at a time of day waits for it; whatever else is due begins. True if it began."""
    rhythm = rules.schedules[name]
    mine = schedule.c.name == name
    row = connection.execute(sa.select(schedule).where(mine)).one_or_none()
    if row is None:
        first = now if rhythm.every_minutes is not None else following(rhythm, rules.zone, now)
        connection.execute(sa.insert(schedule).values(name=name, due_at=iso(first)))
        row = connection.execute(sa.select(schedule).where(mine)).one()
    if not _begins(row, rules, rhythm, now):
        return False
    occasion = iso(latest(rhythm, rules.zone, now))
    turn = row.turn + 1 if row.occasion == occasion else 1
    behind = row.behind_since or iso(due_at(row, rules, rhythm, now))
    values = {"state": "running", "occasion": occasion, "turn": turn, "holder": "", "behind_since": behind}
    connection.execute(sa.update(schedule).where(mine).values(**values, started_at=iso(now)))
    return True


def running(connection: sa.Connection) -> list[tuple[str, dict[str, str | int]]]:
    """The flows that rows ask for: id and arguments."""
    rows = connection.execute(sa.select(schedule).where(schedule.c.state == "running"))
    return [
        (
            f"schedule:{row.name}:{row.occasion}:{row.turn}",
            {
                "name": row.name,
                "occasion": row.occasion,
                "turn": row.turn,
                "correlation_id": f"schedule-{row.name}-{row.occasion[:16]}-{row.turn}",
            },
        )
        for row in rows
    ]


# ── doing it ─────────────────────────────────────────────────────────────────────────────────────────────
def flow(timetable: Timetable) -> Callable[[Step, Args], Json]:
    """The flow of one occasion."""

    async def done(app: App, name: Schedule, occasion: str, turn: int, message: str) -> None:
        await end(app, name, occasion, turn, message, well=True)

    async def failed(app: App, name: Schedule, occasion: str, turn: int, message: str) -> None:
        await end(app, name, occasion, turn, message, well=False)

    async def carry_out(app: App, name: Schedule, occasion: str, turn: int) -> str:
        return await _carry_out(app, timetable, name, occasion, turn)

    def body(step: Step, args: Args) -> Json:
        which = (args["name"], args["occasion"], args["turn"])
        try:
            message = step("carry out", carry_out, *which)
        except Fatal as error:
            step("failed", failed, *which, error.message)
            raise
        step("done", done, *which, message)
        return {"schedule": args["name"], "result": message}

    return body


async def _carry_out(app: App, timetable: Timetable, name: Schedule, occasion: str, turn: int) -> str:
    """Do it, unless another living process is at it. What came of it, in words."""
    await app.kernel.store.write(lambda c: _hold(app, c, name, occasion, turn))
    with anyio.move_on_after(app.rules.schedules.schedules[name].longest_minutes * 60) as limit:
        result = await timetable[name].do(app, parse(occasion))
    if limit.cancelled_caught:
        raise Fatal(CUT_OFF, code="cut_off")
    log.info("schedules.done", schedule=name)
    return _said(result)


def _hold(app: App, connection: sa.Connection, name: str, occasion: str, turn: int) -> None:
    row = _under_way(app, connection, name, occasion, turn)
    if row is None:
        raise Fatal("it is over, or another process is at it", code="schedule_busy")
    mine = schedule.c.name == name
    connection.execute(sa.update(schedule).where(mine).values(holder=app.kernel.presence.id))


def _under_way(
    app: App, connection: sa.Connection, name: str, occasion: str, turn: int
) -> sa.Row[Any] | None:
    """The row, if this occasion is still to be done and no other living process is at it."""
    mine = (schedule.c.name == name, schedule.c.occasion == occasion, schedule.c.turn == turn)
    row = connection.execute(sa.select(schedule).where(*mine, schedule.c.state == "running")).one_or_none()
    me = app.kernel.presence
    if row and row.holder and row.holder != me.id and me.alive(connection, row.holder):
        return None
    return row


def _said(result: object) -> str:
    """`{"asked": 3, "found": 2}` → `asked 3, found 2`. Counts and our own words only."""
    if isinstance(result, Mapping):
        return ", ".join(f"{name} {count}" for name, count in result.items())
    return "" if result is None else str(result)


async def end(app: App, name: Schedule, occasion: str, turn: int, message: str, *, well: bool) -> None:
    """Write down how it went, and when it is due next. Somebody else's occasion isn't touched."""
    rules, now = app.rules.schedules, app.kernel.clock.now()
    next_time = following(rules.schedules[name], rules.zone, now)

    def change(connection: sa.Connection) -> None:
        row = _under_way(app, connection, name, occasion, turn)
        if row is None:
            return
        failures = 0 if well else row.failures + 1
        due = next_time if well else min(next_time, now + _pause(failures))
        values = {"state": "waiting", "holder": "", "failures": failures, "message": message}
        times = {"due_at": iso(due), "finished_at": iso(now)}
        times |= {"done_at": iso(now), "behind_since": ""} if well else {}
        connection.execute(sa.update(schedule).where(schedule.c.name == name).values(**values, **times))

    await app.kernel.store.write(change)


async def give_up(app: App, args: Mapping[str, str | int], message: str) -> None:
    """A flow that ended without a word: said here, and tried again."""
    name = next(one for one in get_args(Schedule) if one == args["name"])
    await end(app, name, str(args["occasion"]), int(args["turn"]), message, well=False)


def _pause(failures: int) -> timedelta:
    return min(LONGEST_AGAIN, AGAIN * float(2 ** min(failures - 1, 10)))


# ── how they stand ───────────────────────────────────────────────────────────────────────────────────────
async def standing(kernel: Kernel, rules: ScheduleRules, timetable: Timetable) -> list[Standing]:
    """Every schedule, then the parts of the worker that go round: when done last, when due next, what lags."""
    now = kernel.clock.now()
    rows = await kernel.store.read(_rows)
    own = [_standing(rules, timetable, name, rows.get(name), now) for name in timetable]
    late = rules.late_round_seconds
    rounds = [_round(rows[name], late, now) for name in sorted(rows) if rows[name].state == "round"]
    return own + rounds


def _standing(
    rules: ScheduleRules, timetable: Timetable, name: Schedule, row: sa.Row[Any] | None, now: datetime
) -> Standing:
    rhythm = rules.schedules[name]
    due = due_at(row, rules, rhythm, now) if row else following(rhythm, rules.zone, now)
    since = parse(row.behind_since) if row and row.behind_since else due
    failed = row is not None and row.state == "waiting" and row.failures > 0
    return Standing(
        name=name,
        what=timetable[name].what,
        rhythm=told(rhythm, rules.timezone),
        state="failed" if failed else row.state if row else "waiting",
        last_run=row.started_at if row else "",
        last_done=row.done_at if row else "",
        next_run=iso(due),
        lag_seconds=max(0.0, (now - since).total_seconds()),
        late_after_seconds=rhythm.late_minutes * 60,
        failures=row.failures if row else 0,
        message=row.message if row else "",
    )


def _round(row: sa.Row[Any], late_after: float, now: datetime) -> Standing:
    return Standing(
        name=row.name.removeprefix(ROUND),
        what="a part of the worker, done all the time by one process",
        rhythm=row.message,
        state="round",
        last_run=row.started_at,
        last_done=row.done_at,
        next_run=row.due_at,
        lag_seconds=max(0.0, (now - parse(row.due_at)).total_seconds()),
        late_after_seconds=late_after,
        failures=0,
        message="",
    )


async def note_rounds(app: App, rounds: Sequence[Round], parts: Collection[str]) -> None:
    """Write down when parts of the worker were done last, so that others see what lags. `parts`: all there are."""

    def change(connection: sa.Connection) -> None:
        known = _rows(connection)
        gone = [n for n, row in known.items() if row.state == "round" and n.removeprefix(ROUND) not in parts]
        connection.execute(sa.delete(schedule).where(schedule.c.name.in_(gone)))
        for one in rounds:
            _note(connection, one, known=ROUND + one.name in known)

    await app.kernel.store.write(change)


def _note(connection: sa.Connection, one: Round, *, known: bool) -> None:
    at, due = iso(one.at), iso(one.at + timedelta(seconds=one.every_seconds))
    values = {"state": "round", "started_at": at, "done_at": at, "due_at": due}
    values["message"] = f"every {one.every_seconds:g} s"
    row = schedule.c.name == ROUND + one.name
    known_or_new = sa.update(schedule).where(row) if known else sa.insert(schedule)
    connection.execute(known_or_new.values(name=ROUND + one.name, **values))
