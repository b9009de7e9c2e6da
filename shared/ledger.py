"""The ledger of effects: one row per key, written before the call and after it.

    (none) ─ refused ⇄ simulated          proposed, nothing called; may be proposed again
           ─ claimed ─ applied            terminal: proposing again replays the receipt
                     ─ failed             certainly not done; may be proposed again
                     ─ in_doubt ─ applied | failed
A row found `claimed` by a process that is gone is in doubt: nobody knows whether its call went out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from shared.clock import iso
from shared.effect import Effect, Json, Outcome, canonical
from shared.schema import effect as table
from shared.store import Store
from shared.telemetry import correlation

OPEN = ("claimed", "in_doubt")
CHUNK = 500  # keys in one question


@dataclass(frozen=True, slots=True)
class Row:
    """One effect as the ledger holds it."""

    effect: Effect
    key: str
    status: str
    reason: str
    message: str
    reference: str
    detail: Mapping[str, Json]
    fingerprint: str
    process: str
    correlation_id: str
    first_at: str
    claimed_at: str
    settled_at: str
    attempts: int

    def outcome(self, status: str = "") -> Outcome:
        """As the caller sees it; `status` where it differs from the row's."""
        said = status or ("in_doubt" if self.status == "claimed" else self.status)
        return Outcome(
            said,  # type: ignore[arg-type]  # the column holds only these words
            self.reason,
            self.message,
            self.reference,
            self.detail,
            self.key,
            self.correlation_id,
        )


def find(connection: sa.Connection, key: str) -> Row | None:
    """The row of that key."""
    row = connection.execute(sa.select(table).where(table.c.key == key)).one_or_none()
    return _row(row) if row else None


def find_many(connection: sa.Connection, keys: list[str]) -> dict[str, Row]:
    """Rows by key, for those that exist."""
    rows: dict[str, Row] = {}
    for start in range(0, len(keys), CHUNK):
        query = sa.select(table).where(table.c.key.in_(keys[start : start + CHUNK]))
        rows.update({row.key: _row(row) for row in connection.execute(query)})
    return rows


def _row(row: sa.Row[tuple[object, ...]]) -> Row:
    """A row of the table, its effect put together again."""
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's documented way to a row's columns
    effect = Effect(
        vendor=values["vendor"],
        action=values["action"],
        target=values["target"],
        intent=values["intent"],
        content=json.loads(values["content"]),
        recipients=tuple(json.loads(values["recipients"])),
        repeatable=bool(values["repeatable"]),
        stops=bool(values["stops"]),
        campaign=values["campaign"],
        approval=values["approval"],
        cost=values["cost"],
    )
    names = ("key", "status", "reason", "message", "reference", "fingerprint", "process", "correlation_id")
    times = ("first_at", "claimed_at", "settled_at", "attempts")
    rest = {name: values[name] for name in (*names, *times)}
    return Row(effect=effect, detail=json.loads(values["detail"]), **rest)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be written of one effect before anything is called."""

    effect: Effect
    known: Row | None
    status: Literal["refused", "simulated", "claimed"]
    reason: str = ""
    message: str = ""
    process: str = ""

    @property
    def attempts(self) -> int:
        """How often it was claimed, this time included."""
        return (self.known.attempts if self.known else 0) + int(self.status == "claimed")


def put(connection: sa.Connection, proposals: Sequence[Proposal], now: datetime) -> None:
    """Write the rows of proposals: refused, simulated or claimed."""
    fresh = [_first(one, now) for one in proposals if one.known is None]
    again = [_values(one, now) | {"of": one.effect.key} for one in proposals if one.known is not None]
    if fresh:
        connection.execute(sa.insert(table), fresh)
    if again:
        columns: dict[str, object] = {name: sa.bindparam(name) for name in again[0] if name != "of"}
        changed = sa.update(table).where(table.c.key == sa.bindparam("of")).values(columns)
        connection.execute(changed, again)


def _first(one: Proposal, now: datetime) -> dict[str, object]:
    effect = one.effect
    fixed = {"key": effect.key, "vendor": effect.vendor, "action": effect.action, "target": effect.target}
    intent = effect.idempotency_key or effect.intent
    return {**fixed, "intent": intent, "first_at": iso(now), **_values(one, now)}


def _values(one: Proposal, now: datetime) -> dict[str, object]:
    """What each proposal of a key writes anew."""
    effect, claimed = one.effect, one.status == "claimed"
    return {
        "status": one.status,
        "reason": one.reason,
        "message": one.message,
        "reference": "",
        "detail": "{}",
        "fingerprint": effect.fingerprint,
        "content": canonical(effect.content).decode(),
        "recipients": canonical(list(effect.recipients)).decode(),
        "campaign": effect.campaign,
        "approval": effect.approval,
        "repeatable": int(effect.repeatable),
        "stops": int(effect.stops),
        "cost": effect.cost,
        "process": one.process,
        "correlation_id": correlation(),
        "settled_at": "" if claimed else iso(now),
        "claimed_at": iso(now) if claimed else "",
        "attempts": one.attempts,
    }


@dataclass(frozen=True, slots=True)
class Ending:
    """How one attempt at an effect ended."""

    key: str
    attempt: int
    status: Literal["applied", "failed", "in_doubt"]
    reason: str = ""
    message: str = ""
    reference: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)


def settle(connection: sa.Connection, endings: Sequence[Ending], now: datetime) -> dict[str, str]:
    """Write how claimed or doubtful effects ended; returns when each was claimed, for those that were open.

    The first word stands, and only about its own attempt: an answer that comes after the same key was claimed
    again says nothing about the new claim.
    """
    wanted = {ending.key: ending for ending in endings}
    open_ones: dict[str, str] = {}
    for start in range(0, len(endings), CHUNK):
        keys = [ending.key for ending in endings[start : start + CHUNK]]
        query = sa.select(table.c.key, table.c.attempts, table.c.claimed_at)
        for row in connection.execute(query.where(table.c.key.in_(keys), table.c.status.in_(OPEN))):
            if row.attempts == wanted[row.key].attempt:
                open_ones[row.key] = row.claimed_at
    rows = [_ended(wanted[key], now) for key in open_ones]
    if rows:
        columns: dict[str, object] = {name: sa.bindparam(name) for name in rows[0] if name != "of"}
        connection.execute(sa.update(table).where(table.c.key == sa.bindparam("of")).values(columns), rows)
    return open_ones


def _ended(ending: Ending, now: datetime) -> dict[str, object]:
    return {
        "of": ending.key,
        "status": ending.status,
        "reason": ending.reason,
        "message": ending.message,
        "reference": ending.reference,
        "detail": canonical(dict(ending.detail)).decode(),
        "settled_at": iso(now),
    }


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reading the ledger from outside the gate."""

    store: Store

    async def get(self, key: str) -> Row | None:
        """The effect of that key."""
        return await self.store.read(lambda c: find(c, key))

    async def list(
        self, *, status: str = "", vendor: str = "", campaign: str = "", limit: int = 100
    ) -> list[Row]:
        """Newest first."""
        query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
        for column, value in (
            (table.c.status, status),
            (table.c.vendor, vendor),
            (table.c.campaign, campaign),
        ):
            if value:
                query = query.where(column == value)
        return await self.store.read(lambda c: [_row(row) for row in c.execute(query)])

    async def counts(self) -> dict[str, int]:
        """How many effects by status."""
        query = sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
        return await self.store.read(lambda c: {row[0]: row[1] for row in c.execute(query)})
