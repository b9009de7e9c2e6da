"""Answers to received messages, each an Effect: a person approved exactly these words to exactly this person.

Instantly sends at once, has no draft and no key. So one message is answered once; the message is read first, and the
answer goes out only if it came from the person that was approved, to the mailbox that was approved. If the answer to
the call is lost, the thread is searched; what isn't seen there stays in doubt, because it may still be on its way.
"""

import html
import json
import re
from collections.abc import Mapping
from typing import Any

from servers.instantly import drafts
from servers.instantly.account import Instantly
from servers.instantly.effects import VENDOR, submitted
from servers.instantly.views import number_of, text_of
from shared.effect import Effect, Outcome, Receipt, canonical
from shared.errors import Conflict, InDoubt, Invalid
from shared.gate import Permit
from shared.ports import ReplyMessage

RECEIVED = 2


async def send_reply(
    instantly: Instantly, reply: ReplyMessage, approval: str, idempotency_key: str
) -> Outcome:
    """Answer a received message, once."""
    _sendable(reply)
    effect = Effect(
        vendor=VENDOR,
        action="send_reply",
        target=reply.email,
        intent=f"message:{reply.message_ref}:reply",
        content=json.loads(canonical(reply)),
        recipients=(reply.email,),
        campaign=reply.campaign_id,
        approval=approval,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        _fits(await instantly.api.email(reply.message_ref), reply)
        body = {
            "reply_to_uuid": reply.message_ref,
            "eaccount": reply.mailbox,
            "subject": reply.subject,
            "body": {"html": f"<div>{drafts.as_html(reply.body)}</div>", "text": reply.body},
        }
        sent = await instantly.api.reply(permit, body)
        return Receipt(text_of(sent, "id"))

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_reply(instantly, wanted)

    told = "this message was answered already, with other words"
    otherwise = Conflict(told, field="reply.message_ref", code="conflict")
    return await submitted(instantly, effect, perform, lookup, otherwise)


def _sendable(reply: ReplyMessage) -> None:
    """`Invalid` for words that would not go out as they stand."""
    for name, text in (("reply.subject", reply.subject), ("reply.body", reply.body)):
        if not text.strip():
            raise Invalid("an answer needs words", field=name)
        if any(tag in text for tag in drafts.MERGE_TAGS):
            raise Invalid(
                "it holds a placeholder that the vendor would replace", field=name, code="merge_tag"
            )


def _fits(message: Mapping[str, Any], reply: ReplyMessage) -> None:
    """`Invalid` unless this message came from that person to that mailbox: the vendor answers whoever sent it."""
    if number_of(message, "ue_type") != RECEIVED:
        raise Invalid("this message wasn't received", field="reply.message_ref", code="not_received")
    answered = text_of(message, "reply_to") or text_of(message, "from_address_email")
    if answered.lower() != reply.email.lower():
        message_told = "an answer would go to somebody else than whom it was written for"
        raise Invalid(message_told, field="reply.email", code="other_recipient")
    if text_of(message, "eaccount").lower() != reply.mailbox.lower():
        raise Invalid("the message came to another mailbox", field="reply.mailbox", code="other_mailbox")


async def find_reply(instantly: Instantly, effect: Effect) -> Receipt | None:
    """The answer in its thread. Raises `InDoubt` where it isn't seen: that is no proof that it wasn't sent."""
    reply = ReplyMessage(**dict(effect.content))  # type: ignore[arg-type]  # the content was made of one
    thread = text_of(await instantly.api.email(reply.message_ref), "thread_id")
    page = await instantly.api.emails(search=f"thread:{thread}")
    for mail in page.items:
        if _is_this(mail, reply):
            return Receipt(text_of(mail, "id"))
    raise InDoubt(
        "Instantly doesn't show the answer, and it may have been sent: look there", code="cant_tell"
    )


def _is_this(mail: Mapping[str, Any], reply: ReplyMessage) -> bool:
    """Whether this message of ours says exactly that."""
    body = mail.get("body")
    said = body if isinstance(body, Mapping) else {}
    words = _words(text_of(said, "html")) or _words(html.escape(text_of(said, "text")))
    return (
        number_of(mail, "ue_type") != RECEIVED
        and text_of(mail, "eaccount").lower() == reply.mailbox.lower()
        and text_of(mail, "subject") == reply.subject
        and words == _words(html.escape(reply.body))
    )


def _words(markup: str) -> str:
    """The words of a text without markup and white space."""
    return " ".join(html.unescape(re.sub(r"<[^<>]{0,1000}>", " ", markup)).split())
