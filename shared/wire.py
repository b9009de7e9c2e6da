"""What is on the wire: the calls that were begun and aren't over, in every process. Their number is bounded by W."""

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from shared.clock import iso
from shared.schema import lease


@dataclass(frozen=True, slots=True)
class Call:
    """One call to a vendor: what it does, who made it, and when it is over at the latest (ISO 8601)."""

    what: str  # vendor.action
    process: str
    ends_by: str


def on_the_wire(connection: sa.Connection, now: datetime) -> list[Call]:
    """In the caller's transaction: every call that may still be out, the one that ends last first."""
    query = sa.select(lease).where(lease.c.until > now.timestamp()).order_by(lease.c.until.desc(), lease.c.id)
    return [
        Call(row.what, row.process, iso(datetime.fromtimestamp(row.until, UTC)))
        for row in connection.execute(query)
    ]
