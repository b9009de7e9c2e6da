"""The database as the kernel uses it. One writer thread a process, readers, group commit.

    await store.write(change)   change(connection) runs in a write transaction; returns once it is on disk
    await store.read(query)     query(connection) sees the last committed state

Both take plain functions over an SQLAlchemy `Connection`, so one and the same function serves any database;
`sqlite.py` and `postgres.py` know how theirs is opened. Writes that wait together share one commit, each behind a
savepoint of its own: one that raises undoes only itself. A change is carried out once it is handed over, also when
its caller was cancelled meanwhile: what is written next is written after it.
"""

import asyncio
import contextvars
import os
import queue
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from filelock import Timeout

from shared.database import Database, Health, discard, driver
from shared.errors import ConfigError, Retryable
from shared.history import HEAD, migrate, version
from shared.sqlite import Sqlite
from shared.telemetry import logger

__all__ = ["PATIENCE", "Query", "Store", "Unavailable", "open_store", "schema_versions"]

log = logger("store")
ResultT = TypeVar("ResultT")
Query = Callable[[sa.Connection], ResultT]
PATIENCE = 30.0  # seconds that a write waits for other writers
GROUP = 64  # writes that share one commit at most
READERS = 2


class Unavailable(Retryable):
    """The database can't be written or read right now: locked, full, read-only, or gone."""


class _Write:
    """A change that waits, and where its result goes."""

    def __init__(self, change: Query[Any], everybodys: Callable[[BaseException], bool]) -> None:
        self.future: Future[Any] = Future()
        self.value: Any = None
        self.problem: BaseException | None = None
        self._change = change
        self._everybodys = everybodys
        # The correlation id lives in the caller's context; the writer's thread has none of its own.
        self._context = contextvars.copy_context()

    def run(self, connection: sa.Connection) -> None:
        """Carry it out; an error that concerns everybody is raised, any other is kept for whoever asked."""
        try:
            self.value = self._context.run(self._change, connection)
        except Exception as error:
            if self._everybodys(error):
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
    """An open database. Made by `open_store`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._process = os.getpid()
        self._entry = threading.Lock()
        self._closed = False
        self._greeting: Query[object] = bool  # nothing to say
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._reading: queue.SimpleQueue[sa.Connection] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_until_closed, name="store-writer", daemon=True)

    @property
    def path(self) -> Path | None:
        """The database's file, where it is one of this machine."""
        return self._database.path

    async def health(self) -> Health:
        """Which database this is, and whether it keeps what it took."""
        return await self.read(self._database.health)

    async def scrub(self) -> None:
        """Leave nothing of what was deleted in the database's files. Raises `Unavailable` where others are busy."""
        with self._entry:
            self._check_open()
        try:
            await anyio.to_thread.run_sync(self._database.scrub)
        except Exception as error:
            if not self._database.everybodys(error) and not isinstance(error, TimeoutError):
                raise
            raise Unavailable("the database is busy and can't be cleaned now", code="store_busy") from error

    async def write(self, change: Query[ResultT]) -> ResultT:
        """Run `change` in a write transaction; what it returns is returned once durable.

        Raises what `change` raises (its writes undone), or `Unavailable`.
        """
        waiting = _Write(change, self._database.everybodys)
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
            connection = self._begun(self._rested(), self._database.begin_reading)
            return query(connection)
        except Exception as error:
            if not self._database.everybodys(error):
                raise
            discard(connection)
            connection = None
            raise Unavailable("the database can't be read", code="store_unavailable") from error
        finally:
            if connection is not None and _rolled_back(connection):
                self._reading.put(connection)

    def _rested(self) -> sa.Connection | None:
        """A connection that nobody reads with, if there is one."""
        try:
            return self._reading.get_nowait()
        except queue.Empty:
            return None

    def _begun(
        self,
        connection: sa.Connection | None,
        begin: Callable[[sa.Connection], None],
        greeting: Query[object] = bool,
    ) -> sa.Connection:
        """A connection with a transaction begun; one that broke while it rested is replaced, once."""
        if connection is not None:
            try:
                begin(connection)
                return connection
            except Exception:
                if _rolled_back(connection) and self._database.sound(connection):
                    raise
                discard(connection)
        fresh = self._database.connect()
        try:
            greeting(fresh)
            begin(fresh)
        except BaseException:
            discard(fresh)
            raise
        return fresh

    async def introduce(self, greeting: Query[object]) -> None:
        """Run `greeting` on the writer's connection, and on each that takes its place before it is written on.

        For what the server keeps as long as a connection lasts. It may run more than once on the same one.
        """
        self._greeting = greeting
        await self.write(greeting)

    def _write_until_closed(self) -> None:
        """Serve until the end mark. Whatever goes wrong reaches whoever waits; the thread lives on."""
        connection: sa.Connection | None = None
        while (group := self._group()) is not None:
            try:
                if group:
                    with self._database.turn:
                        connection = self._begun(connection, self._database.begin_writing, self._greeting)
                        self._commit_together(connection, group)
                else:
                    connection = self._looked_after(connection)
            except BaseException as error:  # noqa: BLE001 - nobody may be left waiting for ever
                _fail(group, error)
                if connection is not None and not self._database.sound(connection):
                    discard(connection)
                    connection = None
            for waiting in group:
                waiting.deliver()
        discard(connection)

    def _looked_after(self, connection: sa.Connection | None) -> sa.Connection:
        """Nothing waits: a connection that broke meanwhile is replaced now, and not only when it is needed."""
        connection = self._begun(connection, self._database.begin_reading, self._greeting)
        _rolled_back(connection)
        return connection

    def _group(self) -> list[_Write] | None:
        """The next write and what else waits; empty if none came for long; None at the end mark.

        An end mark behind a group is put back.
        """
        try:
            first = self._waiting.get(timeout=self._database.idle_seconds)
        except queue.Empty:
            return []
        if first is None:
            return None
        group = [first]
        while len(group) < GROUP:
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
        try:
            if len(group) == 1:
                done = self._alone(connection, group[0])
            else:
                done = self._side_by_side(connection, group)
            if done:
                self._database.commit(connection)
            else:
                driver(connection).execute("ROLLBACK")
        except BaseException:
            _rolled_back(connection)
            raise

    def _alone(self, connection: sa.Connection, write: _Write) -> bool:
        """Run the only change of a group; no savepoint is needed. True if there is something to commit."""
        write.run(connection)
        self._check_transaction(connection, write)
        return write.problem is None

    def _side_by_side(self, connection: sa.Connection, group: list[_Write]) -> bool:
        """Run each change behind a savepoint. True if there is something to commit."""
        for write in group:
            driver(connection).execute("SAVEPOINT one")
            write.run(connection)
            self._check_transaction(connection, write)
            if write.problem is not None:
                driver(connection).execute("ROLLBACK TO one")
            driver(connection).execute("RELEASE one")
        return any(write.problem is None for write in group)

    def _check_transaction(self, connection: sa.Connection, write: _Write) -> None:
        if not driver(connection).in_transaction:
            raise RuntimeError("a change ended the transaction that it shares")
        if write.problem is None and self._database.failed(connection):
            write.problem = RuntimeError("a change went on after an error of the database; it is undone")

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
        self._database.close()


