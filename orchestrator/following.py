"""Following a run until it rests: does the work in this process when no worker runs, else watches the one that does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from orchestrator import runs
from orchestrator.app import App
from orchestrator.runs import Run
from orchestrator.worker import open_worker
from shared.errors import Fatal

RESTS = {"researched", "review", "finished", "failed", "cancelled"}
LOOK_SECONDS = 0.2
Watcher = Callable[[Run, dict[str, int]], None]


@asynccontextmanager
async def somebody_works(app: App) -> AsyncIterator[bool]:
    """A worker in this process, unless another process has one. Yields whether it is ours."""
    try:
        async with open_worker(app):
            yield True
    except Fatal as error:
        if error.code != "engine_busy":
            raise
        yield False


async def follow(app: App, run_id: str, watch: Watcher, until: frozenset[str] = frozenset(RESTS)) -> Run:
    """Wait until the run rests, telling `watch` how far it is."""
    while True:
        run = await runs.get(app.kernel, run_id)
        watch(run, await runs.progress(app.kernel, run_id))
        if run.state in until:
            return run
        await app.kernel.clock.sleep(LOOK_SECONDS)
