"""The CRM is told who was written to and who answered, a few at a time, and nobody waits for a stubborn one."""

from pathlib import Path

import sqlalchemy as sa

from orchestrator import marks
from orchestrator.later import Later
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead
from shared.schema import effect
from tests.orchestrator.world import (
    World,
    alone,
    approved,
    launched,
    members,
    people,
    planned,
    put,
    rows,
    world,
)


async def _launched(it: World, count: int, told: str) -> str:
    _, campaign_id = await approved(it.app, people(count))
    await launched(it.app, campaign_id)
    await put(it.app, sa.update(campaign_lead).values(told=told))
    return campaign_id


async def _told(it: World, campaign_id: str) -> list[str]:
    return [row.told for row in await members(it.app, campaign_id)]


def _later(it: World) -> Later:
    return Later(it.clock, 5.0, 600.0)


async def test_whoever_was_written_to_is_tagged(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 1, "contacted_due")
        assert await marks.work(it.app, "contacted", _later(it)) == 1
        assert await _told(it, campaign_id) == ["contacted"]
        contact = (await it.app.suite.crm.get_contact(email="person1@corp1.com")).contacts[0]
        assert "contacted" in contact.tags
        assert contact.custom_fields["contacted_at"] == it.clock.now().date().isoformat()
        assert await _stages(it) == ["sandbox-stage-1"]


async def _stages(it: World) -> list[str]:
    """Where opportunities were moved to."""
    log = [entry for entry in await it.witness.log("ghl") if entry["action"] == "update_opportunity"]
    return [entry["detail"]["body"]["pipelineStageId"] for entry in log]


async def test_an_opportunity_that_somebody_took_further_on_is_not_taken_back(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 1, "replied_due")
        await it.witness.act("ghl", "move", email="person1@corp1.com", stage="Meeting Booked")
        assert await marks.work(it.app, "replied", _later(it)) == 1
        assert await _told(it, campaign_id) == ["replied"]
        assert await _stages(it) == []


async def test_whoever_answered_is_tagged_and_their_opportunity_moves(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 1, "replied_due")
        assert await marks.work(it.app, "replied", _later(it)) == 1
        assert await _told(it, campaign_id) == ["replied"]
        assert len(await it.wrote("ghl", "update_opportunity")) == 1


async def test_only_a_few_are_told_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, marks.AT_ONCE + 2, "contacted_due")
        assert await marks.work(it.app, "contacted", _later(it)) == marks.AT_ONCE
        assert (await _told(it, campaign_id)).count("contacted_due") == 2


async def test_one_whom_the_crm_keeps_refusing_is_put_off_and_the_others_are_told(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 2, "replied_due")
        refused = {"kind": "status", "status": 503, "times": 4, "method": "PUT", "path": "/opportunities"}
        await it.break_things("ghl", refused)  # as often as it is tried at once
        later = _later(it)
        await marks.work(it.app, "replied", later)
        assert sorted(await _told(it, campaign_id)) == ["replied", "replied_due"]
        assert await marks.work(it.app, "replied", later) == 0
        await it.clock.sleep(601)  # the vendor was left alone meanwhile
        assert await marks.work(it.app, "replied", later) == 1
        assert await _told(it, campaign_id) == ["replied", "replied"]


async def test_a_contact_that_is_gone_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 1, "contacted_due")
        await put(it.app, sa.update(campaign_lead).values(contact_ref="not-there"))
        await marks.work(it.app, "contacted", _later(it))
        assert await _told(it, campaign_id) == ["contacted"]


async def test_while_everything_stands_still_nobody_is_asked_about(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _launched(it, 1, "contacted_due")
        before = len(await rows(it.app, sa.select(effect)))
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await marks.work(it.app, "contacted", _later(it)) == 0
        assert len(await rows(it.app, sa.select(effect))) == before


async def test_a_mailbox_that_stands_still_keeps_nothing_from_the_crm(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _launched(it, 1, "contacted_due")
        await it.kernel.switches.pause("mailbox:alex@sender.example", actor="test", reason="stop")
        assert await marks.work(it.app, "contacted", _later(it)) == 1
        assert await _told(it, campaign_id) == ["contacted"]


async def test_an_answer_that_comes_while_the_first_mark_is_made_is_not_lost(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign_lead).values(told="contacted_due", contact_ref="c"))
    (row,) = await live_kernel.store.read(lambda c: marks._next(c, "contacted"))
    await live_kernel.store.write(lambda c: marks.note_in(c, str(row.lead_id), "", "replied"))
    await marks._note(app, row, "contacted")
    assert [one.told for one in await rows(app, sa.select(campaign_lead))] == ["replied_due"]


async def test_somebody_the_crm_does_not_have_is_not_to_be_told_of(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    lead_id = people(1)[0].id
    await live_kernel.store.write(lambda c: marks.note_in(c, lead_id, campaign_id, "contacted"))
    assert [one.told for one in await rows(app, sa.select(campaign_lead))] == [""]
