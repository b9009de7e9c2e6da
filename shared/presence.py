"""Which processes are alive: each holds a lock that its death lets go at once.

A row claimed by a process that is gone is in doubt right away, without waiting for a time-out; after kill -9 too. On
leaving, the row of a process goes with it. An id is never used twice, whatever the operating system does with its
numbers.

SQLite       a lock on a file beside the database. A forked child keeps its parent's lock, and so its parent alive:
             the safe mistake.
PostgreSQL   an advisory lock held by the session that all writes of the process go through. A process that lost its
             session is gone for the others, and can claim nothing before it has the lock again: the claim itself
             would have to go through that session. Its calls under way may still run, up to their deadline.
"""

import os
import secrets
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
import sqlalchemy as sa
from filelock import FileLock, Timeout

from shared.clock import Clock, iso
from shared.database import lock_number
from shared.schema import lease, process
from shared.sql import insertion, run, value
from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("presence")
HOLD = "SELECT pg_advisory_lock_shared(?)"
IS_HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = ? AND objid = ? "
    "AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
LET_GO = "SELECT pg_advisory_unlock_all()"
IS_MINE = f"{IS_HELD} AND pid = pg_backend_pid()"
TRY = "SELECT pg_try_advisory_lock(?)"
COLUMNS = ("id", "host", "pid", "role", "started_at", "seen_at")
ENTER = f"{insertion('process', COLUMNS)} ON CONFLICT (id) DO NOTHING"


class Presence(Protocol):
    """This process, and how to tell whether another one is alive."""

    @property
    def id(self) -> str:
        """Never used twice."""
        ...

    @property
    def certain(self) -> bool:
        """Whether one that isn't alive has ended, and its calls with it; else it may only have lost its session."""
        ...

    def alive(self, connection: sa.Connection, other: str) -> bool:
        """Whether that process still runs; asks without waiting. Unknown ones don't."""
        ...

    def takes(self, connection: sa.Connection, duty: str) -> bool:
        """In a write transaction: whether this process has a duty that one at a time has; taken if it is free.

        To be asked again and again: whoever loses its session loses its duties.
        """
        ...


@dataclass(frozen=True, slots=True)
class ByFile:
    """Processes of one machine. The locks lie beside the database: whoever shares it must see who is alive."""

    id: str
    folder: Path
    certain: bool = True

    def alive(self, connection: sa.Connection, other: str) -> bool:  # noqa: ARG002 - others are told by files
        """Whether that process holds its file."""
        if other == self.id:
            return True
        path = self.folder / f"{other}.lock"
        if not path.exists():
            return False
        try:
            with FileLock(path, timeout=0):
                return False
        except Timeout:
            return True

    def takes(self, connection: sa.Connection, duty: str) -> bool:  # noqa: ARG002 - the answer is the same for all
        """One process of a machine runs the pipeline (`engine.py` sees to it), and so it has every duty."""
        return True


@dataclass(frozen=True, slots=True)
class BySession:
    """Processes of any machine, as the server sees them."""

    id: str
    certain: bool = False

    def alive(self, connection: sa.Connection, other: str) -> bool:
        """Whether a session holds that process's lock."""
        return other == self.id or value(connection, IS_HELD, *_halves(f"process/{other}")) > 0

    def takes(self, connection: sa.Connection, duty: str) -> bool:
        """Whether the session that we write through holds that duty's lock, or can have it."""
        if value(connection, IS_MINE, *_halves(f"duty/{duty}")):
            return True
        return bool(value(connection, TRY, lock_number(f"duty/{duty}")))


def _halves(name: str) -> tuple[int, int]:
    """A lock's number as the server lists it."""
    return divmod(lock_number(name) % 2**64, 2**32)


@asynccontextmanager
async def open_presence(store: Store, clock: Clock, role: str) -> AsyncIterator[Presence]:
    """Announce this process, and clear away what dead ones left."""
    identifier = f"{os.getpid()}-{secrets.token_hex(4)}"
    now = iso(clock.now())
    row = (identifier, socket.gethostname(), os.getpid(), role, now, now)
    with _by_file(store.path.parent, identifier) if store.path else _by_session(identifier) as mine:
        await store.introduce(lambda c: _enter(c, mine, row))
        await store.write(lambda c: _clear(c, mine, clock.now().timestamp()))
        try:
            yield mine
        finally:
            with anyio.CancelScope(shield=True):
                try:
                    await store.introduce(lambda c: _leave(c, mine))
                except Unavailable:
                    log.exception("presence.not_cleared")  # the next process to start does it


@contextmanager
def _by_file(folder: Path, identifier: str) -> Iterator[Presence]:
    mine = ByFile(identifier, folder / "processes")
    mine.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = mine.folder / f"{identifier}.lock"
    lock = FileLock(path, thread_local=False)
    lock.acquire()
    try:
        yield mine
    finally:
        lock.release()
        path.unlink(missing_ok=True)


@contextmanager
def _by_session(identifier: str) -> Iterator[Presence]:
    yield BySession(identifier)


def _enter(connection: sa.Connection, mine: Presence, row: tuple[object, ...]) -> None:
    """On each new connection: the lock, and our row, which somebody may have cleared away meanwhile."""
    if isinstance(mine, BySession):
        run(connection, HOLD, lock_number(f"process/{mine.id}"))
    run(connection, ENTER, *row)


def _leave(connection: sa.Connection, mine: Presence) -> None:
    """Say nothing any more to new connections, and this to the last one."""
    connection.execute(sa.delete(process).where(process.c.id == mine.id))
    if isinstance(mine, BySession):
        run(connection, LET_GO)


def _clear(connection: sa.Connection, mine: Presence, now: float) -> None:
    """The rows of processes that are gone, out; so are their leases, at once only where they have surely ended."""
    everybody = connection.execute(sa.select(process.c.id)).scalars().all()
    gone = [other for other in everybody if not mine.alive(connection, other)]
    if not gone:
        return
    connection.execute(sa.delete(process).where(process.c.id.in_(gone)))
    over = sa.delete(lease).where(lease.c.process.in_(gone))
    connection.execute(over if mine.certain else over.where(lease.c.until < now))
    if isinstance(mine, ByFile):
        for other in gone:
            (mine.folder / f"{other}.lock").unlink(missing_ok=True)
