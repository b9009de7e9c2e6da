"""Which processes are alive: each holds a lock on a file of its own, which its death lets go at once.

A row claimed by a process that is gone is in doubt right away, without waiting for a time-out; works on every
platform, after kill -9 too. On leaving, the row of a process goes with it. An id is never used twice, whatever the
operating system does with its numbers. A forked child keeps its parent's lock, and so its parent alive: the safe
mistake. One machine only: another one's lock files aren't here.
"""

import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import sqlalchemy as sa
from filelock import FileLock, Timeout

from shared.clock import Clock, iso
from shared.schema import lease, process
from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("presence")


@dataclass(frozen=True, slots=True)
class Presence:
    """This process, and how to tell whether another one is alive."""

    id: str
    folder: Path

    def alive(self, other: str) -> bool:
        """Whether that process still runs; asks without waiting. Unknown ones don't."""
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


@asynccontextmanager
async def open_presence(store: Store, clock: Clock, role: str) -> AsyncIterator[Presence]:
    """Announce this process, and clear away what dead ones left.

    The locks lie beside the database: whoever shares it must see who is alive.
    """
    folder = store.path.parent / "processes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mine = Presence(f"{os.getpid()}-{secrets.token_hex(4)}", folder)
    lock = FileLock(folder / f"{mine.id}.lock", thread_local=False)
    lock.acquire()
    now = iso(clock.now())
    await store.write(lambda c: _enter(c, mine, role, now))
    try:
        yield mine
    finally:
        with anyio.CancelScope(shield=True):
            try:
                await store.write(lambda c: c.execute(sa.delete(process).where(process.c.id == mine.id)))
            except Unavailable:
                log.exception("presence.not_cleared")  # the next process to start does it
        lock.release()
        (folder / f"{mine.id}.lock").unlink(missing_ok=True)


def _enter(connection: sa.Connection, mine: Presence, role: str, now: str) -> None:
    """Our row in; the rows and leases of processes that are gone, out."""
    values = {"host": socket.gethostname(), "pid": os.getpid(), "role": role}
    values |= {"started_at": now, "seen_at": now}
    gone = [row.id for row in connection.execute(sa.select(process.c.id)) if not mine.alive(row.id)]
    if gone:
        connection.execute(sa.delete(process).where(process.c.id.in_(gone)))
        connection.execute(sa.delete(lease).where(lease.c.process.in_(gone)))
        for other in gone:
            (mine.folder / f"{other}.lock").unlink(missing_ok=True)
    connection.execute(sa.insert(process).values(id=mine.id, **values))
