"""Where an HTTP server may listen and whom it lets in: loopback, or behind a token and named hosts.

Every request passes `Guard` first: Host and Origin must be ours to the letter (a page in a browser can make
requests to loopback under a name of its own), and where a token is set, it must be there.
"""

import hmac
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import sockets
from shared.errors import ConfigError
from shared.http_server import configured

CLOSING_SECONDS = 5
UNAUTHORISED = 401
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Listener:
    """An address with its conditions; made by `listener`, which refuses the unsafe ones."""

    host: str
    port: int
    token: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()

    def bind(self) -> socket.socket:
        """Take the port, so that it is known (0 becomes a free one) before anything is served."""
        try:
            return sockets.listen(self.host, self.port)
        except OSError as error:
            raise ConfigError(f"{self.host}:{self.port} can't be listened on: {error.strerror}") from error

    def hosts(self, port: int) -> tuple[str, ...]:
        """The Host headers that are meant for us."""
        own = tuple(f"{name}:{port}" for name in LOOPBACK_NAMES) if is_loopback(self.host) else ()
        return own + self.allowed_hosts

    def url(self, port: int) -> str:
        """Where clients on this machine find it."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{port}"


def listener(address: str, token: str = "", allowed_hosts: Sequence[str] = ()) -> Listener:
    """`HOST:PORT` with its conditions; `ConfigError` for an address that strangers could use."""
    host, colon, port = address.rpartition(":")
    host = host.strip("[]")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"{address!r} is not HOST:PORT, such as 127.0.0.1:8701")
    if not is_loopback(host) and not (token and allowed_hosts):
        raise ConfigError(
            f"{host} can be reached from other machines: set SWARM_HTTP_TOKEN and name the allowed hosts, "
            "or listen on 127.0.0.1"
        )
    return Listener(host, int(port), token, tuple(allowed_hosts))


def is_loopback(host: str) -> bool:
    """Only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """ASGI middleware: 421 for another Host, 403 for another Origin, 401 without the token."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], token: str = "") -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(f"{scheme}://{host}" for scheme in ("http", "https") for host in self.hosts)
        self.token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] != "lifespan" else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(send, *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if headers.get("host", "").lower() not in self.hosts:
            return 421, "unknown Host"
        if headers.get("origin", "") and headers["origin"] not in self.origins:
            return 403, "unknown Origin"
        if self.token and not self._has_token(headers.get("authorization", "")):
            return UNAUTHORISED, "a bearer token is needed"
        return None

    def _has_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self.token)


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = reason.encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    if status == UNAUTHORISED:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def listen(app: ASGIApp, at: Listener, announce: Callable[[str], None]) -> None:
    """Serve until stopped by a signal; `announce` gets the URL once it answers to it."""
    with at.bind() as bound:
        port = bound.getsockname()[1]
        guarded = Guard(app, at.hosts(port), at.token)
        config = configured(guarded, lifespan="on", proxy_headers=False, closing_seconds=CLOSING_SECONDS)
        announce(at.url(port))
        await uvicorn.Server(config).serve(sockets=[bound])
