"""Whether our clock and a vendor's agree: read from the Date of its answers, noted where they don't.

Time-outs use a clock that never jumps. What counts by days, expires, or checks how old a signature is uses the
wall clock of this machine; a vendor's is the second opinion.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import sqlalchemy as sa

from shared.clock import Clock, iso
from shared.schema import vendor_clock
from shared.store import Store
from shared.telemetry import logger

log = logger("skew")
ROUNDING = 1.0  # seconds: a Date has no fraction
AGAIN = 60.0  # seconds between two notes


def difference(headers: Mapping[str, str], sent: float, received: float) -> float:
    """Seconds that the vendor's clock is ahead of ours; 0 where its Date lies within the call, or can't be read."""
    try:
        moment = parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    at = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if at < sent - ROUNDING:
        return at - sent
    return at - received if at > received + ROUNDING else 0.0


class Skew:
    """One vendor's clock, as its answers tell it."""

    def __init__(self, vendor: str, store: Store, clock: Clock, threshold: float) -> None:
        self._vendor = vendor
        self._store = store
        self._clock = clock
        self._threshold = threshold
        self._noted_at: float | None = None  # monotonic; None: nothing is noted

    async def heard(self, headers: Mapping[str, str], sent: float) -> None:
        """Note a clock that differs by more than the threshold, and that it no longer does. `sent`: since 1970."""
        now = self._clock.now()
        seconds = difference(headers, sent, now.timestamp())
        if abs(seconds) > self._threshold:
            await self._note(seconds, now)
        elif self._noted_at is not None:
            self._noted_at = None
            await self._store.write(self._forget)

    async def _note(self, seconds: float, now: datetime) -> None:
        ticks = self._clock.monotonic()
        if self._noted_at is not None and ticks - self._noted_at < AGAIN:
            return
        self._noted_at = ticks
        log.warning("skew.clocks_differ", vendor=self._vendor, seconds=round(seconds))

        def change(connection: sa.Connection) -> None:
            self._forget(connection)
            values = {"vendor": self._vendor, "seconds": seconds, "at": iso(now)}
            connection.execute(sa.insert(vendor_clock).values(**values))

        await self._store.write(change)

    def _forget(self, connection: sa.Connection) -> None:
        connection.execute(sa.delete(vendor_clock).where(vendor_clock.c.vendor == self._vendor))
