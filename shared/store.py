"""The database, and the only file that opens it. One writer thread a process, readers beside it, group commit.

    await store.write(change)   change(connection) runs in a write transaction; returns once it is on disk
    await store.read(query)     query(connection) sees the last committed state

Both take plain functions over an SQLAlchemy `Connection`, so one and the same function serves any database.
Writes that wait together share one commit, each behind a savepoint of its own: one that raises undoes only
itself. Between processes a file lock is taken before BEGIN: SQLite's own waiting starves a process for seconds.
"""

import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import alembic.command
import alembic.config
import anyio
import anyio.to_thread
import asyncio
import sqlalchemy as sa
from filelock import FileLock, Timeout

from shared.errors import ConfigError, Retryable

if sqlite3.sqlite_version_info >= (3, 51, 3):
    sqlite: ModuleType = sqlite3
else:
    try:
        # Older libraries can corrupt a WAL file when two connections write at the same instant.
        import pysqlite3.dbapi2 as sqlite  # type: ignore[no-redef]
    except ImportError:  # a platform without the wheel: one process only, see `open_store`
        sqlite = sqlite3

ResultT = TypeVar("ResultT")
Query = Callable[[sa.Connection], ResultT]
LOCK_SECONDS = 30
GROUP = 64  # writes that share one commit at most
HEAD = "0001"


class Unavailable(Retryable):
    """The database can't be written or read right now: locked, full, read-only, or gone."""


class Store:
    """An open SQLite database. Made by `open_store`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = _engine(path)
        self._lock = FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS, thread_local=False)
        self._waiting: queue.SimpleQueue[tuple[Query[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(2, "store-reader")
        self._local = threading.local()
        self._writer = threading.Thread(target=self._write_until_closed, name="store-writer", daemon=True)

    async def write(self, change: Query[ResultT]) -> ResultT:
        """Run `change` in a write transaction; what it returns is returned once durable.

        Raises what `change` raises (its writes undone), or `Unavailable`.
        """
        future: Future[ResultT] = Future()
        self._waiting.put((change, future))
        return await asyncio.wrap_future(future)

    async def read(self, query: Query[ResultT]) -> ResultT:
        """Run `query` on the last committed state. Raises `Unavailable`."""
        return await asyncio.wrap_future(self._readers.submit(self._read, query))

    def _read(self, query: Query[ResultT]) -> ResultT:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._engine.connect()
        try:
            connection.exec_driver_sql("BEGIN")
            try:
                return query(connection)
            finally:
                connection.exec_driver_sql("ROLLBACK")
        except sa.exc.OperationalError as error:
            raise Unavailable("the database can't be read", code="store_unavailable") from error

    def _write_until_closed(self) -> None:
        with self._engine.connect() as connection:
            while (first := self._waiting.get()) is not None:
                group = [first, *self._also_waiting()]
                self._commit_together(connection, group)

    def _also_waiting(self) -> list[tuple[Query[Any], Future[Any]]]:
        """What else waits right now, up to a group; an end mark is put back."""
        more: list[tuple[Query[Any], Future[Any]]] = []
        while len(more) < GROUP - 1:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._waiting.put(None)
                break
            more.append(item)
        return more

    def _commit_together(
        self, connection: sa.Connection, group: list[tuple[Query[Any], Future[Any]]]
    ) -> None:
        results: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._lock:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    results = [(future, *_attempt(connection, change)) for change, future in group]
                    connection.exec_driver_sql("COMMIT")
                except BaseException:
                    _rollback(connection)
                    raise
        except (sa.exc.DBAPIError, Timeout, OSError) as error:
            failure = Unavailable("the database can't be written", code="store_unavailable")
            failure.__cause__ = error
            results = [(future, None, failure) for _, future in group]
        for future, value, problem in results:
            _settle(future, value, problem)

    def start(self) -> None:
        """Begin to serve writes."""
        self._writer.start()

    def close(self) -> None:
        """Finish what waits, then close."""
        self._waiting.put(None)
        self._writer.join(timeout=LOCK_SECONDS)
        self._readers.shutdown(wait=True)
        self._engine.dispose()


def _attempt(connection: sa.Connection, change: Query[Any]) -> tuple[Any, BaseException | None]:
    """Run one change behind a savepoint; a disk problem is everybody's, any other its own."""
    connection.exec_driver_sql("SAVEPOINT one")
    try:
        value = change(connection)
    except sa.exc.OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - handed to whoever asked for the change
        connection.exec_driver_sql("ROLLBACK TO one")
        connection.exec_driver_sql("RELEASE one")
        return None, error
    connection.exec_driver_sql("RELEASE one")
    return value, None


def _rollback(connection: sa.Connection) -> None:
    """Leave no transaction open, whatever state a failure left it in."""
    raw = cast("Any", connection.connection.dbapi_connection)
    if raw.in_transaction:
        connection.exec_driver_sql("ROLLBACK")


def _settle(future: Future[Any], value: Any, problem: BaseException | None) -> None:
    if not future.set_running_or_notify_cancel():
        return
    if problem is None:
        future.set_result(value)
    else:
        future.set_exception(problem)


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        f"sqlite:///{path}", module=sqlite, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "mmap_size=0"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA busy_timeout=30000")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise ConfigError("SQLite did not accept synchronous=FULL; commits would not be durable")

    return engine


def _migrate(path: Path) -> None:
    """Bring the schema to the newest version; a quick look first, since loading the history costs time."""
    engine = _engine(path)
    with FileLock(path.with_suffix(".lock"), timeout=LOCK_SECONDS), engine.connect() as connection:
        known = sa.inspect(connection).has_table("alembic_version")
        if known and connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == HEAD:
            return
        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        alembic.command.upgrade(config, "head")
        connection.exec_driver_sql("COMMIT")
    engine.dispose()


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Open and migrate the database of `url` (sqlite:///…); closed on leaving."""
    if not url.startswith("sqlite:///"):
        raise ConfigError("DATABASE_URL: expected sqlite:///FILE")
    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await anyio.to_thread.run_sync(_migrate, path)
    except (OSError, sa.exc.DBAPIError, Timeout) as error:
        raise Unavailable(f"{path.name} can't be opened", code="store_unavailable") from error
    store = Store(path)
    store.start()
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close)
