"""People at Instantly through the gate: enrolled, taken out, blocked; against the emulator over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from servers.instantly import SERVER, effects, tools
from servers.instantly.people import _Import, _why
from shared.effect import Effect
from shared.errors import Invalid
from shared.ports import Message
from shared.settings import Settings
from tests.servers.instantly_world import DRAFT, World, open_world, people, person


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


async def test_people_are_enrolled_by_one_request_each_with_an_outcome(world: World) -> None:
    outcome = await world.enrolled(await world.drafted(), people(5))
    assert outcome.counts == {"applied": 5}
    assert len(await world.requests("POST", "/leads/add")) == 1
    assert len({one.reference for one in outcome.outcomes}) == 5


@pytest.mark.requirement("A1", "I5")
async def test_nobody_is_enrolled_without_an_approval_of_exactly_these_words(world: World) -> None:
    ref, everyone = await world.drafted(), people(2)
    approval = await world.approve(everyone)
    changed = replace(everyone[1], messages=(Message("Other", "words"), *everyone[1].messages[1:]))
    outcome = await tools.add_leads_to_campaign.function(
        world.instantly, ref, [everyone[0], changed], approval
    )
    assert [(one.status, one.reason) for one in outcome.outcomes] == [
        ("applied", ""),
        ("refused", "approval_mismatch"),
    ]
    assert [entry["target"] for entry in await world.log("add_lead")] == [everyone[0].email]


async def test_what_is_sent_is_what_was_approved(world: World) -> None:
    ref = await world.live([person("kim@acme.example")])
    await world.run(ref, steps=3)
    sent = [entry["detail"] for entry in await world.log("send")]
    assert sent[0]["subject"] == "A question"
    assert "Hi Kim,<br /><br />how do you &amp; Acme plan? (1)" in sent[0]["body"]
    assert "{{" not in "".join(entry["subject"] + entry["body"] for entry in sent)


async def test_those_the_vendor_skips_fail_with_the_reason(world: World) -> None:
    ref = await world.drafted()
    await world.ask("POST", "/block-lists-entries", {"bl_value": "acme1.example"})
    outcome = await world.enrolled(ref, people(3))
    assert [(one.status, one.reason) for one in outcome.outcomes] == [
        ("applied", ""),
        ("failed", "blocklisted"),
        ("applied", ""),
    ]


@pytest.mark.requirement("F1", "F5")
async def test_an_import_whose_answer_is_lost_is_looked_up_person_by_person(world: World) -> None:
    ref, everyone = await world.drafted(), people(3)
    await world.fault(kind="drop_after", method="POST", path="/leads/add$")
    first = await world.enrolled(ref, everyone)
    again = await world.enrolled(ref, everyone)
    assert (first.counts, again.counts) == ({"in_doubt": 3}, {"replayed": 3})
    assert len(await world.log("add_lead")) == 3


async def test_many_people_in_doubt_are_looked_up_a_hundred_at_a_time(world: World) -> None:
    ref, everyone = await world.drafted(), people(250)
    await world.fault(kind="drop_after", method="POST", path="/leads/add$")
    first = await world.enrolled(ref, everyone)
    again = await world.enrolled(ref, everyone)
    assert (first.counts, again.counts) == ({"in_doubt": 250}, {"replayed": 250})
    assert len(await world.requests("POST", "/leads/list")) == 3
    assert len(await world.log("add_lead")) == 250


async def test_a_look_up_that_fails_leaves_everyone_in_doubt(world: World) -> None:
    ref, everyone = await world.drafted(), people(3)
    await world.fault(kind="drop_after", method="POST", path="/leads/add$")
    await world.enrolled(ref, everyone)
    await world.fault(kind="status", method="POST", path="/leads/list$", status=400, times=-1)
    assert (await world.enrolled(ref, everyone)).counts == {"in_doubt": 3}
    assert len(await world.requests("POST", "/leads/add")) == 1


async def test_somebody_in_another_campaign_is_not_enrolled_in_a_second_one(world: World) -> None:
    other = await world.drafted(replace(DRAFT, campaign_id="c-2"))
    await world.ask("POST", "/leads/add", {"campaign_id": other, "leads": [{"email": "kim1@acme1.example"}]})
    ref = await world.drafted()
    outcome = await world.enrolled(ref, people(3))
    assert [(one.status, one.reason) for one in outcome.outcomes] == [
        ("applied", ""),
        ("failed", "in_another_campaign"),
        ("applied", ""),
    ]


async def test_nobody_is_added_to_a_running_campaign_whose_words_were_changed(world: World) -> None:
    ref = await world.live(people(1))
    await world.ask("PATCH", f"/campaigns/{ref}", {"insert_unsubscribe_header": False})
    outcome = await world.enrolled(ref, people(3)[1:])
    assert [(one.status, one.reason) for one in outcome.outcomes] == [("failed", "changed_at_vendor")] * 2
    assert len(await world.log("add_lead")) == 1


async def test_a_request_that_is_too_large_is_made_in_halves(world: World) -> None:
    ref = await world.drafted()
    await world.fault(kind="status", method="POST", path="/leads/add$", status=413, times=2)
    outcome = await world.enrolled(ref, people(8))
    sizes = [len(one["json"]["leads"]) for one in await world.requests("POST", "/leads/add")]
    assert outcome.counts == {"applied": 8}
    assert sizes == [8, 4, 2, 2, 4]


async def test_people_already_there_with_the_same_words_count_as_enrolled(world: World) -> None:
    ref, everyone = await world.drafted(), people(2)
    await world.enrolled(ref, everyone)
    again = [replace(one, lead_id=one.lead_id) for one in everyone]
    approval = await world.approve(again)
    outcome = await tools.add_leads_to_campaign.function(
        world.instantly, ref, again, approval, idempotency_key="second"
    )
    assert [(one.status, one.detail.get("already")) for one in outcome.outcomes] == [("applied", True)] * 2
    assert len(await world.log("add_lead")) == 2


async def test_a_person_already_there_with_other_words_is_not_enrolled(world: World) -> None:
    ref, one = await world.drafted(), person("kim@acme.example")
    await world.enrolled(ref, [one])
    changed = replace(one, lead_id="l-9", messages=(Message("Other", "words"), *one.messages[1:]))
    outcome = await world.enrolled(ref, [changed])
    assert (outcome.outcomes[0].status, outcome.outcomes[0].reason) == ("failed", "already_enrolled")


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("wrong_campaign", {"campaign_id": "c-2"}),
        ("messages_missing", {"messages": (Message("Hi", "there"),)}),
        ("subject_missing", {"messages": (Message("", "a"), Message("", "b"), Message("", "c"))}),
        ("body_missing", {"messages": (Message("a", "a"), Message("", " "), Message("", "c"))}),
        ("merge_tag", {"messages": (Message("a", "Hi {{firstName}}"), Message("", "b"), Message("", "c"))}),
    ],
)
async def test_words_that_would_not_go_out_as_they_stand_are_not_sent(
    world: World, code: str, changes: dict[str, object]
) -> None:
    ref = await world.drafted()
    fit, unfit = person("fit@acme.example", 1), person("unfit@acme.example", 2, **changes)
    outcome = await world.enrolled(ref, [fit, unfit])
    assert [(one.status, one.reason) for one in outcome.outcomes] == [("applied", ""), ("failed", code)]


async def test_the_same_person_twice_with_different_words_is_refused(world: World) -> None:
    one = person("kim@acme.example")
    other = replace(one, first_name="Someone")
    with pytest.raises(Invalid) as caught:
        await tools.add_leads_to_campaign.function(world.instantly, "ref", [one, other])
    assert caught.value.field == "enrollments"


async def test_nobody_is_enrolled_in_a_simulated_campaign(world: World) -> None:
    outcome = await world.enrolled("simulated:c-1", people(1))
    assert (outcome.outcomes[0].status, outcome.outcomes[0].reason) == ("failed", "simulated")
    assert (await world.http.get("/_control/requests")).json() == []


async def test_an_enrolment_is_found_from_the_ledger_alone(world: World) -> None:
    ref, one = await world.drafted(), person("kim@acme.example")
    find = SERVER.lookups[("instantly", "add_lead")]
    row = (await world.enrolled(ref, [one])).outcomes[0]
    stored = await world.kernel.ledger.get(row.key)
    assert stored is not None
    receipt = await find(world.instantly, stored.effect)
    other = replace(stored.effect, content={**stored.effect.content, "first_name": "x", "campaign_id": "c-9"})
    assert receipt is not None
    assert receipt.reference == row.reference
    assert await find(world.instantly, other) is None


async def test_a_removed_person_is_in_no_campaign_and_gets_nothing(world: World) -> None:
    ref = await world.live(people(2))
    outcome = await tools.remove_lead.function(world.instantly, "KIM0@acme0.example", "asked")
    await world.run(ref)
    status = await tools.get_lead_status.function(world.instantly, "kim0@acme0.example")
    assert (outcome.status, outcome.detail["removed"]) == ("applied", 1)
    assert not status.found
    assert [entry["target"] for entry in await world.log("send")] == ["kim1@acme1.example"]


async def test_removing_deletes_one_by_one_and_never_the_collection(world: World) -> None:
    await world.live(people(2))
    await tools.remove_lead.function(world.instantly, "kim0@acme0.example", "asked")
    assert await world.requests("DELETE", "/leads") == []
    assert len((await world.ask("POST", "/leads/list", {})).json()["items"]) == 1


async def test_a_person_is_removed_from_every_campaign(world: World) -> None:
    for number in (1, 2):
        ref = await world.drafted(replace(DRAFT, campaign_id=f"c-{number}"))
        body = {"campaign_id": ref, "leads": [{"email": "kim@acme.example"}]}
        await world.ask("POST", "/leads/add", body)
    before = await tools.get_lead_status.function(world.instantly, "kim@acme.example")
    outcome = await tools.remove_lead.function(world.instantly, "kim@acme.example", "asked")
    assert (before.found, before.status, len(before.campaigns)) == (True, "active", 2)
    assert outcome.detail["removed"] == 2


async def test_removing_is_allowed_while_killed_and_for_someone_unknown(world: World) -> None:
    await world.kernel.switches.kill(actor="Ada", reason="test")
    outcome = await tools.remove_lead.function(world.instantly, "nobody@acme.example", "asked")
    assert (outcome.status, outcome.detail["removed"]) == ("applied", 0)


async def test_a_removal_interrupted_by_a_lost_answer_is_repeated_until_confirmed(world: World) -> None:
    await world.live(people(1))
    await world.fault(kind="drop_after", method="DELETE", path="/leads/")
    outcome = await tools.remove_lead.function(world.instantly, "kim0@acme0.example", "asked")
    assert outcome.status == "applied"
    assert len(await world.log("delete_lead")) == 1


async def test_blocking_is_confirmed_even_for_what_was_blocked_before(world: World) -> None:
    for _ in range(2):
        outcome = await tools.add_to_blocklist.function(
            world.instantly, ["Kim@Acme.example", "spam.example"], "asked"
        )
        assert outcome.status == "applied"
    page = await tools.list_blocklist.function(world.instantly)
    assert [(entry.value, entry.is_domain) for entry in page.entries] == [
        ("kim@acme.example", False),
        ("spam.example", True),
    ]


async def test_a_block_whose_answer_is_lost_is_confirmed_by_the_list(world: World) -> None:
    await world.fault(kind="drop_after", method="POST", path="/bulk-create$", times=-1)
    outcome = await tools.add_to_blocklist.function(world.instantly, ["spam.example"], "asked")
    assert outcome.status == "applied"


@pytest.mark.parametrize("value", ["not a value", "kim@", "nowhere", "", "a..b", "@acme.example"])
async def test_what_is_neither_address_nor_domain_is_refused_before_anything_is_sent(
    world: World, value: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await tools.add_to_blocklist.function(world.instantly, ["kim@acme.example", value], "asked")
    assert caught.value.field == "values"
    assert await world.log() == []


async def test_a_value_the_vendor_takes_for_invalid_is_told_apart_from_a_lost_answer(world: World) -> None:
    outcome = await tools.add_to_blocklist.function(
        world.instantly, ["kim@acme.example", "kim@nowhere"], "asked"
    )
    assert (outcome.status, outcome.reason) == (
        "in_doubt",
        "partly_done",
    ) or outcome.reason == "invalid_values"
    assert [entry["target"] for entry in await world.log("block")] == ["kim@acme.example"]


async def test_many_values_that_were_blocked_before_are_confirmed_one_by_one(world: World) -> None:
    values = [f"kim{number}@acme.example" for number in range(60)]
    for _ in range(2):
        outcome = await tools.add_to_blocklist.function(world.instantly, values, "asked")
        assert outcome.status == "applied"
    assert len(await world.log("block")) == 60
    assert len(await world.requests("GET", "/block-lists-entries")) == 60


async def test_the_block_list_is_read_a_page_at_a_time(world: World) -> None:
    values = [f"kim{number}@acme.example" for number in range(230)]
    await tools.add_to_blocklist.function(world.instantly, values, "asked")
    seen, cursor, pages = [], "", 0
    while True:
        page = await tools.list_blocklist.function(world.instantly, cursor)
        seen += [entry.value for entry in page.entries]
        cursor, pages = page.next_cursor, pages + 1
        if not cursor:
            break
    assert seen == values
    assert pages == 4  # the last full page carries a cursor to an empty one


async def test_webhooks_are_made_once_and_corrected_when_they_differ(world: World) -> None:
    url = "http://127.0.0.1:9"
    first = await tools.ensure_webhooks.function(world.instantly, url)
    second = await tools.ensure_webhooks.function(world.instantly, f"{url}/")
    await world.ask("PATCH", f"/webhooks/{first.reference}", {"event_type": "email_sent"})
    third = await tools.ensure_webhooks.function(world.instantly, url)
    hooks = (await world.ask("GET", "/webhooks")).json()["items"]
    assert [one.detail["change"] for one in (first, second, third)] == ["created", "none", "updated"]
    assert [(hook["event_type"], hook["target_hook_url"]) for hook in hooks] == [
        ("all_events", f"{url}/webhooks/instantly")
    ]
    assert hooks[0]["headers"] == {"x-swarm-secret": world.instantly.webhook_secret}


async def test_the_webhook_secret_is_not_in_the_ledger(world: World) -> None:
    outcome = await tools.ensure_webhooks.function(world.instantly, "http://127.0.0.1:9")
    stored = await world.kernel.ledger.get(outcome.key)
    assert stored is not None
    assert world.instantly.webhook_secret not in repr(stored)


async def test_replies_are_read_newest_first_and_cut(world: World) -> None:
    ref = await world.live(people(40))
    await world.run(ref)
    page = await tools.get_replies.function(world.instantly, ref, limit=100)
    answered = [entry["target"] for entry in await world.log("send")]
    assert page.replies
    assert {reply.email for reply in page.replies} <= set(answered)
    assert all(reply.text and reply.subject and reply.campaign_ref == ref for reply in page.replies)


async def test_a_lookup_that_can_not_reach_the_vendor_does_not_say_it_is_not_there(world: World) -> None:
    await world.fault(kind="status", path="/campaigns$", status=400, times=-1)
    effect = Effect("instantly", "add_lead", "x", "y", {"campaign_id": "c-1"})
    with pytest.raises(Invalid):
        await effects.find_started(world.instantly, effect)


# ── what an import's answer is believed to say ───────────────────────────────────────────────────────────
def created(world: World, *told: dict[str, object]) -> list[tuple[int, str]]:
    """Who of three people was created, by an answer that says this."""
    everyone = {f"k{number}": one for number, one in enumerate(people(3))}
    importing = _Import(world.instantly, "ref", everyone)
    return [
        (index, str(one["id"])) for index, one in importing._created(list(everyone), {"created_leads": told})
    ]


async def test_who_was_created_is_told_by_index_and_believed_if_the_address_fits(world: World) -> None:
    mine = {"index": 1, "id": "a", "email": "KIM1@acme1.example"}
    assert created(world, mine) == [(1, "a")]
    assert created(world, {"index": 2, "id": "b"}) == [(2, "b")]
    assert created(world, {**mine, "index": 0}) == []
    for odd in ({**mine, "index": 3}, {**mine, "index": -1}, {**mine, "index": "1"}, {**mine, "id": ""}):
        assert created(world, odd) == []


@pytest.mark.parametrize(
    ("summary", "code"),
    [
        ({"in_blocklist": 2, "remaining_in_plan": 5}, "blocklisted"),
        ({"skipped_count": 1, "in_blocklist": 0}, "in_another_campaign"),
        ({"skipped_count": 1, "in_blocklist": 1}, "not_added"),
        ({"remaining_in_plan": 0}, "plan_full"),
        ({"remaining_in_plan": None}, "not_added"),
        ({}, "not_added"),
    ],
)
def test_why_somebody_was_skipped_is_told_where_it_is_certain(summary: dict[str, object], code: str) -> None:
    assert _why(summary)[0] == code
