"""A vendor that nobody at the product can look into, and the wire to it, on which everything goes wrong.

    Vendor     ASGI application: writes by key, look-ups by key that lag behind, and the log that is the truth
    Wire       transport of one process: carries requests to the vendor, or does to them what the plan says

Moments are counted by `Moments`, shared by all who see something happen.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import anyio.lowlevel
import httpx

from shared.clock import Clock
from shared.effect import fingerprint
from tests.simulation.history import Commit

LAG = 0.5  # seconds until the vendor's own look-up shows a write
ON_ITS_WAY = 2.0  # seconds that a request may still take after we gave up; less than settle_seconds
Told = list[dict[str, Any]]


@dataclass(slots=True)
class Moments:
    """Counts what happens, whoever sees it."""

    count: int = 0

    def next(self) -> int:
        self.count += 1
        return self.count


@dataclass(frozen=True, slots=True)
class Request:
    """A write as the vendor gets it."""

    items: tuple[tuple[str, Mapping[str, Any]], ...]  # key, content
    began: int


@dataclass
class Vendor:
    """Holds what was written, and its log."""

    clock: Clock
    moments: Moments
    log: list[Commit] = field(default_factory=list)
    shown_from: dict[str, float] = field(default_factory=dict)
    on_their_way: list[tuple[float, Request]] = field(default_factory=list)
    odd: str = ""  # how look-ups go wrong: "", "down"

    def commit(self, request: Request, most: int = 1_000, when: float | None = None) -> None:
        """These writes are done, or the first of them; `when`, by a clock that never jumps, if not now."""
        shown = (self.clock.monotonic() if when is None else when) + LAG
        for key, content in request.items[:most]:
            self.log.append(Commit(key, fingerprint(content), request.began, self.moments.next()))
            self.shown_from.setdefault(key, shown)

    def arrive(self) -> None:
        """What was still on its way and is there by now."""
        now = self.clock.monotonic()
        for due, request in [late for late in self.on_their_way if late[0] <= now]:
            self.on_their_way.remove((due, request))
            self.commit(request, when=due)

    @property
    def coming(self) -> frozenset[str]:
        """Keys of what is still on its way."""
        return frozenset(key for _, request in self.on_their_way for key, _ in request.items)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: POST /write, GET /look."""
        if scope["method"] == "GET":
            status, answer = self._look(scope["query_string"].decode().removeprefix("key="))
        else:
            told = json.loads((await receive())["body"])
            request = Request(tuple((one["key"], one["content"]) for one in told["items"]), told["began"])
            self.commit(request)
            status, answer = 200, {"ids": [f"id-{key[:8]}" for key, _ in request.items]}
        body = json.dumps(answer).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def _look(self, key: str) -> tuple[int, dict[str, Any]]:
        if self.odd == "down":
            return 503, {"error": "maintenance"}
        if self.shown_from.get(key, float("inf")) > self.clock.monotonic():
            return 404, {"error": "nobody here"}
        return 200, {"ids": [f"id-{key[:8]}"]}


SPOILT: Mapping[str, tuple[int, bytes]] = {
    "error_after": (500, b'{"message":"injected"}'),
    "error_body": (200, b'{"error":"injected"}'),
    "html": (200, b"<html>Sign in</html>"),
    "empty": (200, b""),
    "truncated": (200, b'{"ids":["id-'),
}
INSTEAD: Mapping[str, int] = {"429": 429, "500": 500, "400": 400, "401": 401, "stop_meanwhile": 429}
LOST = {"unreachable", "reset", "hang", "late", "crash_before", "crash_late"}


class Wire(httpx.AsyncBaseTransport):
    """What one process has between itself and the vendor. `plan`: what befalls its next writes, in order."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.plan: list[str] = []
        self.retry_after = "1"
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.die: Callable[[], Awaitable[None]] | None = None
        self._app = httpx.ASGITransport(vendor)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.vendor.arrive()
        if request.method == "GET":
            return await self._app.handle_async_request(request)
        told = json.loads(request.content)
        told["began"] = self.vendor.moments.next()
        fault = self.plan.pop(0) if self.plan else ""
        return await self._befall(fault, request, told)

    async def _befall(self, fault: str, request: httpx.Request, told: Mapping[str, Any]) -> httpx.Response:
        if fault in LOST:
            await self._lose(fault, told)
        if fault in INSTEAD:
            return await self._refuse(fault)
        if fault == "partial":
            self.vendor.commit(_request(told), most=1)
            return httpx.Response(500, json={"error": "injected"})
        if fault == "slow":
            await self.vendor.clock.sleep(8.0)
        again = httpx.Request(request.method, request.url, json=told)
        await anyio.lowlevel.checkpoint()  # on the wire: others may be at it meanwhile
        answer = await self._app.handle_async_request(again)
        await anyio.lowlevel.checkpoint()  # done there, and nobody here knows
        if fault == "crash_after" and self.die:
            await self.die()
        if fault in {"drop_after", "crash_after"}:
            raise httpx.ReadError("injected: cut after the commit")
        if fault in SPOILT:
            status, body = SPOILT[fault]
            return httpx.Response(status, content=body)
        return answer

    async def _refuse(self, fault: str) -> httpx.Response:
        """Answered, and not committed; somebody may stop everything while we wait to try again."""
        if fault == "stop_meanwhile" and self.meanwhile:
            await self.meanwhile()
        headers = {"retry-after": self._retry_after()} if self.retry_after else {}
        return httpx.Response(INSTEAD[fault], headers=headers, json={"error": "injected"})

    async def _lose(self, fault: str, told: Mapping[str, Any]) -> None:
        """Nothing is committed, or not yet."""
        if fault == "unreachable":
            raise httpx.ConnectError("injected: nobody there")
        if fault == "hang":
            await self.vendor.clock.sleep(25.0)
            raise httpx.ReadTimeout("injected: no answer")
        if fault in {"late", "crash_late"}:
            due = self.vendor.clock.monotonic() + ON_ITS_WAY
            self.vendor.on_their_way.append((due, _request(told)))
            if fault == "crash_late" and self.die:
                await self.die()
            raise httpx.ReadTimeout("injected: given up, and still on its way")
        if fault == "crash_before" and self.die:
            await self.die()
        raise httpx.ReadError("injected: cut before the commit")

    def _retry_after(self) -> str:
        if self.retry_after != "date":
            return self.retry_after
        return format_datetime(self.vendor.clock.now() + timedelta(seconds=5), usegmt=True)


def _request(told: Mapping[str, Any]) -> Request:
    return Request(tuple((one["key"], one["content"]) for one in told["items"]), told["began"])
