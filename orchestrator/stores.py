"""Our stores as they concern one person: every table there is, read from the schema, so that a new one is covered.

a row of theirs (it names their lead, or is addressed to them) ─▶ shown whole; deleted, or its columns blanked
a row of many that mentions them                               ─▶ the place is shown; the mention is cut out
"""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from orchestrator.subject import Subject
from shared.pipeline_schema import handoff, lead, privacy_request
from shared.schema import account, audit_detail, audit_leaf, effect, login_link, metadata, session

GONE = "(erased)"
STAYS: Mapping[str, dict[str, Any]] = {
    # What has to stay for others, or for nothing to happen twice: emptied of what is personal.
    "effect": {
        "target": "", "intent": "", "content": "{}", "recipients": "[]", "detail": "{}", "message": "",
        "reference": "",
    },
    "event": {"lead_id": "", "reference": "", "detail": "{}"},
    "inbound": {"raw": b"", "state": "done", "error": ""},
}  # fmt: skip
# Rows that are somebody's although they have no column for the lead: which columns say whose.
ADDRESSED: Mapping[str, tuple[str, ...]] = {
    "lead": ("id", "email"),
    "effect": ("target",),
    "stop": ("target",),
    "owed": ("target",),
    "reread": ("contact_ref",),
    "referral": ("email", "taken_as"),
    "audit_detail": ("subject",),
}
WHOLE = frozenset({audit_detail.name, "inbound"})  # mentioning somebody makes a row of these theirs
# Our own people, who log in; the log of hashes; the request itself, which is emptied at its end.
NOT_THEIRS = frozenset({account.name, login_link.name, session.name, audit_leaf.name, privacy_request.name})
LOOKED_AT = 200  # rows in one transaction


def tables() -> tuple[sa.Table, ...]:
    """Every table that may hold somebody, those that depend on others first."""
    named = [table for table in reversed(metadata.sorted_tables) if table.name not in NOT_THEIRS]
    return tuple(
        sorted(named, key=lambda table: table is lead)
    )  # who it is, last: an interruption finds it again


