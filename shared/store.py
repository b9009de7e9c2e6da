"""The database, and the only file that opens it. One writer thread a process, readers, group commit.

    await store.write(change)   change(connection) runs in a write transaction; returns once it is on disk
    await store.read(query)     query(connection) sees the last committed state

Both take plain functions over an SQLAlchemy `Connection`, so one and the same function serves any database.
Writes that wait together share one commit, each behind a savepoint of its own: one that raises undoes only
itself. A change is carried out once it is handed over, also when its caller was cancelled meanwhile: what is
written next is written after it.
"""

import asyncio
import contextvars
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import alembic.command
import alembic.config
import alembic.util
import anyio
import anyio.to_thread
import sqlalchemy as sa
from filelock import FileLock, Timeout

from shared.errors import ConfigError, Retryable
from shared.telemetry import logger
from shared.turn import Turn

SOUND = (3, 51, 3)  # older libraries can corrupt a WAL file when two connections write at the same instant
if sqlite3.sqlite_version_info >= SOUND:
    sqlite: ModuleType = sqlite3
else:
    try:
        import pysqlite3.dbapi2 as sqlite  # type: ignore[no-redef]  # the same interface, newer inside
    except ImportError:  # a platform without the wheel: one process only, see `_only_process`
        sqlite = sqlite3

log = logger("store")
ResultT = TypeVar("ResultT")
Query = Callable[[sa.Connection], ResultT]
PATIENCE = 30.0  # seconds that a write waits for other writers
GROUP = 64  # writes that share one commit at most
READERS = 2
HEAD = "0002"
# SQLite's primary result codes that tell of the disk or of other processes, not of the statement.
EVERYBODYS = {5, 6, 7, 8, 10, 11, 13, 14, 15, 26}


class Unavailable(Retryable):
    """The database can't be written or read right now: locked, full, read-only, or gone."""


class _Write:
    """A change that waits, and where its result goes."""

    def __init__(self, change: Query[Any]) -> None:
        self.future: Future[Any] = Future()
        self.value: Any = None
        self.problem: BaseException | None = None
        self._change = change
        # The correlation id lives in the caller's context; the writer's thread has none of its own.
        self._context = contextvars.copy_context()

    def run(self, connection: sa.Connection) -> None:
        """Carry it out; an error of the disk is raised, any other is kept for whoever asked."""
        try:
            self.value = self._context.run(self._change, connection)
        except Exception as error:
            if _everybodys(error):
                raise
            self.problem = error

    def deliver(self) -> None:
        """Tell the caller, if it still waits."""
        if not self.future.set_running_or_notify_cancel():
            return
        if self.problem is None:
            self.future.set_result(self.value)
        else:
            self.future.set_exception(self.problem)


class Store:
    """An open SQLite database. Made by `open_store`."""

    def __init__(self, path: Path, patience: float = PATIENCE) -> None:
        self.path = path
        self._engine = _engine(path, patience)
        self._turn = Turn(path, patience)
        self._process = os.getpid()
        self._entry = threading.Lock()
        self._closed = False
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._reading: queue.SimpleQueue[sa.Connection] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_until_closed, name="store-writer", daemon=True)

    async def write(self, change: Query[ResultT]) -> ResultT:
        """Run `change` in a write transaction; what it returns is returned once durable.

        Raises what `change` raises (its writes undone), or `Unavailable`.
        """
        waiting = _Write(change)
        with self._entry:
            self._check_open()
            self._waiting.put(waiting)
        result: ResultT = await asyncio.wrap_future(waiting.future)
        return result

    async def read(self, query: Query[ResultT]) -> ResultT:
        """Run `query` on the last committed state. Raises what it raises, or `Unavailable`."""
        with self._entry:
            self._check_open()
            future = self._readers.submit(self._read, query)
        return await asyncio.wrap_future(future)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("the database is closed", code="store_unavailable")
        if os.getpid() != self._process:
            raise RuntimeError("an open store doesn't survive a fork: its writer thread stayed behind")

    def _read(self, query: Query[ResultT]) -> ResultT:
        connection: sa.Connection | None = None
        try:
            connection = self._reader()
            _raw(connection).execute("BEGIN")
            return query(connection)
        except (sa.exc.DBAPIError, sqlite.Error) as error:
            if not _everybodys(error):
                raise
            _discard(connection)
            connection = None
            raise Unavailable("the database can't be read", code="store_unavailable") from error
        finally:
            if connection is not None:
                _rollback(connection)
                self._reading.put(connection)

    def _reader(self) -> sa.Connection:
        """A connection that nobody reads with; a new one only where all are in use."""
        try:
            return self._reading.get_nowait()
        except queue.Empty:
            return self._engine.connect()

    def _write_until_closed(self) -> None:
        """Serve until the end mark. Whatever goes wrong reaches whoever waits; the thread lives on."""
        connection: sa.Connection | None = None
        while group := self._group():
            try:
                connection = connection or self._engine.connect()
                self._commit_together(connection, group)
            except BaseException as error:  # noqa: BLE001 - nobody may be left waiting for ever
                _fail(group, error)
                _discard(connection)
                connection = None
            for waiting in group:
                waiting.deliver()
        _discard(connection)

    def _group(self) -> list[_Write]:
        """The next write and what else waits; empty at the end mark, which is put back behind a group."""
        first = self._waiting.get()
        group = [first] if first is not None else []
        while group and len(group) < GROUP:
            try:
                also = self._waiting.get_nowait()
            except queue.Empty:
                break
            if also is None:
                self._waiting.put(None)
                break
            group.append(also)
        return group

    def _commit_together(self, connection: sa.Connection, group: list[_Write]) -> None:
        with self._turn:
            _raw(connection).execute("BEGIN IMMEDIATE")
            try:
                if len(group) == 1:
                    done = _alone(connection, group[0])
                else:
                    done = _side_by_side(connection, group)
                _raw(connection).execute("COMMIT" if done else "ROLLBACK")
            except BaseException:
                _rollback(connection)
                raise

    def start(self) -> None:
        """Begin to serve writes."""
        self._writer.start()

    def close(self) -> None:
        """Finish what waits, then close; what comes later is refused."""
        with self._entry:
            if self._closed:
                return
            self._closed = True
            self._waiting.put(None)
        self._writer.join()
        self._readers.shutdown(wait=True)
        while not self._reading.empty():
            self._reading.get().close()
        self._engine.dispose()
        self._turn.close()


