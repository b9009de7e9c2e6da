"""Who was looked up too long ago is looked up again: bounded, paid once, and nobody for whom it must not be."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import forgotten, renewing, stops
from orchestrator.intake import read_lead
from orchestrator.renewing import affordable
from shared.clock import SystemClock, iso
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, lead, run
from shared.ports import Budget
from shared.schema import effect
from tests.orchestrator.world import World, a_run, alone, approved, people, put, rows, world

OLD = timedelta(days=46)


def stale(count: int, it: World, start: int = 1, **more: object) -> list[Lead]:
    """People who were looked up too long ago, the later ones longer ago."""
    now = it.kernel.clock.now()
    return [
        replace(one, enriched_at=now - OLD - timedelta(days=n), email_verdict="accept_all", phone="", **more)  # type: ignore[arg-type]  # fields
        for n, one in enumerate(people(count, start))
    ]


async def known(it: World, leads: Sequence[Lead]) -> None:
    """They are stored, and a run with them is over."""
    run_id = await a_run(it.app, leads)
    await put(it.app, sa.update(run).where(run.c.id == run_id).values(state="finished"))


async def looked_up(it: World) -> set[str]:
    """Whom the provider was paid for."""
    return {
        row.target
        for row in await rows(it.app, sa.select(effect.c.target).where(effect.c.status == "applied"))
    }


async def now(it: World, one: Lead) -> Lead:
    found = await it.kernel.store.read(lambda c: read_lead(c, one.id))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("budget", "most"),
    [
        ((-1, 0), 50),
        ((1000, 0), 50),
        ((100, 0), 25),
        ((100, 90), 10),
        ((100, 100), 0),
        ((100, 200), 0),
        ((0, 0), 0),
    ],
)
def test_a_part_of_the_credits_is_for_it_and_no_more_than_are_left(
    budget: tuple[int, int], most: int
) -> None:
    assert affordable(Budget(*budget, "2026-11-28"), 50, 25) == most


async def test_stale_people_are_looked_up_again_once(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        old, fresh, never = (
            stale(1, it)[0],
            replace(people(1, 8)[0], enriched_at=it.kernel.clock.now()),
            people(1, 9)[0],
        )
        await known(it, [old, fresh, never])
        before = (await rows(it.app, sa.select(lead).where(lead.c.id == old.id)))[0]
        assert await renewing.work(it.app) == {"asked": 1, "answered": 1, "renewed": 1}
        assert await looked_up(it) == {old.id}
        after = await now(it, old)
        assert after.enriched_at is not None
        assert old.enriched_at is not None
        assert after.enriched_at > old.enriched_at + OLD
        assert (after.title, after.email) == (old.title, old.email)
        assert await renewing.work(it.app) == {"asked": 0}
        (row,) = await rows(it.app, sa.select(lead).where(lead.c.id == old.id))
        assert row.updated_at == before.updated_at, "nobody is kept longer for being looked up"
        assert len(await it.wrote("clay", "charge")) == 1


async def test_a_few_at_a_time_those_looked_up_longest_ago_first(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        leads = stale(5, it)
        await known(it, leads)
        few = it.kernel.clock.now()
        chosen = await it.kernel.store.read(lambda c: renewing.stale_in(it.app, c, few, 2))
        assert list(chosen) == [leads[4].id, leads[3].id]


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
async def test_whoever_may_be_asked_is_found_page_by_page(
    live_kernel: Kernel,
) -> None:
    app, now = alone(live_kernel), live_kernel.clock.now()
    leads = [replace(one, enriched_at=now - OLD - timedelta(days=n)) for n, one in enumerate(people(5))]
    run_id = await a_run(app, leads)
    await put(app, sa.update(run).where(run.c.id == run_id).values(state="finished"))
    await stops.suppress(live_kernel, leads[3].email, reason="asked", source="test")
    chosen = await live_kernel.store.read(lambda c: renewing.stale_in(app, c, now, 3, at_once=2))
    assert list(chosen) == [leads[4].id, leads[2].id, leads[1].id]


async def test_nobody_is_looked_up_for_whom_it_must_not_be(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        optedout, held, company, erased, stopped, working, reading = stale(7, it)
        erased = replace(erased, email="", email_verdict="")
        await known(it, [optedout, held, company, erased, stopped])
        await stops.suppress(it.kernel, optedout.email, reason="asked", source="test")
        await stops.suppress(it.kernel, company.company_domain, reason="asked", source="test")
        await it.kernel.store.write(lambda c: it.kernel.suppression.hold_in(c, held.email, source="reply"))
        profile = erased.linkedin_url.removeprefix("https://www.")
        await it.kernel.store.write(lambda c: forgotten.remember_in(it.kernel, c, [], [profile]))
        _, ended = await approved(it.app, [reading])
        values = {"campaign_id": ended, "lead_id": stopped.id, "email": stopped.email, "state": "stopped"}
        await put(it.app, sa.insert(campaign_lead).values(**values))
        await a_run(it.app, [working])  # that is at work
        assert await renewing.work(it.app) == {"asked": 0}
        assert await rows(it.app, sa.select(effect)) == []


async def test_whoever_joined_a_campaign_meanwhile_stays_as_they_were_read(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = stale(1, it)
        await known(it, [one])
        asked = await it.kernel.store.read(lambda c: renewing.stale_in(it.app, c, it.kernel.clock.now(), 5))
        assert list(asked) == [one.id]
        await approved(it.app, [one])
        assert (
            await it.kernel.store.read(lambda c: renewing.stale_in(it.app, c, it.kernel.clock.now(), 5)) == {}
        )


async def test_while_everything_stands_still_nobody_is_asked(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await known(it, stale(1, it))
        await it.kernel.switches.kill(actor="test", reason="stop")
        assert await renewing.work(it.app) == {"asked": 0, "stands still": 1}
        assert await it.witness.log("clay") == []


async def test_in_safe_mode_nobody_is_paid_for_and_nothing_changes(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        (one,) = stale(1, it)
        await known(it, [one])
        assert await renewing.work(it.app) == {"asked": 1, "answered": 0, "renewed": 0}
        assert await now(it, one) == one
        assert await it.witness.log("clay") == []


async def test_a_look_up_that_failed_is_not_asked_for_each_day(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = stale(1, it)
        await known(it, [one])
        await it.break_things("clay", {"kind": "status", "status": 400, "method": "POST", "times": 1})
        told = await renewing.work(it.app)
        assert (told["asked"], told["renewed"]) == (1, 0)
        assert await renewing.work(it.app) == {"asked": 0}
        assert (await now(it, one)).enriched_at == one.enriched_at


async def test_when_somebody_was_looked_up_is_known_of_old_records(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = stale(1, it)
        await known(it, [one])
        (row,) = await rows(it.app, sa.select(lead))
        assert one.enriched_at is not None
        assert row.looked_up_at == iso(one.enriched_at)
        assert json.loads(row.data)["enriched_at"]
