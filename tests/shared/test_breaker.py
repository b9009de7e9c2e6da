"""A vendor account that keeps failing is left alone, by every process, never for one failure; and taken up again."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx
import pytest
import sqlalchemy as sa
import structlog.testing

from shared import traffic
from shared.breaker import LONGEST, standing, too_many
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.gate import Permit
from shared.kernel import Kernel
from shared.precedence import going_first
from shared.retry import Operation
from shared.schema import traffic as table
from shared.settings import Settings
from shared.traffic import KEPT_SECONDS, Traffic
from shared.vendor_rules import BreakerRules
from tests.shared.world import HandClock, contact, json_answer, opened

Make = Callable[..., Settings]
RULES = BreakerRules()
LIVE = {"SAFE_MODE": "false", "GHL_API_KEY": "pit-12345678", "GHL_BASE_URL": "https://vendor.example"}


@dataclass
class Vendor:
    """Answers with `status` until it is told otherwise, and counts."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    asked: int = 0

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return json_answer({"id": "x"}, self.status, self.headers)


@dataclass
class World:
    kernel: Kernel
    clock: HandClock
    vendor: Vendor

    async def read(self, number: int = 0) -> str:
        """One read without retries; the code of its error."""
        try:
            await self.kernel.client("ghl").read("GET", f"/contacts/{number}")
        except SwarmError as error:
            return error.code
        return ""

    async def submit(self, effect: Effect) -> Outcome:
        async def perform(permit: Permit) -> Receipt:
            await self.kernel.client("ghl").write(permit, "POST", "/contacts/")
            return Receipt("r")

        return await self.kernel.gate.submit(effect, perform)

    async def break_it(self) -> None:
        for number in range(RULES.least_calls):
            await self.read(number)
        assert await self.state() == "open"

    async def state(self) -> str:
        return (await self.kernel.store.read(lambda c: standing(c, "ghl"))).state


def patient(settings: Settings, retries: int = 0, **breaker: float) -> Settings:
    """The same settings, with so many retries at GHL."""
    vendor = settings.vendors["ghl"]
    retry = vendor.file.retry.model_copy(update={"retries": retries})
    rules = BreakerRules.model_validate({**RULES.model_dump(), **breaker})
    file = vendor.file.model_copy(update={"retry": retry, "breaker": rules})
    return replace(settings, vendors={**settings.vendors, "ghl": replace(vendor, file=file)})


@asynccontextmanager
async def world_of(settings: Settings) -> AsyncIterator[World]:
    clock, vendor = HandClock(), Vendor()
    async with opened(settings, clock, vendor) as kernel:
        yield World(kernel, clock, vendor)


@pytest.fixture
async def world(settings_for: Make) -> AsyncIterator[World]:
    async with world_of(patient(settings_for(**LIVE))) as made:
        yield made


# ── opening ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("R6")
@pytest.mark.parametrize(
    ("calls", "failures", "opens"),
    [
        (1, 1, False),
        (9, 9, False),
        (10, 5, True),
        (10, 4, False),
        (100, 50, True),
        (100, 49, False),
        (0, 3, False),
    ],
)
def test_it_takes_several_calls_and_half_of_them_failed(calls: int, failures: int, opens: bool) -> None:
    assert too_many(RULES, Traffic(calls, failures=failures)) is opens


@pytest.mark.requirement("R6")
def test_no_configuration_lets_one_failure_open_it() -> None:
    with pytest.raises(ValueError, match="least_calls"):
        BreakerRules(least_calls=1)


@pytest.mark.requirement("R6")
async def test_a_vendor_that_fails_again_and_again_is_left_alone(world: World) -> None:
    for number in range(RULES.least_calls - 1):
        assert await world.read(number) == "server_error"
        assert await world.state() == "closed"
    await world.read(99)
    assert await world.state() == "open"
    assert await world.read(100) == "breaker_open"
    assert world.vendor.asked == RULES.least_calls


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_a_refusal_of_what_we_asked_is_an_answer(world: World, status: int) -> None:
    world.vendor.status = status
    for number in range(30):
        await world.read(number)
    assert await world.state() == "closed"
    assert world.vendor.asked == 30


async def test_a_few_failures_among_many_answers_open_nothing(world: World) -> None:
    for number in range(60):
        world.vendor.status = 503 if number % 3 == 0 else 200
        await world.read(number)
    assert await world.state() == "closed"


