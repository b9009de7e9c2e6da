"""Scored people become campaigns that wait for a person; nobody is in two of them."""

from dataclasses import replace

import sqlalchemy as sa

from orchestrator import planning, runs
from orchestrator.app import App
from orchestrator.occupied import WHY
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, run, run_lead
from tests.orchestrator.world import (
    a_run,
    alone,
    in_run,
    members,
    people,
    planned,
    put,
    rows,
    run_state,
    states,
    the,
)


async def _campaigns(app: App, run_id: str) -> list[str]:
    return [row.id for row in await rows(app, sa.select(campaign.c.id).where(campaign.c.run_id == run_id))]


async def test_people_alike_are_one_campaign_that_waits_for_a_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(3))
    assert (await the(app, campaign_id)).state == "pending_review"
    assert await states(app, campaign_id) == [("drafted", "")] * 3
    assert await run_state(app, run_id) == "review"


async def test_grouping_again_after_a_crash_gives_the_same_campaigns_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, people(5))
    first = await planning.group(app, run_id)
    assert await planning.group(app, run_id) == first
    assert await _campaigns(app, run_id) == first["campaigns"]


async def test_grouping_again_keeps_campaigns_whose_words_are_written(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, ids = await planned(app, people(2))
    await put(app, sa.update(run).where(run.c.id == run_id).values(state="running"))
    assert (await planning.group(app, run_id))["campaigns"] == ids
    assert len(await members(app, ids[0])) == 2


async def test_grouping_again_forgets_a_campaign_that_nobody_would_be_in_any_more(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, people(2))
    await planning.group(app, run_id)
    await put(app, sa.update(run_lead).where(run_lead.c.run_id == run_id).values(state="disqualified"))
    assert (await planning.group(app, run_id))["campaigns"] == []
    assert await _campaigns(app, run_id) == []


async def test_a_campaign_is_no_larger_than_its_tier_allows(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await a_run(app, people(60), tier="tier_2")
    ids = (await planning.group(app, run_id))["campaigns"]
    assert len(ids) == 2  # fifty at most


async def test_c_level_people_are_in_campaigns_of_their_own(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    both = [*people(1), *people(1, 2, title="Chief Revenue Officer")]
    run_id = await a_run(app, both)
    ids = (await planning.group(app, run_id))["campaigns"]
    names = sorted([(await the(app, one)).name.endswith("C-level") for one in ids])
    assert names == [False, True]


async def test_somebody_in_a_campaign_is_held_out_of_the_next_one(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    run_id, ids = await planned(app, people(2))
    first = (await in_run(app, run_id))[0]
    assert (first.state, first.reason) == ("held", WHY)
    assert len(await members(app, ids[0])) == 1


async def test_two_runs_planned_side_by_side_never_take_the_same_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first, second = await a_run(app, people(1)), await a_run(app, people(1))
    (one,) = (await planning.group(app, first))["campaigns"]
    (other,) = (await planning.group(app, second))["campaigns"]
    await planning.write_words(app, first, one)
    await planning.write_words(app, second, other)
    assert await states(app, one) == [("drafted", "")]
    assert await states(app, other) == [("held", WHY)]


async def test_two_leads_with_one_address_are_one_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first, second = people(2)
    await planned(app, [first])
    _, (campaign_id,) = await planned(app, [replace(second, email=first.email), *people(1, 3)])
    assert sorted(row.email for row in await members(app, campaign_id)) == ["person3@corp3.com"]


async def test_an_address_that_stands_twice_in_a_campaign_is_written_to_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first, second = people(2)
    same = {"email": first.email, "company": first.company, "company_domain": first.company_domain}
    _, (campaign_id,) = await planned(app, [first, replace(second, **same)])
    assert await states(app, campaign_id) == [("drafted", ""), ("held", planning.TWICE)]


async def test_what_was_made_in_safe_mode_holds_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await live_kernel.switches.engage_safe_mode(actor="test", reason="rehearsal")
    await planned(app, people(1))
    await live_kernel.switches.leave_safe_mode(actor="test", reason="over")
    _, (campaign_id,) = await planned(app, people(1))
    assert await states(app, campaign_id) == [("drafted", "")]


async def test_a_campaign_that_is_over_holds_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (first,) = await planned(app, people(1))
    await put(app, sa.update(campaign).where(campaign.c.id == first).values(state="completed"))
    _, (second,) = await planned(app, people(1))
    assert await states(app, second) == [("drafted", "")]


async def test_writing_the_words_again_changes_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(2))
    before = (await the(app, campaign_id), await members(app, campaign_id))
    assert await planning.write_words(app, run_id, campaign_id) == {}
    assert (await the(app, campaign_id), await members(app, campaign_id)) == before


async def test_a_run_in_which_nobody_may_be_written_to_is_finished(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(2, country="DE", location="Berlin, Germany"))
    assert (await the(app, campaign_id)).state == "failed"
    assert {row.state for row in await members(app, campaign_id)} == {"held"}
    assert await run_state(app, run_id) == "finished"


async def test_a_run_without_anybody_is_finished(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, ids = await planned(app, [])
    assert ids == []
    assert (await runs.get(live_kernel, run_id)).state == "finished"


async def test_the_words_that_are_stored_carry_the_address_that_is_stored(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    (row,) = await rows(app, sa.select(campaign_lead).where(campaign_lead.c.campaign_id == campaign_id))
    assert f'"email":"{row.email}"' in row.enrollment
