"""SQL in the driver's own words, for what every effect passes through: there, SQLAlchemy costs more than the disk.

Statements stand as constants beside those who use them; values are always bound, in place of "?".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from shared.store import sqlite

CHUNK = 500  # values in one question


def run(connection: sa.Connection, sql: str, *values: object) -> Any:
    """Run one statement; the cursor that comes back gives rows whose columns go by name."""
    cursor = _driver(connection).cursor()
    cursor.row_factory = sqlite.Row
    return cursor.execute(sql, values)


def run_many(connection: sa.Connection, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Run one statement for each row."""
    if rows:
        _driver(connection).executemany(sql, rows)


def one(connection: sa.Connection, sql: str, *values: object) -> Any:
    """The first row, or None."""
    return run(connection, sql, *values).fetchone()


def value(connection: sa.Connection, sql: str, *values: object) -> Any:
    """The first column of the first row, or None."""
    row = one(connection, sql, *values)
    return None if row is None else row[0]


def among(connection: sa.Connection, sql: str, values: Sequence[object], *before: object) -> Iterator[Any]:
    """The rows of `sql`, which ends in IN, for all these values; `before` is bound in front of them."""
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


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.dbapi_connection
