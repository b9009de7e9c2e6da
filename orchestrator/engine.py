"""The durable engine behind a narrow port; the only file that imports dbos.

A flow is a plain function of `step` and its arguments: `step("enrich 3", stage, run_id, 3)` runs the async
`stage` in the application's own event loop, and remembers what it returned. After a crash the flow runs again
from its first line, and finished steps answer from memory; a step in flight runs once more, so every stage is
written to be repeated, with the ledger between it and the vendors.

One process runs flows on a database (a file lock says which); others start flows through rows that it polls.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from filelock import FileLock, Timeout

from shared.effect import Json
from shared.errors import Fatal
from shared.store import sqlite
from shared.telemetry import correlated, logger

log = logger("engine")
# Raised by hand when flows change shape; rows of another version are left for a process of that version.
VERSION = "flows-1"
QUEUE = "flows"
ENDED = {"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}

Args = Mapping[str, Json]
Stage = Callable[..., Awaitable[Any]]


class Step(Protocol):
    """Runs a stage once, durably; answers from memory afterwards."""

    def __call__(self, name: str, stage: Stage, /, *args: Any) -> Any:
        """What the stage returned: JSON, references only."""
        ...


Flow = Callable[[Step, Args], Json]


class EnginePort(Protocol):
    """What the product needs of a durable engine."""

    async def start(self, flow: str, identifier: str, args: Args) -> None:
        """Run a flow under that id; a second start of the same id changes nothing."""
        ...

    async def status(self, identifier: str) -> str:
        """`PENDING`, `ENQUEUED`, `SUCCESS`, `ERROR`, `CANCELLED`, or "" for an unknown id."""
        ...

    async def cancel(self, identifier: str) -> None:
        """Begin no further step."""
        ...


class _Engine:
    """The dbos adapter. One per process, because dbos is."""

    def __init__(self, start: Callable[[str, dict[str, Any]], Any]) -> None:
        self._start = start

    async def start(self, flow: str, identifier: str, args: Args) -> None:
        def enqueue() -> None:
            with SetWorkflowID(identifier):
                self._start(flow, dict(args))

        await anyio.to_thread.run_sync(enqueue)

    async def status(self, identifier: str) -> str:
        found = await anyio.to_thread.run_sync(DBOS.get_workflow_status, identifier)
        return found.status if found else ""

    async def cancel(self, identifier: str) -> None:
        await anyio.to_thread.run_sync(DBOS.cancel_workflow, identifier)


def _database(path: Path) -> sa.Engine:
    """The engine's own file: WAL, durable commits, one connection."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        module=sqlite,
        pool_size=1,
        max_overflow=0,
        connect_args={"check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


@asynccontextmanager
async def open_engine(home: Path, flows: Mapping[str, Flow]) -> AsyncIterator[EnginePort]:
    """Launch the engine and take up what an earlier process left. `Fatal` if another process runs it already."""
    lock = FileLock(home / "engine.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise Fatal(
            "another process runs the pipeline on this data folder; stop it, or let it do the work",
            code="engine_busy",
        ) from error
    try:
        engine, destroy = await anyio.to_thread.run_sync(_launch, home, flows, asyncio.get_running_loop())
        try:
            yield engine
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(destroy)
    finally:
        lock.release()


def _launch(
    home: Path, flows: Mapping[str, Flow], loop: asyncio.AbstractEventLoop
) -> tuple[_Engine, Callable[[], None]]:
    database = _database(home / "engine.db")
    DBOS(
        config={
            "name": "alpha-swarm",
            "system_database_engine": database,
            "application_version": VERSION,
            "executor_id": "slot-0",
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 64,
            "log_level": "CRITICAL",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.2,
        }
    )

    def memoised(name: str, stage: Stage, /, *args: Any) -> Any:
        def call() -> Any:
            return asyncio.run_coroutine_threadsafe(_traced(stage, args), loop).result()

        return DBOS.run_step({"name": name}, call)

    @DBOS.workflow(name="flow", max_recovery_attempts=None)
    def run(flow: str, args: dict[str, Any]) -> Any:
        with correlated(str(args.get("correlation_id", ""))):
            return flows[flow](memoised, args)

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=8, polling_interval_sec=0.1)

    def start(flow: str, args: dict[str, Any]) -> Any:
        return DBOS.enqueue_workflow(QUEUE, run, flow, args)

    def destroy() -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)
        database.dispose()

    return _Engine(start), destroy


async def _traced(stage: Stage, args: tuple[Any, ...]) -> Any:
    return await stage(*args)
