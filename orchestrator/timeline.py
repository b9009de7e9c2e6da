"""One person's whole history, put together from what every part wrote down. Text from outside is data."""

import json
from typing import Any

import sqlalchemy as sa

from orchestrator.intake import find_lead
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, event, handoff, reply, run_lead, stop, touch
from shared.schema import effect


async def history(kernel: Kernel, who: str) -> dict[str, Any] | None:
    """Who they are, and everything that happened, oldest first; None if nobody is known by that name."""

    def query(connection: sa.Connection) -> dict[str, Any] | None:
        lead = find_lead(connection, who)
        if lead is None:
            return None
        entries = [*_sightings(lead), *_scores(connection, lead), *_happenings(connection, lead)]
        entries.sort(key=lambda entry: entry["at"])
        return {"person": _person(connection, kernel, lead), "timeline": entries}

    return await kernel.store.read(query)


def _person(connection: sa.Connection, kernel: Kernel, lead: Lead) -> dict[str, Any]:
    addresses = [lead.email] if lead.email else []
    refused = kernel.suppression.check(connection, addresses)
    return {
        "id": lead.id,
        "name": lead.name,
        "email": lead.email,
        "title": lead.title,
        "company": lead.company,
        "profile": lead.linkedin_url,
        "suppressed": refused.get(lead.email, "no"),
        "data_source": lead.data_source,
        "collected_at": lead.data_collected_at,
        "legal_basis": lead.legal_basis,
    }


def _entry(at: str, what: str, detail: str) -> dict[str, str]:
    return {"at": at, "what": what, "detail": detail}


def _sightings(lead: Lead) -> list[dict[str, str]]:
    return [_entry(s.captured_at, "found", f"{s.type} {s.name}".strip()) for s in lead.sources]


def _scores(connection: sa.Connection, lead: Lead) -> list[dict[str, str]]:
    rows = connection.execute(sa.select(run_lead).where(run_lead.c.lead_id == lead.id))
    scored = [(row, json.loads(row.data)) for row in rows]
    return [
        _entry("", f"run {row.run_id}: {row.state}", f"{row.tier} {row.score} {row.reason}".strip())
        for row, _ in scored
    ]


def _happenings(connection: sa.Connection, lead: Lead) -> list[dict[str, str]]:
    found = [
        _entry(row.received_at, f"event {row.type}", row.vendor)
        for row in connection.execute(sa.select(event).where(event.c.lead_id == lead.id))
    ]
    found += [
        _entry(
            row.settled_at or row.claimed_at,
            f"effect {row.vendor}.{row.action}",
            f"{row.status} {row.reason}",
        )
        for row in connection.execute(sa.select(effect).where(effect.c.target.in_([lead.email, lead.id])))
        if lead.email or row.target == lead.id
    ]
    found += [
        _entry(row.at, f"reply: {row._mapping['class']}", row.action)  # noqa: SLF001 - `class` is no attribute name
        for row in connection.execute(sa.select(reply).where(reply.c.lead_id == lead.id))
    ]
    found += [
        _entry(row.created_at, f"handoff {row.trigger}", f"{row.destination}, {row.priority}, {row.state}")
        for row in connection.execute(sa.select(handoff).where(handoff.c.lead_id == lead.id))
    ]
    found += [
        _entry(
            row.at or row.due_at,
            f"LinkedIn by hand, day {row.day}: {row.state}",
            f"by {row.by} {row.note}".strip() if row.by else f"due {row.due_at[:10]}",
        )
        for row in connection.execute(sa.select(touch).where(touch.c.lead_id == lead.id))
    ]
    found += [
        _entry(row.at, f"stop {row.kind}", f"{row.reason}, {row.state}")
        for row in connection.execute(sa.select(stop).where(stop.c.target == lead.email.lower()))
        if lead.email
    ]
    found += [
        _entry("", f"campaign {row.campaign_id}", f"{row.state} {row.reason}".strip())
        for row in connection.execute(sa.select(campaign_lead).where(campaign_lead.c.lead_id == lead.id))
    ]
    return found
