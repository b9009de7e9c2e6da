"""How much and how fast: rate limits shared by all processes, and daily budgets that really stop.

A rate limit is a ring of the last N times in the database. One transaction reserves the next free time; the
caller sleeps until then. No window of the vendor's length ever holds more than N calls, whoever makes them;
`margin` covers how late a request may arrive. A 429 blocks the bucket for every process.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from shared.clock import Clock
from shared.effect import Effect
from shared.schema import rate, rate_slot, spend
from shared.settings import Caps, Limit, Settings
from shared.store import Store


@dataclass(frozen=True, slots=True)
class BudgetState:
    """Credits of one vendor account today. `limit` -1: none set."""

    limit: int
    spent: int
    day: str


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

    def buckets(self, vendor: str, extra: str = "") -> list[Limit]:
        """The limits a call falls under: the general ones, and the one it names."""
        return [
            limit
            for limit in self._limits.get(vendor, ())
            if limit.name == extra or not limit.only_when_named
        ]

    def reserve(self, connection: sa.Connection, vendor: str, extra: str = "") -> float:
        """In the caller's transaction: take the next free moment, in seconds since 1970."""
        now = self._clock.now().timestamp()
        buckets = [(f"{vendor}:{limit.name}", limit) for limit in self.buckets(vendor, extra)]
        at = max([now, *(self._free(connection, key, limit) for key, limit in buckets)])
        for key, limit in buckets:
            self._take(connection, key, limit, at)
        return at

    def _free(self, connection: sa.Connection, key: str, limit: Limit) -> float:
        row = connection.execute(sa.select(rate).where(rate.c.bucket == key)).one_or_none()
        if row is None:
            return 0.0
        oldest = connection.execute(
            sa.select(rate_slot.c.at).where(
                rate_slot.c.bucket == key, rate_slot.c.slot == row.seq % limit.calls
            )
        ).scalar()
        ring = oldest + limit.seconds + self._margin if oldest is not None else 0.0
        return max(ring, float(row.blocked_until), float(row.last))

    @staticmethod
    def _take(connection: sa.Connection, key: str, limit: Limit, at: float) -> None:
        row = connection.execute(sa.select(rate.c.seq).where(rate.c.bucket == key)).one_or_none()
        seq = row.seq if row else 0
        if row is None:
            connection.execute(sa.insert(rate).values(bucket=key, seq=1, last=at, blocked_until=0.0))
        else:
            connection.execute(sa.update(rate).where(rate.c.bucket == key).values(seq=seq + 1, last=at))
        slot = {"bucket": key, "slot": seq % limit.calls}
        where = (rate_slot.c.bucket == key, rate_slot.c.slot == slot["slot"])
        if connection.execute(sa.update(rate_slot).where(*where).values(at=at)).rowcount == 0:
            connection.execute(sa.insert(rate_slot).values(at=at, **slot))

    async def pace(self, vendor: str, extra: str = "") -> None:
        """Wait for this call's turn."""
        at = await self._store.write(lambda c: self.reserve(c, vendor, extra))
        await self.wait_until(at)

    async def wait_until(self, at: float) -> None:
        """Sleep until a reserved moment, in seconds since 1970."""
        ahead = at - self._clock.now().timestamp()
        if ahead > 0:
            await self._clock.sleep(ahead)

    async def block(self, vendor: str, seconds: float, extra: str = "") -> None:
        """After a 429: nobody calls this vendor for so long."""
        until = self._clock.now().timestamp() + seconds
        keys = [f"{vendor}:{limit.name}" for limit in self.buckets(vendor, extra)]

        def change(connection: sa.Connection) -> None:
            connection.execute(
                sa.update(rate)
                .where(rate.c.bucket.in_(keys), rate.c.blocked_until < until)
                .values(blocked_until=until)
            )

        await self._store.write(change)

    def spend(self, connection: sa.Connection, effect: Effect) -> str:
        """In the claim's transaction: count the effect and its credits. Returns a refusal reason, or ""."""
        wanted = [(f"effects:{effect.vendor}.{effect.action}", 1, "limit")]
        if effect.cost:
            wanted.append((f"credits:{effect.vendor}", effect.cost, "budget"))
        for name, amount, reason in wanted:
            cap = self._cap(name)
            if cap is not None and self._spent(connection, name) + amount > cap:
                return reason
        for name, amount, _ in wanted:
            self._add(connection, name, amount)
        return ""

    def give_back(self, connection: sa.Connection, effect: Effect) -> None:
        """In the settling transaction: what certainly did not happen cost nothing."""
        self._add(connection, f"effects:{effect.vendor}.{effect.action}", -1)
        if effect.cost:
            self._add(connection, f"credits:{effect.vendor}", -effect.cost)

    def _cap(self, name: str) -> int | None:
        kind, _, what = name.partition(":")
        caps = self._caps.credits_per_day if kind == "credits" else self._caps.effects_per_day
        return caps.get(what)

    def _day(self) -> str:
        return self._clock.now().date().isoformat()

    def _spent(self, connection: sa.Connection, name: str) -> int:
        query = sa.select(spend.c.amount).where(spend.c.name == name, spend.c.day == self._day())
        return connection.execute(query).scalar() or 0

    def _add(self, connection: sa.Connection, name: str, amount: int) -> None:
        where = (spend.c.name == name, spend.c.day == self._day())
        changed = sa.update(spend).where(*where).values(amount=spend.c.amount + amount)
        if connection.execute(changed).rowcount == 0:
            connection.execute(sa.insert(spend).values(name=name, day=self._day(), amount=max(0, amount)))

    async def budget(self, vendor: str) -> BudgetState:
        """Credits of a vendor account today."""
        name = f"credits:{vendor}"
        spent = await self._store.read(lambda c: self._spent(c, name))
        cap = self._cap(name)
        return BudgetState(-1 if cap is None else cap, spent, self._day())
