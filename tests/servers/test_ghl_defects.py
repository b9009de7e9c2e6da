"""What the vendor gets wrong, one test each: the defect is switched on at the emulator, and nothing is corrupted.

The names follow the vendor's fact sheet: contacts (4), errors (6), and what users and client authors report (9).
"""

from typing import Any

import pytest

from shared.errors import Fatal, Invalid, SwarmError
from shared.ports import ContactRecord
from tests.servers.ghl_world import JANE, PIPELINE, Bench

PHONE = "+15550100"


# ── 4: contacts ──────────────────────────────────────────────────────────────────────────────────────────
async def test_the_duplicate_that_a_refusal_names_is_adopted_after_its_address_is_checked(
    bench: Bench,
) -> None:
    there = await bench.somebody("jane@corp.example", firstName="J", phone=PHONE)
    outcome = await bench.upsert()
    assert (outcome.status, outcome.reference, outcome.detail["created"]) == ("applied", there, False)
    assert len(await bench.committed("create_contact")) == 1


async def test_a_refusal_that_names_nobody_is_looked_up(bench: Bench) -> None:
    there = await bench.somebody("jane@corp.example")
    await bench.act("set_location", names_duplicate=False)
    assert (await bench.upsert()).reference == there


@pytest.mark.parametrize("order", [["email", "phone"], ["phone", "email"]])
async def test_address_and_number_of_two_contacts_change_only_the_one_with_the_address(
    bench: Bench, order: list[str]
) -> None:
    await bench.act("set_location", duplicate_order=order)
    other = await bench.somebody("bob@corp.example", phone=PHONE, firstName="Bob")
    there = await bench.somebody("jane@corp.example", firstName="J")
    outcome = await bench.upsert(ContactRecord("jane@corp.example", first_name="Jane", phone=PHONE))
    assert (outcome.status, outcome.reference) == ("applied", there)
    assert (outcome.detail["left_out"], outcome.detail["phone_of"]) == (["phone"], other)
    jane, bob = await bench.contact(contact_id=there), await bench.contact(contact_id=other)
    assert (jane.first_name, jane.phone) == ("Jane", "")
    assert (bob.first_name, bob.email, bob.phone) == ("Bob", "bob@corp.example", PHONE)


async def test_a_number_that_another_contact_has_is_left_out_of_a_new_contact(bench: Bench) -> None:
    other = await bench.somebody("switchboard@corp.example", phone=PHONE)
    outcome = await bench.upsert(ContactRecord("jane@corp.example", phone=PHONE))
    assert (outcome.status, outcome.detail["created"]) == ("applied", True)
    assert (outcome.detail["left_out"], outcome.detail["phone_of"]) == (["phone"], other)
    assert (await bench.contact(email="jane@corp.example")).phone == ""


async def test_where_duplicates_are_allowed_a_number_is_looked_for_before_it_is_written(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True)
    other = await bench.somebody("bob@corp.example", phone=PHONE)
    outcome = await bench.upsert(ContactRecord("jane@corp.example", phone=PHONE))
    assert (outcome.detail["left_out"], outcome.detail["phone_of"]) == (["phone"], other)
    again = await bench.upsert(ContactRecord("jane@corp.example", phone=PHONE, first_name="Jane"))
    assert (again.detail["left_out"], again.detail["after"]) == (["phone"], {"first_name": "Jane"})


@pytest.mark.parametrize("allowed", [True, False])
async def test_an_address_that_is_somebodys_second_one_updates_them_and_keeps_their_own(
    bench: Bench, *, allowed: bool
) -> None:
    await bench.location(allow_duplicate_contact=allowed)
    there = await bench.somebody("jane@home.example")
    await bench.act("add_address", email="jane@home.example", second="jane@corp.example")
    outcome = await bench.upsert()
    assert (outcome.status, outcome.reference, outcome.detail["matched"]) == ("applied", there, "secondary")
    seen = await bench.contact(contact_id=there)
    assert (seen.email, seen.other_emails, seen.first_name) == (
        "jane@home.example",
        ("jane@corp.example",),
        "Jane",
    )
    assert len(await bench.committed("create_contact")) == 1


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_second_address_that_the_vendor_does_not_show_is_written_about_by_nobody(
    bench: Bench, *, allowed: bool
) -> None:
    await bench.location(allow_duplicate_contact=allowed, shows_secondary=False)
    await bench.somebody("jane@home.example")
    await bench.act("add_address", email="jane@home.example", second="jane@corp.example")
    outcome = await bench.upsert()
    assert (outcome.status, outcome.reason) == ("failed", "other_contact")
    assert len(await bench.committed()) == 1


