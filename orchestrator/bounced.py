"""Whose address bounced for good some weeks ago is looked up once more: they may have another one by now.

bounced long enough ago, not looked up since ─ at rest ─ nothing but the bounce against them ─ asked by their profile
    ─ another address, which nobody else has and no list holds ─▶ takes the place of the one that bounced
    ─ the same, or none                                         ─▶ as they were; not asked again for this bounce

The old address stays on the list and stays a name of theirs. They count as bounced before, so a person looks at them
before anybody writes to them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator import forgotten, stops
from orchestrator.app import App
from orchestrator.colleagues import usable
from orchestrator.enrichment import Asked, answers, ask, enriched
from orchestrator.identity import addresses_named, lead_of_address
from orchestrator.intake import read_leads, write_lead
from orchestrator.retention import resting
from shared.clock import iso
from shared.lead import Lead
from shared.pipeline_schema import event, lead
from shared.ports import Enrichment, SourcedLead

PAGE = 100  # people whose reasons are looked at before it is counted how many were found
TELLS = ("bounced", "replied", "auto_replied", "message_received")  # events that may tell of a bounce


async def work(app: App, most: int) -> dict[str, int]:
    """One occasion, for at most so many. Returns how many were asked for, and how many have another address."""
    now = app.kernel.clock.now()
    leads = await app.kernel.store.read(lambda c: bounced_in(app, c, now, most))
    if not leads:
        return {}
    asked = await _ask(app, leads)
    found = await answers(app, asked.references)
    failed = {lead_id for lead_id, why in asked.notes.items() if why.startswith("failed:")}
    moved = await app.kernel.store.write(lambda c: _keep(app, c, found, failed))
    return {"bounced": len(leads), "moved": moved}


async def _ask(app: App, leads: Mapping[str, Lead]) -> Asked:
    """By their profile alone: nothing goes out that names the address. What they were asked for before is over."""
    every = Asked()
    for day, theirs in _by_day(leads.values()).items():
        asked = await ask(app, theirs, idempotency_key=f"since it bounced; before: {day}")
        every.references += asked.references
        every.notes |= asked.notes
    return every


def _by_day(leads: Iterable[Lead]) -> dict[str, list[Lead]]:
    days: dict[str, list[Lead]] = {}
    for one in leads:
        day = iso(one.enriched_at)[:10] if one.enriched_at else "never"
        days.setdefault(day, []).append(replace(one, email=""))
    return days


def bounced_in(app: App, connection: sa.Connection, now: datetime, most: int) -> dict[str, Lead]:
    """Whoever may be asked for, those looked up longest ago first, at most so many."""
    before = iso(now - timedelta(days=app.rules.scoring.completeness.re_enrich_bounced_after_days))
    query = sa.select(lead.c.id).where(*_bounced(before), *resting(stops.OF_AN_ADDRESS))
    ids = list(connection.execute(query.order_by(lead.c.looked_up_at, lead.c.id)).scalars())
    chosen: dict[str, Lead] = {}
    for start in range(0, len(ids), PAGE):
        part = ids[start : start + PAGE]
        page = read_leads(connection, part)
        chosen |= {key: page[key] for key in part if _nothing_else(app, connection, page[key])}
        if len(chosen) >= most:
            break
    return dict(list(chosen.items())[:most])


def _bounced(before: str) -> Iterator[sa.ColumnElement[bool]]:
    """For good, long enough ago, and nobody has looked since."""
    for_good = (event.c.type.in_(TELLS), event.c.bounce == "hard", event.c.received_at < before)
    them = lead.alias()
    since = (them.c.id == event.c.lead_id, event.c.received_at > them.c.looked_up_at)
    yield lead.c.id.in_(sa.select(event.c.lead_id).where(*for_good, *since))
    yield lead.c.linkedin_url != ""
    yield lead.c.email != ""


def _nothing_else(app: App, connection: sa.Connection, one: Lead) -> bool:
    """Whether the bounce is all that speaks against them, under any address, and nobody had them erased."""
    theirs = addresses_named(connection, one.id) | {one.email}
    reasons = {why for each in theirs for why in app.kernel.suppression.reasons(connection, each)}
    if reasons != stops.OF_AN_ADDRESS:
        return False
    row = SourcedLead(email=one.email, linkedin_url=one.linkedin_url)
    return bool(forgotten.without_in(app.kernel, connection, [row]))


def _keep(app: App, connection: sa.Connection, found: Mapping[str, Enrichment], failed: set[str]) -> int:
    """In the caller's transaction: the new addresses of those who still are at rest. Returns how many.

    When they were changed last stays as it was: looking somebody up is no reason to keep them longer (`retention.py`).
    """
    now, asked = iso(app.kernel.clock.now()), [*found, *sorted(failed)]
    still = sa.select(lead.c.id, lead.c.updated_at).where(lead.c.id.in_(asked), *resting(stops.OF_AN_ADDRESS))
    changed = {row.id: row.updated_at for row in connection.execute(still)}
    moved = 0
    for identifier, one in read_leads(connection, list(changed)).items():
        if there := _elsewhere(app, connection, one, found.get(identifier)):
            write_lead(connection, moved_to(one, there, now), changed[identifier])
            moved += 1
    stops.follow_in(app.kernel, connection, list(changed))
    connection.execute(sa.update(lead).where(lead.c.id.in_(list(changed))).values(looked_up_at=now))
    return moved


def moved_to(one: Lead, there: Enrichment, now: str) -> Lead:
    """With the address that was found, and what was found with it where nothing was known."""
    return enriched(replace(one, email="", email_verdict=""), there, now)


def _elsewhere(app: App, connection: sa.Connection, one: Lead, told: Enrichment | None) -> Enrichment | None:
    """What was found, if it has another address of theirs to which mail may go."""
    if told is None or told.status != "found" or not _nothing_else(app, connection, one):
        return None
    address = usable(told.email)
    taken = lead_of_address(connection, address) not in {"", one.id} if address else True
    if taken or address == one.email or app.kernel.suppression.check(connection, [address]):
        return None
    return replace(told, email=address)