def _fail(group: list[_Write], error: BaseException) -> None:
    """Nothing of this group was kept: say so to each, without the vendor's or the driver's words."""
    log.error("store.not_written", writes=len(group), error=type(error).__name__)
    for write in group:
        write.problem = Unavailable("the database can't be written", code="store_unavailable")
        write.problem.__cause__ = error


def _rolled_back(connection: sa.Connection) -> bool:
    """Leave no transaction open, whatever state a failure left it in; False if the connection broke, and is closed."""
    try:
        if driver(connection).in_transaction:
            driver(connection).execute("ROLLBACK")
    except Exception as error:  # noqa: BLE001 - it is thrown away, and the next one opened anew
        log.warning("store.rollback_failed", error=type(error).__name__)
        discard(connection)
        return False
    return True


def _opened(url: str, patience: float) -> Database:
    if url.startswith("sqlite:///"):
        return Sqlite(url, patience)
    if url.startswith(("postgresql://", "postgres://")):
        from shared.postgres import Postgres  # noqa: PLC0415 - its driver costs each start on SQLite 45 ms

        return Postgres(url, patience)
    raise ConfigError("DATABASE_URL: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE")


def _open(url: str, patience: float) -> Database:
    """The database, at the newest version of the schema."""
    database: Database | None = None
    try:
        database = _opened(url, patience)
        migrate(database)
        return database
    except Exception as error:
        if database is not None:
            database.close()
        if isinstance(error, OSError | Timeout | sa.exc.DBAPIError) or (
            database and database.everybodys(error)
        ):
            shown = database.shown if database else "the database"
            why = database.reason(error) if database else ""
            message = f"{shown} can't be opened" + (f": {why}" if why else "")
            raise Unavailable(message, code="store_unavailable") from error
        raise


async def schema_versions(url: str, patience: float = PATIENCE) -> tuple[str, str]:
    """Where the schema of that database stands (empty: there is none yet), and where this program has it; only looks.

    Raises `ConfigError` or `Unavailable`.
    """
    return await anyio.to_thread.run_sync(_stands, url, patience), HEAD


def _stands(url: str, patience: float) -> str:
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return ""
    database = _opened(url, patience)
    try:
        return version(database)
    except (OSError, sa.exc.DBAPIError) as error:
        raise Unavailable(f"{database.shown} can't be opened", code="store_unavailable") from error
    finally:
        database.close()


@asynccontextmanager
async def open_store(url: str, patience: float = PATIENCE) -> AsyncIterator[Store]:
    """Open and migrate the database of `url` (sqlite:///… or postgresql://…); closed on leaving.

    `patience`: seconds that a write waits for other writers before it is `Unavailable`.
    """
    store = Store(await anyio.to_thread.run_sync(_open, url, patience))
    store.start()
    try:
        yield store
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(store.close)
