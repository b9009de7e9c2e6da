"""What an event means: stored once; who must not be written to is suppressed in the same transaction; then the rest.

unsubscribed · complained · DND ─▶ suppression + stop, under every address we know of the person
bounced ─ hard                  ─▶ the same for this address alone
        ─ nobody knows why      ─▶ its sequence stops      ─ soft ─▶ only noted
replied ─ classified ─ opt-out  ─▶ suppression + stop        ─ a person must act ─▶ handoff
                     ─ perhaps one ─▶ held + stop, a person confirms (`unclear.py`)
                     ─ away ─▶ stop until the day after their return (`absences.py`)
                     ─ a human answer ─▶ the sequence stops
                     ─ names somebody else ─▶ proposed to a person (`referrals.py`)
sent, replied ─▶ the CRM is to be told, later and a few at a time (`marks.py`)
sent to somebody who is on the list ─▶ stopped once more
campaign completed ─▶ the campaign is over
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa

from orchestrator import absences, mailboxes, marks, opt_out_link, referrals, rereads, stops, unclear
from orchestrator.answers import Asked, draft_in
from orchestrator.app import App
from orchestrator.escalation import escalate, escalation_of, handoff
from orchestrator.handing_over import About, hand_off_in
from orchestrator.identity import addresses_of, lead_of_address, lead_of_contact
from orchestrator.intake import read_lead
from orchestrator.replies import Classified, action_for, classify, suppresses
from shared.address import read_address
from shared.audit import Entry, append
from shared.bounce import Bounce, read_report, worst
from shared.clock import iso
from shared.effect import canonical
from shared.errors import Invalid
from shared.event import Event
from shared.feedback import Feedback, Meaning, read_feedback
from shared.foreign import clean
from shared.lead import Lead, Tier
from shared.pipeline_schema import campaign, campaign_lead, run_lead
from shared.pipeline_schema import event as event_table
from shared.pipeline_schema import reply as reply_table
from shared.schema import inbound
from shared.suppression import BOUNCED
from shared.telemetry import correlation, logger

log = logger("handling")
MARKS = frozenset({"crm_dnd_email", "crm_dnc_tag", "crm_dnc"})  # what a stop of ours leaves in the CRM
ANSWERS = {"replied", "auto_replied", "message_received"}
STOPPING = {"unsubscribed", "complained"}
# What a mailbox provider's report amounts to.
FEEDBACK: Mapping[Meaning, Classified] = {
    "complaint": Classified("complaint", 0.99, "complaint.feedback_report"),
    "unsubscribed": Classified("unsubscribe", 0.99, "unsubscribe.feedback_report"),
    "nothing": Classified("auto_reply", 0.99, "auto_reply.feedback_report"),
}
MOST_TEXT = 20_000  # characters of a reply that are kept
TEXTS = (
    "id",
    "vendor",
    "occurred_at",
    "email",
    "campaign_ref",
    "contact_ref",
    "reference",
    "variant",
    "subject",
    "text",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Known:
    """What an event is about, as far as we know. `addresses` are all that the person is in campaigns under."""

    lead: Lead | None
    addresses: tuple[str, ...]
    campaign_id: str
    tier: Tier
    score: int

    @property
    def lead_id(self) -> str:
        """Our id of the person, or ""."""
        return self.lead.id if self.lead else ""


async def handle(app: App, event: Event, *, inbound_id: int = 0) -> None:
    """Store an event and what it means, and that the webhook is dealt with, in one transaction.

    Nothing outside is called, so nothing makes the next one wait.
    """
    event = _sound(event)
    now = app.kernel.clock.now()
    # Reading an answer takes time that the writer of the database doesn't have.
    found = read_answer(event, now)
    report = read_report(event.text) if found and found.reply == "bounce" else ()
    feedback = read_feedback(event.text) if found else None
    found = _of_feedback(feedback, found)
    named = referrals.named_in(event.text, found)

    def change(connection: sa.Connection) -> None:
        told = _complained(connection, event, feedback) if feedback else _reported(connection, event, report)
        _store(app, connection, told, found, now)
        referrals.propose_in(app, connection, f"{event.vendor}:{event.id}", named, now)
        if inbound_id:
            connection.execute(sa.update(inbound).where(inbound.c.id == inbound_id).values(state="done"))

    await app.kernel.store.write(change)


def read_answer(event: Event, now: datetime) -> Classified | None:
    """What it means, if it is an answer."""
    if event.type not in ANSWERS:
        return None
    machine = event.type == "auto_replied"
    return classify(event.subject, event.text, received=now.date(), told_automatic=machine)


def _sound(event: Event) -> Event:
    """The event in text that can be stored: half a surrogate pair, cut off by a vendor, must not cost an opt-out."""
    texts: dict[str, Any] = {name: clean(getattr(event, name)) for name in TEXTS}
    return replace(event, **texts)


def _of_feedback(feedback: Feedback | None, found: Classified | None) -> Classified | None:
    """A report's class; of mail that is none, as it was."""
    return FEEDBACK[feedback.meaning] if feedback else found


