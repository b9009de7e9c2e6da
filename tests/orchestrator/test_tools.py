"""What an agent may call: it starts phases, looks and stops; it never approves or relaxes."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import runs, tools
from orchestrator.app import App
from orchestrator.tools import TOOLS
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, handoff, run
from tests.orchestrator.world import alone, approved, launched, people, planned, put, states, the, world


async def _call(app: App, name: str, **arguments: Any) -> Any:
    tool = next(one for one in TOOLS if one.name == name)
    return await tool.function(app, **arguments)


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_phase_started_with_the_same_key_is_started_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    first = await _call(app, "research", files=("a.csv",), idempotency_key="monday")
    again = await _call(app, "research", files=("a.csv",), idempotency_key="monday")
    assert (first.status, again.status, first.reference) == ("applied", "replayed", again.reference)
    assert len(await runs.newest(live_kernel)) == 1


async def test_the_same_key_for_other_people_is_a_conflict(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _call(app, "research", files=("a.csv",), idempotency_key="monday")
    with pytest.raises(Conflict):
        await _call(app, "research", files=("b.csv",), idempotency_key="monday")


async def test_without_a_key_each_call_is_a_run(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    assert {(await _call(app, "run_pipeline")).status for _ in range(2)} == {"applied"}
    assert len(await runs.newest(live_kernel)) == 2


async def test_planning_asked_for_again_is_replayed(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    made = await runs.create(live_kernel, {"asked": "research"})
    with pytest.raises(Invalid):
        await _call(app, "plan", run_id=made.id)
    await put(app, sa.update(run).values(state="researched"))
    assert [(await _call(app, "plan", run_id=made.id)).status for _ in range(2)] == ["applied", "replayed"]


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_suppressing_a_domain_stops_whoever_is_written_to_there(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    outcome = await _call(app, "suppress", target="corp1.com", reason="asked")
    assert outcome.status == "applied"
    assert await states(app, campaign_id) == [("stopped", "asked"), ("drafted", "")]
    assert (await _call(app, "suppress", target="corp1.com", reason="asked")).status == "replayed"
    assert (await _call(app, "check_suppression", target="anna@corp1.com")).suppressed


@pytest.mark.requirement("K6")
async def test_the_kill_switch_tells_how_many_campaigns_the_vendor_paused(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await launched(it.app, campaign_id)
        outcome = await _call(it.app, "engage_kill_switch", reason="stop it")
        assert (outcome.detail["confirmed"], outcome.detail["of"]) == (1, 1)
        assert outcome.detail["bound"] == {"calls": 8, "seconds": 30.0}
        assert outcome.detail["on_the_wire"] == []
        assert (await the(it.app, campaign_id)).state == "paused"
        assert (await _call(it.app, "get_status")).kill_switch


async def test_a_vendor_that_is_away_keeps_nothing_from_being_paused_here(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await launched(it.app, campaign_id)
        await it.break_things("instantly", {"kind": "status", "status": 503, "times": -1})
        outcome = await _call(it.app, "pause_campaigns", reason="stop it", campaign_id=campaign_id)
        assert (outcome.status, outcome.detail["confirmed"], outcome.detail["of"]) == ("applied", 0, 1)
        vendor: Any = outcome.detail["vendor_campaigns"]
        assert [one["id"] for one in vendor["unconfirmed"]] == [campaign_id]
        assert (await _call(it.app, "get_status")).standing_still == (f"campaign:{campaign_id}: stop it",)


async def test_an_unknown_campaign_is_not_paused(live_kernel: Kernel) -> None:
    with pytest.raises(Invalid, match="no campaign has this id"):
        await _call(alone(live_kernel), "pause_campaigns", reason="stop it", campaign_id="nobody")


async def test_safe_mode_can_be_engaged(live_kernel: Kernel) -> None:
    await _call(alone(live_kernel), "engage_safe_mode", reason="careful")
    assert (await live_kernel.switches.now()).safe_mode


@pytest.mark.requirement("A5", "K7")
def test_nothing_here_approves_or_relaxes() -> None:
    loosening = ("approve", "release", "resume", "leave", "lift", "unsuppress")
    assert not [tool.name for tool in TOOLS if any(word in tool.name for word in loosening)]


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_run_and_its_people_are_told(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(3))
    found = await _call(app, "get_run", run_id=run_id)
    assert [(c.name, c.count) for c in found.campaigns] == [("pending_review", 1)]
    assert [one.id for one in (await _call(app, "list_runs")).runs] == [run_id]
    listed = await _call(app, "list_leads", run_id=run_id, limit=2)
    assert (len(listed.leads), listed.omitted) == (2, 1)
    assert (await _call(app, "list_reviews")).reviews[0].id == campaign_id
    assert (await _call(app, "get_review", campaign_id=campaign_id)).people == 3


async def test_a_person_is_found_however_the_address_is_spelled(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    found = await _call(app, "get_lead", who=" PERSON1@corp1.com ")
    assert (found.suppressed, bool(found.timeline)) == ("no", True)
    with pytest.raises(Invalid):
        await _call(app, "get_lead", who="nobody@corp.com")


async def test_handoffs_are_told_the_soonest_due_first(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    for name, due in (("late", "2026-02"), ("soon", "2026-01"), ("closed", "2025")):
        state = "closed" if name == "closed" else "pending"
        await put(app, sa.insert(handoff).values(id=name, due_at=due, state=state, trigger="x"))
    assert [one.id for one in (await _call(app, "list_handoffs")).handoffs] == ["soon", "late"]


async def test_the_log_is_told_without_whom_it_is_about(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await live_kernel.suppression.add("anna@corp1.com", reason="asked", source="test")
    page = await _call(app, "query_audit")
    assert page.verified
    assert page.entries[0].kind == "suppression.added"
    assert "anna@corp1.com" not in repr(page)


async def test_the_status_counts_what_waits_for_a_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    assert (await _call(app, "get_status")).reviews_waiting == 1
    await put(app, sa.update(campaign).values(state="rejected"))
    assert (await _call(app, "get_status")).reviews_waiting == 0


def test_every_tool_says_what_it_does() -> None:
    assert all(tool.function.__doc__ for tool in tools.TOOLS)
