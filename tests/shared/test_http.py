"""The way out: what is retried, what is never sent again, and what an answer is taken for."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

import anyio
import httpx
import pytest
from pydantic import ValidationError

from shared.effect import Effect, Outcome, Receipt
from shared.errors import Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.gate import Permit
from shared.http import ApiClient, ErrorRow
from shared.kernel import Kernel
from shared.safety_rules import SafetyFile
from shared.sandbox import serve
from shared.settings import Settings
from tests.shared.world import HandClock, contact, json_answer, opened, stricter

Make = Callable[..., Settings]
Reply = httpx.Response | Exception | Callable[[], Awaitable[None]]


@dataclass
class Wire:
    """The vendor's end: what it is asked, and what it answers, in turn; then 200."""

    replies: list[Reply] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        reply = self.replies.pop(0) if self.replies else json_answer({"id": "x1"})
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, httpx.Response):
            return reply
        await reply()
        return json_answer({})


@dataclass
class World:
    """A kernel whose vendor is `wire`."""

    kernel: Kernel
    clock: HandClock
    wire: Wire
    client: ApiClient

    async def submit(self, effect: Effect | None = None, writes: int = 1) -> Outcome:
        """Send an effect by so many writes."""

        async def perform(permit: Permit) -> Receipt:
            answer = await self.client.write(permit, "POST", "/contacts/", json={"a": 1})
            for _ in range(writes - 1):
                answer = await self.client.write(await permit.again(), "POST", "/contacts/x1/tags", json={})
            return Receipt(str(answer.data.get("id", "")))

        return await self.kernel.gate.submit(effect or contact(), perform)


@asynccontextmanager
async def world_of(settings: Settings, rules: tuple[ErrorRow, ...] = ()) -> AsyncIterator[World]:
    clock, wire = HandClock(), Wire()
    async with opened(settings, clock, wire) as kernel:
        yield World(kernel, clock, wire, kernel.client("ghl", rules))


@pytest.fixture
async def world(settings_for: Make) -> AsyncIterator[World]:
    settings = settings_for(
        SAFE_MODE="false", GHL_API_KEY="pit-12345678", GHL_BASE_URL="https://vendor.example"
    )
    async with world_of(settings) as made:
        yield made


LOST = httpx.ReadTimeout("no answer")
REFUSED = httpx.ConnectError("refused")


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_read_is_parsed_and_carries_the_key(world: World) -> None:
    answer = await world.client.read("GET", "/contacts/x1", params={"a": "b"})
    assert (answer.status, answer.data) == (200, {"id": "x1"})
    request = world.wire.asked[0]
    assert str(request.url) == "https://vendor.example/contacts/x1?a=b"
    assert request.headers["authorization"] == "Bearer pit-12345678"


async def test_headers_may_depend_on_the_path(world: World) -> None:
    def versions(path: str) -> dict[str, str]:
        return {"Version": path.split("/")[1], "Authorization": "Bearer renewed"}

    client = world.kernel.client("ghl", headers=versions)
    await client.read("GET", "/contacts/x1")
    await client.read("GET", "/locations/x1")
    assert [request.headers["version"] for request in world.wire.asked] == ["contacts", "locations"]
    assert {request.headers["authorization"] for request in world.wire.asked} == {"Bearer renewed"}


@pytest.mark.parametrize(
    "trouble", [LOST, REFUSED, httpx.Response(500), httpx.Response(408), httpx.Response(429)]
)
async def test_a_read_is_tried_again(world: World, trouble: Reply) -> None:
    world.wire.replies = [trouble, trouble]
    assert (await world.client.read("GET", "/contacts/x1")).status == 200
    assert len(world.wire.asked) == 3