def words(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns that may hold text."""
    kinds = (sa.Text, sa.LargeBinary)
    return [one for one in table.columns if isinstance(one.type, kinds) and not _is_hash(one)]


def _is_hash(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.LargeBinary) and column.type.length is not None


def readable(value: object) -> str:
    """A cell as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────
def theirs(connection: sa.Connection, table: sa.Table, subject: Subject) -> list[sa.RowMapping]:
    """Rows that are this person's, whole."""
    linked = _linked(table, subject)
    found = (
        list(connection.execute(sa.select(table).where(linked, _kept(table))).mappings())
        if linked is not None
        else []
    )
    if table.name in WHOLE:
        found += list(_mentions(connection, table, subject))
    return found


def _linked(table: sa.Table, subject: Subject) -> sa.ColumnElement[bool] | None:
    named = [
        *subject.lead_ids,
        *subject.addresses,
        *(id_ for ids in subject.references.values() for id_ in ids),
    ]
    named += [f"{start}{one}" for one in subject.profiles for start in ("", "https://", "https://www.")]
    by_lead = [table.c.lead_id.in_(subject.lead_ids)] if "lead_id" in table.c and subject.lead_ids else []
    columns = [table.c[name].in_(named) for name in ADDRESSED.get(table.name, ())]
    return sa.or_(*by_lead, *columns) if by_lead or columns else None


def _kept(table: sa.Table) -> sa.ColumnElement[bool]:
    """What a person has still to do at a vendor stays."""
    return handoff.c.trigger != "privacy_request" if table is handoff else sa.true()


def mentions(
    connection: sa.Connection, table: sa.Table, subject: Subject
) -> list[tuple[sa.RowMapping, list[str]]]:
    """Rows that mention this person, and in which columns."""
    found = []
    for row in _mentions(connection, table, subject):
        columns = [c.name for c in words(table) if subject.pattern.search(readable(row[c]))]
        found.append((row, columns))
    return found


def _mentions(connection: sa.Connection, table: sa.Table, subject: Subject) -> Iterator[sa.RowMapping]:
    likely = [
        sa.func.lower(_text(connection, column)).like(like, escape="!")
        for column in words(table)
        for like in subject.likes
    ]
    if not likely:
        return
    query = sa.select(table).where(sa.or_(*likely), _kept(table))
    for row in connection.execute(query).mappings():
        if any(subject.pattern.search(readable(row[column])) for column in words(table)):
            yield row


def _text(connection: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[str]:
    if not isinstance(column.type, sa.LargeBinary):
        return column
    if connection.dialect.name == "postgresql":
        return sa.func.encode(column, "escape")
    return sa.cast(column, sa.Text)


# ── erasing ──────────────────────────────────────────────────────────────────────────────────────────────
def erase(connection: sa.Connection, table: sa.Table, subject: Subject) -> int:
    """In the caller's transaction: nothing of this person is left in the table. How many rows were changed.

    At most so many at once; the caller repeats it until none is left.
    """
    mine = theirs(connection, table, subject)[:LOOKED_AT]
    changed = sum(_erase_row(connection, table, row, subject) for row in mine)
    if changed:
        return changed
    return sum(
        _cut(connection, table, row, subject)
        for row in list(_mentions(connection, table, subject))[:LOOKED_AT]
    )


def erase_rows(connection: sa.Connection, table: sa.Table, subject: Subject) -> int:
    """In the caller's transaction: the rows that are this person's by their columns; no text is looked through."""
    linked = _linked(table, subject)
    if linked is None:
        return 0
    where, empty = sa.and_(linked, _kept(table)), STAYS.get(table.name)
    change = sa.delete(table).where(where) if empty is None else sa.update(table).where(where).values(**empty)
    return connection.execute(change).rowcount


def _erase_row(connection: sa.Connection, table: sa.Table, row: sa.RowMapping, subject: Subject) -> int:
    here = _key(table, row)
    empty = STAYS.get(table.name)
    if empty is None:
        return connection.execute(sa.delete(table).where(here)).rowcount
    # What stays of it may name them too, even an id: a row that still did would be found for ever.
    values = {**_without(table, row, subject), **empty}
    return connection.execute(sa.update(table).where(here).values(values)).rowcount


def _key(table: sa.Table, row: sa.RowMapping) -> sa.ColumnElement[bool]:
    return sa.and_(*(column == row[column] for column in table.primary_key.columns))


def _cut(connection: sa.Connection, table: sa.Table, row: sa.RowMapping, subject: Subject) -> int:
    """Cut the mentions out of a row that is of many."""
    values = _without(table, row, subject)
    return connection.execute(sa.update(table).where(_key(table, row)).values(values)).rowcount


def _without(table: sa.Table, row: sa.RowMapping, subject: Subject) -> dict[str, object]:
    """The columns that mention them, with the mention cut out; in what has to be unique, by a mark of its own."""
    values: dict[str, object] = {}
    for column in words(table):
        before = row[column]
        text = readable(before)
        if subject.pattern.search(text):
            mark = f"(erased {secrets.token_hex(4)})" if _is_unique(table, column) else GONE
            after = subject.pattern.sub(mark, text)
            values[column.name] = after.encode() if isinstance(before, bytes) else after
    return values


def _is_unique(table: sa.Table, column: sa.Column[Any]) -> bool:
    """By itself or with others."""
    together = (one for one in table.constraints if isinstance(one, sa.UniqueConstraint))
    return bool(column.primary_key or column.unique) or any(column.name in one.columns for one in together)


# ── showing ──────────────────────────────────────────────────────────────────────────────────────────────
def shown(connection: sa.Connection, subject: Subject) -> dict[str, Any]:
    """Everything we hold of this person, by table: their rows whole, and where else they are mentioned."""
    own: dict[str, list[dict[str, Any]]] = {}
    elsewhere: list[dict[str, Any]] = []
    for table in reversed(tables()):
        mine = theirs(connection, table, subject)
        if mine:
            own[table.name] = [_shown(row) for row in mine]
        keys = {_identity(table, row) for row in mine}
        elsewhere += [
            {"store": table.name, "row": _identity(table, row), "in": columns}
            for row, columns in mentions(connection, table, subject)
            if _identity(table, row) not in keys
        ]
    return {"held": own, "mentioned": elsewhere}


def _identity(table: sa.Table, row: sa.RowMapping) -> str:
    return "/".join(readable(row[column]) for column in table.primary_key.columns)


def _shown(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _cell(value) for name, value in row.items() if value not in ("", None)}


def _cell(value: object) -> Any:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def open_effects(connection: sa.Connection, subject: Subject) -> int:
    """How many effects about them aren't settled: what is looked up needs whom it was about."""
    linked = _linked(effect, subject)
    if linked is None:
        return 0
    query = sa.select(sa.func.count()).where(linked, effect.c.status.in_(("claimed", "in_doubt")))
    return connection.execute(query).scalar() or 0


def left(connection: sa.Connection, subject: Subject) -> Sequence[str]:
    """Tables that still hold something of them."""
    return [table.name for table in tables() if next(_mentions(connection, table, subject), None) is not None]
