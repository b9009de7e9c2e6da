"""The Gatekeeper as a process: the web application on loopback, with or without the worker beside it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from orchestrator.accounts import first_admin_link
from orchestrator.app import App, open_app
from orchestrator.following import somebody_works
from orchestrator.web.app import create_web
from shared.settings import Settings
from shared.sockets import listen


@asynccontextmanager
async def listening(app: App, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the web application; yields its address. Port 0 takes a free one."""
    with listen(host, port) as bound:  # closed here too: a server that is cancelled leaves its socket open
        address = f"{host}:{bound.getsockname()[1]}"
        web: ASGIApp = create_web(app, hosts=frozenset({address, address.replace("127.0.0.1", "localhost")}))
        config = uvicorn.Config(
            web, log_level="critical", access_log=False, server_header=False, lifespan="off"
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [bound])
            try:
                yield f"http://{address}"
            finally:
                server.should_exit = True


async def gatekeeper(settings: Settings, host: str, port: int, *, with_worker: bool) -> None:
    """Serve until ended; prints the address, and the first admin's link where there is nobody yet."""
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(open_app(settings, role="gatekeeper"))
        if with_worker and not await stack.enter_async_context(somebody_works(app)):
            console.print("another process runs the pipeline; this one takes over when it ends", style="dim")
        address = await stack.enter_async_context(listening(app, host, port))
        console.print(f"Gatekeeper at {address}")
        if link := await first_admin_link(app.kernel, address):
            console.print(f"First admin, once, within a day: {link}")
        await anyio.sleep_forever()
