"""Whose address bounced some weeks ago is looked up once more; nobody who asked to be left alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import bounced, forgotten, renewing, stops
from orchestrator.intake import know_as, read_lead
from orchestrator.research import standing_of
from servers.enricher.synthetic import facts
from shared.clock import SystemClock, iso
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, event, lead, run
from shared.suppression import BOUNCED
from tests.orchestrator.world import World, a_run, alone, approved, people, put, rows, world

LONG_AGO, LATELY = timedelta(days=31), timedelta(days=29)
BEFORE_THAT = timedelta(days=33)  # when they were looked up: since then the provider is paid for nobody twice


def findable(count: int, now: datetime) -> list[Lead]:
    """People of whom the emulated provider knows an address, looked up a little before it bounced."""
    known = [
        one for one in people(200) if (facts({"LinkedIn URL": one.linkedin_url}) or {}).get("Work Email")
    ]
    return [replace(one, enriched_at=now - BEFORE_THAT) for one in known[:count]]


async def has_bounced(kernel: Kernel, leads: Sequence[Lead], ago: timedelta = LONG_AGO, **more: str) -> None:
    """Stored, in no run at work, told of, and on the list."""
    app, at = alone(kernel), iso(kernel.clock.now() - ago)
    run_id = await a_run(app, leads)
    await put(app, sa.update(run).where(run.c.id == run_id).values(state="finished"))
    for one in leads:
        told = {"type": "bounced", "bounce": "hard", **more}
        values = {"id": f"v:{one.id}{ago}", "vendor": "v", "lead_id": one.id, "received_at": at, **told}
        await put(app, sa.insert(event).values(**values))
        await kernel.suppression.add(one.email, reason=BOUNCED, source="v")


async def chosen(kernel: Kernel, most: int = 50) -> list[str]:
    found = await kernel.store.read(lambda c: bounced.bounced_in(alone(kernel), c, kernel.clock.now(), most))
    return list(found)


async def now_of(kernel: Kernel, one: Lead) -> Lead:
    found = await kernel.store.read(lambda c: read_lead(c, one.id))
    assert found is not None
    return found


async def test_another_address_takes_the_place_of_the_one_that_bounced_once(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = findable(1, it.kernel.clock.now())
        await has_bounced(it.kernel, [one])
        (before,) = await rows(it.app, sa.select(lead))
        assert await renewing.work(it.app) == {"asked": 0, "bounced": 1, "moved": 1}
        after = await now_of(it.kernel, one)
        assert after.email not in {"", one.email}
        assert after.email.endswith(f"@{one.company_domain}")
        assert after.email_verdict not in {"", "unknown"}
        assert (after.title, after.company) == (one.title, one.company)
        refused = await it.kernel.suppression.refused([one.email, after.email])
        assert refused == {one.email: "suppressed"}, "the old address stays on the list"
        (row,) = await rows(it.app, sa.select(lead))
        assert row.updated_at == before.updated_at, "nobody is kept longer for being looked up"
        assert await renewing.work(it.app) == {"asked": 0}
        (charged,) = await it.wrote("clay", "charge")
        assert one.email not in str(await it.witness.log("clay")), (
            "nobody is asked about an address that bounced"
        )
        assert charged
        now = it.kernel.clock.now()
        found = await it.kernel.store.read(lambda c: standing_of(it.app, c, {one.id: after}, now))
        assert found[one.id].bounced, "a person looks at them first"


async def test_whom_nobody_knows_another_address_of_is_asked_for_once(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        now = it.kernel.clock.now()
        unknown = next(
            one
            for one in people(200)
            if (facts({"LinkedIn URL": one.linkedin_url}) or {"Work Email": 1})["Work Email"] is None
        )
        unknown = replace(unknown, enriched_at=now - BEFORE_THAT)
        await has_bounced(it.kernel, [unknown])
        assert await renewing.work(it.app) == {"asked": 0, "bounced": 1, "moved": 0}
        assert await now_of(it.kernel, unknown) == unknown
        assert await renewing.work(it.app) == {"asked": 0}


async def test_an_address_that_is_somebody_elses_or_on_the_list_is_not_taken(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        taken, listed, same = findable(3, it.kernel.clock.now())
        there = {one.id: str((facts(_inputs(one)) or {})["Work Email"]) for one in (taken, listed, same)}
        same = replace(same, email=there[same.id])
        await has_bounced(it.kernel, [taken, listed, same])
        (other,) = people(1, 300)
        await has_bounced(it.kernel, [replace(other, email=there[taken.id])], ago=timedelta())
        await it.kernel.suppression.add(there[listed.id], reason="asked", source="test")
        assert await renewing.work(it.app) == {"asked": 0, "bounced": 3, "moved": 0}
        for one in (taken, listed, same):
            assert (await now_of(it.kernel, one)).email == one.email


def _inputs(one: Lead) -> dict[str, str]:
    return {
        "LinkedIn URL": one.linkedin_url, "Full Name": one.name,
        "Company Name": one.company, "Company Domain": one.company_domain,
    }  # fmt: skip


async def _suppressed(it: World, one: Lead) -> None:
    await stops.suppress(it.kernel, one.email, reason="unsubscribed", source="link")


async def _company(it: World, one: Lead) -> None:
    await stops.suppress(it.kernel, one.company_domain, reason="asked", source="test")


async def _held(it: World, one: Lead) -> None:
    await it.kernel.store.write(lambda c: it.kernel.suppression.hold_in(c, one.email, source="reply"))


async def _elsewhere(it: World, one: Lead) -> None:
    """At an address that they went by before."""
    other = f"old.{one.email}"
    await it.kernel.store.write(lambda c: know_as(c, one.id, [f"email:{other}"]))
    await it.kernel.suppression.add(other, reason="unsubscribed", source="link")


async def _erased(it: World, one: Lead) -> None:
    profile = one.linkedin_url.removeprefix("https://www.")
    await it.kernel.store.write(lambda c: forgotten.remember_in(it.kernel, c, [], [profile]))


async def _stopped_otherwise(it: World, one: Lead) -> None:
    await _in_a_campaign(it, one, "asked")


async def _in_a_campaign(it: World, one: Lead, reason: str) -> None:
    (reading,) = people(1, 400)
    _, campaign_id = await approved(it.app, [reading])
    values = {"campaign_id": campaign_id, "lead_id": one.id, "email": one.email, "state": "stopped"}
    await put(it.app, sa.insert(campaign_lead).values(reason=reason, **values))


async def _at_work(it: World, one: Lead) -> None:
    await a_run(it.app, [one])


async def _lifted(it: World, one: Lead) -> None:
    assert await it.kernel.suppression.lift(one.email, actor="Ada", reason="it works again")


async def _no_profile(it: World, one: Lead) -> None:
    await put(it.app, sa.update(lead).where(lead.c.id == one.id).values(linkedin_url=""))


async def _looked_up_since(it: World, one: Lead) -> None:
    at = iso(it.kernel.clock.now() - LATELY)
    await put(it.app, sa.update(lead).where(lead.c.id == one.id).values(looked_up_at=at))


SPEAKS_AGAINST_IT = (
    *(_suppressed, _company, _held, _elsewhere, _erased, _stopped_otherwise, _at_work, _lifted, _no_profile),
    _looked_up_since,
)


@pytest.mark.requirement("I4", "U8")
@pytest.mark.parametrize("change", SPEAKS_AGAINST_IT)
async def test_nobody_is_asked_for_whom_it_must_not_be(
    tmp_path: Path, change: Callable[[World, Lead], object]
) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = findable(1, it.kernel.clock.now())
        await has_bounced(it.kernel, [one])
        assert await chosen(it.kernel) == [one.id]
        await change(it, one)  # type: ignore[misc]  # each is a coroutine function
        assert await chosen(it.kernel) == []


@pytest.mark.parametrize(
    ("ago", "more"),
    [
        (LATELY, {}),
        (LONG_AGO, {"bounce": "soft"}),
        (LONG_AGO, {"bounce": "unknown"}),
        (LONG_AGO, {"type": "sent"}),
    ],
)
async def test_only_what_bounced_for_good_and_long_enough_ago(
    tmp_path: Path, ago: timedelta, more: dict[str, str]
) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        await has_bounced(it.kernel, findable(1, it.kernel.clock.now()), ago, **more)
        assert await chosen(it.kernel) == []


@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
async def test_few_at_a_time_and_whose_campaign_the_bounce_ended(live_kernel: Kernel) -> None:
    now = live_kernel.clock.now()
    leads = [
        replace(one, enriched_at=now - BEFORE_THAT - timedelta(days=n))
        for n, one in enumerate(findable(4, now))
    ]
    await has_bounced(live_kernel, leads, type="replied")
    await live_kernel.suppression.add(leads[3].email, reason="asked", source="test")
    assert await chosen(live_kernel) == [leads[n].id for n in (2, 1, 0)]
    assert await chosen(live_kernel, 2) == [leads[n].id for n in (2, 1)]


async def test_a_bounce_is_no_reason_to_think_of_them_as_stopped(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = findable(1, it.kernel.clock.now())
        await has_bounced(it.kernel, [one])
        await _in_a_campaign(it, one, BOUNCED)
        assert await chosen(it.kernel) == [one.id]


@pytest.mark.requirement("I4", "U8")
async def test_who_opts_out_while_they_are_looked_up_gets_no_other_address(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = findable(1, it.kernel.clock.now())
        await has_bounced(it.kernel, [one])
        leads = await it.kernel.store.read(lambda c: bounced.bounced_in(it.app, c, it.kernel.clock.now(), 1))
        asked = await bounced._ask(it.app, leads)
        found = await bounced.answers(it.app, asked.references)
        await _suppressed(it, one)
        assert await it.kernel.store.write(lambda c: bounced._keep(it.app, c, found, set())) == 0
        assert (await now_of(it.kernel, one)).email == one.email


async def test_what_a_look_up_cost_is_paid_once_though_its_process_died_before_it_was_kept(
    tmp_path: Path,
) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (one,) = findable(1, it.kernel.clock.now())
        await has_bounced(it.kernel, [one])
        leads = await it.kernel.store.read(lambda c: bounced.bounced_in(it.app, c, it.kernel.clock.now(), 1))
        await bounced._ask(it.app, leads)
        assert await bounced.work(it.app, 5) == {"bounced": 1, "moved": 1}
        assert len(await it.wrote("clay", "charge")) == 1
