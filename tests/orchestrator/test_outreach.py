"""An approved campaign reaches CRM and sequencer, each person once, whatever happens on the way."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import crm, enrolment, outreach, runs
from orchestrator.app import App
from orchestrator.occupied import WHY
from orchestrator.stops import halt_in
from shared.errors import Fatal, Retryable
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, run
from shared.schema import approval
from shared.vendor_rules import RetryRules
from tests.orchestrator.world import (
    alone,
    approved,
    launched,
    members,
    people,
    planned,
    put,
    run_state,
    say_yes,
    states,
    the,
    world,
)

DOWN: dict[str, Any] = {"kind": "status", "status": 503, "times": -1}


async def _begin(app: App, campaign_id: str) -> list[str]:
    return (await outreach.begin(app, campaign_id, (await the(app, campaign_id)).version))["starts"]


# ── the whole of it ──────────────────────────────────────────────────────────────────────────────────────
async def test_a_launch_writes_each_person_to_the_crm_and_to_the_campaign_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        assert await launched(it.app, campaign_id) == "live"
        assert len(await it.wrote("ghl", "create_contact")) == 2
        assert len(await it.wrote("ghl", "create_opportunity")) == 2
        assert sorted(await it.wrote("instantly", "add_lead")) == ["person1@corp1.com", "person2@corp2.com"]
        assert await states(it.app, campaign_id) == [("live", "")] * 2
        assert await run_state(it.app, run_id) == "finished"


async def test_every_stage_may_be_repeated_without_a_second_effect(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        (start,) = await _begin(it.app, campaign_id)
        for _ in range(2):
            assert await _begin(it.app, campaign_id) == [start]
            await crm.write_crm(it.app, campaign_id, start)
            await outreach.create(it.app, campaign_id)
            await enrolment.enrol(it.app, campaign_id, start)
        for _ in range(2):
            await outreach.activate(it.app, campaign_id)
        for account, action, count in (
            ("ghl", "create_contact", 2),
            ("ghl", "create_opportunity", 2),
            ("instantly", "create_campaign", 1),
            ("instantly", "add_lead", 2),
            ("instantly", "activate_campaign", 1),
        ):
            assert len(await it.wrote(account, action)) == count, action


async def test_in_safe_mode_nothing_is_written_and_the_campaign_is_simulated(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        assert await launched(it.app, campaign_id) == "simulated"
        assert await states(it.app, campaign_id) == [("simulated", "safe_mode")] * 2
        assert await it.witness.log("ghl") == await it.witness.log("instantly") == []
        assert await run_state(it.app, run_id) == "finished"


# ── what was approved, and by whom it may be done ────────────────────────────────────────────────────────
async def test_a_launch_of_an_older_version_than_was_approved_does_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, campaign_id = await approved(app, people(1))
    assert (await outreach.begin(app, campaign_id, 99))["starts"] == []
    assert (await the(app, campaign_id)).state == "approved"


async def test_a_campaign_made_in_safe_mode_is_never_launched_for_real(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        run_id, campaign_id = await approved(it.app, people(1))
        await it.kernel.switches.leave_safe_mode(actor="test", reason="now for real")
        assert await launched(it.app, campaign_id) == "failed"
        assert await it.witness.log("ghl") == await it.witness.log("instantly") == []
        found = await runs.get(it.kernel, run_id)
        assert (found.state, found.message) == ("finished", outreach.MADE_SAFE)


async def test_a_rehearsal_under_way_does_not_turn_real_when_safe_mode_is_left(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        await it.kernel.switches.leave_safe_mode(actor="test", reason="now for real")
        with pytest.raises(Fatal) as caught:
            await crm.write_crm(it.app, campaign_id, start)
        assert caught.value.code == "made_in_safe_mode"
        assert await it.witness.log("ghl") == []


async def test_safe_mode_that_comes_on_half_way_stalls_the_launch_and_loses_nobody(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        (start,) = await _begin(it.app, campaign_id)
        await crm.write_crm(it.app, campaign_id, start)
        await outreach.create(it.app, campaign_id)
        await it.kernel.switches.engage_safe_mode(actor="test", reason="careful")
        await enrolment.enrol(it.app, campaign_id, start)
        await outreach.activate(it.app, campaign_id)
        assert (await the(it.app, campaign_id)).state == "stalled"
        assert await states(it.app, campaign_id) == [("refused", "safe_mode")] * 2
        await it.kernel.switches.leave_safe_mode(actor="test", reason="over")
        assert await outreach.again(it.app, run_id) == 1
        assert await launched(it.app, campaign_id) == "live"
        assert len(await it.wrote("instantly", "add_lead")) == 2


@pytest.mark.requirement("I8", "K1")
async def test_the_kill_switch_half_way_stalls_the_launch_and_a_person_takes_it_up_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        await crm.write_crm(it.app, campaign_id, start)
        await outreach.create(it.app, campaign_id)
        await it.kernel.switches.kill(actor="test", reason="stop")
        await enrolment.enrol(it.app, campaign_id, start)
        await outreach.activate(it.app, campaign_id)
        assert (await the(it.app, campaign_id)).state == "stalled"
        assert await it.wrote("instantly", "add_lead") == []
        assert await run_state(it.app, run_id) == "review"
        await it.kernel.switches.release(actor="test", reason="go on")
        await outreach.again(it.app, run_id)
        assert await launched(it.app, campaign_id) == "live"
        assert await run_state(it.app, run_id) == "finished"


async def test_a_launch_whose_approval_ran_out_waits_for_a_person_once_more(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(1))
        await put(it.app, sa.update(approval).values(expires_at="2000-01-01T00:00:00+00:00"))
        assert await launched(it.app, campaign_id) == "stalled"
        assert await it.wrote("instantly", "add_lead") == []
        assert await outreach.again(it.app, run_id) == 1
        assert (await the(it.app, campaign_id)).state == "pending_review"
        await say_yes(it.app, campaign_id)
        assert await launched(it.app, campaign_id) == "live"


# ── people who stop, or are elsewhere ────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F15", "I3")
async def test_somebody_who_opted_out_after_the_approval_is_not_written_to(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(2))
        await it.kernel.suppression.add("person1@corp1.com", reason="asked", source="test")
        await launched(it.app, campaign_id)
        assert await it.wrote("instantly", "add_lead") == ["person2@corp2.com"]
        assert (await states(it.app, campaign_id))[0] == ("refused", "crm:suppressed")


async def test_somebody_stopped_while_their_contact_is_written_stays_stopped(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        values = {"person": {"state": "drafted", "contact_ref": "c1", "reason": ""}}
        (row,) = await members(it.app, campaign_id)

        def meanwhile(connection: sa.Connection) -> None:
            halt_in(connection, row.email, "replied", it.kernel.clock.now())
            crm._note(connection, campaign_id, {row.lead_id: values["person"]})

        await it.kernel.store.write(meanwhile)
        await enrolment.enrol(it.app, campaign_id, start)
        assert (await states(it.app, campaign_id)) == [("stopped", "replied")]
        assert await it.wrote("instantly", "add_lead") == []


async def test_somebody_whom_another_campaign_took_meanwhile_is_held(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, first = await approved(app, people(1))
    failed = {"state": "failed", "reason": "rate_limited"}
    await put(app, sa.update(campaign_lead).where(campaign_lead.c.campaign_id == first).values(**failed))
    await planned(app, people(1))
    await _begin(app, first)
    assert await states(app, first) == [("held", WHY)]


async def test_a_campaign_in_which_nobody_is_left_ends_and_so_does_its_run(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, campaign_id = await approved(app, people(1))
    await put(app, sa.update(campaign_lead).values(state="held"))
    assert await _begin(app, campaign_id) == []
    assert (await the(app, campaign_id)).state == "failed"
    assert await run_state(app, run_id) == "finished"


# ── vendors in trouble ───────────────────────────────────────────────────────────────────────────────────
async def test_a_crash_between_contact_and_opportunity_loses_neither(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        await it.break_things("ghl", {**DOWN, "path": "/opportunities"})
        await crm.write_crm(it.app, campaign_id, start)
        assert len(await it.wrote("ghl", "create_contact")) == 1
        assert await it.wrote("ghl", "create_opportunity") == []
        assert (await states(it.app, campaign_id))[0][1].startswith("crm:")
        await enrolment.enrol(it.app, campaign_id, start)
        await it.break_things("ghl")
        await it.clock.sleep(RetryRules().unanswered_seconds)  # it was tried often enough for now
        await crm.write_crm(it.app, campaign_id, start)
        assert len(await it.wrote("ghl", "create_opportunity")) == 1
        assert await states(it.app, campaign_id) == [("drafted", "")]


async def test_people_whom_time_may_help_are_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        assert not await enrolment.wait_for_time(it.app, campaign_id, start, 1)
        failed = {"state": "failed", "reason": "crm:rate_limited"}
        await put(it.app, sa.update(campaign_lead).values(**failed))
        before = it.clock.now()
        assert await enrolment.wait_for_time(it.app, campaign_id, start, 2)
        assert (it.clock.now() - before).total_seconds() >= 6


async def test_a_draft_that_is_not_confirmed_is_waited_for_and_made_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await _begin(it.app, campaign_id)
        await it.break_things("instantly", {"kind": "drop_after", "method": "POST", "path": "/campaigns$"})
        with pytest.raises(Retryable):
            await outreach.create(it.app, campaign_id)
        await outreach.create(it.app, campaign_id)
        assert len(await it.wrote("instantly", "create_campaign")) == 1
        assert (await the(it.app, campaign_id)).vendor_ref


async def test_a_start_whose_answer_was_lost_is_looked_up_and_not_sent_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = await _begin(it.app, campaign_id)
        await crm.write_crm(it.app, campaign_id, start)
        await outreach.create(it.app, campaign_id)
        await enrolment.enrol(it.app, campaign_id, start)
        await it.break_things("instantly", {"kind": "drop_after", "method": "POST", "path": "/activate$"})
        with pytest.raises(Retryable):
            await outreach.activate(it.app, campaign_id)
        await outreach.activate(it.app, campaign_id)
        assert (await the(it.app, campaign_id)).state == "live"
        assert len(await it.wrote("instantly", "activate_campaign")) == 1


async def test_a_campaign_that_cannot_be_created_stalls_and_the_run_says_why(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(1))
        await it.break_things("instantly", {"kind": "status", "status": 401, "times": -1})
        assert await launched(it.app, campaign_id) == "stalled"
        assert "could not be created" in (await runs.get(it.kernel, run_id)).message


async def test_live_campaigns_that_left_somebody_behind_are_taken_up_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        (start,) = await _begin(it.app, campaign_id)
        await crm.write_crm(it.app, campaign_id, start)
        await outreach.create(it.app, campaign_id)
        first = (await members(it.app, campaign_id))[0].lead_id
        behind = sa.update(campaign_lead).where(campaign_lead.c.lead_id == first)
        await put(it.app, behind.values(state="failed", reason="final"))
        await enrolment.enrol(it.app, campaign_id, start)
        await put(it.app, behind.values(reason="rate_limited"))
        await outreach.activate(it.app, campaign_id)
        assert (await the(it.app, campaign_id)).state == "live"
        assert await outreach.again(it.app, run_id) == 1
        assert await launched(it.app, campaign_id) == "live"
        assert len(await it.wrote("instantly", "add_lead")) == 2
        assert await outreach.again(it.app, run_id) == 0


async def test_a_launch_that_ended_stays_as_it_ended(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, campaign_id = await approved(app, people(1))
    await put(app, sa.update(campaign).values(state="live"))
    await outreach.stall(app, campaign_id, "too late")
    assert (await the(app, campaign_id)).state == "live"


async def test_a_stalled_launch_keeps_its_run_open(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, campaign_id = await approved(app, people(1))
    await outreach.stall(app, campaign_id, "the vendor is away")
    await runs.finish_if_done(live_kernel, run_id)
    assert await run_state(app, run_id) == "review"
    assert "the vendor is away" in (await runs.get(live_kernel, run_id)).message


async def test_batches_begin_where_the_last_one_ended(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(150))
    starts = await live_kernel.store.read(lambda c: enrolment.starts_in(c, campaign_id))
    batches = [await enrolment.people_from(app, campaign_id, start) for start in starts]
    assert [len(batch) for batch in batches] == [100, 50]
    assert len({row.lead_id for batch in batches for row in batch}) == 150


async def test_a_rejected_campaign_lets_its_people_go(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="rejected"))
    await put(app, sa.update(run).values(state="finished"))
    _, (second,) = await planned(app, people(1))
    assert await states(app, second) == [("drafted", "")]
