"""Changing what a campaign would send, and to whom: a message, somebody left out, somebody let in.

Each change makes a new version, takes an approval back, and has to be read and approved anew; whoever wrote the words
isn't the one who approves them, where there is somebody else who may.
"""

import json
from dataclasses import asdict, replace

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from orchestrator import compliance
from orchestrator.accounts import need
from orchestrator.app import App
from orchestrator.deciding import EDITED, Payload, changed, editable, free, hold, open_person, reason_of
from orchestrator.dossier import ENROLLMENT, Row, findings_of
from orchestrator.intake import read_lead
from orchestrator.roles import Right
from shared.approval import Person
from shared.effect import canonical, fingerprint
from shared.errors import Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead
from shared.ports import Enrollment, Message

MESSAGE = TypeAdapter(Message)


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
        row = editable(connection, campaign_id, version)
        one = open_person(connection, campaign_id, lead_id)
        before = ENROLLMENT.validate_json(one.enrollment)
        after = _with_message(before, step, message)
        _store_words(app, connection, row, one, after)
        words: Payload = {"step": step, "before": fingerprint(before), "after": fingerprint(after)}
        return changed(app.kernel, connection, row, EDITED, person, lead_id, words)

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
        hold(connection, row, one.lead_id, found[0].why)
    elif one.state == "drafted" or one.reason in {finding.why for finding in findings_of(one)}:
        free(connection, row, one.lead_id)


async def leave_out(
    kernel: Kernel, campaign_id: str, lead_id: str, *, person: Person, version: int, reason: str
) -> int:
    """Hold one person of a campaign; returns the campaign's new version. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = reason_of(reason)

    def change(connection: sa.Connection) -> int:
        row = editable(connection, campaign_id, version)
        one = open_person(connection, campaign_id, lead_id)
        hold(connection, row, one.lead_id, f"left out: {why}")
        return changed(kernel, connection, row, "review.left_out", person, lead_id, {"reason": why})

    return await kernel.store.write(change)


async def let_in(
    kernel: Kernel, campaign_id: str, lead_id: str, *, person: Person, version: int, reason: str
) -> int:
    """Put a held person back in, after finding out what the hold asked for; returns the new version.

    Never for what compliance blocks or for the suppressed; C-level, and holds for other reasons than
    seniority, are for operators. Raises `Invalid` or `Conflict`.
    """
    why = reason_of(reason)

    def change(connection: sa.Connection) -> int:
        row = editable(connection, campaign_id, version)
        one = open_person(connection, campaign_id, lead_id)
        need(person, _right_to_let_in(one))
        if kernel.suppression.check(connection, [one.email]):
            raise Invalid("this person may not be written to", field="lead_id", code="suppressed")
        free(connection, row, one.lead_id)
        return changed(kernel, connection, row, "review.let_in", person, lead_id, {"reason": why})

    return await kernel.store.write(change)


def _right_to_let_in(one: Row) -> Right:
    found = findings_of(one)
    if compliance.verdict(found) == "blocked":
        raise Invalid("compliance blocks this message; edit it instead", field="lead_id", code="blocked")
    held = compliance.verdict(found) == "held"
    top = any(finding.code == "c_level" for finding in found)
    return "approve_c_level" if held or top else "approve"
