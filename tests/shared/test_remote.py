"""A port over MCP behaves as the same port in process: same answers, same errors, same text to the letter."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import anyio
import pytest
from mcp import Client

from shared.errors import ConfigError, Conflict, Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.kernel import open_kernel
from shared.ports import BatchOutcome, Check, ContactRecord
from shared.remote import Line, RemoteMethod, dialled, environment, open_port
from shared.server import build
from shared.settings import PortBinding
from shared.suite import InProcessPort, Opened, open_suite
from shared.telemetry import correlated
from shared.tracing import NOWHERE
from tests.little import SERVER, Keeper, Little, Moment, little_settings

TOKEN = "test-token"
SECRETS = {"SWARM_HTTP_TOKEN": TOKEN}


@asynccontextmanager
async def keeping(little: Little) -> AsyncIterator[Any]:
    async with anyio.create_task_group() as tasks:
        line = Line(tasks, lambda: Client(build(SERVER, little), cache=None))
        yield await dialled(line, "little", Keeper)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def in_process(_: Path, __: str) -> AsyncIterator[Any]:
    yield InProcessPort(Opened(SERVER, Little()), NOWHERE)


@asynccontextmanager
async def in_memory(_: Path, __: str) -> AsyncIterator[Any]:
    async with keeping(Little()) as port:
        yield port


@asynccontextmanager
async def over_stdio(folder: Path, _: str) -> AsyncIterator[Any]:
    settings = little_settings(folder)
    async with open_port(Keeper, PortBinding(server="little", binding="stdio"), settings) as port:
        yield port


@asynccontextmanager
async def over_http(folder: Path, url: str) -> AsyncIterator[Any]:
    settings = little_settings(folder, **SECRETS)
    async with open_port(Keeper, PortBinding(server="little", binding=url), settings) as port:
        yield port


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A little server listening in a process of its own, behind a token."""
    settings = little_settings(tmp_path_factory.mktemp("http"), **SECRETS)
    command = [sys.executable, "-m", "servers", "little", "--http", "127.0.0.1:0"]
    env = {"PATH": os.environ["PATH"], **environment(settings)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = json.loads(process.stderr.readline())
        yield line["url"]
        process.terminate()
        assert process.wait(20) in (0, -15)


@pytest.fixture(params=[in_process, in_memory, over_stdio, over_http])
def way(request: pytest.FixtureRequest, tmp_path: Path, url: str) -> Callable[[], Any]:
    """The same port, reached in each possible way."""
    return lambda: request.param(tmp_path, url)


async def test_answers_are_the_protocols_types_whatever_the_way(way: Callable[[], Any]) -> None:
    async with way() as keeper:
        assert (await keeper.check_setup())[0] == Check("fields", ok=True)
        assert await keeper.get_moment(True) == Moment(
            datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC), {"deep": [{"er": None}]}
        )
        page = await keeper.find_people("b", limit=1500)
        assert (len(page.contacts), page.contacts[-1].email) == (1500, "b1499@corp.example")
        batch = await keeper.upsert_contacts((ContactRecord("a@corp.example", tags=("x",)),))
        assert isinstance(batch, BatchOutcome)
        assert (batch.outcomes[0].reference, dict(batch.counts)) == ("ref-a@corp.example", {"applied": 1})


async def test_errors_keep_their_class_whatever_the_way(way: Callable[[], Any]) -> None:
    async with way() as keeper:
        for how, expected in (("invalid", Invalid), ("conflict", Conflict), ("retry", NotSent)):
            with pytest.raises(SwarmError) as caught:
                await keeper.fail_always(how)
            assert type(caught.value) is expected
        assert (caught.value.retry_after, caught.value.code) == (7.5, "rate_limited")


@pytest.mark.parametrize("over", [over_stdio, over_http])
async def test_an_error_raised_by_the_user_of_a_port_comes_out_as_it_is(
    over: Callable[[Path, str], Any], tmp_path: Path, url: str
) -> None:
    async def use() -> None:
        async with over(tmp_path, url):
            raise KeyError("mine")

    with pytest.raises(KeyError):
        await use()


async def test_a_method_the_port_lacks_is_no_attribute(way: Callable[[], Any]) -> None:
    async with way() as keeper:
        with pytest.raises(AttributeError):
            _ = keeper.approve


async def test_text_is_carried_to_the_letter_because_approvals_are_bound_to_it() -> None:
    little = Little()
    async with keeping(little) as keeper:
        await keeper.upsert_contacts([ContactRecord("a@corp.example", first_name="Zo\u0308e\u200d\r\n")])
    assert little.kept[0].first_name == "Zo\u0308e\u200d\r\n"


