"""How fast: rate limits shared by all processes and machines, in which what stops somebody goes first.

A limit of N calls in a window is two rings of moments in the database (`rings.py`).

    sent    the last N calls, by when they went: no window of the vendor's length ever holds more, whoever calls
    queue   ordinary calls in the order they came, in a window at most N less those that are kept for stops

    ordinary   takes a place in the queue ─ its moment comes ─▶ sent, if there is room; else as soon as there is
    a stop     is sent at once; where there is no room, it books the next moment that is free, before all who queue

Since ordinary calls enter `sent` only at the moment they go, a stop never waits behind them: at most until the vendor
takes another call at all. `margin` is added to every window, for requests that arrive late; a call that is told of its
turn later than half of it takes another turn. A 429 holds a limit back for every process and cuts its rate, which grows
back slowly. What a vendor's headers say of its limits is believed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from shared import quota, traffic
from shared.clock import Clock
from shared.errors import NotSent
from shared.precedence import goes_first
from shared.rings import LONGEST_BLOCK, LONGEST_WAIT, Ring, Rings
from shared.settings import Settings
from shared.store import Store
from shared.traffic import Traffic
from shared.vendor_rules import Limit, Slowdown

__all__ = ["LONGEST_WAIT", "Limits", "Place"]

Step = Callable[[sa.Connection], None]
Said = list[tuple[str, Limit, quota.Told]]
SOON = 0.005  # seconds: a moment this near is now
LONGEST_GUESS = 60.0  # seconds that a vendor is left alone after a 429 that doesn't say how long


def _nothing(_: sa.Connection) -> None:
    """Nothing more to ask or to tell."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands. It waits until `at` (seconds since 1970) and asks again; if it `goes`, it goes now."""

    at: float
    since: float
    goes: bool = False
    passed: int = 0  # queues that it has behind it
    booked: bool = False  # the moment is its own: it is a stop's


