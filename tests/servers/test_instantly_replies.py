"""Answers to received messages through the gate, against the emulator over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from servers.instantly import SERVER, tools
from shared.effect import Outcome
from shared.errors import Conflict, InDoubt, Invalid
from shared.ports import ReplyMessage
from shared.settings import Settings
from tests.servers.instantly_world import World, open_world, person

KIM = "kim@acme.example"
WORDS = "Hi Kim,\n\n2 < 3 & that is why. Shall we talk on Tuesday?"


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


async def received(world: World, text: str = "What does it cost?", **more: Any) -> ReplyMessage:
    """Kim has answered; the draft of our answer to that."""
    if not await world.log("send"):
        await world.run(await world.live([person(KIM)]))
    message = (await world.act("receive", lead=KIM, text=text, **more))["id"]
    found = (await world.ask("GET", f"/emails/{message}")).json()
    return ReplyMessage(message, KIM, found["eaccount"], "Re: A question", WORDS)


async def send(world: World, reply: ReplyMessage, approval: str = "", key: str = "") -> Outcome:
    """The tool, called in process."""
    outcome: Outcome = await tools.send_reply.function(world.instantly, reply, approval, key)
    return outcome


async def test_an_approved_answer_goes_to_whom_it_was_written_for_in_these_words(world: World) -> None:
    reply = await received(world)
    outcome = await send(world, reply, await world.approve(replies=[reply]))
    (sent,) = await world.log("send_reply")
    assert outcome.status == "applied"
    assert (sent["target"], sent["detail"]["subject"]) == (KIM, "Re: A question")
    assert sent["detail"]["body"]["text"] == WORDS
    assert "Hi Kim,<br /><br />2 &lt; 3 &amp; that" in sent["detail"]["body"]["html"]


async def test_no_answer_leaves_without_an_approval_of_exactly_these_words(world: World) -> None:
    reply = await received(world)
    approval = await world.approve(replies=[reply])
    unapproved = await send(world, reply)
    for changed in ({"body": WORDS + "!"}, {"subject": "Re: other"}, {"email": "lee@acme.example"}):
        other = await send(world, replace(reply, **changed), approval)  # type: ignore[arg-type]  # a field by name
        assert (other.status, other.reason) == ("refused", "approval_mismatch")
    assert (unapproved.status, unapproved.reason) == ("refused", "needs_approval")
    assert await world.log("send_reply") == []


async def test_a_message_is_answered_once(world: World) -> None:
    reply = await received(world)
    first = await send(world, reply, await world.approve(replies=[reply]))
    again = await send(world, reply, await world.approve(replies=[reply]))
    with pytest.raises(Conflict):
        await send(world, replace(reply, body="Something else."))
    assert (first.status, again.status) == ("applied", "replayed")
    assert len(await world.log("send_reply")) == 1


async def test_nobody_who_opted_out_is_answered(world: World) -> None:
    reply = await received(world, "unsubscribe")
    approval = await world.approve(replies=[reply])
    await world.kernel.suppression.add(KIM, reason="unsubscribed", source="test")
    outcome = await send(world, reply, approval)
    assert (outcome.status, outcome.reason) == ("refused", "suppressed")
    assert await world.log("send_reply") == []


async def test_an_answer_never_goes_to_another_person_than_the_one_approved(world: World) -> None:
    reply = await received(world, **{"from": "boss@acme.example"})
    outcome = await send(world, reply, await world.approve(replies=[reply]))
    assert (outcome.status, outcome.reason) == ("failed", "other_recipient")
    assert await world.log("send_reply") == []


async def test_an_answer_goes_out_from_the_mailbox_that_was_written_to(world: World) -> None:
    reply = replace(await received(world), mailbox="other@outreach.example")
    outcome = await send(world, reply, await world.approve(replies=[reply]))
    assert (outcome.status, outcome.reason) == ("failed", "other_mailbox")


async def test_our_own_message_is_not_answered(world: World) -> None:
    reply = await received(world)
    mails = (await world.ask("GET", "/emails", email_type="sent")).json()["items"]
    own = replace(reply, message_ref=mails[0]["id"])
    outcome = await send(world, own, await world.approve(replies=[own]))
    assert (outcome.status, outcome.reason) == ("failed", "not_received")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("reply.body", {"body": " \n"}),
        ("reply.subject", {"subject": " "}),
        ("reply.body", {"body": "Hi {{firstName}}"}),
    ],
)
async def test_words_that_would_not_go_out_as_they_stand_are_refused(
    world: World, field: str, changes: dict[str, str]
) -> None:
    with pytest.raises(Invalid) as caught:
        await send(world, replace(ReplyMessage("m", KIM, "a@b.example", "Re: x", "y"), **changes))
    assert caught.value.field == field


async def test_an_answer_whose_confirmation_is_lost_is_found_in_its_thread(world: World) -> None:
    reply = await received(world)
    await world.fault(kind="drop_after", method="POST", path="/emails/reply$")
    first = await send(world, reply, await world.approve(replies=[reply]))
    again = await send(world, reply)
    assert (first.status, again.status) == ("in_doubt", "replayed")
    assert len(await world.log("send_reply")) == 1


async def test_an_answer_that_is_not_seen_is_left_to_a_person_and_never_sent_again(world: World) -> None:
    reply = await received(world)
    await world.fault(kind="drop_before", method="POST", path="/emails/reply$")
    first = await send(world, reply, await world.approve(replies=[reply]))
    again = await send(world, reply)
    stored = await world.kernel.ledger.get(first.key)
    assert stored is not None
    with pytest.raises(InDoubt):
        await SERVER.lookups[("instantly", "send_reply")](world.instantly, stored.effect)
    assert (first.status, again.status) == ("in_doubt", "in_doubt")
    assert len(await world.requests("POST", "/emails/reply")) == 1


async def test_replies_tell_what_an_answer_needs(world: World) -> None:
    reply = await received(world)
    page = await tools.get_replies.function(world.instantly, email=KIM)
    assert [(one.id, one.email, one.mailbox) for one in page.replies] == [
        (reply.message_ref, reply.email, reply.mailbox)
    ]
