"""Stops that a vendor hasn't confirmed yet, the oldest first: to be entered there by hand if it lasts too long."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from orchestrator.stopping import ENDED, STEPS
from shared.metrics import age
from shared.pipeline_schema import stop

MOST = 200
BY_HAND: Mapping[str, str] = {
    "removed": "take them out of every campaign at the mail vendor",
    "blocked": "put them on the mail vendor's block list",
    "dnc": "mark them do-not-contact in the CRM",
}


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """One stop, and what of it is still to be done. `kind`: person, domain, or sequence (only out of campaigns)."""

    kind: str
    target: str
    reason: str
    since: str
    age_seconds: float
    attempts: int
    to_do: tuple[str, ...]


def unconfirmed_in(connection: sa.Connection, now: datetime) -> list[Unconfirmed]:
    """In the caller's transaction."""
    rows = connection.execute(sa.select(stop).where(stop.c.state == "open").order_by(stop.c.at).limit(MOST))
    return [_read(row, now) for row in rows]


def _read(row: sa.Row[tuple[object, ...]], now: datetime) -> Unconfirmed:
    detail: dict[str, str] = json.loads(row.detail)
    left = tuple(BY_HAND[step] for step in STEPS[row.kind] if detail.get(step) not in ENDED)
    return Unconfirmed(row.kind, row.target, row.reason, row.at, age(row.at, now), row.attempts, left)
