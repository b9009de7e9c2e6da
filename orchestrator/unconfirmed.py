"""The manual list: what a vendor hasn't confirmed yet, the oldest first, to be entered there if it lasts too long."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from orchestrator.stopping import ENDED, STEPS
from shared.metrics import age
from shared.pipeline_schema import owed, stop

MOST = 200
BY_HAND: Mapping[str, str] = {
    "removed": "take them out of every campaign at the mail vendor",
    "blocked": "put them on the mail vendor's block list",
    "dnc": "mark them do-not-contact in the CRM",
}


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """One stop or one entry of our list, and what of it is still to be done.

    `kind`: person, domain, sequence (only out of campaigns), or entry (of our list, and in no campaign).
    """

    kind: str
    target: str
    reason: str
    since: str
    age_seconds: float
    attempts: int
    to_do: tuple[str, ...]


def unconfirmed_in(connection: sa.Connection, now: datetime) -> list[Unconfirmed]:
    """In the caller's transaction."""
    open_ones = sa.select(stop).where(stop.c.state == "open").order_by(stop.c.at).limit(MOST)
    entries = sa.select(owed).where(owed.c.state == "open").order_by(owed.c.at).limit(MOST)
    found = [_read(row, now) for row in connection.execute(open_ones)]
    found += [_entry(row, now) for row in connection.execute(entries)]
    return sorted(found, key=lambda one: one.since)[:MOST]


def _entry(row: sa.Row[tuple[object, ...]], now: datetime) -> Unconfirmed:
    left = (BY_HAND["blocked" if row.port == "sequencer" else "dnc"],)
    return Unconfirmed("entry", row.target, row.reason, row.at, age(row.at, now), row.attempts, left)


def _read(row: sa.Row[tuple[object, ...]], now: datetime) -> Unconfirmed:
    detail: dict[str, str] = json.loads(row.detail)
    left = tuple(BY_HAND[step] for step in STEPS[row.kind] if detail.get(step) not in ENDED)
    return Unconfirmed(row.kind, row.target, row.reason, row.at, age(row.at, now), row.attempts, left)
