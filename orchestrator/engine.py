"""The durable engine behind a narrow port; the only file that imports dbos.

A flow is a plain function of `step` and its arguments: `step("enrich 3", stage, run_id, 3)` runs the async
`stage` in the application's own event loop, and remembers what it returned. After a crash the flow runs again
from its first line, and finished steps answer from memory; a step in flight runs once more, so every stage is
written to be repeated, with the ledger between it and the vendors.

SQLite       one process of a machine runs flows (a file lock says which), on a file beside the database; others
             start flows through rows that it polls.
PostgreSQL   any number of processes run flows, in a schema of their own in the database. Each is known there by the
             id that its presence has, which is never used twice: the engine would take running flows away from a
             namesake. What a dead one leaves unfinished is taken up by `recover`, once by one.

Closing cuts off the stages under way, and leaves their flows unfinished for whoever opens the engine next.
"""

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.to_thread
import sqlalchemy as sa
from dbos import DBOS, DBOSPortableJSONSerializer, SetWorkflowID
from filelock import FileLock, Timeout

from shared.clock import SystemClock
from shared.effect import Json
from shared.errors import Fatal
from shared.postgres import Postgres
from shared.sqlite import sqlite
from shared.telemetry import correlated, logger

log = logger("engine")
# Raised by hand when flows change shape: what an older version left unfinished begins anew under the new one.
VERSION = "flows-3"
QUEUE = "flows"
SCHEMA = "engine"  # on PostgreSQL
ALONE = "slot-0"  # how the only process that runs flows is known
SIDE_BY_SIDE = 8  # flows in one process
PATIENCE = 30.0  # seconds for a lock, as for a file
CLOSING_SECONDS = 40.0  # longer than any call to a vendor may take
LOOK_SECONDS = 0.01
FORGOTTEN_AT_ONCE = 500
# How a flow that nobody works on any more ended.
ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

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

    async def others(self) -> set[str]:
        """The other processes that have flows under way, or had when they ended."""
        ...

    async def recover(self, gone: Collection[str]) -> int:
        """Let anybody go on with the flows of processes that have ended. Returns how many there were."""
        ...

    async def forget(self, beginning: str, before: datetime) -> int:
        """Forget flows that have ended, were asked for before then, and whose id begins so. Returns how many."""
        ...


@dataclass(frozen=True, slots=True)
class OnServer:
    """Flows of several processes on one PostgreSQL server. `me`: this one's id, never used twice."""

    url: str
    me: str


class _Unfinished(BaseException):
    """Unwinds a flow whose engine closes: no result, no failure, so that it is taken up again."""


class _Stages:
    """The stages under way in the application's loop, called by flows on their own threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._scopes: set[anyio.CancelScope] = set()
        self._closing = False

    def run(self, stage: Stage, args: tuple[Any, ...]) -> Any:
        """Run a stage and wait for it. Called on a flow's thread."""
        if self._closing:
            raise _Unfinished
        try:
            return asyncio.run_coroutine_threadsafe(self._run(stage, args), self._loop).result()
        except concurrent.futures.CancelledError:
            raise _Unfinished from None

    async def _run(self, stage: Stage, args: tuple[Any, ...]) -> Any:
        with anyio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                if not self._closing:
                    return await stage(*args)
            finally:
                self._scopes.discard(scope)
        raise asyncio.CancelledError

    def close(self) -> None:
        """Cut off what is under way; what is being written down is still written."""
        self._closing = True
        for scope in tuple(self._scopes):
            scope.cancel()


