"""Effects in doubt: what was sent and nobody knows the end of, how old, how it may be found out; and a person's word.

in_doubt ─ looked up again and again (`reconcile.py`) ─▶ applied | failed
         └ a person looked there, and says so ─────────▶ applied | failed
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from orchestrator.accounts import need
from shared.approval import Person
from shared.clock import parse
from shared.effect import Outcome
from shared.errors import Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.ledger import Row, newest
from shared.settings import Settings
from shared.suite import load_server

AT_ONCE = 1_000
LONGEST_REASON = 500
LOOKED_UP = "looked up at the vendor again and again"
UNNAMED = "no configured server can look this up; look at the vendor"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One effect in doubt. `age_seconds`: since it was last tried."""

    key: str
    what: str  # vendor.action
    target: str
    campaign: str
    reason: str
    message: str
    since: str
    age_seconds: float
    attempts: int
    how: str  # how it is found out, or why only a person can
    by_itself: bool


async def doubts(kernel: Kernel) -> list[Doubt]:
    """All of them, the oldest first."""
    rows = await kernel.store.read(lambda c: doubts_in(kernel, c))
    return sorted(rows, key=lambda one: -one.age_seconds)


def doubts_in(kernel: Kernel, connection: sa.Connection) -> list[Doubt]:
    """In the caller's transaction: all of them, the newest first."""
    rows = open_in(kernel, connection)
    told = unknowable(kernel.settings) if rows else {}
    return [_doubt(kernel, row, told) for row in rows]


def open_in(kernel: Kernel, connection: sa.Connection) -> list[Row]:
    """In the caller's transaction: in doubt, or claimed by a process that is gone; the newest first."""
    rows = newest(connection, status="in_doubt", limit=AT_ONCE)
    claimed = newest(connection, status="claimed", limit=AT_ONCE)
    holders = {row.process for row in claimed}
    alive = {holder: kernel.presence.alive(connection, holder) for holder in holders}
    return rows + [row for row in claimed if not alive[row.process]]


def unknowable(settings: Settings) -> Mapping[tuple[str, str], str]:
    """Account and action → "" for what its server looks up, else why it can't."""
    told: dict[tuple[str, str], str] = {}
    for name in settings.suite.servers:
        server = load_server(name, settings.suite.servers)
        told |= {**dict.fromkeys(server.lookups, ""), **server.unknowable}
    return told


def _doubt(kernel: Kernel, row: Row, told: Mapping[tuple[str, str], str]) -> Doubt:
    why_not = told.get((row.effect.vendor, row.effect.action), UNNAMED)
    since = row.claimed_at or row.first_at
    return Doubt(
        key=row.key,
        what=row.effect.vendor_action,
        target=row.effect.target,
        campaign=row.effect.campaign,
        reason=row.reason or "process_gone",
        message=row.message,
        since=since,
        age_seconds=max(0.0, (kernel.clock.now() - parse(since)).total_seconds()),
        attempts=row.attempts,
        how=why_not or LOOKED_UP,
        by_itself=not why_not,
    )


async def resolve(kernel: Kernel, key: str, *, applied: bool, person: Person, reason: str) -> Outcome:
    """Settle one by this person's word: `applied`, or certainly not, so that it may be tried again.

    Raises `Invalid` for a role that may not or without a reason, `Conflict` for what isn't in doubt (any more).
    """
    need(person, "settle")
    why = " ".join(clean(reason).split())[:LONGEST_REASON]
    if not why:
        raise Invalid("a reason is needed: where did you look, and what did you see?", field="reason")
    return await kernel.gate.resolve(key, applied=applied, actor=person.name, reason=why)
