"""Every configured server keeps the house rules of its tools: names, hints, schemas, budgets, refusals.

`UPDATE_SNAPSHOTS=1` rewrites `snapshots/`, one file per tool: the diff is the change a host would see.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import Tool

from shared.remote import environment
from shared.server import Offer, build, described
from shared.settings import load_settings
from shared.suite import Server, load_server
from shared.toolschema import MAX_NAME, NAME, Contract

ROOT = Path(__file__).parent.parent.parent
SNAPSHOTS = Path(__file__).parent / "snapshots"
SERVERS = {**load_settings(ROOT / "config", {}).suite.servers, "little": "tests.little"}
MOST_TOOLS = 25
MOST_TOKENS = 12_000
CHARACTERS_PER_TOKEN = 4
UNPORTABLE = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "not", "prefixItems", "patternProperties", "title"}
SECRET = "hunter2-secret"
EVERYTHING = Offer(toolsets=frozenset({"all"}))


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    """Each configured server in turn, and the small one of the tests."""
    return load_server(request.param, SERVERS)


@pytest.fixture(params=["auto", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both protocol eras."""
    return str(request.param)


def listed(server: Server) -> list[Tool]:
    return [described(Contract(server.name, tool)) for tool in server.tools]


def wire(tool: Tool) -> dict[str, Any]:
    return tool.model_dump(by_alias=True, exclude_none=True, mode="json")


def nodes(schema: Any) -> Iterator[Any]:
    """Every schema inside a schema."""
    yield schema
    for inner in (*schema.get("properties", {}).values(), schema.get("items")):
        if inner is not None:
            yield from nodes(inner)
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"])


def test_a_server_is_called_what_suite_yaml_calls_it() -> None:
    for name in SERVERS:
        assert load_server(name, SERVERS).name == name


def test_names_are_server_verb_noun_and_unique(server: Server) -> None:
    names = [tool.name for tool in listed(server)]
    assert len(names) == len(set(names))
    for name in names:
        assert NAME.match(name)
        assert len(name) <= MAX_NAME
        assert name.startswith(f"{server.name}_")


def test_every_tool_has_title_description_and_all_hints(server: Server) -> None:
    for tool in listed(server):
        assert tool.title, tool.name
        assert tool.description, tool.name
        assert tool.annotations is not None
        assert None not in tool.annotations.model_dump().values(), tool.name


def test_a_reading_tool_is_not_destructive(server: Server) -> None:
    for tool in listed(server):
        assert tool.annotations is not None
        assert not (tool.annotations.read_only_hint and tool.annotations.destructive_hint), tool.name


def test_what_is_listed_by_default_fits_a_hosts_budget(server: Server) -> None:
    offered = [
        tool
        for tool in listed(server)
        if tool.name.removeprefix(f"{server.name}_") not in Offer().hidden(server)
    ]
    assert len(offered) <= MOST_TOOLS
    characters = sum(len(json.dumps(wire(tool), separators=(",", ":"))) for tool in offered)
    assert characters / CHARACTERS_PER_TOKEN <= MOST_TOKENS


def test_schemas_are_portable(server: Server) -> None:
    for tool in listed(server):
        for schema in (tool.input_schema, tool.output_schema):
            assert schema is not None
            assert schema["type"] == "object"
            for node in nodes(schema):
                assert isinstance(node["type"], str), (tool.name, node)
                assert not UNPORTABLE & node.keys(), (tool.name, node)


def test_arguments_are_closed_and_lists_name_their_items(server: Server) -> None:
    for tool in listed(server):
        for node in nodes(tool.input_schema):
            if "properties" in node:
                assert node["additionalProperties"] is False, (tool.name, node)
            if node["type"] == "array":
                assert node.get("items"), (tool.name, node)


def test_toolsets_name_tools_of_the_server(server: Server) -> None:
    names = {tool.name for tool in server.tools}
    assert {name for toolset in server.toolsets.values() for name in toolset} <= names


@pytest.mark.requirement("X6")
def test_texts_and_prompts_have_titles_and_fit_their_functions(server: Server) -> None:
    for one in server.resources:
        assert one.title
        assert one.description
        assert list(signature(one.read).parameters)[1:] == list(one.variables), one.name
    for prompt in server.prompts:
        assert prompt.title
        assert prompt.description
        taken = list(signature(prompt.write).parameters.values())[1:]
        assert [one.name for one in taken] == [one.name for one in prompt.arguments], prompt.name
        needed = [one.name for one in taken if one.default is one.empty]
        assert needed == [one.name for one in prompt.arguments if one.required], prompt.name


def test_addresses_and_names_of_prompts_are_unique(server: Server) -> None:
    for names in ([one.address for one in server.resources], [one.name for one in server.prompts]):
        assert len(names) == len(set(names))


def test_each_tool_is_as_its_snapshot_says(server: Server) -> None:
    for tool in listed(server):
        file, now = SNAPSHOTS / f"{tool.name}.json", json.dumps(wire(tool), indent=2) + "\n"
        if os.environ.get("UPDATE_SNAPSHOTS"):
            file.parent.mkdir(exist_ok=True)
            file.write_text(now, encoding="utf-8")
        assert file.is_file(), f"no snapshot of {tool.name}: run with UPDATE_SNAPSHOTS=1 and read the diff"
        assert file.read_text(encoding="utf-8") == now


