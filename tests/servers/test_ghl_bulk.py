"""Many at once: a thousand contacts, tags in bulk, failures of single rows, progress, and what it costs in requests."""

from collections.abc import Mapping
from typing import Any

import pytest

from servers.ghl.tagging import Person, judged
from shared.effect import Receipt
from shared.errors import InDoubt, Invalid
from shared.ports import BatchOutcome, ContactRecord
from shared.progress import telling
from tests.servers.ghl_world import JANE, Bench


async def people(bench: Bench, count: int) -> list[Person]:
    return [Person(await bench.somebody(f"p{n}@corp.example"), f"p{n}@corp.example") for n in range(count)]


# ── contacts ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_each_row_fails_by_itself(bench: Bench) -> None:
    await bench.somebody("taken@home.example")
    await bench.act("add_address", email="taken@home.example", second="taken@corp.example")
    await bench.act("set_location", shows_secondary=False)
    await bench.kernel.suppression.add("out@corp.example", reason="unsubscribed", source="test")
    addresses = ["a@corp.example", "nobody", "taken@corp.example", "out@corp.example", "b@corp.example"]
    batch: BatchOutcome = await bench.call("upsert_contacts", contacts=[ContactRecord(a) for a in addresses])
    ended = [(outcome.status, outcome.reason) for outcome in batch.outcomes]
    assert ended == [
        ("applied", ""),
        ("failed", "not_an_address"),
        ("failed", "other_contact"),
        ("refused", "suppressed"),
        ("applied", ""),
    ]
    assert batch.counts == {"applied": 2, "failed": 2, "refused": 1}


async def test_progress_is_told_to_the_end(bench: Bench) -> None:
    told: list[tuple[int, int]] = []

    async def hear(done: int, of: int) -> None:
        told.append((done, of))

    with telling(hear):
        await bench.call("upsert_contacts", contacts=[ContactRecord(f"p{n}@corp.example") for n in range(30)])
    assert (told[-1], len(told)) == ((30, 30), 30)
    assert told == sorted(told)


async def test_two_requests_make_a_new_lead(bench: Bench) -> None:
    leads = 40
    batch = await bench.call(
        "upsert_contacts", contacts=[ContactRecord(f"p{n}@corp.example") for n in range(leads)]
    )
    for n, outcome in enumerate(batch.outcomes):
        await bench.call(
            "create_opportunity", contact_id=outcome.reference, email=f"p{n}@corp.example", name="Corp"
        )
    assert len(await bench.committed("create_opportunity")) == leads
    assert len(bench.recorder.exchanges) / leads <= 2.2


async def test_one_read_before_each_of_them_where_duplicates_are_allowed(bench: Bench) -> None:
    await bench.location(allow_duplicate_contact=True, allow_duplicate_opportunity=True)
    leads = 40
    batch = await bench.call(
        "upsert_contacts", contacts=[ContactRecord(f"p{n}@corp.example") for n in range(leads)]
    )
    for n, outcome in enumerate(batch.outcomes):
        await bench.call(
            "create_opportunity", contact_id=outcome.reference, email=f"p{n}@corp.example", name="Corp"
        )
    assert len(bench.recorder.exchanges) / leads <= 3.2


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────────────
async def test_many_are_tagged_by_one_request(bench: Bench) -> None:
    everybody = await people(bench, 12)
    batch: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["Hot"], remove=["cold"])
    assert batch.counts == {"applied": 12}
    assert {outcome.detail["tags_added"][0] for outcome in batch.outcomes} == {"hot"}
    [asked] = bench.asked("POST", "/contacts/bulk/tags/update/add")
    assert (len(asked.body["contacts"]), asked.body["tags"]) == (12, ["hot"])
    assert bench.asked("POST", "/contacts/bulk/tags/update/remove") == []  # nobody has it


async def test_adding_and_removing_are_both_done_and_repeating_does_nothing(bench: Bench) -> None:
    everybody = await people(bench, 3)
    await bench.call("tag_contacts", people=everybody, add=["cold"])
    await bench.call("tag_contacts", people=everybody, add=["hot"], remove=["cold"])
    assert (await bench.contact(contact_id=everybody[0].contact_id)).tags == ("hot",)
    again: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"], remove=["cold"])
    assert {(outcome.status, outcome.reason) for outcome in again.outcomes} == {("replayed", "already")}


async def test_rows_that_the_vendor_refuses_under_a_201_have_failed(bench: Bench) -> None:
    everybody = await people(bench, 4)
    gone = everybody[2]
    # It is deleted after it was read: the row comes back as an error, the request as a success.
    bench.recorder.then(f"/contacts/{everybody[3].contact_id}", lambda: bench.act("delete", email=gone.email))
    batch: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"])
    [asked] = bench.asked("POST", "/contacts/bulk/tags")
    ended = [(outcome.status, outcome.reason) for outcome in batch.outcomes]
    if asked.answer["errorCount"]:
        assert ended[2] == ("failed", "not_tagged")
    else:
        assert ended[2] == ("failed", "not_found")
    assert [ended[n] for n in (0, 1, 3)] == [("applied", "")] * 3


