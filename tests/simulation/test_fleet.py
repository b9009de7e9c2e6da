"""Real processes on one database, killed with SIGKILL over and over while people stop things."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.simulation.fleet import Ended, W, run_fleet

Database = Mapping[str, str]  # what the environment says of it
SOAK = 500  # kills
RESTART = 10.0  # seconds


def assert_sound(ended: Ended) -> None:
    told = f"{ended.report()}\n{ended.found}"
    assert ended.found.nothing, told
    assert not {"claimed", "in_doubt"} & ended.statuses.keys(), told
    assert ended.most_after_a_stop <= W, told
    assert ended.audit_ok, told


@pytest.mark.requirement("I1", "I2", "I3", "I8", "G7", "F9", "F10")
@pytest.mark.timeout(240)
@pytest.mark.both_databases
async def test_two_processes_killed_a_few_times_lose_and_double_nothing(
    tmp_path: Path, database: Database
) -> None:
    url = database.get("DATABASE_URL", "")
    ended = await run_fleet(tmp_path / "home", url, processes=2, kills=5, work=100, seed=1)
    assert ended.kills >= 5
    assert_sound(ended)


@pytest.mark.requirement("F10")
@pytest.mark.soak
@pytest.mark.timeout(7_200)
@pytest.mark.both_databases
async def test_four_processes_killed_five_hundred_times_lose_and_double_nothing(
    tmp_path: Path, database: Database
) -> None:
    url = database.get("DATABASE_URL", "")
    ended = await run_fleet(tmp_path / "home", url, processes=4, kills=SOAK, work=SOAK * 4, seed=2)
    print(f"{'PostgreSQL' if url else 'SQLite'}: {ended.report()}")  # noqa: T201 - the soak's own report
    assert ended.kills >= SOAK
    assert_sound(ended)
    assert ended.usual_restart <= RESTART  # the slowest, which is in the report, tells of a busy machine
