"""Reports: periods, intervals, what is counted of whom, on both databases; and that no number is made up."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import handoffs, report_tools, reporting
from orchestrator.app import App
from orchestrator.comparing import judged, trials_of
from orchestrator.outreach_rules import Target
from orchestrator.periods import around, last_whole
from orchestrator.plots import INNER, plots_of
from orchestrator.punctual import kept
from orchestrator.rates import difference, rate
from orchestrator.report_data import Report
from orchestrator.report_text import markdown
from orchestrator.results import Cell
from orchestrator.rules import Span
from orchestrator.web.reports import as_file
from shared.clock import iso
from shared.errors import Invalid
from shared.kernel import open_kernel
from shared.pipeline_schema import handoff, run
from shared.settings import Settings
from tests.orchestrator.past import MONDAY, Past
from tests.orchestrator.world import alone
from tests.shared.world import HandClock

Z = 1.96
UTC_ZONE = ZoneInfo("UTC")
MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


# ── periods ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "title", "begins", "days"),
    [
        ("daily", "1 Mar 2026", "2026-03-01", 1),
        ("weekly", "week of 23 Feb 2026", "2026-02-23", 7),
        ("monthly", "February 2026", "2026-02-01", 28),
    ],
)
def test_the_last_whole_period(name: str, title: str, begins: str, days: int) -> None:
    found = last_whole(name, MORNING, UTC_ZONE)  # type: ignore[arg-type]  # one of the names
    assert (found.title, found.begins.date()) == (title, date.fromisoformat(begins))
    assert found.ends - found.begins == timedelta(days=days)


def test_a_day_of_another_zone_is_that_zones_and_has_its_length() -> None:
    spring = around("daily", date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    assert (iso(spring.begins)[:16], spring.ends - spring.begins) == ("2026-03-28T23:00", timedelta(hours=23))


# ── intervals ────────────────────────────────────────────────────────────────────────────────────────────
def test_newcombes_interval_is_the_published_one() -> None:
    # Newcombe 1998, example (a): 56/70 and 48/80, method 10.
    found = difference(rate(56, 70, 1.959964), rate(48, 80, 1.959964), 1.959964)
    assert (found.points, found.low, found.high) == (20.0, 5.24, 33.39)
    assert found.shown


@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 500), st.integers(0, 500))
def test_intervals_hold_their_rate_and_turn_round_with_the_sides(a: int, b: int, c: int, d: int) -> None:
    first, second = rate(a, b, Z), rate(c, d, Z)
    assert first.low <= first.percent <= first.high
    one, other = difference(first, second, Z), difference(second, first, Z)
    assert one.low <= one.points <= one.high
    assert (one.low, one.high) == (-other.high, -other.low)


@pytest.mark.parametrize(
    ("good", "of", "verdict"),
    [
        (0, 0, "open"),
        (80, 1_000, "open"),  # 8 %, as is the target, and nobody is that sure
        (150, 1_000, "met"),
        (60, 1_000, "below_target"),
        (36, 1_000, "below_minimum"),
        (20, 1_000, "critical"),
        (0, 10, "open"),
    ],
)
def test_a_target_is_judged_by_what_cannot_be_chance(good: int, of: int, verdict: str) -> None:
    row = Target(target=8, minimum=5, critical=4)
    assert judged(rate(good, of, Z), row, more_is_better=True) == verdict


def test_what_should_be_rare_is_judged_the_other_way_round() -> None:
    row = Target(target=0.5, minimum=1, critical=2)
    words = [judged(rate(good, 10_000, Z), row, more_is_better=False) for good in (10, 50, 90, 150, 300)]
    assert words == ["met", "open", "below_target", "below_minimum", "critical"]


def test_variants_are_compared_within_their_type_and_tier_only() -> None:
    a = Cell(type="event_followup", tier="tier_3", variant="A", people=400, replied=60, positive=20)
    b = replace(a, variant="B", replied=20, positive=5)
    (found,) = trials_of([a, b, replace(a, tier="tier_1")], Z)
    assert found.told.startswith("A is ahead by ")
    (other,) = trials_of([a, replace(b, replied=58)], Z)
    assert other.told.startswith("no difference shown")


def test_a_promise_counts_what_was_kept_and_what_is_overdue() -> None:
    start = iso(MORNING)
    done = [(start, iso(MORNING + timedelta(minutes=minutes))) for minutes in (5, 15, 40, 90)]
    found = kept(
        "x", Span(target_minutes=15, maximum_minutes=60), [*done, (start, "")], MORNING + timedelta(hours=2)
    )
    assert (found.done, found.within_target, found.within_maximum) == (4, 2, 3)
    assert (found.waiting, found.overdue, found.median) == (1, 1, 27.5)


# ── from the database ────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def app(settings_for: Callable[..., Settings]) -> AsyncIterator[App]:
    async with open_kernel(settings_for(), clock=HandClock(MORNING)) as kernel:
        yield alone(kernel)


def history(connection: sa.Connection) -> None:
    """Two campaigns in the week, one before it, a rehearsal."""
    made = Past(connection)
    made.campaign(
        "now",
        [
            "A sent opened replied:positive_interest sent",
            "A sent bounced",
            "A sent opened auto_replied:out_of_office",
            "B sent replied:not_interested replied:unsubscribe unsubscribed",
            "B sent complained",
        ],
    )
    made.campaign("before", ["A sent replied:positive_interest"], at=MONDAY - timedelta(days=8))
    made.campaign("rehearsal", ["A sent replied:positive_interest"], mode="safe")
    made.handoff("h1", "meeting_request", MONDAY, 20)
    made.handoff("h2", "many_touches", MONDAY, None)
    made.stop("p4@corp.com", MONDAY, 0.2)
    made.effect("e1", "applied", MONDAY)
    made.effect("e2", "refused", MONDAY)
    made.effect("e3", "applied", MONDAY - timedelta(days=30))
    made.effect("e4", "applied", MONDAY + timedelta(hours=6), action="activate_campaign", campaign="now")


async def week(app: App) -> Report:
    await app.kernel.store.write(history)
    return await reporting.make(app, last_whole("weekly", MORNING, UTC_ZONE))


@pytest.mark.both_databases
async def test_a_week_counts_people_once_and_rehearsals_not_at_all(app: App) -> None:
    found = await week(app)
    assert {one.name: one.count for one in found.funnel} == {
        "found": 6,
        "scored": 6,
        "qualified": 6,
        "written to": 5,
        "delivered": 4,
        "replied": 2,
        "positive": 1,
        "handed to a person": 2,
    }
    assert {one.name: one.count for one in found.outcomes} == {"applied": 2, "refused": 1}
    assert {one.name: one.count for one in found.replies}["positive_interest"] == 2
    by_metric = {row.metric: (row.actual.good, row.actual.of) for row in found.targets}
    assert by_metric == {
        "deliverability": (4, 5),
        "opens": (2, 5),
        "replies": (2, 5),
        "positive_share": (1, 2),
        "unsubscribes": (1, 5),
        "spam": (1, 5),
    }
    tiers = {row.tier: (row.scored, row.people, row.replied.good) for row in found.tiers}
    assert (tiers["tier_3"], tiers["tier_1"]) == ((6, 5, 2), (0, 0, 0))
    (trial,) = found.trials
    assert [(side.variant, side.replied.good, side.replied.of) for side in trial.sides] == [
        ("A", 1, 3),
        ("B", 1, 2),
    ]
    promises = {one.name: (one.done, one.waiting, one.median) for one in found.punctuality}
    assert promises == {
        "meeting_request": (1, 0, 20.0),
        "general": (0, 1, -1.0),
        "review": (2, 0, 300.0),
        "launch": (1, 1, 60.0),
        "unsubscribe": (1, 0, 0.2),
    }
    assert [(one.at, one.people) for one in found.course][:2] == [("2026-02-23", 7), ("2026-02-24", 0)]
    assert found.over
    assert found.early.good == 5


async def test_nothing_happened_is_a_report_too(app: App) -> None:
    found = await reporting.make(app, last_whole("daily", MORNING, UTC_ZONE))
    assert {row.verdict for row in found.targets} == {"open"}
    assert len(found.course) == 24
    text = markdown(found)
    assert text.count("Nothing yet.") == 4
    assert "nobody yet" in text


async def test_markdown_says_what_cannot_be_told(app: App) -> None:
    text = markdown(await week(app))
    assert "5 people first written to, 2 replied, 1 in favour, 2 handed to a person" in text
    assert "answers still come" in text
    assert "| replies | 40.0 % (11.8 to 76.9) | 8 % | 5 % | 4 % | target met |" in text
    assert "no difference shown" in text


async def test_a_kept_report_stays_as_it_was(app: App) -> None:
    await app.kernel.store.write(history)
    assert await reporting.keep(app, "weekly", iso(MORNING)) == "week of 23 Feb 2026"
    begins = (await reporting.kept(app.kernel))[0][1]
    before = await reporting.kept_one(app.kernel, "weekly", begins)
    await app.kernel.store.write(lambda c: c.execute(sa.update(run).values(mode="safe")))
    await reporting.keep(app, "weekly", iso(MORNING))
    assert await reporting.kept_one(app.kernel, "weekly", begins) == before
    assert before is not None
    assert before.funnel[3].count == 5
    assert await reporting.kept_one(app.kernel, "weekly", "never") is None


async def test_when_a_handoff_was_taken_and_closed_is_kept(app: App) -> None:
    rows = [{"id": "one"}, {"id": "two"}]
    await app.kernel.store.write(lambda c: c.execute(sa.insert(handoff), rows))
    await handoffs.acknowledge(app.kernel, "one", by="ae@corp.com")
    for name in ("one", "two"):
        await handoffs.close(app.kernel, app.rules, name, by="ae@corp.com", note="done")
    found = await app.kernel.store.read(lambda c: c.execute(sa.select(handoff)).all())
    assert {(one.acknowledged_at, one.closed_at) for one in found} == {(iso(MORNING), iso(MORNING))}


async def test_an_agent_reads_the_period_with_a_day_and_no_other_word(app: App) -> None:
    await app.kernel.store.write(history)
    found = await report_tools.get_report.function(app, "weekly", "2026-02-25")
    assert found.title == "week of 23 Feb 2026"
    with pytest.raises(Invalid, match="no such day"):
        await report_tools.get_report.function(app, "weekly", "2026-02-31")
    assert (await report_tools.text(app, "weekly")).startswith("# week of 23 Feb 2026")
    with pytest.raises(Invalid, match="daily, weekly, monthly"):
        await report_tools.text(app, "yearly")


async def test_a_plot_shows_what_stands_in_its_table(app: App) -> None:
    plots = {one.id: one for one in plots_of(await week(app))}
    assert [(bar.label, bar.told) for bar in plots["funnel"].bars][3] == ("written to", "5")
    assert max(bar.width for bar in plots["funnel"].bars) == INNER
    replies = next(one for one in plots["targets"].whiskers if one.label == "replies")
    assert 0 < replies.low < replies.middle < replies.high <= INNER
    assert {one.label for one in plots["limits"].whiskers} == {"unsubscribes", "spam"}
    assert all(len(row) == len(one.head) for one in plots.values() for row in one.rows)
    assert plots["course"].columns[0].told == "2026-02-23: 7 sent, 4 replies"


async def test_a_file_stands_by_itself_without_scripts(app: App) -> None:
    page = as_file(replace(await week(app), title="<script>alert(1)</script>"))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import| style=| on[a-z]+=", page)
    assert page.count("<svg") == page.count("<desc") == page.count('role="img"')