ROWS: dict[str, tuple[dict[str, Any], list[type]]] = {
    "all well": (
        {
            "errorCount": 0,
            "responses": [{"contactId": "a", "type": "success"}, {"contactId": "b", "type": "success"}],
        },
        [Receipt, Receipt],
    ),
    "one refused": (
        {
            "errorCount": 1,
            "responses": [{"contactId": "a", "type": "error"}, {"contactId": "b", "type": "success"}],
        },
        [Invalid, Receipt],
    ),
    "errors are counted wrong": (
        {
            "errorCount": 0,
            "responses": [{"contactId": "a", "type": "error"}, {"contactId": "b", "type": "success"}],
        },
        [Invalid, Receipt],
    ),
    "a row is missing": (
        {"errorCount": 0, "responses": [{"contactId": "a", "type": "success"}]},
        [Receipt, InDoubt],
    ),
    "only texts, no error": (
        {"errorCount": 0, "responses": ["Tags updated", "Tags updated"]},
        [Receipt, Receipt],
    ),
    "only texts, an error": ({"errorCount": 1, "responses": ["contact is deleted"]}, [InDoubt, InDoubt]),
    "no count": ({"responses": []}, [InDoubt, InDoubt]),
    "a word we do not know": (
        {
            "errorCount": 0,
            "responses": [{"contactId": "a", "type": "queued"}, {"contactId": "b", "type": "success"}],
        },
        [InDoubt, Receipt],
    ),
}


@pytest.mark.requirement("D6")
@pytest.mark.parametrize("case", ROWS)
def test_every_row_of_a_201_is_judged_by_itself(case: str) -> None:
    answer, kinds = ROWS[case]
    ended: Mapping[str, object] = judged({"ka": "a", "kb": "b"}, answer, {})
    assert [type(ended[key]) for key in ("ka", "kb")] == kinds


async def test_a_lost_answer_to_a_bulk_is_in_doubt_for_each_and_found_again(bench: Bench) -> None:
    everybody = await people(bench, 3)
    await bench.faults({"kind": "drop_after", "path": "/bulk/tags", "times": -1})
    first: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"])
    await bench.faults()
    second: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"])
    assert first.counts == {"in_doubt": 3}
    assert {(outcome.status, outcome.reason) for outcome in second.outcomes} == {("replayed", "already")}


async def test_somebody_named_twice_or_not_there_is_told_so_and_the_rest_go_on(bench: Bench) -> None:
    [one] = await people(bench, 1)
    several = [one, Person("", "nobody@corp.example"), one, Person(one.contact_id, "other@corp.example")]
    batch: BatchOutcome = await bench.call("tag_contacts", people=several, add=["hot"])
    assert [(o.status, o.reason) for o in batch.outcomes] == [
        ("applied", ""),
        ("failed", "not_found"),
        ("applied", ""),
        ("failed", "other_contact"),
    ]
    assert len(await bench.committed("add_tags")) == 1


async def test_suppressed_people_are_not_tagged_and_keep_nobody_else_back(bench: Bench) -> None:
    everybody = await people(bench, 3)
    await bench.kernel.suppression.add(everybody[1].email, reason="unsubscribed", source="test")
    batch: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"])
    assert [(o.status, o.reason) for o in batch.outcomes] == [
        ("applied", ""),
        ("refused", "suppressed"),
        ("applied", ""),
    ]


async def test_more_people_than_one_request_takes_are_tagged_in_parts(bench: Bench) -> None:
    few = bench.ghl.options.model_copy(update={"tags_per_request": 4})
    object.__setattr__(bench.ghl, "options", few)
    batch: BatchOutcome = await bench.call("tag_contacts", people=await people(bench, 10), add=["hot"])
    assert batch.counts == {"applied": 10}
    assert [len(e.body["contacts"]) for e in bench.asked("POST", "/contacts/bulk/tags")] == [4, 4, 2]


async def test_the_do_not_contact_tag_is_lifted_from_nobody(bench: Bench) -> None:
    with pytest.raises(Invalid):
        await bench.call("tag_contacts", people=[Person(email=JANE.email)], remove=["DNC"])


async def test_tags_are_bulk_added_after_a_person_took_them_off(bench: Bench) -> None:
    everybody = await people(bench, 2)
    await bench.call("tag_contacts", people=everybody, add=["hot"])
    for one in everybody:
        await bench.raw("DELETE", f"/contacts/{one.contact_id}/tags", {"tags": ["hot"]})
    batch: BatchOutcome = await bench.call("tag_contacts", people=everybody, add=["hot"])
    assert batch.counts == {"applied": 2}
