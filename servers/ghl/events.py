"""GoHighLevel's webhooks: whether one is genuine, and what it says, by tables.

Two unlike ways lead here. A Marketplace app's webhooks are signed: `X-GHL-Signature`, Ed25519 over the raw
body; the location in it must be ours. A workflow's "Custom Webhook", the only push of an install without an app,
carries our secret in `x-swarm-secret`. Whoever sends a signature is judged by it alone. Payloads are flat, or nested
under `data`; a message that was too large for the vendor comes without its text, and is asked for later.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from servers.ghl.dnd import addresses_of, tags_of, why_blocked
from shared.bounce import BounceKind, read_report, worst
from shared.effect import Json, digest
from shared.errors import Invalid
from shared.event import Event, EventType
from shared.settings import VendorSettings
from shared.webhook import WebhookSource, decode, same_secret

SIGNATURE = "x-ghl-signature"
SECRET = "x-swarm-secret"  # noqa: S105 - the header's name, not a secret
MAX_TEXT = 20_000

TYPES: Mapping[str, EventType] = {
    "ContactCreate": "contact_created",
    "ContactUpdate": "contact_updated",
    "ContactDelete": "contact_deleted",
    "ContactTagUpdate": "tags_changed",
    "ContactDndUpdate": "dnd_changed",
    "InboundMessage": "message_received",
    "OutboundMessage": "message_sent",
    "OpportunityCreate": "opportunity_changed",
    "OpportunityUpdate": "opportunity_changed",
    "OpportunityDelete": "opportunity_changed",
    "OpportunityStageUpdate": "opportunity_changed",
    "OpportunityStatusUpdate": "opportunity_changed",
    "OpportunityAssignedToUpdate": "opportunity_changed",
    "OpportunityMonetaryValueUpdate": "opportunity_changed",
    "UNINSTALL": "account_error",
}
# The type was seen wrong where the direction was right.
DIRECTIONS: Mapping[str, EventType] = {"inbound": "message_received", "outbound": "message_sent"}
# Words of the mail service behind it: its own list is documented nowhere.
EMAIL_STATS: Mapping[str, EventType] = {
    "complained": "complained",
    "spam": "complained",
    "spam_report": "complained",
    "unsubscribed": "unsubscribed",
    "failed": "bounced",
    "bounced": "bounced",
    "bounce": "bounced",
    "rejected": "bounced",
    "permanent_fail": "bounced",
    "temporary_fail": "bounced",
}
# Not sent at all, because of what was known of the address: what that was, and never a fresh complaint.
NOT_SENT: Mapping[str, EventType] = {
    "suppress-bounce": "bounced",
    "suppress-complaint": "unsubscribed",
    "suppress-unsubscribe": "unsubscribed",
}
TEMPORARY = frozenset({"temporary", "temporary_fail", "soft"})


def verify(headers: Mapping[str, str], raw: bytes, settings: VendorSettings) -> bool:
    """Whether the body is the vendor's and about our location, or carries our secret; anything unreadable is not.

    The vendor signs for all of its customers with one key: somebody else's app could have its events sent here.
    """
    if SIGNATURE in headers:
        signed = any(_signed(headers[SIGNATURE], raw, key) for key in _keys(settings))
        return signed and _location(raw) == settings.secrets.get("location_id", "") != ""
    return same_secret(headers.get(SECRET, ""), settings.secrets.get("webhook_secret", ""))


def _location(raw: bytes) -> str:
    """The location that a body is about; empty where it names none or can't be read."""
    try:
        whole = decode(raw)
    except Invalid:
        return ""
    nested = whole.get("data")
    return _text(whole, "locationId") or (_text(nested, "locationId") if isinstance(nested, Mapping) else "")


