"""A person's decisions about a campaign: read, approve, reject, edit, leave somebody out or let them in.

    pending_review ─ approve ─▶ approved ─ (launched by the worker) ─▶ launching ─▶ live
         │  ▲                      │
         │  └──────── edit ────────┘ (takes the approval back)
         └ reject ─▶ rejected

An approval covers exactly what was stored when the person said yes: each person with every word, and the
start of the campaign. Resuming is not part of it: whoever resumes gives a yes of their own (`pausing.py`).
Roles are checked here, not on the page.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from orchestrator import compliance, runs
from orchestrator.accounts import Right, need
from orchestrator.app import App
from orchestrator.campaigns import campaign_fingerprint
from orchestrator.dossier import (
    ACTIVATE,
    ADD_LEAD,
    DRAFT,
    ENROLLMENT,
    OPEN,
    PENDING,
    Row,
    campaign_row,
    decision,
    detail,
    findings_of,
    one_by_one,
    people_of,
    queue,
    reading,
    views,
)
from orchestrator.intake import read_lead, read_leads
from orchestrator.pausing import pause_campaign, resume_campaign
from orchestrator.titles import seniority
from shared.approval import Item, Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical, fingerprint
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, run_lead
from shared.ports import Enrollment, Message

__all__ = [
    "approve", "detail", "edit", "leave_out", "let_in", "mark_read", "pause_campaign", "queue", "reject",
    "resume_campaign",
]  # fmt: skip

MESSAGE = TypeAdapter(Message)
GIVEN = ("approved", "launching", "live", "simulated", "paused", "completed")
THERE = ("live", "in_doubt")
LONGEST_REASON = 500
Payload = Mapping[str, Json]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────
async def mark_read(
    kernel: Kernel, campaign_id: str, lead_ids: Sequence[str], *, person: Person, version: int
) -> None:
    """Note that this person read these people's messages; who needs a yes of their own, one at a time.

    Raises `Invalid` or `Conflict`.
    """
    need(person, "approve")

    def change(connection: sa.Connection) -> None:
        row = _pending(connection, campaign_id, version)
        known = people_of(connection, [campaign_id]).get(campaign_id, [])
        people = [p for p in known if p.lead_id in lead_ids]
        if len(people) > 1 and any(one_by_one(row, p) for p in people):
            raise Invalid("these messages are read one at a time", field="lead_ids", code="one_by_one")
        seen = views(row)
        mine = dict.fromkeys([*seen.get(person.name, []), *(p.lead_id for p in people)])
        _decide(connection, row, views={**seen, person.name: list(mine)})

    await kernel.store.write(change)


# ── approving and rejecting ──────────────────────────────────────────────────────────────────────────────
async def approve(kernel: Kernel, campaign_id: str, *, person: Person, version: int) -> str:
    """Say yes to everybody in the campaign who is not held; returns the approval's id.

    Whoever is suppressed by now is held instead. The same yes twice gives the same approval. Raises `Invalid`
    for what may not be approved or wasn't read enough, `Conflict` for what changed or was decided.
    """
    need(person, "approve")
    given = await kernel.store.write(lambda c: _approve(kernel, c, campaign_id, person, version))
    await kernel.audit.checkpoint("approval")
    return given


def _approve(
    kernel: Kernel, connection: sa.Connection, campaign_id: str, person: Person, version: int
) -> str:
    row = campaign_row(connection, campaign_id)
    if row.state in GIVEN and row.approval_id and (row.decided_by, row.version) == (person.name, version):
        return str(row.approval_id)
    _refuse_unless_pending(row, version)
    people = _covered(kernel, connection, row, person)
    _refuse_unread(row, people, person)
    enrollments = [ENROLLMENT.validate_json(one.enrollment) for one in people]
    draft = DRAFT.validate_json(row.draft)
    content = campaign_fingerprint(draft, enrollments)
    items = [Item(ADD_LEAD, fingerprint(enrollment)) for enrollment in enrollments]
    items.append(Item(ACTIVATE, fingerprint(draft)))
    given = kernel.approvals.give_in(
        connection, f"campaign:{campaign_id}", items, person=person, fingerprint=content
    )
    decided = {"state": "approved", "approval_id": given, "decided_by": person.name, "fingerprint": content}
    _change(kernel, connection, campaign_id, **decided)
    payload: Payload = {
        "approval": given, "fingerprint": content, "people": len(people), "version": version
    }  # fmt: skip
    append(connection, [Entry("review.approved", campaign_id, payload, person.name)], kernel.clock.now())
    return given


def _covered(kernel: Kernel, connection: sa.Connection, row: Row, person: Person) -> list[Row]:
    """Who the yes is for; the suppressed are held now. `Invalid` where nobody or the wrong one is left.

    Somebody who is at the vendor already, from a launch that stopped half-way, is part of it: the start reaches them.
    """
    everybody = people_of(connection, [row.id]).get(row.id, [])
    drafted = [p for p in everybody if p.state == "drafted"]
    there = [p for p in everybody if p.state in THERE]
    stopped = kernel.suppression.check(connection, [p.email for p in drafted])
    for one in drafted:
        if one.email in stopped:
            _hold(connection, row, one.lead_id, stopped[one.email], run_state="suppressed")
    people = [p for p in drafted if p.email not in stopped] + there
    if not people:
        raise Invalid("nobody is left in this campaign to write to; reject it", code="nobody_left")
    if any(compliance.verdict(findings_of(p)) == "blocked" for p in people):
        raise Invalid("compliance blocks a message in this campaign; edit it or leave it out", code="blocked")
    leads = read_leads(connection, [p.lead_id for p in people])
    if any(seniority(lead.title) == "c_level" for lead in leads.values()):
        _need_for_top(person)
    return people


def _need_for_top(person: Person) -> None:
    try:
        need(person, "approve_c_level")
    except Invalid as error:
        message = "somebody at C-level is in this campaign: an operator or admin approves it"
        raise Invalid(message, field="role", code="not_allowed") from error


def _refuse_unread(row: Row, people: Sequence[Row], person: Person) -> None:
    state = reading(row, people, person.name)
    if not state.complete:
        missing = max(state.needed - state.read, len(state.unread_alone))
        raise Invalid(f"read the messages first: {missing} more to go", code="unread")


async def reject(kernel: Kernel, campaign_id: str, *, person: Person, version: int, reason: str) -> None:
    """Say no, and why: what was drafted is not sent. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = _reason(reason)

    def change(connection: sa.Connection) -> str:
        row = _pending(connection, campaign_id, version)
        _decide(connection, row, reason=why)
        _change(kernel, connection, campaign_id, state="rejected", decided_by=person.name)
        mine = (run_lead.c.run_id == row.run_id, run_lead.c.campaign_id == campaign_id)
        turned_down = (*mine, run_lead.c.state == "in_review")
        connection.execute(sa.update(run_lead).where(*turned_down).values(state="rejected", reason=why))
        payload: Payload = {"reason": why, "version": version}
        append(connection, [Entry("review.rejected", campaign_id, payload, person.name)], kernel.clock.now())
        return str(row.run_id)

    await runs.finish_if_done(kernel, await kernel.store.write(change))


