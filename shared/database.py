"""What the store needs of a database: the one protocol that `sqlite.py` and `postgres.py` speak."""

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from shared.telemetry import logger

log = logger("store")


@dataclass(frozen=True, slots=True)
class Health:
    """Which database it is, and whether it keeps what it took."""

    durable: bool
    text: str


class Database(Protocol):
    """A place where one process at a time writes, and a commit that was told of is never lost."""

    @property
    def shown(self) -> str:
        """Its name in messages; no password."""
        ...

    @property
    def path(self) -> Path | None:
        """Its file, where it is one of this machine."""
        ...

    @property
    def idle_seconds(self) -> float | None:
        """How long the writer's connection may rest before it is looked after; None: for ever."""
        ...

    @property
    def turn(self) -> AbstractContextManager[None]:
        """Held around a write; fair between processes."""
        ...

    def connect(self) -> sa.Connection:
        """A connection of its own, whose commits are durable. Raises `ConfigError` if that can't be had."""
        ...

    def begin_reading(self, connection: sa.Connection) -> None:
        """See one state of the database until the transaction ends."""
        ...

    def begin_writing(self, connection: sa.Connection) -> None:
        """Be the only writer, in this process and any other, until the transaction ends."""
        ...

    def begin_migrating(self, connection: sa.Connection) -> None:
        """The same, for as long as it takes."""
        ...

    def commit(self, connection: sa.Connection) -> None:
        """End the transaction; what it wrote is on the disk once this returns."""
        ...

    def failed(self, connection: sa.Connection) -> bool:
        """Whether an error ruined the transaction, so that nothing of it can be kept."""
        ...

    def sound(self, connection: sa.Connection) -> bool:
        """Whether a connection that is in no transaction may be used again after a failure."""
        ...

    def everybodys(self, error: BaseException) -> bool:
        """Whether a database error is no fault of the statement: it concerns all who wait."""
        ...

    def health(self, connection: sa.Connection) -> Health:
        """What a person should know of it."""
        ...

    def scrub(self) -> None:
        """Leave nothing of what was deleted in its files, as far as that is in our hands."""
        ...

    def reason(self, error: BaseException) -> str:
        """Why it can't be opened, in our words; empty if that can't be told."""
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


def driver(connection: sa.Connection) -> Any:
    """The driver's own connection under SQLAlchemy's."""
    return connection.connection.dbapi_connection


def discard(connection: sa.Connection | None) -> None:
    """Close a connection, however broken it is."""
    if connection is None:
        return
    try:
        connection.close()
    except Exception as error:  # noqa: BLE001 - it is thrown away
        log.warning("store.close_failed", error=type(error).__name__)


def lock_number(name: str) -> int:
    """The number of the lock of that name, where locks have numbers."""
    return int.from_bytes(hashlib.sha256(f"alpha-swarm/{name}".encode()).digest()[:8], "big", signed=True)
