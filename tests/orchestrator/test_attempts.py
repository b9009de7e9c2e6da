"""One operation is attempted four times, whoever tries again: the request, the gate, a stage of the pipeline, or all.

Counted where it counts, at a vendor on a real socket; time is moved by hand.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from orchestrator.app import App
from orchestrator.pipeline import _told
from shared.effect import Receipt
from shared.errors import Retryable, SwarmError
from shared.gate import Permit
from shared.kernel import Kernel
from shared.sandbox import serve
from shared.settings import Settings
from shared.telemetry import correlated
from shared.vendor_rules import RetryRules
from tests.shared.world import HandClock, contact, opened

RULES = RetryRules()
Make = Callable[..., Settings]
Layer = Callable[[Kernel], Awaitable[object]]


@dataclass
class Vendor:
    """Answers with one status, and notes when it was asked for what."""

    clock: HandClock
    status: int
    asked: list[float] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        if request.url.path == "/well":
            return JSONResponse({})
        self.asked.append(self.clock.monotonic())
        return JSONResponse({}, self.status)

    @property
    def most(self) -> int:
        """Calls within any `RULES.unanswered_seconds`."""
        return max(
            sum(at <= other < at + RULES.unanswered_seconds for other in self.asked) for at in self.asked
        )


@asynccontextmanager
async def world(settings_for: Make, status: int) -> AsyncIterator[tuple[Kernel, Vendor]]:
    clock = HandClock()
    vendor = Vendor(clock, status)
    app = Starlette(routes=[Route("/{path:path}", vendor.answer, methods=["GET", "POST"])])
    async with serve(app) as url:
        settings = settings_for(SAFE_MODE="false", GHL_BASE_URL=url)
        account = settings.vendors["ghl"]
        # Only attempts are to hold it back here.
        breaker = account.file.breaker.model_copy(update={"least_calls": 10_000})
        file = account.file.model_copy(update={"breaker": breaker, "limits": ()})
        settings = replace(settings, vendors={**settings.vendors, "ghl": replace(account, file=file)})
        async with opened(settings, clock) as kernel:
            yield kernel, vendor


async def a_read(kernel: Kernel) -> None:
    await kernel.client("ghl").read("GET", "/contacts/x")


async def an_effect(kernel: Kernel) -> None:
    async def perform(permit: Permit) -> Receipt:
        await kernel.client("ghl").write(permit, "POST", "/contacts/")
        return Receipt("r")

    outcome = await kernel.gate.submit(contact(repeatable=True), perform)
    if not outcome.done:
        raise Retryable("not done", code=outcome.reason)


def again(layer: Layer, times: int = 5) -> Layer:
    """Whoever called it calls it again, at once."""

    async def called(kernel: Kernel) -> None:
        for _ in range(times):
            try:
                await layer(kernel)
            except SwarmError:
                continue

    return called


def stage(layer: Layer) -> Layer:
    """The same as a stage of the pipeline, which runs again by itself."""

    async def run(app: App) -> None:
        await layer(app.kernel)

    async def called(kernel: Kernel) -> None:
        app = App(kernel, None, None, {})  # type: ignore[arg-type]  # the stage asks for the kernel only
        assert "failed" in await _told(app, run)

    return called


COMBINATIONS: dict[str, Layer] = {
    "a request": again(a_read, 1),
    "a request asked for again": again(a_read),
    "an effect": again(an_effect, 1),
    "an effect submitted again": again(an_effect),
    "a stage that reads": stage(a_read),
    "a stage that submits": stage(an_effect),
    "a stage, started again": again(stage(an_effect), 3),
}


@pytest.mark.requirement("R4")
@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("name", COMBINATIONS)
async def test_an_operation_is_attempted_four_times_whoever_tries_again(
    settings_for: Make, name: str, status: int
) -> None:
    async with world(settings_for, status) as (kernel, vendor):
        await COMBINATIONS[name](kernel)
        assert vendor.most == RULES.attempts


@pytest.mark.requirement("R4", "I8")
async def test_who_made_all_attempts_is_told_when_to_ask_again_and_may_then(settings_for: Make) -> None:
    async with world(settings_for, 503) as (kernel, vendor):
        with correlated():
            await _told_and_may_then(kernel, vendor)


async def _told_and_may_then(kernel: Kernel, vendor: Vendor) -> None:
    await again(a_read)(kernel)
    with pytest.raises(Retryable) as told:
        await a_read(kernel)
    assert told.value.code == "attempts_spent"
    assert RULES.attempts_seconds < told.value.retry_after <= RULES.unanswered_seconds
    await kernel.client("ghl").read("GET", "/well")
    with pytest.raises(Retryable) as told:
        await a_read(kernel)
    assert told.value.retry_after <= RULES.attempts_seconds  # the vendor is there again
    await kernel.clock.sleep(told.value.retry_after)
    vendor.status = 200
    await a_read(kernel)


@pytest.mark.requirement("R4", "F14")
async def test_a_look_that_comes_by_itself_is_asked_for_anew_after_two_minutes(settings_for: Make) -> None:
    async with world(settings_for, 503) as (kernel, vendor):
        await again(a_read)(kernel)
        with pytest.raises(Retryable) as told:
            await a_read(kernel)
        assert (told.value.code, told.value.retry_after <= RULES.attempts_seconds) == ("attempts_spent", True)
        await kernel.clock.sleep(told.value.retry_after)
        vendor.status = 200
        await a_read(kernel)


async def test_many_who_ask_for_the_same_at_once_are_all_answered(settings_for: Make) -> None:
    async with world(settings_for, 200) as (kernel, vendor), anyio.create_task_group() as tasks:
        for _ in range(3 * RULES.attempts):
            tasks.start_soon(a_read, kernel)
    assert len(vendor.asked) == 3 * RULES.attempts