def _alone(connection: sa.Connection, write: _Write) -> bool:
    """Run the only change of a group; no savepoint is needed. True if there is something to commit."""
    write.run(connection)
    _check_transaction(connection)
    return write.problem is None


def _side_by_side(connection: sa.Connection, group: list[_Write]) -> bool:
    """Run each change behind a savepoint. True if there is something to commit."""
    for write in group:
        _raw(connection).execute("SAVEPOINT one")
        write.run(connection)
        _check_transaction(connection)
        if write.problem is not None:
            _raw(connection).execute("ROLLBACK TO one")
        _raw(connection).execute("RELEASE one")
    return any(write.problem is None for write in group)


def _check_transaction(connection: sa.Connection) -> None:
    if not _raw(connection).in_transaction:
        raise RuntimeError("a change ended the transaction that it shares")


def _everybodys(error: Exception) -> bool:
    """Whether a database error is no fault of the statement: it concerns all who wait."""
    told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return isinstance(told, sqlite.Error) and getattr(told, "sqlite_errorcode", 0) & 0xFF in EVERYBODYS


def _fail(group: list[_Write], error: BaseException) -> None:
    """Nothing of this group was kept: say so to each, without the vendor's or the driver's words."""
    log.error("store.group_failed", writes=len(group), error=type(error).__name__)
    for write in group:
        write.problem = Unavailable("the database can't be written", code="store_unavailable")
        write.problem.__cause__ = error


def _discard(connection: sa.Connection | None) -> None:
    """Close a connection, however broken it is."""
    if connection is None:
        return
    try:
        connection.close()
    except Exception as error:  # noqa: BLE001 - it is thrown away
        log.warning("store.close_failed", error=type(error).__name__)


def _raw(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection


def _rollback(connection: sa.Connection) -> None:
    """Leave no transaction open, whatever state a failure left it in."""
    if _raw(connection).in_transaction:
        _raw(connection).execute("ROLLBACK")


def _engine(path: Path, patience: float) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}",
        module=sqlite,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,  # an error is logged; what it was about is somebody's data
        poolclass=sa.NullPool,
        connect_args={"check_same_thread": False},  # used by one thread at a time, not always by the same one
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={round(patience * 1000)}")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise ConfigError("SQLite did not accept synchronous=FULL; commits would not be durable")

    return engine


def _migrate(path: Path, patience: float) -> None:
    """Bring the schema to the newest version; a quick look first, since loading the history costs time."""
    engine = _engine(path, patience)
    with FileLock(path.with_suffix(".lock"), timeout=patience), engine.connect() as connection:
        known = sa.inspect(connection).has_table("alembic_version")
        if known and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD:
            return
        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            alembic.command.upgrade(config, "head")
        except alembic.util.CommandError as error:
            raise ConfigError(f"{path.name} was made by a newer version of this program") from error
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


def _only_process(path: Path) -> FileLock | None:
    """With a library too old for several writers: the lock that keeps every other process out."""
    if sqlite.sqlite_version_info >= SOUND:
        return None
    lock = FileLock(path.with_suffix(".only"), timeout=0, thread_local=False)
    lock.acquire()
    return lock


@asynccontextmanager
async def open_store(url: str, patience: float = PATIENCE) -> AsyncIterator[Store]:
    """Open and migrate the database of `url` (sqlite:///…); closed on leaving.

    `patience`: seconds that a write waits for other writers before it is `Unavailable`.
    """
    if not url.startswith("sqlite:///"):
        raise ConfigError("DATABASE_URL: expected sqlite:///FILE")
    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        only = _only_process(path)
        await anyio.to_thread.run_sync(_migrate, path, patience)
        store = Store(path, patience)
    except (OSError, sa.exc.DBAPIError, Timeout) as error:
        raise Unavailable(f"{path.name} can't be opened", code="store_unavailable") from error
    store.start()
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close)
        if only is not None:
            only.release()
