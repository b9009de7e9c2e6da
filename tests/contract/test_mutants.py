"""The deliberate breaks of `tools/breaks.py`: one that no longer fits the code would prove nothing."""

from tools.breaks import EQUIVALENT, MUTANTS
from tools.mutants import ROOT, TESTS


def test_every_break_fits_the_code_once() -> None:
    sources = {one.file: (ROOT / "shared" / f"{one.file}.py").read_text(encoding="utf-8") for one in MUTANTS}
    assert [one.name for one in MUTANTS if sources[one.file].count(one.old) != 1] == []


def test_every_break_is_one_of_its_own() -> None:
    assert len({one.name for one in MUTANTS}) == len({(one.file, one.old, one.new) for one in MUTANTS})
    assert {one.old == one.new for one in MUTANTS} == {False}


def test_what_is_said_of_breaks_is_about_some_that_are_there() -> None:
    assert EQUIVALENT.keys() <= {one.name for one in MUTANTS}
    assert {path for paths in TESTS.values() for path in paths if not (ROOT / path).is_file()} == set()