def test_each_snapshot_is_of_a_tool() -> None:
    names = {tool.name for name in SERVERS for tool in listed(load_server(name, SERVERS))}
    stale = [file for file in SNAPSHOTS.glob("*.json") if file.stem not in names]
    if os.environ.get("UPDATE_SNAPSHOTS"):
        for file in stale:
            file.unlink()
        return
    assert stale == []


@pytest.mark.requirement("X6")
async def test_an_unknown_argument_is_refused_by_every_tool(server: Server, mode: str) -> None:
    async with Client(build(server, None, EVERYTHING), mode=mode, cache=None) as client:
        for tool in (await client.list_tools()).tools:
            result = await client.call_tool(tool.name, {"no_such_argument": SECRET})
            assert result.is_error, tool.name
            assert result.structured_content["kind"] == "validation", tool.name
            assert "no_such_argument" in result.structured_content["message"], tool.name
            assert SECRET not in result.model_dump_json(), tool.name


async def test_a_value_of_the_wrong_type_is_named_and_not_repeated(server: Server, mode: str) -> None:
    async with Client(build(server, None, EVERYTHING), mode=mode, cache=None) as client:
        for tool in (await client.list_tools()).tools:
            for name, schema in tool.input_schema["properties"].items():
                wrong: Any = {SECRET: 1.5} if schema["type"] != "object" else SECRET
                result = await client.call_tool(tool.name, {name: wrong})
                assert result.is_error, (tool.name, name)
                assert f"{name}: " in result.structured_content["message"], (tool.name, name)
                assert SECRET not in result.model_dump_json(), (tool.name, name)


async def test_a_read_only_server_offers_no_writing_tool(server: Server, mode: str) -> None:
    offer = Offer(read_only=True, toolsets=frozenset({"all"}))
    async with Client(build(server, None, offer), mode=mode, cache=None) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {f"{server.name}_{tool.name}" for tool in server.tools if not tool.writes}
        for tool in server.tools:
            if tool.writes:
                result = await client.call_tool(f"{server.name}_{tool.name}", {})
                assert result.structured_content["code"] == "read_only"


async def tools_and_refusal(client: Client) -> tuple[list[str], str]:
    names = [tool.name for tool in (await client.list_tools()).tools]
    refused = await client.call_tool(names[0], {"no_such_argument": 1})
    return names, refused.structured_content["kind"]


def expected(server: Server) -> tuple[list[str], str]:
    hidden = Offer().hidden(server)
    return [f"{server.name}_{tool.name}" for tool in server.tools if tool.name not in hidden], "validation"


def child_environment(folder: Path) -> dict[str, str]:
    """The shipped configuration plus the little server, on a home of its own."""
    config = folder / "config"
    config.mkdir()
    for entry in (ROOT / "config").iterdir():
        if entry.name != "suite.yaml":
            (config / entry.name).symlink_to(entry)
    suite = (ROOT / "config" / "suite.yaml").read_text(encoding="utf-8")
    (config / "suite.yaml").write_text(suite.replace("servers:\n", "servers:\n  little: tests.little\n"))
    return environment(load_settings(config, {"SWARM_HOME": str(folder / "home")}))


async def test_a_server_answers_on_stdio(server: Server, tmp_path: Path) -> None:
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "servers", server.name], env=child_environment(tmp_path), cwd=ROOT
    )
    async with Client(parameters, cache=None) as client:
        assert await tools_and_refusal(client) == expected(server)


async def test_a_server_answers_the_older_era_on_stdio(tmp_path: Path) -> None:
    server = load_server("little", SERVERS)
    parameters = StdioServerParameters(
        command=sys.executable, args=["-m", "servers", "little"], env=child_environment(tmp_path), cwd=ROOT
    )
    async with Client(parameters, mode="legacy", cache=None) as client:
        assert await tools_and_refusal(client) == expected(server)


@contextmanager
def listening(name: str, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "servers", name, "--http", "127.0.0.1:0"]
    env = {"PATH": os.environ["PATH"], **child_environment(folder)}
    with subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            found = (json.loads(line) for line in process.stderr)
            yield next(line["url"] for line in found if line.get("event") == "listening")
        finally:
            process.terminate()
            process.wait(20)


async def test_a_server_answers_over_http_in_both_eras(server: Server, tmp_path: Path) -> None:
    with listening(server.name, tmp_path) as url:
        for mode in ("auto", "legacy"):
            async with Client(url, mode=mode, cache=None) as client:
                assert await tools_and_refusal(client) == expected(server)


def test_mcp_json_starts_every_server_in_safe_mode() -> None:
    entries = json.loads((ROOT / "mcp.json").read_text(encoding="utf-8"))["mcpServers"]
    assert set(entries) == set(SERVERS) - {"little"}
    for name, entry in entries.items():
        assert entry["args"] == ["-m", "servers", name]
        assert entry["env"]["SAFE_MODE"] == "true"