class _Engine:
    """The dbos adapter. One per process, because dbos is."""

    def __init__(
        self,
        start: Callable[[str, dict[str, Any]], Any],
        busy: Callable[[], bool],
        destroy: Callable[[], None],
        me: str,
    ) -> None:
        self._start = start
        self.me = me
        self.busy = busy
        self.destroy = destroy

    async def start(self, flow: str, identifier: str, args: Args) -> None:
        def enqueue() -> None:
            with SetWorkflowID(_versioned(identifier)):
                self._start(flow, dict(args))

        await anyio.to_thread.run_sync(enqueue)

    async def status(self, identifier: str) -> str:
        found = await anyio.to_thread.run_sync(DBOS.get_workflow_status, _versioned(identifier))
        return found.status if found else ""

    async def cancel(self, identifier: str) -> None:
        await anyio.to_thread.run_sync(DBOS.cancel_workflow, _versioned(identifier))

    async def others(self) -> set[str]:
        def unfinished() -> set[str]:
            rows = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
            return {str(row.executor_id) for row in rows}

        return await anyio.to_thread.run_sync(unfinished) - {self.me}

    async def recover(self, gone: Collection[str]) -> int:
        # The public `resume_workflows` doesn't ask whose a flow is by now: it would start one again that
        # another process has just taken up.
        again = DBOS._recover_pending_workflows  # noqa: SLF001 - only this one compares the executor
        return len(await anyio.to_thread.run_sync(again, sorted(gone)))

    async def forget(self, beginning: str, before: datetime) -> int:
        def remove() -> int:
            rows = DBOS.list_workflows(
                status=sorted(ENDED),
                end_time=before.isoformat(),
                workflow_id_prefix=_versioned(beginning),
                limit=FORGOTTEN_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if rows:
                DBOS.delete_workflows([row.workflow_id for row in rows])
            return len(rows)

        return await anyio.to_thread.run_sync(remove)


def _versioned(identifier: str) -> str:
    return f"{VERSION}/{identifier}"


def _file(path: Path) -> sa.Engine:
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
async def open_engine(
    home: Path, flows: Mapping[str, Flow], server: OnServer | None = None
) -> AsyncIterator[EnginePort]:
    """Launch the engine. Without a server it takes up what an earlier process left.

    Raises `Fatal` if another process runs it on this folder already, `ConfigError` if the server can't be used.
    """
    with _alone(home) if server is None else _among_others():
        stages = _Stages(asyncio.get_running_loop())
        engine = await anyio.to_thread.run_sync(_launch, home, flows, stages, server)
        try:
            yield engine
        finally:
            with anyio.CancelScope(shield=True):
                await _close(engine, stages)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    lock = FileLock(home / "engine.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise Fatal(
            "another process runs the pipeline on this data folder; stop it, or let it do the work",
            code="engine_busy",
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _among_others() -> Iterator[None]:
    yield


async def _close(engine: _Engine, stages: _Stages) -> None:
    """End the stages, let their flows unwind, then the engine: a flow must not outlive its database."""
    clock = SystemClock()
    stages.close()
    with anyio.move_on_after(CLOSING_SECONDS) as late:
        while engine.busy():
            await clock.sleep(LOOK_SECONDS)
    if late.cancelled_caught:
        log.warning("engine.flows_left_behind")
    await anyio.to_thread.run_sync(engine.destroy)


def _launch(home: Path, flows: Mapping[str, Flow], stages: _Stages, server: OnServer | None) -> _Engine:
    me = server.me if server else ALONE
    # Two for each flow: its own, and one for the engine's look at what comes next.
    database = Postgres(server.url, PATIENCE).pooled(SIDE_BY_SIDE) if server else _file(home / "engine.db")
    dbos = DBOS(
        config={
            "name": "alpha-swarm",
            "system_database_engine": database,
            "application_version": VERSION,
            "executor_id": me,
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 64,
            "log_level": "CRITICAL",
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": 0.2,
            **({"dbos_system_schema": SCHEMA} if server else {}),
        }
    )

    def destroy() -> None:
        DBOS.destroy(workflow_completion_timeout_sec=0, destroy_registry=True)
        database.dispose()

    try:
        start = _register(flows, stages)
    except BaseException:
        destroy()
        raise
    # The engine's own list of what its threads run; it has no public name for it.
    busy = dbos._active_workflows_set.activeList  # noqa: SLF001 - dbos tells it nowhere else
    return _Engine(start, lambda: bool(busy()), destroy, me)


def _register(flows: Mapping[str, Flow], stages: _Stages) -> Callable[[str, dict[str, Any]], Any]:
    def memoised(name: str, stage: Stage, /, *args: Any) -> Any:
        return DBOS.run_step({"name": name}, stages.run, stage, args)

    @DBOS.workflow(name="flow", max_recovery_attempts=None)
    def run(flow: str, args: dict[str, Any]) -> Any:
        with correlated(str(args.get("correlation_id", ""))):
            return flows[flow](memoised, args)

    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=SIDE_BY_SIDE, polling_interval_sec=0.1)

    def start(flow: str, args: dict[str, Any]) -> Any:
        return DBOS.enqueue_workflow(QUEUE, run, flow, args)

    return start
