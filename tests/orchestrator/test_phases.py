"""Research, plan, implement: each leaves a version behind; only what was approved and hasn't moved is carried out."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import (
    anew,
    artefacts,
    drift,
    foreseen,
    implementing,
    outreach,
    plan_review,
    planning,
    plans,
    research,
    review,
    runs,
    stops,
    surveying,
    worker,
)
from orchestrator.app import App
from orchestrator.dossier import queue
from orchestrator.intake import read_leads, write_lead
from orchestrator.strategy import Choice
from shared.approval import Person
from shared.clock import iso
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import artefact, campaign, campaign_lead
from shared.schema import approval, audit_leaf, effect
from shared.telemetry import correlated
from tests.orchestrator.phases import AE, LINE, agreed, asked_for, drafted, planned, ready, researched
from tests.orchestrator.world import (
    World,
    a_run,
    alone,
    in_run,
    launched,
    people,
    put,
    rows,
    run_state,
    say_yes,
    states,
    the,
    world,
)


async def wanted(app: App) -> list[str]:
    """What a worker would start now."""
    return [one.id for one in await app.kernel.store.read(worker._asked_for)]


async def changed(app: App, lead_id: str, **values: Any) -> None:
    """What we know of somebody becomes different, as an import or a look-up would make it."""
    known = (await app.kernel.store.read(lambda c: read_leads(c, [lead_id])))[lead_id]
    now = iso(app.kernel.clock.now())
    await app.kernel.store.write(lambda c: write_lead(c, replace(known, **values), now))


# ── what is left behind ──────────────────────────────────────────────────────────────────────────────────
async def test_each_phase_leaves_a_version_with_who_when_and_why(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(3))
    kept = await artefacts.kept(live_kernel, run_id)
    assert [(one.phase, one.version, one.state) for one in kept] == [
        ("research", 1, "saved"),
        ("plan", 1, "pending_review"),
    ]
    assert all(one.made_by and one.why and one.made_at for one in kept)
    found = surveying.findings_of(await artefacts.get(live_kernel, run_id, "research"))
    assert [(tier.tier, tier.people) for tier in found.tiers] == [("tier_3", 3)]


async def test_repeating_a_stage_after_a_crash_saves_no_second_version(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(2))
    await surveying.write_findings(app, run_id)
    await planning.group(app, run_id)
    await planning.to_review(app, run_id)
    phases = [one.phase for one in await artefacts.kept(live_kernel, run_id)]
    assert phases.count("research") == 1
    app_plan = await plans.plan_of(live_kernel, run_id)
    assert app_plan.state in {"pending_review", "drafting"}


async def test_an_unknown_run_phase_or_version_is_named(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id = await researched(app, people(1))
    for phase, version in (("plan", 0), ("research", 7), ("implement", 0)):
        with pytest.raises(Invalid):
            await artefacts.get(live_kernel, run_id, phase, version)  # type: ignore[arg-type]  # one of them


@pytest.mark.both_databases
async def test_the_plan_lists_every_effect_and_a_page_of_it_is_a_part_of_the_whole(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    run_id, ids = await planned(app, [*people(5), *people(2, 6, title="Chief Revenue Officer")])
    assert len(ids) == 2
    plan = await plans.plan_of(live_kernel, run_id)
    assert {count.action: count.count for count in plan.effects} == {
        "ghl.upsert_contact": 7,
        "ghl.create_opportunity": 7,
        "instantly.create_campaign": 2,
        "instantly.add_lead": 7,
        "instantly.activate_campaign": 2,
        "ghl.update_contact": 7,
        "ghl.move_opportunity": 7,
    }
    whole = await live_kernel.store.read(lambda c: list(foreseen.every_one(c, run_id)))
    assert len(whole) == sum(count.count for count in plan.effects) == 39
    pages = [
        await live_kernel.store.read(lambda c, start=start: implementing.listing(c, run_id, start, 5))
        for start in range(0, 40, 5)
    ]
    assert {total for _, total in pages} == {39}
    assert [one for page, _ in pages for one in page] == whole
    assert len(set(whole)) == 39


async def test_people_who_are_held_are_in_no_effect(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, [*people(3), *people(2, 4, country="DE", location="Berlin, Germany")])
    plan = await plans.plan_of(live_kernel, run_id)
    assert plan.check is not None
    assert (plan.check.people, plan.check.held) == (3, 2)
    assert {count.count for count in plan.effects} == {1, 3}
    assert any("DE asks for prior consent" in text for text in plan.check.attention)


async def test_a_run_with_nobody_to_write_to_has_a_plan_that_asks_for_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(2, country="DE", location="Berlin, Germany"))
    plan = await plans.plan_of(live_kernel, run_id)
    assert (plan.state, plan.effects) == ("saved", ())
    assert await run_state(app, run_id) == "finished"


# ── a person's yes ───────────────────────────────────────────────────────────────────────────────────────
async def test_a_plan_is_not_approved_over_words_that_nobody_decided(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(2))
    with pytest.raises(Invalid) as refused:
        await agreed(app, run_id)
    assert refused.value.code == "words_waiting"


async def test_a_plan_of_which_everything_was_rejected_can_not_be_approved(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(2))
    await review.reject(live_kernel, campaign_id, person=AE, version=1, reason="no")
    with pytest.raises(Invalid) as refused:
        await agreed(app, run_id)
    assert refused.value.code == "nobody_left"


@pytest.mark.parametrize("role", ["viewer", "agent", ""])
async def test_nobody_below_an_ae_decides_about_a_plan(live_kernel: Kernel, role: str) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(1))
    await say_yes(app, campaign_id)
    nobody = Person("somebody", role)
    with pytest.raises(Invalid, match="role"):
        await agreed(app, run_id, nobody)
    with pytest.raises(Invalid, match="role"):
        await plan_review.reject(live_kernel, run_id, person=nobody, version=1, reason="no")
    with pytest.raises(Invalid, match="role"):
        await plan_review.edit(app, run_id, LINE, Choice(), person=nobody, version=1, reason="no")


@pytest.mark.requirement("P2")
async def test_the_yes_is_to_what_was_shown_and_to_nothing_newer(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(3))
    shown = await plans.plan_of(live_kernel, run_id)
    lead_id = (await in_run(app, run_id))[0].lead_id
    await review.leave_out(live_kernel, campaign_id, lead_id, person=AE, version=1, reason="knows us")
    await say_yes(app, campaign_id)
    with pytest.raises(Conflict) as refused:
        await plan_review.approve(live_kernel, run_id, person=AE, version=1, content=shown.content)
    assert refused.value.code == "stale"
    await agreed(app, run_id)


async def test_the_same_yes_twice_is_one(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(1))
    await agreed(app, run_id)
    kinds = await rows(app, sa.select(audit_leaf.c.data))
    assert sum("plan.approved" in row.data for row in kinds) == 1


async def test_a_rejected_plan_takes_its_campaigns_and_their_approvals_with_it(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(2))
    await plan_review.reject(live_kernel, run_id, person=AE, version=1, reason="not this quarter")
    assert (await the(app, campaign_id)).state == "rejected"
    assert {row.state for row in await rows(app, sa.select(approval.c.state))} == {"revoked"}
    assert {row.state for row in await in_run(app, run_id)} == {"rejected"}
    assert await run_state(app, run_id) == "finished"
    assert (await asked_for(app, run_id)).reason == "needs_approval"


# ── editing ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.both_databases
async def test_an_edit_is_a_new_version_whose_words_are_written_anew(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (before,) = await planned(app, people(3))
    choice = Choice(
        depth="minimal", sequence="deep", daily_limit=10, hypothesis="Short mail gets more answers."
    )
    version = await plan_review.edit(app, run_id, LINE, choice, person=AE, version=1, reason="too long")
    assert (version, await run_state(app, run_id)) == (2, "running")
    assert await wanted(app) == [f"plan:{run_id}:2"]
    after = [one for one in await drafted(app, run_id) if one != before]
    assert len(after) == 1
    made = await the(app, after[0])
    assert ((await the(app, before)).state, made.state) == ("superseded", "pending_review")
    assert made.hypothesis == "Short mail gets more answers."
    assert '"day_offsets":[0,4,7,14]' in made.draft
    assert '"daily_limit":10' in made.draft
    assert await states(app, after[0]) == [("drafted", "")] * 3
    kept = [one for one in await artefacts.kept(live_kernel, run_id) if one.phase == "plan"]
    assert [(one.version, one.state, one.made_by, one.why) for one in kept] == [
        (1, "superseded", "worker", "planned from version 1 of the findings"),
        (2, "pending_review", AE.name, f"{LINE}: too long"),
    ]


async def test_an_edit_takes_the_yes_to_words_and_plan_back(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(2))
    await plan_review.edit(app, run_id, LINE, Choice(depth="deep"), person=AE, version=1, reason="more")
    await drafted(app, run_id)
    assert {row.state for row in await rows(app, sa.select(approval.c.state))} == {"revoked"}
    assert (await asked_for(app, run_id)).reason == "needs_approval"


async def test_a_line_can_be_left_out_and_taken_in_again(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, [*people(2), *people(1, 3, title="Chief Revenue Officer")])
    out = Choice(leave_out=True)
    await plan_review.edit(app, run_id, LINE, out, person=AE, version=1, reason="later")
    await drafted(app, run_id)
    plan = await plans.plan_of(live_kernel, run_id)
    assert plan.check is not None
    assert plan.check.people == 1
    held = [row.reason for row in await in_run(app, run_id) if row.state == "held"]
    assert held == [plans.LEFT_OUT] * 2
    await plan_review.edit(app, run_id, LINE, Choice(), person=AE, version=2, reason="now")
    await drafted(app, run_id)
    check = (await plans.plan_of(live_kernel, run_id)).check
    assert check is not None
    assert check.people == 3


async def test_an_edit_of_an_older_version_or_an_unknown_line_is_refused(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(1))
    with pytest.raises(Invalid):
        await plan_review.edit(app, run_id, "nobody", Choice(), person=AE, version=1, reason="x")
    await plan_review.edit(app, run_id, LINE, Choice(depth="deep"), person=AE, version=1, reason="x")
    await drafted(app, run_id)
    with pytest.raises(Conflict):
        await plan_review.edit(app, run_id, LINE, Choice(), person=AE, version=1, reason="x")


async def test_what_was_launched_can_not_be_edited(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(1))
    await put(app, sa.update(campaign).where(campaign.c.id == campaign_id).values(state="live"))
    with pytest.raises(Conflict):
        await plan_review.edit(app, run_id, LINE, Choice(depth="deep"), person=AE, version=1, reason="x")


# ── implement ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("P2")
async def test_approved_words_alone_launch_nothing_of_a_run_that_waits_for_implement(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await planned(it.app, people(1))
        await say_yes(it.app, campaign_id)
        refused = await asked_for(it.app, run_id)
        assert (refused.status, refused.reason) == ("refused", "needs_approval")
        assert refused.detail["page"] == f"/campaigns/plans/{run_id}"
        await agreed(it.app, run_id)
        assert await wanted(it.app) == []
        assert await outreach.begin(it.app, campaign_id, 1) == {"starts": []}
        assert (await the(it.app, campaign_id)).state == "approved"
        assert (await asked_for(it.app, run_id)).status == "applied"
        assert await wanted(it.app) == [f"launch:{campaign_id}:1"]


async def implemented(it: World, run_id: str, ids: list[str]) -> list[str]:
    """Launch what was cleared, and what the ledger was asked to do since."""
    assert (await asked_for(it.app, run_id)).status == "applied"
    with correlated((await runs.get(it.kernel, run_id)).correlation_id):
        for campaign_id in ids:
            await launched(it.app, campaign_id)
            await implementing.settle(it.app, campaign_id)
    return ids


@pytest.mark.parametrize("safe", [False, True], ids=["live", "safe mode"])
@pytest.mark.requirement("P3")
async def test_the_ledger_holds_exactly_the_effects_that_the_plan_listed(tmp_path: Path, safe: bool) -> None:
    async with world(tmp_path, safe=safe) as it:
        everybody = [
            *people(4),
            *people(2, 5, title="Chief Revenue Officer"),
            *people(2, 7, country="DE", location="Berlin, Germany"),
        ]
        run_id, ids = await ready(it.app, everybody)
        before = await it.kernel.store.read(lambda c: list(foreseen.every_one(c, run_id)))
        await implemented(it, run_id, ids)
        ledger = Counter(
            (f"{row.vendor}.{row.action}", row.campaign if row.action == "activate_campaign" else row.target)
            for row in await rows(it.app, sa.select(effect))
        )
        listed = Counter((one.action, one.target) for one in before if one.when == "launch")
        assert listed == ledger
        made = await implementing.report(it.kernel, run_id)
        status = "simulated" if safe else "applied"
        assert {one.action: dict(one.ended) for one in made.compared if one.when == "launch"} == {
            "ghl.upsert_contact": {status: 6},
            "ghl.create_opportunity": {status: 6},
            "instantly.create_campaign": {status: 2},
            "instantly.add_lead": {status: 6},
            "instantly.activate_campaign": {status: 2},
        }
        assert (made.unlisted, made.differences, made.state) == (0, (), "done")


async def test_an_effect_that_was_not_listed_and_one_that_failed_are_told(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(2))
        assert (await asked_for(it.app, run_id)).status == "applied"
        await stops.suppress(it.kernel, "person1@corp1.com", reason="asked", source="test", actor="test")
        trace = (await runs.get(it.kernel, run_id)).correlation_id
        with correlated(trace):
            await launched(it.app, campaign_id)
        unlisted = {"vendor": "instantly", "action": "add_lead", "target": "stranger@corp9.com"}
        now = iso(it.kernel.clock.now())
        await put(
            it.app,
            sa.insert(effect).values(
                key="k",
                intent="i",
                fingerprint="f",
                status="applied",
                first_at=now,
                correlation_id=trace,
                **unlisted,
            ),
        )
        made = await implementing.report(it.kernel, run_id)
        assert made.unlisted == 1
        wrong = {(one.action, one.target, one.status, one.reason, one.listed) for one in made.differences}
        assert ("instantly.add_lead", "stranger@corp9.com", "applied", "", False) in wrong
        assert ("ghl.upsert_contact", "person1@corp1.com", "not done", "stopped asked", True) in wrong
        assert len(wrong) == 4


async def test_asking_twice_is_replayed_and_done_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, ids = await ready(it.app, people(2))
        await implemented(it, run_id, ids)
        assert (await asked_for(it.app, run_id)).status == "replayed"
        assert len(await it.wrote("instantly", "add_lead")) == 2
        kept = [one for one in await artefacts.kept(it.kernel, run_id) if one.phase == "implement"]
        assert [(one.version, one.state, one.made_by) for one in kept] == [(1, "done", "agent")]


async def test_a_dry_run_tells_and_does_nothing(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, _ = await ready(it.app, people(2))
        told = await asked_for(it.app, run_id, dry_run=True)
        assert (told.status, told.detail["in_all"]) == ("simulated", 12)
        assert await wanted(it.app) == []
        assert await rows(it.app, sa.select(effect)) == []


LEADS_MOVE = {
    "their title": {"title": "Chief Executive Officer"},
    "their address": {"email": "new@corp1.com"},
    "their country": {"country": "DE"},
    "what the verifier says": {"email_verdict": "undeliverable"},
    "their company": {"company": "Other"},
}


@pytest.mark.parametrize("values", LEADS_MOVE.values(), ids=LEADS_MOVE)
@pytest.mark.requirement("P2")
async def test_nothing_is_implemented_for_people_who_are_not_as_they_were(
    live_kernel: Kernel, values: dict[str, Any]
) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(3))
    lead_id = (await in_run(app, run_id))[1].lead_id
    await changed(app, lead_id, **values)
    for dry_run in (True, False):
        refused = await asked_for(app, run_id, dry_run=dry_run)
        assert (refused.status, refused.reason) == ("refused", "leads_moved")
        assert refused.detail["leads"] == [lead_id]
    assert await wanted(app) == []


async def test_nobody_approves_a_plan_for_people_who_are_not_as_they_were(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(2))
    await say_yes(app, campaign_id)
    await changed(app, (await in_run(app, run_id))[0].lead_id, title="Somebody Else")
    with pytest.raises(Conflict) as refused:
        await agreed(app, run_id)
    assert refused.value.code == "moved"


@pytest.mark.requirement("P2")
async def test_a_change_between_the_look_and_the_clearing_is_seen(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(2))
    before = iso(live_kernel.clock.now())
    counts, no = await live_kernel.store.read(lambda c: implementing._looked_at(c, run_id, before))
    assert no is None
    await changed(app, (await in_run(app, run_id))[0].lead_id, title="Somebody Else")
    refused = await live_kernel.store.write(
        lambda c: implementing._cleared_in(live_kernel, c, run_id, "agent", counts, before)
    )
    assert refused.reason == "leads_moved"
    assert (await the(app, campaign_id)).cleared == 0


async def test_a_look_up_that_finds_nothing_new_moves_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(1))
    await changed(app, (await in_run(app, run_id))[0].lead_id, enriched_at=live_kernel.clock.now())
    assert (await asked_for(app, run_id)).status == "applied"


@pytest.mark.requirement("P2")
async def test_a_campaign_changed_since_the_yes_to_the_plan_is_refused_until_somebody_looks_again(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(3))
    lead_id = (await in_run(app, run_id))[0].lead_id
    await review.leave_out(live_kernel, campaign_id, lead_id, person=AE, version=1, reason="knows us")
    assert (await asked_for(app, run_id)).reason == "needs_approval"
    await say_yes(app, campaign_id)
    assert (await asked_for(app, run_id)).reason == "plan_moved"
    await agreed(app, run_id)
    assert (await asked_for(app, run_id)).status == "applied"


async def test_a_yes_to_words_that_ran_out_is_refused(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(1))
    await put(app, sa.update(approval).values(expires_at="2020-01-01T00:00:00+00:00"))
    assert (await asked_for(app, run_id)).reason == "approval_expired"


async def test_while_the_kill_switch_is_on_only_a_dry_run_answers(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(1))
    await live_kernel.switches.kill(actor="test", reason="stop")
    assert (await asked_for(app, run_id)).reason == "kill_switch"
    assert (await asked_for(app, run_id, dry_run=True)).status == "simulated"


async def test_who_changes_between_the_asking_and_the_launch_is_held_and_the_others_go(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(3))
        assert (await asked_for(it.app, run_id)).status == "applied"
        first = (await in_run(it.app, run_id))[0].lead_id
        await changed(it.app, first, title="Somebody Else")
        assert await launched(it.app, campaign_id) == "live"
        assert Counter(await states(it.app, campaign_id)) == {("live", ""): 2, ("held", drift.WHY): 1}
        assert len(await it.wrote("instantly", "add_lead")) == 2


async def test_a_run_asked_for_in_one_go_launches_each_campaign_by_its_own_approval(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await planned(it.app, people(2), asked="run")
        assert (await plans.plan_of(it.kernel, run_id)).state == "saved"
        await say_yes(it.app, campaign_id)
        assert await wanted(it.app) == [f"launch:{campaign_id}:1"]
        assert await launched(it.app, campaign_id) == "live"
        with pytest.raises(Invalid) as refused:
            await agreed(it.app, run_id)
        assert refused.value.code == "per_campaign"


async def test_a_stalled_launch_that_was_asked_for_is_taken_up_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(2))
        assert (await asked_for(it.app, run_id)).status == "applied"
        await outreach.stall(it.app, campaign_id, "the vendor was away")
        assert (await asked_for(it.app, run_id)).status == "replayed"
        assert await wanted(it.app) == [f"launch:{campaign_id}:2"]
        assert await launched(it.app, campaign_id) == "live"


async def test_what_stalled_is_not_taken_up_again_once_its_plan_was_rejected(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(2))
        assert (await asked_for(it.app, run_id)).status == "applied"
        await outreach.stall(it.app, campaign_id, "the vendor was away")
        await plan_review.reject(it.kernel, run_id, person=AE, version=1, reason="not now")
        assert (await asked_for(it.app, run_id)).reason == "needs_approval"
        assert await wanted(it.app) == []
        assert ((await the(it.app, campaign_id)).state, await run_state(it.app, run_id)) == (
            "rejected",
            "finished",
        )


async def test_what_stalled_is_not_taken_up_again_for_people_who_changed(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(2))
        assert (await asked_for(it.app, run_id)).status == "applied"
        await outreach.stall(it.app, campaign_id, "the vendor was away")
        await changed(it.app, (await in_run(it.app, run_id))[0].lead_id, title="Somebody Else")
        assert (await asked_for(it.app, run_id)).reason == "leads_moved"
        assert ((await the(it.app, campaign_id)).state, await wanted(it.app)) == ("stalled", [])


async def test_a_stalled_launch_whose_yes_ran_out_needs_its_words_and_implement_again(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        run_id, (campaign_id,) = await ready(it.app, people(2))
        assert (await asked_for(it.app, run_id)).status == "applied"
        await outreach.stall(it.app, campaign_id, "the vendor was away")
        await put(it.app, sa.update(approval).values(expires_at="2020-01-01T00:00:00+00:00"))
        assert (await asked_for(it.app, run_id)).reason == "needs_approval"
        await say_yes(it.app, campaign_id)
        assert await wanted(it.app) == []
        assert (await asked_for(it.app, run_id)).status == "applied"  # the plan is what was approved
        assert await launched(it.app, campaign_id) == "live"


# ── anew, and the end ────────────────────────────────────────────────────────────────────────────────────
async def test_researched_anew_the_plan_is_made_of_what_is_known_now(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (before,) = await ready(app, people(2))
    lead_id = (await in_run(app, run_id))[0].lead_id
    await changed(app, lead_id, company_size=9)
    assert (await asked_for(app, run_id)).reason == "leads_moved"
    await anew.research_anew(live_kernel, run_id, actor="agent")
    assert ((await the(app, before)).state, await run_state(app, run_id)) == ("superseded", "running")
    assert await research.collect(app, run_id) == {"batches": 1}
    await research.score_batch(app, run_id, 0)
    await surveying.write_findings(app, run_id)
    await research.ended(app, run_id)
    kept = [(one.phase, one.version, one.state) for one in await artefacts.kept(live_kernel, run_id)]
    assert kept == [("research", 1, "saved"), ("research", 2, "saved"), ("plan", 1, "superseded")]
    await runs.ask(live_kernel, run_id, "plan")
    after = [one for one in await drafted(app, run_id) if one != before]
    assert sorted(row.state for row in await in_run(app, run_id)) == ["disqualified", "in_review"]
    await say_yes(app, after[0])
    await agreed(app, run_id)
    assert (await asked_for(app, run_id)).status == "applied"


async def test_a_run_that_is_being_launched_is_not_researched_anew(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(1))
    await put(app, sa.update(campaign).where(campaign.c.id == campaign_id).values(state="launching"))
    with pytest.raises(Conflict):
        await anew.research_anew(live_kernel, run_id, actor="agent")


@pytest.mark.both_databases
async def test_a_cancelled_run_takes_back_what_has_not_begun(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(2))
    assert await anew.cancel(live_kernel, run_id, actor="agent", reason="wrong list") == (True, [])
    assert (await the(app, campaign_id)).state == "rejected"
    assert {row.state for row in await rows(app, sa.select(approval.c.state))} == {"revoked"}
    found = await runs.get(live_kernel, run_id)
    assert (found.state, found.message) == ("cancelled", "wrong list")
    assert await queue(live_kernel) == []
    assert await anew.cancel(live_kernel, run_id, actor="agent", reason="again") == (False, [])
    assert (await asked_for(app, run_id)).reason == "cancelled"


async def test_cancelling_pauses_what_is_being_launched(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(2))
    await put(app, sa.update(campaign).where(campaign.c.id == campaign_id).values(state="launching"))
    assert await anew.cancel(live_kernel, run_id, actor="agent", reason="wrong list") == (True, [campaign_id])
    assert [pause.scope for pause in (await live_kernel.switches.now()).pauses] == [f"campaign:{campaign_id}"]


async def test_a_database_of_an_older_version_is_planned_and_launched_as_before(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id = await a_run(it.app, people(2))  # no findings, no fingerprints
        await drafted(it.app, run_id)
        ids = [row.id for row in await rows(it.app, sa.select(campaign.c.id))]
        await say_yes(it.app, ids[0])
        assert await launched(it.app, ids[0]) == "live"
        assert len(await rows(it.app, sa.select(artefact.c.id))) == 2
        assert {row.listed for row in await rows(it.app, sa.select(campaign_lead.c.listed))} == {0}
