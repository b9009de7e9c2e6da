"""PostgreSQL: one server for several machines, with the promises that SQLite gives on one.

Every write transaction first takes one advisory lock: one writer at a time, whatever the process or machine, in the
order they came. So the kill row, the audit log's next entry and a claim mean the same here as in one file. The lock
goes with the transaction, and the server ends a session whose process hangs or whose machine is gone.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, Self

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumperUnknown

from shared.database import Health, driver, lock_number
from shared.errors import ConfigError

OLDEST = 14  # major version
CONNECT_SECONDS = 5
IDLE_SECONDS = 5.0
STATEMENT_SECONDS = 10  # a statement may take twice the patience, and so long at least
SLACK_SECONDS = 2  # after that, a server that says nothing at all is given up
WAIT_INTERVAL = 0.1  # seconds between looks whether the thread is interrupted
LEAST_IDLE_SECONDS = 5  # in a transaction, however short the patience: a busy machine may pause a process
GONE_SECONDS = 10  # a peer that doesn't answer the network for so long is gone
# SQLSTATE classes that tell of the server, the session or other sessions, not of the statement: connection,
# authorisation, forced rollback, resources, intervention by an operator, system and internal errors.
EVERYBODYS = {"08", "28", "40", "53", "57", "58", "F0", "XX"}
# Waited too long for a lock; can't write, as a standby can't; idle for too long; prepared before somebody migrated.
ALSO = {"55P03", "25006", "25P03", "0A000"}
HOW_IT_ENDED = "SELECT pg_xact_status(%s::text::xid8)"
LOOKS, LOOK_SECONDS = 50, 0.1  # at a commit whose answer was lost
SESSION = """
SELECT set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false),
       set_config('idle_in_transaction_session_timeout', %s, false),
       set_config('tcp_keepalives_idle', %s, false), set_config('tcp_keepalives_interval', '2', false),
       set_config('tcp_keepalives_count', '3', false), set_config('timezone', 'UTC', false),
       set_config('synchronous_commit', CASE current_setting('synchronous_commit')
                  WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)
"""
PROMISES = """
SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('server_encoding') AS encoding,
       current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous,
       current_setting('alpha_swarm.throwaway', true) AS throwaway, pg_backend_pid() AS session,
       current_setting('synchronous_standby_names') <> '' AS standbys,
       has_schema_privilege(coalesce(current_schema(), 'public'), 'CREATE') AS may_migrate
"""
# What libpq or the server says when a connection isn't made → what it means.
REFUSALS = {
    "password authentication failed": "it refused the user or the password",
    "no password supplied": "it asks for a password",
    "no pg_hba.conf entry": "it lets this user, address or kind of connection in to none of its databases",
    "does not exist": "it has no such database or role",
    "too many connections": "it has no connection left",
    "remaining connection slots": "it has no connection left",
    "starting up": "it is starting",
    "Connection refused": "nothing listens there",
    "No such file or directory": "nothing listens there",
    "failed to resolve host": "there is no host of that name",
    "timeout expired": "it doesn't answer",
    "SSL": "it and this side can't agree on encryption",
}


WRITING = lock_number("writing")
BEGIN_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# READ COMMITTED: each statement sees what was committed before it, so also what the last holder of the lock wrote.
BEGIN_WRITING = (
    f"BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE; SELECT pg_advisory_xact_lock({WRITING}); "
    "SELECT pg_current_xact_id()::text"
)
UNHURRIED = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"


class Row(Sequence[Any]):
    """Values by column name and by place."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: dict[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: Any) -> Any:
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __len__(self) -> int:
        return len(self._values)


