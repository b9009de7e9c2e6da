"""Schedules: when they are due, that each occasion is done once whoever dies, and that what lags is told."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import anyio
import pytest
from pydantic import ValidationError

from orchestrator import reporting, schedules
from orchestrator.app import App
from orchestrator.rhythm import following, latest, told
from orchestrator.schedule_rules import Rhythm, Schedule, ScheduleRules
from orchestrator.schedules import Task, Timetable
from orchestrator.timetable import TIMETABLE
from orchestrator.watching import decide
from orchestrator.worker import Worker, open_worker
from shared.clock import SystemClock, iso, parse
from shared.errors import Fatal
from shared.kernel import open_kernel
from shared.settings import Settings
from tests.orchestrator.test_watching import RULES, facts
from tests.orchestrator.test_worker import Engine, _until
from tests.orchestrator.world import Leaping, alone
from tests.shared.world import HandClock

NAME: Schedule = "suppression_sweep"
UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
FIVE = Rhythm(every_minutes=5)
MONDAYS = Rhythm(at="06:00", weekday=0)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# ── rhythm ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("rhythm", "zone", "now", "before", "after"),
    [
        (FIVE, UTC_ZONE, "2026-11-28T10:02:59", "2026-11-28T10:00", "2026-11-28T10:05"),
        (FIVE, UTC_ZONE, "2026-11-28T10:05:00", "2026-11-28T10:05", "2026-11-28T10:10"),
        (Rhythm(at="06:00"), UTC_ZONE, "2026-11-28T05:59", "2026-11-27T06:00", "2026-11-28T06:00"),
        (Rhythm(at="06:00"), BERLIN, "2026-07-01T12:00", "2026-07-01T04:00", "2026-07-02T04:00"),
        (MONDAYS, UTC_ZONE, "2026-11-30T06:00", "2026-11-30T06:00", "2026-12-07T06:00"),
        (Rhythm(at="06:00", day=1), UTC_ZONE, "2026-11-30T10:00", "2026-11-01T06:00", "2026-12-01T06:00"),
        # 02:30 doesn't exist on the day clocks are set forward, and comes twice when they are set back.
        (Rhythm(at="02:30"), BERLIN, "2026-03-29T03:00", "2026-03-29T01:30", "2026-03-30T00:30"),
        (Rhythm(at="02:30"), BERLIN, "2026-10-25T01:45", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_due_moments(rhythm: Rhythm, zone: ZoneInfo, now: str, before: str, after: str) -> None:
    assert latest(rhythm, zone, at(now)) == at(before)
    assert following(rhythm, zone, at(now)) == at(after)


def test_rhythms_in_words() -> None:
    rhythms = (FIVE, Rhythm(every_minutes=720), Rhythm(at="06:00"), MONDAYS, Rhythm(at="06:00", day=3))
    assert [told(one, "UTC") for one in rhythms] == [
        "every 5 min",
        "every 12 h",
        "each day at 06:00 UTC",
        "Mondays at 06:00 UTC",
        "day 3 of each month at 06:00 UTC",
    ]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "either every_minutes or at"),
        ({"every_minutes": 5, "at": "06:00"}, "either every_minutes or at"),
        ({"every_minutes": 5, "weekday": 1}, "need at"),
        ({"at": "06:00", "weekday": 1, "day": 1}, "not both"),
        ({"at": 960}, "in quotes"),
        ({"at": "24:00"}, "pattern"),
        ({"at": "06:00", "day": 31}, "28"),
    ],
)
def test_an_impossible_rhythm_is_refused(row: Mapping[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Rhythm.model_validate(row)


def test_each_schedule_has_its_rhythm_its_work_and_a_zone_that_exists() -> None:
    assert set(TIMETABLE) == set(get_args(Schedule))
    with pytest.raises(ValidationError, match="a row is missing for suppression_sweep"):
        ScheduleRules.model_validate({"timezone": "UTC", "schedules": {}})
    with pytest.raises(ValidationError, match="Europe/Berlin"):
        ScheduleRules.model_validate({"timezone": "Mars", "schedules": {}})


# ── occasions ────────────────────────────────────────────────────────────────────────────────────────────
class Done:
    """A schedule's work that remembers when it was done for, and fails as often as it is told to."""

    def __init__(self, fails: int = 0) -> None:
        self.fails = fails
        self.occasions: list[datetime] = []

    async def __call__(self, app: App, occasion: datetime) -> dict[str, int]:
        assert app.rules
        if self.fails:
            self.fails -= 1
            raise Fatal("the vendor said no")
        self.occasions.append(occasion)
        return {"seen": len(self.occasions)}


@pytest.fixture
async def here(settings_for: Callable[..., Settings]) -> AsyncIterator[tuple[App, HandClock]]:
    clock = HandClock()
    async with open_kernel(settings_for(), clock=clock) as kernel:
        yield alone(kernel), clock


