"""The ledger of effects: one row per key, written before the call and after it.

    (none) ─ refused ⇄ simulated          proposed, nothing called; may be proposed again
           ─ claimed ─ applied            terminal: proposing again replays the receipt
                     ─ failed             certainly not done; may be proposed again
                     ─ in_doubt ─ applied | failed
A row found `claimed` by a process that is gone is in doubt: nobody knows whether its call went out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from shared.clock import iso
from shared.effect import Effect, Json, Outcome, Receipt, canonical
from shared.schema import effect as table
from shared.store import Store
from shared.telemetry import correlation

OPEN = ("claimed", "in_doubt")


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
    for start in range(0, len(keys), 900):
        query = sa.select(table).where(table.c.key.in_(keys[start : start + 900]))
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


def put(
    connection: sa.Connection,
    effect: Effect,
    known: Row | None,
    now: datetime,
    *,
    status: str,
    reason: str = "",
    message: str = "",
    process: str = "",
) -> None:
    """Write the row of a proposal: refused, simulated or claimed."""
    claimed = status == "claimed"
    values = {
        "status": status,
        "reason": reason,
        "message": message,
        "fingerprint": effect.fingerprint,
        "content": canonical(effect.content).decode(),
        "recipients": canonical(list(effect.recipients)).decode(),
        "approval": effect.approval,
        "process": process,
        "correlation_id": correlation(),
        "settled_at": "" if claimed else iso(now),
        "claimed_at": iso(now) if claimed else "",
        "attempts": (known.attempts if known else 0) + int(claimed),
    }
    if known is not None:
        connection.execute(sa.update(table).where(table.c.key == effect.key).values(**values))
        return
    connection.execute(
        sa.insert(table).values(
            key=effect.key,
            vendor=effect.vendor,
            action=effect.action,
            target=effect.target,
            intent=effect.idempotency_key or effect.intent,
            campaign=effect.campaign,
            repeatable=int(effect.repeatable),
            stops=int(effect.stops),
            cost=effect.cost,
            first_at=iso(now),
            **values,
        )
    )


def settle(
    connection: sa.Connection,
    key: str,
    now: datetime,
    *,
    status: str,
    reason: str = "",
    message: str = "",
    receipt: Receipt | None = None,
) -> bool:
    """Write how a claimed or doubtful effect ended. False if it was settled already: the first word stands."""
    values = {
        "status": status,
        "reason": reason,
        "message": message,
        "reference": receipt.reference if receipt else "",
        "detail": canonical(dict(receipt.detail) if receipt else {}).decode(),
        "settled_at": iso(now),
    }
    where = (table.c.key == key, table.c.status.in_(OPEN))
    return connection.execute(sa.update(table).where(*where).values(**values)).rowcount > 0


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
        for column, value in ((table.c.status, status), (table.c.vendor, vendor), (table.c.campaign, campaign)):
            if value:
                query = query.where(column == value)
        return await self.store.read(lambda c: [_row(row) for row in c.execute(query)])

    async def counts(self) -> dict[str, int]:
        """How many effects by status."""
        query = sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
        return await self.store.read(lambda c: {row[0]: row[1] for row in c.execute(query)})
