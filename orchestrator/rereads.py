"""Contacts of the CRM that a webhook was about: to be read by id before anything follows from it.

A webhook is a snapshot, comes late or out of order, and leaves fields out. What it says of an opt-out acts at once;
everything else only makes somebody look.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from shared.clock import iso
from shared.event import EventType
from shared.pipeline_schema import reread
from shared.sql import run

# Events after which a contact may be blocked, or gone, without the event saying so.
TELLING: frozenset[EventType] = frozenset(
    ("contact_updated", "tags_changed", "dnd_changed", "contact_deleted")
)
NOTE = "INSERT INTO reread (contact_ref, due_at) VALUES (?, ?) ON CONFLICT (contact_ref) DO NOTHING"


def note_in(connection: sa.Connection, contact_ref: str, now: datetime, after_seconds: float) -> None:
    """In the caller's transaction: read this contact soon; once for everything that comes until then."""
    if contact_ref:
        run(connection, NOTE, contact_ref, iso(now + timedelta(seconds=after_seconds)))


def due_in(connection: sa.Connection, now: datetime, limit: int) -> dict[str, str]:
    """Contacts whose time has come, and when that was; the longest due first."""
    query = sa.select(reread).where(reread.c.due_at <= iso(now)).order_by(reread.c.due_at).limit(limit)
    return {row.contact_ref: row.due_at for row in connection.execute(query)}


def forget_in(connection: sa.Connection, rows: Mapping[str, str]) -> None:
    """In the caller's transaction: these were read."""
    for contact_ref, due_at in rows.items():
        here = (reread.c.contact_ref == contact_ref, reread.c.due_at == due_at)
        connection.execute(sa.delete(reread).where(*here))
