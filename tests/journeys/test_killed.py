"""The process is killed with SIGKILL at random instants, and the run ends as if nothing had happened."""

from pathlib import Path

import pytest

from tests.journeys.killed import Ended, killed_run, report
from tests.postgres import Server

RESTART = 10.0  # seconds until a process that was killed works again, on a machine that does nothing else


def assert_unharmed(ended: Ended, whole: Ended) -> None:
    """Nothing lost, nothing twice, nothing left open, by the emulators' own logs."""
    assert ended.repeated == {}, report(ended)
    assert [who for who, count in ended.sends.items() if count > 1] == [], report(ended)
    assert ended.story == whole.story, f"{report(ended)}\n{report(whole)}"
    assert set(ended.sends) == set(whole.sends), report(ended)
    assert ended.in_doubt == 0, report(ended)
    assert ended.audit_ok, report(ended)


@pytest.mark.requirement("F10", "I1", "I2", "I8")
async def test_a_run_killed_a_few_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    whole = await killed_run(tmp_path / "whole", leads=15, kills=0, seed=1)
    ended = await killed_run(tmp_path / "killed", leads=15, kills=5, seed=2)
    assert ended.kills == 5
    assert_unharmed(ended, whole)


@pytest.mark.requirement("F9", "F10", "I1", "I2", "I8")
async def test_workers_on_postgresql_killed_one_after_the_other_end_alike(
    tmp_path: Path, postgres: Server
) -> None:
    with postgres.lent() as url:
        whole = await killed_run(tmp_path / "whole", leads=15, kills=0, seed=1, database=url, workers=2)
    with postgres.lent() as url:
        ended = await killed_run(tmp_path / "killed", leads=15, kills=6, seed=2, database=url, workers=2)
    assert ended.kills == 6
    assert_unharmed(ended, whole)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.requirement("F10")
async def test_a_hundred_leads_survive_fifty_kills(tmp_path: Path) -> None:
    whole = await killed_run(tmp_path / "whole", leads=100, kills=0, seed=1)
    ended = await killed_run(tmp_path / "killed", leads=100, kills=50, seed=3, longest=4.0)
    print(report(whole))  # noqa: T201 - the soak's own report
    print(report(ended))  # noqa: T201
    assert ended.kills == 50
    assert_unharmed(ended, whole)
    assert ended.restart <= RESTART


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.requirement("F10")
async def test_a_hundred_leads_survive_fifty_kills_of_four_workers(tmp_path: Path, postgres: Server) -> None:
    with postgres.lent() as url:
        whole = await killed_run(tmp_path / "whole", leads=100, kills=0, seed=1, database=url, workers=4)
    with postgres.lent() as url:
        ended = await killed_run(
            tmp_path / "killed", leads=100, kills=50, seed=3, longest=1.0, database=url, workers=4
        )
    print(report(whole))  # noqa: T201 - the soak's own report
    print(report(ended))  # noqa: T201
    assert ended.kills == 50
    assert_unharmed(ended, whole)
    assert ended.restart <= RESTART
