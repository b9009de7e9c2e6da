"""SQLite: one file, one writer at a time, every commit on the disk before it is told of."""

import sqlite3
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from filelock import FileLock

from shared.database import Health, driver
from shared.errors import ConfigError
from shared.turn import Turn

SOUND = (3, 51, 3)  # older libraries can corrupt a WAL file when two connections write at the same instant
if sqlite3.sqlite_version_info >= SOUND:
    sqlite: ModuleType = sqlite3
else:
    try:
        import pysqlite3.dbapi2 as sqlite  # type: ignore[no-redef]  # the same interface, newer inside
    except ImportError:  # a platform without the wheel: one process only, see `_only_process`
        sqlite = sqlite3

# Primary result codes that tell of the disk or of other processes, not of the statement.
ERASING = ("secure_delete=ON",)  # what is deleted is overwritten with zeros
EVERYBODYS = {5, 6, 7, 8, 10, 11, 13, 14, 15, 26}


class Sqlite:
    """A database in one file, made if it isn't there. `patience`: seconds to wait for other writers."""

    idle_seconds = None  # nobody is at the other end of the connection who could go away

    def __init__(self, url: str, patience: float) -> None:
        self.path = Path(url.removeprefix("sqlite:///"))
        self.shown = self.path.name
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._only = _only_process(self.path)
        self._patience = patience
        self._engine = self._prepared_engine()
        self.turn = Turn(self.path, patience)

    def connect(self) -> sa.Connection:
        """A connection of its own, prepared."""
        return self._engine.connect()

    def begin_reading(self, connection: sa.Connection) -> None:
        """See one state of the database until the transaction ends."""
        driver(connection).execute("BEGIN")

    def begin_writing(self, connection: sa.Connection) -> None:
        """Be the only writer, in this process and any other, until the transaction ends."""
        driver(connection).execute("BEGIN IMMEDIATE")

    begin_migrating = begin_writing

    def commit(self, connection: sa.Connection) -> None:
        """End the transaction; what it wrote is on the disk."""
        driver(connection).execute("COMMIT")

    def failed(self, connection: sa.Connection) -> bool:  # noqa: ARG002 - SQLite never does
        """Whether an error ruined the transaction; here a statement that fails undoes only itself."""
        return False

    def sound(self, connection: sa.Connection) -> bool:  # noqa: ARG002 - none is trusted
        """Whether a connection may be used again after a failure; one that saw a broken disk may not."""
        return False

    def everybodys(self, error: BaseException) -> bool:
        """Whether a database error is no fault of the statement: it concerns all who wait."""
        told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        return isinstance(told, sqlite.Error) and getattr(told, "sqlite_errorcode", 0) & 0xFF in EVERYBODYS

    def health(self, connection: sa.Connection) -> Health:
        """Its version, and how it commits."""
        synchronous = driver(connection).execute("PRAGMA synchronous").fetchone()[0] == 2
        text = f"SQLite {sqlite.sqlite_version}, {self.path}; commits wait for the disk"
        if sqlite.sqlite_version_info < SOUND:
            needed = ".".join(map(str, SOUND))
            text = f"SQLite older than {needed}: install pysqlite3, or run one process only"
        return Health(synchronous and sqlite.sqlite_version_info >= SOUND, text)

    def scrub(self) -> None:
        """Write the file anew without what was deleted, and empty the write-ahead log. Raises where others are busy.

        Not in a turn: the lock of a turn is this process's, and its writer may hold it. Who writes meanwhile waits.
        """
        with self.connect() as connection:
            raw = driver(connection)
            raw.execute("VACUUM")
            if raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise TimeoutError("the write-ahead log is being read")

    def reason(self, error: BaseException) -> str:  # noqa: ARG002 - its kind says it all
        """Nothing that the error's kind doesn't say."""
        return ""

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()
        self.turn.close()
        if self._only is not None:
            self._only.release()

    def _prepared_engine(self) -> sa.Engine:
        engine = sa.create_engine(
            f"sqlite:///{self.path}",
            module=sqlite,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,  # an error is logged; what it was about is somebody's data
            poolclass=sa.NullPool,
            connect_args={
                "check_same_thread": False
            },  # used by one thread at a time, not always by the same one
        )
        sa.event.listen(engine, "connect", self._prepare)
        return engine

    def _prepare(self, connection: Any, _: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={round(self._patience * 1000)}")
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "mmap_size=0", *ERASING):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != 2:
            raise ConfigError("SQLite did not accept synchronous=FULL; commits would not be durable")


def _only_process(path: Path) -> FileLock | None:
    """With a library too old for several writers: the lock that keeps every other process out."""
    if sqlite.sqlite_version_info >= SOUND:
        return None
    lock = FileLock(path.with_suffix(".only"), timeout=0, thread_local=False)
    lock.acquire()
    return lock
