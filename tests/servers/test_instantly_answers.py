"""What Instantly's answers mean: by status, whatever shape the body has, and without a word of it in what we say."""

import json
from collections.abc import AsyncIterator, Callable
from itertools import product

import httpx
import pytest

from servers.instantly.api import MAIL, RULES
from shared.errors import Fatal, Invalid, Retryable, SwarmError
from shared.kernel import open_kernel
from shared.settings import Settings
from tests.orchestrator.world import Leaping
from tests.servers.instantly_world import World, open_world

TEXT = "no such thing for jane@corp.example"
SHAPES: dict[str, bytes] = {
    "as published": json.dumps({"statusCode": 0, "error": "Bad", "message": TEXT}).encode(),
    "an error alone": json.dumps({"error": TEXT}).encode(),
    "text": TEXT.encode(),
    "a page": f"<html>{TEXT}</html>".encode(),
    "nothing": b"",
}
# Status, what it is, our word for it where it is Instantly's own, and how often it is asked for.
MEANINGS: list[tuple[int, type[SwarmError], str, int]] = [
    (400, Invalid, "", 1),
    (401, Fatal, "credentials", 1),
    (402, Fatal, "no_plan", 1),
    (403, Fatal, "scope", 1),
    (404, Invalid, "", 1),
    (413, Invalid, "too_large", 1),
    (422, Invalid, "", 1),
    (429, Retryable, "", 4),
    (500, Retryable, "", 4),
    (503, Retryable, "", 4),
]


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it; whoever waits arrives at once."""
    async with open_world(settings_for, clock=Leaping()) as opened:
        yield opened


@pytest.mark.requirement("I7", "R4")
async def test_a_status_means_the_same_in_each_shape_and_is_asked_for_again_only_where_that_helps(
    settings_for: Callable[..., Settings],
) -> None:
    answers: list[tuple[int, bytes]] = []
    asked: list[httpx.Request] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, said = answers[-1]
        return httpx.Response(status, content=said, headers={"retry-after": "0"})

    async with open_kernel(settings_for(), transport=httpx.MockTransport(vendor)) as kernel:
        client = kernel.client("instantly", RULES)
        for (status, kind, code, most), said in product(MEANINGS[:7], SHAPES.values()):
            answers.append((status, said))
            before = len(asked)
            with pytest.raises(kind) as told:
                await client.read("GET", "/api/v2/campaigns")
            assert told.value.code == code or not code, (status, told.value.code)
            assert TEXT not in f"{told.value} {told.value.message}"
            assert "jane" not in told.value.message
            assert len(asked) - before == most
    assert {request.headers["user-agent"] for request in asked} == {"alpha-swarm/0.1"}


@pytest.mark.parametrize(("status", "kind", "code", "most"), MEANINGS[7:])
async def test_what_passes_is_tried_again_four_times_at_most(
    world: World, status: int, kind: type[SwarmError], code: str, most: int
) -> None:
    del code
    await world.fault(kind="status", path="/campaigns$", status=status, times=-1, message=TEXT)
    with pytest.raises(kind) as told:
        await world.instantly.api.campaigns()
    assert "jane" not in told.value.message
    assert len(await world.requests("GET", "/campaigns")) == most


async def test_the_limits_are_below_those_that_are_published(world: World) -> None:
    limits = {one.name: one for one in world.kernel.settings.vendor("instantly").file.limits}
    published = {"burst": (100, 1), "minute": (6_000, 60), MAIL: (20, 60)}
    for name, (calls, seconds) in published.items():
        assert limits[name].seconds == seconds
        assert limits[name].calls <= calls


async def test_the_default_name_of_a_library_is_refused_and_ours_is_not(world: World) -> None:
    theirs = {"authorization": "Bearer other", "user-agent": "Python-urllib/3.11"}
    assert (await world.http.get("/api/v2/campaigns", headers=theirs)).status_code == 403
    assert (await world.instantly.api.campaigns()).items == ()