async def test_failures_of_long_ago_count_no_more(world: World) -> None:
    for number in range(RULES.least_calls - 1):
        await world.read(number)
    world.clock.move(RULES.seconds + 20)
    await world.read(99)
    assert await world.state() == "closed"


async def test_one_vendors_failures_are_not_anothers(world: World) -> None:
    await world.break_it()
    assert (await world.kernel.store.read(lambda c: standing(c, "instantly"))).state == "closed"


async def test_another_process_leaves_it_alone_as_well(settings_for: Make) -> None:
    settings = patient(settings_for(**LIVE))
    async with world_of(settings) as one, world_of(settings) as other:
        await one.break_it()
        assert await other.read() == "breaker_open"
        assert other.vendor.asked == 0


# ── open ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_while_it_is_open_an_effect_is_refused_and_told_when_to_ask_again(world: World) -> None:
    await world.break_it()
    outcome = await world.submit(contact())
    assert (outcome.status, outcome.reason) == ("refused", "breaker_open")
    assert outcome.detail["retry_after"] == pytest.approx(RULES.open_seconds)
    assert world.vendor.asked == RULES.least_calls
    world.vendor.status = 200
    world.clock.move(RULES.open_seconds)
    assert (await world.submit(contact())).status == "applied"  # nothing was lost


async def test_a_read_fails_at_once_and_says_when_to_ask_again(world: World) -> None:
    await world.break_it()
    began = world.clock.now()
    with pytest.raises(NotSent) as told:
        await world.kernel.client("ghl").read("GET", "/x")
    assert told.value.retry_after == pytest.approx(RULES.open_seconds)
    assert world.clock.now() == began


async def test_it_lasts_as_long_as_the_vendor_asks(world: World) -> None:
    world.vendor.headers = {"retry-after": "90"}
    world.vendor.status = 503
    await world.break_it()
    world.clock.move(89)
    assert await world.read() == "breaker_open"
    world.clock.move(1.1)
    world.vendor.status = 200
    assert await world.read() == ""


@pytest.mark.requirement("R7")
async def test_what_stops_somebody_still_goes(world: World) -> None:
    await world.break_it()
    stop = contact(action="set_dnc", stops=True, repeatable=True)
    assert (await world.submit(stop)).status == "in_doubt"
    assert world.vendor.asked == RULES.least_calls + 1
    assert await world.state() == "open"
    world.vendor.status = 200
    assert (await world.submit(contact("b@corp.example", action="set_dnc", stops=True))).status == "applied"
    assert await world.state() == "closed"


