"""The web application over a real kernel, and browsers of people who are logged in to it."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from orchestrator.accounts import Accounts
from orchestrator.app import App, webhook_sources
from orchestrator.web.app import create_web
from shared.kernel import Kernel
from shared.schema import session
from shared.suite import Suite
from tests.orchestrator.world import shipped_rules

HOST = "127.0.0.1:8700"
PASSWORD = "correct horse battery staple"
OURS = {"sec-fetch-site": "same-origin", "origin": f"http://{HOST}"}


class Browser:
    """What one person does: follows nothing by itself, sends forms as our pages do."""

    def __init__(self, http: httpx.AsyncClient, csrf: str, kernel: Kernel) -> None:
        self.http = http
        self.csrf = csrf
        self.kernel = kernel

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def post(
        self, path: str, fields: Mapping[str, object] | None = None, **headers: str
    ) -> httpx.Response:
        data = {"csrf": self.csrf, **(fields or {})}
        return await self.http.post(path, data=data, headers={**OURS, **headers})

    async def aged(self, column: str, at: str) -> None:
        """Make the session older: `created_at` or `seen_at`."""
        await self.kernel.store.write(lambda c: c.execute(sa.update(session).values({column: at})))


LogIn = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    return App(live_kernel, Suite({}, {}), shipped_rules(), webhook_sources(live_kernel.settings))


@pytest.fixture
def web(app: App) -> Starlette:
    return create_web(app, hosts=frozenset({HOST}))


@pytest.fixture
async def anybody(web: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who isn't logged in."""
    async with _client(web) as http:
        yield http


def _client(web: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url=f"http://{HOST}")


@asynccontextmanager
async def browser_of(web: Starlette, app: App, role: str, name: str = "") -> AsyncIterator[Browser]:
    """The browser of somebody in that role, on that application."""
    accounts = Accounts(app.kernel)
    made = await accounts.create(f"{name or role}@corp.com", role.title(), role, PASSWORD, by="test")
    cookie = await accounts.open_session(made.id)
    async with _client(web) as http:
        http.cookies.set("gatekeeper", cookie)
        page = await http.get("/safety")
        found = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert found is not None
        yield Browser(http, found[1], app.kernel)


@pytest.fixture
async def log_in(web: Starlette, app: App) -> AsyncIterator[LogIn]:
    """`await log_in("ae")` gives the browser of somebody in that role; a name tells two of them apart."""
    async with AsyncExitStack() as stack:

        async def start(role: str, name: str = "") -> Browser:
            return await stack.enter_async_context(browser_of(web, app, role, name))

        yield start
