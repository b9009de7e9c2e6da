"""F3: a vendor that answers 429 to everything for ten minutes."""

from collections import Counter
from collections.abc import Iterator

import pytest
import structlog

from tests.simulation.installation import PEOPLE, Installation, installed, wanted

STORM = 600.0  # seconds
AT_MOST = 4  # tries of one operation, in one submission
ALWAYS = ["429"] * 100


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def sent(world: Installation) -> int:
    """Writes that left, whatever became of them."""
    return world.vendor.moments.count


@pytest.mark.requirement("F3", "R4", "R5")
@pytest.mark.parametrize("retry_after", ["1", "120", "date", "soon", "-1", "", "999999999"])
async def test_ten_minutes_of_429_cost_few_tries_and_lose_nothing(retry_after: str) -> None:
    async with installed() as world:
        wire = world.processes[0].wire
        wire.retry_after = retry_after
        began, asked, number = world.clock.monotonic(), Counter[str](), 0
        while world.clock.monotonic() - began < STORM:
            wire.plan = list(ALWAYS)
            before = sent(world)
            outcome = await world.submit(0, wanted("contact", PEOPLE[number % 3], 1))
            asked[outcome.status] += 1
            assert outcome.status in {"failed", "refused"}, outcome
            assert sent(world) - before <= AT_MOST
            number += 1
            world.clock.move(5.0)
        assert world.vendor.log == []
        wire.plan = []
        world.clock.move(3_600.0)  # what a vendor asks for is bounded by an hour
        for person in PEOPLE:
            assert (await world.submit(0, wanted("contact", person, 1))).status == "applied"
        await world.check()
        assert world.checker.found.nothing
        assert len(world.vendor.log) == len(PEOPLE)


@pytest.mark.requirement("F3", "R3")
async def test_a_storm_holds_back_every_process_and_no_other_vendor() -> None:
    async with installed() as world:
        first, second = world.processes
        first.wire.plan, first.wire.retry_after = ["429"], "120"
        assert (await world.submit(0, wanted("contact", PEOPLE[0], 1))).status == "failed"
        began = world.clock.monotonic()
        assert (await world.submit(1, wanted("stop", PEOPLE[0], 1))).status == "applied"
        assert world.clock.monotonic() - began < 1
        assert (await world.submit(1, wanted("contact", PEOPLE[1], 1))).status == "applied"
        assert 119 <= world.clock.monotonic() - began <= 2 * 120
        assert second.wire.plan == []


@pytest.mark.requirement("F3", "K1", "K2")
async def test_the_kill_switch_works_in_a_storm_and_ends_the_trying() -> None:
    async with installed() as world:
        wire = world.processes[0].wire
        wire.plan = ["stop_meanwhile", *ALWAYS]
        wire.meanwhile = lambda: world.kill(1)
        before = sent(world)
        outcome = await world.submit(0, wanted("contact", PEOPLE[0], 1))
        assert (outcome.status, outcome.reason) == ("failed", "stopped")
        assert sent(world) - before == 3  # one try; the kill was asked for, and had returned
        assert (await world.submit(1, wanted("contact", PEOPLE[1], 1))).reason == "kill_switch"
        await world.check()
        assert world.checker.found.nothing
