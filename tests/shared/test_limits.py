"""Rate limits that no window ever exceeds, whoever calls; stops before all others; what a vendor says is believed."""

import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from shared.effect import Receipt
from shared.errors import NotSent
from shared.gate import Permit
from shared.kernel import Kernel
from shared.limits import LONGEST_WAIT, Place
from shared.precedence import goes_first, going_first
from shared.settings import Settings
from shared.tool import writes
from shared.vendor_rules import Limit
from tests.shared.world import HandClock, contact, opened

pytestmark = pytest.mark.both_databases

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


BURST = Limit(name="burst", calls=10, seconds=10, for_stops=0)
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
    assert rows == 2 * 10  # of each ring


# ── what stops somebody goes first ───────────────────────────────────────────────────────────────────────
KEPT = Limit(name="burst", calls=10, seconds=10, for_stops=2)


@pytest.fixture
async def keeping(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(limited(settings_for(SAFE_MODE="false"), KEPT), clock) as made:
        yield made


async def place_of(kernel: Kernel, place: Place | None = None, **more: bool) -> Place:
    """One look at the limit, without waiting."""
    return await kernel.store.write(lambda c: kernel.limits.enter(c, "ghl", place, **more))


async def test_ordinary_calls_leave_room_for_stops(keeping: Kernel, clock: HandClock) -> None:
    ordinary = [await place_of(keeping) for _ in range(9)]
    assert [place.goes for place in ordinary] == [True] * 8 + [False]
    stops = [await place_of(keeping, first=True) for _ in range(3)]
    assert [place.goes for place in stops] == [True, True, False]


@pytest.mark.requirement("R1")
@pytest.mark.parametrize(("late", "turns"), [(0.0, 1), (MARGIN / 3, 1), (MARGIN, 2), (3.0, 2)])
async def test_who_is_told_of_its_turn_too_late_takes_another(
    keeping: Kernel, clock: HandClock, late: float, turns: int
) -> None:
    checked: list[str] = []

    def goes(_: sa.Connection) -> None:
        checked.append("goes")
        clock.move(late)  # a busy machine: the transaction is over, and nobody gets to run

    await keeping.limits.pace("ghl", check=lambda _: checked.append("check"), goes=goes)
    assert checked == ["check", "goes"]  # it is one call
    left = [await place_of(keeping) for _ in range(9)]
    assert sum(place.goes for place in left) == 8 - turns


@pytest.mark.requirement("R7")
async def test_a_stop_goes_before_everybody_who_queues(keeping: Kernel, clock: HandClock) -> None:
    queue = [await place_of(keeping) for _ in range(100)]
    waiting = [place for place in queue if not place.goes]
    assert len(waiting) == 92
    assert max(place.at for place in waiting) > clock.now().timestamp() + 100
    stops = [await place_of(keeping, first=True) for _ in range(12)]
    began = clock.now().timestamp()
    assert [place.at - began for place in stops[:2]] == [0, 0]  # what was kept for them
    # The vendor takes ten more in the next window: they are all the stops', though eight had queued for it.
    assert [place.at - began for place in stops[2:]] == [pytest.approx(10 + MARGIN)] * 10


@pytest.mark.requirement("R1", "R7")
async def test_who_was_overtaken_waits_and_no_window_is_ever_over_full(
    keeping: Kernel, clock: HandClock
) -> None:
    chance, went = random.Random(7), []
    waiting: list[tuple[bool, Place]] = []
    while len(went) < 300:
        for stops in [chance.random() < 0.3 for _ in range(chance.randrange(4))]:
            waiting.append((stops, await place_of(keeping, first=stops)))
        left = []
        for stops, place in waiting:
            if not place.goes and place.at <= clock.now().timestamp():
                place = await place_of(keeping, place, first=stops)
            if place.goes:
                went.append(clock.now().timestamp())
            else:
                left.append((stops, place))
        waiting = left
        clock.move(chance.random())
    assert most_in_a_window(went, 10) <= 10


async def test_ordinary_calls_go_in_the_order_they_came(keeping: Kernel, clock: HandClock) -> None:
    places = [await place_of(keeping) for _ in range(20)]
    assert [place.at for place in places] == sorted(place.at for place in places)
    assert places[-1].at > places[0].at


async def test_a_booked_moment_that_was_slept_past_is_not_used(keeping: Kernel, clock: HandClock) -> None:
    for _ in range(12):
        await place_of(keeping, first=True)
    place = await place_of(keeping, first=True)
    clock.move(place.at - clock.now().timestamp() + 60)
    later = await place_of(keeping, place, first=True)
    assert later.goes
    assert later.at == pytest.approx(clock.now().timestamp())


async def test_a_stop_waits_for_a_429_like_everybody(keeping: Kernel, clock: HandClock) -> None:
    for _ in range(10):
        await place_of(keeping, first=True)
    place = await place_of(keeping, first=True)
    await keeping.limits.block("ghl", 100)
    clock.move(place.at - clock.now().timestamp())
    again = await place_of(keeping, place, first=True)
    assert not again.goes
    assert again.at >= clock.now().timestamp() + 80


@pytest.mark.requirement("R7")
async def test_what_is_done_for_a_stop_goes_first_its_reads_included(
    keeping: Kernel, clock: HandClock
) -> None:
    for _ in range(50):
        await place_of(keeping)
    with going_first():
        await keeping.limits.pace("ghl")
    assert clock.slept == []
    await keeping.limits.pace("ghl")
    assert sum(clock.slept) > 10


@pytest.mark.requirement("R7")
async def test_a_stop_passes_the_gate_while_the_queue_is_full(keeping: Kernel, clock: HandClock) -> None:
    for _ in range(100):
        await place_of(keeping)

    async def perform(permit: Permit) -> Receipt:
        await keeping.limits.pace("ghl")  # a read that belongs to it
        return Receipt("r")

    outcome = await keeping.gate.submit(contact(action="set_dnc", stops=True, repeatable=True), perform)
    assert (outcome.status, clock.slept) == ("applied", [])
    assert not goes_first()


async def test_a_tool_that_stops_goes_first_with_all_it_does() -> None:
    async def look(_: object) -> bool:
        return goes_first()

    assert await writes("Stop", stops=True)(look).function(None) is True
    assert await writes("Do")(look).function(None) is False


async def test_who_waits_for_a_named_limit_stands_in_nobodys_way(kernel: Kernel, clock: HandClock) -> None:
    for _ in range(3):
        await kernel.store.write(lambda c: kernel.limits.enter(c, "ghl", extra="emails"))
    await kernel.limits.pace("ghl")
    assert clock.slept == []


async def test_a_file_that_does_not_say_keeps_some_for_stops() -> None:
    assert [Limit(calls=calls, seconds=1).kept for calls in (1, 2, 100, 101)] == [0, 1, 2, 3]
    assert Limit(calls=100, seconds=1, only_when_named=True).kept == 0
    with pytest.raises(ValidationError, match="for_stops"):
        Limit(calls=4, seconds=1, for_stops=4)


# ── after a 429 ──────────────────────────────────────────────────────────────────────────────────────────
async def rate_of(kernel: Kernel, clock: HandClock, extra: str = "") -> int:
    """Calls that go at once after a window without any."""
    clock.move(10 + MARGIN)
    went = 0
    while (await kernel.store.write(lambda c: kernel.limits.enter(c, "ghl", extra=extra, longest=0))).goes:
        went += 1
    return went


async def test_a_429_slows_everybody_down_and_the_rate_grows_back(
    settings_for: Make, clock: HandClock
) -> None:
    settings = limited(settings_for(), BURST)
    recovers = settings.vendors["ghl"].file.slowdown.recovers_seconds
    async with opened(settings, clock) as one, opened(settings, clock) as two:
        assert await rate_of(two, clock) == 10
        await one.limits.block("ghl", 1)
        rates = [await rate_of(two, clock)]
        while rates[-1] < 10:
            clock.move(recovers / 10)
            rates.append(await rate_of(two, clock))
    assert rates[0] == 5
    assert rates == sorted(rates)
    assert len(rates) > 3


async def test_many_429s_of_one_moment_count_once_and_later_ones_again(
    kernel: Kernel, clock: HandClock
) -> None:
    for _ in range(20):
        await kernel.limits.block("ghl", 1)
    assert await rate_of(kernel, clock) == 5
    for _ in range(40):
        clock.move(10)
        await kernel.limits.block("ghl", 1)
    assert await rate_of(kernel, clock) == 2  # never none: nobody would learn that it is over


async def test_a_429_of_a_limit_of_its_own_leaves_the_others_alone(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.block("ghl", 100, "emails")
    await kernel.limits.pace("ghl")
    assert clock.slept == []
    await kernel.limits.pace("ghl", "emails")
    assert sum(clock.slept) == pytest.approx(100)
    assert await rate_of(kernel, clock) == 10


# ── what the vendor's headers say ────────────────────────────────────────────────────────────────────────
TELLING = Limit(
    name="burst", calls=10, seconds=10, for_stops=0, remaining_header="X-Left", limit_header="X-Most"
)
DAILY = Limit(name="daily", calls=1_000, seconds=86_400, for_stops=50, remaining_header="X-Left-Today")


@pytest.fixture
async def told(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(limited(settings_for(SAFE_MODE="false"), TELLING, DAILY), clock) as made:
        yield made


async def hear(kernel: Kernel, **headers: object) -> None:
    now = kernel.clock.now().timestamp()
    named = {name.replace("_", "-").title(): str(value) for name, value in headers.items()}
    await kernel.limits.heard("ghl", "", named, now)


async def test_calls_that_others_made_are_counted_as_ours(told: Kernel, clock: HandClock) -> None:
    await told.limits.pace("ghl")
    await hear(told, x_left=3, x_most=10)
    assert [(await place_of(told)).goes for _ in range(4)] == [True, True, True, False]


async def test_what_only_we_did_is_not_counted_twice(told: Kernel, clock: HandClock) -> None:
    for left in range(9, 3, -1):
        await told.limits.pace("ghl")
        await hear(told, x_left=left, x_most=10)
    assert [(await place_of(told)).goes for _ in range(5)] == [True] * 4 + [False]


async def test_an_old_answer_takes_nothing_away(told: Kernel, clock: HandClock) -> None:
    for _ in range(10):
        await told.limits.pace("ghl")
    sent = clock.now().timestamp()
    clock.move(10 + MARGIN)
    await told.limits.heard("ghl", "", {"X-Left": "0", "X-Most": "10"}, sent)
    assert (await place_of(told)).goes


async def test_a_limit_that_is_lower_than_we_thought_is_kept_for_an_hour(
    told: Kernel, clock: HandClock
) -> None:
    await told.limits.pace("ghl")
    await hear(told, x_left=3, x_most=4)
    assert await rate_of(told, clock) == 4
    await hear(told, x_left=0, x_most=400)
    clock.move(3_600)
    assert await rate_of(told, clock) == 10


async def test_a_day_that_is_nearly_used_up_is_left_to_stops(told: Kernel, clock: HandClock) -> None:
    await told.limits.pace("ghl")
    await hear(told, x_left_today=50)
    assert not (await place_of(told)).goes
    assert (await place_of(told, first=True)).goes
    clock.move(901)
    assert (await place_of(told)).goes


@pytest.mark.parametrize("text", ["", "-1", "soon", "1e3", "١٢", "9" * 30, "4, 5", "3.5", "0x4"])
async def test_a_header_that_is_no_number_of_calls_is_not_believed(told: Kernel, text: str) -> None:
    now = told.clock.now().timestamp()
    await told.limits.heard("ghl", "", {"X-Left": text, "X-Most": text, "X-Left-Today": text}, now)
    assert (await place_of(told)).goes


async def test_a_header_that_the_file_does_not_name_is_not_read(told: Kernel) -> None:
    await hear(told, x_ratelimit_remaining=0, x_ratelimit_reset=999_999)
    assert (await place_of(told)).goes


async def test_a_stop_too_is_told_when_the_vendor_takes_no_call_in_time(
    kernel: Kernel, clock: HandClock
) -> None:
    await kernel.limits.block("ghl", 60)
    with pytest.raises(NotSent) as error:
        await kernel.limits.pace("ghl", first=True, longest=10)
    assert error.value.retry_after == pytest.approx(60, abs=1)
    assert clock.slept == []


async def test_a_moment_that_is_over_is_not_waited_for(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.wait_until(clock.now().timestamp() - 1)
    assert clock.slept == []