def _keys(settings: VendorSettings) -> Iterator[Ed25519PublicKey]:
    """Every key that can be read: a broken one accepts nothing and hides no other."""
    configured = settings.options.get("webhook_keys")
    listed = configured if isinstance(configured, (list, tuple)) else ()
    for text in (*listed, settings.secrets.get("webhook_key", "")):
        try:
            key = load_der_public_key(base64.b64decode(str(text), validate=True))
        except (ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(key, Ed25519PublicKey):
            yield key


def _signed(signature: str, raw: bytes, key: Ed25519PublicKey) -> bool:
    """The header holds base64, or the word N/A where the vendor did not sign."""
    try:
        key.verify(base64.b64decode(signature, validate=True), raw)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def parse(payload: Mapping[str, Any]) -> Event:
    """What the payload says; an unknown type stays `unknown` and keeps its id."""
    nested = payload.get("data")
    whole = {**nested, **payload} if isinstance(nested, Mapping) else payload
    kind = _text(whole, "type")
    if whole.get("payloadTooLarge") and kind.endswith("Message"):
        kind = f"{kind} cut off"
    return READERS.get(_family(kind), _other)(kind, whole)


def _family(kind: str) -> str:
    return next((family for family in ("Contact", "Opportunity") if kind.startswith(family)), kind)


def _contact(kind: str, whole: Mapping[str, Any]) -> Event:
    reason = _stop(whole)
    return Event(
        **_frame(kind, whole),
        type=TYPES.get(kind, "unknown"),
        email=_address(whole, "email"),
        contact_ref=_text(whole, "id") or _text(whole, "contactId"),
        stops_contact=bool(reason),
        reason=reason,
        detail={
            "tags": list[Json](sorted(tags_of(_lists(whole)))),
            "other_emails": list[Json](
                addresses_of(whole)[1:] if whole.get("email") else addresses_of(whole)
            ),
            "type": kind,
        },
    )


def _stop(whole: Mapping[str, Any]) -> str:
    """Why the person may not be written to any more; every contact event is a snapshot that may say so."""
    return why_blocked({**whole, **_lists(whole)})


def _message(kind: str, whole: Mapping[str, Any]) -> Event:
    """A message of any channel; its text is data."""
    received = DIRECTIONS.get(_text(whole, "direction"), TYPES[kind])
    return Event(
        **_frame(kind, whole),
        type=received,
        email=_address(whole, "from" if received == "message_received" else "to"),
        contact_ref=_text(whole, "contactId"),
        reference=_text(whole, "emailMessageId") or _text(whole, "messageId"),
        subject=_text(whole, "subject"),
        text=_text(whole, "body"),
        detail={
            "channel": _text(whole, "messageType"),
            "conversation": _text(whole, "conversationId"),
            "thread": _text(whole, "threadId"),
        },
    )


def _opportunity(kind: str, whole: Mapping[str, Any]) -> Event:
    """Its state now: the vendor does not say from which stage it came."""
    names = ("pipelineId", "pipelineStageId", "status", "name", "monetaryValue")
    detail: dict[str, Json] = {name: _text(whole, name) for name in names}
    return Event(
        **_frame(kind, whole),
        type=TYPES.get(kind, "unknown"),
        contact_ref=_text(whole, "contactId"),
        reference=_text(whole, "id"),
        detail={**detail, "type": kind},
    )


def _email_stats(kind: str, whole: Mapping[str, Any]) -> Event:
    """What the CRM's own mail server saw; only what ends contact or bounced is read."""
    payload = whole.get("webhookPayload")
    inner = payload if isinstance(payload, Mapping) else {}
    word = _text(inner, "event").strip().lower()
    meaning = NOT_SENT.get(_text(inner, "reason").lower()) or EMAIL_STATS.get(word, "unknown")
    stops = meaning in {"complained", "unsubscribed"}
    return Event(
        **{**_frame(kind, whole), "occurred_at": ""},
        type=meaning,
        email=_address(inner, "recipient"),
        stops_contact=stops,
        reason=f"crm_{meaning}" if stops else "",
        bounce=_bounce(inner, word) if meaning == "bounced" else "",
        detail={"type": kind},
    )


def _bounce(inner: Mapping[str, Any], word: str) -> BounceKind:
    """By severity, by the other server's codes, and by its words."""
    if _text(inner, "reason").lower() == "suppress-bounce":
        return "hard"
    if {_text(inner, "severity").lower(), word} & TEMPORARY:
        return "soft"
    status = inner.get("delivery-status")
    told = status if isinstance(status, Mapping) else {}
    words = " ".join(_text(told, name) for name in ("code", "enhanced-code", "message", "description"))
    return worst(read_report(words))


def _other(kind: str, whole: Mapping[str, Any]) -> Event:
    """The account itself, or a word that we don't know. One that was cut off still names its contact."""
    contact = _text(whole, "contactId")
    return Event(
        **_frame(kind, whole),
        type=TYPES.get(kind, "unknown"),
        contact_ref=contact,
        detail={"type": kind[:100]},
    )


READERS: Mapping[str, Callable[[str, Mapping[str, Any]], Event]] = {
    "Contact": _contact,
    "InboundMessage": _message,
    "OutboundMessage": _message,
    "LCEmailStats": _email_stats,
    "Opportunity": _opportunity,
}


def _frame(kind: str, whole: Mapping[str, Any]) -> dict[str, Any]:
    """Id, vendor and time. A workflow's webhook has no id: its whole content is one."""
    given = _text(whole, "webhookId") or _text(whole, "deliveryId")
    return {
        "id": given or digest(kind, whole)[:40],
        "vendor": "ghl",
        "occurred_at": _moment(whole.get("timestamp") or whole.get("dateUpdated") or whole.get("dateAdded")),
    }


def _moment(value: object) -> str:
    """ISO 8601; a number counts milliseconds since 1970."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value or "")[:40]
    try:
        return datetime.fromtimestamp(value / 1000, UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _text(whole: Mapping[str, Any], name: str) -> str:
    value = whole.get(name)
    return str(value)[:MAX_TEXT] if isinstance(value, (str, int, float)) else ""


def _address(whole: Mapping[str, Any], name: str) -> str:
    return parseaddr(_text(whole, name))[1].lower()


def _lists(whole: Mapping[str, Any]) -> dict[str, Any]:
    """Tags as a list: a workflow's webhook sends them as one text with commas."""
    tags = whole.get("tags")
    return {"tags": tags.split(",") if isinstance(tags, str) else tags if isinstance(tags, list) else []}


def _sent(payload: Mapping[str, Any]) -> str:
    return _moment(payload.get("timestamp"))


SOURCE = WebhookSource(verify=verify, parse=parse, sent=_sent)
