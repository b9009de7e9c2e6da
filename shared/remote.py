"""A port over MCP: the same methods as in process, carried to a server in another process or on another host.

Arguments travel as plain JSON, answers come back as the types the protocol names, and an error is raised as
the class it was raised as over there. A lost answer to a write is `InDoubt`, exactly as with a vendor.
"""

import inspect
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, get_type_hints
from urllib.parse import urlsplit

import anyio
import httpx2
from anyio.abc import TaskGroup, TaskStatus
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, REQUEST_TIMEOUT, CallToolResult, Tool
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from shared.errors import ConfigError, Conflict, Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.foreign import clean
from shared.listener import is_loopback
from shared.server import CORRELATION, WHOLE
from shared.settings import PortBinding, Settings
from shared.suite import methods
from shared.telemetry import correlation, logger
from shared.toolschema import RESULT

ANSWER_SECONDS = 300.0  # a batch of a thousand, with the vendor's limits in between
CONNECT_SECONDS = 30.0
MAX_MESSAGE = 500

Transport = AbstractAsyncContextManager[Any]

ERRORS: Mapping[str, type[SwarmError]] = {
    error.__name__: error for error in (Retryable, NotSent, Fatal, Invalid, Conflict, InDoubt)
}
KINDS: Mapping[str, type[SwarmError]] = {"retryable": Retryable, "validation": Invalid, "fatal": Fatal}


class RemoteMethod:
    """One method of a port: how its arguments are named and what its answer is."""

    def __init__(self, server: str, name: str, function: Callable[..., Any], *, writes: bool) -> None:
        self.tool = f"{server}_{name}"
        self.writes = writes
        whole = inspect.signature(function)
        self.signature = whole.replace(parameters=list(whole.parameters.values())[1:])
        self.returns: TypeAdapter[Any] = TypeAdapter(get_type_hints(function, include_extras=True)["return"])
        self.wrapped = self.returns.json_schema(mode="serialization").get("type") != "object"

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """By name and as JSON; text is carried to the letter, since approvals are bound to it."""
        bound = self.signature.bind(*args, **kwargs)
        plain = to_jsonable_python(dict(bound.arguments))
        assert isinstance(plain, dict)
        return plain

    def read(self, structured: object) -> Any:
        """The structured answer as the protocol's type."""
        inner = structured.get(RESULT) if self.wrapped and isinstance(structured, dict) else structured
        return self.returns.validate_python(inner)

    def lost(self) -> SwarmError:
        """The connection ended before the answer came."""
        if self.writes:
            return InDoubt(f"The answer to {self.tool} was lost; whether it was done is not known.")
        return Retryable(f"The server behind {self.tool} did not answer.", code="server_unreachable")

    def unreadable(self) -> SwarmError:
        """An answer came, and it isn't what the port promises."""
        message = f"The answer to {self.tool} can't be read; both sides must run the same version."
        return InDoubt(message) if self.writes else Fatal(message, code="unreadable_answer")


class Line:
    """A connection in a task of its own: what breaks it can't cancel the caller; the next call redials."""

    def __init__(self, tasks: TaskGroup, dial: Callable[[], Client]) -> None:
        self._tasks = tasks
        self._dial = dial
        self._dialling = anyio.Lock()
        self._client: Client | None = None
        self._hung_up = anyio.Event()

    async def client(self) -> Client:
        """The connected client; raises what the transport raises where it can't connect."""
        async with self._dialling:
            if self._client is None:
                self._client = await self._tasks.start(self._hold)
            return self._client

    def hang_up(self, client: Client) -> None:
        """Give up a connection that ended; a newer one stays."""
        if self._client is client:
            self._client = None
            self._hung_up.set()

    async def _hold(self, *, task_status: TaskStatus[Client]) -> None:
        hung_up = self._hung_up = anyio.Event()
        client = self._dial()
        connected = False
        try:
            async with client:
                connected = True
                task_status.started(client)
                await hung_up.wait()
        except Exception as error:
            if not connected:
                raise
            logger("remote").warning("connection lost", error=type(error).__name__)
        finally:
            self.hang_up(client)


class RemotePort:
    """The port's methods as calls of the tools of a connected server."""

    def __init__(self, line: Line, found: Mapping[str, RemoteMethod]) -> None:
        self._line = line
        self._methods = found

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        try:
            return partial(self._call, self._methods[name])
        except KeyError:
            raise AttributeError(name) from None

    async def _call(self, method: RemoteMethod, *args: Any, **kwargs: Any) -> Any:
        arguments = method.arguments(args, kwargs)
        try:
            client = await self._line.client()
        except Exception as error:
            raise NotSent(f"The server behind {method.tool} is out of reach.", code="unreachable") from error
        try:
            result = await client.call_tool(method.tool, arguments, meta=_meta())
        except MCPError as error:
            raise self._ended(method, client, error.code) from error
        except (RuntimeError, ValidationError) as error:  # the SDK's words for an answer against its schema
            raise method.unreadable() from error
        except (OSError, anyio.ClosedResourceError, anyio.BrokenResourceError) as error:
            raise self._ended(method, client, CONNECTION_CLOSED) from error
        return _answer(method, result)

    def _ended(self, method: RemoteMethod, client: Client, code: int) -> SwarmError:
        if code == CONNECTION_CLOSED:
            self._line.hang_up(client)
        if code in (CONNECTION_CLOSED, REQUEST_TIMEOUT):
            return method.lost()
        return Fatal(f"The server did not accept {method.tool} (code {code}).", code="not_accepted")


