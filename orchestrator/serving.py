"""The Gatekeeper as a process: the web application on loopback, with or without the worker beside it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
import uvicorn
from rich.console import Console
from starlette.types import ASGIApp

from orchestrator.app import App, open_app, webhook_sources
from orchestrator.following import somebody_works
from orchestrator.links import first_admin_link
from orchestrator.opt_out_link import Links
from orchestrator.rules import load_rules
from orchestrator.web.app import create_web
from orchestrator.web.closed import Closed, create_closed
from shared.clock import SystemClock
from shared.errors import ConfigError, Conflict, Fatal
from shared.http_server import configured
from shared.kernel import open_kernel
from shared.keys import load_keys
from shared.settings import Settings
from shared.sockets import listen
from shared.spool import Spool
from shared.store import Unavailable
from shared.telemetry import logger

log = logger("serving")
LOOK_SECONDS = 10.0  # between two looks whether the database opens again


@asynccontextmanager
async def listening(app: App, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve the web application; yields its address. Port 0 takes a free one."""
    async with _serving(lambda hosts: create_web(app, hosts=hosts), host, port) as address:
        yield address


@asynccontextmanager
async def _serving(make: Callable[[frozenset[str]], ASGIApp], host: str, port: int) -> AsyncIterator[str]:
    with listen(host, port) as bound:  # closed here too: a server that is cancelled leaves its socket open
        address = f"{host}:{bound.getsockname()[1]}"
        web = make(frozenset({address, address.replace("127.0.0.1", "localhost")}))
        server = uvicorn.Server(configured(web))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [bound])
            try:
                yield f"http://{address}"
            finally:
                server.should_exit = True


async def gatekeeper(settings: Settings, host: str, port: int, *, with_worker: bool) -> None:
    """Serve until ended; prints the address, and the first admin's link where there is nobody yet.

    While the database or its log can't be opened, only opt-outs are taken.
    """
    console = Console(stderr=True)
    async with AsyncExitStack() as stack:
        app = await _opened(stack, settings, host, port, console)
        if with_worker and not await stack.enter_async_context(somebody_works(app)):
            console.print("another process runs the pipeline; this one takes over when it ends", style="dim")
        address = await stack.enter_async_context(listening(app, host, port))
        console.print(f"Gatekeeper at {address}")
        with suppress(Conflict):  # there is an admin
            console.print(f"First admin, once, within a day: {await first_admin_link(app.kernel, address)}")
        await anyio.sleep_forever()


async def _opened(stack: AsyncExitStack, settings: Settings, host: str, port: int, console: Console) -> App:
    """The application, as soon as it can be opened; until then, opt-outs are taken."""
    while True:
        try:
            return await stack.enter_async_context(open_app(settings, role="gatekeeper"))
        except (Unavailable, Fatal) as error:
            console.print(
                f"closed, and only opt-outs are taken: {error.message}", style="bold red", markup=False
            )
            # Under another key, links of ours would pass for made up, and a click be answered for nothing.
            known = None if error.code == "key_changed" else _links(settings)
            async with closed(settings, error.message, host, port, known):
                await opens(settings)


@asynccontextmanager
async def closed(
    settings: Settings, why: str, host: str = "127.0.0.1", port: int = 0, known: Links | None = None
) -> AsyncIterator[str]:
    """Take opt-outs and nothing else, clicks on `known` links among them; yields the address."""
    spool = Spool(settings.home)
    rules, sources = load_rules(settings.folder), webhook_sources(settings)
    left = Closed(settings, rules, sources, spool, why, known)
    async with _serving(lambda hosts: create_closed(left, hosts), host, port) as address:
        yield address


def _links(settings: Settings) -> Links | None:
    """The installation's links, if its keys are there; none is made here, since it would know no link."""
    if not (settings.home / "keys" / "pepper").is_file():
        return None
    try:
        return Links(load_keys(settings.home).pepper, settings.public_url)
    except (ConfigError, OSError) as error:
        log.error("gatekeeper.no_links", kind=type(error).__name__)  # noqa: TRY400 - its kind says it all
        return None


async def only_opt_outs(settings: Settings, host: str, port: int) -> None:
    """Take opt-outs into the spool until ended, and open nothing else; a worker of this machine takes them in."""
    known = _links(settings)
    if known is None:
        raise ConfigError(
            f"{settings.home / 'keys'}: the keys of the installation must be here, to read its links"
        )
    async with closed(settings, "it takes opt-outs only", host, port, known) as address:
        Console(stderr=True).print(f"opt-outs are taken at {address}")
        await anyio.sleep_forever()


async def opens(settings: Settings, every: float = LOOK_SECONDS) -> None:
    """Wait until the kernel can be opened."""
    clock = SystemClock()
    while True:
        await clock.sleep(every)
        try:
            async with open_kernel(settings, role="command", patience=every):
                return
        except (Unavailable, Fatal) as error:
            log.warning("gatekeeper.still_closed", code=error.code)