def _complained(connection: sa.Connection, event: Event, feedback: Feedback) -> Event:
    """The event about whom the report names: whoever sent it is a mailbox provider, and nobody to be stopped.

    Where somebody we write to sends one, or it answers a campaign, it is about themselves, whatever it names.
    """
    if event.type == "replied" or lead_of_address(connection, event.email):
        return event
    known = (one for one in feedback.recipients if lead_of_address(connection, one))
    return replace(event, email=next(iter((*known, *feedback.recipients[:1])), ""), contact_ref="")


def _reported(connection: sa.Connection, event: Event, report: tuple[Bounce, ...]) -> Event:
    """The event with what a delivery report says; it comes from a machine, and names whom it is about."""
    if not report:
        return event
    if not (event.email and lead_of_address(connection, event.email)):
        for one in report:
            if one.recipient and lead_of_address(connection, one.recipient):
                return replace(event, email=one.recipient, bounce=one.kind)
    return replace(event, bounce=worst(report))


def _store(
    app: App, connection: sa.Connection, event: Event, found: Classified | None, now: datetime
) -> None:
    """Event, suppression, reply, handoff."""
    known = _about(connection, event)
    _keep(app, connection, event, known, now)
    _stop(app, connection, event, known, now)
    if found is not None and not _heard(connection, event):
        _answer(app, connection, event, known, found, now)
    if known.lead and event.type in rereads.TELLING and not event.stops_contact:
        rereads.note_in(connection, event.contact_ref, now, app.rules.routing.catching_up.reread_seconds)
    if event.type in marks.HAPPENED and known.lead:
        marks.note_in(connection, known.lead_id, known.campaign_id, marks.HAPPENED[event.type])
    if event.type == "campaign_completed" and known.campaign_id:
        over = sa.update(campaign).where(campaign.c.id == known.campaign_id, campaign.c.state == "live")
        connection.execute(over.values(state="completed", updated_at=iso(now)))


def _keep(app: App, connection: sa.Connection, event: Event, known: Known, now: datetime) -> None:
    """The event itself, once."""
    seen = sa.select(event_table.c.id).where(event_table.c.id == f"{event.vendor}:{event.id}")
    if connection.execute(seen).scalar() is None:
        mailbox = mailboxes.told_of(app, connection, event, known.campaign_id)
        connection.execute(sa.insert(event_table).values(**_row(event, known, iso(now), mailbox)))
        whom = event.email or known.lead_id or event.id
        append(connection, [Entry(f"event.{event.type}", whom, {"vendor": event.vendor})], now)


def _heard(connection: sa.Connection, event: Event) -> bool:
    """Whether the same message was told under another id: by a webhook and, when it was late, by asking for it."""
    same = (event_table.c.vendor == event.vendor, event_table.c.reference == event.reference)
    another = event_table.c.id != f"{event.vendor}:{event.id}"
    query = sa.select(event_table.c.id).where(*same, another, event_table.c.type == event.type).limit(1)
    told_twice = event.type in ANSWERS and bool(event.reference)
    return told_twice and connection.execute(query).scalar() is not None


# ── who and what it is about ─────────────────────────────────────────────────────────────────────────────
def _about(connection: sa.Connection, event: Event) -> Known:
    """The lead and the campaign an event belongs to; a CRM's event may name only the CRM's own id."""
    lead_id = lead_of_address(connection, event.email) if event.email else ""
    lead_id = lead_id or lead_of_contact(connection, event.contact_ref)
    campaign_id = _campaign(connection, event, lead_id)
    scored = sa.select(run_lead.c.tier, run_lead.c.score).where(
        run_lead.c.lead_id == lead_id, run_lead.c.campaign_id == campaign_id
    )
    row = connection.execute(scored.limit(1)).one_or_none() if lead_id else None
    tier, score = (row.tier or "tier_4", row.score) if row else ("tier_4", 0)
    found = read_lead(connection, lead_id) if lead_id else None
    addresses = addresses_of(connection, event.email, lead_id)
    others = event.detail.get("other_emails")  # of the same contact, as the CRM has it
    for one in others if isinstance(others, list | tuple) else ():
        addresses = tuple(dict.fromkeys((*addresses, *addresses_of(connection, str(one), ""))))
    return Known(found, addresses, campaign_id, cast("Tier", tier), score)