async def test_no_update_ever_sends_an_address(bench: Bench) -> None:
    await bench.somebody("jane@corp.example")
    await bench.upsert()
    await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    assert [e.body for e in bench.asked("PUT", "/contacts/") if "email" in e.body] == []


async def test_tags_travel_in_a_create_and_in_no_update(bench: Bench) -> None:
    await bench.somebody("jane@corp.example", tags=["keep me"])
    await bench.upsert()
    assert [e.body for e in bench.asked("PUT", "/contacts/") if "tags" in e.body] == []
    assert (await bench.contact(email=JANE.email)).tags == ("alpha-swarm", "keep me", "tier_1")


async def test_a_field_we_do_not_know_is_never_blanked(bench: Bench) -> None:
    await bench.upsert(ContactRecord(JANE.email, first_name="Jane", phone=PHONE, title="CRO", icp_score=50))
    await bench.upsert(ContactRecord(JANE.email, last_name="Doe"))
    seen = await bench.contact(email=JANE.email)
    assert (seen.first_name, seen.last_name, seen.phone) == ("Jane", "Doe", PHONE)
    assert seen.custom_fields == {"title": "CRO", "icp_score": "50"}


@pytest.mark.parametrize("name", ["email", "tags", "dnd", "companyName", "assignedTo", "locationId"])
async def test_what_an_update_must_not_carry_is_stopped_before_it_is_sent(bench: Bench, name: str) -> None:
    there, allowed = await bench.somebody("jane@corp.example"), bench.ghl.api.update_contact
    outcome = await bench.write(lambda permit: allowed(permit, there, {name: "x"}))
    assert (outcome.status, outcome.reason, bench.asked("PUT")) == ("failed", "not_allowed", [])


@pytest.mark.parametrize("shown", [True, False])
async def test_a_custom_field_that_is_dropped_without_an_error_is_named(bench: Bench, *, shown: bool) -> None:
    await bench.ghl.location.terms()
    await bench.act("set_location", shows_fields=shown)
    await bench.act("forget", what="fields")
    outcome = await bench.upsert()
    assert outcome.status == "applied"
    assert set(outcome.detail["discarded"]) == {"title", "icp_score", "enriched_at"}


async def test_custom_fields_that_an_answer_does_not_show_are_read_back(bench: Bench) -> None:
    await bench.act("set_location", shows_fields=False)
    first = await bench.upsert()
    second = await bench.upsert(ContactRecord(JANE.email, title="CEO"))
    assert (first.detail["discarded"], second.detail["discarded"]) == ([], [])
    assert (
        len(bench.asked("GET", f"/contacts/{first.reference}")) == 3
    )  # after each write, and before the second


async def test_a_custom_field_is_written_by_its_id_only(bench: Bench) -> None:
    await bench.upsert()
    items = [item for e in bench.asked("POST", "/contacts/") for item in e.body["customFields"]]
    assert items
    assert [sorted(item) for item in items] == [["fieldValue", "id"]] * len(items)


async def test_a_company_is_not_sent_in_an_update_which_the_vendor_refuses(bench: Bench) -> None:
    await bench.somebody("jane@corp.example", companyName="Old Corp")
    outcome = await bench.upsert()
    assert (outcome.status, outcome.detail["left_out"]) == ("applied", ["company"])
    assert [e for e in bench.asked("PUT") if "companyName" in e.body] == []


