"""Ten minutes in which a vendor answers nothing but 429, with any Retry-After: nothing is lost, nobody is hammered.

Operations wait in a queue and are asked for again when their outcome says so, as the pipeline does. The clock is moved
by hand, so the ten minutes take seconds.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from orchestrator.passing import cured_by_time
from shared.effect import Effect, Outcome, Receipt
from shared.gate import Permit
from shared.kernel import Kernel
from shared.retry import jittered
from shared.settings import Settings
from tests.shared.world import START, HandClock, json_answer, opened

Make = Callable[..., Settings]
MINUTES = 10
OPERATIONS = 200
WORKERS = 8
IDLE = 5.0  # seconds
LONGEST_WAIT = 30.0  # seconds that an operation waits longer than it is told, in the end
LIVE = {
    "SAFE_MODE": "false",
    "GHL_API_KEY": "pit-12345678",
    "GHL_BASE_URL": "https://ghl.example",
    "APIFY_API_KEY": "apify_api_12345678",
    "APIFY_BASE_URL": "https://apify.example",
}
END = START + timedelta(minutes=MINUTES)
FALLBACK = 30.0  # seconds: what we wait where the vendor says nothing readable


def seconds(text: str) -> Callable[[datetime], str]:
    return lambda _: text


def a_date(ahead: float) -> Callable[[datetime], str]:
    return lambda now: format_datetime((now + timedelta(seconds=ahead)).replace(tzinfo=UTC), usegmt=True)


class TeamClock(HandClock):
    """Time that passes only when everybody of a team sleeps: then it is the next one's time to wake."""

    def __init__(self) -> None:
        super().__init__()
        self.team = 0
        self._asleep: list[tuple[float, int, asyncio.Event]] = []
        self._numbers = itertools.count()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        self.team += 1
        try:
            yield
        finally:
            self.team -= 1
            self._wake_next()

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        heapq.heappush(self._asleep, (self.ticks + max(0.0, seconds), next(self._numbers), woken))
        self._wake_next()
        await woken.wait()

    def _wake_next(self) -> None:
        if self._asleep and len(self._asleep) >= self.team:
            at, _, woken = heapq.heappop(self._asleep)
            self.move(max(0.0, at - self.ticks))
            woken.set()


@dataclass
class Vendor:
    """GHL storms until `END`; every other vendor is well."""

    clock: HandClock
    retry_after: Callable[[datetime], str]
    asked: list[tuple[float, str]] = field(default_factory=list)  # when, which operation
    others: list[float] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        now = self.clock.at
        if request.url.host != "ghl.example":
            self.others.append(now.timestamp())
            return json_answer({"id": "x"})
        self.asked.append((now.timestamp(), request.url.path))
        if now < END:
            return json_answer({}, 429, {"retry-after": self.retry_after(now)})
        return json_answer({"id": "x"})


@dataclass
class Queue:
    """Operations by when they are due, and those who work on them."""

    kernel: Kernel
    clock: TeamClock
    waiting: list[tuple[float, int, Effect]] = field(default_factory=list)
    done: dict[str, float] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    out: int = 0
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def put(self, effect: Effect, ahead: float) -> None:
        heapq.heappush(self.waiting, (self.clock.ticks + ahead, next(self.numbers), effect))

    async def work(self) -> None:
        """Submit what is due, in order, until nothing is left."""
        async with self.clock.working():
            while self.waiting or self.out:
                ahead = self.waiting[0][0] - self.clock.ticks if self.waiting else IDLE
                if ahead > 0:
                    await self.clock.sleep(min(ahead, IDLE))
                    continue
                _, _, effect = heapq.heappop(self.waiting)
                self.out += 1
                outcome = await self.kernel.gate.submit(effect, self._perform)
                self.out -= 1
                self._ended(effect, outcome)

    def _ended(self, effect: Effect, outcome: Outcome) -> None:
        if outcome.done:
            self.done[effect.key] = self.clock.at.timestamp()
            return
        assert cured_by_time(outcome.status, outcome.reason), outcome
        again = outcome.detail.get("retry_after", 0.0)
        assert isinstance(again, float | int), outcome
        self.asked[effect.key] += 1
        wait = jittered(min(LONGEST_WAIT, 2.0 ** self.asked[effect.key]))
        self.put(effect, float(again) + wait)

    async def _perform(self, permit: Permit) -> Receipt:
        path = f"/contacts/{permit.effect.target}"
        await self.kernel.client(permit.effect.vendor).write(permit, "PUT", path, json={})
        return Receipt("r")


