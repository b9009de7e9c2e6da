"""What happened lately, as the rules that stop things count it: people by when and in which campaign.

A person is a lead; one that we don't know is whoever the event tells of. Moments are those at which we learnt of it.
Mail that belongs to no lead and no campaign of ours isn't counted; a complaint always is, with the mailbox of ours that
had written.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.halt_rules import HaltRules
from shared.pipeline_schema import FOUND, campaign, campaign_lead, event, owed, reply, stop
from shared.schema import approval, effect

ABOUT_TO_BE_SENT = ("approved", "launching")
NOT_SENT = ("held", "stopped")
STRANGER = "event "
MAKES_CONTACTS = ("create_contact", "upsert_contact")


@dataclass(frozen=True, slots=True)
class Seen:
    """Something about somebody (or an effect, or a contact), in which campaign and when.

    `mailbox`: ours that had written, of a complaint, as far as it is known; nothing else has one.
    """

    who: str
    campaign: str
    at: str
    mailbox: str = ""

    @property
    def stranger(self) -> bool:
        """Nobody we know."""
        return self.who.startswith(STRANGER)

    @property
    def ours(self) -> bool:
        """It tells of a lead, or of a campaign of ours."""
        return bool(self.campaign) or not self.stranger


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything within the window. `opt_outs` are those still open after their time, by when they were made."""

    sent: tuple[Seen, ...] = ()
    bounced: tuple[Seen, ...] = ()
    complained: tuple[Seen, ...] = ()
    answered: tuple[Seen, ...] = ()
    negative: tuple[Seen, ...] = ()
    effects: tuple[Seen, ...] = ()
    errors: tuple[Seen, ...] = ()
    failures: tuple[Seen, ...] = ()
    duplicates: tuple[Seen, ...] = ()
    opt_outs: tuple[Seen, ...] = ()


def observe(connection: sa.Connection, rules: HaltRules, crm: str, since: str, overdue: str) -> Observed:
    """In one consistent read. `since`: where the window begins; `overdue`: an opt-out asked for before this is late."""
    answers = _answers(connection, since)
    words = rules.negative_replies

    def said(*classes: str) -> tuple[Seen, ...]:
        return tuple(one for one, word in answers if word in classes)

    done, failed = _effects(connection, rules.system_errors.reasons, since)
    return Observed(
        sent=tuple(one for one in _events(connection, "sent", since) if not one.stranger),
        bounced=tuple(one for one in (*_bounced(connection, since), *said("bounce")) if one.ours),
        complained=tuple(_complained(connection, since)),
        answered=tuple(one for one, word in answers if word not in words.automatic),
        negative=said(*words.negative),
        effects=(*done, *failed),
        errors=failed,
        failures=(*_refused(connection, rules.compliance.refusals, since), *_blocked(connection, since)),
        duplicates=tuple(_duplicates(connection, crm, since)),
        opt_outs=tuple(_opt_outs(connection, overdue)),
    )


def _who() -> sa.ColumnElement[str]:
    """The lead; for somebody we don't know, the event itself: two unknown people aren't the same."""
    return sa.func.coalesce(sa.func.nullif(event.c.lead_id, ""), STRANGER + event.c.id)


def _events(
    connection: sa.Connection, kind: str, since: str, *more: sa.ColumnElement[bool]
) -> tuple[Seen, ...]:
    query = sa.select(_who(), event.c.campaign_id, event.c.received_at)
    told = connection.execute(query.where(event.c.type == kind, event.c.received_at > since, *more))
    return tuple(Seen(*row) for row in told)


def _bounced(connection: sa.Connection, since: str) -> tuple[Seen, ...]:
    """What bounced for good, or for reasons nobody knows; a full mailbox says nothing of a list's quality."""
    return _events(connection, "bounced", since, event.c.bounce != "soft")


def _answers(connection: sa.Connection, since: str) -> list[tuple[Seen, str]]:
    """Answers with their class: a complaint or a bounce (not a soft one) may arrive as mail."""
    columns = (_who(), event.c.campaign_id, event.c.received_at, reply.c["class"])
    joined = sa.select(*columns).join(reply, reply.c.event_id == event.c.id)
    told = connection.execute(joined.where(event.c.received_at > since, event.c.bounce != "soft"))
    return [(Seen(row[0], row[1], row[2]), str(row[3])) for row in told]


