"""Real processes on one database, killed with SIGKILL over and over while people stop things."""

from pathlib import Path

import pytest

from tests.simulation.fleet import Ended, W, run_fleet

SOAK = 500  # kills
RESTART = 10.0  # seconds


def assert_sound(ended: Ended) -> None:
    told = f"{ended.report()}\n{ended.found}"
    assert ended.found.nothing, told
    assert not {"claimed", "in_doubt"} & ended.statuses.keys(), told
    assert ended.most_after_a_stop <= W, told
    assert ended.audit_ok, told
    assert ended.usual_restart <= RESTART, told  # the slowest tells of a busy machine; it is in the report


@pytest.mark.requirement("I1", "I2", "I3", "I8", "G7", "F9", "F10")
@pytest.mark.timeout(240)
async def test_two_processes_killed_a_few_times_lose_and_double_nothing(tmp_path: Path) -> None:
    ended = await run_fleet(tmp_path / "home", "", processes=2, kills=6, work=150, seed=1)
    assert ended.kills >= 6
    assert_sound(ended)


@pytest.mark.requirement("F10")
@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_four_processes_killed_five_hundred_times_lose_and_double_nothing(tmp_path: Path) -> None:
    ended = await run_fleet(tmp_path / "home", "", processes=4, kills=SOAK, work=SOAK * 10, seed=2)
    print(ended.report())  # noqa: T201 - the soak's own report
    assert ended.kills >= SOAK
    assert_sound(ended)
