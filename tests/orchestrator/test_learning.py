"""Lessons of past campaigns and the advice made of them: counted from rows, surer the more is compared."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from orchestrator import knowledge, learning_tools
from orchestrator.advice import Advice, advise, stricter
from orchestrator.app import App
from orchestrator.knowledge import Lesson
from orchestrator.rates import rate
from orchestrator.results import Cell
from orchestrator.rules import Rules, load_rules
from shared.kernel import open_kernel
from shared.settings import Settings
from tests.conftest import CONFIG
from tests.orchestrator.past import MONDAY, Past
from tests.orchestrator.world import alone
from tests.shared.world import HandClock

MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
Z = 1.96


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules(CONFIG)


@pytest.fixture
async def app(settings_for: Callable[..., Settings]) -> AsyncIterator[App]:
    async with open_kernel(settings_for(), clock=HandClock(MORNING)) as kernel:
        yield alone(kernel)


def history(connection: sa.Connection) -> None:
    made = Past(connection)
    first = ["A sent replied:positive_interest", "B sent replied:not_interested", "B sent unsubscribed"]
    made.campaign("one", first, title="VP Sales")
    made.campaign(
        "two", ["A sent replied:not_interested"], kind="thought_leadership", title="Ops <b>Manager</b>"
    )
    made.campaign("rehearsal", ["A sent"], mode="safe")


async def named(app: App, about: knowledge.About) -> dict[str, tuple[int, int, tuple[str, ...]]]:
    found = await knowledge.lessons(app.kernel, app.rules, about)
    return {one.name: (one.people, one.replied.good, one.sources) for one in found}


# ── lessons ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.both_databases
async def test_lessons_count_people_by_what_they_have_in_common(app: App) -> None:
    await app.kernel.store.write(history)
    assert MONDAY.hour == 9
    assert await named(app, "segment") == {
        "event_followup, tier_3": (3, 2, ("one",)),
        "thought_leadership, tier_3": (1, 1, ("two",)),
    }
    assert await named(app, "template") == {
        "event_followup, variant B": (2, 1, ("one",)),
        "event_followup, variant A": (1, 1, ("one",)),
        "thought_leadership, variant A": (1, 1, ("two",)),
    }
    assert await named(app, "title") == {
        "vp, sales": (3, 2, ("one",)),
        "manager, operations": (1, 1, ("two",)),
    }
    assert await named(app, "send_window") == {"Mon 08-12 UTC": (4, 3, ("one", "two"))}
    assert await named(app, "objection") == {
        "not_interested": (2, 2, ("one", "two")),
        "positive_interest": (1, 1, ("one",)),
    }


async def test_where_nothing_happened_the_tools_say_so(app: App) -> None:
    found = await learning_tools.query_knowledge.function(app, "segment")
    assert (found.lessons, found.note[:15]) == ((), "too little data")
    told = await learning_tools.get_recommendations.function(app)
    assert (told.advice, told.people) == ((), 0)
    assert "the least to plan with" in told.note


async def test_the_tools_answer_in_pages(app: App) -> None:
    await app.kernel.store.write(history)
    found = await learning_tools.query_knowledge.function(app, "template", limit=2)
    assert (len(found.lessons), found.next_cursor, found.omitted) == (2, "2", 1)
    told = await learning_tools.get_recommendations.function(app)
    assert {(one.rule, one.confidence) for one in told.advice} == {("too_little_data", "none yet")}


# ── advice ───────────────────────────────────────────────────────────────────────────────────────────────
def variants(a: int, b: int, people: int = 1_000) -> list[Cell]:
    both = {"campaign_id": "c", "type": "event_followup", "tier": "tier_2", "people": people}
    return [
        Cell(variant="A", replied=a, positive=a // 2, **both),  # type: ignore[arg-type]  # as the fields are
        Cell(variant="B", replied=b, positive=b // 2, **both),  # type: ignore[arg-type]  # as above
    ]


def lesson(name: str, good: int, of: int) -> Lesson:
    return Lesson(name, of, rate(good, of, Z), rate(0, of, Z), rate(0, of, Z), 1, ("c",))


def told(found: list[Advice]) -> list[tuple[str, str]]:
    return [(one.rule, one.what) for one in found]


def test_a_variant_that_is_ahead_is_preferred_and_one_that_may_be_is_not(rules: Rules) -> None:
    assert told(advise(variants(160, 90), [], [], rules)) == [
        ("variant", "prefer variant A in event_followup, tier_2")
    ]
    (open_one,) = advise(variants(105, 95), [], [], rules)
    assert (open_one.rule, open_one.confidence) == ("too_little_data", "none yet")
    assert "2,000 people so far show only differences of" in open_one.evidence


def test_a_segment_that_misses_its_bound_for_certain_is_stopped(rules: Rules) -> None:
    found = advise(variants(5, 6), [], [], rules)
    assert ("target", "stop writing to event_followup, tier_2: replies beyond its bound") in told(found)
    assert found[0].confidence == "certain against the target"
    assert not [one for one in advise(variants(0, 1, people=10), [], [], rules) if one.rule == "target"]


def test_a_title_is_a_hint_only_where_it_differs_and_has_enough_people(rules: Rules) -> None:
    titles = [lesson("vp, sales", 120, 1_000), lesson("manager, sales", 50, 1_000), lesson("few", 50, 100)]
    found = advise([], titles, [], rules)
    assert told(found) == [
        ("title", "write to vp, sales first, as a test"),
        ("title", "write less to manager, sales, as a test"),
    ]
    assert {one.confidence for one in found} == {"a hint, not dealt at random"}
    assert advise([], [lesson("a", 80, 1_000), lesson("b", 90, 1_000)], [], rules) == []


def test_the_more_is_compared_the_surer_each_must_be(rules: Rules) -> None:
    assert stricter(Z, 1) == pytest.approx(Z)
    assert stricter(Z, 10) == pytest.approx(2.807, abs=1e-3)
    alone_sure = [lesson("a", 75, 1_000), lesson("b", 50, 1_000)]
    many = [*alone_sure, *(lesson(f"x{n}", 62, 1_000) for n in range(30))]
    assert advise([], alone_sure, [], rules)
    assert advise([], many, [], rules) == []
