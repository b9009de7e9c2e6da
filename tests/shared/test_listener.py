"""Where a server may listen, and who gets past the door."""

import httpx
import pytest
from starlette.responses import PlainTextResponse

from shared.errors import ConfigError
from shared.listener import Guard, listener

inside = PlainTextResponse("inside")


async def knock(guard: Guard, **headers: str) -> int:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(guard)) as http:
        return (await http.get("http://127.0.0.1:8701/mcp", headers=given)).status_code


@pytest.mark.parametrize("address", ["127.0.0.1:8701", "localhost:0", "[::1]:8701", "127.9.9.9:1"])
def test_loopback_needs_no_token(address: str) -> None:
    assert listener(address).token == ""


@pytest.mark.parametrize("address", ["0.0.0.0:80", "[::]:80", "10.0.0.1:80", "mcp.example.com:80"])
@pytest.mark.requirement("X1")
def test_an_address_that_strangers_reach_needs_token_and_hosts(address: str) -> None:
    for token, hosts in (("", ()), ("secret", ()), ("", ("mcp.example.com",))):
        with pytest.raises(ConfigError, match="SWARM_HTTP_TOKEN"):
            listener(address, token, hosts)
    assert listener(address, "secret", ["mcp.example.com"]).allowed_hosts == ("mcp.example.com",)


@pytest.mark.parametrize("address", ["", "8701", ":8701", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:70000"])
def test_another_form_of_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT"):
        listener(address)


def test_the_token_is_not_in_the_representation() -> None:
    assert "s3cret" not in repr(listener("127.0.0.1:0", "s3cret"))


def test_a_taken_port_is_a_message_for_a_person() -> None:
    with listener("127.0.0.1:0").bind() as taken, pytest.raises(ConfigError, match="listened"):
        listener(f"127.0.0.1:{taken.getsockname()[1]}").bind()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "LOCALHOST:8701"}, 200),
        ({"host": "evil.example.com"}, 421),
        ({"host": "127.0.0.1:9999"}, 421),
        ({"host": "127.0.0.1:8701.evil.example"}, 421),
        ({"origin": "http://localhost:8701"}, 200),
        ({"origin": "http://evil.example.com"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
    ],
)
@pytest.mark.requirement("X1")
async def test_host_and_origin_must_be_ours_to_the_letter(headers: dict[str, str], status: int) -> None:
    guard = Guard(inside, listener("127.0.0.1:8701").hosts(8701))
    assert await knock(guard, **headers) == status


@pytest.mark.parametrize(
    ("authorization", "status"),
    [("", 401), ("Bearer wrong", 401), ("Basic right", 401), ("Bearer right", 200), ("bearer right", 200)],
)
@pytest.mark.requirement("X1")
async def test_a_token_is_asked_of_every_request_even_on_loopback(authorization: str, status: int) -> None:
    guard = Guard(inside, ["127.0.0.1:8701"], "right")
    assert await knock(guard, authorization=authorization) == status


async def test_beyond_loopback_only_the_allowed_hosts_are_ours() -> None:
    at = listener("0.0.0.0:8701", "right", ["mcp.example.com"])
    guard = Guard(inside, at.hosts(8701), at.token)
    assert await knock(guard, authorization="Bearer right") == 421
    assert await knock(guard, authorization="Bearer right", host="mcp.example.com") == 200
