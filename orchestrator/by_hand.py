"""What only a person can do for somebody who asked by right: a handoff per vendor, with steps and a due time."""

from datetime import timedelta

import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.rules import Trigger
from orchestrator.subject import Subject
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical, digest
from shared.pipeline_schema import handoff

TICKET: Trigger = "privacy_request"  # trigger of the handoffs


def hand_out_in(app: App, connection: sa.Connection, made: str, subject: Subject, kind: str) -> None:
    """A handoff for each vendor that had to do with them: what a person does there, and until when."""
    rules = app.rules.privacy
    vendors: dict[str, tuple[str, ...]] = dict(subject.references)
    if kind == "erasure" and subject.lead_ids:
        vendors["backups"] = ()
    for vendor, references in vendors.items():
        steps = (
            rules.by_hand.get(vendor, rules.by_hand["other"]) if kind == "erasure" else rules.by_hand["other"]
        )
        ticket_in(app, connection, made, vendor, steps, ", ".join(references))


def ticket_in(
    app: App, connection: sa.Connection, made: str, vendor: str, steps: tuple[str, ...], reference: str
) -> None:
    """One handoff, once."""
    now, identifier = app.kernel.clock.now(), digest("privacy-ticket/v1", made, vendor, reference)[:24]
    if connection.execute(sa.select(handoff.c.id).where(handoff.c.id == identifier)).scalar():
        return
    row = app.rules.routing.escalations[TICKET]
    told = [step.replace("{reference}", reference or "that you find by the letter") for step in steps]
    detail: dict[str, Json] = {
        "vendor": vendor,
        "request": made,
        "steps": [f"{vendor}: {one}" for one in told],
    }
    values = {"trigger": TICKET, "event_id": f"privacy:{made}", "destination": ", ".join(row.to)}
    values |= {"priority": row.priority, "created_at": iso(now), "detail": canonical(detail).decode()}
    due = iso(now + timedelta(days=app.rules.privacy.deadlines.vendor_days))
    connection.execute(sa.insert(handoff).values(id=identifier, due_at=due, **values))
    payload: dict[str, Json] = {"trigger": TICKET, "to": list(row.to), "priority": row.priority}
    append(connection, [Entry("handoff.created", identifier, payload)], now)


def open_in(connection: sa.Connection) -> dict[str, int]:
    """Open handoffs by request."""
    query = sa.select(handoff.c.event_id, sa.func.count()).where(
        handoff.c.trigger == TICKET, handoff.c.state != "closed"
    )
    rows = connection.execute(query.group_by(handoff.c.event_id))
    return {str(name).removeprefix("privacy:"): int(count) for name, count in rows}
