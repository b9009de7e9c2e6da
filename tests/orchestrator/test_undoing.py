"""Undoing a run in the CRM: fields, tags and stages go back where nobody touched them; the rest is named."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator import crm, marks, outreach, runs, undoing
from orchestrator.later import Later
from orchestrator.undoing import Undone
from shared.errors import Invalid
from shared.pipeline_schema import campaign_lead
from shared.ports import ContactView
from shared.telemetry import correlated
from tests.orchestrator.world import World, approved, launched, people, put, the, world

FIRST, SECOND = "person1@corp1.com", "person2@corp2.com"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def a_run(here: World, *known: str) -> str:
    """A launched run; the people named were in the CRM before, with a title of their own."""
    for email in known:
        await here.witness.act("ghl", "enter", email=email)
        await here.witness.act(
            "ghl", "edit", email=email, fields={"firstName": "Old"}, custom={"title": "Old title"}
        )
    run_id, campaign_id = await approved(here.app, people(2))
    with correlated((await runs.get(here.kernel, run_id)).correlation_id):
        assert await launched(here.app, campaign_id) == "live"
    return run_id


async def undone(here: World, run_id: str) -> dict[tuple[str, str], Undone]:
    done = await undoing.undo(here.app, run_id, actor="operator@alpha-swarm.example")
    return {(one.action, one.target): one for one in done}


async def contact(here: World, email: str) -> ContactView:
    return (await here.app.suite.crm.get_contact(email=email)).contacts[0]


async def test_somebody_who_was_there_before_is_as_before(here: World) -> None:
    run_id = await a_run(here, FIRST)
    changed = await contact(here, FIRST)
    assert (changed.first_name != "Old", changed.custom_fields["title"] != "Old title") == (True, True)
    done = await undone(here, run_id)
    assert done["upsert_contact", FIRST].status == "restored"
    back = await contact(here, FIRST)
    assert (back.first_name, back.custom_fields["title"], back.tags) == ("Old", "Old title", ())
    assert {name: value for name, value in back.custom_fields.items() if value} == {"title": "Old title"}


async def test_whom_the_run_brought_in_stays_and_is_named(here: World) -> None:
    run_id = await a_run(here, FIRST)
    done = await undone(here, run_id)
    new = done["upsert_contact", SECOND]
    assert (new.status, "delete it in the CRM" in new.message) == ("kept", True)
    assert (await contact(here, SECOND)).first_name
    assert {one.status for (action, _), one in done.items() if action == "create_opportunity"} == {"kept"}
    assert not [
        r for r in await here.witness.requests("ghl") if r["method"] == "DELETE" and "tags" not in r["path"]
    ]


async def test_what_somebody_changed_since_stays_and_is_named(here: World) -> None:
    run_id = await a_run(here, FIRST)
    await here.witness.act("ghl", "edit", email=FIRST, fields={"firstName": "Mine"})
    one = (await undone(here, run_id))["upsert_contact", FIRST]
    assert (one.status, one.kept) == ("restored", ("first_name",))
    assert (await contact(here, FIRST)).first_name == "Mine"


async def test_marks_and_stages_of_the_run_go_back_too(here: World) -> None:
    run_id = await a_run(here, FIRST)
    await put(
        here.app, campaign_lead.update().where(campaign_lead.c.email == FIRST).values(told="replied_due")
    )
    await marks.work(here.app, "replied", Later(here.clock, 1.0, 1.0))
    assert "replied" in (await contact(here, FIRST)).tags
    done = await undone(here, run_id)
    assert done["move_opportunity", FIRST].status == "restored"
    assert done["update_contact", FIRST].status == "restored"
    assert (await contact(here, FIRST)).tags == ()
    moves = [
        e["detail"]["body"]["pipelineStageId"]
        for e in await here.witness.log("ghl")
        if e["action"] == "update_opportunity"
    ]
    assert moves == ["sandbox-stage-2", "sandbox-stage-0"]


async def test_a_second_time_changes_nothing(here: World) -> None:
    run_id = await a_run(here, FIRST)
    await undone(here, run_id)
    before = len(await here.witness.log("ghl"))
    again = await undone(here, run_id)
    assert again["upsert_contact", FIRST].status == "unchanged"
    assert len(await here.witness.log("ghl")) == before


async def test_what_another_run_did_is_left_alone(here: World) -> None:
    await a_run(here, FIRST)
    other = await runs.create(here.kernel, {"stored": True})
    assert await undoing.undo(here.app, other.id, actor="operator@alpha-swarm.example") == []


@pytest.mark.requirement("U4")
async def test_a_do_not_contact_mark_is_never_taken_back(here: World) -> None:
    run_id = await a_run(here)
    with correlated((await runs.get(here.kernel, run_id)).correlation_id):
        await here.app.suite.crm.set_dnc(email=FIRST, reason="unsubscribed")
    done = await undone(here, run_id)
    assert done["set_dnc", FIRST].status == "kept"
    assert (await contact(here, FIRST)).blocked


async def test_a_write_whose_answer_was_lost_is_named_as_such(here: World) -> None:
    await here.break_things(
        "ghl", {"kind": "error_after", "method": "POST", "path": "/contacts/$", "times": -1}
    )
    run_id, campaign_id = await approved(here.app, people(1))
    with correlated((await runs.get(here.kernel, run_id)).correlation_id):
        version = (await the(here.app, campaign_id)).version
        (start,) = (await outreach.begin(here.app, campaign_id, version))["starts"]
        await crm.write_crm(here.app, campaign_id, start)
        await here.break_things("ghl")
        await crm.write_crm(here.app, campaign_id, start)
    done = await undone(here, run_id)
    one = done["upsert_contact", FIRST]
    assert one.status == "kept"
    assert "answer was lost" in one.message


async def test_suppressed_people_are_refused_and_the_others_go_back(here: World) -> None:
    run_id = await a_run(here, FIRST, SECOND)
    await here.kernel.suppression.add(FIRST, reason="asked", source="test")
    done = await undone(here, run_id)
    assert [done["upsert_contact", email].status for email in (FIRST, SECOND)] == ["refused", "restored"]


async def test_in_safe_mode_nothing_is_written(here: World) -> None:
    run_id = await a_run(here, FIRST)
    await here.kernel.switches.engage_safe_mode(actor="test", reason="a rehearsal")
    before = len(await here.witness.log("ghl"))
    assert (await undone(here, run_id))["upsert_contact", FIRST].status == "simulated"
    assert len(await here.witness.log("ghl")) == before


async def test_that_it_was_undone_is_in_the_log(here: World) -> None:
    run_id = await a_run(here, FIRST)
    await undone(here, run_id)
    assert [e["kind"] for e in await here.kernel.audit.tail(50)].count("run.undone") == 1


async def test_a_run_that_there_is_not_is_a_validation_error(here: World) -> None:
    with pytest.raises(Invalid):
        await undoing.undo(here.app, "no-such-run", actor="operator@alpha-swarm.example")