def _complained(connection: sa.Connection, since: str) -> Iterator[Seen]:
    """Complaints, as such or as mail, each with the mailbox that had written."""
    columns = (event.c.type, event.c.lead_id, event.c.campaign_id, event.c.received_at, event.c.detail)
    lately = sa.select(_who().label("who"), *columns).where(event.c.received_at > since)
    said = (reply.c["class"] == "complaint", event.c.bounce != "soft")
    mail = lately.join(reply, reply.c.event_id == event.c.id).where(*said)
    for query in (lately.where(event.c.type == "complained"), mail):
        for row in connection.execute(query).all():
            yield Seen(row.who, row.campaign_id, row.received_at, _mailbox(connection, row))


def _mailbox(connection: sa.Connection, row: sa.Row[Any]) -> str:
    """Who answers names it; any other report may have come to any mailbox, so the last one that wrote comes first."""
    sent = sa.select(event.c.detail).where(
        event.c.lead_id == row.lead_id, event.c.campaign_id == row.campaign_id, event.c.type == "sent"
    )
    last = sent.order_by(event.c.received_at.desc(), event.c.step.desc()).limit(1)
    wrote = connection.execute(last).scalar() if row.lead_id else None
    told = (row.detail, wrote) if row.type == "replied" else (wrote, row.detail)
    return next((box for text in told if text and (box := json.loads(text).get("mailbox", ""))), "")


def _effects(
    connection: sa.Connection, reasons: tuple[str, ...], since: str
) -> tuple[tuple[Seen, ...], tuple[Seen, ...]]:
    """What was applied, and what failed for the vendor's reasons or whose answer was lost."""
    columns = (effect.c.key, effect.c.campaign, effect.c.settled_at)
    query = sa.select(*columns).where(effect.c.settled_at > since)
    failed = sa.or_(
        effect.c.status == "in_doubt", sa.and_(effect.c.status == "failed", effect.c.reason.in_(reasons))
    )
    done = tuple(Seen(*row) for row in connection.execute(query.where(effect.c.status == "applied")))
    return done, tuple(Seen(*row) for row in connection.execute(query.where(failed)))


def _refused(connection: sa.Connection, reasons: tuple[str, ...], since: str) -> Iterator[Seen]:
    """What a campaign would have sent, and the gate found to be wrong."""
    query = sa.select(effect.c.key, effect.c.campaign, effect.c.settled_at).where(
        effect.c.settled_at > since,
        effect.c.status == "refused",
        effect.c.reason.in_(reasons),
        effect.c.campaign != "",
    )
    return (Seen(*row) for row in connection.execute(query))


def _blocked(connection: sa.Connection, since: str) -> Iterator[Seen]:
    """Messages on their way out that compliance blocks; the moment is that of the approval."""
    columns = (campaign_lead.c.lead_id, campaign_lead.c.campaign_id, approval.c.at, campaign_lead.c.findings)
    query = (
        sa.select(*columns)
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .join(approval, approval.c.id == campaign.c.approval_id)
        .where(
            campaign.c.state.in_(ABOUT_TO_BE_SENT),
            campaign_lead.c.state.not_in(NOT_SENT),
            FOUND,
            approval.c.at > since,
        )
    )
    for row in connection.execute(query):
        if any(found["severity"] == "block" for found in json.loads(row.findings)):
            yield Seen(f"{row.campaign_id}/{row.lead_id}", row.campaign_id, row.at)


def _duplicates(connection: sa.Connection, crm: str, since: str) -> Iterator[Seen]:
    """Contacts that the CRM holds beside another one of the same address, as our own receipts show."""
    ours = (effect.c.vendor == crm, effect.c.action.in_(MAKES_CONTACTS), effect.c.status == "applied")
    lately = sa.select(effect.c.target).where(*ours, effect.c.settled_at > since)
    query = (
        sa.select(effect.c.target, effect.c.reference, sa.func.min(effect.c.settled_at).label("at"))
        .where(*ours, effect.c.reference != "", effect.c.target.in_(lately))
        .group_by(effect.c.target, effect.c.reference)
        .order_by(effect.c.target, sa.text("at"))
    )
    before = ""
    for target, reference, at in connection.execute(query):
        if target == before and at > since:
            yield Seen(reference, "", at)
        before = target


def _opt_outs(connection: sa.Connection, overdue: str) -> Iterator[Seen]:
    """Stops and entries of our list that a vendor hasn't confirmed in time."""
    stops = sa.select(stop.c.id, stop.c.at).where(
        stop.c.state == "open", stop.c.kind.in_(("person", "domain")), stop.c.at < overdue
    )
    entries = sa.select(owed.c.id, owed.c.at).where(owed.c.state == "open", owed.c.at < overdue)
    return (Seen(row.id, "", row.at) for query in (stops, entries) for row in connection.execute(query))
