"""The location's setup: what is missing is made or named with its steps, nothing that exists is changed."""

from collections.abc import Callable
from typing import Any

import pytest

from servers.ghl.readiness import KINDS, TAGS
from shared.effect import Outcome
from shared.ports import BatchOutcome, Check
from tests.servers.ghl_world import Bench

KINDS_OF_THING = ("fields", "pipelines", "tags")


async def empty(bench: Bench) -> None:
    for what in KINDS_OF_THING:
        await bench.act("forget", what=what)


async def ensure(bench: Bench) -> BatchOutcome:
    found: BatchOutcome = await bench.call("ensure_setup")
    return found


def about(batch: BatchOutcome, word: str) -> Outcome:
    [one] = [outcome for outcome in batch.outcomes if word in outcome.message]
    return one


async def test_an_empty_location_gets_fields_tags_and_pipeline_and_is_then_complete(bench: Bench) -> None:
    await empty(bench)
    batch = await ensure(bench)
    assert batch.counts == {"applied": len(KINDS) + len(TAGS) + 1}
    fields = {w["target"]: w["detail"]["data_type"] for w in await bench.committed("create_custom_field")}
    assert fields == KINDS
    [pipeline] = await bench.committed("create_pipeline")
    assert pipeline["detail"]["stages"] == list(bench.ghl.options.stages)
    checks: tuple[Check, ...] = await bench.call("check_setup")
    assert [check.name for check in checks if not check.ok] == []


async def test_a_complete_location_is_left_alone(bench: Bench) -> None:
    await bench.call("ensure_setup")
    before = len(await bench.committed())
    assert (await ensure(bench)).outcomes == ()
    assert len(await bench.committed()) == before


async def test_what_was_made_serves_at_once(bench: Bench) -> None:
    await empty(bench)
    await bench.call("ensure_setup")
    outcome = await bench.upsert()
    assert outcome.detail["discarded"] == []
    made = await bench.call(
        "create_opportunity", contact_id=outcome.reference, email="jane@corp.example", name="x"
    )
    assert made.status == "applied"


@pytest.mark.parametrize(
    ("scope", "what", "steps"),
    [
        ("pipelines.create", "pipeline Alpha Swarm Pipeline", "Opportunities → Pipelines → Create Pipeline"),
        ("locations/customFields.write", "custom field icp_score", "type NUMERICAL, name “Icp Score”"),
        ("locations/tags.write", "tag meeting_booked", "Settings → Tags → New Tag “meeting_booked”"),
    ],
)
async def test_without_the_scope_a_person_is_told_the_exact_steps(
    bench: Bench, scope: str, what: str, steps: str
) -> None:
    await empty(bench)
    bench.strange.add(401)  # the transcribed page of pipelines declares no errors
    await bench.act("set_location", missing_scopes=[scope])
    outcome = about(await ensure(bench), what)
    assert (outcome.status, outcome.reason) == ("failed", "missing_scope")
    assert steps in outcome.message


@pytest.mark.parametrize("scope", ["locations/tags.readonly", "opportunities.readonly"])
async def test_what_can_not_even_be_read_hides_nothing_else(bench: Bench, scope: str) -> None:
    await empty(bench)
    await bench.act("set_location", missing_scopes=[scope])
    batch = await ensure(bench)
    assert len([o for o in batch.outcomes if o.status == "applied"]) >= len(KINDS)
    assert [o.reason for o in batch.outcomes if o.status == "failed"] == ["missing_scope"]
    checks = {check.name: check for check in await bench.call("check_setup")}
    assert "lacks a scope" in checks["tags" if "tags" in scope else "pipeline"].message
    assert checks["custom_fields"].ok


async def test_a_pipeline_that_lacks_a_stage_is_a_persons_to_mend(bench: Bench) -> None:
    await bench.act("forget", what="pipelines")
    body = {
        "locationId": "l",
        "name": "alpha swarm PIPELINE",
        "stages": [{"name": "New"}, {"name": "Closed"}],
    }
    await bench.raw("POST", "/opportunities/pipelines", body)
    outcome = about(await ensure(bench), "pipeline")
    assert (outcome.status, outcome.reason) == ("failed", "by_hand")
    assert "Contacted, Replied, Meeting Booked, Qualified" in outcome.message
    assert {e.method for e in bench.asked(path="/opportunities/pipelines")} == {"GET"}


async def test_allowed_duplicates_are_a_persons_to_switch_off(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True)
    outcome = about(await ensure(bench), "location")
    assert (outcome.status, outcome.reason) == ("failed", "by_hand")
    checks = {check.name: check for check in await bench.call("check_setup")}
    assert "switch off “Allow Duplicate Contact”" in checks["location"].message


async def test_a_field_of_the_wrong_type_is_a_persons_to_mend(bench: Bench) -> None:
    await bench.act("forget", what="fields")
    await bench.raw(
        "POST", "/locations/l/customFields", {"name": "ICP Score", "dataType": "TEXT", "model": "contact"}
    )
    outcome = about(await ensure(bench), "field icp_score")
    assert (outcome.status, outcome.reason) == ("failed", "by_hand")


@pytest.mark.requirement("F1", "D1")
@pytest.mark.parametrize("kind", ["drop_after", "error_after", "truncate"])
@pytest.mark.parametrize("path", ["/customFields$", "/tags$", "/opportunities/pipelines$"])
async def test_a_lost_answer_makes_nothing_twice(bench: Bench, kind: str, path: str) -> None:
    await empty(bench)
    await bench.faults({"kind": kind, "method": "POST", "path": path})
    first = await ensure(bench)
    assert first.counts["in_doubt"] == 1
    await ensure(bench)
    for action in ("create_custom_field", "create_tag", "create_pipeline"):
        made = [write["target"] for write in await bench.committed(action)]
        assert len(made) == len(set(made))


async def test_what_a_person_deleted_is_made_again(bench: Bench) -> None:
    await empty(bench)
    await ensure(bench)
    await bench.act("forget", what="pipelines")
    assert about(await ensure(bench), "pipeline").status == "applied"
    assert len(await bench.committed("create_pipeline")) == 2


async def test_in_safe_mode_it_says_what_would_be_made(opened: Callable[..., Any]) -> None:
    bench = await opened(SAFE_MODE="true")
    await empty(bench)
    batch = await ensure(bench)
    assert set(batch.counts) == {"simulated"}
    assert about(batch, "pipeline Alpha").message.endswith("would be created")
    assert await bench.committed() == []
