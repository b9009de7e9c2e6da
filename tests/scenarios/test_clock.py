"""F7: a clock that is wrong, jumps ahead, jumps back; what counts by days, by hours and by order."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from shared.kernel import Kernel
from shared.settings import Settings
from tests.shared.world import HandClock, Vendor, approve, contact, enrolment, opened, stricter

Make = Callable[..., Settings]
TEN_MINUTES = 600.0
HOUR = 3_600.0


@pytest.fixture
def clock() -> HandClock:
    """Ten past midnight: an hour back is yesterday."""
    return HandClock(datetime(2026, 3, 3, 0, 10, tzinfo=UTC))


@pytest.fixture
async def live(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    """At most two contacts a day."""
    settings = settings_for(SAFE_MODE="false")
    caps = settings.safety.caps.model_copy(update={"effects_per_day": {"ghl.create_contact": 2}})
    async with opened(stricter(settings, caps=caps), clock) as kernel:
        yield kernel


async def put(kernel: Kernel, *numbers: int) -> list[str]:
    """How each of these contacts ended."""
    outcomes = [await kernel.gate.submit(contact(f"p{n}@corp.example"), Vendor()) for n in numbers]
    return [outcome.reason or outcome.status for outcome in outcomes]


@pytest.mark.requirement("F7", "R2")
async def test_an_hour_back_and_forth_over_midnight_grants_no_day_twice(
    live: Kernel, clock: HandClock
) -> None:
    assert await put(live, 1, 2, 3) == ["applied", "applied", "limit"]
    clock.move(-HOUR)
    assert await put(live, 4, 5, 6) == ["applied", "applied", "limit"]
    clock.move(HOUR)
    assert await put(live, 7) == ["limit"]
    clock.move(-HOUR)
    assert await put(live, 8) == ["limit"]


@pytest.mark.requirement("F7", "R2")
@pytest.mark.parametrize("jump", [TEN_MINUTES, -300.0])
async def test_ten_minutes_off_within_a_day_grant_nothing(
    live: Kernel, clock: HandClock, jump: float
) -> None:
    assert await put(live, 1, 2) == ["applied", "applied"]
    clock.move(jump)
    assert await put(live, 3) == ["limit"]


@pytest.mark.requirement("F7")
async def test_a_leap_into_the_next_year_and_back_expires_a_yes_only_while_it_lasts(
    live: Kernel, clock: HandClock
) -> None:
    effect = enrolment(approval=await approve(live, enrolment()))
    year = timedelta(days=365).total_seconds()
    clock.move(year)
    assert (await live.gate.submit(effect, Vendor())).reason == "approval_expired"
    clock.move(-year)
    assert (await live.gate.submit(effect, Vendor())).status == "applied"


@pytest.mark.requirement("F7")
async def test_a_day_counts_in_utc_so_that_no_summer_time_makes_one_of_25_hours(
    live: Kernel, clock: HandClock
) -> None:
    clock.at = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # clocks in Europe go back at 01:00 UTC
    assert await put(live, 1, 2) == ["applied", "applied"]
    for _ in range(23):
        clock.move(HOUR)
        assert await put(live, 3) == ["limit"]
    clock.move(HOUR)
    assert await put(live, 3) == ["applied"]


@pytest.mark.requirement("F7")
@pytest.mark.parametrize("jump", [TEN_MINUTES, -TEN_MINUTES, -HOUR])
async def test_the_log_is_in_the_order_of_what_happened_whatever_the_clock_says(
    live: Kernel, clock: HandClock, jump: float
) -> None:
    await put(live, 1)
    clock.move(jump)
    await live.switches.kill(actor="ada", reason="now")
    assert await put(live, 2) == ["kill_switch"]
    told = [entry["kind"] for entry in reversed(await live.audit.tail())]
    assert told[-4:] == ["effect.claimed", "effect.applied", "switch.kill", "effect.refused"]
    assert (await live.audit.verify()).ok


@pytest.mark.requirement("F7", "R1")
async def test_a_clock_that_goes_back_does_not_make_room_in_a_vendors_window(
    live: Kernel, clock: HandClock
) -> None:
    limit = live.settings.vendor("ghl").file.limits[0]
    for _ in range(limit.calls):
        await live.limits.pace("ghl")
    clock.move(-TEN_MINUTES / 2)
    began = clock.monotonic()
    await live.limits.pace("ghl")
    assert clock.monotonic() - began >= limit.seconds


@pytest.mark.requirement("F7", "K1")
async def test_a_kill_outlasts_every_jump(live: Kernel, clock: HandClock) -> None:
    await live.switches.kill(actor="ada", reason="now")
    for jump in (-HOUR, 48 * HOUR, 365 * 24 * HOUR, -365 * 24 * HOUR):
        clock.move(jump)
        assert (await live.switches.now()).killed
