"""What waited through a kill goes back to review, unless it is still fresh; and can be approved anew."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import crm, enrolment, outreach, relaxing, review
from orchestrator.requeue import WHY
from shared.approval import Person
from shared.errors import Conflict
from shared.pipeline_schema import campaign, campaign_lead
from shared.schema import approval
from tests.orchestrator.world import (
    World,
    approved,
    launched,
    members,
    people,
    planned,
    put,
    rows,
    say_yes,
    states,
    the,
    world,
)

ADMIN = Person("root@host", "admin")


async def _kill(it: World) -> None:
    await it.kernel.switches.kill(actor="test", reason="stop")


async def _release(it: World) -> tuple[str, ...]:
    return (await relaxing.release(it.kernel, person=ADMIN, reason="checked")).to_review


def _later(it: World, minutes: float) -> None:
    it.clock.ahead += timedelta(minutes=minutes)  # type: ignore[attr-defined]  # a leaping clock


@pytest.mark.requirement("K8")
@pytest.mark.parametrize("state", ["approved", "launching", "stalled"])
async def test_what_was_queued_before_the_kill_and_is_old_goes_back(tmp_path: Path, state: str) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        before = await the(it.app, campaign_id)
        await put(it.app, sa.update(campaign).values(state=state))
        await _kill(it)
        _later(it, 16)
        assert await _release(it) == (campaign_id,)
        row = await the(it.app, campaign_id)
        assert (row.state, row.approval_id, row.version) == ("pending_review", "", before.version + 1)
        assert (await review.detail(it.kernel, campaign_id)).reason == WHY
        (given,) = await rows(it.app, sa.select(approval.c.state))
        assert given.state == "revoked"


@pytest.mark.requirement("K8")
async def test_what_is_fresh_goes_on_by_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await _kill(it)
        _later(it, 14)
        assert await _release(it) == ()
        assert await launched(it.app, campaign_id) == "live"


@pytest.mark.requirement("K8", "A6")
async def test_nobody_approves_while_everything_is_stopped(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, (campaign_id,) = await planned(it.app, people(1))
        await _kill(it)
        with pytest.raises(Conflict, match="kill switch is on"):
            await say_yes(it.app, campaign_id)
        assert await _release(it) == ()
        await say_yes(it.app, campaign_id)
        assert (await the(it.app, campaign_id)).state == "approved"


@pytest.mark.requirement("K8")
async def test_a_kill_by_the_flag_file_counts_from_when_it_was_raised(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        it.kernel.switches._raise_flags("by hand")
        _later(it, 16)
        assert await _release(it) == (campaign_id,)


@pytest.mark.requirement("K8", "A4")
async def test_a_launch_that_is_still_running_sends_nothing_more(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        launch = await the(it.app, campaign_id)
        await outreach.begin(it.app, campaign_id, launch.version)
        await outreach.create(it.app, campaign_id)
        reference = (await the(it.app, campaign_id)).vendor_ref
        await _kill(it)
        _later(it, 16)
        await _release(it)
        given = await it.app.suite.sequencer.activate_campaign(
            campaign_ref=reference, campaign_id=campaign_id, approval=launch.approval_id
        )
        assert (given.status, given.reason) == ("refused", "needs_approval")
        assert await it.wrote("instantly", "add_lead") == []


@pytest.mark.requirement("K8", "I2")
async def test_what_came_back_is_approved_and_launched_anew_each_person_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        await _half_way(it, campaign_id)
        await _kill(it)
        _later(it, 16)
        assert await _release(it) == (campaign_id,)
        assert sorted(await states(it.app, campaign_id)) == [("drafted", ""), ("live", "")]
        await say_yes(it.app, campaign_id)
        assert await launched(it.app, campaign_id) == "live"
        assert sorted(await it.wrote("instantly", "add_lead")) == ["person1@corp1.com", "person2@corp2.com"]


async def test_a_campaign_whose_people_are_all_at_the_vendor_can_be_approved_and_started(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        assert await launched(it.app, campaign_id) == "live"
        # As if the kill had come right before the start.
        await put(it.app, sa.text("DELETE FROM effect WHERE action = 'activate_campaign'"))
        await put(it.app, sa.update(campaign).values(state="launching"))
        await _kill(it)
        _later(it, 16)
        assert await _release(it) == (campaign_id,)
        await say_yes(it.app, campaign_id)
        assert await launched(it.app, campaign_id) == "live"
        assert await it.wrote("instantly", "add_lead") == ["person1@corp1.com"]


async def _half_way(it: World, campaign_id: str) -> None:
    """One person is in, the other one was refused by the kill switch."""
    second = sa.update(campaign_lead).where(
        campaign_lead.c.lead_id == (await members(it.app, campaign_id))[1].lead_id
    )
    (start,) = (await outreach.begin(it.app, campaign_id, 1))["starts"]
    await crm.write_crm(it.app, campaign_id, start)
    await outreach.create(it.app, campaign_id)
    await put(it.app, second.values(state="held"))
    await enrolment.enrol(it.app, campaign_id, start)
    await put(it.app, second.values(state="refused", reason="kill_switch"))


async def test_a_release_and_an_approval_at_once_leave_no_approval_of_before(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await _kill(it)
        _later(it, 16)
        version = (await the(it.app, campaign_id)).version
        person = Person("operator@alpha-swarm.example", "operator")
        await asyncio.gather(
            _release(it),
            review.approve(it.kernel, campaign_id, person=person, version=version),
            return_exceptions=True,
        )
        row = await the(it.app, campaign_id)
        assert (row.state, row.approval_id) == ("pending_review", "")
