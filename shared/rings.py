"""Rings of moments in the database: the last N calls under a limit, as one transaction sees and changes them.

A moment further ahead than `LONGEST_WAIT` is never taken. So one that is found there was written before the clock went
back, and is forgotten instead of waited for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa

from shared.schema import rate, rate_slot
from shared.sql import one, run, value
from shared.vendor_rules import Limit, Slowdown

HEAD = "SELECT seq, last, blocked_until, share, share_at, announced, announced_until FROM rate WHERE bucket=?"
FRESH = "INSERT INTO rate (bucket, seq, last, blocked_until) VALUES (?, 0, 0, 0)"
NTH_LAST = "SELECT at FROM rate_slot WHERE bucket=? AND slot=?"
SINCE = "SELECT count(*) FROM rate_slot WHERE bucket=? AND at>?"
NEXT = "UPDATE rate SET seq=?, last=? WHERE bucket=?"
FALLEN = "DELETE FROM rate_slot WHERE bucket=? AND slot<=?"
TAKEN = "INSERT INTO rate_slot (bucket, slot, at) VALUES (?, ?, ?)"
BLOCK = "UPDATE rate SET blocked_until=? WHERE bucket=? AND blocked_until<?"
SLOW = "UPDATE rate SET share=?, share_at=? WHERE bucket=?"
ANNOUNCED = "UPDATE rate SET announced=?, announced_until=? WHERE bucket=?"
QUEUE = "/queue"
LONGEST_WAIT = 600.0  # seconds
LONGEST_BLOCK = 3_600.0  # seconds, whatever a vendor says


@dataclass(frozen=True, slots=True)
class Ring:
    """The head of a ring, and the limit that it belongs to. Times are seconds since 1970."""

    key: str
    limit: Limit
    seq: int = 0  # moments taken so far
    last: float = 0.0
    blocked_until: float = 0.0
    share: float = 1.0  # of the rate, right after the last 429
    share_at: float = 0.0
    announced: int = 0  # calls that the vendor said there are
    announced_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Rings:
    """The rings of one vendor account in one transaction, at one moment."""

    connection: sa.Connection
    slowdown: Slowdown
    margin: float
    now: float

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────
    def ring(self, key: str, limit: Limit) -> Ring:
        """The ring as it stands; made where there is none."""
        found = self.find(key, limit)
        if found is None:
            run(self.connection, FRESH, key)
            return Ring(key, limit)
        if found.last > self.now + LONGEST_WAIT:
            self._forget(key)
            return replace(found, last=self.now, blocked_until=0.0, share_at=self.now)
        return found

    def find(self, key: str, limit: Limit) -> Ring | None:
        """The ring as it stands, if there is one."""
        row = one(self.connection, HEAD, key)
        if row is None:
            return None
        found = Ring(key, limit, *row)
        return replace(found, blocked_until=min(found.blocked_until, self.now + LONGEST_BLOCK))

    def share(self, ring: Ring) -> float:
        """Of the rate, as it has grown back since the last 429."""
        return min(1.0, ring.share + max(0.0, self.now - ring.share_at) / self.slowdown.recovers_seconds)

    def calls(self, ring: Ring) -> int:
        """Calls in a window, as things stand; at least one, or nobody would ever learn that it is over."""
        most = ring.limit.calls
        if ring.announced_until > self.now:
            most = min(most, ring.announced)
        return max(1, int(most * self.share(ring)))

    def ordinary(self, ring: Ring) -> int:
        """Those of them that needn't be left to stops: at least half, and one."""
        calls = self.calls(ring)
        return calls - min(ring.limit.kept, calls // 2)

    def free(self, ring: Ring, calls: int) -> float:
        """When the ring lets the next call through, so that no window holds more than `calls`."""
        oldest = value(self.connection, NTH_LAST, ring.key, ring.seq - calls)
        free = oldest + ring.limit.seconds + self.margin if oldest is not None else 0.0
        return max(free, ring.last, ring.blocked_until)

    def room(self, rings: Iterable[Ring]) -> float:
        """When all of them let the next call through: now, or later."""
        return max([self.now, *(self.free(ring, self.calls(ring)) for ring in rings)])

    def count_since(self, ring: Ring, moment: float) -> int:
        """Calls that went, or have their moment, after this one."""
        return int(value(self.connection, SINCE, ring.key, moment))

    # ── changing ─────────────────────────────────────────────────────────────────────────────────────────
    def take(self, rings: Iterable[Ring], at: float) -> None:
        """Write a moment down in each, and forget the one that fell out of the last N."""
        for ring in rings:
            run(self.connection, NEXT, ring.seq + 1, at, ring.key)
            run(self.connection, FALLEN, ring.key, ring.seq - ring.limit.calls)
            run(self.connection, TAKEN, ring.key, ring.seq, at)

    def take_many(self, ring: Ring, at: float, times: int) -> None:
        """The same moment so many times."""
        for number in range(times):
            self.take([replace(ring, seq=ring.seq + number)], at)

    def line_up(self, rings: Iterable[Ring], latest: float) -> float:
        """The next moment in the queues before these rings; taken, if it isn't later than `latest`."""
        queues = [(ring, self.ring(ring.key + QUEUE, ring.limit)) for ring in rings]
        at = max([self.now, *(self.free(queue, self.ordinary(ring)) for ring, queue in queues)])
        if at <= latest:
            self.take((queue for _, queue in queues), at)
        return at

    def block(self, ring: Ring, until: float) -> None:
        """Let nobody through until then; a shorter block doesn't end a longer one."""
        run(self.connection, BLOCK, until, ring.key, until)

    def slow_down(self, ring: Ring) -> None:
        """Cut the rate; it grows back by itself. Calls that were out together were too fast once, not many times."""
        if self.now - ring.share_at >= ring.limit.seconds:
            share = max(self.slowdown.least, self.share(ring) * self.slowdown.factor)
            run(self.connection, SLOW, share, self.now, ring.key)

    def announce(self, ring: Ring, calls: int, until: float) -> None:
        """The vendor says that only so many calls are allowed in a window; believed until then."""
        run(self.connection, ANNOUNCED, calls, until, ring.key)

    def _forget(self, key: str) -> None:
        """The clock went back: what lies ahead counts as having been now."""
        ahead = sa.update(rate_slot).where(rate_slot.c.bucket == key, rate_slot.c.at > self.now)
        self.connection.execute(ahead.values(at=self.now))
        values = {"last": self.now, "blocked_until": 0.0, "share_at": self.now}
        self.connection.execute(sa.update(rate).where(rate.c.bucket == key).values(**values))
