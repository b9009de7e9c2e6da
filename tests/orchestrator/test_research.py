"""Who is in a run, and what our own records say of them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import research, runs
from orchestrator.app import App
from orchestrator.demo import POST
from shared.clock import SystemClock, iso
from shared.errors import Fatal
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, event
from tests.orchestrator.world import a_run, alone, in_run, people, planned, put, world


async def _stored(app: App) -> int:
    """How many a run over everyone stored takes in."""
    made = await runs.create(app.kernel, {"stored": True})
    await research.collect(app, made.id)
    return len(await in_run(app, made.id))


async def _days(app: App, **more: Any) -> int:
    (one,) = people(1)
    found = await app.kernel.store.read(
        lambda c: research.standing_of(app, c, {one.id: one}, app.kernel.clock.now() + timedelta(days=3))
    )
    return found[one.id].contacted_days_ago


# ── everyone stored ──────────────────────────────────────────────────────────────────────────────────────
async def test_everyone_stored_is_taken_in_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await a_run(app, people(3))
    made = await runs.create(live_kernel, {"stored": True})
    for _ in range(2):
        assert await research.collect(app, made.id) == {"batches": 1}
    assert len(await in_run(app, made.id)) == 3


async def test_whoever_is_in_a_campaign_is_not_taken_in_again(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(3))
    assert await _stored(app) == 0


@pytest.mark.parametrize("state", ["rejected", "failed"])
async def test_a_campaign_that_came_to_nothing_uses_nobody_up(live_kernel: Kernel, state: str) -> None:
    app = alone(live_kernel)
    await planned(app, people(3))
    await put(app, sa.update(campaign).values(state=state))
    assert await _stored(app) == 3


async def test_a_rehearsal_in_safe_mode_uses_nobody_up(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await live_kernel.switches.engage_safe_mode(actor="test", reason="rehearsal")
    await planned(app, people(3))
    await live_kernel.switches.leave_safe_mode(actor="test", reason="over")
    assert await _stored(app) == 3


# ── what we know of them ─────────────────────────────────────────────────────────────────────────────────
async def test_somebody_in_a_live_campaign_was_contacted(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    assert await _days(app) == -1
    await put(app, sa.update(campaign_lead).values(state="live"))
    assert await _days(app) == 3


async def test_somebody_who_answered_and_was_stopped_was_contacted_all_the_same(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign_lead).values(state="stopped"))
    now, lead_id = iso(live_kernel.clock.now()), people(1)[0].id
    await put(app, sa.insert(event).values(id="e", type="replied", lead_id=lead_id, received_at=now))
    assert await _days(app) == 3


async def test_a_suppressed_address_is_known_as_such(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    (one,) = people(1)
    await live_kernel.suppression.add(one.email, reason="asked", source="test")
    found = await live_kernel.store.read(
        lambda c: research.standing_of(app, c, {one.id: one}, live_kernel.clock.now())
    )
    assert found[one.id].suppressed


async def test_a_scored_batch_scored_again_stays_as_it_is(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, people(2), state="enriched")
    assert await research.score_batch(app, run_id, 0) == {"scored": 2}
    before = await in_run(app, run_id)
    assert await research.score_batch(app, run_id, 0) == {"scored": 0}
    assert await in_run(app, run_id) == before
    assert {row.state for row in before} <= {"scored", "disqualified"}


# ── from providers ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_posts_commenters_are_taken_in(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        made = await runs.create(it.kernel, {"posts": [{"url": POST, "kind": "commenters", "limit": 10}]})
        for _ in range(2):
            await research.collect(it.app, made.id)
        assert len(await in_run(it.app, made.id)) == 10
        assert len(await it.wrote("phantombuster", "launch_agent")) == 1


async def test_a_job_that_may_not_start_fails_the_run_rather_than_leave_people_out(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        made = await runs.create(it.kernel, {"posts": [{"url": POST, "kind": "commenters"}]})
        await it.kernel.switches.pause("vendor:phantombuster", actor="test", reason="restriction")
        with pytest.raises(Fatal, match="was not started"):
            await research.collect(it.app, made.id)


async def test_in_safe_mode_no_job_is_started_and_the_run_goes_on(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        made = await runs.create(it.kernel, {"posts": [{"url": POST, "kind": "commenters"}]})
        assert await research.collect(it.app, made.id) == {"batches": 0}
        assert await it.witness.log("phantombuster") == []


async def test_two_long_addresses_of_posts_are_two_jobs(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        long = f"https://www.linkedin.com/posts/{'a' * 200}"
        posts = [{"url": f"{long}{end}", "kind": "commenters", "limit": 5} for end in "xy"]
        made = await runs.create(it.kernel, {"posts": posts})
        await research.collect(it.app, made.id)
        assert len(await it.wrote("phantombuster", "launch_agent")) == 2
