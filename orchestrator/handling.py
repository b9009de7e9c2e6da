"""What an event means: stored once; who must not be written to is suppressed in the same transaction; then the rest.

unsubscribed · bounced · complained · DND ─▶ suppression + stop (same transaction as the event)
replied ─ classified ─ opt-out ─▶ suppression + stop        ─ a person must act ─▶ handoff
sent, replied ─▶ later, a few at a time: the CRM's tags and stages (`marks.py`)
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from orchestrator import stops
from orchestrator.app import App
from orchestrator.escalation import Escalation, escalate, handoff
from orchestrator.intake import read_lead
from orchestrator.replies import Classified, action_for, classify, suppresses
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical, digest
from shared.errors import Invalid
from shared.event import Event
from shared.lead import Lead
from shared.schema import campaign, campaign_lead, lead_key, run_lead
from shared.schema import event as event_table
from shared.schema import handoff as handoff_table
from shared.schema import reply as reply_table
from shared.telemetry import correlation, logger

log = logger("handling")
ANSWERS = {"replied", "auto_replied", "message_received"}
STOPPING = {"unsubscribed", "complained", "bounced"}
MOST_TEXT = 20_000  # characters of a reply that are kept


@dataclass(frozen=True, slots=True)
class Known:
    """What an event is about, as far as we know."""

    lead: Lead | None
    campaign_id: str
    tier: str
    score: int


async def handle(app: App, event: Event) -> None:
    """Store an event and what it means. Nothing outside is called, so nothing makes the next one wait."""
    await app.kernel.store.write(lambda c: _store(app, c, event))


def _store(app: App, connection: sa.Connection, event: Event) -> None:
    """The one transaction: event, suppression, reply, handoff."""
    now = app.kernel.clock.now()
    known = _about(connection, event)
    seen = sa.select(event_table.c.id).where(event_table.c.id == f"{event.vendor}:{event.id}")
    fresh = connection.execute(seen).scalar() is None
    if fresh:
        connection.execute(sa.insert(event_table).values(**_row(event, known, iso(now))))
        append(
            connection, [Entry(f"event.{event.type}", event.email or event.id, {"vendor": event.vendor})], now
        )
    if (event.type in STOPPING or event.stops_contact) and event.email:
        _stop(app, connection, event.email, event.type, event.vendor, now)
    if event.type in ANSWERS:
        _answer(app, connection, event, known, now)


def _about(connection: sa.Connection, event: Event) -> Known:
    """The lead and the campaign an event belongs to."""
    key = f"email:{event.email.strip().lower()}"
    lead_id = connection.execute(sa.select(lead_key.c.lead_id).where(lead_key.c.key == key)).scalar()
    by_ref = sa.select(campaign.c.id).where(campaign.c.vendor_ref == event.campaign_ref)
    campaign_id = connection.execute(by_ref).scalar() if event.campaign_ref else None
    if campaign_id is None and lead_id:
        last = sa.select(campaign_lead.c.campaign_id).where(campaign_lead.c.lead_id == lead_id).limit(1)
        campaign_id = connection.execute(last).scalar()
    scored = sa.select(run_lead.c.tier, run_lead.c.score).where(
        run_lead.c.lead_id == (lead_id or ""), run_lead.c.campaign_id == (campaign_id or "")
    )
    row = connection.execute(scored.limit(1)).one_or_none()
    found = read_lead(connection, lead_id) if lead_id else None
    return Known(found, campaign_id or "", row.tier if row else "", row.score if row else 0)


def _row(event: Event, known: Known, now: str) -> dict[str, object]:
    return {
        "id": f"{event.vendor}:{event.id}",
        "vendor": event.vendor,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": now,
        "lead_id": known.lead.id if known.lead else "",
        "campaign_id": known.campaign_id,
        "step": event.step,
        "variant": event.variant,
        "detail": canonical({"reference": event.reference, "reason": event.reason}).decode(),
        "correlation_id": correlation(),
    }


def _stop(app: App, connection: sa.Connection, email: str, reason: str, source: str, now: datetime) -> None:
    """On the list first, and out of the vendors' hands next."""
    try:
        app.kernel.suppression.add_in(connection, email, reason=reason, source=source)
    except Invalid as error:
        log.warning("suppression.unreadable", code=error.code)
        return
    stops.open_in(connection, email.strip().lower(), reason, iso(now))


def _answer(app: App, connection: sa.Connection, event: Event, known: Known, now: datetime) -> None:
    """Classify a reply, carry out an opt-out at once, and call a person where the table says so."""
    found = classify(event.subject, event.text, received=now.date())
    action = action_for(found, app.rules)
    if suppresses(found, app.rules) and event.email:
        _stop(app, connection, event.email, found.reply, "reply", now)
    elif action.stop_sequence and event.email:
        stops.halt_in(connection, event.email.strip().lower(), found.reply, iso(now))
    identifier = f"{event.vendor}:{event.id}"
    known_reply = sa.select(reply_table.c.event_id).where(reply_table.c.event_id == identifier)
    if connection.execute(known_reply).scalar() is None:
        values = _reply(event, known, found, action.action, iso(now))
        connection.execute(sa.insert(reply_table).values({"event_id": identifier, **values}))
        _call_somebody(app, connection, event, known, found, now)


def _reply(event: Event, known: Known, found: Classified, action: str, now: str) -> dict[str, object]:
    return {
        "lead_id": known.lead.id if known.lead else "",
        "campaign_id": known.campaign_id,
        "class": found.reply,
        "confidence": found.confidence,
        "rule": found.rule,
        "action": action,
        "subject": event.subject[:500],
        "text": event.text[:MOST_TEXT],
        "at": now,
    }


def _call_somebody(
    app: App, connection: sa.Connection, event: Event, known: Known, found: Classified, now: datetime
) -> None:
    if known.lead is None:
        return
    tier = known.tier or "tier_4"
    escalations = escalate(known.lead, tier, app.rules, found, icp=known.score)  # type: ignore[arg-type]  # a tier
    first = handoff(escalations)
    if first is not None:
        _hand_off(connection, event, known, first, now)


def _hand_off(connection: sa.Connection, event: Event, known: Known, one: Escalation, now: datetime) -> None:
    identifier = digest("handoff/v1", event.vendor, event.id, one.trigger)[:24]
    values = {
        "lead_id": known.lead.id if known.lead else "",
        "campaign_id": known.campaign_id,
        "event_id": f"{event.vendor}:{event.id}",
        "trigger": one.trigger,
        "destination": ", ".join(one.to),
        "priority": one.priority,
        "due_at": iso(one.due(now)),
        "created_at": iso(now),
    }
    connection.execute(sa.insert(handoff_table).values(id=identifier, **values))
    payload: dict[str, Json] = {"trigger": one.trigger, "to": list(one.to), "priority": one.priority}
    append(connection, [Entry("handoff.created", identifier, payload)], now)
