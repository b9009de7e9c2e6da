"""The worker: runs flows, understands webhooks, stops people, settles doubt, signs the log. One loop, one process.

Each part goes round by itself, so that stopping somebody never waits behind something slow; everything a part does
may be repeated, so it may die at any instruction. A part that fails rests ever longer, and the others go on.

On PostgreSQL several processes work: all of them run flows, one at a time does the rest. Another takes that over when
it ends, and what it had begun.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio
import sqlalchemy as sa

from orchestrator import (
    answering,
    catching_up,
    implementing,
    inbox,
    mailboxes,
    marks,
    outreach,
    owing,
    reconcile,
    reconsidering,
    runs,
    schedules,
    settled,
    standstill,
    stopping,
    stops,
    watching,
)
from orchestrator.app import App
from orchestrator.engine import ENDED, EnginePort, OnServer, open_engine
from orchestrator.later import Later
from orchestrator.pipeline import flows
from orchestrator.second_opinion import open_classifier
from orchestrator.timetable import TIMETABLE
from shared import publishing
from shared.alerts import Alerts, channels, open_alerts
from shared.errors import Fatal, SwarmError
from shared.pipeline_schema import campaign, run
from shared.store import Unavailable
from shared.telemetry import correlated, logger

log = logger("worker")
ROUND_SECONDS = 0.2
STOP_SECONDS = 0.5
OWED_SECONDS = 2.0
DOUBT_SECONDS = 10.0
MARK_SECONDS = 5.0
HALT_SECONDS = 2.0
READ_AGAIN_SECONDS = 5.0  # between looks at whom a webhook told of; how much later says routing.yaml
PUBLISH_SECONDS = 2.0
OPINION_SECONDS = 1.0
SPOOL_SECONDS = 1.0
SCHEDULE_SECONDS = 1.0  # between looks at what is due; how often it is due says schedules.yaml
NOTE_SECONDS = 10.0
FORGET_SECONDS = 600.0
REMEMBERED = timedelta(days=7)  # flows of schedules; the rows say what came of them
WATCH_SECONDS = 10.0
LONGEST_REST = 10.0  # seconds that a part rests after failing again and again
DUTY_SECONDS = 1.0
LEFT_SECONDS = 4.0  # twice this after it ended, what a process left behind is taken up
DUTY = "worker"  # everything but flows, which one process at a time does
GAVE_UP = "the pipeline gave up on it; the log has why, under the run's correlation id"
Work = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A flow that rows ask for."""

    id: str
    flow: str
    args: dict[str, str | int]


