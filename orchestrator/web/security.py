"""What every request passes and every answer carries: Host, size, correlation, headers, no text of errors.

A page in a browser can reach loopback under a name of its own (DNS rebinding), so the Host is compared to the
letter. Forms must come from our own pages: `Sec-Fetch-Site`, else `Origin`, else `Referer`, says so; silence
is refused.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.telemetry import correlated, logger

log = logger("web")
FORM_BYTES = 64 * 1024
PUBLIC_PATHS = ("/u/", "/webhooks/")  # all that is answered under the public name
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Nothing goes to other sites. With `no-referrer`, browsers send `Origin: null` with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "vary": "Sec-Fetch-Site, Origin, Cookie",
}
SECURE_ONLY: Mapping[str, str] = {"strict-transport-security": "max-age=31536000"}
FAILED = (
    "<!doctype html><html lang=en><title>Something went wrong</title><h1>Something went wrong</h1>"
    "<p>Nothing more is shown here. The log holds it under <code>{id}</code>.</p>"
    "<p><a href='/'>Back to the dashboard</a></p>"
)


@dataclass(slots=True)
class _Answer:
    """Passes an answer on with our headers, and knows whether it began."""

    send: Send
    headers: Mapping[str, str]
    began: bool = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.began = True
            names = {name for name, _ in message["headers"]}
            ours = [(k.encode(), v.encode()) for k, v in self.headers.items() if k.encode() not in names]
            message = {**message, "headers": [*message["headers"], *ours]}
        await self.send(message)


class Shield:
    """ASGI middleware around everything: 421 for another Host, our headers, and a last resort for faults.

    `public`: the Host under which nothing but the ways in from outside is answered.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str], *, secure: bool, public: str = "") -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.public = public
        self.secure = secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            with correlated() as identifier:
                await self._guarded(scope, receive, _Answer(send, self._headers(scope)), identifier)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _headers(self, scope: Scope) -> Mapping[str, str]:
        cache = "public, max-age=86400" if scope["path"].startswith("/static/") else "no-store"
        return {**HEADERS, **(SECURE_ONLY if self.secure else {}), "cache-control": cache}

    async def _guarded(self, scope: Scope, receive: Receive, answer: _Answer, identifier: str) -> None:
        if not self._is_ours(scope):
            await _say(answer, HTTPStatus.MISDIRECTED_REQUEST, "unknown Host")
            return
        try:
            await self.app(scope, receive, answer)
        except Exception:
            log.exception("web.fault", path=_route(scope))
            if not answer.began:
                await _say(answer, HTTPStatus.INTERNAL_SERVER_ERROR, FAILED.format(id=identifier))

    def _is_ours(self, scope: Scope) -> bool:
        given = [value for name, value in scope["headers"] if name == b"host"]
        host = given[0].decode("latin-1").lower() if len(given) == 1 else ""
        return host in self.hosts or (
            bool(host) and host == self.public and scope["path"].startswith(PUBLIC_PATHS)
        )


def _route(scope: Scope) -> str:
    """The first part of the path: enough to find the page, without ids or tokens."""
    return "/" + str(scope["path"]).lstrip("/").split("/", 1)[0][:40]


async def _say(send: Send, status: HTTPStatus, text: str) -> None:
    body = text.encode()
    kind = b"text/html; charset=utf-8" if text.startswith("<") else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": body})


def from_our_page(headers: Mapping[str, str], hosts: Collection[str]) -> bool:
    """Whether a form was sent by a page of ours. Header names are lower-cased."""
    origin = headers.get("origin", "")
    if origin and not _ours(origin, hosts):
        return False
    site = headers.get("sec-fetch-site", "")
    if site:
        return site in {"same-origin", "none"}
    return bool(origin) or _ours(headers.get("referer", ""), hosts)


def _ours(address: str, hosts: Collection[str]) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() in hosts


async def body(request: Request, cap: int) -> bytes:
    """The whole body; 413 as soon as it is known to be larger than `cap` bytes."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > cap:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    whole = bytearray()
    async for part in request.stream():
        whole += part
        if len(whole) > cap:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return bytes(whole)
