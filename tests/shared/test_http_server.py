"""What isn't a body is bounded: a head that never ends, trailers, and chunks that are mostly frames."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from shared.http_server import MOST
from shared.sandbox import serve

POST = b"POST / HTTP/1.1\r\nhost: a\r\n"


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async with serve(Starlette(routes=[Route("/", _length, methods=["POST"])])) as url:
        yield int(url.rpartition(":")[2])


async def _answers(port: int, parts: Iterator[bytes]) -> bytes:
    """All that is answered until the server hangs up, or until what was asked for came."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sending = asyncio.create_task(_send(writer, parts))
    try:
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        await sending
        writer.close()


async def _send(writer: asyncio.StreamWriter, parts: Iterator[bytes]) -> None:
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
    except ConnectionError:  # it hung up, as it should
        return


def _endless(first: bytes, then: bytes) -> Iterator[bytes]:
    """Sixty-four times as much as is taken."""
    yield first
    for _ in range(64 * MOST // len(then)):
        yield then


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"POST /", b"a" * 4096),
        (POST, b"x-more: " + b"a" * 4000 + b"\r\n"),
        (POST + b"x-one: ", b"a" * 4096),
        (POST + b"transfer-encoding: chunked\r\n\r\n0\r\n", b"x-trailer: " + b"a" * 4000 + b"\r\n"),
        (POST + b"transfer-encoding: chunked\r\n\r\n", b"1;" + b"e" * 4000 + b"\r\na\r\n"),
    ],
    ids=["the address", "many headers", "one header", "trailers", "frames of chunks"],
)
async def test_what_never_ends_and_is_no_body_is_cut_off(port: int, first: bytes, then: bytes) -> None:
    answer = await asyncio.wait_for(_answers(port, _endless(first, then)), 20)
    assert not answer.startswith(b"HTTP/1.1 200")


async def test_one_body_after_the_other_passes_however_much_it_is_together(port: int) -> None:
    whole = POST + b"content-length: %d\r\n\r\n" % (2 * MOST) + b"a" * (2 * MOST)
    chunked = POST + b"transfer-encoding: chunked\r\n\r\n" + b"8\r\naaaaaaaa\r\n" * 4000 + b"0\r\n\r\n"
    last = POST + b"connection: close\r\ncontent-length: 0\r\n\r\n"
    answer = await asyncio.wait_for(_answers(port, iter([*[whole] * 3, chunked, last])), 20)
    assert re.findall(rb"\r\n\r\n(\d+)", answer) == [b"%d" % (2 * MOST)] * 3 + [b"32000", b"0"]