def operation(number: int, vendor: str = "ghl") -> Effect:
    return Effect(vendor, "update", f"p{number}", f"update:{number}", {"n": number})


STORMS = {
    "1 second": (seconds("1"), 1.0),
    "2 minutes": (seconds("120"), 120.0),
    "a date": (a_date(20), 20.0),
    "garbage": (seconds("soon; very"), FALLBACK),
    "negative": (seconds("-1"), FALLBACK),
    "an hour": (seconds("3600"), 120.0),
}


@pytest.mark.requirement("F3", "R3", "R4", "R6", "I8")
@pytest.mark.parametrize("kind", STORMS)
async def test_a_storm_of_429_loses_nothing_and_hammers_nobody(settings_for: Make, kind: str) -> None:
    header, asked_for = STORMS[kind]
    clock = TeamClock()
    vendor = Vendor(clock, header)
    async with opened(settings_for(**LIVE), clock, vendor) as kernel:
        queue, other = Queue(kernel, clock), Queue(kernel, clock)
        for number in range(OPERATIONS):
            queue.put(operation(number), number * 0.01)
        for number in range(0, MINUTES * 60, 5):
            other.put(operation(10_000 + number, "apify"), number)
        await asyncio.gather(*(queue.work() for _ in range(WORKERS)), other.work())
        await _check_retries(kernel)
    end = END.timestamp()
    in_storm = Counter(path for at, path in vendor.asked if at < end)
    assert max(in_storm.values()) <= 4, in_storm.most_common(3)
    assert len(queue.done) == OPERATIONS  # nothing was lost
    assert min(queue.done.values()) - end <= 2 * asked_for
    late = [at - START.timestamp() - 5 * number for number, at in enumerate(vendor.others)]
    assert len(late) == MINUTES * 60 / 5
    assert max(late) < 1  # the other vendor noticed nothing


async def _check_retries(kernel: Kernel) -> None:
    """Retries were a tenth of the calls in the two minutes before each, but for the few that are always allowed."""
    rows = await kernel.store.read(
        lambda c: c.exec_driver_sql("SELECT slot, calls, retries FROM traffic WHERE vendor='ghl'").all()
    )
    least = kernel.settings.vendor("ghl").file.retry.budget_least
    for slot in [slot for slot, _, retries in rows if retries]:
        window = [row for row in rows if slot - 12 < row[0] <= slot]
        calls, retries = sum(row[1] for row in window), sum(row[2] for row in window)
        assert retries <= max(least, 0.1 * calls)


@pytest.mark.requirement("F3", "K1")
async def test_the_kill_switch_works_in_the_middle_of_a_storm(settings_for: Make) -> None:
    clock = TeamClock()
    vendor = Vendor(clock, seconds("1"))
    async with opened(settings_for(**LIVE), clock, vendor) as kernel:
        queue, killed = Queue(kernel, clock), []
        for number in range(OPERATIONS):
            queue.put(operation(number), 0)

        async def kill() -> None:
            async with clock.working():
                await clock.sleep(60)
                await kernel.switches.kill(actor="ada", reason="storm")
                killed.append(len(vendor.asked))

        with pytest.raises(AssertionError, match="kill_switch"):
            await asyncio.gather(queue.work(), kill())
        assert killed == [len(vendor.asked)]
        assert killed[0] > 0
