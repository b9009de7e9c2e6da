"""A person's decisions about a campaign: read, approve, reject, edit, leave somebody out or let them in.

    pending_review ─ approve ─▶ approved ─ (launched by the worker) ─▶ launching ─▶ live
         │  ▲                      │
         │  └──────── edit ────────┘ (takes the approval back)
         └ reject ─▶ rejected

An approval covers exactly what was stored when the person said yes: each person with every word, and the
start of the campaign. Resuming is not part of it: whoever resumes gives a yes of their own (`pausing.py`).
Roles are checked here, not on the page.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from orchestrator import compliance, runs
from orchestrator.accounts import need
from orchestrator.campaigns import campaign_fingerprint
from orchestrator.deciding import (
    GIVEN,
    Payload,
    change_row,
    decide,
    hold,
    need_for,
    pending,
    reason_of,
    refuse_author,
    refuse_unless_pending,
    refuse_while_killed,
)
from orchestrator.dossier import (
    ACTIVATE,
    ADD_LEAD,
    DRAFT,
    ENROLLMENT,
    PAGE,
    Row,
    campaign_row,
    detail,
    findings_of,
    one_by_one,
    people_of,
    queue,
    reading,
    views,
)
from orchestrator.familiar import new_in, remember_in
from orchestrator.intake import read_leads
from orchestrator.pausing import pause_campaign, resume_campaign
from orchestrator.provenance import approve_in, note_words_read, unread_words
from orchestrator.revising import edit, leave_out, let_in
from orchestrator.titles import seniority
from shared.approval import Item, Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import fingerprint
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import run_lead

__all__ = [
    "approve", "detail", "edit", "leave_out", "let_in", "mark_read", "mark_words_read", "pause_campaign", "queue",
    "reject", "resume_campaign", "why_not",
]  # fmt: skip

THERE = ("live", "in_doubt")


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────
async def mark_read(
    kernel: Kernel, campaign_id: str, lead_ids: Sequence[str], *, person: Person, version: int
) -> None:
    """Note that this person read these people's messages; who needs a yes of their own, one at a time.

    Raises `Invalid` or `Conflict`.
    """
    need(person, "approve")

    def change(connection: sa.Connection) -> None:
        row = pending(connection, campaign_id, version)
        known = people_of(connection, [campaign_id]).get(campaign_id, [])
        people = [p for p in known if p.lead_id in lead_ids]
        if len(people) > PAGE:
            raise Invalid(f"at most a page of {PAGE} at a time", field="lead_ids", code="too_many")
        if len(people) > 1 and any(one_by_one(row, p) for p in people):
            raise Invalid("these messages are read one at a time", field="lead_ids", code="one_by_one")
        seen = views(row)
        mine = dict.fromkeys([*seen.get(person.name, []), *(p.lead_id for p in people)])
        decide(connection, row, views={**seen, person.name: list(mine)})

    await kernel.store.write(change)


async def mark_words_read(kernel: Kernel, campaign_id: str, *, person: Person, version: int) -> None:
    """Note that this person read the campaign's words as such, with what changed in them. `Invalid` or `Conflict`."""
    need(person, "approve")
    await kernel.store.write(lambda c: note_words_read(c, pending(c, campaign_id, version), person.name))


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
    refuse_while_killed(kernel, connection)
    refuse_unless_pending(row, version)
    people = _covered(kernel, connection, row, person)
    _refuse_unread(row, people, person)
    _refuse_unread_words(kernel, connection, row, person)
    _refuse_new(kernel, connection, row, person)
    refuse_author(kernel, connection, row, person)
    enrollments = [ENROLLMENT.validate_json(one.enrollment) for one in people]
    draft = DRAFT.validate_json(row.draft)
    content = campaign_fingerprint(draft, enrollments)
    items = [Item(ADD_LEAD, fingerprint(enrollment)) for enrollment in enrollments]
    items.append(Item(ACTIVATE, fingerprint(draft)))
    given = kernel.approvals.give_in(
        connection, f"campaign:{campaign_id}", items, person=person, fingerprint=content
    )
    decided = {"state": "approved", "approval_id": given, "decided_by": person.name, "fingerprint": content}
    change_row(kernel, connection, campaign_id, **decided)
    remember_in(kernel, connection, row, person.name)
    approve_in(connection, campaign_id, by=person.name, at=iso(kernel.clock.now()))
    payload: Payload = {
        "approval": given, "fingerprint": content, "people": len(people), "version": version
    }  # fmt: skip
    append(connection, [Entry("review.approved", campaign_id, payload, person.name)], kernel.clock.now())
    return given


async def why_not(kernel: Kernel, campaign_id: str, *, person: Person) -> list[str]:
    """What keeps this person from approving it, whatever they have read. Raises `Invalid` (code `not_found`)."""

    def query(connection: sa.Connection) -> list[str]:
        row, found = campaign_row(connection, campaign_id), []
        try:
            refuse_while_killed(kernel, connection)
        except Conflict as error:
            found.append(error.message)
        for refuse in (_refuse_unread_words, _refuse_new, refuse_author):
            try:
                refuse(kernel, connection, row, person)
            except Invalid as error:
                found.append(error.message)
        return found

    return await kernel.store.read(query)


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
            hold(connection, row, one.lead_id, stopped[one.email], run_state="suppressed")
    people = [p for p in drafted if p.email not in stopped] + there
    if not people:
        raise Invalid("nobody is left in this campaign to write to; reject it", code="nobody_left")
    if any(compliance.verdict(findings_of(p)) == "blocked" for p in people):
        raise Invalid("compliance blocks a message in this campaign; edit it or leave it out", code="blocked")
    leads = read_leads(connection, [p.lead_id for p in people])
    if any(seniority(lead.title) == "c_level" for lead in leads.values()):
        need_for(person, "approve_c_level", "somebody at C-level is in this campaign")
    return people


def _refuse_new(kernel: Kernel, connection: sa.Connection, row: Row, person: Person) -> None:
    new = new_in(connection, row)
    if new and kernel.settings.safety.approvals.new_content == "operator":
        need_for(person, "approve_new", f"nobody has approved this {' and '.join(new)} before")


def _refuse_unread(row: Row, people: Sequence[Row], person: Person) -> None:
    state = reading(row, people, person.name)
    if not state.complete:
        missing = max(state.needed - state.read, len(state.unread_alone))
        raise Invalid(f"read the messages first: {missing} more to go", code="unread")


def _refuse_unread_words(kernel: Kernel, connection: sa.Connection, row: Row, person: Person) -> None:
    if why := unread_words(connection, row, kernel.settings.safety.approvals, person.name):
        message = f"read the words themselves first, beside what was approved last: {why[0]}"
        raise Invalid(message, field="words", code="words_unread")


async def reject(kernel: Kernel, campaign_id: str, *, person: Person, version: int, reason: str) -> None:
    """Say no, and why: what was drafted is not sent. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = reason_of(reason)

    def change(connection: sa.Connection) -> str:
        row = pending(connection, campaign_id, version)
        decide(connection, row, reason=why)
        change_row(kernel, connection, campaign_id, state="rejected", decided_by=person.name)
        mine = (run_lead.c.run_id == row.run_id, run_lead.c.campaign_id == campaign_id)
        turned_down = (*mine, run_lead.c.state == "in_review")
        connection.execute(sa.update(run_lead).where(*turned_down).values(state="rejected", reason=why))
        payload: Payload = {"reason": why, "version": version}
        append(connection, [Entry("review.rejected", campaign_id, payload, person.name)], kernel.clock.now())
        return str(row.run_id)

    await runs.finish_if_done(kernel, await kernel.store.write(change))
