"""What was asked, how far it is and how it ended; a run is open as long as something of it is."""

import anyio
import pytest
import sqlalchemy as sa

from orchestrator import runs
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, run
from tests.orchestrator.world import alone, people, planned, put, run_state


async def _put(kernel: Kernel, state: str) -> str:
    made = await runs.create(kernel, {})
    await kernel.store.write(lambda c: c.execute(sa.update(run).values(state=state)))
    return made.id


async def test_a_new_run_keeps_what_was_asked_and_in_which_mode(kernel: Kernel) -> None:
    made = await runs.create(kernel, {"files": ["a.csv"], "asked": "run"})
    assert (made.mode, made.state, made.params["files"]) == ("safe", "running", ["a.csv"])
    assert await runs.get(kernel, made.id) == made


async def test_a_run_outside_safe_mode_is_live(live_kernel: Kernel) -> None:
    assert (await runs.create(live_kernel, {})).mode == "live"


async def test_the_same_key_gives_the_same_run_also_side_by_side(live_kernel: Kernel) -> None:
    made: list[str] = []

    async def ask() -> None:
        made.append((await runs.create(live_kernel, {}, key="monday")).id)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    assert len(set(made)) == 1
    assert len(await runs.newest(live_kernel)) == 1
    found = await runs.of_key(live_kernel, "monday")
    assert found is not None
    assert found.id == made[0]


async def test_no_key_finds_no_run(live_kernel: Kernel) -> None:
    await runs.create(live_kernel, {})
    assert await runs.of_key(live_kernel, "") is None


async def test_planning_follows_research_and_nothing_else(live_kernel: Kernel) -> None:
    run_id = await _put(live_kernel, "researched")
    await runs.ask(live_kernel, run_id, "plan")
    found = await runs.get(live_kernel, run_id)
    assert (found.state, found.params["asked"]) == ("running", "plan")
    with pytest.raises(Invalid, match="planning follows research"):
        await runs.ask(live_kernel, run_id, "plan")


async def test_an_unknown_run_is_said_to_be_unknown(live_kernel: Kernel) -> None:
    with pytest.raises(Invalid, match="no run is called nobody"):
        await runs.get(live_kernel, "nobody")


@pytest.mark.parametrize("state", ["review", "finished", "failed"])
async def test_a_run_that_got_further_does_not_fail_any_more(live_kernel: Kernel, state: str) -> None:
    run_id = await _put(live_kernel, state)
    await runs.fail(live_kernel, run_id, "too late")
    await runs.mark(live_kernel, run_id, state="running", stage="back")
    found = await runs.get(live_kernel, run_id)
    assert (found.state, found.message) == (state, "")


@pytest.mark.parametrize("state", runs.OPEN)
async def test_a_run_is_open_while_a_campaign_of_it_is(live_kernel: Kernel, state: str) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(1))
    await put(app, sa.update(campaign).values(state=state))
    await runs.finish_if_done(live_kernel, run_id)
    assert await run_state(app, run_id) == "review"


@pytest.mark.parametrize("state", ["live", "simulated", "paused", "rejected", "completed", "failed"])
async def test_a_run_is_finished_once_every_campaign_of_it_is_decided(
    live_kernel: Kernel, state: str
) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(1))
    await put(app, sa.update(campaign).values(state=state))
    await runs.finish_if_done(live_kernel, run_id)
    found = await runs.get(live_kernel, run_id)
    assert (found.state, bool(found.finished_at)) == ("finished", True)


async def test_a_run_that_is_still_worked_on_is_not_finished(live_kernel: Kernel) -> None:
    run_id = await _put(live_kernel, "running")
    await runs.finish_if_done(live_kernel, run_id)
    assert (await runs.get(live_kernel, run_id)).state == "running"


async def test_what_is_being_launched_is_told_by_state(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(1))
    assert await runs.launches_open(live_kernel, run_id) == {}
    await put(app, sa.update(campaign).values(state="stalled"))
    assert await runs.launches_open(live_kernel, run_id) == {"stalled": 1}