async def test_tags_are_compared_as_the_vendor_saves_them(bench: Bench) -> None:
    await bench.upsert(ContactRecord(JANE.email, tags=("HOT Lead",)))
    outcome = await bench.call("tag_contact", contact_id="", email=JANE.email, add=["hot lead"])
    assert outcome.reason == "already"


async def test_do_not_disturb_with_every_channel_open_blocks(bench: Bench) -> None:
    await bench.somebody("jane@corp.example")
    await bench.act(
        "set_dnd", email="jane@corp.example", dnd=True, channels={"email": "inactive", "sms": "inactive"}
    )
    assert (await bench.contact(email=JANE.email)).blocked == "crm_dnd"


@pytest.mark.parametrize("status", ["active", "permanent", "something new"])
async def test_a_channel_that_is_not_open_blocks(bench: Bench, status: str) -> None:
    if status == "something new":
        bench.strange.add(200)  # no contract has this word; tomorrow's may
    await bench.somebody("jane@corp.example")
    await bench.act("set_dnd", email="jane@corp.example", dnd=False, channels={"email": status})
    assert (await bench.contact(email=JANE.email)).blocked == "crm_dnd_email"


@pytest.mark.parametrize("merges", [True, False])
async def test_an_unknown_channel_is_kept_and_breaks_nothing(bench: Bench, *, merges: bool) -> None:
    await bench.act("set_location", dnd_merges=merges)
    there = await bench.somebody("jane@corp.example")
    channels = {"RCS": "active", "sms": "permanent"}
    await bench.act("set_dnd", email="jane@corp.example", dnd=False, channels=channels)
    outcome = await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    assert (outcome.status, "reopened" in outcome.detail) == ("applied", False)
    seen = await bench.contact(contact_id=there)
    assert seen.channels == {"rcs": "active", "sms": "permanent", "email": "active"}


async def test_no_write_of_ours_ever_opens_a_channel(bench: Bench) -> None:
    await bench.somebody("jane@corp.example")
    await bench.act("set_dnd", email="jane@corp.example", dnd=True, channels={"email": "permanent"})
    await bench.upsert()
    await bench.call("set_dnc", email=JANE.email, reason="unsubscribed")
    await bench.call("tag_contact", contact_id="", email=JANE.email, add=["hot"])
    seen = await bench.contact(email=JANE.email)
    assert (seen.dnd, seen.channels["email"]) == (True, "permanent")
    assert [e.body for e in bench.asked("PUT") if "dnd" in e.body] == []


async def test_an_opt_out_of_a_second_address_marks_its_contact(bench: Bench) -> None:
    there = await bench.somebody("jane@home.example")
    await bench.act("add_address", email="jane@home.example", second="jane@corp.example")
    outcome = await bench.call("set_dnc", email="jane@corp.example", reason="unsubscribed")
    assert outcome.detail["marked"] == [there]
    assert (await bench.contact(contact_id=there)).blocked


# ── 6: errors ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F1", "D1")
@pytest.mark.parametrize("tool", ["create_contact", "upsert_contact"])
async def test_a_create_that_answers_422_and_made_the_contact_all_the_same_is_not_made_twice(
    bench: Bench, tool: str
) -> None:
    bench.strange.add(422)
    await bench.faults({"kind": "status_after", "status": 422, "method": "POST", "path": "/contacts/$"})
    first = await bench.call(tool, contact=JANE)
    second = await bench.call(tool, contact=JANE)
    assert (first.status, first.reason, second.status) == ("in_doubt", "unprocessable", "replayed")
    assert len(await bench.committed("create_contact")) == 1


SAID = {
    "Invalid token: access token is invalid": "token_expired",
    "version header was not found.": "version_header",
    "version header is invalid": "version_header",
    "The token is not authorized for this scope.": "missing_scope",
    "This route is not yet supported by the IAM Service": "wrong_token_kind",
    "something nobody has seen yet": "credentials",
}


