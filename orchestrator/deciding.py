"""The parts of a decision about a campaign: is it open, who is in it, what changes with every change of it."""

import json
from collections.abc import Mapping

import sqlalchemy as sa

from orchestrator.accounts import others_who_may
from orchestrator.campaigns import campaign_fingerprint
from orchestrator.dossier import (
    DRAFT,
    ENROLLMENT,
    OPEN,
    PENDING,
    Row,
    campaign_row,
    decision,
    people_of,
    views,
)
from orchestrator.roles import Right, allowed
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, run_lead

GIVEN = ("approved", "launching", "live", "simulated", "paused", "completed")
EDITED = "review.edited"  # whoever does this is an author of the words
LONGEST_REASON = 500
Payload = Mapping[str, Json]


def refuse_while_killed(kernel: Kernel, connection: sa.Connection) -> None:
    """Raise `Conflict` while the kill switch is on: who says yes now says it to a page from before."""
    if kernel.switches.state(connection).killed:
        message = "the kill switch is on; what is right now may not be when it is released: approve it then"
        raise Conflict(message, code="killed")


def refuse_author(kernel: Kernel, connection: sa.Connection, row: Row, person: Person) -> None:
    """Raise `Invalid` where this person wrote words of it, and somebody else has an account that may approve."""
    rule = kernel.settings.safety.approvals.four_eyes
    if rule is False or person.name not in _authors(row):
        return
    if rule is True or others_who_may(connection, "approve", person):
        message = "you changed words of this campaign: somebody else approves it"
        raise Invalid(message, field="role", code="four_eyes")


def need_for(person: Person, right: Right, why: str) -> None:
    """Raise `Invalid` (code `not_allowed`) unless the person has the right, saying what asks for it."""
    if not allowed(person.role, right):
        raise Invalid(f"{why}: an operator or admin approves it", field="role", code="not_allowed")


def pending(connection: sa.Connection, campaign_id: str, version: int) -> Row:
    """The campaign, if it waits in that version; else `Conflict`."""
    row = campaign_row(connection, campaign_id)
    refuse_unless_pending(row, version)
    return row


def refuse_unless_pending(row: Row, version: int) -> None:
    """Raise `Conflict` unless it waits for a decision, in the version that was shown."""
    if row.state in GIVEN:
        raise Conflict(f"this campaign was already approved by {row.decided_by}", code="decided")
    if row.state != PENDING:
        raise Conflict(f"this campaign doesn't wait for a review: it is {row.state}", code="decided")
    _refuse_stale(row, version)


def _refuse_stale(row: Row, version: int) -> None:
    if row.version != version:
        raise Conflict("this campaign was changed since you opened it; look at it again", code="stale")


def editable(connection: sa.Connection, campaign_id: str, version: int) -> Row:
    """The campaign, if its words and people may still be changed; else `Conflict`."""
    row = campaign_row(connection, campaign_id)
    if row.state not in {PENDING, "approved"}:
        raise Conflict(f"this campaign can't be changed any more: it is {row.state}", code="decided")
    _refuse_stale(row, version)
    return row


def open_person(connection: sa.Connection, campaign_id: str, lead_id: str) -> Row:
    """One of its people whose words aren't on their way; else `Invalid`."""
    query = sa.select(campaign_lead).where(
        campaign_lead.c.campaign_id == campaign_id,
        campaign_lead.c.lead_id == lead_id,
        campaign_lead.c.state.in_(OPEN),
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Invalid("there is no such person in this campaign", field="lead_id", code="not_found")
    return row


def changed(
    kernel: Kernel,
    connection: sa.Connection,
    row: Row,
    kind: str,
    person: Person,
    lead_id: str,
    payload: Payload,
) -> int:
    """After a change to words or people: next version, new fingerprint, no approval, unread, remembered."""
    if row.approval_id:
        kernel.approvals.revoke_in(connection, row.approval_id, actor=person.name, reason=kind)
    people = [p for p in people_of(connection, [row.id]).get(row.id, []) if p.state == "drafted"]
    enrollments = [ENROLLMENT.validate_json(p.enrollment) for p in people]
    content = campaign_fingerprint(DRAFT.validate_json(row.draft), enrollments)
    unread = {reader: [one for one in ids if one != lead_id] for reader, ids in views(row).items()}
    authors = dict.fromkeys([*_authors(row), *([person.name] if kind == EDITED else [])])
    decide(connection, row, views=unread, authors=list(authors))
    values = {"state": PENDING, "approval_id": "", "decided_by": "", "fingerprint": content}
    change_row(kernel, connection, row.id, version=row.version + 1, **values)
    entry = Entry(kind, row.id, {"lead": lead_id, "version": row.version + 1, **payload}, person.name)
    append(connection, [entry], kernel.clock.now())
    return int(row.version) + 1


def _authors(row: Row) -> list[str]:
    found = decision(row).get("authors", [])
    return [str(name) for name in found] if isinstance(found, list) else []


def change_row(kernel: Kernel, connection: sa.Connection, campaign_id: str, **values: str | int) -> None:
    """New values of a campaign."""
    changed = sa.update(campaign).where(campaign.c.id == campaign_id)
    connection.execute(changed.values(updated_at=iso(kernel.clock.now()), **values))


def decide(connection: sa.Connection, row: Row, **parts: object) -> None:
    """Add to what is on record about the decision; the plan stays."""
    made = json.dumps({**decision(row), **parts})
    connection.execute(sa.update(campaign).where(campaign.c.id == row.id).values(decision=made))


def hold(connection: sa.Connection, row: Row, lead_id: str, reason: str, *, run_state: str = "held") -> None:
    """This person gets nothing of the campaign."""
    _move(connection, row, lead_id, "held", run_state, reason)


def free(connection: sa.Connection, row: Row, lead_id: str) -> None:
    """This person is part of it."""
    _move(connection, row, lead_id, "drafted", "in_review", "")


def _move(connection: sa.Connection, row: Row, lead_id: str, state: str, run_state: str, reason: str) -> None:
    """One person, in the campaign and in its run."""
    here = (campaign_lead.c.campaign_id == row.id, campaign_lead.c.lead_id == lead_id)
    connection.execute(sa.update(campaign_lead).where(*here).values(state=state, reason=reason))
    there = (run_lead.c.run_id == row.run_id, run_lead.c.lead_id == lead_id)
    connection.execute(sa.update(run_lead).where(*there).values(state=run_state, reason=reason))


def reason_of(text: str) -> str:
    """A reason as it is stored; `Invalid` where none was given."""
    tidy = " ".join(clean(text).split())[:LONGEST_REASON]
    if not tidy:
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    return tidy
