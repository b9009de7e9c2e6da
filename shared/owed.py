"""Noting what of our list a vendor has still to be told, in the transaction that puts it there.

A row holds the address in plain text, since the list doesn't, and only until the vendor has it.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from shared.clock import iso
from shared.effect import digest
from shared.sql import insertion, run_many
from shared.telemetry import correlation

Port = Literal["sequencer", "crm"]
COLUMNS = ("id", "port", "target", "reason", "correlation_id", "at")
NOTE = f"{insertion('owed', COLUMNS)} ON CONFLICT (id) DO NOTHING"


def note_in(
    connection: sa.Connection, port: Port, targets: Iterable[str], reason: str, now: datetime
) -> None:
    """In the caller's transaction: this vendor has to be told of these addresses or domains."""
    rows = [
        (digest("owed/v1", port, one)[:24], port, one, reason, correlation(), iso(now)) for one in targets
    ]
    run_many(connection, NOTE, rows)
