"""SQL in the driver's own words, for what every effect passes through: there, SQLAlchemy costs more than the disk.

Statements stand as constants beside those who use them; values are always bound, in place of "?". A statement has
no other question mark in it, and says nothing that only one kind of database understands.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from shared.database import driver
from shared.sqlite import sqlite

CHUNK = 500  # values in one question


def run(connection: sa.Connection, sql: str, *values: object) -> Any:
    """Run one statement; the cursor that comes back gives rows whose columns go by name."""
    held = driver(connection)
    if not isinstance(held, sqlite.Connection):
        return held.numbered().execute(numbered(sql), values)
    cursor = held.cursor()
    cursor.row_factory = sqlite.Row
    return cursor.execute(sql, values)


def run_many(connection: sa.Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run one statement for each row."""
    if not rows:
        return
    held = driver(connection)
    if isinstance(held, sqlite.Connection):
        held.executemany(sql, rows)
    else:
        held.numbered().executemany(numbered(sql), rows)


def one(connection: sa.Connection, sql: str, *values: object) -> Any:
    """The first row, or None."""
    return run(connection, sql, *values).fetchone()


def value(connection: sa.Connection, sql: str, *values: object) -> Any:
    """The first column of the first row, or None."""
    row = one(connection, sql, *values)
    return None if row is None else row[0]


def among(connection: sa.Connection, sql: str, values: Sequence[object], *before: object) -> Iterator[Any]:
    """The rows of `sql`, which ends in IN, for all these values; `before` is bound in front of them."""
    if not isinstance(driver(connection), sqlite.Connection):
        # One array is one parameter: the statement stays the same, however many there are.
        yield from run(connection, f"{sql.removesuffix('IN')}= ANY(?)", *before, list(values))
        return
    for start in range(0, len(values), CHUNK):
        part = values[start : start + CHUNK]
        marks = ",".join("?" * len(part))
        yield from run(connection, f"{sql} ({marks})", *before, *part)


def insertion(table: str, columns: Iterable[str]) -> str:
    """The statement that inserts these columns."""
    names = tuple(columns)
    return f"INSERT INTO {table} ({','.join(names)}) VALUES ({','.join('?' * len(names))})"  # noqa: S608 - constants


def change(table: str, columns: Iterable[str], where: str) -> str:
    """The statement that changes these columns where `where` holds."""
    return f"UPDATE {table} SET {','.join(f'{name}=?' for name in columns)} WHERE {where}"  # noqa: S608 - constants


@functools.lru_cache(maxsize=1024)
def numbered(sql: str) -> str:
    """The statement with $1, $2, … in place of its question marks."""
    first, *rest = sql.split("?")
    return first + "".join(f"${place}{text}" for place, text in enumerate(rest, 1))