def _campaign(connection: sa.Connection, event: Event, lead_id: str) -> str:
    """Named by the vendor's id, or by ours; an event that names none belongs to the person's newest campaign."""
    if event.campaign_ref:
        named = campaign.c.id if event.vendor == opt_out_link.NAME else campaign.c.vendor_ref
        by_ref = sa.select(campaign.c.id).where(named == event.campaign_ref)
        return connection.execute(by_ref.limit(1)).scalar() or ""
    newest = (
        sa.select(campaign.c.id)
        .join(campaign_lead, campaign_lead.c.campaign_id == campaign.c.id)
        .where(campaign_lead.c.lead_id == lead_id)
        .order_by(campaign.c.created_at.desc())
    )
    return (connection.execute(newest.limit(1)).scalar() or "") if lead_id else ""


def _row(event: Event, known: Known, now: str, mailbox: str) -> dict[str, object]:
    detail = {"reference": event.reference, "reason": event.reason}
    detail |= {"mailbox": mailbox} if mailbox else {}
    return {
        "id": f"{event.vendor}:{event.id}",
        "vendor": event.vendor,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": now,
        "lead_id": known.lead_id,
        "campaign_id": known.campaign_id,
        "step": event.step,
        "variant": event.variant,
        "reference": event.reference,
        "bounce": event.bounce or ("unknown" if event.type == "bounced" else ""),
        "detail": canonical(detail).decode(),
        "correlation_id": correlation(),
    }


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
def _stop(app: App, connection: sa.Connection, event: Event, known: Known, now: datetime) -> None:
    """On the list first, and out of the vendors' hands next; also people we know only by their address."""
    if event.type == "bounced":
        _bounced(app, connection, event, known, now)
    elif event.type in STOPPING or event.stops_contact:
        suppress_in(app, connection, known.addresses, event.reason or event.type, event.vendor, now)
    elif event.type == "sent":
        _stop_once_more(app, connection, known, event.told_at or iso(now), now)


def stop_in(app: App, connection: sa.Connection, event: Event, reason: str, now: datetime) -> None:
    """In the caller's transaction, and before all else that an event means: nobody writes to this person any more."""
    event = _sound(event)
    known = _about(connection, event)
    addresses = known.addresses[:1] if reason in stops.OF_AN_ADDRESS else known.addresses
    source = "reply" if event.type in ANSWERS else event.vendor
    suppress_in(app, connection, addresses, reason, source, now)


def _bounced(app: App, connection: sa.Connection, event: Event, known: Known, now: datetime) -> None:
    """The address alone, by the bounce's kind; the person's others may be well."""
    address = known.addresses[:1] if event.email else ()
    if event.bounce == "hard" and app.rules.routing.replies["bounce"].suppress:
        suppress_in(app, connection, address, "bounced", event.vendor, now)
    elif event.bounce != "soft":
        for one in address:
            stops.halt_in(connection, one, "bounced", now)


def _stop_once_more(app: App, connection: sa.Connection, known: Known, told_at: str, now: datetime) -> None:
    """Mail left for somebody who is on the list: a vendor has them still.

    An opt-out counts while its webhook is being answered, other events only later: mail that we were told of before
    the person was on the list left before that, too.
    """
    suppression = app.kernel.suppression
    refused = suppression.check(connection, known.addresses)
    for address in (one for one, why in refused.items() if why == "suppressed"):
        if told_at >= suppression.since(connection, suppression.keys_of(read_address(address))):
            log.warning("stop.mailed_after_all", vendor_campaign=known.campaign_id)
            stops.open_in(connection, address, "mailed after a stop", now, anew=True)


