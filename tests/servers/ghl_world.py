"""The GoHighLevel server opened against its emulator: calls, faults, what was committed, and the whole traffic.

What passed over the wire is kept, and checked against the vendor's contract after each test, where that is at hand.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from servers.ghl import SERVER
from servers.ghl.account import Ghl, open_ghl
from servers.ghl.sandbox import build
from shared.clock import SystemClock
from shared.effect import Effect, Outcome, Receipt
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.ports import ContactPage, ContactRecord, ContactView
from shared.sandbox import serve
from shared.settings import Settings
from tests.conftest import CONTRACTS
from tests.contract.openapi import (
    Spec,
    has_operation,
    load,
    validate_query,
    validate_request,
    validate_response,
)

FOLDER = CONTRACTS / "ghl"
AREAS = ("contacts", "opportunities", "locations", "workflows", "conversations", "oauth", "pipelines")
JANE = ContactRecord(
    "Jane@Corp.example",
    first_name="Jane",
    last_name="Doe",
    company="Corp",
    title="CRO",
    icp_score=87,
    enriched_at="2026-11-20T10:00:00+00:00",
    tags=("Alpha-Swarm", "tier_1"),
)
HEADERS = {"Authorization": "Bearer x", "Version": "v3"}
PIPELINE = "sandboxPipeline00001"


class Hurried(SystemClock):
    """Time that passes at once when slept."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        self.ahead += seconds
        await super().sleep(0)


@dataclass
class Exchange:
    """One request and its answer."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    answer: Any
    version: str
    authorization: str


class Recorder(httpx.AsyncHTTPTransport):
    """Keeps what went over the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.exchanges: list[Exchange] = []
        self._then: dict[str, Callable[[], Awaitable[Any]]] = {}

    def then(self, path: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Once a request to a path that holds this is answered, this happens before anything else does."""
        self._then[path] = act

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        content = await response.aread()
        body = json.loads(request.content) if request.content else None
        query = dict(request.url.params)
        try:
            answer = response.json() if content else {}
        except ValueError:
            answer = None
        said = (request.headers.get("version", ""), request.headers.get("authorization", ""))
        exchange = Exchange(
            request.method, request.url.path, query, body, response.status_code, answer, *said
        )
        self.exchanges.append(exchange)
        for path in [one for one in self._then if one in exchange.path]:
            await self._then.pop(path)()
        return httpx.Response(response.status_code, headers=response.headers, content=content)


@dataclass
class Bench:
    """An opened server, its emulator, and what passed between them."""

    kernel: Kernel
    ghl: Ghl
    url: str
    clock: Hurried
    recorder: Recorder
    strange: set[int] = field(default_factory=lambda: {429, 500, 503})  # injected: in no contract

    async def call(self, tool: str, **arguments: Any) -> Any:
        return await next(t for t in SERVER.tools if t.name == tool).function(self.ghl, **arguments)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient() as http:
            return (await http.request(method, f"{self.url}/_control{path}", json=body)).json()

    async def faults(self, *plan: dict[str, Any]) -> None:
        await self.control("PUT", "/faults", list(plan))

    async def location(self, **settings: Any) -> None:
        await self.control("POST", "/act/set_location", settings)
        self.ghl.location.forget()

    async def committed(self, action: str = "") -> list[dict[str, Any]]:
        return [entry for entry in await self.control("GET", "/log") if action in {"", entry["action"]}]

    async def act(self, name: str, **given: Any) -> Any:
        """What happens at the vendor by itself."""
        return await self.control("POST", f"/act/{name}", given)

    async def contact(self, **who: str) -> ContactView:
        page: ContactPage = await self.call("get_contact", **who)
        return page.contacts[0]

    async def raw(self, method: str, path: str, body: Any = None, version: str = "v3") -> Any:
        """A request past the server, as somebody else makes it."""
        async with httpx.AsyncClient(headers={**HEADERS, "Version": version}) as http:
            return (await http.request(method, f"{self.url}{path}", json=body)).json()

    async def somebody(self, email: str, **fields: Any) -> str:
        """A contact that is there already; returns its id."""
        body = {"locationId": "sandbox-location", "email": email, **fields}
        return str((await self.raw("POST", "/contacts/", body))["contact"]["id"])

    async def write(self, act: Callable[[Permit], Awaitable[Any]]) -> Outcome:
        """A write past the server's own effects, through the gate."""
        effect = Effect("ghl", "raw", "nobody", f"raw:{len(self.recorder.exchanges)}", {})

        async def perform(permit: Permit) -> Receipt:
            await act(permit)
            return Receipt("raw")

        return await self.kernel.gate.submit(effect, perform)

    async def upsert(self, record: ContactRecord = JANE, **more: Any) -> Outcome:
        outcome: Outcome = await self.call("upsert_contact", contact=record, **more)
        return outcome

    def asked(self, method: str = "", path: str = "") -> list[Exchange]:
        """Requests so far, of a method and with a path that holds this."""
        return [e for e in self.recorder.exchanges if method in {"", e.method} and path in e.path]


@asynccontextmanager
async def opened(settings_for: Callable[..., Settings], **environ: str) -> AsyncIterator[Bench]:
    """Live against the emulator, on a clock of its own."""
    clock, recorder = Hurried(), Recorder()
    async with serve(build(None, clock=clock)) as url:
        settings = settings_for(**{"SAFE_MODE": "false", "GHL_BASE_URL": url, **environ})
        async with (
            open_kernel(settings, clock=clock, transport=recorder) as kernel,
            open_ghl(kernel) as ghl,
        ):
            yield Bench(kernel, ghl, url, clock, recorder)


def check_contract(bench: Bench) -> None:
    """Every request and answer, against the file of the version it was made in."""
    if not FOLDER.is_dir():
        return
    specs = {version: of_version(version) for version in {e.version for e in bench.recorder.exchanges}}
    for exchange in bench.recorder.exchanges:
        if exchange.status not in bench.strange and exchange.answer not in (None, {"error": "injected"}):
            check_exchange(specs[exchange.version], exchange)


def of_version(version: str) -> list[Spec]:
    folder = FOLDER / ("v3" if version == "v3" else "v2")
    return [load(path) for area in AREAS if (path := folder / f"{area}.openapi.json").is_file()]


def check_exchange(specs: list[Spec], exchange: Exchange) -> None:
    describing = [s for s in specs if has_operation(s, exchange.method, exchange.path)]
    assert describing, f"no document has {exchange.method} {exchange.path}"
    for spec in describing:
        if exchange.status not in {400, 422}:
            validate_request(spec, exchange.method, exchange.path, exchange.body)
            validate_query(spec, exchange.method, exchange.path, exchange.query)
        if exchange.status not in UNDECLARED:
            validate_response(spec, exchange.method, exchange.path, exchange.status, exchange.answer)


# What the vendor answers and none of its documents declares.
UNDECLARED = {403, 404}
