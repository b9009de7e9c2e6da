"""How much and how fast: rate limits shared by all processes, and daily budgets that really stop.

A rate limit is the last N moments in the database. One transaction reserves the next free one; the caller
sleeps until then. No window of the vendor's length ever holds more than N calls, whoever makes them; `margin`
covers how late a request may arrive. A 429 blocks the bucket for every process, also for those who wait already.

A moment further ahead than `LONGEST_WAIT` is never reserved. So one that is found there was written before
the clock went back, and is forgotten instead of waited for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared.clock import Clock
from shared.effect import Effect
from shared.errors import NotSent
from shared.schema import rate, rate_slot
from shared.settings import Caps, Limit, Settings
from shared.sql import among, one, run, value
from shared.store import Store

NTH_LAST = "SELECT at FROM rate_slot WHERE bucket=? AND slot=?"
BLOCKED = "SELECT blocked_until FROM rate WHERE bucket IN"
NEXT = "UPDATE rate SET seq=?, last=? WHERE bucket=?"
FALLEN = "DELETE FROM rate_slot WHERE bucket=? AND slot<=?"
SPEND = (
    "INSERT INTO spend (name, day, amount) VALUES (?, ?, max(0, ?)) "
    "ON CONFLICT (name, day) DO UPDATE SET amount = max(0, amount + ?)"
)
LONGEST_WAIT = 600.0  # seconds
LONGEST_BLOCK = 3_600.0  # seconds, whatever a vendor's Retry-After says


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Credits of one vendor account today. `limit` -1: none set."""

    limit: int
    spent: int
    day: str


@dataclass(frozen=True, slots=True)
class _Bucket:
    """A limit with its row: how many moments were reserved, the last one, and until when none is."""

    key: str
    limit: Limit
    known: bool = False
    seq: int = 0
    last: float = 0.0
    blocked_until: float = 0.0


class Limits:
    """Budgets in time and in credits."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._caps: Caps = settings.safety.caps
        self._margin = settings.safety.limiter_margin_seconds
        self._limits: dict[str, tuple[Limit, ...]] = {
            name: vendor.file.limits for name, vendor in settings.vendors.items()
        }

    # ── how fast ─────────────────────────────────────────────────────────────────────────────────────────
    def reserve(
        self, connection: sa.Connection, vendor: str, extra: str = "", *, longest: float = LONGEST_WAIT
    ) -> float:
        """In the caller's transaction: the next free moment, in seconds since 1970.

        It is ours only if it is within `longest` seconds; one further away is told and left to others.
        """
        now = self._now()
        buckets = [self._bucket(connection, *one, now) for one in self._covering(vendor, extra)]
        at = max([now, *(self._free(connection, bucket) for bucket in buckets)])
        if at <= now + longest:
            for bucket in buckets:
                _take(connection, bucket, at)
        return at

    def _covering(self, vendor: str, extra: str) -> list[tuple[str, Limit]]:
        """The limits a call falls under: the general ones, and the one it names."""
        return [
            (f"{vendor}:{limit.name}", limit)
            for limit in self._limits.get(vendor, ())
            if limit.name == extra or not limit.only_when_named
        ]

    @staticmethod
    def _bucket(connection: sa.Connection, key: str, limit: Limit, now: float) -> _Bucket:
        row = one(connection, "SELECT seq, last, blocked_until FROM rate WHERE bucket=?", key)
        if row is None:
            return _Bucket(key, limit)
        seq, last, blocked_until = row
        if last > now + LONGEST_WAIT:
            _forget(connection, key, now)
            return _Bucket(key, limit, True, seq, now)
        return _Bucket(key, limit, True, seq, last, min(blocked_until, now + LONGEST_BLOCK))

    def _free(self, connection: sa.Connection, bucket: _Bucket) -> float:
        """When this bucket lets the next call through."""
        oldest = value(connection, NTH_LAST, bucket.key, bucket.seq - bucket.limit.calls)
        free = oldest + bucket.limit.seconds + self._margin if oldest is not None else 0.0
        return max(free, bucket.last, bucket.blocked_until)

    def blocked(self, connection: sa.Connection, vendor: str, extra: str = "") -> bool:
        """In the caller's transaction: whether a 429 holds this vendor back right now."""
        keys = [key for key, _ in self._covering(vendor, extra)]
        return any(row["blocked_until"] > self._now() for row in among(connection, BLOCKED, keys))

    async def pace(self, vendor: str, extra: str = "", *, longest: float = LONGEST_WAIT) -> None:
        """Wait for this call's turn. Raises `NotSent` if that is more than `longest` seconds away."""
        while True:
            at = await self._store.write(lambda c: self.reserve(c, vendor, extra, longest=longest))
            ahead = at - self._now()
            if ahead > longest:
                message = "the rate limit that we keep for this vendor is used up"
                raise NotSent(message, code="rate_limited", retry_after=ahead)
            if ahead <= 0:
                return
            await self._clock.sleep(ahead)
            if not await self._store.read(lambda c: self.blocked(c, vendor, extra)):
                return

    async def wait_until(self, at: float) -> None:
        """Sleep until a reserved moment, in seconds since 1970."""
        ahead = at - self._now()
        if ahead > 0:
            await self._clock.sleep(ahead)

    async def block(self, vendor: str, seconds: float, extra: str = "") -> None:
        """After a 429: nobody calls this vendor for so long, an hour at most."""
        until = self._now() + min(seconds, LONGEST_BLOCK)
        keys = [key for key, _ in self._covering(vendor, extra)]
        await self._store.write(lambda c: _block(c, keys, until))

    def _now(self) -> float:
        return self._clock.now().timestamp()

    # ── how much ─────────────────────────────────────────────────────────────────────────────────────────
    def spend(
        self, connection: sa.Connection, effects: Sequence[Effect], *, really: bool = True
    ) -> dict[str, str]:
        """In the claim's transaction: count effects and credits. Key → reason, for those that are over a cap.

        Not `really`: only say who would be over. What stops somebody is never held back by a cap.
        """
        day = self.day()
        spent: Counter[str] = Counter()
        over: dict[str, str] = {}
        for effect in effects:
            reason = "" if effect.stops else self._over(connection, effect, day, spent)
            if reason:
                over[effect.key] = reason
                continue
            spent.update(_costs(effect))
        if really:
            for name, amount in spent.items():
                _add(connection, name, day, amount)
        return over

    def _over(self, connection: sa.Connection, effect: Effect, day: str, spent: Counter[str]) -> str:
        for name, amount in _costs(effect).items():
            cap = self._cap(name)
            if cap is not None and _spent(connection, name, day) + spent[name] + amount > cap:
                return "budget" if name.startswith("credits:") else "limit"
        return ""

    @staticmethod
    def give_back(connection: sa.Connection, effects: Iterable[tuple[Effect, str]]) -> None:
        """In the settling transaction: what certainly did not happen cost nothing on the day it was claimed."""
        totals: dict[str, Counter[str]] = {}
        for effect, day in effects:
            totals.setdefault(day, Counter()).update(_costs(effect))
        for day, amounts in totals.items():
            for name, amount in amounts.items():
                _add(connection, name, day, -amount)

    def _cap(self, name: str) -> int | None:
        kind, _, what = name.partition(":")
        caps = self._caps.credits_per_day if kind == "credits" else self._caps.effects_per_day
        return caps.get(what)

    def day(self) -> str:
        """The day that budgets count by, in UTC."""
        return self._clock.now().date().isoformat()

    async def budget(self, vendor: str) -> BudgetState:
        """Credits of a vendor account today."""
        name, day = f"credits:{vendor}", self.day()
        spent = await self._store.read(lambda c: _spent(c, name, day))
        cap = self._cap(name)
        return BudgetState(-1 if cap is None else cap, spent, day)


