"""Answers to replies: drafted from a template when one comes, read and approved by a person, word for word.

    reply ─ its class has a template, and somebody at the other end ─▶ pending_review ─ approved ─▶ (answering.py)
                                                                    ├ edited ─▶ pending_review, checked again
                                                                    ├ rejected
                                                                    └ they wrote again ─▶ superseded

A machine, and who ended contact, get no draft. What policy lets out without a person is at most one in a row.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import compliance
from orchestrator.accounts import need, others_who_may
from orchestrator.app import App
from orchestrator.deciding import need_for, refuse_while_killed
from orchestrator.finding import Finding
from orchestrator.intake import read_lead
from orchestrator.outreach_rules import CampaignType
from orchestrator.rendering import render_answer
from orchestrator.replies import Classified
from orchestrator.titles import seniority
from shared.approval import Item, Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import canonical, digest, fingerprint
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.lead import Lead, Tier
from shared.pipeline_schema import answer, campaign, campaign_lead
from shared.ports import Enrollment, Message, ReplyMessage

SEND_REPLY = "instantly.send_reply"
POLICY = Person("policy: config/answers.yaml", "operator")
GONE_OUT = ("approved", "sent", "in_doubt", "simulated")
FINDINGS: TypeAdapter[tuple[Finding, ...]] = TypeAdapter(tuple[Finding, ...])
ENROLLMENT: TypeAdapter[Enrollment] = TypeAdapter(Enrollment)
LONGEST_BODY = 10_000
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The reply that is answered. `reference` is the sequencer's id of it, `mailbox` ours that it came to."""

    event_id: str
    lead: Lead
    tier: Tier
    campaign_id: str
    email: str
    mailbox: str
    reference: str


# ── drafting ─────────────────────────────────────────────────────────────────────────────────────────────
def draft_in(app: App, connection: sa.Connection, asked: Asked, found: Classified, now: datetime) -> str:
    """In the caller's transaction: a draft in answer to this reply. Its id, or "" where none is due."""
    template = app.rules.answers.drafts.get(found.reply)
    reachable = asked.email and asked.mailbox and asked.reference
    if template is None or found.to_confirm or not reachable:
        return ""
    if app.kernel.suppression.check(connection, [asked.email]):
        return ""
    kind, subject = _thread(connection, asked)
    body = render_answer(asked.lead, template, kind, app.rules)
    findings = _check(app, asked.lead, subject, body)
    identifier = digest("answer/v1", asked.event_id)[:24]
    older = sa.update(answer).where(answer.c.email == asked.email, answer.c.state == "pending_review")
    connection.execute(older.values(state="superseded"))
    row = {
        "id": identifier,
        "event_id": asked.event_id,
        "lead_id": asked.lead.id,
        "campaign_id": asked.campaign_id,
        "class": found.reply,
        "email": asked.email,
        "mailbox": asked.mailbox,
        "reference": asked.reference,
        "subject": f"Re: {subject}",
        "body": body,
        "findings": FINDINGS.dump_json(findings).decode(),
        "state": "pending_review",
        "at": iso(now),
    }
    connection.execute(sa.insert(answer).values(row))
    append(connection, [Entry("answer.drafted", identifier, {"class": found.reply})], now)
    if _by_policy(app, connection, asked, found, findings):
        _give(app, connection, the(connection, identifier), POLICY, automatic=True)
    return identifier


def _thread(connection: sa.Connection, asked: Asked) -> tuple[CampaignType, str]:
    """The kind of campaign, and the subject that we began with: never words from outside."""
    mine = (campaign_lead.c.campaign_id == asked.campaign_id, campaign_lead.c.lead_id == asked.lead.id)
    query = sa.select(campaign_lead.c.enrollment, campaign.c.type).join(
        campaign, campaign.c.id == campaign_lead.c.campaign_id
    )
    row = connection.execute(query.where(*mine)).one_or_none()
    if row is None:
        return "thought_leadership", "your answer"
    messages = ENROLLMENT.validate_json(row.enrollment).messages
    subject = next((one.subject for one in messages if one.subject), "your answer")
    return cast("CampaignType", row.type), subject[:250]


def _check(app: App, lead: Lead, subject: str, body: str) -> tuple[Finding, ...]:
    return compliance.check(lead, (Message(subject=subject, body=body),), app.rules)


