"""Instantly's webhooks as events. They have no id and no signature: an id is composed, a header stands in.

The names differ from those one subscribes to (`email_link_clicked` arrives as `link_clicked`, a reply
subscription also brings `auto_reply_received`), so both forms are in the table. Custom labels arrive as
their own text. A lead's custom variables are merged into the payload at the top level: only known keys are
read.
"""

from collections.abc import Mapping
from typing import Any

from servers.instantly.drafts import CAMPAIGN_ID, LEAD_ID, VARIANT
from servers.instantly.views import number_of, text_of
from shared.bounce import BounceKind
from shared.event import Event, EventType
from shared.settings import VendorSettings
from shared.webhook import WebhookSource, composed_id, same_secret

SECRET_HEADER = "x-swarm-secret"  # noqa: S105 — the header's name, not a secret

EVENT_TYPES: Mapping[str, EventType] = {
    "email_sent": "sent",
    "email_opened": "opened",
    "link_clicked": "clicked",
    "email_link_clicked": "clicked",
    "reply_received": "replied",
    "auto_reply_received": "auto_replied",
    "email_bounced": "bounced",
    "lead_unsubscribed": "unsubscribed",
    "campaign_completed": "campaign_completed",
    "account_error": "account_error",
}
STOPPING: frozenset[EventType] = frozenset({"unsubscribed"})
# Instantly says that something bounced and never why: no code, no reason, not in the webhook nor in the lead. So it is
# no proof that the address is dead; the report that comes back as mail is (see `shared/bounce.py`).
BOUNCE: BounceKind = "unknown"
IDENTITY = (
    "workspace",
    "event_type",
    "campaign_id",
    "lead_email",
    "step",
    "variant",
    "timestamp",
    "email_id",
)
MAX_TEXT = 20_000  # characters of a reply that are kept


def verify(headers: Mapping[str, str], _body: bytes, settings: VendorSettings) -> bool:
    """Whether the static header carries our secret; without a configured secret nothing is believed."""
    return same_secret(headers.get(SECRET_HEADER, ""), settings.secrets.get("webhook_secret", ""))


def parse(payload: Mapping[str, Any]) -> Event:
    """One webhook as an event; a type not in the table stays `unknown` and keeps its name in `detail`."""
    kind = EVENT_TYPES.get(text_of(payload, "event_type"), "unknown")
    return Event(
        id=composed_id(*(payload.get(key) for key in IDENTITY)),
        vendor="instantly",
        type=kind,
        occurred_at=text_of(payload, "timestamp"),
        email=text_of(payload, "lead_email"),
        campaign_ref=text_of(payload, "campaign_id"),
        reference=text_of(payload, "email_id"),
        step=number_of(payload, "step", 0),
        variant=text_of(payload, VARIANT) or _plain(payload.get("variant")),
        subject=_words(payload, "reply_subject", "email_subject"),
        text=_words(payload, "reply_text", "reply_text_snippet")
        if kind in {"replied", "auto_replied"}
        else "",
        stops_contact=kind in STOPPING,
        reason=kind if kind in STOPPING else "",
        bounce=BOUNCE if kind == "bounced" else "",
        detail=_detail(payload),
    )


def _detail(payload: Mapping[str, Any]) -> dict[str, str]:
    kept = {
        "event_type": text_of(payload, "event_type")[:100],
        "mailbox": text_of(payload, "email_account"),
        "campaign_id": text_of(payload, CAMPAIGN_ID),
        "lead_id": text_of(payload, LEAD_ID),
    }
    return {key: value for key, value in kept.items() if value}


def _words(payload: Mapping[str, Any], *keys: str) -> str:
    return next((text for key in keys if (text := text_of(payload, key))), "")[:MAX_TEXT]


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, int | str) else ""


WEBHOOK = WebhookSource(verify, parse)
