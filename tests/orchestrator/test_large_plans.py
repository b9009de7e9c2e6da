"""What a plan says of the day's caps and of what is new here, and its report: counted without holding everybody."""

from collections import Counter
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from orchestrator import implementing, outreach, plans, runs, telling, traced
from orchestrator.app import App
from orchestrator.crowds import Crowds
from orchestrator.dossier import queue
from orchestrator.following import follow_launch
from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import campaign
from shared.schema import effect
from shared.sending_rules import Caps
from shared.telemetry import correlated
from tests.orchestrator.phases import asked_for, planned, ready
from tests.orchestrator.world import alone, launched, people, put, say_yes, world

LONG = 20.0


def crowds(*addresses: str, **caps: object) -> list[str]:
    limits = Caps.model_validate({"sending": ["instantly.add_lead"], **caps})
    made = Crowds(limits, ["gmail.com"])
    for address in addresses:
        made.add(address)
    return list(made.told())


def test_a_plan_within_the_days_caps_says_nothing_of_them() -> None:
    assert (
        crowds("a@one.com", "b@two.com", people_per_domain=1, effects_per_day={"instantly.add_lead": 2}) == []
    )
    assert crowds("a@one.com", "b@one.com") == []


def test_companies_with_more_people_than_one_day_allows_are_told_with_the_days() -> None:
    (told,) = crowds(*(f"p{n}@sub.one.com" for n in range(7)), "a@two.com", people_per_domain=3)
    assert told.startswith("one company has more than the 3 people")
    assert "the largest 7: 3 days at least" in told


def test_free_mail_is_no_company_and_what_is_no_address_is_not_counted() -> None:
    assert crowds("a@gmail.com", "b@gmail.com", "nobody", people_per_domain=1) == []


def test_more_people_than_are_added_on_one_day_are_told_with_the_days() -> None:
    everybody = [f"p{n}@c{n}.com" for n in range(5)]
    (told,) = crowds(*everybody, effects_per_day={"instantly.add_lead": 2})
    assert "at most 2 people a day" in told
    assert "3 days at least" in told


async def test_the_plan_says_what_is_new_here_until_somebody_approved_it(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(2))
    new = "new here: 1 segment and 1 template; an operator or admin approves the first campaign of each"
    plan = await plans.plan_of(live_kernel, run_id)
    assert plan.check is not None
    assert new in plan.check.attention
    await say_yes(app, campaign_id)
    second, _ = await planned(app, people(2, 10))
    plan = await plans.plan_of(live_kernel, second)
    assert plan.check is not None
    assert not any(text.startswith("new here") for text in plan.check.attention)


async def test_the_text_of_a_plan_names_the_basis_and_counts_campaigns(live_kernel: Kernel) -> None:
    run_id, _ = await planned(alone(live_kernel), people(2))
    text = telling.plan_text(await plans.plan_of(live_kernel, run_id))
    assert "That rests on configured targets, an assumption" in text
    assert "| 1 pending review |" in text


async def test_the_queue_counts_people_by_campaign(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, [*people(3), *people(2, 4, country="DE", location="Berlin, Germany")])
    await planned(app, people(1, 10, title="Chief Revenue Officer"))
    counted = Counter((one.covered, one.held, one.warnings) for one in await queue(live_kernel))
    assert counted == {(3, 2, 0): 1, (1, 0, 1): 1}


# ── the report ───────────────────────────────────────────────────────────────────────────────────────────
async def test_following_a_launch_leaves_its_report_saved(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        run_id, ids = await ready(it.app, people(3))
        await asked_for(it.app, run_id)
        with correlated((await runs.get(it.kernel, run_id)).correlation_id):
            for campaign_id in ids:
                await launched(it.app, campaign_id)
        assert (await implementing.report(it.kernel, run_id)).state == "running"
        with anyio.fail_after(LONG):
            await follow_launch(it.app, run_id, lambda *_: None)
        assert (await implementing.report(it.kernel, run_id)).state == "done"


async def test_a_report_is_not_saved_while_something_is_being_launched(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await ready(app, people(2))
    await asked_for(app, run_id)
    await implementing.settle_run(app, run_id)
    assert (await implementing.report(live_kernel, run_id)).state == "running"
    await put(app, sa.update(campaign).values(state="stalled"))
    await implementing.settle_run(app, run_id)
    assert (await implementing.report(live_kernel, run_id)).state == "done"


@pytest.mark.parametrize("chunk", [1, 2, 500])
async def test_what_was_done_and_not_listed_is_found_whatever_the_size_of_a_page(
    live_kernel: Kernel, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(3))
    await asked_for(app, run_id)
    monkeypatch.setattr(traced, "CHUNK", chunk)
    trace = (await runs.get(live_kernel, run_id)).correlation_id
    await _done(app, trace, "ghl", "upsert_contact", "person1@corp1.com")
    await _done(app, trace, "instantly", "create_campaign", campaign_id)
    await _done(app, trace, "instantly", "activate_campaign", "vendor-7", campaign=campaign_id)
    await _done(app, trace, "ghl", "upsert_contact", "stranger@corp9.com")
    await _done(app, trace, "instantly", "activate_campaign", "vendor-8", campaign="another")
    await _done(app, "another trace", "ghl", "create_opportunity", "person1@corp1.com")
    made = await implementing.report(live_kernel, run_id)
    ended = {one.action: dict(one.ended) for one in made.compared if one.when == "launch"}
    assert ended == {
        "ghl.upsert_contact": {"applied": 1, "not done": 2},
        "ghl.create_opportunity": {"replayed": 1, "not done": 2},
        "instantly.create_campaign": {"applied": 1},
        "instantly.add_lead": {"not done": 3},
        "instantly.activate_campaign": {"applied": 1},
    }
    unlisted = [(one.action, one.target) for one in made.differences if not one.listed]
    assert unlisted == [
        ("ghl.upsert_contact", "stranger@corp9.com"),
        ("instantly.activate_campaign", "another"),
    ]
    assert (made.unlisted, len(made.differences), made.more) == (2, 9, 0)


async def test_a_report_names_the_first_few_differences_and_counts_the_rest(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(12))
    await asked_for(app, run_id)
    await outreach.stall(app, campaign_id, "the vendor was away")
    made = await implementing.report(live_kernel, run_id)
    assert (len(made.differences), made.more) == (
        implementing.MOST_NAMED,
        3 * 12 + 2 - implementing.MOST_NAMED,
    )


async def _done(app: App, trace: str, vendor: str, action: str, target: str, *, campaign: str = "") -> None:
    kernel = app.kernel
    values = {
        "key": f"{vendor}{action}{target}",
        "vendor": vendor,
        "action": action,
        "target": target,
        "campaign": campaign,
        "status": "applied",
        "correlation_id": trace,
        "first_at": iso(kernel.clock.now()),
    }
    await kernel.store.write(lambda c: c.execute(sa.insert(effect).values(**values)))
