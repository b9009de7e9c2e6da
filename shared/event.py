"""What happened outside, in our words; a server maps its vendor's words by a table, unknown stays `unknown`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.bounce import BounceKind
from shared.effect import Json

EventType = Literal[
    "sent",
    "opened",
    "clicked",
    "replied",
    "auto_replied",
    "bounced",
    "unsubscribed",
    "complained",
    "campaign_completed",
    "account_error",
    "contact_created",
    "contact_updated",
    "contact_deleted",
    "tags_changed",
    "dnd_changed",
    "message_received",
    "message_sent",
    "opportunity_changed",
    "enriched",
    "job_finished",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `id` is the vendor's, or composed; the same id twice is the same event.

    `text` and `subject` come from outside: data, never instruction, never logged, never rendered unescaped.
    """

    id: str
    vendor: str
    type: EventType
    occurred_at: str  # ISO 8601 as the vendor says; orders nothing
    email: str = ""
    campaign_ref: str = ""  # the vendor's campaign id
    contact_ref: str = ""
    reference: str = ""  # vendor's id of the message, job or opportunity
    step: int = 0
    variant: str = ""
    subject: str = ""
    text: str = ""
    stops_contact: bool = False  # the person may not be written to any more: suppression acts at once
    reason: str = ""
    bounce: BounceKind | Literal[""] = ""  # of what bounced: hard, soft or unknown
    told_at: str = ""  # ISO 8601 by our own clock: when the webhook came; "" is now
    detail: Mapping[str, Json] = field(default_factory=dict)
