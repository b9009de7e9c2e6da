"""Calls to a vendor account, counted for all processes: how many, tried again, failed, and how long they waited.

Counted in the transaction that lets a call go, in slots of some seconds; what is older than any rule looks back is
added up in one row, so that the totals last and the table stays small.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from shared.sql import one, run, value

SLOT_SECONDS = 10.0
KEPT_SECONDS = 3_600.0  # no rule looks back further
TOTAL = -1  # the slot of everything older
COUNT = (
    "INSERT INTO traffic (vendor, slot, calls, retries, failures, waited) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (vendor, slot) DO UPDATE SET calls = traffic.calls + ?, retries = traffic.retries + ?, "
    "failures = traffic.failures + ?, waited = traffic.waited + ?"
)
SUMS = "sum(calls), sum(retries), sum(failures), sum(waited)"
WITHIN = f"SELECT {SUMS} FROM traffic WHERE vendor=? AND slot>? AND slot<=?"  # noqa: S608 - constants
OLDEST = "SELECT min(slot) FROM traffic WHERE vendor=? AND slot>=0"
OLDER = f"SELECT {SUMS} FROM traffic WHERE vendor=? AND slot>=0 AND slot<?"  # noqa: S608 - constants
FORGET = "DELETE FROM traffic WHERE vendor=? AND slot>=0 AND slot<?"


@dataclass(frozen=True, slots=True)
class Traffic:
    """Calls in some span of time; `waited`: seconds for their turn, all together."""

    calls: int = 0
    retries: int = 0
    failures: int = 0
    waited: float = 0.0


def count(connection: sa.Connection, vendor: str, now: float, more: Traffic) -> None:
    """In the caller's transaction: add these. `now`: seconds since 1970."""
    slot = int(now // SLOT_SECONDS)
    _add(connection, vendor, slot, more)
    old = slot - int(KEPT_SECONDS // SLOT_SECONDS)
    first = value(connection, OLDEST, vendor)
    if first is not None and first < old:
        _add(connection, vendor, TOTAL, _sum(one(connection, OLDER, vendor, old)))
        run(connection, FORGET, vendor, old)


def within(connection: sa.Connection, vendor: str, since: float, now: float) -> Traffic:
    """What was counted after the slot of `since`: nothing of that slot, so never anything before it."""
    return _sum(one(connection, WITHIN, vendor, int(since // SLOT_SECONDS), int(now // SLOT_SECONDS)))


def _add(connection: sa.Connection, vendor: str, slot: int, more: Traffic) -> None:
    amounts = (more.calls, more.retries, more.failures, more.waited)
    run(connection, COUNT, vendor, slot, *amounts, *amounts)


def _sum(row: tuple[int | None, int | None, int | None, float | None]) -> Traffic:
    calls, retries, failures, waited = row
    return Traffic(int(calls or 0), int(retries or 0), int(failures or 0), float(waited or 0.0))