@pytest.mark.requirement("R4")
async def test_a_read_is_tried_four_times_at_most(world: World) -> None:
    world.wire.replies = [httpx.Response(503)] * 9
    with pytest.raises(Retryable):
        await world.client.read("GET", "/contacts/x1")
    assert len(world.wire.asked) == 4


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Invalid),
        (401, Fatal),
        (402, Fatal),
        (403, Fatal),
        (404, Invalid),
        (409, Invalid),
        (413, Invalid),
        (422, Invalid),
        (418, Invalid),
        (302, Invalid),
    ],
)
async def test_a_refusal_is_not_tried_again(world: World, status: int, kind: type[SwarmError]) -> None:
    world.wire.replies = [json_answer({"message": "secret words of the vendor"}, status)]
    with pytest.raises(kind) as told:
        await world.client.read("GET", "/contacts/x1")
    assert len(world.wire.asked) == 1
    assert (told.value.status, told.value.body) == (status, {"message": "secret words of the vendor"})
    assert "secret words" not in str(told.value)


@pytest.mark.requirement("X8")
async def test_a_redirect_is_not_followed(world: World) -> None:
    world.wire.replies = [httpx.Response(302, headers={"location": "https://evil.example/"})]
    with pytest.raises(Invalid):
        await world.client.read("GET", "/contacts/x1")
    assert [request.url.host for request in world.wire.asked] == ["vendor.example"]


async def test_an_empty_answer_is_an_empty_object(world: World) -> None:
    world.wire.replies = [httpx.Response(204)]
    assert (await world.client.read("GET", "/contacts/x1")).data == {}


