"""Where checkpoints of the audit log were given to, and how far each place is: what lies beyond could be cut off.

A place is outside if the owner of the database doesn't also own it: a file on another disk, a witness, a chat, a
mailbox. What is written here is for people to look at; a proof asks the places themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from shared.clock import iso
from shared.schema import audit_place as table
from shared.sql import run

GIVEN = (
    "INSERT INTO audit_place (name, outside, size, at, note, problem, tried_at) VALUES (?, ?, ?, ?, ?, '', ?) "
    "ON CONFLICT (name) DO UPDATE SET outside=excluded.outside, size=excluded.size, at=excluded.at, "
    "note=excluded.note, problem='', tried_at=excluded.tried_at WHERE audit_place.size <= excluded.size"
)
FAILED = (
    "INSERT INTO audit_place (name, outside, size, problem, tried_at) VALUES (?, ?, 0, ?, ?) "
    "ON CONFLICT (name) DO UPDATE SET problem=excluded.problem, tried_at=excluded.tried_at"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere a checkpoint is. `size`: of the newest it took; `problem`: why it didn't take the last one."""

    name: str
    outside: bool
    size: int = 0
    at: str = ""
    problem: str = ""
    tried_at: str = ""


def given(
    connection: sa.Connection, name: str, size: int, now: datetime, *, outside: bool, note: str = ""
) -> None:
    """It took the checkpoint over `size` entries."""
    run(connection, GIVEN, name, int(outside), size, iso(now), note, iso(now))


def failed(connection: sa.Connection, name: str, problem: str, now: datetime, *, outside: bool) -> None:
    """It didn't take one."""
    run(connection, FAILED, name, int(outside), problem, iso(now))


def all_places(connection: sa.Connection) -> Mapping[str, Place]:
    """Every place that was ever tried, by name."""
    columns = (table.c.name, table.c.outside, table.c.size, table.c.at, table.c.problem, table.c.tried_at)
    rows = connection.execute(sa.select(*columns).order_by(table.c.name))
    return {row.name: Place(row.name, bool(row.outside), *tuple(row)[2:]) for row in rows}


def held(connection: sa.Connection) -> int:
    """How many entries somebody outside holds a checkpoint over."""
    newest = sa.select(sa.func.max(table.c.size)).where(table.c.outside == 1)
    return connection.execute(newest).scalar() or 0
