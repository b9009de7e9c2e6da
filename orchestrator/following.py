"""Following a run until it rests: does the work in this process when no worker runs, else watches the one that does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskStatus

from orchestrator import implementing, runs
from orchestrator.app import App
from orchestrator.runs import Run
from orchestrator.worker import open_worker
from shared.errors import Fatal

RESTS = {"researched", "review", "finished", "failed", "cancelled"}
LOOK_SECONDS = 0.2
LOOKS_SHARE = 20  # counting a large run takes time: so many times that long it is left alone
TAKE_OVER_SECONDS = 1.0  # between two looks whether the process that works has ended
Watcher = Callable[[Run, dict[str, int]], None]


@asynccontextmanager
async def somebody_works(app: App) -> AsyncIterator[bool]:
    """A worker in this process, unless another process has one; should that end, ours takes over.

    Yields whether it is ours from the start.
    """
    async with anyio.create_task_group() as tasks:
        ours = await tasks.start(_work_when_free, app)
        try:
            yield bool(ours)
        finally:
            tasks.cancel_scope.cancel()


async def _work_when_free(app: App, *, task_status: TaskStatus[bool]) -> None:
    """Work until cancelled, as soon as no other process does."""
    waiting = False
    while True:
        try:
            async with open_worker(app):
                if not waiting:
                    task_status.started(True)
                await anyio.sleep_forever()
        except Fatal as error:
            if error.code != "engine_busy":
                raise
        if not waiting:
            task_status.started(False)
            waiting = True
        await app.kernel.clock.sleep(TAKE_OVER_SECONDS)


async def follow(app: App, run_id: str, watch: Watcher, until: frozenset[str] = frozenset(RESTS)) -> Run:
    """Wait until the run rests, telling `watch` how far it is."""
    while True:
        began = app.kernel.clock.monotonic()
        run = await _look(app, run_id, watch)
        if run.state in until:
            return run
        await _rest(app, began)


async def follow_launch(app: App, run_id: str, watch: Watcher) -> dict[str, int]:
    """Wait until nothing of the run is being launched any more; what waits for a person keeps waiting.

    The report of what was implemented is saved by then. Returns how many campaigns are stalled, under that name;
    nothing if none is.
    """
    while True:
        began = app.kernel.clock.monotonic()
        launching = await runs.launches_open(app.kernel, run_id)
        await _look(app, run_id, watch)
        if not launching.keys() - {"stalled"}:
            # The last launch has ended, and its flow may be just about to do this.
            await implementing.settle_run(app, run_id)
            return launching
        await _rest(app, began)


async def _look(app: App, run_id: str, watch: Watcher) -> Run:
    run = await runs.get(app.kernel, run_id)
    watch(run, await runs.progress(app.kernel, run_id))
    return run


async def _rest(app: App, began: float) -> None:
    took = app.kernel.clock.monotonic() - began
    await app.kernel.clock.sleep(max(LOOK_SECONDS, LOOKS_SHARE * took))
