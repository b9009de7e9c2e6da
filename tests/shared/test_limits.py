"""Rate limits that no window ever exceeds, whoever calls, and budgets that stop."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from shared.errors import NotSent
from shared.kernel import Kernel
from shared.limits import LONGEST_WAIT
from shared.settings import Limit, Settings
from tests.shared.world import HandClock, contact, opened

Make = Callable[..., Settings]
MARGIN = 0.3


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def limited(settings: Settings, *limits: Limit) -> Settings:
    """The same settings, with these limits for GHL."""
    vendor = settings.vendors["ghl"]
    file = vendor.file.model_copy(update={"limits": limits})
    return replace(settings, vendors={**settings.vendors, "ghl": replace(vendor, file=file)})


BURST = Limit(name="burst", calls=10, seconds=10)
NAMED = Limit(name="emails", calls=2, seconds=60, only_when_named=True)


@pytest.fixture
async def kernel(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(limited(settings_for(SAFE_MODE="false"), BURST, NAMED), clock) as made:
        yield made


def most_in_a_window(moments: list[float], seconds: float) -> int:
    return max(sum(start <= at < start + seconds for at in moments) for start in moments)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.requirement("R1")
async def test_no_sliding_window_ever_holds_more_than_allowed(
    kernel: Kernel, clock: HandClock, seed: int
) -> None:
    chance = random.Random(seed)
    moments = []
    for _ in range(60):
        clock.move(chance.choice([0, 0, 0, 0.1, 1, 5, 11]) * chance.random())
        await kernel.limits.pace("ghl")
        moments.append(clock.now().timestamp())
    assert most_in_a_window(moments, 10 + MARGIN) <= 10


async def test_the_allowed_rate_is_nearly_used_up(kernel: Kernel, clock: HandClock) -> None:
    began = clock.now()
    for _ in range(101):
        await kernel.limits.pace("ghl")
    assert (clock.now() - began).total_seconds() == pytest.approx(10 * (10 + MARGIN))


@pytest.mark.requirement("R1")
async def test_two_processes_share_one_limit(settings_for: Make, clock: HandClock) -> None:
    settings = limited(settings_for(), BURST)
    moments = []
    async with opened(settings, clock) as one, opened(settings, clock) as two:
        for n in range(40):
            await (one, two)[n % 2].limits.pace("ghl")
            moments.append(clock.now().timestamp())
    assert most_in_a_window(moments, 10 + MARGIN) <= 10


@pytest.mark.parametrize(("before", "after"), [(10, 4), (4, 10)])
async def test_a_limit_that_was_changed_holds_from_the_first_call(
    settings_for: Make, clock: HandClock, before: int, after: int
) -> None:
    moments = []
    for calls in (before, after):
        changed = limited(settings_for(), Limit(name="burst", calls=calls, seconds=10))
        async with opened(changed, clock) as kernel:
            for _ in range(before):
                await kernel.limits.pace("ghl")
                moments.append(clock.now().timestamp())
    assert most_in_a_window(moments, 10) <= max(before, after)
    assert most_in_a_window(moments[before:], 10) <= after


async def test_a_named_limit_counts_only_calls_that_name_it(kernel: Kernel, clock: HandClock) -> None:
    for _ in range(5):
        await kernel.limits.pace("ghl")
    assert clock.slept == []
    for _ in range(3):
        await kernel.limits.pace("ghl", "emails")
    assert sum(clock.slept) == pytest.approx(60 + MARGIN)


async def test_a_vendor_without_limits_does_not_wait(settings_for: Make, clock: HandClock) -> None:
    async with opened(limited(settings_for()), clock) as kernel:
        for _ in range(50):
            await kernel.limits.pace("ghl")
    assert clock.slept == []


@pytest.mark.requirement("R3")
async def test_a_429_holds_everybody_back(settings_for: Make, clock: HandClock) -> None:
    settings = limited(settings_for(), BURST)
    async with opened(settings, clock) as one, opened(settings, clock) as two:
        await one.limits.block("ghl", 30)
        await two.limits.pace("ghl")
    assert sum(clock.slept) == pytest.approx(30)


async def test_a_429_also_holds_back_who_waits_already(kernel: Kernel, clock: HandClock) -> None:
    for _ in range(10):
        await kernel.limits.pace("ghl")
    began = clock.now()

    class Interrupted(HandClock):
        async def sleep(self, seconds: float) -> None:
            first = not clock.slept
            await clock.sleep(seconds)
            if first:
                await kernel.limits.block("ghl", 100)

    kernel.limits._clock = Interrupted()
    kernel.limits._clock.now = clock.now  # type: ignore[method-assign]
    await kernel.limits.pace("ghl")
    assert (clock.now() - began).total_seconds() >= 100


async def test_a_shorter_block_does_not_end_a_longer_one(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.block("ghl", 100)
    await kernel.limits.block("ghl", 1)
    await kernel.limits.pace("ghl")
    assert sum(clock.slept) == pytest.approx(100)


@pytest.mark.requirement("R3")
async def test_a_vendor_cannot_block_us_for_ever(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.block("ghl", 10**9)
    clock.move(3_601)
    await kernel.limits.pace("ghl")
    assert clock.slept == []


async def test_who_would_wait_too_long_is_told_and_takes_no_place(kernel: Kernel, clock: HandClock) -> None:
    for _ in range(10):
        await kernel.limits.pace("ghl")
    with pytest.raises(NotSent) as told:
        await kernel.limits.pace("ghl", longest=5)
    assert told.value.retry_after == pytest.approx(10 + MARGIN)
    await kernel.limits.pace("ghl")
    assert sum(clock.slept) == pytest.approx(10 + MARGIN)


@pytest.mark.requirement("F7")
async def test_a_clock_that_went_back_is_not_waited_for(kernel: Kernel, clock: HandClock) -> None:
    for _ in range(10):
        await kernel.limits.pace("ghl")
    clock.move(-24 * 3600)
    await kernel.limits.pace("ghl")
    assert sum(clock.slept) <= 10 + MARGIN + 0.001
    moments = []
    for _ in range(20):
        await kernel.limits.pace("ghl")
        moments.append(clock.now().timestamp())
    assert most_in_a_window(moments, 10) <= 10


async def test_a_clock_that_went_back_a_little_costs_that_little(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.pace("ghl")
    clock.move(-60)
    await kernel.limits.pace("ghl")
    assert sum(clock.slept) == pytest.approx(60)
    assert LONGEST_WAIT > 60


async def test_only_the_last_moments_are_kept(kernel: Kernel) -> None:
    for _ in range(35):
        await kernel.limits.pace("ghl")
    rows = await kernel.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM rate_slot").scalar())
    assert rows == 10


async def test_a_budget_without_a_cap_is_unlimited(kernel: Kernel) -> None:
    state = await kernel.limits.budget("ghl")
    assert (state.limit, state.spent, state.day) == (-1, 0, "2026-03-02")


async def test_giving_back_more_than_was_spent_leaves_nothing(kernel: Kernel) -> None:
    effect = contact(cost=3)

    def change(connection: object) -> None:
        kernel.limits.give_back(connection, [(effect, "2026-03-02")])  # type: ignore[arg-type]

    await kernel.store.write(change)
    assert (await kernel.limits.budget("ghl")).spent == 0
