"""Every order of two or three who are at the same effect, and every instant at which somebody stops it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import pytest
import structlog

from shared.effect import Effect, Outcome
from tests.shared.world import leave_claimed
from tests.simulation.history import Op
from tests.simulation.installation import PEOPLE, Installation, installed, operation, wanted
from tests.simulation.scheduler import Scheduler, interrupted

CI, SOAK = 300, 10_000
AT_ONCE = 100  # interleavings on one installation
BEGINNINGS = ("fresh", "fresh", "claimed by a dead process", "in doubt")
FAULTS = ("", "", "", "drop_after", "late", "reset", "unreachable", "429", "400", "error_body")
MOST_AWAITS = 60
PERSON = PEOPLE[0]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Deaths are logged with all they know; hundreds of them take longer than the rest."""
    with structlog.testing.capture_logs():
        yield


def another(world: Installation, kind: str, number: int) -> tuple[Effect, Op]:
    """Something nobody has asked for yet."""
    op = operation(kind, PERSON, number)
    world.checker.knows([op])
    return wanted(kind, PERSON, number), op


async def begin(world: Installation, effect: Effect, beginning: str) -> None:
    """How it stands before anybody is at it."""
    if beginning == "claimed by a dead process":
        await leave_claimed(world.processes[0].kernel, effect)
    elif beginning == "in doubt":
        wire = world.processes[0].wire
        wire.plan = ["drop_after"]
        await world.submit(0, effect)


async def interleave(world: Installation, seed: int) -> None:
    """One order of some submissions of one effect."""
    dice = random.Random(seed)
    effect, op = another(world, dice.choice(("contact", "enrol")), seed)
    if op.needs_yes:
        effect = replace(effect, approval=await world.approve(0, effect))
    await begin(world, effect, dice.choice(BEGINNINGS))
    who = [dice.randrange(len(world.processes)) for _ in range(dice.choice((2, 2, 3)))]
    for process in world.processes:
        process.wire.plan = [dice.choice(FAULTS)]
    submissions = {f"{n}@{process}": world.submit(process, effect) for n, process in enumerate(who)}
    scheduler = Scheduler(dice)
    outcomes: dict[str, Outcome] = await scheduler.run(submissions)
    for process in world.processes:
        process.wire.plan = []
    statuses, *_ = await world.check()
    told = f"seed {seed}: {scheduler.order} {outcomes} {world.checker.found}"
    assert world.checker.found.nothing, told
    assert [one.status for one in outcomes.values()].count("applied") <= 1, told
    assert statuses[op.key] in {"applied", "in_doubt", "failed"}, told
    healed = await world.submit(0, effect)
    await world.check()
    assert healed.done, f"{told} {healed}"
    assert world.checker.found.nothing, f"{told} {healed}"


async def interleave_many(seeds: range) -> None:
    for first in range(seeds.start, seeds.stop, AT_ONCE):
        async with installed() as world:
            for seed in range(first, min(first + AT_ONCE, seeds.stop)):
                await interleave(world, seed)


@pytest.mark.requirement("I1", "I2", "G4", "F9")
async def test_in_any_order_of_two_or_three_one_acts() -> None:
    await interleave_many(range(CI))


@pytest.mark.requirement("F9")
@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_in_ten_thousand_orders_of_two_or_three_one_acts() -> None:
    await interleave_many(range(CI, CI + SOAK))


# ── somebody stops it, at every await ────────────────────────────────────────────────────────────────────
Stop = Callable[[Installation, int, Effect], Awaitable[None]]


async def _suppress(world: Installation, number: int, effect: Effect) -> None:
    await world.suppress(number, PERSON)


async def _kill(world: Installation, number: int, effect: Effect) -> None:
    await world.kill(number)


async def _revoke(world: Installation, number: int, effect: Effect) -> None:
    await world.revoke(number, effect.approval)


async def _expire(world: Installation, number: int, effect: Effect) -> None:
    world.clock.move(world.settings.safety.approvals.expires_hours * 3_600)


async def _pause(world: Installation, number: int, effect: Effect) -> None:
    await world.processes[number].kernel.switches.pause("campaign:c1", actor="ada", reason="wait")


