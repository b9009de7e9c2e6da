"""A kernel, the sourcing and enrichment emulators on loopback, and a record of what went over the wire."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from servers.enricher import SERVER as ENRICHER
from servers.enricher.account import Enricher
from servers.hunter import SERVER as HUNTER
from servers.hunter.account import Hunter
from shared.clock import SystemClock
from shared.kernel import Kernel, open_kernel
from shared.sandbox import serve
from shared.settings import load_settings

CONFIG = Path(__file__).parents[2] / "config"
CONTRACTS = Path(__file__).parents[3] / "shared" / "contracts"
FACTORIES = {**HUNTER.sandboxes, **ENRICHER.sandboxes}


class Hurried(SystemClock):
    """Time that passes at once when slept, and can be moved."""

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

    account: str
    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int
    answer: Any


class Recorder(httpx.AsyncHTTPTransport):
    """Keeps what went over the wire."""

    def __init__(self, urls: dict[str, str]) -> None:
        super().__init__()
        self.urls = urls
        self.exchanges: list[Exchange] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        raw = await response.aread()
        account = next((name for name, url in self.urls.items() if str(request.url).startswith(url)), "")
        body = httpx.Response(200, content=request.content).json() if request.content else None
        answer = httpx.Response(200, content=raw).json() if raw.strip().startswith((b"{", b"[")) else None
        self.exchanges.append(
            Exchange(
                account,
                request.method,
                request.url.path,
                dict(request.url.params),
                body,
                response.status_code,
                answer,
            )
        )
        return response


@dataclass
class World:
    """What a test works with."""

    kernel: Kernel
    clock: Hurried
    urls: dict[str, str]
    wire: Recorder
    http: httpx.AsyncClient
    hunter: Hunter
    enricher: Enricher
    home: Path

    async def act(self, account: str, name: str, **given: Any) -> Any:
        return (await self.http.post(f"{self.urls[account]}/_control/act/{name}", json=given)).json()

    async def fault(self, account: str, **fault: Any) -> None:
        await self.http.put(f"{self.urls[account]}/_control/faults", json=[fault])

    async def log(self, account: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.http.get(f"{self.urls[account]}/_control/log")).json()
        return found


@asynccontextmanager
async def world(
    home: Path, accounts: Sequence[str], config: Path = CONFIG, **environ: str
) -> AsyncIterator[World]:
    """The emulators named, and all else, on a temporary home; live unless SAFE_MODE says otherwise."""
    async with AsyncExitStack() as stack:
        urls = {name: await stack.enter_async_context(serve(FACTORIES[name](None))) for name in accounts}
        bases = {f"{name.upper()}_BASE_URL": url for name, url in urls.items()}
        given = {"SWARM_HOME": str(home), "SAFE_MODE": "false", **bases, **environ}
        clock, wire = Hurried(), Recorder(urls)
        kernel = await stack.enter_async_context(
            open_kernel(load_settings(config, given), clock=clock, transport=wire)
        )
        hunter = await stack.enter_async_context(HUNTER.open(kernel))
        enricher = await stack.enter_async_context(ENRICHER.open(kernel))
        http = await stack.enter_async_context(httpx.AsyncClient())
        opened = World(kernel, clock, urls, wire, http, hunter, enricher, home)
        for account in urls:
            await opened.act(account, "configure", seconds=0)
        yield opened
