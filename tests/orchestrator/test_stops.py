"""Stopping a person: here at once, at every vendor until confirmed, and never behind somebody's back."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import crm, enrolment, outreach, settled, stopping, stops
from orchestrator.app import App
from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead, stop
from shared.schema import effect, reached
from tests.orchestrator.world import (
    World,
    alone,
    approved,
    launched,
    people,
    planned,
    put,
    rows,
    states,
    the,
    world,
)

FIRST = "person1@corp1.com"


async def _stops(app: App) -> list[Any]:
    return await rows(app, sa.select(stop).order_by(stop.c.at))


async def _open(app: App, email: str = FIRST, *, anew: bool = False) -> None:
    now = app.kernel.clock.now()
    await app.kernel.store.write(lambda c: stops.open_in(c, email, "asked", now, anew=anew))


async def _confirmed(app: App) -> None:
    await put(app, sa.update(stop).values(state="confirmed", confirmed_at=iso(app.kernel.clock.now())))


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────
async def test_suppressing_somebody_takes_them_out_of_every_campaign_here_at_once(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    assert await stops.suppress(live_kernel, FIRST, reason="asked", source="test")
    assert await states(app, campaign_id) == [("stopped", "asked"), ("drafted", "")]
    assert [(row.kind, row.target, row.state) for row in await _stops(app)] == [("person", FIRST, "open")]


@pytest.mark.requirement("U1")
async def test_however_the_address_is_spelled_its_owner_is_stopped(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    await stops.suppress(live_kernel, "  Person1+News@CORP1.com ", reason="asked", source="test")
    assert await states(app, campaign_id) == [("stopped", "asked")]
    assert FIRST in {row.target for row in await _stops(app)}


async def test_suppressing_a_domain_stops_everybody_who_is_written_to_there(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    await stops.suppress(live_kernel, "corp1.com", reason="asked", source="test")
    assert await states(app, campaign_id) == [("stopped", "asked"), ("drafted", "")]
    assert sorted((row.kind, row.target) for row in await _stops(app)) == [
        ("domain", "corp1.com"),
        ("person", FIRST),
    ]


async def test_a_stop_that_was_confirmed_is_opened_again_for_a_new_opt_out(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await stops.suppress(live_kernel, FIRST, reason="asked", source="test")
    await _confirmed(app)
    await live_kernel.suppression.lift(FIRST, actor="Ann Admin", reason="consented")
    await stops.suppress(live_kernel, FIRST, reason="asked again", source="test")
    assert [(row.state, row.reason) for row in await _stops(app)] == [("open", "asked again")]


async def test_a_stop_that_was_confirmed_is_opened_again_when_they_are_in_a_campaign_again(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    await _open(app)
    await _confirmed(app)
    await planned(app, people(1))
    await _open(app)
    assert [row.state for row in await _stops(app)] == ["open"]


async def test_the_same_opt_out_told_again_does_not_bother_the_vendors_again(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await stops.suppress(live_kernel, FIRST, reason="asked", source="test")
    await _confirmed(app)
    await stops.suppress(live_kernel, FIRST, reason="asked", source="test")
    assert [row.state for row in await _stops(app)] == ["confirmed"]


async def test_an_opt_out_told_again_much_later_goes_to_the_vendors_again(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _open(app)
    await _confirmed(app)
    await put(app, sa.update(stop).values(at=iso(live_kernel.clock.now() - timedelta(hours=2))))
    await _open(app)
    assert [row.state for row in await _stops(app)] == ["open"]


async def test_a_halted_sequence_suppresses_nobody(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    now = live_kernel.clock.now()
    await live_kernel.store.write(lambda c: stops.halt_in(c, FIRST, "replied", now))
    assert await states(app, campaign_id) == [("stopped", "replied")]
    assert await live_kernel.suppression.find(FIRST) is None


async def test_a_second_answer_halts_the_second_campaign_too(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    now = live_kernel.clock.now()
    await live_kernel.store.write(lambda c: stops.halt_in(c, FIRST, "replied", now))
    await _confirmed(app)
    _, (second,) = await planned(app, people(1))
    await live_kernel.store.write(lambda c: stops.halt_in(c, FIRST, "replied", now))
    assert await states(app, second) == [("stopped", "replied")]
    assert [(row.kind, row.state) for row in await _stops(app)] == [("sequence", "open")]


async def test_what_was_only_simulated_is_not_touched_by_a_stop(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    await put(app, sa.update(campaign_lead).values(state="simulated"))
    await _open(app)
    assert await states(app, campaign_id) == [("simulated", "")]


# ── carrying it out ──────────────────────────────────────────────────────────────────────────────────────
async def _live(it: World) -> str:
    _, campaign_id = await approved(it.app, people(2))
    assert await launched(it.app, campaign_id) == "live"
    return campaign_id


@pytest.mark.requirement("F15")
async def test_a_stop_reaches_sequencer_block_list_and_crm(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _open(it.app)
        assert await stopping.work(it.app) == 0
        assert [row.state for row in await _stops(it.app)] == ["confirmed"]
        status = await it.app.suite.sequencer.get_lead_status(email=FIRST)
        assert not status.found
        contact = (await it.app.suite.crm.get_contact(email=FIRST)).contacts[0]
        assert "dnc" in contact.tags


@pytest.mark.requirement("K5", "U11")
async def test_stopping_goes_on_while_everything_is_killed(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await it.kernel.switches.kill(actor="test", reason="stop")
        await _open(it.app)
        assert await stopping.work(it.app) == 0


@pytest.mark.requirement("D5")
async def test_a_stop_that_a_vendor_does_not_confirm_stays_open_and_is_tried_ever_more_seldom(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await it.break_things("instantly", {"kind": "status", "status": 503, "times": -1})
        await _open(it.app)
        pauses = []
        for _ in range(3):
            assert await stopping.work(it.app) == 1
            (row,) = await _stops(it.app)
            pauses.append(row.due_at > iso(it.clock.now()))
            assert await stopping.work(it.app) == 0  # not due yet
            it.clock.ahead += timedelta(minutes=10)  # type: ignore[attr-defined]  # a leaping clock
        assert pauses == [True, True, True]
        assert row.attempts == 3
        await it.break_things("instantly")
        assert await stopping.work(it.app) == 0
        assert [row.state for row in await _stops(it.app)] == ["confirmed"]


async def test_stops_that_are_refused_again_and_again_let_a_new_one_pass(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    old = [{"id": f"s{n}", "target": f"x{n}@corp.com", "attempts": 5, "at": "2020"} for n in range(60)]
    await put(app, sa.insert(stop).values([{"kind": "person", "reason": "asked", **one} for one in old]))
    await _open(app)
    now = iso(live_kernel.clock.now())
    due = await live_kernel.store.read(lambda c: stopping._due(c, now))
    assert due[0].target == FIRST


async def test_what_safe_mode_only_simulated_is_done_once_it_is_over(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await put(it.app, sa.delete(reached))  # as if what is there had been put there by somebody else
        await it.kernel.switches.engage_safe_mode(actor="test", reason="careful")
        await _open(it.app)
        assert await stopping.work(it.app) == 0
        assert [row.state for row in await _stops(it.app)] == ["simulated"]
        await it.kernel.switches.leave_safe_mode(actor="test", reason="over")
        assert await stopping.work(it.app) == 0
        assert [row.state for row in await _stops(it.app)] == ["confirmed"]
        assert not (await it.app.suite.sequencer.get_lead_status(email=FIRST)).found


async def test_a_stop_asked_for_anew_while_it_is_carried_out_is_carried_out_anew(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _open(it.app)
        (row,) = await _stops(it.app)
        await _open(it.app, anew=True)
        assert not await stopping._carry_out(it.app, row)
        assert [one.state for one in await _stops(it.app)] == ["open"]


async def test_a_removal_does_not_count_while_an_addition_is_on_its_way(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _open(it.app)
        await put(it.app, sa.update(effect).where(effect.c.target == FIRST).values(status="claimed"))
        assert await stopping.work(it.app) == 1
        assert [row.state for row in await _stops(it.app)] == ["open"]


@pytest.mark.requirement("F15")
async def test_somebody_added_behind_the_back_of_a_halt_is_taken_out_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        (start,) = (await outreach.begin(it.app, campaign_id, 1))["starts"]
        await crm.write_crm(it.app, campaign_id, start)
        await outreach.create(it.app, campaign_id)
        now = it.kernel.clock.now()
        await it.kernel.store.write(lambda c: stops.halt_in(c, FIRST, "replied", now))
        assert await stopping.work(it.app) == 0
        # The launch had read the person as drafted before the halt, and adds them after it.
        await put(it.app, sa.update(campaign_lead).values(state="drafted"))
        await enrolment.enrol(it.app, campaign_id, start)
        await put(it.app, sa.update(campaign_lead).values(state="stopped"))
        assert (await it.app.suite.sequencer.get_lead_status(email=FIRST)).found
        assert (await settled.follow_ledger(it.app))["stops"] == 1
        assert await stopping.work(it.app) == 0
        assert not (await it.app.suite.sequencer.get_lead_status(email=FIRST)).found


async def test_a_domain_is_block_listed_at_the_vendor(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await stops.suppress(it.kernel, "corp9.com", reason="asked", source="test")
        assert await stopping.work(it.app) == 0
        assert await it.wrote("instantly", "block") == ["corp9.com"]
        assert (await the_kinds(it.app)) == ["domain"]


async def the_kinds(app: App) -> list[str]:
    return [row.kind for row in await _stops(app)]


async def test_a_stopped_person_is_not_added_when_the_launch_is_taken_up_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        run_id, campaign_id = await approved(it.app, people(2))
        await outreach.stall(it.app, campaign_id, "away")
        await stops.suppress(it.kernel, FIRST, reason="asked", source="test")
        await outreach.again(it.app, run_id)
        assert await launched(it.app, campaign_id) == "live"
        assert await it.wrote("instantly", "add_lead") == ["person2@corp2.com"]
        assert (await the(it.app, campaign_id)).state == "live"


@pytest.mark.parametrize(
    "addition", [{"status": "in_doubt"}, {"status": "applied", "settled_at": "2999-01-01T00:00:00+00:00"}]
)
async def test_a_removal_does_not_count_if_an_addition_may_have_come_after_it(
    tmp_path: Path, addition: dict[str, str]
) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _open(it.app)
        added = (effect.c.target == FIRST, effect.c.action == stops.ADDING)
        await put(it.app, sa.update(effect).where(*added).values(**addition))
        assert await stopping.work(it.app) == 1
        assert [row.state for row in await _stops(it.app)] == ["open"]