@pytest.mark.parametrize("body", [b"<html>", b'{"a":', b"null", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.requirement("D6", "F4")
async def test_an_answer_that_cannot_be_read_is_lost(world: World, body: bytes) -> None:
    world.wire.replies = [httpx.Response(200, content=body)] * 4
    with pytest.raises(Retryable):
        await world.client.read("GET", "/contacts/x1")


async def test_an_answer_that_is_not_what_its_header_says_is_lost(world: World) -> None:
    headers = {"content-encoding": "gzip"}
    world.wire.replies = [
        httpx.Response(200, headers=headers, stream=httpx.ByteStream(b"no")) for _ in range(4)
    ]
    with pytest.raises(Retryable):
        await world.client.read("GET", "/contacts/x1")


@pytest.mark.requirement("F4")
async def test_an_answer_larger_than_allowed_is_not_kept(world: World) -> None:
    huge = b"[" + b"1," * (world.client.vendor.file.max_answer_bytes // 2) + b"1]"
    world.wire.replies = [httpx.Response(200, content=huge)] * 4
    with pytest.raises(Retryable):
        await world.client.read("GET", "/contacts/x1")


async def test_a_vendors_own_row_comes_first(settings_for: Make) -> None:
    row = ErrorRow(400, "QUOTA", Fatal, "quota", "the plan is used up")
    async with world_of(settings_for(SAFE_MODE="false"), (row,)) as world:
        world.wire.replies = [
            httpx.Response(400, text="Your quota is used up"),
            httpx.Response(400, text="bad"),
        ]
        with pytest.raises(Fatal) as told:
            await world.client.read("GET", "/x")
        assert told.value.code == "quota"
        with pytest.raises(Invalid):
            await world.client.read("GET", "/x")


@pytest.mark.parametrize(
    "path",
    [
        "contacts",
        "@evil.example/x",
        "//evil.example/x",
        "/a/../b",
        "/a/..",
        "/./a",
        "/a/%2e%2e/b",
        "/a%2Fb",
        "/a\\b",
        "/a?b=c",
        "/a#b",
        "/a b",
        "/a\r\nHost: evil",
        "/ä",
        "/a/%00",
    ],
)
@pytest.mark.requirement("X8", "F20")
async def test_an_identifier_cannot_become_another_address(world: World, path: str) -> None:
    with pytest.raises(Invalid):
        await world.client.read("GET", path)
    assert world.wire.asked == []


async def test_what_is_no_json_is_not_sent(world: World) -> None:
    with pytest.raises(Invalid):
        await world.client.read("GET", "/contacts/search", json={"n": float("nan")})
    assert world.wire.asked == []


@pytest.mark.requirement("R3", "F3")
async def test_a_429_blocks_the_bucket_for_as_long_as_the_vendor_says(world: World) -> None:
    world.wire.replies = [httpx.Response(429, headers={"retry-after": "7"})]
    began = world.clock.now()
    await world.client.read("GET", "/x")
    assert (world.clock.now() - began).total_seconds() >= 7


@pytest.mark.requirement("R5", "F3")
async def test_a_retry_after_beyond_the_deadline_is_left_to_the_caller(world: World) -> None:
    world.wire.replies = [httpx.Response(429, headers={"retry-after": "300"})]
    with pytest.raises(Retryable) as told:
        await world.client.read("GET", "/x")
    assert (told.value.retry_after, len(world.wire.asked)) == (120, 1)  # our own cap


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_write_happens(world: World) -> None:
    outcome = await world.submit()
    assert (outcome.status, outcome.reference, len(world.wire.asked)) == ("applied", "x1", 1)


@pytest.mark.parametrize(
    "trouble", [REFUSED, httpx.ConnectTimeout("x"), httpx.PoolTimeout("x"), httpx.Response(429)]
)
@pytest.mark.requirement("F2")
async def test_a_write_that_certainly_did_not_arrive_is_tried_again(world: World, trouble: Reply) -> None:
    world.wire.replies = [trouble, trouble]
    assert (await world.submit()).status == "applied"
    assert len(world.wire.asked) == 3


@pytest.mark.parametrize(
    "trouble",
    [
        LOST,
        httpx.WriteTimeout("x"),
        httpx.ReadError("cut"),
        httpx.RemoteProtocolError("cut"),
        httpx.Response(500),
        httpx.Response(502),
        httpx.Response(503),
        httpx.Response(504),
        httpx.Response(408),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b'{"id": "x'),
        httpx.Response(201, content=b"null"),
    ],
)
@pytest.mark.requirement("D1", "F1")
async def test_a_write_whose_answer_is_lost_is_never_sent_again(world: World, trouble: Reply) -> None:
    world.wire.replies = [trouble]
    assert (await world.submit()).status == "in_doubt"
    assert (await world.submit()).status == "in_doubt"
    assert len(world.wire.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 425])
async def test_a_write_that_the_vendor_refused_has_failed(world: World, status: int) -> None:
    world.wire.replies = [httpx.Response(status)]
    assert (await world.submit()).status == "failed"
    assert len(world.wire.asked) == 1


async def test_what_may_be_repeated_is_sent_again(world: World) -> None:
    world.wire.replies = [LOST, httpx.Response(500)]
    assert (await world.submit(contact(repeatable=True))).status == "applied"
    assert len(world.wire.asked) == 3


async def test_a_try_that_may_have_arrived_is_not_forgotten_over_a_later_one(world: World) -> None:
    world.wire.replies = [LOST, httpx.Response(409)]
    assert (await world.submit(contact(repeatable=True))).status == "in_doubt"


@pytest.mark.requirement("R4", "K2")
async def test_a_stop_between_two_tries_ends_the_trying(world: World) -> None:
    async def killed() -> None:
        await world.kernel.switches.kill(actor="ada", reason="now")
        raise REFUSED

    world.wire.replies = [killed]
    outcome = await world.submit()
    assert (outcome.status, outcome.reason, len(world.wire.asked)) == ("failed", "stopped", 1)


async def test_a_stop_after_a_try_that_may_have_arrived_leaves_the_doubt(world: World) -> None:
    async def killed() -> None:
        await world.kernel.switches.kill(actor="ada", reason="now")
        raise LOST

    world.wire.replies = [killed]
    outcome = await world.submit(contact(repeatable=True))
    assert (outcome.status, len(world.wire.asked)) == ("in_doubt", 1)


@pytest.mark.requirement("K1")
async def test_a_second_write_is_not_sent_after_a_stop(world: World) -> None:
    async def killed() -> None:
        await world.kernel.switches.kill(actor="ada", reason="now")

    world.wire.replies = [killed]
    outcome = await world.submit(writes=2)
    assert (outcome.status, outcome.reason, len(world.wire.asked)) == ("in_doubt", "stopped", 1)


async def test_the_second_write_of_a_batch_asks_again_whether_it_may(world: World) -> None:
    effects = [contact(f"p{n}@corp.example") for n in range(2)]

    async def killed() -> None:
        await world.kernel.switches.kill(actor="ada", reason="now")

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        ended: dict[str, Receipt | SwarmError] = {}
        for key, permit in permits.items():
            try:
                ended[key] = Receipt(str((await world.client.write(permit, "POST", "/contacts/")).status))
            except SwarmError as error:
                ended[key] = error
        return ended

    world.wire.replies = [killed]
    outcomes = await world.kernel.gate.submit_batch(effects, many)
    assert [(o.status, o.reason) for o in outcomes] == [("applied", ""), ("failed", "stopped")]
    assert len(world.wire.asked) == 1


async def test_each_write_of_a_batch_has_its_own_place_in_the_rate_limit(world: World) -> None:
    calls = world.client.vendor.file.limits[0].calls
    effects = [contact(f"p{n}@corp.example") for n in range(calls + 1)]

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        for permit in permits.values():
            await world.client.write(permit, "POST", "/contacts/")
        return {key: Receipt("r") for key in permits}

    began = world.clock.now()
    await world.kernel.gate.submit_batch(effects, many)
    assert (world.clock.now() - began).total_seconds() >= world.client.vendor.file.limits[0].seconds


@pytest.mark.requirement("K2", "F7")
async def test_a_process_that_slept_between_claim_and_call_does_not_call(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        world.clock.move(3600)
        await world.client.write(permit, "POST", "/contacts/")
        return Receipt("r")

    outcome = await world.kernel.gate.submit(contact(), perform)
    assert (outcome.status, outcome.reason, world.wire.asked) == ("failed", "too_late", [])


async def test_a_write_does_not_wait_longer_for_its_turn_than_it_has_time(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        await world.kernel.limits.block("ghl", 100)
        await world.client.write(permit, "POST", "/contacts/", bucket="other")
        return Receipt("r")

    outcome = await world.kernel.gate.submit(contact(), perform)
    assert (outcome.status, outcome.reason, world.wire.asked) == ("failed", "rate_limited", [])


async def test_what_cannot_be_a_request_spends_no_permit(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        with pytest.raises(Invalid):
            await world.client.write(permit, "POST", "/contacts/../x")
        await world.client.write(permit, "POST", "/contacts/")
        return Receipt("r")

    assert (await world.kernel.gate.submit(contact(), perform)).status == "applied"


@pytest.mark.requirement("G1")
async def test_a_write_without_the_gates_permit_is_no_write(world: World) -> None:
    class Forged:
        effect = contact()

    with pytest.raises(AttributeError):
        await world.client.write(Forged(), "POST", "/contacts/")  # type: ignore[arg-type]
    assert world.wire.asked == []


@pytest.mark.requirement("F6")
async def test_an_effect_waits_for_a_real_vendor_that_hangs_no_longer_than_it_may(settings_for: Make) -> None:
    async def hang(scope: object, receive: object, send: object) -> None:
        await anyio.sleep(0.5)

    async with serve(hang) as url:  # type: ignore[arg-type]
        settings = settings_for(SAFE_MODE="false", GHL_BASE_URL=url)
        vendor = settings.vendors["ghl"]
        short = vendor.file.model_copy(
            update={"timeout": vendor.file.timeout.model_copy(update={"total": 0.1})}
        )
        settings = replace(settings, vendors={**settings.vendors, "ghl": replace(vendor, file=short)})
        async with opened(settings, HandClock()) as kernel:

            async def perform(permit: Permit) -> Receipt:
                with pytest.raises(InDoubt):
                    await kernel.client("ghl").write(permit, "POST", "/contacts/")
                raise InDoubt("lost")

            assert (await kernel.gate.submit(contact(), perform)).status == "in_doubt"


async def test_nobody_listening_is_certainly_not_sent(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false", GHL_BASE_URL="http://127.0.0.1:9")
    async with opened(settings) as kernel:
        with pytest.raises(NotSent):
            await kernel.client("ghl").read("GET", "/x")


@pytest.mark.requirement("G1")
async def test_a_write_that_calls_itself_a_read_is_not_sent(world: World) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        with pytest.raises(RuntimeError):
            await world.client.read(method, "/contacts/")
    assert world.wire.asked == []


async def test_a_post_that_was_declared_to_read_is_sent(world: World) -> None:
    client = world.kernel.client("ghl", reading={("POST", "/contacts/search")})
    assert (await client.read("POST", "/contacts/search", json={})).status == 200


# ── right before sending ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("K2")
async def test_a_call_whose_bytes_are_not_written_yet_is_stopped_by_a_kill(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        await world.kernel.switches.kill(actor="ada", reason="now")  # between the claim and the first byte
        await world.client.write(permit, "POST", "/contacts/")
        return Receipt("r")

    outcome = await world.kernel.gate.submit(contact(), perform)
    assert (outcome.status, outcome.reason, world.wire.asked) == ("failed", "stopped", [])


@pytest.mark.requirement("K2", "R4")
async def test_a_retry_is_stopped_by_a_kill(world: World) -> None:
    async def killed() -> None:
        await world.kernel.switches.kill(actor="ada", reason="now")
        raise REFUSED

    world.wire.replies = [killed]
    outcome = await world.submit()
    assert (outcome.status, outcome.reason, len(world.wire.asked)) == ("failed", "stopped", 1)


@pytest.mark.requirement("G8")
async def test_without_its_database_a_process_stops_calling(world: World) -> None:
    async def perform(permit: Permit) -> Receipt:
        world.kernel.store.close()
        await world.client.write(permit, "POST", "/contacts/")
        return Receipt("r")

    outcome = await world.kernel.gate.submit(contact(), perform)
    assert (outcome.reason, world.wire.asked) == ("log_unavailable", [])


@pytest.mark.requirement("G8")
async def test_a_retry_without_the_database_does_not_go_out(world: World) -> None:
    async def gone() -> None:
        world.kernel.store.close()
        raise REFUSED

    world.wire.replies = [gone]
    await world.submit()
    assert len(world.wire.asked) == 1


@pytest.mark.requirement("G8")
async def test_a_database_that_hangs_stops_a_call_within_the_lease(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false", GHL_BASE_URL="https://vendor.example")
    async with world_of(stricter(settings, lease_seconds=0.2)) as world:
        released = threading.Event()

        async def perform(permit: Permit) -> Receipt:
            hanging = [asyncio.create_task(world.kernel.store.read(lambda _: released.wait())) for _ in "ab"]
            await asyncio.sleep(0)  # both readers are taken
            began = time.monotonic()
            try:
                await world.client.write(permit, "POST", "/contacts/")
            finally:
                assert time.monotonic() - began < 10
                released.set()
                await asyncio.gather(*hanging)
            return Receipt("r")

        await world.kernel.gate.submit(contact(), perform)
        assert world.wire.asked == []


class Drowsy(HandClock):
    """The machine sleeps while the database reads."""

    nap = 0.0

    def now(self) -> datetime:
        if self.nap and threading.current_thread() is not threading.main_thread():
            self.move(self.nap)
            self.nap = 0.0
        return super().now()


@pytest.mark.requirement("G8")
@pytest.mark.parametrize(("nap", "sent"), [(4.9, 1), (5.1, 0)])
async def test_an_answer_of_the_database_is_good_for_the_lease_only(
    settings_for: Make, nap: float, sent: int
) -> None:
    clock, wire = Drowsy(), Wire()
    settings = settings_for(SAFE_MODE="false", GHL_BASE_URL="https://vendor.example")
    async with opened(stricter(settings, lease_seconds=5), clock, wire) as kernel:

        async def perform(permit: Permit) -> Receipt:
            clock.nap = nap
            await kernel.client("ghl").write(permit, "POST", "/contacts/")
            return Receipt("r")

        await kernel.gate.submit(contact(), perform)
    assert len(wire.asked) == sent


@pytest.mark.parametrize("seconds", [0, 11])
def test_a_lease_may_not_be_longer_than_ten_seconds(settings_for: Make, seconds: float) -> None:
    rules = settings_for().safety.model_dump()
    with pytest.raises(ValidationError):
        SafetyFile.model_validate({**rules, "lease_seconds": seconds})