def only(do: Done) -> Timetable:
    return {NAME: Task("does something", do)}


async def _flows(app: App) -> list[tuple[str, dict[str, str | int]]]:
    return await app.kernel.store.read(schedules.running)


async def _turn(app: App, timetable: Timetable) -> None:
    """Begin what is due, and do it as its flow would."""
    await schedules.begin_due(app, timetable)
    for _, args in await _flows(app):
        which = (NAME, str(args["occasion"]), int(args["turn"]))
        try:
            message = await schedules._carry_out(app, timetable, *which)
        except Fatal as error:
            await schedules.end(app, *which, error.message, well=False)
        else:
            await schedules.end(app, *which, message, well=True)


async def test_reports_are_kept_by_their_schedules(here: tuple[App, HandClock]) -> None:
    app, _ = here
    for name in ("daily_report", "weekly_report", "monthly_report"):
        await TIMETABLE[name].do(app, at("2026-03-02T06:10"))  # type: ignore[index]  # three of the names
    titles = [title for _, _, title, _ in await reporting.kept(app.kernel)]
    assert titles == ["1 Mar 2026", "week of 23 Feb 2026", "February 2026"]


async def _now(app: App, timetable: Timetable) -> schedules.Standing:
    return (await schedules.standing(app.kernel, app.rules.schedules, timetable))[0]


@pytest.mark.both_databases
async def test_it_is_done_once_per_occasion(here: tuple[App, HandClock]) -> None:
    (app, clock), do = here, Done()
    for _ in range(3):
        await _turn(app, only(do))
    assert len(do.occasions) == 1
    clock.move(300)
    await _turn(app, only(do))
    assert do.occasions[1] - do.occasions[0] == timedelta(minutes=5)
    assert (await _now(app, only(do))).message == "seen 2"


async def test_what_was_missed_is_caught_up_once(here: tuple[App, HandClock]) -> None:
    (app, clock), do = here, Done()
    await _turn(app, only(do))
    clock.move(3 * 3600)
    for _ in range(3):
        await _turn(app, only(do))
    assert len(do.occasions) == 2
    assert clock.now() - do.occasions[1] < timedelta(minutes=5)


async def test_a_row_that_runs_is_not_begun_again_and_names_one_flow(here: tuple[App, HandClock]) -> None:
    (app, clock), do = here, Done()
    assert await schedules.begin_due(app, only(do)) == 1
    first = await _flows(app)
    clock.move(3600)
    assert await schedules.begin_due(app, only(do)) == 0
    assert await _flows(app) == first
    assert first[0][0] == f"schedule:{NAME}:{first[0][1]['occasion']}:1"


async def test_what_fails_is_tried_again_ever_more_seldom_and_lags_meanwhile(
    here: tuple[App, HandClock],
) -> None:
    (app, clock), do = here, Done(fails=2)
    began = clock.now()
    await _turn(app, only(do))
    found = await _now(app, only(do))
    assert (found.state, found.failures, found.message) == ("failed", 1, "the vendor said no")
    assert parse(found.next_run) == began + timedelta(minutes=1)
    clock.move(60)
    await _turn(app, only(do))
    assert parse((await _now(app, only(do))).next_run) <= clock.now() + timedelta(minutes=2)
    assert (await _now(app, only(do))).lag_seconds == 60
    clock.move(120)
    await _turn(app, only(do))
    found = await _now(app, only(do))
    assert (found.state, found.failures, found.lag_seconds) == ("waiting", 0, 0)
    assert found.last_done == iso(clock.now())


@pytest.mark.both_databases
async def test_one_living_process_does_it_and_a_dead_ones_is_taken_up(here: tuple[App, HandClock]) -> None:
    (app, _), do = here, Done()
    await schedules.begin_due(app, only(do))
    (_, args), *_ = await _flows(app)
    which = (NAME, str(args["occasion"]), int(args["turn"]))
    settings = app.kernel.settings
    async with open_kernel(settings) as other:
        there = alone(other)
        await other.store.write(lambda c: schedules._hold(there, c, *which))
        with pytest.raises(Fatal, match="another process"):
            await schedules._carry_out(app, only(do), *which)
        await schedules.end(app, *which, "not mine to end", well=False)
        assert len(await _flows(app)) == 1
    assert await schedules._carry_out(app, only(do), *which) == "seen 1"
    await schedules.end(app, *which, "done", well=True)
    with pytest.raises(Fatal, match="is over"):
        await schedules._carry_out(app, only(do), *which)


