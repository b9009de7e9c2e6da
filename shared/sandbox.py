"""The scaffold of a vendor emulator: routes, a ground-truth log, a fault plan, and webhooks it sends.

A vendor's `sandbox.py` supplies routes and state. State lives in memory, and in a file when one is given, so
that a restart of the emulator loses nothing. `record` is called at the moment a write commits: its log is the
truth that tests compare with, and the product never reads it. Control endpoints, under `/_control`:

    GET  /log            every committed write, in order
    GET  /requests       every request: method, path, query, JSON body, correlation id, status and JSON answered
    PUT  /faults         a fault plan: a list of `Fault` as JSON; replaces the one in force
    POST /reset          forget state, log, requests and faults
    PUT  /webhooks       where to send events: {"url": …, "headers": {…}}; vendors with an API for that use it
    POST /act/<name>     what the vendor does by itself: see the vendor's `actions`

Faults: `drop_before` (not committed, connection cut), `drop_after` (committed, connection cut), `delay`,
`status` (answer `status` with `retry_after`, not committed), `error_after` (committed, 500), `status_after`
(committed, and answered with `status` all the same), `error_body` (committed, 200 with a body that says error),
`truncate` (committed, half a body), and for webhooks `duplicate`, `reorder`, `lose`. `message`: what a `status`
or `status_after` says.
"""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.lowlevel
import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.clock import Clock, SystemClock, iso
from shared.http_server import configured
from shared.sockets import listen
from shared.tls import trusted

FaultKind = Literal[
    "drop_before",
    "drop_after",
    "delay",
    "status",
    "error_after",
    "status_after",
    "error_body",
    "truncate",
    "duplicate",
    "reorder",
    "lose",
]
DELIVERIES = 13  # the first and twelve more, as HighLevel does, in seconds instead of hours
WEBHOOK_FAULTS = {"duplicate", "reorder", "lose"}
MAX_SHOWN = 20_000  # bytes of an answer that `/requests` still shows
Action = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong for requests that match, `times` times (-1: always), after `skip` matches."""

    kind: FaultKind
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    status: int = 503
    retry_after: str = ""
    message: str = "injected fault"

    def matches(self, method: str, path: str) -> bool:
        """Whether this request is hit, counting it if so."""
        if self.times == 0 or not re.fullmatch(self.method, method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times > 0:
            self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class Committed:
    """One write that the vendor holds."""

    at: str
    vendor: str
    action: str
    target: str
    detail: Mapping[str, Any] = field(default_factory=dict)


class Sandbox:
    """An emulator of one vendor: build it, give it routes and actions, mount `app`.

    `state` is whatever JSON-able dictionary the vendor keeps; call `save()` after changing it (`record` does).
    """

    def __init__(
        self,
        vendor: str,
        *,
        initial: Callable[[], dict[str, Any]],
        state_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.vendor = vendor
        self.clock = clock or SystemClock()
        self.log: list[Committed] = []
        self.requests: list[dict[str, Any]] = []
        self.faults: list[Fault] = []
        self.actions: dict[str, Action] = {}
        self.webhook: dict[str, Any] = {}
        self._initial = initial
        self._file = state_file
        self._held_back: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.state: dict[str, Any] = self._load()

    def _load(self) -> dict[str, Any]:
        if self._file is None or not self._file.exists():
            return self._initial()
        saved = json.loads(self._file.read_text(encoding="utf-8"))
        self.log = [Committed(**entry) for entry in saved["log"]]
        self.webhook = saved["webhook"]
        state: dict[str, Any] = saved["state"]
        return state

    def save(self) -> None:
        """Write state and log to the file, if there is one."""
        if self._file is None:
            return
        whole = {"state": self.state, "webhook": self.webhook, "log": [asdict(entry) for entry in self.log]}
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(whole), encoding="utf-8")
        partial.replace(self._file)

    def record(self, action: str, target: str, **detail: Any) -> None:
        """A write commits now: the ground truth."""
        self.log.append(Committed(iso(self.clock.now()), self.vendor, action, target, detail))
        self.save()

    def identifier(self, length: int = 20) -> str:
        """An id in the shape vendors use: letters and digits."""
        return secrets.token_urlsafe(length * 2).replace("-", "").replace("_", "")[:length]

    def app(self, routes: Sequence[Route]) -> ASGIApp:
        """The ASGI application: the vendor's routes behind the faults, and the control endpoints beside them."""
        control = [
            Route("/log", self._show_log),
            Route("/requests", self._show_requests),
            Route("/faults", self._set_faults, methods=["PUT"]),
            Route("/reset", self._reset, methods=["POST"]),
            Route("/webhooks", self._set_webhook, methods=["PUT"]),
            Route("/act/{name}", self._act, methods=["POST"]),
        ]
        vendor = _Faulty(Starlette(routes=list(routes)), self)
        return Starlette(routes=[Mount("/_control", routes=control), Mount("/", app=vendor)])

    async def deliver(
        self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None, url: str = ""
    ) -> bool:
        """Send one webhook, as the fault plan has it; retried a few times, as vendors do. False if nobody took it."""
        target = url or str(self.webhook.get("url", ""))
        if not target:
            return True
        sent = {"content-type": "application/json", **self.webhook.get("headers", {}), **(headers or {})}
        data = json.dumps(body).encode()
        kinds = {
            fault.kind for fault in self.faults if fault.kind in WEBHOOK_FAULTS and fault.matches("", "")
        }
        if "lose" in kinds:
            return False
        if "reorder" in kinds:
            self._held_back.append((target, data, sent))
            return True
        deliveries = [(target, data, sent)] * (2 if "duplicate" in kinds else 1) + self._held_back
        self._held_back = []
        return all([await self._post(*delivery) for delivery in deliveries])

    async def _post(self, url: str, data: bytes, headers: Mapping[str, str]) -> bool:
        async with httpx.AsyncClient(timeout=10, verify=trusted(), trust_env=False) as http:
            for attempt in range(DELIVERIES):
                try:
                    answer = await http.post(url, content=data, headers=dict(headers))
                except httpx.TransportError:
                    answer = None
                if answer is not None and answer.status_code < 300:
                    return True
                await self.clock.sleep(min(0.2 * 2**attempt, 3.0))
        return False

    async def _show_log(self, _: Request) -> Response:
        return JSONResponse([asdict(entry) for entry in self.log])

    async def _show_requests(self, _: Request) -> Response:
        return JSONResponse(self.requests)

    async def _set_faults(self, request: Request) -> Response:
        self.faults = [Fault(**entry) for entry in await request.json()]
        return JSONResponse({"faults": len(self.faults)})

    async def _reset(self, _: Request) -> Response:
        self.state, self.log, self.requests, self.faults = self._initial(), [], [], []
        self.save()
        return JSONResponse({"ok": True})

    async def _set_webhook(self, request: Request) -> Response:
        self.webhook = await request.json()
        self.save()
        return JSONResponse({"ok": True})

    async def _act(self, request: Request) -> Response:
        action = self.actions.get(request.path_params["name"])
        if action is None:
            return JSONResponse({"error": f"no such action; there are {sorted(self.actions)}"}, 404)
        body = await request.body()
        return JSONResponse(await action(json.loads(body) if body else {}))


