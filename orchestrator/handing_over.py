"""A handoff is opened: once per event and trigger, however often it is asked for."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from orchestrator.escalation import Escalation
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, digest
from shared.pipeline_schema import handoff


@dataclass(frozen=True, slots=True)
class About:
    """What it is about: an event, and whose it is."""

    event_id: str
    lead_id: str
    campaign_id: str
    held: bool = False  # they aren't written to until a person has decided


def hand_off_in(connection: sa.Connection, about: About, one: Escalation, now: datetime) -> bool:
    """In the caller's transaction: ask a person to take it up. True if nobody was asked before."""
    vendor, _, event_id = about.event_id.partition(":")
    identifier = digest("handoff/v1", vendor, event_id, one.trigger)[:24]
    known = sa.select(handoff.c.id).where(handoff.c.id == identifier)
    if connection.execute(known).scalar() is not None:
        return False
    values = {
        "lead_id": about.lead_id,
        "campaign_id": about.campaign_id,
        "event_id": about.event_id,
        "trigger": one.trigger,
        "destination": ", ".join(one.to),
        "priority": one.priority,
        "due_at": iso(one.due(now)),
        "created_at": iso(now),
        "held": int(about.held),
    }
    connection.execute(sa.insert(handoff).values(id=identifier, **values))
    payload: dict[str, Json] = {"trigger": one.trigger, "to": list(one.to), "priority": one.priority}
    append(connection, [Entry("handoff.created", identifier, payload)], now)
    return True