def suppress_in(
    app: App, connection: sa.Connection, addresses: tuple[str, ...], reason: str, source: str, now: datetime
) -> None:
    if not addresses:
        log.warning("suppression.nobody", reason=reason, vendor=source)
    # Our own stop of a bounced address comes back as a mark; it stops the person, and speaks of nobody else there.
    before = app.kernel.suppression.opted_out(connection, addresses)
    echo = reason in MARKS and bool(addresses) and before.get(addresses[0]) in {BOUNCED, *MARKS}
    for address in addresses:
        try:
            new = app.kernel.suppression.add_in(connection, address, reason=reason, source=source)
        except Invalid as error:
            log.warning("suppression.unreadable", code=error.code)
            continue
        stops.open_in(connection, address, reason, now, anew=new)
    if reason not in stops.OF_AN_ADDRESS and addresses and not echo:
        stops.hold_company_in(app.kernel, connection, addresses[0])


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────
def _answer(
    app: App, connection: sa.Connection, event: Event, known: Known, found: Classified, now: datetime
) -> None:
    """Carry out an opt-out at once, and call a person where the table says so."""
    if found.reply == "bounce":
        _bounced(app, connection, event, known, now)
    else:
        # Other mail in the CRM, of somebody we don't know and in words we don't know, is nobody's answer.
        if known.lead or event.type == "replied" or found.reply != "unknown":
            carry_out_in(app, connection, known.addresses, found, now)
    identifier = f"{event.vendor}:{event.id}"
    known_reply = sa.select(reply_table.c.event_id).where(reply_table.c.event_id == identifier)
    if connection.execute(known_reply).scalar() is None:
        values = _reply(app, event, known, found, now)
        connection.execute(sa.insert(reply_table).values({"event_id": identifier, **values}))
        _call_somebody(app, connection, event, known, found, now)
        _draft(app, connection, event, known, found, now)


def _draft(
    app: App, connection: sa.Connection, event: Event, known: Known, found: Classified, now: datetime
) -> None:
    """An answer to the answer, for a person to read; only to whom we know, and in the thread it came in."""
    if known.lead is None or event.type != "replied":
        return
    mailbox = str(event.detail.get("mailbox", ""))
    asked = Asked(
        f"{event.vendor}:{event.id}",
        known.lead,
        known.tier,
        known.campaign_id,
        event.email,
        mailbox,
        event.reference,
    )
    draft_in(app, connection, asked, found, now)


def carry_out_in(
    app: App, connection: sa.Connection, addresses: tuple[str, ...], found: Classified, now: datetime
) -> None:
    """In the caller's transaction: what an answer of this class stops."""
    if suppresses(found, app.rules):
        suppress_in(app, connection, addresses, found.reply, "reply", now)
    elif found.to_confirm or found.reply == "unknown":
        unclear.hold_in(app.kernel, connection, addresses, now)
    elif found.reply == absences.AWAY or action_for(found, app.rules).stop_sequence:
        for address in addresses:
            stops.halt_in(connection, address, found.reply, now)


def _reply(app: App, event: Event, known: Known, found: Classified, now: datetime) -> dict[str, object]:
    back = absences.back_on(found, now.date(), app.rules)
    return {
        "lead_id": known.lead_id,
        "campaign_id": known.campaign_id,
        "class": found.reply,
        "confidence": found.confidence,
        "rule": found.rule,
        "action": action_for(found, app.rules).action,
        "subject": event.subject[:500],
        "text": event.text[:MOST_TEXT],
        "at": iso(now),
        "email": event.email[:320],
        "mailbox": str(event.detail.get("mailbox", ""))[:320],
        "reference": event.reference[:200],
        "also": canonical(list(found.also)).decode(),
        "resume_on": back,
    }


def _call_somebody(
    app: App, connection: sa.Connection, event: Event, known: Known, found: Classified, now: datetime
) -> None:
    """An answer to a campaign reaches a person also when we don't know whose it is; other mail in the CRM doesn't.

    What may be an opt-out always does: until somebody has read it, nobody there is written to.
    """
    lead = known.lead or Lead(id="", email=event.email)
    found_ones = escalate(lead, known.tier, app.rules, found, icp=known.score)
    wanted = [] if known.lead is None and event.type != "replied" else [handoff(found_ones)]
    if found.to_confirm:
        wanted.append(escalation_of(unclear.TRIGGER, app.rules))
    held = found.to_confirm or found.reply == "unknown"
    about = About(f"{event.vendor}:{event.id}", known.lead_id, known.campaign_id, held=held)
    for one in dict.fromkeys(one for one in wanted if one):
        hand_off_in(connection, about, one, now)