@pytest.mark.parametrize(("message", "code"), SAID.items())
async def test_a_401_is_told_apart_by_what_it_says(bench: Bench, message: str, code: str) -> None:
    bench.strange.add(401)
    await bench.faults({"kind": "status", "status": 401, "message": message, "path": "/contacts/"})
    with pytest.raises(Fatal) as caught:
        await bench.call("get_contact", contact_id="x")
    assert (caught.value.code, len(bench.asked("GET", "/contacts/"))) == (code, 1)
    assert message.casefold() not in caught.value.message.casefold()


async def test_a_401_that_is_about_an_argument_is_the_callers(bench: Bench) -> None:
    bench.strange.add(401)
    said = "locationId can't be undefined"
    await bench.faults({"kind": "status", "status": 401, "message": said, "path": "/contacts/"})
    with pytest.raises(Invalid) as caught:
        await bench.call("get_contact", contact_id="x")
    assert caught.value.code == "missing_argument"


async def test_an_unknown_contact_is_400_and_means_nobody(bench: Bench) -> None:
    assert (await bench.call("get_contact", contact_id="nobody")).contacts == ()
    assert bench.asked("GET", "/contacts/nobody")[0].status == 400


async def test_a_refusal_with_a_list_of_reasons_is_read(bench: Bench) -> None:
    outcome = await bench.upsert(ContactRecord(JANE.email, phone="none"))
    refused = bench.asked("POST", "/contacts/")[0]
    assert (refused.status, isinstance(refused.answer["message"], list)) == (422, True)
    assert (outcome.status, outcome.reason) == ("in_doubt", "unprocessable")


async def test_a_location_that_is_not_the_tokens_is_said_so(bench: Bench) -> None:
    await bench.act("set_location", id="another")
    with pytest.raises(Fatal) as caught:
        await bench.call("find_contacts")
    assert caught.value.code == "wrong_location"


async def test_an_opportunity_that_is_there_already_is_adopted_by_the_id_in_the_refusal(bench: Bench) -> None:
    there = await bench.somebody("jane@corp.example")
    body = {
        "locationId": "l",
        "pipelineId": PIPELINE,
        "name": "By hand",
        "status": "open",
        "contactId": there,
    }
    theirs = (await bench.raw("POST", "/opportunities/", body))["opportunity"]["id"]
    outcome = await bench.call("create_opportunity", contact_id=there, email=JANE.email, name="Corp")
    assert (outcome.status, outcome.reference) == ("applied", theirs)
    assert bench.asked("POST", "/opportunities/")[0].answer["code"] == "OPPORTUNITY_NO_DUPLICATE"


@pytest.mark.requirement("F3")
async def test_a_storm_of_429_without_retry_after_leaves_one_contact_and_one_opportunity(
    bench: Bench,
) -> None:
    storm = {"kind": "status", "status": 429, "method": "POST", "times": 3}
    await bench.faults({**storm, "path": "/contacts/$"}, {**storm, "path": "/opportunities/$"})
    outcomes = []
    for _ in range(3):
        outcomes.append((await bench.upsert()).status)
        await bench.clock.sleep(120)  # a vendor that refuses half of all calls is left alone for a while
    for _ in range(2):
        await bench.call("create_opportunity", contact_id="", email=JANE.email, name="Corp")
        await bench.clock.sleep(120)
    assert outcomes[-1] in {"applied", "replayed"}
    assert (
        len(await bench.committed("create_contact")) == len(await bench.committed("create_opportunity")) == 1
    )


# ── 7 and 9: what users report ───────────────────────────────────────────────────────────────────────────
async def test_a_search_that_is_a_minute_behind_makes_no_second_contact(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True, search_lag=60)
    await bench.upsert()
    again = await bench.upsert(ContactRecord(JANE.email, title="CEO"))
    bench.ghl.location.contacts.put("jane@corp.example", "")
    third = await bench.upsert(ContactRecord(JANE.email, title="CFO"))
    assert again.reference == third.reference
    assert len(await bench.committed("create_contact")) == 1