async def test_the_callers_correlation_id_goes_along() -> None:
    async with in_memory(Path(), "") as keeper:
        with correlated("0123456789abcdef"):
            batch = await keeper.upsert_contacts([ContactRecord("a@corp.example")])
    assert batch.outcomes[0].correlation_id == "0123456789abcdef"


async def test_the_call_after_a_lost_connection_dials_again() -> None:
    async with keeping(Little()) as keeper:
        first = await keeper._line.client()
        keeper._line.hang_up(first)
        assert len(await keeper.check_setup()) == 2
        assert await keeper._line.client() is not first


class Wanting(Protocol):
    """A port with a method that the little server has no tool for."""

    async def find_people(self) -> tuple[Check, ...]: ...

    async def approve(self) -> None: ...


async def test_a_server_without_all_methods_of_the_port_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lacks approve"):
        async with open_port(
            Wanting, PortBinding(server="little", binding="stdio"), little_settings(tmp_path)
        ):
            pass


async def test_a_server_that_does_not_listen_is_fatal(tmp_path: Path) -> None:
    binding = PortBinding(server="little", binding="http://127.0.0.1:9/mcp")
    with pytest.raises(Fatal, match="can't be reached"):
        async with open_port(Keeper, binding, little_settings(tmp_path)):
            pass


async def test_without_the_token_a_server_over_http_is_out_of_reach(tmp_path: Path, url: str) -> None:
    with pytest.raises(Fatal, match="can't be reached"):
        async with open_port(Keeper, PortBinding(server="little", binding=url), little_settings(tmp_path)):
            pass


async def test_a_token_leaves_this_machine_only_encrypted(tmp_path: Path) -> None:
    binding = PortBinding(server="little", binding="http://mcp.example.com/mcp")
    with pytest.raises(ConfigError, match="https"):
        async with open_port(Keeper, binding, little_settings(tmp_path, **SECRETS)):
            pass


def method(*, writes: bool) -> RemoteMethod:
    return RemoteMethod("little", "remove_lead", Keeper.remove_lead, writes=writes)


def test_a_lost_answer_to_a_write_is_in_doubt_and_to_a_read_retryable() -> None:
    assert type(method(writes=True).lost()) is InDoubt
    assert type(method(writes=False).lost()) is Retryable


def test_an_unreadable_answer_to_a_write_is_in_doubt_and_to_a_read_fatal() -> None:
    assert type(method(writes=True).unreadable()) is InDoubt
    assert type(method(writes=False).unreadable()) is Fatal


async def test_a_server_that_died_meanwhile_leaves_a_write_in_doubt(tmp_path: Path) -> None:
    settings = little_settings(tmp_path, **SECRETS)
    command = [sys.executable, "-m", "servers", "little", "--http", "127.0.0.1:0"]
    env = {"PATH": os.environ["PATH"], **environment(settings)}
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stderr is not None
        binding = PortBinding(server="little", binding=json.loads(process.stderr.readline())["url"])
        async with open_port(Keeper, binding, settings) as keeper:
            process.kill()
            process.wait(20)
            with pytest.raises(InDoubt):
                await keeper.remove_lead("a@corp.example")
            with pytest.raises(NotSent):
                await keeper.check_setup()


def test_a_child_is_told_of_safety_as_it_is_here(tmp_path: Path) -> None:
    account = tmp_path / "config" / "vendors" / "ghl.yaml"
    account.parent.mkdir(parents=True)
    account.write_text("url: https://vendor.example\nkey_variable: GHL_API_KEY\n")
    told = environment(little_settings(tmp_path, SAFE_MODE="false", READ_ONLY="perhaps", GHL_API_KEY="k"))
    assert (told["SAFE_MODE"], told["READ_ONLY"], told["KILL_SWITCH"]) == ("false", "true", "false")
    assert (told["GHL_API_KEY"], Path(told["SWARM_HOME"]).is_absolute()) == ("k", True)


@pytest.mark.parametrize("binding", ["in_process", "stdio"])
async def test_a_suite_binds_its_ports_as_configured(tmp_path: Path, binding: str) -> None:
    async with open_kernel(little_settings(tmp_path, binding)) as kernel, open_suite(kernel) as suite:
        assert len((await suite.documents.parse("p")).text) == len("word x") * 3_000
        with pytest.raises(ConfigError):
            _ = suite.crm


async def test_a_suite_shows_the_servers_opened_in_this_process(tmp_path: Path) -> None:
    async with open_kernel(little_settings(tmp_path)) as kernel, open_suite(kernel) as suite:
        assert suite.server("little").server is SERVER
        with pytest.raises(ConfigError):
            suite.server("ghl")


def test_a_suite_in_one_process_never_imports_mcp() -> None:
    code = "import shared.suite, sys; sys.exit('mcp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
