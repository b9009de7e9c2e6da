"""Touches on LinkedIn are tasks for people: listed when a campaign goes live, bounded, never done by the product."""

import ast
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from people import RULES

import orchestrator
from orchestrator import stops, touches
from orchestrator.outreach_rules import LinkedIn
from orchestrator.timeline import history
from orchestrator.tools import TOOLS
from shared.approval import Person
from shared.errors import Conflict, Invalid
from shared.pipeline_schema import campaign, touch
from tests.orchestrator.phases import AE
from tests.orchestrator.world import World, approved, launched, people, put, rows, world

DAYS = (1, 5, 10)


async def live(it: World, count: int, tier: str = "tier_1") -> str:
    """A campaign that is being sent."""
    _, campaign_id = await approved(it.app, people(count), tier=tier)  # type: ignore[arg-type]  # one of the tiers
    assert await launched(it.app, campaign_id) == "live"
    return campaign_id


async def due(it: World) -> touches.Tasks:
    return await touches.tasks(it.kernel, it.app.rules.outreach.linkedin)


async def later(it: World, days: float) -> None:
    await it.clock.sleep(days * 86_400)


async def test_each_person_of_a_live_tier_1_campaign_has_a_task_on_each_day(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await live(it, 2)
        found = await rows(it.app, sa.select(touch).order_by(touch.c.lead_id, touch.c.day))
        assert [row.day for row in found] == [*DAYS, *DAYS]
        assert {row.campaign_id for row in found} == {campaign_id}
        assert len((await due(it)).due) == 0
        assert (await due(it)).later == 6
        await later(it, 4)
        tasks = (await due(it)).due
        assert [task.day for task in tasks] == [1, 1]
        assert tasks[0].what == it.app.rules.outreach.linkedin.what[1]
        assert tasks[0].profile.startswith("https://www.linkedin.com/in/")


async def test_other_tiers_and_rehearsals_have_none(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await live(it, 2, "tier_2")
        assert await rows(it.app, sa.select(touch)) == []
    async with world(tmp_path / "safe", safe=True) as it:
        _, campaign_id = await approved(it.app, people(1), tier="tier_1")
        assert await launched(it.app, campaign_id) == "simulated"
        assert await rows(it.app, sa.select(touch)) == []


async def test_a_launch_that_ends_twice_makes_each_task_once(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await live(it, 2)
        await put(it.app, sa.update(campaign).values(state="launching"))
        assert await launched(it.app, campaign_id) == "live"
        assert len(await rows(it.app, sa.select(touch))) == 6


def test_a_task_falls_on_a_day_that_people_work() -> None:
    friday = datetime(2026, 11, 27, 20, 0, tzinfo=UTC)
    dates = touches._dates(DAYS, RULES.outreach.window, friday)
    assert [date.strftime("%a %d %H:%M") for _, date in dates] == [
        "Mon 30 09:00",
        "Wed 02 09:00",
        "Mon 07 09:00",
    ]


async def test_a_person_does_it_or_leaves_it_and_the_timeline_tells(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await live(it, 1)
        await later(it, 20)
        first, second, third = (await due(it)).due
        await touches.end(it.kernel, first.id, "done", person=AE, note="  met at\nSaaS Day ")
        await touches.end(it.kernel, second.id, "skipped", person=AE)
        assert [task.id for task in (await due(it)).due] == [third.id]
        assert (await due(it)).done_today == 1
        with pytest.raises(Conflict):
            await touches.end(it.kernel, first.id, "done", person=AE)
        with pytest.raises(Invalid):
            await touches.end(it.kernel, "nobody", "done", person=AE)
        with pytest.raises(Invalid, match="role"):
            await touches.end(it.kernel, third.id, "done", person=Person("v", "viewer"))
        told = await history(it.kernel, first.lead_id)
        assert told is not None
        happened = {entry["what"]: entry["detail"] for entry in told["timeline"]}
        assert happened["LinkedIn by hand, day 1: done"] == f"by {AE.name} met at SaaS Day"
        assert "LinkedIn by hand, day 10: open" in happened


async def test_who_was_stopped_is_not_touched_any_more(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await live(it, 2)
        await later(it, 4)
        before = (await due(it)).due
        await stops.suppress(it.kernel, "person1@corp1.com", reason="asked", source="test", actor="test")
        after = (await due(it)).due
        assert len(after) == len(before) - 1
        (gone,) = {task.id for task in before} - {task.id for task in after}
        with pytest.raises(Conflict, match="not to be touched"):
            await touches.end(it.kernel, gone, "done", person=AE)


async def test_while_a_campaign_stands_still_so_do_its_tasks(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await live(it, 1)
        await later(it, 4)
        await put(it.app, sa.update(campaign).values(state="paused"))
        assert (await due(it)).due == ()


async def test_no_more_are_shown_than_an_account_bears_in_a_day(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await live(it, 4)
        await later(it, 4)
        rules = LinkedIn(touches_per_day=3, what={}, otherwise="Do what a polite stranger would.")
        found = await touches.tasks(it.kernel, rules)
        assert (len(found.due), found.held_back) == (3, 1)
        for task in found.due:
            await touches.end(it.kernel, task.id, "done", person=AE)
        assert (await touches.tasks(it.kernel, rules)).due == ()
        await later(it, 4)  # day 5 of whoever starts on a Friday evening is a Wednesday
        assert [task.day for task in (await touches.tasks(it.kernel, rules)).due] == [
            1,
            5,
            5,
        ]  # the oldest first


@pytest.mark.requirement("P8")
def test_no_tool_does_a_task_and_nothing_in_the_product_writes_to_linkedin() -> None:
    assert not [tool.name for tool in TOOLS if "task" in tool.name and tool.writes]
    folder = Path(orchestrator.__file__).parent
    callers = [
        file.name
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "touches.end"
    ]
    assert callers == ["touches.py"]  # the page of the Gatekeeper
