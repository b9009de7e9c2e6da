"""The flows: a stage that can't go on ends its run with a sentence; what time may cure is waited for."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import outreach, pipeline, runs
from orchestrator.app import App
from orchestrator.pipeline import flows
from shared.errors import Fatal, Invalid, NotSent
from shared.kernel import Kernel
from shared.pipeline_schema import campaign
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import (
    Leaping,
    alone,
    approved,
    opened,
    people,
    put,
    run_state,
    states,
    the,
    world,
)

SECRET = "connection string with password=hunter2"


class Straight:
    """Runs each stage at once, as the engine would; keeps what the engine would keep."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}
        self.waiting: list[tuple[str, Any]] = []

    def __call__(self, name: str, stage: Any, /, *args: Any) -> Any:
        if name not in self.kept:
            raise _Next(name, stage(*args))
        return self.kept[name]


class _Next(BaseException):
    """The flow wants this stage next."""

    def __init__(self, name: str, stage: Any) -> None:
        self.name, self.stage = name, stage


async def _flow(app: App, name: str, **args: Any) -> tuple[Any, Straight]:
    """The flow to its end, beginning anew after each stage as after a crash; its result, or the error."""
    step = Straight()
    while True:
        try:
            return flows(app)[name](step, args), step
        except _Next as wanted:
            step.kept[wanted.name] = await wanted.stage
        except Fatal as error:
            return error, step


async def _broken(app: App) -> None:
    raise ValueError(SECRET)


# ── one stage ────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_time_may_cure_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path)})
    clock, tries = Leaping(), []

    async def stage(app: App) -> str:
        tries.append(clock.ahead.total_seconds())
        if len(tries) < 4:
            raise NotSent("away", retry_after=5.0 if len(tries) == 1 else 0.0)
        return "done"

    async with opened(settings, clock) as app:
        began = clock.ahead.total_seconds()
        assert await pipeline._patient(app, stage) == "done"
    assert [round(at - began) for at in tries] == [0, 5, 9, 17]


async def test_what_time_does_not_cure_is_given_up_after_a_while(tmp_path: Path) -> None:
    tries = []

    async def stage(app: App) -> str:
        tries.append(1)
        raise NotSent("the vendor is away", code="unreachable")

    async with opened(load_settings(CONFIG, {"SWARM_HOME": str(tmp_path)}), Leaping()) as app:
        assert await pipeline._told(app, stage) == {"failed": "the vendor is away"}
    assert len(tries) == pipeline.TRIES


async def test_what_only_we_can_change_is_not_tried_again(live_kernel: Kernel) -> None:
    async def stage(app: App) -> str:
        raise Invalid("no such file")

    assert await pipeline._told(alone(live_kernel), stage) == {"failed": "no such file"}


async def test_a_bug_leaves_no_word_of_its_own_behind(live_kernel: Kernel) -> None:
    assert await pipeline._told(alone(live_kernel), _broken) == {"failed": pipeline.BUG}


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_run_that_can_not_go_on_fails_with_a_sentence(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        made = await runs.create(it.kernel, {"files": [str(tmp_path / "gone.csv")], "asked": "run"})
        ended, _ = await _flow(it.app, "run", run_id=made.id)
        assert isinstance(ended, Fatal)
        found = await runs.get(it.kernel, made.id)
        assert (found.state, found.message) == ("failed", "there is no such file")


async def test_a_run_goes_through_every_stage_though_it_begins_anew_after_each(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        made = await runs.create(it.kernel, {"stored": True, "asked": "run"})
        ended, step = await _flow(it.app, "run", run_id=made.id)
        assert ended == {"run": made.id}
        assert await run_state(it.app, made.id) == "finished"
        assert list(step.kept) == ["collect", "findings", "group", "review"]


async def test_research_alone_ends_as_researched(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        made = await runs.create(it.kernel, {"stored": True, "asked": "research"})
        await _flow(it.app, "research", run_id=made.id)
        assert await run_state(it.app, made.id) == "researched"


# ── launches ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_launch_goes_through_every_stage(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        ended, _ = await _flow(it.app, "launch", campaign_id=campaign_id, version=1)
        assert ended == {"state": "live", "why": ""}
        assert await run_state(it.app, run_id) == "finished"


async def test_a_launch_that_can_not_go_on_is_stalled_and_says_why(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(1))
        away = {"kind": "drop_after", "method": "GET|POST", "path": "/campaigns", "times": -1}
        await it.break_things("instantly", away)
        ended, _ = await _flow(it.app, "launch", campaign_id=campaign_id, version=1)
        assert isinstance(ended, Fatal)
        assert (await the(it.app, campaign_id)).state == "stalled"
        assert (await runs.get(it.kernel, run_id)).message


async def test_people_whom_the_vendor_refused_for_the_moment_get_in_later(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await it.break_things(
            "instantly", {"kind": "drop_before", "method": "POST", "path": "/leads/add", "times": 1}
        )
        await _flow(it.app, "launch", campaign_id=campaign_id, version=1)
        assert await states(it.app, campaign_id) == [("live", "")]
        assert len(await it.wrote("instantly", "add_lead")) == 1


async def test_a_launch_of_what_was_changed_since_does_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, campaign_id = await approved(app, people(1))
    await put(app, sa.update(campaign).values(version=2))
    ended, _ = await _flow(app, "launch", campaign_id=campaign_id, version=1)
    assert ended == {"state": "not launched"}
    assert (await the(app, campaign_id)).state == "approved"


@pytest.mark.parametrize("state", ["pending_review", "live", "paused", "rejected"])
async def test_only_what_is_approved_is_launched(live_kernel: Kernel, state: str) -> None:
    app = alone(live_kernel)
    _, campaign_id = await approved(app, people(1))
    await put(app, sa.update(campaign).values(state=state))
    assert (await outreach.begin(app, campaign_id, 1))["starts"] == []
    assert (await the(app, campaign_id)).state == state
