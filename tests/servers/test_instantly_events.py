"""Instantly's webhooks: what they mean, when they are the same, and when they are believed."""

from collections.abc import Callable
from typing import Any

import pytest

from servers.instantly.events import EVENT_TYPES, parse, verify
from shared.settings import Settings

BASE: dict[str, Any] = {
    "timestamp": "2026-08-13T11:12:10.578Z",
    "event_type": "reply_received",
    "workspace": "019ffad2-8d52-7649-baa5-000000000001",
    "campaign_id": "019ffad2-8d52-7649-baa5-000000000002",
    "campaign_name": "Example",
    "lead_email": "jane@acme.example",
    "email_account": "me@sender.example",
    "step": 1,
    "variant": 1,
    "is_first": True,
    "email_id": "019ffad2-8d52-7649-baa5-000000000003",
    "email_subject": "Hello",
    "reply_subject": "Re: Hello",
    "reply_text_snippet": "Please",
    "reply_text": "Please stop",
}


@pytest.mark.parametrize(
    ("named", "meant", "stops"),
    [
        ("email_sent", "sent", False),
        ("email_opened", "opened", False),
        ("link_clicked", "clicked", False),
        ("email_link_clicked", "clicked", False),
        ("reply_received", "replied", False),
        ("auto_reply_received", "auto_replied", False),
        ("email_bounced", "bounced", False),
        ("lead_unsubscribed", "unsubscribed", True),
        ("campaign_completed", "campaign_completed", False),
        ("account_error", "account_error", False),
        ("lead_interested", "unknown", False),
        ("Our own label", "unknown", False),
    ],
)
def test_an_event_is_named_by_the_table(named: str, meant: str, stops: bool) -> None:
    event = parse({**BASE, "event_type": named})
    assert (event.type, event.stops_contact) == (meant, stops)
    assert event.detail["event_type"] == named


def test_a_bounce_is_of_an_unknown_kind_because_the_vendor_gives_no_reason() -> None:
    event = parse({**BASE, "event_type": "email_bounced", "bounce_reason": "550 5.1.1"})
    assert (event.bounce, event.stops_contact, event.reason) == ("unknown", False, "")
    assert parse(BASE).bounce == ""


def test_a_reply_carries_its_words_and_where_it_belongs() -> None:
    event = parse({**BASE, "swarm_lead_id": "l-1", "swarm_campaign_id": "c-1", "swarm_variant": "B"})
    assert (event.email, event.campaign_ref, event.step) == ("jane@acme.example", BASE["campaign_id"], 1)
    assert (event.subject, event.text, event.variant) == ("Re: Hello", "Please stop", "B")
    assert (event.detail["lead_id"], event.detail["campaign_id"]) == ("l-1", "c-1")
    assert event.occurred_at == BASE["timestamp"]


def test_the_same_payload_is_the_same_event_and_another_step_is_not() -> None:
    assert parse(BASE).id == parse({**BASE, "campaign_name": "Renamed", "extra": 1}).id
    others = [
        {**BASE, key: "other"}
        for key in ("workspace", "event_type", "campaign_id", "lead_email", "step", "timestamp", "email_id")
    ]
    assert len({parse(one).id for one in (BASE, *others)}) == len(others) + 1


def test_words_of_another_shape_are_dropped_not_trusted() -> None:
    event = parse({"event_type": ["reply_received"], "lead_email": {"a": 1}, "step": "1", "reply_text": 5})
    assert (event.type, event.email, event.step, event.text) == ("unknown", "", 0, "")


def test_a_webhook_is_believed_only_with_our_secret(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(INSTANTLY_WEBHOOK_SECRET="s3cret").vendor("instantly")
    assert verify({"x-swarm-secret": "s3cret"}, b"{}", settings)
    assert not verify({"x-swarm-secret": "other"}, b"{}", settings)
    assert not verify({}, b"{}", settings)


def test_without_a_configured_secret_nothing_is_believed(settings_for: Callable[..., Settings]) -> None:
    settings = settings_for(INSTANTLY_API_KEY="key").vendor("instantly")
    assert not settings.sandbox
    assert not verify({"x-swarm-secret": ""}, b"{}", settings)


def test_every_documented_payload_type_but_labels_is_in_the_table() -> None:
    documented = {
        "email_sent",
        "email_opened",
        "reply_received",
        "auto_reply_received",
        "link_clicked",
        "email_bounced",
        "lead_unsubscribed",
        "account_error",
        "campaign_completed",
    }
    assert documented <= set(EVENT_TYPES)
