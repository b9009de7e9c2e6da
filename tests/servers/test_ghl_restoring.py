"""Putting back what was changed: only what still stands as we left it; nothing deleted, no opt-out lifted."""

from typing import Any

import pytest

from shared.effect import Outcome
from shared.errors import Invalid
from shared.ports import ContactRecord, FieldChange
from tests.servers.ghl_world import Bench

EMAIL = "jane@corp.example"


async def changed(bench: Bench, **before: Any) -> tuple[str, Outcome]:
    """Somebody who was there, and what we changed of them."""
    there = await bench.somebody(EMAIL, **{"firstName": "J.", "tags": ["old"], **before})
    outcome = await bench.upsert()
    assert outcome.status == "applied"
    return there, outcome


async def restore(bench: Bench, there: str, outcome: Outcome, undoes: str = "k1") -> Outcome:
    before, after = outcome.detail["before"], outcome.detail["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    changes = [FieldChange(name, str(before[name]), str(after[name])) for name in after]
    done: Outcome = await bench.call(
        "restore_contact",
        contact_id=there,
        email=EMAIL,
        changes=changes,
        tags=outcome.detail["tags_added"],
        undoes=undoes,
    )
    return done


async def test_every_write_says_what_stood_there_and_what_stands_there_now(bench: Bench) -> None:
    _, outcome = await changed(bench)
    assert outcome.detail["before"] == {
        "first_name": "J.",
        "last_name": "",
        "title": "",
        "icp_score": "",
        "enriched_at": "",
    }
    assert outcome.detail["after"] == {
        "first_name": "Jane",
        "last_name": "Doe",
        "title": "CRO",
        "icp_score": "87",
        "enriched_at": "2026-11-20",
    }
    assert outcome.detail["tags_added"] == ["alpha-swarm", "tier_1"]


async def test_every_field_and_tag_goes_back(bench: Bench) -> None:
    there, outcome = await changed(bench)
    done = await restore(bench, there, outcome)
    assert (done.status, done.detail["not_restored"], done.detail["kept"]) == ("applied", [], [])
    seen = await bench.contact(contact_id=there)
    assert (seen.first_name, seen.last_name, seen.tags) == ("J.", "", ("old",))
    assert {name: value for name, value in seen.custom_fields.items() if value} == {}


async def test_what_somebody_changed_since_stays_and_is_named(bench: Bench) -> None:
    there, outcome = await changed(bench)
    await bench.act("edit", email=EMAIL, fields={"firstName": "Janet"}, custom={"title": "CEO"})
    done = await restore(bench, there, outcome)
    assert (done.status, done.detail["kept"]) == ("applied", ["first_name", "title"])
    seen = await bench.contact(contact_id=there)
    assert (seen.first_name, seen.last_name, seen.custom_fields["title"]) == ("Janet", "", "CEO")


async def test_restoring_twice_changes_nothing_more(bench: Bench) -> None:
    there, outcome = await changed(bench)
    await restore(bench, there, outcome)
    before = len(await bench.committed())
    assert (await restore(bench, there, outcome)).reason == "already"
    await bench.act("edit", email=EMAIL, fields={"lastName": "Doe"})
    await restore(bench, there, outcome)
    assert len(await bench.committed()) == before


async def test_where_everything_was_changed_since_nothing_is_written(bench: Bench) -> None:
    there, outcome = await changed(bench)
    fields = {"firstName": "A", "lastName": "B"}
    await bench.act(
        "edit",
        email=EMAIL,
        fields=fields,
        custom={"title": "x", "icp_score": "1", "enriched_at": "2020-01-01"},
    )
    await bench.raw("DELETE", f"/contacts/{there}/tags", {"tags": ["alpha-swarm", "tier_1"]})
    done = await restore(bench, there, outcome)
    assert (done.status, done.reason, len(done.detail["kept"])) == ("replayed", "changed_since", 5)  # type: ignore[arg-type]


@pytest.mark.requirement("U4")
async def test_a_do_not_contact_mark_is_never_taken_off(bench: Bench) -> None:
    there = await bench.somebody(EMAIL)
    await bench.call("set_dnc", email=EMAIL, reason="unsubscribed")
    await bench.call("restore_contact", contact_id=there, email=EMAIL, tags=["dnc"], undoes="k1")
    seen = await bench.contact(contact_id=there)
    assert (seen.tags, seen.channels["email"]) == (("dnc",), "active")


async def test_a_field_that_the_vendor_does_not_take_back_is_named(bench: Bench) -> None:
    there, outcome = await changed(bench)
    await bench.act("forget", what="fields")
    bench.ghl.location.forget()
    done = await restore(bench, there, outcome)
    assert set(done.detail["kept"]) == {"title", "icp_score", "enriched_at"}  # type: ignore[arg-type]


async def test_a_contact_of_another_address_is_not_touched(bench: Bench) -> None:
    there, _ = await changed(bench)
    with pytest.raises(Invalid):
        await bench.call(
            "restore_contact", contact_id=there, email="bob@corp.example", tags=["old"], undoes="k"
        )


@pytest.mark.requirement("F1")
@pytest.mark.parametrize("kind", ["drop_after", "error_after", "truncate"])
async def test_a_lost_answer_is_looked_up(bench: Bench, kind: str) -> None:
    there, outcome = await changed(bench)
    await bench.faults({"kind": kind, "method": "PUT", "path": "/contacts/"})
    first = await restore(bench, there, outcome)
    second = await restore(bench, there, outcome)
    assert first.status in {"applied", "in_doubt"}
    assert second.status in {"applied", "replayed"}
    assert (await bench.contact(contact_id=there)).first_name == "J."


# ── stages ───────────────────────────────────────────────────────────────────────────────────────────────
async def moved(bench: Bench) -> tuple[str, dict[str, str]]:
    await bench.upsert(ContactRecord(EMAIL))
    made = await bench.call("create_opportunity", contact_id="", email=EMAIL, name="Corp")
    outcome = await bench.call("move_opportunity", contact_id="", email=EMAIL, stage="Replied")
    return made.reference, {"was": outcome.detail["before"]["stage"], "now": outcome.detail["after"]["stage"]}


async def test_a_stage_goes_back(bench: Bench) -> None:
    opportunity, stages = await moved(bench)
    done = await bench.call("restore_stage", opportunity_id=opportunity, email=EMAIL, **stages, undoes="k")
    again = await bench.call("restore_stage", opportunity_id=opportunity, email=EMAIL, **stages, undoes="k")
    assert (done.status, again.reason) == ("applied", "already")
    assert (await bench.ghl.api.get_opportunity(opportunity))["pipelineStageId"] == stages["was"]


async def test_an_opportunity_that_was_moved_since_stays(bench: Bench) -> None:
    opportunity, stages = await moved(bench)
    await bench.act("move", email=EMAIL, stage="Closed")
    done = await bench.call("restore_stage", opportunity_id=opportunity, email=EMAIL, **stages, undoes="k")
    assert (done.status, done.reason) == ("replayed", "changed_since")
    assert len(await bench.committed("update_opportunity")) == 1