async def test_what_hangs_is_cut_off(here: tuple[App, HandClock]) -> None:
    app, _ = here

    async def hangs(_: App, occasion: datetime) -> None:
        await SystemClock().sleep(3600 if occasion else 0)

    rhythm = FIVE.model_copy(update={"longest_minutes": 0.0001})
    rules = app.rules.schedules.model_copy(update={"schedules": {NAME: rhythm}})
    app = replace(app, rules=replace(app.rules, schedules=rules))
    await schedules.begin_due(app, {NAME: Task("hangs", hangs)})
    (_, args), *_ = await _flows(app)
    with pytest.raises(Fatal, match="cut off"):
        await schedules._carry_out(app, {NAME: Task("hangs", hangs)}, NAME, str(args["occasion"]), 1)


async def test_a_clock_set_back_does_not_put_it_off_for_long(here: tuple[App, HandClock]) -> None:
    (app, clock), do = here, Done()
    await _turn(app, only(do))
    clock.move(-7 * 24 * 3600)
    assert parse((await _now(app, only(do))).next_run) <= clock.now() + timedelta(minutes=5)


async def test_a_new_one_at_a_time_of_day_waits_for_it(here: tuple[App, HandClock]) -> None:
    (app, clock), do = here, Done()
    rules = app.rules.schedules.model_copy(update={"schedules": {NAME: Rhythm(at="06:00")}})
    app = replace(app, rules=replace(app.rules, schedules=rules))
    await _turn(app, only(do))
    assert do.occasions == []
    clock.move(24 * 3600)
    await _turn(app, only(do))
    assert [one.strftime("%H:%M") for one in do.occasions] == ["06:00"]


# ── the worker and the watch ─────────────────────────────────────────────────────────────────────────────
async def test_the_engine_does_it_and_the_worker_notes_its_rounds(
    settings_for: Callable[..., Settings],
) -> None:
    async with open_kernel(settings_for()) as kernel:
        app = alone(kernel)

        async def both() -> bool:
            rows = await schedules.standing(kernel, app.rules.schedules, TIMETABLE)
            return bool(rows[0].last_done) and rows[0].message == "stopped 0"

        async with open_worker(app):
            await _until(both)


async def test_settling_doubt_is_listed_with_its_last_round_and_its_next(
    settings_for: Callable[..., Settings],
) -> None:
    async with open_kernel(settings_for(), clock=Leaping()) as kernel, anyio.create_task_group() as tasks:
        app, found = alone(kernel), dict[str, schedules.Standing]()

        async def listed() -> bool:
            rows = await schedules.standing(kernel, app.rules.schedules, TIMETABLE)
            found.update({one.name: one for one in rows if one.state == "round"})
            return {"reconcile", "inbox", "stops"} <= found.keys()

        tasks.start_soon(Worker(app, Engine()).serve)
        await _until(listed)
        tasks.cancel_scope.cancel()
    doubt = found["reconcile"]
    assert (doubt.rhythm, doubt.late_after_seconds) == ("every 10 s", 300)
    assert parse(doubt.next_run) - parse(doubt.last_done) == timedelta(seconds=10)


async def test_a_flow_that_ended_without_a_word_is_tried_again(here: tuple[App, HandClock]) -> None:
    app, clock = here
    it = Worker(app, Engine("ERROR"))
    await schedules.begin_due(app, TIMETABLE)
    await it.start_flows()
    await it.give_up()
    assert (await _now(app, TIMETABLE)).state == "failed"
    clock.move(60)
    await schedules.begin_due(app, TIMETABLE)
    assert (await _flows(app))[0][0].endswith(":2")


async def test_rounds_are_listed_and_those_that_are_gone_are_not(here: tuple[App, HandClock]) -> None:
    app, clock = here
    first = [schedules.Round("inbox", 0.2, clock.now()), schedules.Round("old", 5.0, clock.now())]
    await schedules.note_rounds(app, first, {"inbox", "old"})
    clock.move(301)
    await schedules.note_rounds(app, [schedules.Round("watch", 10.0, clock.now())], {"inbox", "watch"})
    rounds = (await schedules.standing(app.kernel, app.rules.schedules, TIMETABLE))[len(TIMETABLE) :]
    assert [(one.name, one.rhythm, one.late) for one in rounds] == [
        ("inbox", "every 0.2 s", True),
        ("watch", "every 10 s", False),
    ]


async def test_what_lags_is_told_once_somebody_had_the_time_to_do_it(here: tuple[App, HandClock]) -> None:
    app, clock = here
    it = Worker(app, Engine())
    await schedules.begin_due(app, TIMETABLE)
    clock.move(3600)
    await it._look_for_duty()
    assert await it._late() == ()
    clock.move(16 * 60)
    late = next(one for one in await it._late() if one.name == NAME)
    (alert,) = decide(facts(late=(late,)), RULES)
    assert (alert.name, alert.scope, alert.threshold) == ("schedule", NAME, 15)