async def test_a_call_that_was_claimed_before_it_opened_is_not_sent(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        await world.break_it()
        asked.append(world.vendor.asked)
        await world.kernel.client("ghl").write(permit, "POST", "/contacts/")
        return Receipt("r")

    asked: list[int] = []
    outcome = await world.kernel.gate.submit(contact(), perform)
    assert (outcome.status, outcome.reason) == ("failed", "breaker_open")
    assert [world.vendor.asked] == asked


# ── half open ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("probes", [1, 3])
async def test_so_many_probes_go_out_and_the_others_wait(settings_for: Make, probes: int) -> None:
    async with world_of(patient(settings_for(**LIVE), probes=probes)) as world:
        await world.break_it()
        world.clock.move(RULES.open_seconds)
        admission = world.kernel.client("ghl")._admission
        assert [await admission.turn(Operation(f"o{n}"), "", again=False) for n in range(probes)] == [
            True
        ] * probes
        with pytest.raises(NotSent) as told:
            await admission.turn(Operation("more"), "", again=False)
        assert (told.value.code, 0 < told.value.retry_after <= 1) == ("breaker_open", True)
        assert await world.state() == "half_open"


async def test_a_probe_that_fails_opens_it_again(world: World) -> None:
    await world.break_it()
    world.clock.move(RULES.open_seconds)
    assert await world.read() == "server_error"
    assert await world.state() == "open"
    assert await world.read() == "breaker_open"


@pytest.mark.requirement("R6")
async def test_a_probe_that_is_answered_closes_it_and_old_failures_are_forgotten(world: World) -> None:
    await world.break_it()
    world.clock.move(RULES.open_seconds)
    world.vendor.status = 404
    assert await world.read() == "not_found"  # an answer, too
    assert await world.state() == "closed"
    world.vendor.status = 503
    for number in range(RULES.least_calls - 1):
        await world.read(number)
        assert await world.state() == "closed"


async def test_a_probe_whose_process_died_holds_nobody_up_for_longer_than_a_call(world: World) -> None:
    await world.break_it()
    world.clock.move(RULES.open_seconds)
    await world.kernel.client("ghl")._admission.turn(Operation("dies"), "", again=False)
    world.clock.move(world.kernel.settings.safety.call_deadline_seconds)
    world.vendor.status = 200
    assert await world.read() == ""


async def test_a_clock_that_went_back_does_not_keep_it_open(world: World) -> None:
    await world.break_it()
    world.clock.move(-LONGEST - 60)
    world.vendor.status = 200
    assert await world.read() == ""


# ── retries ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("R6")
async def test_retries_stop_at_their_budget(settings_for: Make) -> None:
    async with world_of(patient(settings_for(**LIVE), retries=1, least_calls=10_000)) as world:
        codes = [await world.read(number) for number in range(150)]
        lately = await world.kernel.store.read(lambda c: c.execute(sa.select(table)).all())
    calls, retries = sum(row.calls for row in lately), sum(row.retries for row in lately)
    assert calls == world.vendor.asked
    assert 10 <= retries <= 0.1 * calls + 1
    assert codes[:10] == ["server_error"] * 10
    assert codes[-1] in {"retry_budget", "server_error"}
    assert "retry_budget" in codes


async def test_a_stop_is_tried_again_whatever_the_budget(settings_for: Make) -> None:
    async with world_of(patient(settings_for(**LIVE), retries=3, least_calls=10_000)) as world:
        for number in range(40):
            await world.read(number)
        asked = world.vendor.asked
        await world.submit(contact(action="set_dnc", stops=True, repeatable=True))
        assert world.vendor.asked == asked + 4


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_is_old_is_added_up_and_stays_small(world: World) -> None:
    now = 1_000_000.0
    for minute in range(180):
        at = now + 60 * minute
        await world.kernel.store.write(lambda c, at=at: traffic.count(c, "v", at, Traffic(2, 1, 1, 0.5)))
    rows = await world.kernel.store.read(
        lambda c: c.execute(sa.select(table).where(table.c.vendor == "v")).all()
    )
    assert len(rows) <= KEPT_SECONDS / 60 + 2
    assert (sum(r.calls for r in rows), sum(r.retries for r in rows)) == (360, 180)
    assert (sum(r.failures for r in rows), sum(r.waited for r in rows)) == (180, 90)


async def test_a_wait_is_counted(world: World) -> None:
    world.vendor.status = 200
    await world.kernel.limits.block("ghl", 7)
    await world.read()
    rows = await world.kernel.store.read(lambda c: c.execute(sa.select(table.c.waited)).scalars().all())
    assert sum(rows) == pytest.approx(7)


@pytest.mark.parametrize("error", [Invalid("x"), Fatal("x"), None])
async def test_how_a_call_ended_is_not_written_where_nothing_changes(
    world: World, error: SwarmError | None
) -> None:
    admission = world.kernel.client("ghl")._admission
    world.kernel.store.close()
    with structlog.testing.capture_logs() as said:
        await admission.ended(Operation("o"), "", error, probing=False)
    assert said == []


@pytest.mark.parametrize("error", [Retryable("x"), InDoubt("x"), NotSent("x")])
async def test_an_end_that_cannot_be_written_takes_nothing_from_the_caller(
    world: World, error: SwarmError
) -> None:
    admission = world.kernel.client("ghl")._admission
    world.kernel.store.close()
    with structlog.testing.capture_logs() as said:
        await admission.ended(Operation("o"), "", error, probing=False)
        await admission.heard("", {"X-RateLimit-Remaining": "0"}, 0)
    assert [line["event"] for line in said] == ["admission.end_not_noted", "admission.headers_not_noted"]


async def test_a_stop_goes_through_a_half_open_breaker_as_a_probe_too_many(world: World) -> None:
    await world.break_it()
    world.clock.move(RULES.open_seconds)
    admission = world.kernel.client("ghl")._admission
    assert await admission.turn(Operation("probe"), "", again=False)
    with going_first():
        assert await admission.turn(Operation("stop"), "", again=False)
