"""Each requirement has a test, and each test that claims to prove one names one that there is."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.requirements import LATER, REQUIREMENTS, SCENARIOS

TESTS = Path(__file__).parent.parent


def _marks(node: ast.AST) -> Iterator[ast.Call]:
    """The calls `pytest.mark.NAME(…)` in decorators."""
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).startswith("pytest.mark."):
            yield decorator


def _proofs(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Requirement, test, and whether `make test` runs it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [ast.unparse(decorator) for decorator in getattr(node, "decorator_list", [])]
        usual = "pytest.mark.soak" not in names
        for mark in _marks(node):
            if ast.unparse(mark.func) != "pytest.mark.requirement":
                continue
            assert getattr(node, "name", "").startswith("test_"), f"{path.name}:{mark.lineno} marks no test"
            assert mark.args, f"{path.name}:{mark.lineno} names no requirement"
            for argument in mark.args:
                assert isinstance(argument, ast.Constant), f"{path.name}:{mark.lineno} is not written out"
                yield str(argument.value), f"{path.name}::{node.name}", usual  # type: ignore[attr-defined]


def proofs() -> Mapping[str, list[tuple[str, bool]]]:
    """Requirement → its tests."""
    found: dict[str, list[tuple[str, bool]]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for requirement, test, usual in _proofs(path):
            found.setdefault(requirement, []).append((test, usual))
    return found


def test_every_requirement_has_a_test_that_usually_runs_or_a_reason() -> None:
    found = proofs()
    proven = {name for name, tests in found.items() if any(usual for _, usual in tests)}
    assert sorted(REQUIREMENTS.keys() - proven - LATER.keys()) == []


def test_every_mark_names_a_requirement() -> None:
    assert sorted(proofs().keys() - REQUIREMENTS.keys()) == []


def test_what_has_its_test_is_no_longer_put_off() -> None:
    assert sorted(LATER.keys() & proofs().keys()) == []
    assert sorted(LATER.keys() - REQUIREMENTS.keys()) == []


def test_no_two_files_of_tests_share_a_name() -> None:
    """The second one would not be collected, nor anything with it."""
    names = Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_all_25_scenarios_are_requirements() -> None:
    assert [one.id for one in SCENARIOS] == [f"F{number}" for number in range(1, 26)]
    assert len(REQUIREMENTS) == len({one.text for one in REQUIREMENTS.values()})
