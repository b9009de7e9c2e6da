"""A vendor whose clock isn't ours is noticed, and time-outs don't care."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import httpx
import pytest
import sqlalchemy as sa

from shared.kernel import Kernel
from shared.schema import vendor_clock
from shared.settings import Settings
from shared.skew import difference
from shared.vendor_standing import vendors
from tests.shared.world import HandClock, json_answer, opened

Make = Callable[..., Settings]
SENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()
LIVE = {"SAFE_MODE": "false", "GHL_API_KEY": "pit-12345678", "GHL_BASE_URL": "https://vendor.example"}


def date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC), usegmt=True)


@pytest.mark.requirement("F7")
@pytest.mark.parametrize(
    ("ahead", "seconds"),
    [
        (0, 0),
        (4, 0),
        (-1, 0),
        (6, 0),
        (7, 2),
        (-2, -2),
        (61, 56),
        (-61, -61),
        (3_600, 3_595),
        (-86_400, -86_400),
    ],
)
def test_a_date_within_the_call_is_right_and_any_other_differs(ahead: float, seconds: float) -> None:
    assert difference({"date": date(SENT + ahead)}, SENT, SENT + 5) == seconds


@pytest.mark.parametrize("text", ["", "yesterday", "-1", "Mon, 99 Foo 2026 09:00:00 GMT", "9" * 400])
def test_a_date_that_cannot_be_read_tells_nothing(text: str) -> None:
    assert difference({"date": text}, SENT, SENT) == 0
    assert difference({}, SENT, SENT) == 0


class Vendor:
    """Its clock is so far ahead of ours."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.ahead = 0.0

    async def __call__(self, _: httpx.Request) -> httpx.Response:
        return json_answer({}, headers={"date": date(self.clock.now().timestamp() + self.ahead)})


async def noted(kernel: Kernel) -> list[float]:
    query = sa.select(vendor_clock.c.seconds)
    return await kernel.store.read(lambda c: list(c.execute(query).scalars()))


async def shown(kernel: Kernel) -> float:
    accounts, now = kernel.settings.vendors, kernel.clock.now()
    return (await kernel.store.read(lambda c: vendors(c, accounts, now)))["ghl"].clock_ahead_seconds


@pytest.mark.requirement("F7")
@pytest.mark.parametrize("ahead", [-600.0, 600.0, 90_000.0])
async def test_a_clock_that_differs_is_noted_and_forgotten_when_it_no_longer_does(
    settings_for: Make, ahead: float
) -> None:
    clock = HandClock()
    vendor = Vendor(clock)
    async with opened(settings_for(**LIVE), clock, vendor) as kernel:
        client = kernel.client("ghl")
        await client.read("GET", "/x")
        assert await noted(kernel) == []
        vendor.ahead = ahead
        await client.read("GET", "/x")
        assert await noted(kernel) == [pytest.approx(ahead, abs=2)]
        assert await shown(kernel) == pytest.approx(ahead, abs=2)
        vendor.ahead = 0
        await client.read("GET", "/x")
        assert await noted(kernel) == []


async def test_it_is_not_written_down_again_with_every_answer(settings_for: Make) -> None:
    clock = HandClock()
    vendor = Vendor(clock)
    async with opened(settings_for(**LIVE), clock, vendor) as kernel:
        client = kernel.client("ghl")
        vendor.ahead = 600
        await client.read("GET", "/x")
        vendor.ahead = 900
        await client.read("GET", "/x")
        assert await noted(kernel) == [pytest.approx(600, abs=2)]
        clock.move(61)
        await client.read("GET", "/x")
        assert await noted(kernel) == [pytest.approx(900, abs=2)]


async def test_a_clock_that_nobody_has_heard_of_for_an_hour_is_no_news(settings_for: Make) -> None:
    clock = HandClock()
    vendor = Vendor(clock)
    vendor.ahead = 600
    async with opened(settings_for(**LIVE), clock, vendor) as kernel:
        await kernel.client("ghl").read("GET", "/x")
        clock.move(3_601)
        assert await shown(kernel) == 0


@pytest.mark.requirement("F7")
@pytest.mark.parametrize("jump", [3_600.0, -3_600.0])
async def test_the_time_a_call_has_does_not_depend_on_the_wall_clock(settings_for: Make, jump: float) -> None:
    clock = HandClock()

    async def jumps(_: httpx.Request) -> httpx.Response:
        ticks = clock.ticks
        clock.move(jump)
        clock.ticks = ticks  # only the wall clock jumped
        return json_answer({}, 503) if len(asked) < 2 else json_answer({"id": "x"})

    asked: list[int] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(1)
        return await jumps(request)

    async with opened(settings_for(**LIVE), clock, answer) as kernel:
        assert (await kernel.client("ghl").read("GET", "/x")).data == {"id": "x"}
    assert len(asked) == 2
