"""The worker: runs flows, understands webhooks, stops people, settles doubt, signs the log. One loop, one process.

A round does what is due and sleeps; everything it does may be repeated, so it may die at any instruction.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import sqlalchemy as sa

from orchestrator import inbox, marks, reconcile, runs, standstill, stops
from orchestrator.app import App
from orchestrator.engine import EnginePort, open_engine
from orchestrator.pipeline import flows
from shared.errors import SwarmError
from shared.schema import campaign, run
from shared.telemetry import correlated, logger

log = logger("worker")
ROUND_SECONDS = 0.2
RECONCILE_SECONDS = 10.0
MARK_SECONDS = 5.0


@dataclass(slots=True)
class Worker:
    """An engine and the loop beside it."""

    app: App
    engine: EnginePort
    _due: dict[str, float] = field(default_factory=dict)

    async def serve(self) -> None:
        """Work until cancelled."""
        every = self.app.kernel.settings.safety.checkpoints.every_seconds
        while True:
            await self._part("standstill", 1, lambda: standstill.work(self.app))
            await self._part("flows", 0, self.start_flows)
            await self._part("inbox", 0, lambda: inbox.drain(self.app))
            await self._part("stops", 1, lambda: stops.work(self.app))
            await self._part("reconcile", RECONCILE_SECONDS, lambda: reconcile.settle(self.app))
            await self._part("answers", 1, lambda: marks.work(self.app, "replied"))
            await self._part("marks", MARK_SECONDS, lambda: marks.work(self.app, "contacted"))
            await self._part("checkpoint", every, self._checkpoint)
            await self.app.kernel.clock.sleep(ROUND_SECONDS)

    async def _part(self, name: str, every: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do one part if it is due; its failure is told and doesn't stop the others."""
        now = self.app.kernel.clock.monotonic()
        if now < self._due.get(name, 0):
            return
        self._due[name] = now + every
        try:
            with correlated():
                await work()
        except SwarmError as error:
            log.warning("worker.part_failed", part=name, kind=error.kind, code=error.code)
            self._due[name] = now + max(every, 1.0)
        except Exception:
            # The loop is what stops people and settles doubt: it outlives a bug in one of its parts.
            log.exception("worker.part_broke", part=name)
            self._due[name] = now + max(every, 5.0)

    async def _checkpoint(self) -> None:
        head = await self.app.kernel.audit.head()
        if head.exposed:
            await self.app.kernel.audit.checkpoint("time")

    async def start_flows(self) -> int:
        """Start what rows ask for: new runs, approved campaigns. The id makes a second start harmless."""
        started = 0
        for identifier, flow, args in await self.app.kernel.store.read(_asked_for):
            if not await self.engine.status(identifier):
                with correlated(str(args["correlation_id"])):
                    await self.engine.start(flow, identifier, args)
                started += 1
        return started


def _asked_for(connection: sa.Connection) -> list[tuple[str, str, dict[str, str]]]:
    """Flow id, flow and arguments of everything that should be running or have run."""
    wanted: list[tuple[str, str, dict[str, str]]] = []
    waiting = sa.select(run).where(run.c.state == "running")
    for row in connection.execute(waiting):
        flow = runs.asked(row.params)
        args = {"run_id": row.id, "correlation_id": row.correlation_id}
        wanted.append((f"{flow}:{row.id}", flow, args))
    approved = (
        sa.select(campaign.c.id, campaign.c.version, run.c.correlation_id)
        .join(run, run.c.id == campaign.c.run_id)
        .where(campaign.c.state.in_(("approved", "launching")))
    )
    for one in connection.execute(approved):
        args = {"campaign_id": one.id, "correlation_id": one.correlation_id}
        wanted.append((f"launch:{one.id}:{one.version}", "launch", args))
    return wanted


@asynccontextmanager
async def open_worker(app: App) -> AsyncIterator[Worker]:
    """An engine with every flow, and the loop running beside what the caller does."""
    async with open_engine(app.kernel.settings.home, flows(app)) as engine:
        worker = Worker(app, engine)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(worker.serve)
            try:
                yield worker
            finally:
                tasks.cancel_scope.cancel()
