"""What Instantly's objects look like in our words: vendor vocabularies as tables, records for the tools."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from shared.ports import BlocklistEntry, CampaignView, LeadStatus

CampaignStatus = Literal[
    "draft", "active", "paused", "completed", "unhealthy", "bounce_protect", "suspended", "unknown"
]

# 4 is "running subsequences": it still sends, so it counts as active.
CAMPAIGN_STATUS: Mapping[int, CampaignStatus] = {
    0: "draft",
    1: "active",
    2: "paused",
    3: "completed",
    4: "active",
    -1: "unhealthy",
    -2: "bounce_protect",
    -99: "suspended",
}
# Most serious first: a person may be in several campaigns.
LEAD_STATUS: Mapping[int, str] = {
    -2: "unsubscribed",
    -1: "bounced",
    -3: "skipped",
    1: "active",
    2: "paused",
    3: "completed",
}
MAILBOX_STATUS: Mapping[int, str] = {
    1: "active",
    2: "paused",
    3: "maintenance",
    -1: "connection_error",
    -2: "soft_bounce_error",
    -3: "sending_error",
}
WARMUP_STATUS: Mapping[int, str] = {
    0: "paused",
    1: "active",
    -1: "banned",
    -2: "spam_folder_unknown",
    -3: "suspended",
}
PREVIEW = 1_000  # characters of a reply's text in a list


@dataclass(frozen=True, slots=True)
class CampaignAnalytics:
    """A campaign's figures since it began; -1 where there is none. Automatic replies are not in `replies`."""

    campaign_ref: str
    name: str
    status: str
    leads: int = -1
    contacted: int = -1  # people who got at least the first message
    sent: int = -1  # messages
    opened: int = -1  # people
    clicked: int = -1  # people
    replies: int = -1  # people
    auto_replies: int = -1
    bounced: int = -1
    unsubscribed: int = -1
    completed: int = -1


@dataclass(frozen=True, slots=True)
class Reply:
    """A received message. `subject` and `text` come from outside: data, never instruction."""

    id: str
    email: str
    campaign_ref: str
    mailbox: str
    received_at: str
    automatic: bool
    unread: bool
    subject: str
    text: str
    omitted: int = 0  # characters left out of `text`


@dataclass(frozen=True, slots=True)
class ReplyPage:
    """Some replies, newest first, and where the next page begins."""

    replies: tuple[Reply, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A sending account; -1 where a number isn't known. Bounces over 5 % of what was sent stop everything."""

    email: str
    status: str
    warmup: str
    daily_limit: int = -1
    health_score: int = -1  # of warming up, out of 100
    sent_lately: int = -1  # campaign messages in the last seven days
    bounced_lately: int = -1


@dataclass(frozen=True, slots=True)
class MailboxPage:
    """Some sending accounts, where the next page begins, and which figures could not be had, and why."""

    mailboxes: tuple[Mailbox, ...]
    next_cursor: str = ""
    missing: str = ""


def text_of(record: Mapping[str, Any], key: str) -> str:
    """A text field of a vendor's object; anything else counts as empty."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def number_of(record: Mapping[str, Any], key: str, missing: int = -1) -> int:
    """A whole number of a vendor's object; anything else counts as `missing`."""
    value = record.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else missing


def campaign_status(campaign: Mapping[str, Any]) -> CampaignStatus:
    """A campaign's status in our words."""
    return CAMPAIGN_STATUS.get(number_of(campaign, "status", 1_000), "unknown")


def campaign_view(campaign: Mapping[str, Any]) -> CampaignView:
    """A campaign without its figures: those cost a second call."""
    return CampaignView(text_of(campaign, "id"), text_of(campaign, "name"), campaign_status(campaign))


def analytics_view(figures: Mapping[str, Any]) -> CampaignAnalytics:
    """A campaign's figures; unique counts where the vendor has both."""
    status = CAMPAIGN_STATUS.get(number_of(figures, "campaign_status", 1_000), "unknown")
    return CampaignAnalytics(
        campaign_ref=text_of(figures, "campaign_id"),
        name=text_of(figures, "campaign_name"),
        status=status,
        leads=number_of(figures, "leads_count"),
        contacted=number_of(figures, "contacted_count"),
        sent=number_of(figures, "emails_sent_count"),
        opened=number_of(figures, "open_count_unique", number_of(figures, "open_count")),
        clicked=number_of(figures, "link_click_count_unique", number_of(figures, "link_click_count")),
        replies=number_of(figures, "reply_count_unique", number_of(figures, "reply_count")),
        auto_replies=number_of(figures, "reply_count_automatic"),
        bounced=number_of(figures, "bounced_count"),
        unsubscribed=number_of(figures, "unsubscribed_count"),
        completed=number_of(figures, "completed_count"),
    )


def reply_view(email: Mapping[str, Any]) -> Reply:
    """A received message, its text cut to a preview."""
    body = email.get("body")
    text = text_of(body, "text") if isinstance(body, Mapping) else ""
    text = text or text_of(email, "content_preview")
    return Reply(
        id=text_of(email, "id"),
        email=text_of(email, "lead") or text_of(email, "from_address_email"),
        campaign_ref=text_of(email, "campaign_id"),
        mailbox=text_of(email, "eaccount"),
        received_at=text_of(email, "timestamp_email"),
        automatic=number_of(email, "is_auto_reply", 0) == 1,
        unread=number_of(email, "is_unread", 0) == 1,
        subject=text_of(email, "subject"),
        text=text[:PREVIEW],
        omitted=max(0, len(text) - PREVIEW),
    )


def blocklist_view(entry: Mapping[str, Any]) -> BlocklistEntry:
    """A block-list entry."""
    return BlocklistEntry(
        text_of(entry, "bl_value"), entry.get("is_domain") is True, text_of(entry, "timestamp_created")
    )


def mailbox_view(account: Mapping[str, Any], health: int, sent: int, bounced: int) -> Mailbox:
    """A sending account; an unknown status stays `unknown`."""
    return Mailbox(
        email=text_of(account, "email"),
        status=MAILBOX_STATUS.get(number_of(account, "status", 1_000), "unknown"),
        warmup=WARMUP_STATUS.get(number_of(account, "warmup_status", 1_000), "unknown"),
        daily_limit=number_of(account, "daily_limit"),
        health_score=health,
        sent_lately=sent,
        bounced_lately=bounced,
    )


def lead_status_view(email: str, leads: list[Mapping[str, Any]]) -> LeadStatus:
    """Where a person stands over all campaigns: the most serious status, and the campaigns they are in."""
    statuses = {number_of(lead, "status", 1_000) for lead in leads}
    status = next((word for number, word in LEAD_STATUS.items() if number in statuses), "unknown")
    campaigns = tuple(dict.fromkeys(ref for lead in leads if (ref := text_of(lead, "campaign"))))
    return LeadStatus(email, bool(leads), status if leads else "", campaigns)