def _take(connection: sa.Connection, bucket: _Bucket, at: float) -> None:
    """Write the reserved moment down, and forget the one that fell out of the last N."""
    key, seq = bucket.key, bucket.seq
    if bucket.known:
        run(connection, NEXT, seq + 1, at, key)
        run(connection, FALLEN, key, seq - bucket.limit.calls)
    else:
        connection.execute(sa.insert(rate).values(bucket=key, seq=1, last=at, blocked_until=0.0))
    run(connection, "INSERT INTO rate_slot (bucket, slot, at) VALUES (?, ?, ?)", key, seq, at)


def _forget(connection: sa.Connection, key: str, now: float) -> None:
    """The clock went back: what lies ahead counts as having been now."""
    ahead = sa.update(rate_slot).where(rate_slot.c.bucket == key, rate_slot.c.at > now)
    connection.execute(ahead.values(at=now))
    connection.execute(sa.update(rate).where(rate.c.bucket == key).values(last=now, blocked_until=0.0))


def _block(connection: sa.Connection, keys: Sequence[str], until: float) -> None:
    for key in keys:
        known = connection.execute(sa.select(rate.c.blocked_until).where(rate.c.bucket == key)).scalar()
        if known is None:
            connection.execute(sa.insert(rate).values(bucket=key, seq=0, last=0.0, blocked_until=until))
        elif known < until:
            connection.execute(sa.update(rate).where(rate.c.bucket == key).values(blocked_until=until))


def _costs(effect: Effect) -> dict[str, int]:
    """What an effect counts against."""
    costs = {f"effects:{effect.vendor}.{effect.action}": 1}
    return costs | ({f"credits:{effect.vendor}": effect.cost} if effect.cost else {})


def _spent(connection: sa.Connection, name: str, day: str) -> int:
    return value(connection, "SELECT amount FROM spend WHERE name=? AND day=?", name, day) or 0


def _add(connection: sa.Connection, name: str, day: str, amount: int) -> None:
    run(connection, SPEND, name, day, amount, amount)
