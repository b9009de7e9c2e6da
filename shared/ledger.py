"""The ledger of effects: one row per key, written before the call and after it.

    (none) ─ refused ⇄ simulated          proposed, nothing called; may be proposed again
           ─ claimed ─ applied            terminal: proposing again replays the receipt
                     ─ failed             certainly not done; may be proposed again
                     ─ in_doubt ─ applied | failed
A row found `claimed` by a process that is gone is in doubt: nobody knows whether its call went out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from shared.clock import iso
from shared.effect import Effect, Json, Outcome, canonical_text
from shared.errors import Invalid
from shared.schema import effect as table
from shared.sql import among, change, insertion, one, run_many
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
    row = one(connection, "SELECT * FROM effect WHERE key=?", key)
    return _row(row) if row else None


def find_many(connection: sa.Connection, keys: list[str]) -> dict[str, Row]:
    """Rows by key, for those that exist."""
    return {row["key"]: _row(row) for row in among(connection, "SELECT * FROM effect WHERE key IN", keys)}


def newest(connection: sa.Connection, *, limit: int, actions: Sequence[str] = (), **wanted: str) -> list[Row]:
    """Rows with these values (by column; "" for any) and of these actions, if any are named, newest first."""
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    for column, value in wanted.items():
        if value:
            query = query.where(table.c[column] == value)
    if actions:
        query = query.where(table.c.action.in_(actions))
    return [_row(row) for row in connection.execute(query).mappings()]


def key_like(connection: sa.Connection, beginning: str) -> str:
    """The one key that begins like this. Raises `Invalid` where there is none, or several."""
    begins = sa.select(table.c.key).where(table.c.key >= beginning, table.c.key < f"{beginning}~").limit(2)
    keys = list(connection.execute(begins).scalars())
    if len(keys) != 1 or not beginning:
        raise Invalid(f"{'several' if keys else 'no'} effects begin with {beginning[:64]}", field="key")
    return str(keys[0])


def _row(values: Any) -> Row:
    """A row of the table, by column names; its effect put together again."""
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


class Proposal(NamedTuple):
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
    at, cid = iso(now), correlation()
    new = [_fixed(one.effect, at) + _values(one, at, cid) for one in proposals if not one.known]
    run_many(connection, INSERT, new)
    again = [(*_values(one, at, cid), one.effect.key) for one in proposals if one.known]
    run_many(connection, PROPOSE_AGAIN, again)


FIXED = ("key", "vendor", "action", "target", "intent", "first_at")
PROPOSED = (
    *(
        "status",
        "reason",
        "message",
        "reference",
        "detail",
        "fingerprint",
        "content",
        "recipients",
        "campaign",
    ),
    *("approval", "repeatable", "stops", "cost", "process", "correlation_id", "settled_at", "claimed_at"),
    "attempts",
)
INSERT = insertion("effect", (*FIXED, *PROPOSED))
PROPOSE_AGAIN = change("effect", PROPOSED, "key=?")


def _fixed(effect: Effect, at: str) -> tuple[object, ...]:
    intent = effect.idempotency_key or effect.intent
    return (effect.key, effect.vendor, effect.action, effect.target, intent, at)


def _values(one: Proposal, at: str, cid: str) -> tuple[object, ...]:
    """What each proposal of a key writes anew, in the order of `PROPOSED`."""
    effect, claimed = one.effect, one.status == "claimed"
    return (
        one.status,
        one.reason,
        one.message,
        "",
        "{}",
        effect.fingerprint,
        effect.written,
        canonical_text(effect.recipients),
        effect.campaign,
        effect.approval,
        int(effect.repeatable),
        int(effect.stops),
        effect.cost,
        one.process,
        cid,
        "" if claimed else at,
        at if claimed else "",
        one.attempts,
    )


class Ending(NamedTuple):
    """How one attempt at an effect ended."""

    key: str
    attempt: int
    status: Literal["applied", "failed", "in_doubt"]
    reason: str = ""
    message: str = ""
    reference: str = ""
    detail: Mapping[str, Json] = MappingProxyType({})


def settle(connection: sa.Connection, endings: Sequence[Ending], now: datetime) -> dict[str, str]:
    """Write how claimed or doubtful effects ended; returns when each was claimed, for those that were open.

    The first word stands, and only about its own attempt: an answer that comes after the same key was claimed
    again says nothing about the new claim.
    """
    wanted = {ending.key: ending for ending in endings}
    open_ones = {
        key: claimed_at
        for key, attempts, claimed_at in among(connection, OPEN_ONES, list(wanted))
        if attempts == wanted[key].attempt
    }
    at = iso(now)
    run_many(connection, SETTLE, [_ended(wanted[key], at) for key in open_ones])
    return open_ones


OPEN_ONES = "SELECT key, attempts, claimed_at FROM effect WHERE status IN ('claimed', 'in_doubt') AND key IN"
SETTLE = change("effect", ("status", "reason", "message", "reference", "detail", "settled_at"), "key=?")


def _ended(one: Ending, at: str) -> tuple[object, ...]:
    detail = canonical_text(dict(one.detail)) if one.detail else "{}"
    return (one.status, one.reason, one.message, one.reference, detail, at, one.key)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Reading the ledger from outside the gate."""

    store: Store

    async def get(self, key: str) -> Row | None:
        """The effect of that key."""
        return await self.store.read(lambda c: find(c, key))

    async def list(
        self,
        *,
        status: str = "",
        vendor: str = "",
        campaign: str = "",
        correlation_id: str = "",
        target: str = "",
        actions: Sequence[str] = (),
        limit: int = 100,
    ) -> list[Row]:
        """Newest first; of these `actions`, if any are named."""
        wanted = {"status": status, "vendor": vendor, "campaign": campaign, "correlation_id": correlation_id}
        wanted["target"] = target
        return await self.store.read(lambda c: newest(c, limit=limit, actions=actions, **wanted))

    async def counts(self) -> dict[str, int]:
        """How many effects by status."""
        query = sa.select(table.c.status, sa.func.count()).group_by(table.c.status)
        return await self.store.read(lambda c: {row[0]: row[1] for row in c.execute(query)})
