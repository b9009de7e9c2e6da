"""Servers by their configured names, and the ports bound to them: in process, or over MCP.

suite.yaml ── server name ──▶ module ──▶ its SERVER ──▶ opened instance ──▶ tools
           └─ port name ───▶ server name + binding ("in_process", "stdio", "http://…")
"""

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from starlette.types import ASGIApp

from shared.effect import Effect, Receipt
from shared.errors import ConfigError
from shared.kernel import Kernel
from shared.ports import Crm, Documents, Enricher, LeadSource, Sequencer
from shared.resource import Prompt, Resource
from shared.settings import PortBinding, Settings
from shared.tool import Tool, ToolFunction
from shared.tracing import Tracing
from shared.webhook import WebhookSource

ServerLookup = Callable[[Any, Effect], Awaitable[Receipt | None]]


@dataclass(frozen=True, slots=True)
class Server:
    """What a vendor's folder offers. See `docs/ADDING_A_SERVER.md`.

    Tools named in `toolsets` are listed only where that set is asked for; all others always. `options` are by
    vendor account what `options:` in its file may hold. Every effect, by account and action, is either in `lookups`
    or in `unknowable`, which says why its vendor can't tell whether it happened.
    """

    name: str
    title: str
    instructions: str
    open: Callable[[Kernel], AbstractAsyncContextManager[Any]]
    tools: tuple[Tool, ...]
    ports: tuple[str, ...] = ()
    webhooks: Mapping[str, WebhookSource] = field(default_factory=dict)
    lookups: Mapping[tuple[str, str], ServerLookup] = field(default_factory=dict)
    unknowable: Mapping[tuple[str, str], str] = field(default_factory=dict)
    sandboxes: Mapping[str, Callable[[Path | None], ASGIApp]] = field(default_factory=dict)
    toolsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    options: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    resources: tuple[Resource, ...] = ()
    prompts: tuple[Prompt, ...] = ()


PROTOCOLS: Mapping[str, type] = {
    "crm": Crm,
    "sequencer": Sequencer,
    "enricher": Enricher,
    "source": LeadSource,
    "documents": Documents,
}


def load_server(name: str, modules: Mapping[str, str]) -> Server:
    """The server of that name, from the module that `suite.yaml` names for it."""
    module = modules.get(name)
    if module is None:
        raise ConfigError(f"no server is called {name!r}; suite.yaml has {', '.join(sorted(modules))}")
    server = getattr(importlib.import_module(module), "SERVER", None)
    if not isinstance(server, Server):
        raise ConfigError(f"{module} has no SERVER")
    return server


def refuse_wrong_options(settings: Settings, names: Iterable[str]) -> None:
    """`ConfigError` for what these servers don't understand in their vendors' files; nothing is opened yet."""
    for name in names:
        for account, model in load_server(name, settings.suite.servers).options.items():
            settings.vendor_options(account, model)


def methods(protocol: type) -> tuple[str, ...]:
    """The names of a port's methods."""
    return tuple(name for name, member in vars(protocol).items() if callable(member) and name[0] != "_")


@dataclass(frozen=True, slots=True)
class Opened:
    """A server and its opened instance, in this process."""

    server: Server
    instance: Any


class InProcessPort:
    """A server's tools as methods, called directly."""

    def __init__(self, opened: Opened, tracing: Tracing) -> None:
        name = opened.server.name
        self._functions = {
            tool.name: _traced(f"{name}_{tool.name}", partial(tool.function, opened.instance), tracing)
            for tool in opened.server.tools
        }

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        try:
            return self._functions[name]
        except KeyError:
            raise AttributeError(name) from None


def _traced(name: str, function: ToolFunction, tracing: Tracing) -> ToolFunction:
    async def call(*args: Any, **named: Any) -> Any:
        with tracing.span(f"tool {name}", {"swarm.tool": name}):
            return await function(*args, **named)

    return call


@dataclass(frozen=True, slots=True)
class Suite:
    """The ports that were opened, and the servers in this process behind them."""

    ports: Mapping[str, Any]
    opened: Mapping[str, Opened]

    @property
    def crm(self) -> Crm:
        """Contacts, tags and opportunities."""
        return cast("Crm", self._port("crm"))

    @property
    def sequencer(self) -> Sequencer:
        """Campaigns at the sending vendor."""
        return cast("Sequencer", self._port("sequencer"))

    @property
    def enricher(self) -> Enricher:
        """Paid look-ups."""
        return cast("Enricher", self._port("enricher"))

    @property
    def source(self) -> LeadSource:
        """Audiences and files."""
        return cast("LeadSource", self._port("source"))

    @property
    def documents(self) -> Documents:
        """Text and fields out of files."""
        return cast("Documents", self._port("documents"))

    def server(self, name: str) -> Opened:
        """A server opened in this process; `ConfigError` for one that is bound over MCP or not at all."""
        if name not in self.opened:
            raise ConfigError(
                f"{name} isn't opened in this process; here are {', '.join(self.opened) or 'none'}"
            )
        return self.opened[name]

    def _port(self, name: str) -> Any:
        if name not in self.ports:
            raise ConfigError(f"suite.yaml binds no port called {name}")
        return self.ports[name]


@asynccontextmanager
async def open_suite(kernel: Kernel, ports: Iterable[str] = tuple(PROTOCOLS)) -> AsyncIterator[Suite]:
    """Open the given ports as `suite.yaml` binds them, each server once; all are closed with the context."""
    bindings = {name: binding for name, binding in kernel.settings.suite.ports.items() if name in ports}
    opened: dict[str, Opened] = {}
    async with AsyncExitStack() as stack:
        for binding in bindings.values():
            if binding.binding == "in_process" and binding.server not in opened:
                opened[binding.server] = await stack.enter_async_context(_opened(kernel, binding.server))
        bound = {
            name: await stack.enter_async_context(bind(name, binding, kernel, opened))
            for name, binding in bindings.items()
        }
        yield Suite(bound, opened)


@asynccontextmanager
async def _opened(kernel: Kernel, name: str) -> AsyncIterator[Opened]:
    server = load_server(name, kernel.settings.suite.servers)
    async with server.open(kernel) as instance:
        yield Opened(server, instance)


@asynccontextmanager
async def bind(
    port: str, binding: PortBinding, kernel: Kernel, opened: Mapping[str, Opened]
) -> AsyncIterator[Any]:
    """One port, wherever its server runs: an object with the methods of the port's protocol."""
    protocol = PROTOCOLS[port]
    if binding.binding != "in_process":
        # Imported only when needed: mcp costs half a second and 40 MB, which one process never uses.
        remote = importlib.import_module("shared.remote")
        async with remote.open_port(protocol, binding, kernel.settings) as remote_port:
            yield remote_port
        return
    server = opened[binding.server].server
    missing = sorted(set(methods(protocol)) - {tool.name for tool in server.tools})
    if port not in server.ports or missing:
        raise ConfigError(
            f"{server.name} doesn't provide the port {port}: it lacks {', '.join(missing) or port}"
        )
    yield InProcessPort(opened[binding.server], kernel.tracing)
