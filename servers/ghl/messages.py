"""Replies that a webhook should have brought: read from the message export, each e-mail by its own id.

An exported message may stand for a whole thread: its e-mails are named in `meta.email.messageIds`.
"""

from collections.abc import Mapping, Sequence

from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import addresses_of
from servers.ghl.finding import side_by_side
from shared.ports import MessagePage, ReceivedMessage

MOST_TEXT = 20_000
MOST_PER_THREAD = 5  # the newest e-mails of a thread
PAGE = 100


async def list_replies(ghl: Ghl, since: str, cursor: str) -> MessagePage:
    """E-mails received from `since` on, a page at a time."""
    rows, following = await ghl.api.export_messages(since, cursor, PAGE)
    rows_of = {message_id: row for row in rows for message_id in _ids(row)}

    async def ask(message_id: str) -> ReceivedMessage | None:
        return await _message(ghl, rows_of[message_id], message_id)

    found = await side_by_side(ghl, list(rows_of), ask)
    new = tuple(one for one in found.values() if one and one.received_at >= since[:19])
    return MessagePage(new, following if rows else "")


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
