"""Replies that a webhook should have brought: read from the message export, each e-mail by its own id.

An exported message may stand for a whole thread: its e-mails are named in `meta.email.messageIds`.
"""

from collections.abc import Mapping, Sequence

import anyio

from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import addresses_of
from shared.ports import MessagePage, ReceivedMessage

MOST_TEXT = 20_000
MOST_PER_THREAD = 5  # the newest e-mails of a thread
PAGE = 100


async def list_replies(ghl: Ghl, since: str, cursor: str) -> MessagePage:
    """E-mails received from `since` on, a page at a time."""
    rows, following = await ghl.api.export_messages(since, cursor, PAGE)
    wanted = [(row, one) for row in rows for one in _ids(row)]
    found: dict[str, ReceivedMessage] = {}
    room = anyio.CapacityLimiter(ghl.at_once)

    async def one(row: Raw, message_id: str) -> None:
        async with room:
            message = await _message(ghl, row, message_id)
            if message and message.received_at >= since[:19]:
                found[message_id] = message

    async with anyio.create_task_group() as tasks:
        for row, message_id in wanted:
            tasks.start_soon(one, row, message_id)
    order = [found[message_id] for _, message_id in wanted if message_id in found]
    return MessagePage(tuple(dict.fromkeys(order)), following if rows else "")


def _ids(row: Raw) -> list[str]:
    """The e-mails an exported row stands for."""
    meta = row.get("meta")
    email = meta.get("email") if isinstance(meta, Mapping) else None
    inner = email.get("email", email) if isinstance(email, Mapping) else None
    listed = inner.get("messageIds") if isinstance(inner, Mapping) else None
    if isinstance(listed, list) and listed:
        return [str(one) for one in listed][-MOST_PER_THREAD:]
    return [str(row["id"])] if row.get("id") and row.get("direction") == "inbound" else []


async def _message(ghl: Ghl, row: Raw, message_id: str) -> ReceivedMessage | None:
    """The e-mail itself, if it was received; whose it is, by the contact's own address."""
    whole = {**row, **(await ghl.api.get_email(message_id))}
    if whole.get("direction") != "inbound":
        return None
    contact_id = str(whole.get("contactId") or "")
    contact = await ghl.api.get_contact(contact_id) if contact_id else {}
    return ReceivedMessage(
        id=message_id,
        contact_id=contact_id,
        email=_first(addresses_of(contact)),
        received_at=str(whole.get("dateAdded") or ""),
        subject=str(whole.get("subject") or "")[:500],
        text=str(whole.get("body") or "")[:MOST_TEXT],
    )


def _first(addresses: Sequence[str]) -> str:
    return addresses[0] if addresses else ""
