"""A vendor that hangs, at any byte, over real sockets: the call ends in time, and nothing of it is left behind.

The deadline is 30 s in the shipped files; here it is a second, so that the tests are quick. How much later than that a
call may end is the same.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
import pytest

from shared.effect import Receipt
from shared.errors import InDoubt, NotSent, Retryable
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings
from tests.shared.world import contact, stricter

Make = Callable[..., Settings]
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
DEADLINE = 1.0  # seconds
LATE = 1.0  # that a call may be over later
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n"
FOREVER = 3_600.0


@dataclass
class Vendor:
    """Counts who is connected."""

    answer: Answer
    url: str = ""
    open: set[asyncio.StreamWriter] = field(default_factory=set)
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        self.empty.clear()
        gone = asyncio.create_task(self._until_gone(reader))
        answer = asyncio.create_task(self._answered(writer))
        await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
        answer.cancel()
        gone.cancel()
        writer.close()
        self.open.discard(writer)
        if not self.open:
            self.empty.set()

    async def _answered(self, writer: asyncio.StreamWriter) -> None:
        await self.answer(writer)

    async def _until_gone(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65_536):
            self.asked += b" /" in data[:20]

    async def left_alone(self) -> None:
        """Wait until nobody is connected."""
        with anyio.fail_after(5):
            await self.empty.wait()


async def at_byte_1(writer: asyncio.StreamWriter) -> None:
    writer.write(b"H")
    await asyncio.sleep(FOREVER)


async def in_the_head(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD[:60])
    await asyncio.sleep(FOREVER)


async def in_the_body(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD + b'{"a":')
    await asyncio.sleep(FOREVER)


async def never(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(FOREVER)


async def byte_by_byte(writer: asyncio.StreamWriter) -> None:
    writer.write(HEAD)
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def well(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)
    body = b'{"id": "x"}'
    writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()


HANGS = {f.__name__: f for f in (never, at_byte_1, in_the_head, in_the_body, byte_by_byte)}


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[Vendor]:
    vendor = Vendor(answer)
    server = await asyncio.start_server(vendor, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield vendor


def hurried(settings: Settings, total: float = DEADLINE) -> Settings:
    """The same settings, with a short deadline, no limit in time and no retries at GHL."""
    vendor = settings.vendors["ghl"]
    timeout = vendor.file.timeout.model_copy(update={"total": total, "connect": total / 2, "read": 2 * total})
    retry = vendor.file.retry.model_copy(update={"retries": 0})
    file = vendor.file.model_copy(update={"timeout": timeout, "retry": retry, "limits": ()})
    settings = stricter(settings, call_deadline_seconds=max(1.0, total))
    return replace(settings, vendors={**settings.vendors, "ghl": replace(vendor, file=file)})


@asynccontextmanager
async def calling(settings_for: Make, url: str, total: float = DEADLINE) -> AsyncIterator[Kernel]:
    async with open_kernel(hurried(settings_for(SAFE_MODE="false", GHL_BASE_URL=url), total)) as kernel:
        yield kernel


@pytest.mark.requirement("F6")
@pytest.mark.parametrize("hang", HANGS)
async def test_a_read_of_a_vendor_that_hangs_ends_in_time(settings_for: Make, hang: str) -> None:
    async with listening(HANGS[hang]) as vendor, calling(settings_for, vendor.url) as kernel:
        began = time.monotonic()
        with pytest.raises(Retryable):
            await kernel.client("ghl").read("GET", "/x")
        assert DEADLINE * 0.95 <= time.monotonic() - began <= DEADLINE + LATE
        await vendor.left_alone()


@pytest.mark.requirement("F6")
@pytest.mark.parametrize("hang", HANGS)
async def test_a_write_to_a_vendor_that_hangs_ends_in_time_and_in_doubt(
    settings_for: Make, hang: str
) -> None:
    async with listening(HANGS[hang]) as vendor, calling(settings_for, vendor.url) as kernel:

        async def perform(permit: Permit) -> Receipt:
            await kernel.client("ghl").write(permit, "POST", "/contacts/")
            return Receipt("r")

        began = time.monotonic()
        outcome = await kernel.gate.submit(contact(), perform)
        assert outcome.status == "in_doubt"
        assert time.monotonic() - began <= DEADLINE + LATE
        await vendor.left_alone()
        assert vendor.asked == 1
        leases = await kernel.store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM lease").scalar())
        assert leases == 0  # the worker is free


@pytest.mark.requirement("F6")
async def test_retries_of_a_vendor_that_hangs_share_one_deadline(settings_for: Make) -> None:
    async with listening(never) as vendor:
        settings = hurried(settings_for(SAFE_MODE="false", GHL_BASE_URL=vendor.url))
        account = settings.vendors["ghl"]
        timeout = account.file.timeout.model_copy(update={"read": 0.3, "total": DEADLINE})
        retry = account.file.retry.model_copy(update={"retries": 3, "first_seconds": 0.01})
        file = account.file.model_copy(update={"timeout": timeout, "retry": retry})
        settings = replace(settings, vendors={**settings.vendors, "ghl": replace(account, file=file)})
        async with open_kernel(settings) as kernel:
            began = time.monotonic()
            with pytest.raises(Retryable):
                await kernel.client("ghl").read("GET", "/x")
            assert time.monotonic() - began <= DEADLINE + LATE
            assert 2 <= vendor.asked <= 4


@pytest.mark.requirement("F6")
async def test_a_vendor_that_cannot_be_connected_to_was_certainly_not_asked(settings_for: Make) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        queue = [socket.socket() for _ in range(4)]
        for one in queue:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        async with calling(settings_for, f"http://127.0.0.1:{full.getsockname()[1]}", 0.5) as kernel:
            began = time.monotonic()
            with pytest.raises(Retryable) as told:
                await kernel.client("ghl").read("GET", "/x")
            assert isinstance(told.value, NotSent)
            assert time.monotonic() - began <= 0.5 + LATE
            for one in queue:
                one.close()


@pytest.mark.requirement("F6")
async def test_more_hanging_calls_than_there_are_connections_leave_room_for_the_next(
    settings_for: Make,
) -> None:
    async with listening(in_the_body) as vendor, calling(settings_for, vendor.url, 0.3) as kernel:
        client = kernel.client("ghl")

        async def call(number: int) -> None:
            with pytest.raises(Retryable):
                await client.read("GET", f"/{number}")

        await asyncio.gather(*(call(number) for number in range(130)))
        await vendor.left_alone()
        await kernel.breaker.answered("ghl")
        vendor.answer = well
        assert (await client.read("GET", "/after")).data == {"id": "x"}


@pytest.mark.requirement("F6")
@pytest.mark.parametrize("hang", HANGS)
async def test_a_caller_that_gives_up_leaves_no_connection_behind(settings_for: Make, hang: str) -> None:
    async with listening(HANGS[hang]) as vendor, calling(settings_for, vendor.url, 30) as kernel:
        with anyio.move_on_after(0.2) as scope:
            await kernel.client("ghl").read("GET", "/x")
        assert scope.cancelled_caught
        await vendor.left_alone()
        vendor.answer = well
        assert (await kernel.client("ghl").read("GET", "/after")).status == 200


async def test_a_hanging_write_counts_against_the_vendor(settings_for: Make) -> None:
    async with listening(never) as vendor, calling(settings_for, vendor.url) as kernel:

        async def perform(permit: Permit) -> Receipt:
            with pytest.raises(InDoubt):
                await kernel.client("ghl").write(permit, "POST", "/contacts/")
            raise InDoubt("lost")

        await kernel.gate.submit(contact(), perform)
        failures = await kernel.store.read(
            lambda c: c.exec_driver_sql("SELECT sum(failures) FROM traffic WHERE vendor='ghl'").scalar()
        )
        assert failures == 1