async def _rehearse(world: Installation, number: int, effect: Effect) -> None:
    await world.processes[number].kernel.switches.engage_safe_mode(actor="ada", reason="wait")


STOPS: dict[str, tuple[Stop, str]] = {
    "an opt-out": (_suppress, "suppressed"),
    "a kill": (_kill, "kill_switch"),
    "a yes taken back": (_revoke, "needs_approval"),
    "a yes that expires": (_expire, "approval_expired"),
    "a pause": (_pause, "paused"),
    "safe mode": (_rehearse, "safe_mode"),
}


async def _relax(world: Installation) -> None:
    """All as before."""
    await world.release(0)
    await world.lift(0, PERSON)
    switches = world.processes[0].kernel.switches
    await switches.resume("campaign:c1", actor="root", reason="go on")
    await switches.leave_safe_mode(actor="root", reason="go on")


@pytest.mark.requirement("I3", "K1", "A2", "A4", "U3", "F15")
@pytest.mark.parametrize("number", [0, 1], ids=["by the same process", "by another process"])
@pytest.mark.parametrize("fault", ["", "429", "in doubt"])
@pytest.mark.parametrize("stop", STOPS)
async def test_a_stop_at_any_await_of_a_send_is_obeyed_from_there_on(
    stop: str, fault: str, number: int
) -> None:
    act, reason = STOPS[stop]
    ends: list[str] = []
    async with installed(on_the_wire=1) as world:
        for after in range(MOST_AWAITS):
            effect, _ = another(world, "enrol", 1_000 + after)
            effect = replace(effect, approval=await world.approve(0, effect))
            if fault == "in doubt":
                world.processes[0].wire.plan = ["reset"]
                await world.submit(0, effect)
            else:
                world.processes[0].wire.plan = [fault]

            async def intrude(_: object, effect: Effect = effect) -> None:
                await act(world, number, effect)

            outcome, came_so_far = await interrupted(world.submit(0, effect), after, intrude)
            await world.check()
            assert world.checker.found.nothing, f"at await {after}: {outcome} {world.checker.found}"
            ends.append(_in_a_word(outcome, reason))
            await _relax(world)
            if not came_so_far:
                break
    _check_shape(ends)


def _in_a_word(outcome: Outcome, reason: str) -> str:
    if outcome.reason == reason:
        return "refused"
    # Its time may also have been over before the next try: not sent is not sent.
    return "stopped" if outcome.reason in {"stopped", "too_late", "rate_limited"} else outcome.status


def _check_shape(ends: list[str]) -> None:
    """Before the claim it is refused; after it, or between two tries, it isn't sent; once it has left, it is done."""
    shape = [end for n, end in enumerate(ends) if n == 0 or ends[n - 1] != end]
    assert shape[0] == "refused", ends
    assert shape[-1] == "applied", ends
    assert len(ends) < MOST_AWAITS, ends
    assert shape[1:-1] == ["stopped"], ends


# ── it ends itself, at every await ───────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("I1", "I2", "I8", "D1", "F10")
@pytest.mark.parametrize("end", ["death", "cancellation"])
@pytest.mark.parametrize("fault", ["", "429", "late", "in doubt"])
async def test_whatever_ends_a_send_at_any_await_loses_and_doubles_nothing(end: str, fault: str) -> None:
    async with installed() as world:
        for after in range(MOST_AWAITS):
            effect, _ = another(world, "contact", 1_000 + after)
            world.processes[0].wire.plan = ["reset" if fault == "in doubt" else fault]
            if fault == "in doubt":
                await world.submit(0, effect)

            async def intrude(task: "asyncio.Task[object]") -> None:
                await (world.processes[0].die() if end == "death" else _cancel(task))

            _, came_so_far = await interrupted(world.submit(0, effect), after, intrude)
            world.processes[0].wire.plan = []
            if end == "death":
                await world.restart(0)
            healed = await world.submit(1, effect)
            await world.check()
            assert healed.done, f"at await {after}: {healed}"
            assert world.checker.found.nothing, f"at await {after}: {healed} {world.checker.found}"
            if not came_so_far:
                break
        assert 4 <= after < MOST_AWAITS - 1


async def _cancel(task: "asyncio.Task[object]") -> None:
    task.cancel()
