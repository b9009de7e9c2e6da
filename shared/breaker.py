"""When a vendor account is left alone: a row for all processes, so that one that fails isn't called by everybody.

    closed ─ so many of the last calls failed, never just one ─▶ open
      ▲                                                            │ its time is over, or something must be stopped
      └──── a probe was answered ──── half_open ◀──────────────────┘
                                        └ a probe failed ─▶ open

Open, ordinary calls fail at once, certainly not sent, and say when to ask again; what stops somebody still goes. A
refusal of what we asked (4xx) is an answer. An open breaker lasts as long as the vendor asked for, else `open_seconds`.
A probe whose process died doesn't count for longer than a call may last.
"""

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from shared import traffic
from shared.clock import Clock
from shared.settings import Settings
from shared.sql import one, run
from shared.store import Store
from shared.telemetry import logger
from shared.traffic import Traffic
from shared.vendor_rules import BreakerRules

log = logger("breaker")
ROW = "SELECT state, until, probes, changed_at, opened_at FROM breaker WHERE vendor=?"
WRITE = (
    "INSERT INTO breaker (vendor, state, until, probes, changed_at, opened_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (vendor) DO UPDATE SET state = ?, until = ?, probes = ?, changed_at = ?, opened_at = ?"
)
ASK_AGAIN = 1.0  # seconds, while others probe
LONGEST = 600.0  # seconds that none is open
State = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A breaker as it stands. Times are seconds since 1970."""

    state: State = "closed"
    until: float = 0.0  # open: when it may be probed; half open: when its probes are over at the latest
    probes: int = 0  # that are out
    changed_at: float = 0.0
    opened_at: float = 0.0  # since when it hasn't been closed; 0 while it is


class Breaker:
    """The breakers of all vendor accounts."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._rules = {name: vendor.file.breaker for name, vendor in settings.vendors.items()}
        self._longest_probe = settings.safety.call_deadline_seconds

    def ahead(self, connection: sa.Connection, vendor: str, *, first: bool = False) -> float:
        """In the caller's transaction: seconds until the account may be called, 0 for now. `first`: by a stop."""
        found, now = standing(connection, vendor), self._now()
        over = now >= found.until or found.until > now + LONGEST  # or the clock went back
        if first or found.state == "closed" or over:
            return 0.0
        if found.state == "open":
            return found.until - now
        return 0.0 if found.probes < self._of(vendor).probes else min(found.until - now, ASK_AGAIN)

    def probe(self, connection: sa.Connection, vendor: str) -> bool:
        """In the transaction that lets a call go: whether it is a probe, which is then counted."""
        found, now = standing(connection, vendor), self._now()
        if found.state == "closed":
            return False
        more = found.state == "half_open" and now < found.until
        until, probes = (found.until, found.probes + 1) if more else (now + self._longest_probe, 1)
        _write(connection, vendor, Standing("half_open", until, probes, now, found.opened_at))
        return True

    async def answered(self, vendor: str) -> None:
        """A probe was answered: the account is well again."""
        await self._store.write(lambda c: self._close(c, vendor))

    async def failed(self, vendor: str, asked: float = 0.0) -> None:
        """A call failed; `asked`: seconds that the vendor asks to be left alone."""
        await self._store.write(lambda c: self._fail(c, vendor, asked))

    def _close(self, connection: sa.Connection, vendor: str) -> None:
        if standing(connection, vendor).state != "closed":
            log.warning("breaker.closed", vendor=vendor)
            _write(connection, vendor, Standing("closed", changed_at=self._now()))

    def _fail(self, connection: sa.Connection, vendor: str, asked: float) -> None:
        now, rules = self._now(), self._of(vendor)
        traffic.count(connection, vendor, now, Traffic(failures=1))
        found = standing(connection, vendor)
        if found.state == "closed":
            # What failed before it was closed the last time is no news.
            since = max(now - rules.seconds, min(now, found.changed_at))
            seen = traffic.within(connection, vendor, since, now)
            if not too_many(rules, seen):
                return
            log.warning("breaker.opened", vendor=vendor, calls=seen.calls, failures=seen.failures)
        until = max(now + (asked or rules.open_seconds), found.until if found.state == "open" else 0.0)
        _write(connection, vendor, Standing("open", until, 0, now, found.opened_at or now))

    def _of(self, vendor: str) -> BreakerRules:
        return self._rules.get(vendor) or BreakerRules()

    def _now(self) -> float:
        return self._clock.now().timestamp()


def too_many(rules: BreakerRules, seen: Traffic) -> bool:
    """Whether so many failed that the account is left alone."""
    return seen.calls >= rules.least_calls and seen.failures * 100 >= rules.percent * seen.calls


def standing(connection: sa.Connection, vendor: str) -> Standing:
    """A breaker as it stands; closed where there is none."""
    row = one(connection, ROW, vendor)
    return Standing(*row) if row else Standing()


def _write(connection: sa.Connection, vendor: str, now: Standing) -> None:
    values = (now.state, now.until, now.probes, now.changed_at, now.opened_at)
    run(connection, WRITE, vendor, *values, *values)
