"""A plan as an account executive meets it: in plain words, with a yes, a no, a change, and nothing for anybody else."""

import re

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from orchestrator import artefacts, plans
from orchestrator.app import App
from shared.pipeline_schema import campaign, run
from tests.orchestrator.phases import LINE, drafted, planned, ready
from tests.orchestrator.world import people, put, rows, run_state, say_yes, the
from tests.web.conftest import LogIn


def content_of(page: str) -> str:
    found = re.search(r'name="content" value="([0-9a-f]{64})"', page)
    assert found is not None
    return found[1]


async def test_a_plan_says_in_plain_words_what_would_follow(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, [*people(3), *people(1, 4, country="DE", location="Berlin, Germany")])
    ae = await log_in("ae")
    text = (await ae.get(f"/campaigns/plans/{run_id}")).text
    for words in (
        "Plan: 3 people in 1 campaign<",
        "4 people are worth writing to",
        "1 are held and would get nothing",
        "people written into the CRM",
        "campaigns started: from then on the vendor sends by itself",
        "1 held: DE asks for prior consent",
        "First the words: 1 campaign waits",
        "Event followup, tier 3",
    ):
        assert words in text, words
    assert "Nothing was done that the plan" not in text


async def test_the_queue_shows_plans_beside_words(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, people(2))
    text = (await (await log_in("ae")).get("/reviews")).text
    assert f"/campaigns/plans/{run_id}" in text
    assert "1 campaign waits" in text


async def test_an_ae_approves_what_was_shown_and_has_it_carried_out(app: App, log_in: LogIn) -> None:
    run_id, (campaign_id,) = await planned(app, people(2))
    ae = await log_in("ae")
    path = f"/campaigns/plans/{run_id}"
    shown = (await ae.get(path)).text
    assert re.search(r'id="approve"\s+disabled', shown)
    early = await ae.post(f"{path}/approve", {"version": 1, "content": content_of(shown)})
    assert early.status_code == 400
    assert "ecide on the words first" in early.text
    await say_yes(app, campaign_id)
    shown = (await ae.get(path)).text
    assert not re.search(r'id="approve"\s+disabled', shown)
    answer = await ae.post(f"{path}/approve", {"version": 1, "content": content_of(shown)})
    assert answer.headers["location"] == f"{path}?said=plan_approved"
    plan = await plans.plan_of(app.kernel, run_id)
    assert (plan.state, plan.decided_by) == ("approved", "ae@corp.com")
    assert 'id="implement"' in (await ae.get(path)).text
    asked = await ae.post(f"{path}/implement")
    assert asked.headers["location"] == f"{path}?said=implementing"
    assert (await the(app, campaign_id)).cleared == 1
    kept = await artefacts.get(app.kernel, run_id, "implement")
    assert kept.made_by == "ae@corp.com"
    assert "What came of it" in (await ae.get(path)).text


async def test_what_changed_since_it_was_shown_is_not_approved(app: App, log_in: LogIn) -> None:
    run_id, (campaign_id,) = await planned(app, people(2))
    ae = await log_in("ae")
    await say_yes(app, campaign_id)
    answer = await ae.post(f"/campaigns/plans/{run_id}/approve", {"version": 1, "content": "0" * 64})
    assert answer.status_code == 409
    assert f'href="/campaigns/plans/{run_id}"' in answer.text
    assert (await plans.plan_of(app.kernel, run_id)).state == "pending_review"


async def test_a_line_is_changed_with_a_reason_and_shown_as_a_new_version(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, people(2))
    ae = await log_in("ae")
    path = f"/campaigns/plans/{run_id}"
    fields = {"version": 1, "line": LINE, "depth": "deep", "daily_limit": "10", "reason": "we know them well"}
    answer = await ae.post(f"{path}/edit", fields)
    assert answer.headers["location"] == f"{path}?said=plan_edited"
    assert "being written" in (await ae.get(path)).text or "drafting" in (await ae.get(path)).text
    await drafted(app, run_id)
    text = (await ae.get(path)).text
    assert "version 2" in text
    assert "depth deep" in text
    assert "we know them well" in text
    old = (await ae.get(f"{path}?version=1")).text
    assert "This is an older version" in old
    assert 'id="approve"' not in old