async def test_a_search_that_is_a_minute_behind_makes_no_second_opportunity(bench: Bench) -> None:
    await bench.location(allow_duplicate_opportunity=True, search_lag=60)
    await bench.upsert()
    for name in ("Corp", "Corp again"):
        await bench.call("create_opportunity", contact_id="", email=JANE.email, name=name)
    assert len(await bench.committed("create_opportunity")) == 1


async def test_search_is_always_asked_with_a_page_limit(bench: Bench) -> None:
    await bench.call("find_contacts", query="jane")
    await bench.call("list_dnc")
    await bench.call("find_duplicates", email=JANE.email, phone=PHONE)
    searches = bench.asked("POST", "/contacts/search")
    assert [e.body["pageLimit"] > 0 for e in searches] == [True] * 4


async def test_marks_are_read_by_id_since_search_does_not_show_them(bench: Bench) -> None:
    there = await bench.somebody("jane@corp.example")
    await bench.act("set_dnd", email="jane@corp.example", dnd=False, channels={"email": "permanent"})
    await bench.clock.sleep(5)
    [row] = (await bench.raw("POST", "/contacts/search", {"locationId": "l", "pageLimit": 5}))["contacts"]
    assert "dndSettings" not in row
    blocked = (await bench.call("list_blocked", contact_ids=[there])).contacts
    assert [(one.id, one.blocked) for one in blocked] == [(there, "crm_dnd_email")]


async def test_a_contact_that_is_gone_counts_as_blocked(bench: Bench) -> None:
    there = await bench.somebody("jane@corp.example")
    await bench.act("delete", email="jane@corp.example")
    [one] = (await bench.call("list_blocked", contact_ids=[there, there])).contacts
    assert (one.id, one.blocked) == (there, "crm_gone")


async def test_a_wildly_low_rate_limit_slows_down_and_loses_nothing(bench: Bench) -> None:
    await bench.act("set_location", calls=5)
    records = [ContactRecord(f"p{n}@corp.example") for n in range(12)]
    for _ in range(6):
        batch = await bench.call("upsert_contacts", contacts=records)
        if batch.counts.keys() <= {"applied", "replayed"}:
            break
        await bench.clock.sleep(120)  # refused so often, the vendor is left alone for a while
    assert {o.status for o in batch.outcomes} <= {"applied", "replayed"}
    assert len(await bench.committed("create_contact")) == 12


async def test_the_vendors_own_upsert_and_every_delete_are_never_called(bench: Bench) -> None:
    await everything(bench)
    paths = [(e.method, e.path) for e in bench.recorder.exchanges]
    assert [p for p in paths if "upsert" in p[1]] == []
    assert [p for p in paths if p[0] == "DELETE" and not p[1].endswith("/tags")] == []


async def test_no_pipeline_is_ever_changed_or_deleted(bench: Bench) -> None:
    await bench.act("forget", what="pipelines")
    await everything(bench)
    touched = {e.method for e in bench.asked(path="/opportunities/pipelines")}
    assert touched == {"GET", "POST"}
    writing = [name for name in dir(bench.ghl.api) if "pipeline" in name]
    assert sorted(writing) == ["create_pipeline", "pipelines"]


async def everything(bench: Bench) -> None:
    """Every tool once, as far as it gets."""
    who: dict[str, Any] = {"contact_id": "", "email": JANE.email}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("ensure_setup", {}),
        ("create_contact", {"contact": JANE}),
        ("upsert_contacts", {"contacts": [JANE, ContactRecord("bob@corp.example", phone=PHONE)]}),
        ("tag_contact", {**who, "add": ["hot"], "remove": ["tier_1"]}),
        ("create_opportunity", {**who, "name": "Corp"}),
        ("move_opportunity", {**who, "stage": "Replied"}),
        ("set_dnc", {"email": JANE.email, "reason": "unsubscribed"}),
        ("check_setup", {}),
    ]
    for tool, arguments in calls:
        try:
            await bench.call(tool, **arguments)
        except SwarmError as error:
            raise AssertionError(f"{tool}: {error.code}") from error