@dataclass(slots=True)
class Worker:
    """An engine and what goes round beside it."""

    app: App
    engine: EnginePort
    broken: dict[str, str] = field(default_factory=dict)  # parts that failed last time → kind of error
    on_duty: bool = False
    _since: datetime | None = None  # when the duty began
    _done: dict[str, datetime] = field(default_factory=dict)  # parts by when they went well last
    _known: set[str] = field(default_factory=set)  # flows that were started already
    _missed: set[str] = field(default_factory=set)  # processes that weren't there when last looked for

    async def serve(self) -> None:
        """Work until cancelled."""
        app, clock = self.app, self.app.kernel.clock
        every = app.kernel.settings.safety.checkpoints.every_seconds
        pauses, doubts, told = Later(clock, 1.0, 30.0), Later(clock, 10.0, 600.0), Later(clock, 5.0, 600.0)
        unsent, boxes = Later(clock, 2.0, 300.0), Later(clock, 1.0, 30.0)
        alerts = open_alerts(app.kernel)
        out = channels(app.kernel.settings.variables, app.kernel.settings.safety.alerts, app.kernel.http)
        parts: list[tuple[str, float, Work]] = [
            ("standstill", 1.0, lambda: standstill.work(app, pauses)),
            ("mailboxes", 1.0, lambda: mailboxes.work(app, boxes)),
            ("flows", ROUND_SECONDS, self.start_flows),
            ("spool", SPOOL_SECONDS, self._take_in),
            ("inbox", ROUND_SECONDS, lambda: inbox.drain(app)),
            ("schedules", SCHEDULE_SECONDS, lambda: schedules.begin_due(app, TIMETABLE)),
            ("stops", STOP_SECONDS, lambda: stopping.work(app)),
            ("owed", OWED_SECONDS, lambda: owing.work(app)),
            ("reconcile", DOUBT_SECONDS, lambda: reconcile.settle(app, doubts)),
            ("settled", DOUBT_SECONDS, lambda: settled.follow_ledger(app)),
            ("answers", 1.0, lambda: marks.work(app, "replied", told)),
            ("replying", 1.0, lambda: answering.work(app, unsent)),
            ("marks", MARK_SECONDS, lambda: marks.work(app, "contacted", told)),
            ("read again", READ_AGAIN_SECONDS, lambda: catching_up.changes(app)),
            ("ended flows", DOUBT_SECONDS, self.give_up),
            ("old flows", FORGET_SECONDS, self.forget_old),
            ("left behind", LEFT_SECONDS, self.take_over),
            ("checkpoint", every, self._checkpoint),
            ("publish", PUBLISH_SECONDS, lambda: publishing.work(app.kernel, out)),
            ("halts", HALT_SECONDS, app.kernel.halts.look),
            ("watch", WATCH_SECONDS, lambda: self._watch(alerts)),
            ("rounds", NOTE_SECONDS, lambda: self._note_rounds(parts)),
        ]
        model = open_classifier(
            app.kernel.settings.variables, app.kernel.http, app.rules.routing.second_opinion
        )
        if model is not None:
            asking = model
            parts.append(("second opinion", OPINION_SECONDS, lambda: reconsidering.work(app, asking)))
        async with anyio.create_task_group() as tasks:
            await self._look_for_duty()
            tasks.start_soon(self._stay_on_duty)
            for part in parts:
                tasks.start_soon(self._go_round, *part)

    async def _stay_on_duty(self) -> None:
        """Have the duty as soon as it is free."""
        while True:
            await self.app.kernel.clock.sleep(DUTY_SECONDS)
            await self._look_for_duty()

    async def _look_for_duty(self) -> None:
        """Not knowing whether we have it counts as not having it."""
        if not await self._once("duty", self._take_duty):
            self.on_duty = False

    async def _take_duty(self) -> None:
        takes, before = self.app.kernel.presence.takes, self.on_duty
        self.on_duty = await self.app.kernel.store.write(lambda c: takes(c, DUTY))
        if self.on_duty and not before:
            self._since = self.app.kernel.clock.now()

    async def _go_round(self, name: str, every: float, work: Work) -> None:
        """Do one part again and again; its failure is told and doesn't stop the others."""
        failures = 0
        while True:
            failures = 0 if not self.on_duty or await self._round(name, work) else failures + 1
            rest = (
                every if not failures else min(LONGEST_REST, max(every, 1.0) * 2.0 ** min(failures - 1, 10))
            )
            await self.app.kernel.clock.sleep(rest)

    async def _round(self, name: str, work: Work) -> bool:
        went_well = await self._once(name, work)
        if went_well:
            self._done[name] = self.app.kernel.clock.now()
        return went_well

    async def _note_rounds(self, parts: list[tuple[str, float, Work]]) -> None:
        done = [
            schedules.Round(name, every, self._done[name]) for name, every, _ in parts if name in self._done
        ]
        await schedules.note_rounds(self.app, done, {name for name, _, _ in parts})

    async def _watch(self, alerts: Alerts) -> None:
        await watching.work(self.app.kernel, alerts, self.broken, await self._late())

    async def _late(self) -> tuple[schedules.Standing, ...]:
        """What lagged while nobody was there doesn't count before it had its time again."""
        now = self.app.kernel.clock.now()
        here = (now - (self._since or now)).total_seconds()
        try:
            found = await schedules.standing(self.app.kernel, self.app.rules.schedules, TIMETABLE)
        except Unavailable:
            return ()  # the watch tells of that
        return tuple(one for one in found if min(one.lag_seconds, here) > one.late_after_seconds)

    async def _once(self, name: str, work: Work) -> bool:
        try:
            with correlated():
                await work()
        except SwarmError as error:
            log.warning("worker.part_failed", part=name, kind=error.kind, code=error.code)
            if isinstance(error, Fatal):
                self.broken[name] = error.code or error.kind
            return False
        except Exception as error:
            # The worker is what stops people and settles doubt: it outlives a bug in one of its parts.
            log.exception("worker.part_broke", part=name)
            self.broken[name] = type(error).__name__
            return False
        self.broken.pop(name, None)
        return True

    async def _take_in(self) -> None:
        """Opt-outs that came while the database was away; whoever of them runs in a campaign leaves it."""
        kernel = self.app.kernel
        if await kernel.spool.take_in(kernel.store, kernel.suppression, kernel.clock):
            await stops.sweep(kernel)

    async def _checkpoint(self) -> None:
        head = await self.app.kernel.audit.head()
        if head.exposed:
            await self.app.kernel.audit.checkpoint("time")

    async def start_flows(self) -> int:
        """Start what rows ask for: new runs, approved campaigns. The id makes a second start harmless."""
        wanted = await self.app.kernel.store.read(_asked_for)
        self._known &= {one.id for one in wanted}
        started = 0
        for one in wanted:
            if one.id in self._known:
                continue
            if not await self.engine.status(one.id):
                with correlated(str(one.args["correlation_id"])):
                    await self.engine.start(one.flow, one.id, one.args)
                started += 1
            self._known.add(one.id)
        return started

    async def take_over(self) -> int:
        """Let flows go on whose process has ended. Returns how many.

        One is missed twice before it counts as ended: it may only be between two connections.
        """
        others, alive = await self.engine.others(), self.app.kernel.presence.alive
        missing = await self.app.kernel.store.read(lambda c: {one for one in others if not alive(c, one)})
        ended, self._missed = missing & self._missed, missing - self._missed
        return await self.engine.recover(ended) if ended else 0

    async def forget_old(self) -> int:
        """Flows of schedules that ended days ago: there are hundreds a day, and nobody asks for them again."""
        return await self.engine.forget("schedule:", self.app.kernel.clock.now() - REMEMBERED)

    async def give_up(self) -> int:
        """Flows that ended without saying so in the rows that asked for them: say it there. Returns how many."""
        asked = await self.app.kernel.store.read(_asked_for)
        ended = {one.id for one in asked if await self.engine.status(one.id) in ENDED}
        # One that ended since its row was read has said so meanwhile.
        silent = await self.app.kernel.store.read(_asked_for) if ended else []
        gone = [one for one in silent if one.id in ended]
        for one in gone:
            log.error("worker.flow_gave_up", flow=one.flow)
            await self._give_up(one)
        return len(gone)

    async def _give_up(self, one: Wanted) -> None:
        if one.flow == "schedule":
            await schedules.give_up(self.app, one.args, GAVE_UP)
        elif one.flow == "launch":
            campaign_id = str(one.args["campaign_id"])
            await outreach.stall(self.app, campaign_id, GAVE_UP, int(one.args["version"]))
            await implementing.settle(self.app, campaign_id)
        else:
            await runs.fail(self.app.kernel, str(one.args["run_id"]), GAVE_UP)