@pytest.mark.parametrize(
    "fields",
    [
        {"depth": "bottomless"},
        {"sequence": "hourly"},
        {"daily_limit": "5000"},
        {"daily_limit": "many"},
        {"start": "03:00"},
        {"start": "09:99"},
        {"end": "9:30"},
        {"hypothesis": "x" * 501},
        {"reason": ""},
        {"line": "nobody"},
    ],
)
async def test_a_change_that_makes_no_sense_is_refused_and_changes_nothing(
    app: App, log_in: LogIn, fields: dict[str, str]
) -> None:
    run_id, (campaign_id,) = await planned(app, people(1))
    ae = await log_in("ae")
    given = {"version": 1, "line": LINE, "reason": "because", **fields}
    answer = await ae.post(f"/campaigns/plans/{run_id}/edit", given)
    assert answer.status_code in {400, 404}
    assert (await the(app, campaign_id)).state == "pending_review"
    assert (await plans.plan_of(app.kernel, run_id)).version == 1


async def test_a_rejected_plan_says_why(app: App, log_in: LogIn) -> None:
    run_id, (campaign_id,) = await planned(app, people(1))
    ae = await log_in("ae")
    path = f"/campaigns/plans/{run_id}"
    await ae.post(f"{path}/reject", {"version": 1, "reason": "<b>not</b> this quarter"})
    assert (await the(app, campaign_id)).state == "rejected"
    assert await run_state(app, run_id) == "finished"
    text = (await ae.get(path)).text
    assert "&lt;b&gt;not&lt;/b&gt; this quarter" in text


CHANGES = ("approve", "reject", "edit", "implement")


@pytest.mark.parametrize("change", CHANGES)
async def test_a_viewer_changes_nothing_of_a_plan(app: App, log_in: LogIn, change: str) -> None:
    run_id, (campaign_id,) = await ready(app, people(1))
    viewer = await log_in("viewer")
    text = (await viewer.get(f"/campaigns/plans/{run_id}")).text
    assert "<form" not in text.split('<main id="main">')[1]
    before = (await rows(app, sa.select(campaign)), await plans.plan_of(app.kernel, run_id))
    answer = await viewer.post(
        f"/campaigns/plans/{run_id}/{change}", {"version": 1, "line": LINE, "reason": "x"}
    )
    assert answer.status_code == 403
    assert (await rows(app, sa.select(campaign)), await plans.plan_of(app.kernel, run_id)) == before
    assert (await the(app, campaign_id)).cleared == 0


@pytest.mark.parametrize("page", ["", "/effects", "/findings"])
async def test_nobody_sees_a_plan_without_logging_in(
    app: App, web: Starlette, anybody: object, log_in: LogIn, page: str
) -> None:
    run_id, _ = await planned(app, people(1))
    answer = await anybody.get(f"/campaigns/plans/{run_id}{page}")  # type: ignore[attr-defined]  # a client
    assert (answer.status_code, "/login" in answer.headers["location"]) == (303, True)
    assert (await (await log_in("viewer")).get(f"/campaigns/plans/{run_id}{page}")).status_code == 200
    assert (await (await log_in("ae")).get(f"/campaigns/plans/nobody{page}")).status_code == 404


async def test_each_effect_is_listed_a_page_at_a_time(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, people(20))
    ae = await log_in("ae")
    first = (await ae.get(f"/campaigns/plans/{run_id}/effects")).text
    second = (await ae.get(f"/campaigns/plans/{run_id}/effects?page=2")).text
    assert "102 effects that would follow" in first
    assert (first.count("<tr>"), second.count("<tr>")) == (51, 51)
    assert "person1@corp1.com" in first


async def test_findings_are_shown_tier_by_tier_and_escaped(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, people(2, title="Director <script>alert(1)</script>"))
    text = (await (await log_in("ae")).get(f"/campaigns/plans/{run_id}/findings")).text
    assert "Tier 3: 2 people" in text
    assert "&lt;script&gt;" in text
    assert "<script>alert" not in text


async def test_a_run_that_launches_on_approval_says_so_and_asks_nothing(app: App, log_in: LogIn) -> None:
    run_id, _ = await planned(app, people(1), asked="run")
    await put(app, sa.update(run).where(run.c.id == run_id).values(launches="on_approval"))
    text = (await (await log_in("ae")).get(f"/campaigns/plans/{run_id}")).text
    assert "each campaign is launched as soon as its words are approved" in text
    assert 'id="approve"' not in text