def _rows(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    places = {column.name: place for place, column in enumerate(cursor.description or ())}
    return lambda values: Row(places, values)


class _Discreet(psycopg.Cursor[Any]):
    """Its errors don't repeat what they were about: the server quotes values, which are somebody's data."""

    def execute(self, *args: Any, **options: Any) -> Self:
        try:
            return super().execute(*args, **options)
        except psycopg.Error as error:
            raise _hushed(error) from None

    def executemany(self, *args: Any, **options: Any) -> None:
        try:
            super().executemany(*args, **options)
        except psycopg.Error as error:
            raise _hushed(error) from None


class _Numbered(_Discreet, psycopg.RawCursor[Any]):
    """Marks are $1, $2, …"""


class _Streaming(psycopg.ServerCursor[Any]):
    """Rows that don't all fit into memory."""

    def execute(self, *args: Any, **options: Any) -> Self:
        try:
            return super().execute(*args, **options)
        except psycopg.Error as error:
            raise _hushed(error) from None


def _hushed(error: psycopg.Error) -> psycopg.Error:
    """The same error, saying which rule was broken and not by what."""
    if error.sqlstate:
        names = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
        error.args = (" ".join(filter(None, (type(error).__name__, error.sqlstate, *names))),)
    return error


class _Text(StrDumperUnknown):
    """PostgreSQL has no NUL in a text, and text from outside may: it becomes U+FFFD."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\x00", "\ufffd") if "\x00" in obj else obj)


class Session(psycopg.Connection[Any]):
    """One connection, with what the store asks of any driver's."""

    writing = ""  # the id of the write transaction under way
    longest: float | None = None  # seconds to wait for the server's word

    def wait(self, gen: Any, interval: float = WAIT_INTERVAL, timeout: float | None = None) -> Any:
        """Wait for the server, but not for ever: one that hangs keeps the network's connection alive."""
        try:
            return super().wait(gen, interval, self.longest if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.close()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, a failed one included."""
        return self.pgconn.transaction_status in _OPEN

    def numbered(self) -> psycopg.Cursor[Any]:
        """A cursor for statements with $1, $2, … whose rows go by column name."""
        return _Numbered(self, row_factory=_rows)


_OPEN = {TransactionStatus.ACTIVE, TransactionStatus.INTRANS, TransactionStatus.INERROR}


class Postgres:
    """A database on a server. `patience`: seconds to wait for other writers."""

    path = None

    def __init__(self, url: str, patience: float) -> None:
        self._url = url
        self._patience = patience
        self.idle_seconds = min(IDLE_SECONDS, patience)
        self.shown = _shown(url)
        self.turn = nullcontext()  # its lock is taken inside the transaction
        self._engine = sa.create_engine(
            "postgresql+psycopg://",
            creator=self._session,
            isolation_level="AUTOCOMMIT",  # the store says BEGIN and COMMIT itself
            hide_parameters=True,
            use_native_hstore=False,
            poolclass=sa.NullPool,
        )

    def connect(self) -> sa.Connection:
        """A connection of its own, prepared."""
        return self._engine.connect()

    def begin_reading(self, connection: sa.Connection) -> None:
        """See one state of the database until the transaction ends."""
        driver(connection).execute(BEGIN_READING)

    def begin_writing(self, connection: sa.Connection) -> None:
        """Be the only writer, in this process and any other, until the transaction ends."""
        session = driver(connection)
        session.writing = session.execute(BEGIN_WRITING).set_result(-1).fetchone()[0]

    def begin_migrating(self, connection: sa.Connection) -> None:
        """The same, for as long as it takes. Raises `ConfigError` if this role may not change the schema."""
        if not driver(connection).numbered().execute(PROMISES).fetchone()["may_migrate"]:
            raise ConfigError(
                f"{self.shown} has the tables of another version, and this role may not change them: "
                "run `swarm init` once as their owner"
            )
        driver(connection).longest = None
        self.begin_writing(connection)
        driver(connection).execute(UNHURRIED)

    def commit(self, connection: sa.Connection) -> None:
        """End the transaction; what it wrote is on the disk once this returns.

        If the answer is lost, the server is asked on a new connection how the transaction ended.
        """
        session = driver(connection)
        try:
            told = session.execute("COMMIT").statusmessage
        except psycopg.Error:
            if not session.closed or not self._was_committed(session.writing):
                raise
        else:
            if told != "COMMIT":
                raise RuntimeError("a change went on after an error of the database; nothing of it was kept")

    def _was_committed(self, transaction: str) -> bool:
        """What became of a commit whose answer was lost. Raises what connecting raises."""
        pause = threading.Event()  # never set: waiting for it is a pause for a thread
        with self._session() as session:
            for _ in range(LOOKS):
                row = session.execute(HOW_IT_ENDED, (transaction,)).fetchone()
                if row is None or row[0] != "in progress":
                    break
                pause.wait(LOOK_SECONDS)
        return row is not None and row[0] == "committed"

    def failed(self, connection: sa.Connection) -> bool:
        """Whether an error ruined the transaction, so that nothing of it can be kept."""
        status: TransactionStatus = driver(connection).pgconn.transaction_status
        return status == TransactionStatus.INERROR

    def sound(self, connection: sa.Connection) -> bool:
        """Whether a connection that is in no transaction may be used again after a failure."""
        if connection.closed or connection.invalidated:
            return False
        status: TransactionStatus = driver(connection).pgconn.transaction_status
        return status == TransactionStatus.IDLE

    def everybodys(self, error: BaseException) -> bool:
        """Whether a database error is no fault of the statement: it concerns all who wait."""
        told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if not isinstance(told, psycopg.Error):
            return False
        if told.sqlstate is None:  # not from the server: the connection, unless it is about the values
            return isinstance(told, psycopg.OperationalError)
        return told.sqlstate[:2] in EVERYBODYS or told.sqlstate in ALSO

    def health(self, connection: sa.Connection) -> Health:
        """The server's version, and what it does with a commit."""
        told = driver(connection).numbered().execute(PROMISES).fetchone()
        standby = "its standbys confirm each commit" if told["standbys"] else "no standby confirms commits"
        text = f"{self.shown}, version {told['version']}: synchronous_commit={told['synchronous']}, {standby}"
        durable = told["fsync"] == "on"
        return Health(durable, text if durable else f"{text}; fsync=off: what it holds may be lost")

    def reason(self, error: BaseException) -> str:
        """Why a connection was not made; the server's own sentence may be in any language, and isn't repeated."""
        told = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        said = str(told) if isinstance(told, psycopg.OperationalError) else ""
        return next((ours for theirs, ours in REFUSALS.items() if theirs in said), "")

    def scrub(self) -> None:
        """Nothing: the server's own vacuum reuses what was deleted, in its own time."""

    def close(self) -> None:
        """Nothing is held but connections, and whoever made one closes it."""
        self._engine.dispose()

    def pooled(self, size: int) -> sa.Engine:
        """For a library with transactions of its own: connections with the same promises, kept open."""
        return sa.create_engine(
            "postgresql+psycopg://",
            creator=self._session,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
            use_native_hstore=False,
            pool_size=size,
            max_overflow=size,
            pool_pre_ping=True,
        )

    # ── connecting ───────────────────────────────────────────────────────────────────────────────────────
    def _session(self) -> Session:
        network: dict[str, str | int] = {
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": GONE_SECONDS // 2,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": GONE_SECONDS * 1000,
            "application_name": "alpha-swarm",
        }
        given = conninfo_to_dict(self._url)
        more = {name: value for name, value in network.items() if name not in given}
        address = make_conninfo(self._url, client_encoding="UTF8", **more)
        session = Session.connect(address, autocommit=True, cursor_factory=_Discreet)
        try:
            self._prepare(session)
        except BaseException:
            session.close()
            raise
        return session

    def _prepare(self, session: Session) -> None:
        session.server_cursor_factory = _Streaming
        session.adapters.register_dumper(str, _Text)
        waiting = round(self._patience * 1000)
        longest = max(2 * waiting, STATEMENT_SECONDS * 1000)
        limits = (waiting, longest, max(waiting, LEAST_IDLE_SECONDS * 1000), GONE_SECONDS // 2)
        session.longest = longest / 1000 + SLACK_SECONDS
        session.execute(SESSION, [str(limit) for limit in limits])
        told = session.numbered().execute(PROMISES).fetchone()
        if broken := _broken_promises(told, session):
            raise ConfigError(f"{self.shown}: " + "; ".join(broken))


def _broken_promises(row: Any, session: Session) -> Iterable[str]:
    """What this server doesn't do that our own promises stand on."""
    checks = {
        f"PostgreSQL {row['version']} is too old, {OLDEST} is needed": row["version"] < OLDEST,
        "its encoding must be UTF8": row["encoding"] != "UTF8",
        "it runs with fsync=off: commits would not be durable": row["fsync"] != "on"
        and row["throwaway"] != "on",
        "it did not accept synchronous_commit=on": row["synchronous"] not in {"on", "remote_apply"},
        "DATABASE_URL leads to a connection pooler; give the server's own address": (
            row["session"] != session.info.backend_pid
        ),
    }
    return [problem for problem, is_broken in checks.items() if is_broken]


def _shown(url: str) -> str:
    """Server and database, as far as the address says; raises `ConfigError` if it is none."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise ConfigError("DATABASE_URL: not an address that PostgreSQL's clients understand") from None
    host = given.get("host") or given.get("hostaddr") or "localhost"
    return f"PostgreSQL {given.get('dbname') or given.get('user') or ''} at {host}"
