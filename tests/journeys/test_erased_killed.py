"""An erasure that is killed with SIGKILL, wherever it is, ends as one that was not: nothing left, nothing twice."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.journeys.erased_killed import OVER, Ended, killed_erasures
from tests.journeys.killed import REPEATABLE

NEVER = "never"
# The person is suppressed and the vendors are asked (up to the thirtieth or so), then it goes table by table, file by
# file; then the database's file is written anew, and the rest is handed to people.
INSTANTS = (NEVER, "7", "24", "130", "os.rename", "VACUUM+1")
OTHER = f"person{len(INSTANTS) + 1}@corp{len(INSTANTS) + 1}.com"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """One who was erased in one go, and those who weren't."""
    return asyncio.run(killed_erasures(tmp_path_factory.mktemp("home"), INSTANTS))


@pytest.mark.requirement("E6", "I8")
def test_each_was_really_killed_and_ends_complete_all_the_same(ended: Ended) -> None:
    assert_complete(ended)


@pytest.mark.requirement("E1", "E6")
def test_nothing_links_to_any_of_them_in_any_table_or_file(ended: Ended) -> None:
    left = [(one.killed_at, one.cells, one.files) for one in ended.people if one.cells or one.files]
    assert left == []


@pytest.mark.requirement("E2", "E6")
def test_each_of_them_stays_on_the_list(ended: Ended) -> None:
    assert [one.killed_at for one in ended.people if one.refused != "suppressed"] == []


@pytest.mark.requirement("E3", "I6")
def test_the_audit_log_is_whole_and_nobody_else_was_touched(ended: Ended) -> None:
    assert ended.audit_ok
    assert ended.others == [OTHER]


@pytest.mark.requirement("I1", "E6")
def test_no_vendor_was_told_anything_twice_but_to_stop(ended: Ended) -> None:
    assert_once(ended)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.requirement("E6", "I8")
async def test_wherever_it_is_killed_it_ends_alike(tmp_path: Path) -> None:
    often = [NEVER, *(str(n) for n in range(1, 150, 3)), *(f"VACUUM+{n}" for n in range(6))]
    found = await killed_erasures(tmp_path, often)
    assert_complete(found)
    assert_once(found)
    assert [one.killed_at for one in found.people if one.cells or one.files or not one.refused] == []
    assert found.audit_ok


def assert_complete(ended: Ended) -> None:
    """Each but the first was killed, and no request has to go on."""
    whole, *killed = ended.people
    assert whole.ended_by == 0
    assert [one.killed_at for one in killed if one.ended_by != -signal.SIGKILL] == []
    assert [(one.killed_at, one.state) for one in ended.people if one.state not in OVER] == []
    assert ended.unfinished == 0


def assert_once(ended: Ended) -> None:
    """By the vendors' logs all was done that was for whoever was erased in one go, and nothing twice.

    But for what stops somebody: asked again where the process died between its calls, it does so once more.
    """
    whole = ended.people[0].writes
    assert set(whole.values()) == {1}
    assert {("instantly", "delete_lead"), ("instantly", "block")} <= set(whole)
    for one in ended.people:
        assert set(one.writes) == set(whole), one.killed_at
        twice = {action for (_, action), count in one.writes.items() if count > 1}
        assert twice <= REPEATABLE, one.killed_at
