"""Every port method is a tool of the server that provides the port: same arguments, same answer."""

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from shared.effect import Outcome
from shared.ports import BatchOutcome
from shared.settings import load_settings
from shared.suite import PROTOCOLS, Server, load_server, methods

SUITE = load_settings(Path(__file__).parent.parent.parent / "config", {}).suite
METHODS = [(port, name) for port, protocol in PROTOCOLS.items() for name in methods(protocol)]


def provider(port: str) -> Server:
    return load_server(SUITE.ports[port].server, SUITE.servers)


def parameters(function: Any) -> list[inspect.Parameter]:
    """All but the first, which is the port or the opened server."""
    return list(inspect.signature(function).parameters.values())[1:]


def test_every_port_is_bound_to_a_server_that_says_so() -> None:
    assert set(SUITE.ports) == set(PROTOCOLS)
    for port in PROTOCOLS:
        assert port in provider(port).ports


@pytest.mark.parametrize(("port", "name"), METHODS)
def test_a_port_method_is_a_tool_with_the_same_arguments_and_answer(port: str, name: str) -> None:
    tools = {tool.name: tool for tool in provider(port).tools}
    assert name in tools, f"{provider(port).name} has no tool {name}"
    wanted, offered = getattr(PROTOCOLS[port], name), tools[name].function
    # Without their constraints: a tool may describe and bound what the port leaves open.
    wanted_types, offered_types = get_type_hints(wanted), get_type_hints(offered)
    assert offered_types["return"] == wanted_types["return"]
    count = len(parameters(wanted))
    for want, offer in zip(parameters(wanted), parameters(offered), strict=False):
        assert offer.name == want.name
        assert offer.default == want.default, want.name
        assert offered_types[want.name] == wanted_types[want.name], want.name
    assert len(parameters(offered)) >= count
    assert all(extra.default is not extra.empty for extra in parameters(offered)[count:])


def test_a_port_method_that_answers_an_outcome_is_marked_as_writing() -> None:
    for port, name in METHODS:
        hints = get_type_hints(getattr(PROTOCOLS[port], name))
        tool = {tool.name: tool for tool in provider(port).tools}[name]
        assert tool.writes or hints["return"] not in (Outcome, BatchOutcome), f"{port}.{name}"
