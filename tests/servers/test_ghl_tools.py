"""GoHighLevel's tools against the emulator over HTTP; all traffic is checked against the contract."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from shared.effect import Outcome
from shared.errors import Conflict, Fatal, Invalid, SwarmError
from shared.ports import BatchOutcome, ContactPage, ContactRecord
from tests.servers.ghl_world import FOLDER, JANE, Bench


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the vendor's contract is not beside the checkout")
async def test_every_tool_of_the_journey_keeps_to_the_contract(bench: Bench) -> None:
    await bench.call("check_setup")
    await bench.call("upsert_contacts", contacts=[JANE])
    await bench.call("upsert_contacts", contacts=[ContactRecord(JANE.email, icp_score=90, tags=("replied",))])
    await bench.call("create_opportunity", contact_id="", email=JANE.email, name="Corp", value_usd=5)
    await bench.call("move_opportunity", contact_id="", email=JANE.email, stage="Replied")
    await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    await bench.call("list_dnc")
    await bench.call("list_pipelines")
    methods = {(exchange.method, exchange.path.split("/")[1]) for exchange in bench.recorder.exchanges}
    assert {
        ("POST", "contacts"),
        ("PUT", "contacts"),
        ("PUT", "opportunities"),
        ("GET", "locations"),
    } <= methods


# ── create, update, upsert ───────────────────────────────────────────────────────────────────────────────
async def test_a_new_contact_takes_one_request_with_fields_by_id_and_tags(bench: Bench) -> None:
    outcome: Outcome = await bench.call("upsert_contact", contact=JANE)
    assert (outcome.status, outcome.detail["created"], outcome.detail["discarded"]) == ("applied", True, [])
    [write] = await bench.committed()
    assert (write["action"], write["target"]) == ("create_contact", "jane@corp.example")
    seen = await bench.contact(contact_id=outcome.reference)
    assert (seen.first_name, seen.company, seen.tags) == ("Jane", "Corp", ("alpha-swarm", "tier_1"))
    assert seen.custom_fields == {"title": "CRO", "icp_score": "87", "enriched_at": "2026-11-20"}


async def test_the_same_content_twice_is_one_write(bench: Bench) -> None:
    first = await bench.call("upsert_contact", contact=JANE)
    second = await bench.call("upsert_contact", contact=JANE)
    assert (first.status, second.status, first.reference) == ("applied", "replayed", second.reference)
    assert len(await bench.committed()) == 1


async def test_changed_content_updates_only_what_differs_and_says_what_was_there(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    changed = ContactRecord(JANE.email, title="CEO", icp_score=87, tags=("Replied",))
    outcome = await bench.call("upsert_contact", contact=changed)
    assert (outcome.detail["before"], outcome.detail["after"]) == ({"title": "CRO"}, {"title": "CEO"})
    [update] = await bench.committed("update_contact")
    assert [item["fieldValue"] for item in update["detail"]["body"]["customFields"]] == ["CEO"]
    seen = await bench.contact(email=JANE.email)
    assert (seen.last_name, seen.tags) == ("Doe", ("alpha-swarm", "replied", "tier_1"))


async def test_an_update_never_carries_tags_or_the_company(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    await bench.call("upsert_contact", contact=ContactRecord(JANE.email, company="Other", phone="+15550100"))
    assert [w["detail"]["body"] for w in await bench.committed("update_contact")] == [{"phone": "+15550100"}]


async def test_create_adopts_the_contact_that_is_there_and_leaves_it(bench: Bench) -> None:
    first = await bench.call("create_contact", contact=JANE)
    second = await bench.call("create_contact", contact=ContactRecord(JANE.email, title="Other"))
    assert (second.status, second.reference, second.detail) == (
        "applied",
        first.reference,
        {"created": False},
    )
    assert len(await bench.committed()) == 1


async def test_where_duplicates_are_allowed_it_looks_first(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True)
    first = await bench.call("create_contact", contact=JANE)
    second = await bench.call("upsert_contact", contact=ContactRecord(JANE.email, title="CEO"))
    assert second.reference == first.reference
    assert len(await bench.committed("create_contact")) == 1


async def test_without_leave_to_read_the_settings_it_looks_first(bench: Bench) -> None:
    await bench.faults(
        {"kind": "status", "status": 401, "method": "GET", "path": "/locations/[^/]+$", "times": 1}
    )
    bench.strange.add(401)
    await bench.call("create_contact", contact=JANE)
    assert any(exchange.path == "/contacts/search/duplicate" for exchange in bench.recorder.exchanges)


async def test_update_refuses_a_contact_with_another_address(bench: Bench) -> None:
    made = await bench.call("create_contact", contact=JANE)
    other = ContactRecord("someone@else.example", title="CEO")
    outcome = await bench.call("update_contact", contact_id=made.reference, contact=other)
    assert (outcome.status, outcome.reason) == ("failed", "other_contact")


async def test_a_field_that_the_location_lacks_is_named(bench: Bench) -> None:
    await bench.call("check_setup")
    terms = await bench.ghl.location.terms()
    fewer = {name: field for name, field in terms.fields.items() if name != "title"}
    bench.ghl.location._terms = replace(terms, fields=fewer)
    outcome = await bench.call("upsert_contact", contact=JANE)
    assert outcome.detail["discarded"] == ["title"]


async def test_no_address_is_a_validation_error(bench: Bench) -> None:
    with pytest.raises(Invalid) as caught:
        await bench.call("create_contact", contact=ContactRecord("nobody"))
    assert caught.value.field == "email"


async def test_many_contacts_have_one_outcome_each_in_order(bench: Bench) -> None:
    records = [ContactRecord(f"p{n}@corp.example") for n in range(20)] + [ContactRecord("nobody")]
    batch: BatchOutcome = await bench.call("upsert_contacts", contacts=records)
    assert batch.counts == {"applied": 20, "failed": 1}
    seen = await bench.contact(contact_id=batch.outcomes[7].reference)
    assert seen.email == "p7@corp.example"


async def test_the_same_address_twice_in_a_batch_makes_one_contact(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True)
    records = [JANE, ContactRecord("JANE@corp.example", title="CEO"), JANE]
    batch: BatchOutcome = await bench.call("upsert_contacts", contacts=records)
    assert len({outcome.reference for outcome in batch.outcomes}) == 1
    assert len(await bench.committed("create_contact")) == 1


# ── lost answers ─────────────────────────────────────────────────────────────────────────────────────────
LOST = ["drop_after", "error_after", "truncate", "error_body"]


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.requirement("F1")
async def test_a_create_whose_answer_is_lost_is_in_doubt_and_found_on_the_next_try(
    bench: Bench, kind: str
) -> None:
    await bench.faults({"kind": kind, "method": "POST", "path": "/contacts/$"})
    first = await bench.call("upsert_contact", contact=JANE)
    second = await bench.call("upsert_contact", contact=JANE)
    assert (first.status, second.status) == ("in_doubt", "replayed")
    assert len(await bench.committed("create_contact")) == 1


@pytest.mark.requirement("F2")
async def test_a_create_that_never_arrived_is_made_on_the_next_try(bench: Bench) -> None:
    await bench.faults({"kind": "drop_before", "method": "POST", "path": "/contacts/$"})
    first = await bench.call("upsert_contact", contact=JANE)
    second = await bench.call("upsert_contact", contact=JANE)
    assert (first.status, second.status) == ("in_doubt", "applied")
    assert len(await bench.committed("create_contact")) == 1


async def test_a_create_answered_422_is_in_doubt(bench: Bench) -> None:
    outcome = await bench.call("create_contact", contact=ContactRecord(JANE.email, phone="none"))
    assert (outcome.status, outcome.reason) == ("in_doubt", "unprocessable")


async def test_a_429_on_a_create_is_tried_again(bench: Bench) -> None:
    await bench.faults(
        {"kind": "status", "status": 429, "retry_after": "1", "method": "POST", "path": "/contacts/$"}
    )
    outcome = await bench.call("upsert_contact", contact=JANE)
    assert outcome.status == "applied"
    assert len(await bench.committed()) == 1


@pytest.mark.parametrize("kind", LOST)
async def test_an_opportunity_whose_answer_is_lost_is_not_made_twice(bench: Bench, kind: str) -> None:
    await bench.call("upsert_contact", contact=JANE)
    arguments = {"contact_id": "", "email": JANE.email, "name": "Corp"}
    await bench.faults({"kind": kind, "method": "POST", "path": "/opportunities/$"})
    first = await bench.call("create_opportunity", **arguments)
    second = await bench.call("create_opportunity", **arguments)
    assert (first.status, second.status) == ("in_doubt", "replayed")
    assert len(await bench.committed("create_opportunity")) == 1


# ── tags and do not contact ──────────────────────────────────────────────────────────────────────────────
async def test_tags_are_added_and_removed_and_others_stay(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    arguments = {"contact_id": made.reference, "email": JANE.email}
    outcome = await bench.call("tag_contact", **arguments, add=["Contacted"], remove=["TIER_1"])
    assert outcome.detail == {"tags_added": ["contacted"], "tags_removed": ["tier_1"]}
    assert (await bench.contact(email=JANE.email)).tags == ("alpha-swarm", "contacted")


async def test_a_tag_can_be_added_removed_and_added_again(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    for change in ({"add": ["hot"]}, {"remove": ["hot"]}, {"add": ["hot"]}):
        assert (
            await bench.call("tag_contact", contact_id="", email=JANE.email, **change)
        ).status == "applied"
    assert "hot" in (await bench.contact(email=JANE.email)).tags


async def test_a_tag_that_is_there_already_is_no_write(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    outcome = await bench.call("tag_contact", contact_id="", email=JANE.email, add=["TIER_1"])
    assert (outcome.status, outcome.reason) == ("replayed", "already")
    assert len(await bench.committed()) == 1


async def test_the_do_not_contact_tag_cannot_be_removed(bench: Bench) -> None:
    with pytest.raises(Invalid):
        await bench.call("tag_contact", contact_id="x", email=JANE.email, remove=["DNC"])


async def test_a_tag_goes_to_no_contact_of_another_address(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    outcome = await bench.call("tag_contact", contact_id=made.reference, email="x@y.example", add=["hot"])
    assert (outcome.status, outcome.reason) == ("failed", "other_contact")


async def test_do_not_contact_sets_tag_and_email_and_leaves_the_other_channels(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    headers = {"Authorization": "Bearer x", "Version": "v3"}
    async with httpx.AsyncClient(headers=headers) as http:
        body = {"dndSettings": {"sms": {"status": "permanent", "code": "30003"}}}
        await http.put(f"{bench.url}/contacts/{made.reference}", json=body)
    outcome = await bench.call("set_dnc", email="JANE@corp.example", reason="unsubscribed")
    assert (outcome.status, outcome.detail["marked"]) == ("applied", [made.reference])
    raw = await bench.ghl.api.get_contact(made.reference)
    assert raw["dndSettings"]["sms"] == {"status": "permanent", "code": "30003"}
    assert raw["dndSettings"]["email"]["status"] == "active"
    assert "dnc" in raw["tags"]


async def test_do_not_contact_reaches_every_contact_of_the_address(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True, search_lag=0)
    async with httpx.AsyncClient(headers={"Authorization": "Bearer x", "Version": "v3"}) as http:
        for _ in range(2):
            await http.post(
                f"{bench.url}/contacts/", json={"locationId": "sandbox-location", "email": "j@c.example"}
            )
    outcome = await bench.call("set_dnc", email="j@c.example", reason="complained")
    assert len(outcome.detail["marked"]) == 2


async def test_do_not_contact_is_set_again_after_somebody_lifted_it(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    assert (await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")).reason == "already"
    async with httpx.AsyncClient(headers={"Authorization": "Bearer x", "Version": "v3"}) as http:
        await http.put(f"{bench.url}/contacts/{made.reference}", json={"dndSettings": {}, "tags": []})
    outcome = await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    assert outcome.status == "applied"
    assert (await bench.contact(email=JANE.email)).dnd_email


async def test_do_not_contact_of_nobody_is_done(bench: Bench) -> None:
    outcome = await bench.call("set_dnc", email="nobody@corp.example", reason="unsubscribed")
    assert (outcome.status, outcome.detail["absent"]) == ("applied", True)


async def test_do_not_contact_works_under_the_kill_switch(opened: Callable[..., Any]) -> None:
    bench = await opened(KILL_SWITCH="true")
    async with httpx.AsyncClient(headers={"Authorization": "Bearer x", "Version": "v3"}) as http:
        await http.post(f"{bench.url}/contacts/", json={"locationId": "l", "email": "j@c.example"})
    assert (await bench.call("upsert_contact", contact=JANE)).reason == "kill_switch"
    assert (await bench.call("set_dnc", email="j@c.example", reason="unsubscribed")).status == "applied"


async def test_do_not_contact_survives_an_error_after_it_was_done(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    await bench.faults({"kind": "error_after", "method": "PUT", "path": "/contacts/"})
    assert (await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")).status == "applied"


async def test_the_list_of_do_not_contact_pages_with_a_cursor(bench: Bench) -> None:
    for n in range(3):
        await bench.call("upsert_contact", contact=ContactRecord(f"p{n}@corp.example"))
        await bench.call("set_dnc", email=f"p{n}@corp.example", reason="unsubscribed")
    await bench.clock.sleep(5)
    first: ContactPage = await bench.call("list_dnc", limit=2)
    second: ContactPage = await bench.call("list_dnc", limit=2, cursor=first.next_cursor)
    assert (len(first.contacts), first.omitted, len(second.contacts), second.next_cursor) == (2, 1, 1, "")
    assert {c.email for page in (first, second) for c in page.contacts} == {
        f"p{n}@corp.example" for n in range(3)
    }


# ── opportunities ────────────────────────────────────────────────────────────────────────────────────────
async def test_an_opportunity_is_made_once_and_then_adopted(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    who = {"contact_id": made.reference, "email": JANE.email}
    first = await bench.call("create_opportunity", **who, name="Corp", stage="contacted", value_usd=100)
    second = await bench.call("create_opportunity", **who, name="Corp again")
    assert (first.status, second.status, first.reference) == ("applied", "replayed", second.reference)
    [write] = await bench.committed("create_opportunity")
    assert (write["target"], write["detail"]["body"]["monetaryValue"]) == ("jane@corp.example", 100)


async def test_an_opportunity_somebody_else_made_is_adopted(bench: Bench) -> None:
    made = await bench.call("upsert_contact", contact=JANE)
    body = {
        "locationId": "l",
        "pipelineId": "sandboxPipeline00001",
        "name": "By hand",
        "status": "open",
        "contactId": made.reference,
    }
    async with httpx.AsyncClient(headers={"Authorization": "Bearer x", "Version": "v3"}) as http:
        theirs = (await http.post(f"{bench.url}/opportunities/", json=body)).json()["opportunity"]["id"]
    outcome = await bench.call("create_opportunity", contact_id=made.reference, email=JANE.email, name="Corp")
    assert (outcome.status, outcome.reference, outcome.detail["created"]) == ("applied", theirs, False)


async def test_an_opportunity_moves_by_stage_name_forth_and_back(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    who = {"contact_id": "", "email": JANE.email}
    await bench.call("create_opportunity", **who, name="Corp")
    for stage in ("Replied", "New", "replied"):
        assert (await bench.call("move_opportunity", **who, stage=stage)).status == "applied"
    assert (await bench.call("move_opportunity", **who, stage="Replied")).reason == "already"
    assert len(await bench.committed("update_opportunity")) == 3


@pytest.mark.parametrize(("stage", "status"), [("Qualified", "open"), ("New", "won"), ("New", "lost")])
async def test_forward_only_leaves_what_stands_further_on_or_is_closed(
    bench: Bench, stage: str, status: str
) -> None:
    await bench.call("upsert_contact", contact=JANE)
    who = {"contact_id": "", "email": JANE.email}
    made = await bench.call("create_opportunity", **who, name="Corp", stage=stage)
    await bench.raw("PUT", f"/opportunities/{made.reference}", {"status": status})
    outcome = await bench.call("move_opportunity", **who, stage="Replied", only_forward=True)
    assert (outcome.status, outcome.reason) == ("replayed", "already")
    assert (await bench.call("move_opportunity", **who, stage="Replied")).status == "applied"


async def test_an_unknown_stage_is_a_validation_error(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    with pytest.raises(Invalid) as caught:
        await bench.call("move_opportunity", contact_id="", email=JANE.email, stage="Nowhere")
    assert caught.value.field == "stage"


async def test_without_an_opportunity_a_move_may_be_tried_later(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE)
    outcome = await bench.call("move_opportunity", contact_id="", email=JANE.email, stage="Replied")
    assert (outcome.status, outcome.reason) == ("failed", "retry_later")


async def test_another_content_under_the_same_key_is_a_conflict(bench: Bench) -> None:
    await bench.call("upsert_contact", contact=JANE, idempotency_key="k")
    with pytest.raises(Conflict):
        await bench.call(
            "upsert_contact", contact=ContactRecord(JANE.email, title="CEO"), idempotency_key="k"
        )


# ── reading, safety, setup ───────────────────────────────────────────────────────────────────────────────
async def test_nobody_is_an_empty_page(bench: Bench) -> None:
    assert (await bench.call("get_contact", email="no@corp.example")) == ContactPage(())
    assert (await bench.call("get_contact", contact_id="nobody")) == ContactPage(())


async def test_contacts_are_found_by_tag_and_text_once_search_has_caught_up(bench: Bench) -> None:
    await bench.call("upsert_contacts", contacts=[JANE, ContactRecord("bob@corp.example", first_name="Bob")])
    assert (await bench.call("find_contacts", tag="tier_1")).contacts == ()
    await bench.clock.sleep(5)
    assert [c.email for c in (await bench.call("find_contacts", tag="Tier_1")).contacts] == [
        "jane@corp.example"
    ]
    assert [c.email for c in (await bench.call("find_contacts", query="bob")).contacts] == [
        "bob@corp.example"
    ]


async def test_a_forged_cursor_is_a_validation_error(bench: Bench) -> None:
    with pytest.raises(Invalid) as caught:
        await bench.call("find_contacts", cursor="!!")
    assert caught.value.field == "cursor"


@pytest.mark.requirement("X8", "F20")
async def test_an_id_cannot_leave_its_place_in_the_path(bench: Bench) -> None:
    with pytest.raises(Invalid):
        await bench.call("get_contact", contact_id="../locations/x")
    assert bench.recorder.exchanges == []


async def test_in_safe_mode_nothing_is_written(opened: Callable[..., Any]) -> None:
    bench = await opened(SAFE_MODE="true")
    who = {"contact_id": "", "email": JANE.email}
    outcomes = [
        await bench.call("create_contact", contact=JANE),
        await bench.call("update_contact", contact_id="x", contact=JANE),
        await bench.call("upsert_contact", contact=JANE),
        *(await bench.call("upsert_contacts", contacts=[ContactRecord("p@corp.example")])).outcomes,
        await bench.call("tag_contact", **who, add=["hot"]),
        await bench.call("create_opportunity", **who, name="Corp"),
        await bench.call("move_opportunity", **who, stage="Replied"),
        await bench.call("set_dnc", email=JANE.email, reason="unsubscribed"),
    ]
    assert {outcome.status for outcome in outcomes} == {"simulated"}
    assert await bench.committed() == []


async def test_a_setup_that_is_complete_is_said_to_be(bench: Bench) -> None:
    checks = await bench.call("check_setup")
    names = {"location", "custom_fields", "pipeline", "tags", "replies", "webhooks"}
    assert {check.name for check in checks} == names
    assert all(check.ok for check in checks)


async def test_a_missing_scope_is_told_and_hides_no_other_check(bench: Bench) -> None:
    await bench.location(id="another")
    bench.strange.add(403)
    checks = {check.name: check for check in await bench.call("check_setup")}
    assert not checks["pipeline"].ok
    assert "another location" in checks["pipeline"].message
    assert checks["webhooks"].ok


async def test_a_missing_pipeline_is_for_a_person(bench: Bench) -> None:
    bench.ghl.location._options = bench.ghl.options.model_copy(update={"pipeline": "Gone"})
    with pytest.raises(Fatal) as caught:
        await bench.call("move_opportunity", contact_id="", email=JANE.email, stage="New")
    assert caught.value.code == "no_pipeline"


@pytest.mark.requirement("F4", "D6")
async def test_an_error_in_the_body_of_a_success_is_not_taken_for_nobody(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True)
    await bench.faults({"kind": "error_body", "path": "/search/duplicate", "times": -1})
    outcome = await bench.call("upsert_contact", contact=JANE)
    assert (outcome.status, outcome.reason) == ("failed", "unreadable")
    with pytest.raises(SwarmError):
        await bench.call("get_contact", email=JANE.email)
    assert await bench.committed() == []