# ── changing words and people ────────────────────────────────────────────────────────────────────────────
async def edit(
    app: App,
    campaign_id: str,
    lead_id: str,
    step: int,
    subject: str,
    body: str,
    *,
    person: Person,
    version: int,
) -> int:
    """Change one message (`step` counts from 1), check it again, and return the campaign's new version.

    An approval that stood is taken back, and what was read of this person is unread. Raises `Invalid` or
    `Conflict`.
    """
    need(person, "approve")
    message = _message(subject, body)

    def change(connection: sa.Connection) -> int:
        row = _editable(connection, campaign_id, version)
        one = _open_person(connection, campaign_id, lead_id)
        before = ENROLLMENT.validate_json(one.enrollment)
        after = _with_message(before, step, message)
        _store_words(app, connection, row, one, after)
        words: Payload = {"step": step, "before": fingerprint(before), "after": fingerprint(after)}
        return _changed(app.kernel, connection, row, "review.edited", person, lead_id, words)

    return await app.kernel.store.write(change)


def _message(subject: str, body: str) -> Message:
    """The words as a page sends them, as they will be stored."""
    tidy = clean(body).replace("\r\n", "\n").strip()
    try:
        return MESSAGE.validate_python({"subject": clean(subject).strip(), "body": tidy})
    except ValidationError as error:
        part = str(error.errors(include_input=False)[0]["loc"][-1])
        raise Invalid(f"the {part} is too long", field=part, code="too_long") from error


def _with_message(before: Enrollment, step: int, message: Message) -> Enrollment:
    if not 1 <= step <= len(before.messages):
        raise Invalid("there is no such message", field="step", code="not_found")
    messages = (*before.messages[: step - 1], message, *before.messages[step:])
    return replace(before, messages=messages)


def _store_words(app: App, connection: sa.Connection, row: Row, one: Row, after: Enrollment) -> None:
    """The new words with what compliance says of them: held or freed by that, unless held otherwise."""
    lead = read_lead(connection, one.lead_id)
    if lead is None:
        raise Invalid("this lead is gone", field="lead_id", code="not_found")
    found = compliance.check(lead, after.messages, app.rules)
    values = {
        "enrollment": canonical(after).decode(),
        "findings": json.dumps([asdict(finding) for finding in found]),
    }
    where = (campaign_lead.c.campaign_id == row.id, campaign_lead.c.lead_id == one.lead_id)
    connection.execute(sa.update(campaign_lead).where(*where).values(**values))
    if compliance.verdict(found) in {"blocked", "held"}:
        _hold(connection, row, one.lead_id, found[0].why)
    elif one.state == "drafted" or one.reason in {finding.why for finding in findings_of(one)}:
        _free(connection, row, one.lead_id)