class Limits:
    """The vendors' budgets in time."""

    def __init__(self, store: Store, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._clock = clock
        self._margin = settings.safety.limiter_margin_seconds
        self._files = {name: vendor.file for name, vendor in settings.vendors.items()}

    # ── one call ─────────────────────────────────────────────────────────────────────────────────────────
    def enter(
        self,
        connection: sa.Connection,
        vendor: str,
        place: Place | None = None,
        *,
        extra: str = "",
        first: bool = False,
        again: bool = False,
        longest: float = LONGEST_WAIT,
    ) -> Place:
        """In the caller's transaction: the place that a call has now, given the one it had. One that goes is counted.

        `extra` names a limit that only some calls fall under. `first`: the call stops somebody. `again`: it is tried
        again. A place further ahead than `longest` seconds is told, and left to others.
        """
        rings = self._rings(connection, vendor)
        sent = [rings.ring(key, limit) for key, limit in self._covering(vendor, extra)]
        place, latest = place or Place(rings.now, rings.now), rings.now + longest
        place = self._book(rings, sent, place, latest) if first else _queue(rings, sent, place, latest)
        if place.goes:
            waited = max(0.0, rings.now - place.since)
            traffic.count(connection, vendor, rings.now, Traffic(1, int(again), waited=waited))
        return place

    def _book(self, rings: Rings, sent: list[Ring], place: Place, latest: float) -> Place:
        """A stop's place: the next moment at which the vendor takes a call."""
        late = rings.now - place.at
        if place.booked and -SOON <= late <= self._margin / 2 and not _blocked(rings, sent):
            return replace(place, goes=True)
        at = rings.room(sent)
        if at > latest:
            return Place(at, place.since)
        rings.take(sent, at)
        return Place(at, place.since, goes=at <= rings.now + SOON, booked=True)

    async def pace(
        self,
        vendor: str,
        extra: str = "",
        *,
        first: bool | None = None,
        again: bool = False,
        longest: float = LONGEST_WAIT,
        check: Step = _nothing,
        goes: Step = _nothing,
    ) -> None:
        """Wait for this call's turn. Raises `NotSent` if that is more than `longest` seconds away.

        `first`: before ordinary calls; where it isn't said, what is done now decides. `check` is asked in each
        transaction before anything is taken, and `goes` told in the one that lets the call go.
        """
        before = goes_first() if first is None else first
        until = self._now() + longest
        place: Place | None = None
        cleared = False

        def step(connection: sa.Connection) -> Place:
            if not cleared:
                check(connection)
            left = max(0.0, until - self._now())
            now = self.enter(connection, vendor, place, extra=extra, first=before, again=again, longest=left)
            if now.goes and not cleared:
                goes(connection)
            return now

        while True:
            place = await self._store.write(step)
            if place.goes and self._in_time(place):
                return
            if place.goes:
                place, cleared = None, True
            elif place.at <= until:
                await self.wait_until(place.at)
            else:
                message = "the rate limit that we keep for this vendor is used up"
                raise NotSent(message, code="rate_limited", retry_after=place.at - self._now())

    def _in_time(self, place: Place) -> bool:
        """Whether a call is told of its turn in time: else it would leave with those of the next window."""
        return not self._margin or self._now() - place.at <= self._margin / 2

    async def wait_until(self, at: float) -> None:
        """Sleep until a moment, in seconds since 1970."""
        ahead = at - self._now()
        if ahead > 0:
            await self._clock.sleep(ahead)

    # ── what the vendor says ─────────────────────────────────────────────────────────────────────────────
    async def block(self, vendor: str, seconds: float, extra: str = "") -> None:
        """After a 429: nobody calls for so long, an hour at most, and then more slowly.

        Where the vendor didn't say how long, it is the length of the window. A call that names a limit of its own
        says nothing about the others.
        """
        covering = self._covering(vendor, extra)
        held = [one for one in covering if one[1].name == extra] or covering
        windows = [min(limit.seconds, LONGEST_GUESS) for _, limit in held]

        def change(connection: sa.Connection) -> None:
            rings = self._rings(connection, vendor)
            until = rings.now + min(seconds if seconds > 0 else min(windows), LONGEST_BLOCK)
            for key, limit in held:
                ring = rings.ring(key, limit)
                rings.block(ring, until)
                if limit.seconds < quota.LONG_WINDOW:  # of a longer one, a 429 says nothing
                    rings.slow_down(ring)

        if held:
            await self._store.write(change)

    async def heard(self, vendor: str, extra: str, headers: Mapping[str, str], sent: float) -> None:
        """Believe what an answer's headers say of the limits. `sent`: when its request left, seconds since 1970."""
        said = [(key, limit, quota.read(limit, headers)) for key, limit in self._covering(vendor, extra)]
        said = [one for one in said if quota.matters(one[1], one[2])]
        if said:
            news: bool = await self._store.read(lambda c: self._news(c, vendor, said, sent))
            if news:
                await self._store.write(lambda c: self._learn(c, vendor, said, sent))

    def _news(self, connection: sa.Connection, vendor: str, said: Said, sent: float) -> bool:
        """Whether anything of it isn't known yet; nearly every answer only repeats what is."""
        rings = self._rings(connection, vendor)
        found = [(rings.find(key, limit), told) for key, limit, told in said]
        return any(quota.news(rings, ring, told, sent) for ring, told in found if ring)

    def _learn(self, connection: sa.Connection, vendor: str, said: Said, sent: float) -> None:
        rings = self._rings(connection, vendor)
        for key, limit, told in said:
            quota.learn(rings, rings.ring(key, limit), told, sent)

    # ── which limits ─────────────────────────────────────────────────────────────────────────────────────
    def _covering(self, vendor: str, extra: str) -> list[tuple[str, Limit]]:
        """The limits that a call falls under: the general ones, and the one it names."""
        file = self._files.get(vendor)
        limits = file.limits if file else ()
        return [(f"{vendor}:{i.name}", i) for i in limits if i.name == extra or not i.only_when_named]

    def _rings(self, connection: sa.Connection, vendor: str) -> Rings:
        file = self._files.get(vendor)
        return Rings(connection, file.slowdown if file else Slowdown(), self._margin, self._now())

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _queue(rings: Rings, sent: list[Ring], place: Place, latest: float) -> Place:
    """An ordinary call's place: in each queue, one after the other, and then where it goes.

    The limit that few calls fall under comes first: who waits for that one stands in nobody else's way.
    """
    room = rings.room(sent)
    if room > latest:
        return replace(place, at=room)
    lines = [[ring for ring in sent if ring.limit.only_when_named is named] for named in (True, False)]
    for line in lines[place.passed :]:
        at = rings.line_up(line, latest)
        place = replace(place, at=at, passed=place.passed + (at <= latest))
        if at > rings.now + SOON:
            return place
    goes = room <= rings.now + SOON
    if goes:
        rings.take(sent, room)
    return replace(place, at=room, goes=goes)


def _blocked(rings: Rings, sent: list[Ring]) -> bool:
    return any(ring.blocked_until > rings.now for ring in sent)
