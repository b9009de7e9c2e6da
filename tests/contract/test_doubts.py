"""Every effect of every server can be looked up at its vendor, or its server says why not.

The effects are read from the source, so that one that nobody tests is found as well: each `Effect(…)` in a vendor's
folder with its account and action, followed through the parameters of the function around it.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest

from shared.settings import load_settings
from shared.suite import Server, load_server

ROOT = Path(__file__).parent.parent.parent
SERVERS = load_settings(ROOT / "config", {}).suite.servers
VENDORS = [name for name in SERVERS if name != "orchestrator"]
FIELDS = ("vendor", "action")  # as they stand in an Effect, by position or by name


Function = ast.AsyncFunctionDef | ast.FunctionDef


@dataclass(frozen=True)
class Call:
    """A call, the function it stands in, and the file of both."""

    node: ast.Call
    around: Function | None
    file: str

    @property
    def name(self) -> str:
        return _name(self.node.func)


@dataclass(frozen=True)
class Source:
    """One vendor's folder: constants, the fields of its classes, and every call."""

    constants: Mapping[str, str]
    fields: Mapping[str, Sequence[str]]
    calls: tuple[Call, ...]

    def effects(self, within: Function | None = None) -> set[tuple[str, ...]]:
        """Account and action of every effect that this folder, or one function of it, makes."""
        return {
            made
            for call in self.calls
            if call.name == "Effect" and (within is None or call.around is within)
            for made in self._told([_argument(call.node, n, field) for n, field in enumerate(FIELDS)], call)
        }

    def _told(self, nodes: Sequence[ast.expr | None], at: Call) -> list[tuple[str, ...]]:
        """What these expressions may be together: as they stand, or as callers of the function pass them."""
        free = sorted({name for node in nodes for name in self._free(node, at)})
        given = self._passed(free, at) if free else [{}]
        return [choice for values in given for choice in product(*(self._here(n, at, values) for n in nodes))]

    def _free(self, node: ast.expr | None, at: Call) -> set[str]:
        """The parameters that an expression depends on."""
        if isinstance(node, ast.JoinedStr):
            return {name for part in node.values for name in self._free(_inner(part), at)}
        if not isinstance(node, ast.Name) or node.id in self.constants:
            return set()
        assigned = _assigned(at.around, node.id)
        return {name for one in assigned for name in self._free(one, at)} if assigned else {node.id}

    def _here(self, node: ast.expr | None, at: Call, given: Mapping[str, str]) -> list[str]:
        """What an expression may be where its parameters have these values. What can't be told fails."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        if isinstance(node, ast.JoinedStr):
            parts = product(*(self._here(_inner(part), at, given) for part in node.values))
            return ["".join(part) for part in parts]
        if isinstance(node, ast.Attribute):
            return self._field(node, at)
        assert isinstance(node, ast.Name), f"an account or action can't be told: {node and ast.unparse(node)}"
        known = self.constants.get(node.id, given.get(node.id))
        if known is not None:
            return [known]
        return [value for one in _assigned(at.around, node.id) for value in self._here(one, at, given)]

    def _field(self, node: ast.Attribute, at: Call) -> list[str]:
        """A field of a parameter of one of the folder's own classes: whatever is ever put into it."""
        assert at.around is not None
        kinds = {one.arg: one.annotation for one in at.around.args.args}
        kind = getattr(kinds.get(_name(node.value)), "id", "")
        assert kind in self.fields, f"{ast.unparse(node)} can't be told"
        place = list(self.fields[kind]).index(node.attr)
        made = [_argument(call.node, place, node.attr) for call in self.calls if call.name == kind]
        return [value for one in made if one is not None for value in self._here(one, at, {})]

    def _passed(self, names: Sequence[str], at: Call) -> list[dict[str, str]]:
        """What each caller passes for these parameters; a private function is called in its own file."""
        function = at.around
        assert function is not None
        order = [one.arg for one in function.args.args]
        own = function.name.startswith("_")
        found = [c for c in self.calls if c.name == function.name and (c.file == at.file or not own)]
        assert found, f"nobody calls {function.name}, so its {', '.join(names)} can't be told"
        places = [order.index(name) if name in order else len(order) for name in names]
        return [
            dict(zip(names, values, strict=True))
            for call in found
            for values in self._told(
                [_argument(call.node, *one) for one in zip(places, names, strict=True)], call
            )
        ]


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _inner(part: ast.expr) -> ast.expr:
    return part.value if isinstance(part, ast.FormattedValue) else part


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    named = next((word.value for word in call.keywords if word.arg == name), None)
    return named if named is not None or place >= len(call.args) else call.args[place]


def _assigned(function: Function | None, name: str) -> list[ast.expr]:
    """What the name is set to in that function; unpacking a call is left out, of several names each has its own."""
    return [
        value
        for node in (ast.walk(function) if function else ())
        if isinstance(node, ast.Assign)
        for target, value in _each(node.targets[0], node.value)
        if isinstance(target, ast.Name) and target.id == name
    ]


def _each(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def source(name: str) -> Source:
    constants: dict[str, str] = {}
    fields: dict[str, Sequence[str]] = {}
    calls: list[Call] = []
    for file in sorted((ROOT / "servers" / name).glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign):
                constants |= {
                    _name(target): value.value
                    for target, value in _each(node.targets[0], node.value)
                    if isinstance(value, ast.Constant) and isinstance(value.value, str)
                }
            if isinstance(node, ast.ClassDef):
                fields[node.name] = [_name(one.target) for one in node.body if isinstance(one, ast.AnnAssign)]
        calls += list(_calls(tree, None, file.name))
    return Source(constants, fields, tuple(calls))


def _calls(node: ast.AST, around: Function | None, file: str) -> Iterator[Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield Call(child, around, file)
        yield from _calls(child, child if isinstance(child, Function) else around, file)


@pytest.fixture(params=VENDORS)
def server(request: pytest.FixtureRequest) -> Server:
    return load_server(request.param, SERVERS)


@pytest.mark.requirement("D3")
def test_every_effect_names_its_look_up_or_says_why_it_has_none(server: Server) -> None:
    made = set(source(server.name).effects())
    assert made == set(server.lookups) | set(server.unknowable)


def test_no_effect_is_both_looked_up_and_unknowable(server: Server) -> None:
    assert not set(server.lookups) & set(server.unknowable)


def test_why_it_can_not_be_told_is_a_sentence_that_says_where_to_look(server: Server) -> None:
    for effect, why in server.unknowable.items():
        assert len(why.split()) >= 8, effect
        assert "look" in why.lower(), effect


def test_the_servers_that_write_are_read() -> None:
    """A folder that is read wrongly would have no effects, and pass."""
    assert {name for name in VENDORS if set(source(name).effects())} == {
        "ghl",
        "hunter",
        "enricher",
        "instantly",
    }


def test_a_submission_without_a_look_up_is_of_what_can_not_be_looked_up(server: Server) -> None:
    """What the gate is given with an effect is what reconciliation would use: neither may be forgotten."""
    folder = source(server.name)
    for call in folder.calls:
        if call.name in {"submit", "submit_batch"} and _argument(call.node, 2, "lookup") is None:
            made = folder.effects(within=call.around)
            assert made, ast.unparse(call.node)
            assert made <= set(server.unknowable), ast.unparse(call.node)