async def leave_out(
    kernel: Kernel, campaign_id: str, lead_id: str, *, person: Person, version: int, reason: str
) -> int:
    """Hold one person of a campaign; returns the campaign's new version. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = _reason(reason)

    def change(connection: sa.Connection) -> int:
        row = _editable(connection, campaign_id, version)
        one = _open_person(connection, campaign_id, lead_id)
        _hold(connection, row, one.lead_id, f"left out: {why}")
        return _changed(kernel, connection, row, "review.left_out", person, lead_id, {"reason": why})

    return await kernel.store.write(change)


async def let_in(
    kernel: Kernel, campaign_id: str, lead_id: str, *, person: Person, version: int, reason: str
) -> int:
    """Put a held person back in, after finding out what the hold asked for; returns the new version.

    Never for what compliance blocks or for the suppressed; C-level, and holds for other reasons than
    seniority, are for operators. Raises `Invalid` or `Conflict`.
    """
    why = _reason(reason)

    def change(connection: sa.Connection) -> int:
        row = _editable(connection, campaign_id, version)
        one = _open_person(connection, campaign_id, lead_id)
        need(person, _right_to_let_in(one))
        if kernel.suppression.check(connection, [one.email]):
            raise Invalid("this person may not be written to", field="lead_id", code="suppressed")
        _free(connection, row, one.lead_id)
        return _changed(kernel, connection, row, "review.let_in", person, lead_id, {"reason": why})

    return await kernel.store.write(change)


def _right_to_let_in(one: Row) -> Right:
    found = findings_of(one)
    if compliance.verdict(found) == "blocked":
        raise Invalid("compliance blocks this message; edit it instead", field="lead_id", code="blocked")
    held = compliance.verdict(found) == "held"
    top = any(finding.code == "c_level" for finding in found)
    return "approve_c_level" if held or top else "approve"


# ── the parts of a decision ──────────────────────────────────────────────────────────────────────────────
def _pending(connection: sa.Connection, campaign_id: str, version: int) -> Row:
    row = campaign_row(connection, campaign_id)
    _refuse_unless_pending(row, version)
    return row


def _refuse_unless_pending(row: Row, version: int) -> None:
    if row.state in GIVEN:
        raise Conflict(f"this campaign was already approved by {row.decided_by}", code="decided")
    if row.state != PENDING:
        raise Conflict(f"this campaign doesn't wait for a review: it is {row.state}", code="decided")
    _refuse_stale(row, version)


def _refuse_stale(row: Row, version: int) -> None:
    if row.version != version:
        raise Conflict("this campaign was changed since you opened it; look at it again", code="stale")


def _editable(connection: sa.Connection, campaign_id: str, version: int) -> Row:
    row = campaign_row(connection, campaign_id)
    if row.state not in {PENDING, "approved"}:
        raise Conflict(f"this campaign can't be changed any more: it is {row.state}", code="decided")
    _refuse_stale(row, version)
    return row


def _open_person(connection: sa.Connection, campaign_id: str, lead_id: str) -> Row:
    query = sa.select(campaign_lead).where(
        campaign_lead.c.campaign_id == campaign_id,
        campaign_lead.c.lead_id == lead_id,
        campaign_lead.c.state.in_(OPEN),
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise Invalid("there is no such person in this campaign", field="lead_id", code="not_found")
    return row


def _changed(
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
    _decide(connection, row, views=unread)
    values = {"state": PENDING, "approval_id": "", "decided_by": "", "fingerprint": content}
    _change(kernel, connection, row.id, version=row.version + 1, **values)
    entry = Entry(kind, row.id, {"lead": lead_id, "version": row.version + 1, **payload}, person.name)
    append(connection, [entry], kernel.clock.now())
    return int(row.version) + 1


def _change(kernel: Kernel, connection: sa.Connection, campaign_id: str, **values: str | int) -> None:
    changed = sa.update(campaign).where(campaign.c.id == campaign_id)
    connection.execute(changed.values(updated_at=iso(kernel.clock.now()), **values))


def _decide(connection: sa.Connection, row: Row, **parts: object) -> None:
    """Add to what is on record about the decision; the plan stays."""
    made = json.dumps({**decision(row), **parts})
    connection.execute(sa.update(campaign).where(campaign.c.id == row.id).values(decision=made))


def _hold(connection: sa.Connection, row: Row, lead_id: str, reason: str, *, run_state: str = "held") -> None:
    _move(connection, row, lead_id, "held", run_state, reason)


def _free(connection: sa.Connection, row: Row, lead_id: str) -> None:
    _move(connection, row, lead_id, "drafted", "in_review", "")


def _move(connection: sa.Connection, row: Row, lead_id: str, state: str, run_state: str, reason: str) -> None:
    """One person, in the campaign and in its run."""
    here = (campaign_lead.c.campaign_id == row.id, campaign_lead.c.lead_id == lead_id)
    connection.execute(sa.update(campaign_lead).where(*here).values(state=state, reason=reason))
    there = (run_lead.c.run_id == row.run_id, run_lead.c.lead_id == lead_id)
    connection.execute(sa.update(run_lead).where(*there).values(state=run_state, reason=reason))


def _reason(text: str) -> str:
    tidy = " ".join(clean(text).split())[:LONGEST_REASON]
    if not tidy:
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    return tidy
