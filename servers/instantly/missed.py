"""What no webhook brought: deliveries that failed, with their payloads, and replies, each as a webhook would tell it.

A failed delivery is the very webhook, so it has the same composed id. A reply's webhook can't be made again to the
letter; it is known again by the id of its message. Reading mail has its own budget of 20 calls a minute.
"""

import json
from collections.abc import Mapping
from typing import Any

from servers.instantly.account import Instantly
from servers.instantly.drafts import CAMPAIGN_ID, LEAD_ID, VARIANT
from servers.instantly.events import IDENTITY, MAX_TEXT
from servers.instantly.views import number_of, text_of
from shared.clock import parse
from shared.ports import MissedEvent, MissedPage

# What an event is made of; the rest of a payload stays where it is.
WORDS = ("reply_subject", "email_subject", "reply_text", "reply_text_snippet")
KEPT = (*IDENTITY, *WORDS, "email_account", LEAD_ID, CAMPAIGN_ID, VARIANT)


async def undelivered(instantly: Instantly, since: str, cursor: str) -> MissedPage:
    """Webhooks that failed from `since` on. Instantly filters by days only."""
    page = await instantly.api.undelivered(cursor, since[:10])
    failed = [one for one in page.items if not one.get("retry_successful") and _later(one, since)]
    events = [_event(payload) for one in failed if isinstance(payload := one.get("payload"), Mapping)]
    return MissedPage(tuple(events), page.cursor)


def _later(one: Mapping[str, Any], since: str) -> bool:
    """Whether it was made from `since` on; where that can't be told, it was."""
    try:
        return parse(text_of(one, "timestamp_created")) >= parse(since)
    except ValueError:
        return True


def _event(payload: Mapping[str, Any]) -> MissedEvent:
    told = {key: _short(payload[key]) for key in KEPT if key in payload}
    return MissedEvent(json.dumps(told), text_of(payload, "email_id"))


def _short(value: object) -> object:
    return value[:MAX_TEXT] if isinstance(value, str) else value


async def replies(instantly: Instantly, since: str, cursor: str) -> MissedPage:
    """Messages received from `since` on, newest first."""
    page = await instantly.api.emails(cursor, email_type="received", min_timestamp_created=since)
    return MissedPage(tuple(_event(_as_webhook(one)) for one in page.items), page.cursor)


def _as_webhook(email: Mapping[str, Any]) -> dict[str, Any]:
    body = email.get("body")
    said = text_of(body, "text") if isinstance(body, Mapping) else ""
    return {
        "event_type": "auto_reply_received"
        if number_of(email, "is_auto_reply", 0) == 1
        else "reply_received",
        "timestamp": text_of(email, "timestamp_email"),
        "workspace": text_of(email, "organization_id"),
        "campaign_id": text_of(email, "campaign_id"),
        "lead_email": text_of(email, "lead") or text_of(email, "from_address_email"),
        "email_account": text_of(email, "eaccount"),
        "email_id": text_of(email, "id"),
        "reply_subject": text_of(email, "subject"),
        "reply_text": said or text_of(email, "content_preview"),
    }