class _Faulty:
    """ASGI middleware: records each request, and lets the fault plan have its way with it."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self.app = app
        self.sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, replay = await _read(receive)
        path = scope["path"][len(scope.get("root_path", "")) :]
        method = scope["method"]
        noted = {"method": method, "path": path, "query": scope["query_string"].decode(), "json": _json(body)}
        noted["correlation_id"] = dict(scope["headers"]).get(b"x-correlation-id", b"").decode("latin-1")
        self.sandbox.requests.append(noted)
        hit = [f for f in self.sandbox.faults if f.kind not in WEBHOOK_FAULTS and f.matches(method, path)]
        for fault in [f for f in hit if f.kind == "delay"]:
            await self.sandbox.clock.sleep(fault.seconds)
        chosen = next((f for f in hit if f.kind != "delay"), None)
        if chosen and await self._instead(chosen, send):
            noted["status"] = chosen.kind
            return
        answer: list[Message] = []

        async def keep(message: Message) -> None:
            answer.append(message)

        await self.app(scope, replay, keep)
        noted["status"] = answer[0]["status"] if answer else 0
        said = b"".join(message.get("body", b"") for message in answer[1:])
        if len(said) <= MAX_SHOWN:
            noted["answer"] = _json(said)
        await _spoil(chosen, answer, send)

    @staticmethod
    async def _instead(fault: Fault, send: Send) -> bool:
        """Faults that keep the request from the vendor altogether."""
        if fault.kind == "drop_before":
            await _cut(send)
            return True
        if fault.kind == "status":
            headers = {"retry-after": fault.retry_after} if fault.retry_after else {}
            await JSONResponse(_refusal(fault), fault.status, headers)({"type": "http"}, _nothing, send)
            return True
        return False


def _refusal(fault: Fault) -> dict[str, Any]:
    return {"statusCode": fault.status, "message": fault.message, "error": "Injected"}


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    whole = b"".join(parts)
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return {"type": "http.disconnect"}
        given = True
        return {"type": "http.request", "body": whole, "more_body": False}

    return whole, replay


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _cut(send: Send) -> None:
    """Headers that promise a body, and none: the client sees the connection end in the middle."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"999")]})
    raise ConnectionAbortedError("injected: the connection is cut")


async def _spoil(fault: Fault | None, answer: list[Message], send: Send) -> None:
    """Faults after the vendor has committed."""
    kind = fault.kind if fault else ""
    if kind == "drop_after":
        await _cut(send)
    elif kind == "error_after":
        await JSONResponse({"statusCode": 500, "message": "injected"}, 500)({"type": "http"}, _nothing, send)
    elif fault is not None and kind == "status_after":
        await JSONResponse(_refusal(fault), fault.status)({"type": "http"}, _nothing, send)
    elif kind == "error_body":
        await JSONResponse({"error": "injected"}, 200)({"type": "http"}, _nothing, send)
    elif kind == "truncate":
        body = b"".join(message.get("body", b"") for message in answer[1:])
        start = dict(answer[0])
        start["headers"] = [(k, v) for k, v in start["headers"] if k != b"content-length"]
        await send(start)
        await send({"type": "http.response.body", "body": body[: len(body) // 2]})
    else:
        for message in answer:
            await send(message)


@asynccontextmanager
async def serve(app: ASGIApp, *, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run an ASGI application on a loopback port; yields its base URL. Port 0 takes a free one."""
    server = uvicorn.Server(configured(app))
    # A task of its own, not a task group: a test fixture opens this in one task and closes it in another.
    # The socket listens before the server runs: who connects at once waits a moment, and isn't refused.
    with listen(host, port) as bound:
        running = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield f"http://{host}:{bound.getsockname()[1]}"
        finally:
            while not server.started and not running.done():
                await (
                    anyio.lowlevel.checkpoint()
                )  # one that is told to end while it begins leaves its socket open
            server.should_exit = True
            await running
