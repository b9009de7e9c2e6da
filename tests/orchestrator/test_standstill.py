"""What stands still here is paused at the vendor, until the vendor shows it."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import outreach, settled, standstill
from orchestrator.later import Later
from orchestrator.pausing import resume_campaign
from shared.approval import Person
from shared.pipeline_schema import campaign
from shared.schema import effect
from tests.orchestrator.world import World, approved, launched, people, put, states, the, world

ADMIN = Person("admin@alpha-swarm.example", "admin")


async def _live(it: World, start: int = 1) -> str:
    _, campaign_id = await approved(it.app, people(1, start))
    assert await launched(it.app, campaign_id) == "live"
    return campaign_id


async def _work(it: World) -> int:
    return await standstill.work(it.app, Later(it.clock, 1.0, 30.0))


async def _at_vendor(it: World, campaign_id: str) -> str:
    page = await it.app.suite.sequencer.list_campaigns(search=campaign_id[:8])
    reference = (await the(it.app, campaign_id)).vendor_ref
    return next(one.status for one in page.campaigns if one.id == reference)


async def test_while_nothing_stands_still_nothing_is_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        assert await _work(it) == 0
        assert await it.wrote("instantly", "pause_campaign") == []


@pytest.mark.requirement("K6")
async def test_the_kill_switch_pauses_what_the_vendor_sends_by_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await _work(it) == 0
        assert (await the(it.app, campaign_id)).state == "paused"
        assert await _at_vendor(it, campaign_id) == "paused"
        assert await _work(it) == 0
        assert len(await it.wrote("instantly", "pause_campaign")) == 1


async def test_a_pause_of_everything_reaches_the_vendor_too(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await it.kernel.switches.pause("all", actor="test", reason="by hand")
        assert await _work(it) == 0
        assert await _at_vendor(it, campaign_id) == "paused"


async def test_a_pause_of_one_campaign_leaves_the_others(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = await _live(it), await _live(it, 5)
        await it.kernel.switches.pause(f"campaign:{first}", actor="test", reason="by hand")
        await _work(it)
        assert (await _at_vendor(it, first), await _at_vendor(it, second)) == ("paused", "active")


@pytest.mark.requirement("K6")
async def test_what_the_vendor_does_not_confirm_is_tried_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await it.break_things("instantly", {"kind": "status", "status": 503, "times": -1})
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await _work(it) == 1
        assert (await the(it.app, campaign_id)).state == "live"
        await it.break_things("instantly")
        assert await _work(it) == 0
        assert (await the(it.app, campaign_id)).state == "paused"


async def test_a_pause_that_was_written_here_and_not_confirmed_there_is_tried_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await it.kernel.switches.pause(f"campaign:{campaign_id}", actor="test", reason="by hand")
        await put(it.app, sa.update(campaign).values(state="paused"))
        assert await _work(it) == 0
        assert await _at_vendor(it, campaign_id) == "paused"


async def test_a_start_whose_answer_was_lost_counts_as_started(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await put(it.app, sa.update(campaign).values(state="stalled"))
        started = sa.update(effect).where(effect.c.action == "activate_campaign")
        await put(it.app, started.values(status="in_doubt"))
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await _work(it) == 0
        assert await _at_vendor(it, campaign_id) == "paused"
        assert (await the(it.app, campaign_id)).state == "stalled"


async def test_a_campaign_resumed_after_a_kill_is_paused_by_the_next_one(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        for _ in range(2):
            await it.kernel.switches.kill(actor="test", reason="stop")
            await _work(it)
            assert await _at_vendor(it, campaign_id) == "paused"
            await it.kernel.switches.release(actor="test", reason="go on")
            await _resume(it, campaign_id)
            assert await _at_vendor(it, campaign_id) == "active"


async def _resume(it: World, campaign_id: str) -> None:
    await resume_campaign(it.kernel, it.app.suite, campaign_id, person=ADMIN, reason="checked")


async def test_a_campaign_that_was_only_simulated_is_none_of_the_vendors(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        _, campaign_id = await approved(it.app, people(1))
        assert await launched(it.app, campaign_id) == "simulated"
        await it.kernel.switches.leave_safe_mode(actor="test", reason="over")
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await standstill.pause_at_vendor(it.app, await it.kernel.switches.now(), "stop") == (0, 0)


# ── what the ledger learns after a launch gave up ────────────────────────────────────────────────────────
async def test_a_stalled_campaign_whose_start_turns_out_to_be_done_is_live(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await put(it.app, sa.update(campaign).values(state="stalled"))
        assert (await settled.follow_ledger(it.app))["campaigns"] == 1
        assert (await the(it.app, campaign_id)).state == "live"


async def test_people_in_doubt_follow_what_the_ledger_learns(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        in_doubt = sa.text("UPDATE campaign_lead SET state = 'in_doubt', reason = 'answer_lost'")
        await put(it.app, in_doubt)
        assert (await settled.follow_ledger(it.app))["people"] == 1
        assert await states(it.app, campaign_id) == [("live", "")]


async def test_a_launch_under_way_settles_its_own_people(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await put(it.app, sa.text("UPDATE campaign_lead SET state = 'in_doubt'"))
        await put(it.app, sa.update(campaign).values(state=outreach.BEGINNING[1]))
        assert (await settled.follow_ledger(it.app))["people"] == 0
        assert (await states(it.app, campaign_id))[0][0] == "in_doubt"