def _asked_for(connection: sa.Connection) -> list[Wanted]:
    """Everything that should be running: only rows in work ask, so it doesn't grow with what is over."""
    wanted: list[Wanted] = []
    for row in connection.execute(sa.select(run).where(run.c.state == "running")):
        flow = runs.asked(row.params)
        args: dict[str, str | int] = {"run_id": row.id, "correlation_id": row.correlation_id}
        turn = f":{row.turn}" if row.turn > 1 else ""
        wanted.append(Wanted(f"{flow}:{row.id}{turn}", flow, args))
    approved = (
        sa.select(campaign.c.id, campaign.c.version, run.c.correlation_id)
        .join(run, run.c.id == campaign.c.run_id)
        .where(campaign.c.state.in_(outreach.BEGINNING), outreach.cleared())
    )
    for one in connection.execute(approved):
        args = {"campaign_id": one.id, "version": one.version, "correlation_id": one.correlation_id}
        wanted.append(Wanted(f"launch:{one.id}:{one.version}", "launch", args))
    wanted += [Wanted(identifier, "schedule", args) for identifier, args in schedules.running(connection)]
    return wanted


@asynccontextmanager
async def open_worker(app: App) -> AsyncIterator[Worker]:
    """An engine with every flow, and the parts going round beside what the caller does."""
    kernel = app.kernel
    server = None if kernel.store.path else OnServer(kernel.settings.database_url, kernel.presence.id)
    async with open_engine(kernel.settings.home, flows(app), server) as engine:
        worker = Worker(app, engine)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.serve)
            try:
                yield worker
            finally:
                tasks.cancel_scope.cancel()