def _meta() -> Any:
    """A program asks, under its own correlation id."""
    return {WHOLE: True, CORRELATION: correlation()} if correlation() else {WHOLE: True}


def _answer(method: RemoteMethod, result: CallToolResult) -> Any:
    if result.is_error:
        raise _raised(method, result.structured_content)
    try:
        return method.read(result.structured_content)
    except ValidationError as error:
        raise method.unreadable() from error


def _raised(method: RemoteMethod, told: object) -> SwarmError:
    """The error as it was raised over there."""
    if not isinstance(told, dict):
        return method.unreadable()
    kind = KINDS.get(str(told.get("kind")), Fatal)
    return ERRORS.get(str(told.get("error")), kind)(
        clean(str(told.get("message", "")))[:MAX_MESSAGE],
        field=str(told.get("field", "")),
        retry_after=float(told.get("retry_after", 0.0)),
        code=str(told.get("code", "")),
    )


@asynccontextmanager
async def open_port(protocol: type, binding: PortBinding, settings: Settings) -> AsyncIterator[RemotePort]:
    """Connect to the port's server: a child process for `stdio`, else the address of one that listens.

    Raises `ConfigError` for a server that lacks the port's methods, `Fatal` for one out of reach.
    """
    raised: Exception | None = None
    dial = _dial(binding, settings)
    async with anyio.create_task_group() as tasks:
        try:
            yield await dialled(Line(tasks, dial), binding.server, protocol)
        except Exception as error:  # noqa: BLE001  # raised below: from in here the task group would wrap it
            raised = error
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised


def _dial(binding: PortBinding, settings: Settings) -> Callable[[], Client]:
    """How to get a new client; everything that can be wrong with the configuration is found here."""
    connect: Callable[[], Transport]
    if binding.binding == "stdio":
        connect = partial(_child, binding.server, settings)
    else:
        connect = partial(_http, _address(binding), settings.variables.get("SWARM_HTTP_TOKEN", ""))
    return lambda: Client(connect(), read_timeout_seconds=ANSWER_SECONDS, cache=None)


async def dialled(line: Line, server: str, protocol: type) -> RemotePort:
    """The port over that line, once its server is known to have every method."""
    try:
        client = await line.client()
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    except Exception as error:
        raise Fatal(f"The server {server} can't be reached as configured.", code="unreachable") from error
    missing = [name for name in methods(protocol) if f"{server}_{name}" not in tools]
    if missing:
        hint = "start it with --toolsets all, and not read-only"
        raise ConfigError(
            f"the server {server} lacks {', '.join(missing)}, which {protocol.__name__} needs: {hint}"
        )
    return RemotePort(line, {name: _method(server, name, protocol, tools) for name in methods(protocol)})


def _method(server: str, name: str, protocol: type, tools: Mapping[str, Tool]) -> RemoteMethod:
    hints = tools[f"{server}_{name}"].annotations
    writes = not (hints and hints.read_only_hint)
    return RemoteMethod(server, name, getattr(protocol, name), writes=writes)


def _child(server: str, settings: Settings) -> Transport:
    command = ["-m", "servers", server, "--toolsets", "all"]
    return stdio_client(
        StdioServerParameters(command=sys.executable, args=command, env=environment(settings))
    )


def environment(settings: Settings) -> dict[str, str]:
    """What a child must be told, since it inherits next to nothing: our variables, and safety as here."""
    flags = {
        "SAFE_MODE": settings.safe_mode,
        "KILL_SWITCH": settings.kill_switch,
        "READ_ONLY": settings.read_only,
    }
    return {
        **settings.variables,
        **{name: str(value).lower() for name, value in flags.items()},
        "SWARM_HOME": str(settings.home),
        "SWARM_CONFIG": str(settings.folder.absolute()),
        "DATABASE_URL": settings.database_url,
    }


def _address(binding: PortBinding) -> str:
    """The server's MCP endpoint; a token may leave this machine only encrypted."""
    address = urlsplit(binding.binding)
    if address.scheme != "https" and not is_loopback(address.hostname or ""):
        raise ConfigError(f"the server {binding.server} is on another host: its binding must be https://")
    return binding.binding if address.path.strip("/") else f"{binding.binding.rstrip('/')}/mcp"


@asynccontextmanager
async def _http(url: str, token: str) -> AsyncIterator[Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout = httpx2.Timeout(CONNECT_SECONDS, read=ANSWER_SECONDS)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout) as http,
        streamable_http_client(url, http_client=http) as streams,
    ):
        yield streams