def _by_policy(
    app: App, connection: sa.Connection, asked: Asked, found: Classified, findings: tuple[Finding, ...]
) -> bool:
    """Whether it may go out without a person: at most one, until a person has answered in between."""
    last = (
        sa.select(answer.c.automatic)
        .where(answer.c.email == asked.email, answer.c.state.in_(GONE_OUT))
        .order_by(answer.c.at.desc())
    )
    return (
        found.reply in app.rules.answers.by_policy
        and not findings
        and asked.tier != "tier_1"
        and seniority(asked.lead.title) != "c_level"
        and not app.kernel.switches.state(connection).killed
        and connection.execute(last.limit(1)).scalar() != 1
    )


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def the(connection: sa.Connection, identifier: str) -> Row:
    """The answer. Raises `Invalid` for an unknown one."""
    row = connection.execute(sa.select(answer).where(answer.c.id == identifier)).one_or_none()
    if row is None:
        raise Invalid("there is no such answer", field="answer", code="not_found")
    return row


def as_message(row: Row) -> ReplyMessage:
    """Exactly what would be sent."""
    return ReplyMessage(
        message_ref=str(row.reference),
        email=str(row.email),
        mailbox=str(row.mailbox),
        subject=str(row.subject),
        body=str(row.body),
        campaign_id=str(row.campaign_id),
    )


async def approve(app: App, identifier: str, *, person: Person, version: int) -> str:
    """Say yes to exactly these words. Returns the approval's id. Raises `Invalid` or `Conflict`."""
    need(person, "approve")

    def change(connection: sa.Connection) -> str:
        refuse_while_killed(app.kernel, connection)
        row = _pending(connection, identifier, version)
        lead = read_lead(connection, str(row.lead_id))
        if lead and seniority(lead.title) == "c_level":
            need_for(person, "approve_c_level", "this goes to somebody at C-level")
        if row.edited_by == person.name and _four_eyes(app, connection, person):
            raise Invalid(
                "you wrote these words: somebody else approves them", field="role", code="four_eyes"
            )
        if compliance.verdict(FINDINGS.validate_json(str(row.findings))) == "blocked":
            raise Invalid("compliance blocks these words; edit them or leave it", code="blocked")
        return _give(app, connection, row, person)

    given = await app.kernel.store.write(change)
    await app.kernel.audit.checkpoint("approval")
    return given


def _four_eyes(app: App, connection: sa.Connection, person: Person) -> bool:
    rule = app.kernel.settings.safety.approvals.four_eyes
    return rule is True or (rule == "auto" and others_who_may(connection, "approve", person))


def _give(app: App, connection: sa.Connection, row: Row, person: Person, *, automatic: bool = False) -> str:
    content = fingerprint(json.loads(canonical(as_message(row))))
    given = app.kernel.approvals.give_in(
        connection, f"answer:{row.id}", [Item(SEND_REPLY, content)], person=person, fingerprint=content
    )
    _set(app, connection, row, person, state="approved", approval_id=given, automatic=int(automatic))
    return given


async def reject(app: App, identifier: str, *, person: Person, version: int, reason: str) -> None:
    """It isn't sent. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = " ".join(clean(reason).split())[:500]

    def change(connection: sa.Connection) -> None:
        row = _pending(connection, identifier, version)
        _set(app, connection, row, person, state="rejected", reason=why)

    await app.kernel.store.write(change)


async def edit(app: App, identifier: str, *, person: Person, version: int, body: str) -> int:
    """Other words, checked again, still to be approved. Returns the new version. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    tidy = clean(body).strip()
    if not tidy or len(tidy) > LONGEST_BODY:
        raise Invalid(f"an answer has 1 to {LONGEST_BODY:,} characters", field="body")

    def change(connection: sa.Connection) -> int:
        row = _pending(connection, identifier, version)
        lead = read_lead(connection, str(row.lead_id)) or Lead(id="", email=str(row.email))
        findings = _check(app, lead, str(row.subject).removeprefix("Re: "), tidy)
        values = {"body": tidy, "version": version + 1, "edited_by": person.name}
        values["findings"] = FINDINGS.dump_json(findings).decode()
        connection.execute(sa.update(answer).where(answer.c.id == identifier).values(**values))
        entry = Entry("answer.edited", identifier, {"version": version + 1}, person.name)
        append(connection, [entry], app.kernel.clock.now())
        return version + 1

    return await app.kernel.store.write(change)


def _pending(connection: sa.Connection, identifier: str, version: int) -> Row:
    row = the(connection, identifier)
    if row.state != "pending_review":
        raise Conflict(f"this answer isn't waiting any more: {row.state}", code="decided")
    if row.version != version:
        raise Conflict("somebody changed this answer since you looked; look again", code="stale")
    return row


def _set(app: App, connection: sa.Connection, row: Row, person: Person, **values: Any) -> None:
    now = app.kernel.clock.now()
    decided = {**values, "decided_by": person.name, "decided_at": iso(now)}
    connection.execute(sa.update(answer).where(answer.c.id == row.id).values(**decided))
    payload = {"version": row.version, "reason": str(values.get("reason", ""))}
    append(connection, [Entry(f"answer.{values['state']}", str(row.id), payload, person.name)], now)
