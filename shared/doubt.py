"""Effects in doubt: the vendor is asked, and what it shows settles them; what nobody can tell waits for a person."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import anyio
import sqlalchemy as sa

from shared.claim import refused
from shared.clock import Clock, parse
from shared.effect import Effect, Outcome, Receipt
from shared.errors import NotSent, SwarmError
from shared.ledger import Row, find
from shared.safety_rules import SafetyFile
from shared.settings import VendorSettings
from shared.settlement import PROCESS_GONE, Settlement, outcome
from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("gate")


class Lookup(Protocol):
    """Asks the vendor: a receipt if it holds the effect, None if it certainly doesn't; else raises."""

    async def __call__(self, effect: Effect, /) -> Receipt | None:
        """Look."""
        ...


class Sightings:
    """Since when this process knows that nobody is at an effect any more, by a clock that never jumps."""

    def __init__(self, clock: Clock, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most  # what is forgotten is waited for anew
        self._since: dict[tuple[str, int], float] = {}

    def age(self, key: str, attempt: int) -> float:
        """Seconds since this was asked of this attempt the first time."""
        now = self._clock.monotonic()
        age = now - self._since.setdefault((key, attempt), now)
        if len(self._since) > self._most:
            del self._since[next(iter(self._since))]
        return age


class Doubts:
    """Settles what is in doubt, by evidence or by a person's word. Part of the gate."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        busy: Callable[[sa.Connection, Row], bool],
        certain: bool,
        settlement: Settlement,
        rules: SafetyFile,
        vendors: Mapping[str, VendorSettings],
    ) -> None:
        self._store = store
        self._clock = clock
        self._busy = busy
        self._certain = certain  # that whoever is gone sends nothing any more
        self._settlement = settlement
        self._rules = rules
        self._vendors = vendors
        self._sightings = Sightings(clock)

    def given_up(self, doubtful: Mapping[str, int]) -> None:
        """Nobody waits for an answer to these (key → which attempt) any more, as this process knows from now on."""
        for key, attempt in doubtful.items():
            self._sightings.age(key, attempt)

    async def look_at_all(self, rows: Sequence[Row], lookup: Lookup | None) -> None:
        """Settle by evidence what is in doubt; what can't be told stays in doubt."""
        if lookup is None:
            await self._store.write(lambda c: self._settlement.doubt(c, rows))
            return
        failed: list[Unavailable] = []
        async with anyio.create_task_group() as tasks:
            for row in rows:
                tasks.start_soon(self._look_at, row, lookup, failed)
        if failed:
            raise failed[0]

    async def look(self, row: Row, lookup: Lookup) -> Outcome:
        """Ask the vendor about one doubtful effect, and settle it if the answer is evidence."""
        if row.status == "claimed" and await self._store.read(lambda c: self._busy(c, row)):
            return refused(row.key, "in_flight")
        self.given_up({row.key: row.attempts})
        try:
            receipt = await lookup(row.effect)
            if receipt is None and (ahead := self._unsettled_for(row)) > 0:
                if ahead > self._rules.settle_seconds:
                    return await self._still_in_doubt(row)  # too long to wait for here: asked again later
                await self._clock.sleep(ahead)  # the old request may still be on its way
                receipt = await lookup(row.effect)
        except SwarmError as error:
            log.warning("gate.cant_tell", key=row.key[:12], vendor=row.effect.vendor, code=error.code)
            return await self._still_in_doubt(row)
        except Exception:
            # A bug of the look-up: nothing was learnt, and the others of its batch must not fall with it.
            log.exception("gate.look_failed", key=row.key[:12], vendor=row.effect.vendor)
            return await self._still_in_doubt(row)
        found = outcome(row.key, receipt or NotSent("the vendor does not have it", code="not_there"))
        return await self._store.write(lambda c: self._found(c, row, found))

    async def resolve(self, key: str, applied: bool, actor: str, reason: str) -> Outcome:
        """Settle by a named person's word; raises `Invalid` or `Conflict`."""
        return await self._store.write(
            lambda c: self._settlement.resolve(c, key, self._at_it, applied, actor, reason)
        )

    async def _still_in_doubt(self, row: Row) -> Outcome:
        await self._store.write(lambda c: self._settlement.doubt(c, [row]))
        return row.outcome("in_doubt")

    async def _look_at(self, row: Row, lookup: Lookup, failed: list[Unavailable]) -> None:
        """One of many looks: what fails in one must not cancel the others."""
        try:
            await self.look(row, lookup)
        except Unavailable as error:
            failed.append(error)

    def _found(self, connection: sa.Connection, row: Row, found: Outcome) -> Outcome:
        """Settle what was in doubt by what the vendor shows; if somebody was faster, their word stands."""
        if self._settlement.write(
            connection, {row.key: row.effect}, {row.key: row.attempts}, {row.key: found}
        ):
            return found
        now = find(connection, row.key)
        return now.outcome() if now else found

    def _unsettled_for(self, row: Row) -> float:
        """Seconds until a vendor that doesn't show the effect may be believed.

        Counted from when this process learnt that nobody is at it, by the clock that never jumps: what rows and wall
        clocks say of its age is no proof that the old request had the time to arrive. One that may only have lost its
        session may still be sending until its call's time is over.
        """
        vendor = self._vendors.get(row.effect.vendor)
        settle = max(self._rules.settle_seconds, vendor.settle_seconds if vendor else 0.0)
        longer = self._rules.call_deadline_seconds if self._may_still_send(row) else 0.0
        return settle + longer - self._sightings.age(row.key, row.attempts)

    def _may_still_send(self, row: Row) -> bool:
        """Whether who claimed it may only have lost its session."""
        return not self._certain and (row.status == "claimed" or row.reason == PROCESS_GONE)

    def _still_has(self, row: Row) -> float:
        """Seconds that are left of the time for its call; negative once that is over."""
        had = (self._clock.now() - parse(row.claimed_at)).total_seconds()
        return self._rules.call_deadline_seconds - had

    def _at_it(self, connection: sa.Connection, row: Row) -> bool:
        """Whether it may be on its way: its process lives, or isn't certainly gone and has time left."""
        if row.status == "claimed" and self._busy(connection, row):
            return True
        return bool(row.claimed_at) and self._may_still_send(row) and self._still_has(row) > 0
