"""Who was looked up too long ago is looked up again, some at a time: for people who may be planned for, and no others.

stale, and at rest ─ on no list, erased by nobody ─ within a part of the day's credits ─ asked through the gate
    ─ answered ───▶ what was missing is filled in, the address judged anew, and they are fresh
    ─ no answer yet ▶ as they were; the next occasion asks for the same look-up, which isn't paid again
    ─ all stands still ▶ nobody is asked

At rest: in no campaign that isn't over, in no run at work, and stopped in none; so nothing that a person reads or has
approved changes under their hands.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator import forgotten, stops
from orchestrator.app import App
from orchestrator.enrichment import answers, ask, enriched
from orchestrator.intake import LEAD, read_leads, write_lead
from orchestrator.passing import STANDING_STILL
from orchestrator.retention import at_rest
from shared.clock import iso
from shared.errors import Fatal
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, lead, run, run_lead
from shared.ports import Budget, Enrichment, SourcedLead
from shared.telemetry import logger

log = logger("renewing")
LOOKED_AT = 500  # records in one look for those that may be asked for


async def work(app: App) -> dict[str, int]:
    """One occasion. Returns how many were asked for, and what became of them."""
    most = affordable(
        await app.suite.enricher.get_budget(),
        app.rules.scoring.completeness.renewal.at_once,
        app.rules.scoring.completeness.renewal.credits_percent,
    )
    leads = await app.kernel.store.read(lambda c: stale_in(app, c, app.kernel.clock.now(), most))
    if not leads:
        return {"asked": 0}
    try:
        asked = await ask(app, list(leads.values()))
    except Fatal as error:
        if error.code not in STANDING_STILL:
            raise
        return {"asked": 0, "stands still": 1}
    found = await answers(app, asked.references)
    failed = {lead_id for lead_id, why in asked.notes.items() if why.startswith("failed:")}
    renewed = await app.kernel.store.write(lambda c: _keep(app, c, found, failed))
    log.info("renewing.done", asked=len(leads), answered=len(found))
    return {"asked": len(leads), "answered": len(found), "renewed": renewed}


def affordable(budget: Budget, at_once: int, percent: int) -> int:
    """How many may be asked for now, a credit each; the gate knows what they really cost. No limit: as configured."""
    if budget.limit < 0:
        return at_once
    return max(0, min(at_once, budget.limit * percent // 100, budget.limit - budget.spent))


def stale_in(
    app: App, connection: sa.Connection, now: datetime, most: int, at_once: int = LOOKED_AT
) -> dict[str, Lead]:
    """Whoever may be looked up again, those looked up longest ago first, at most so many."""
    before = iso(now - timedelta(days=app.rules.scoring.completeness.stale_after_days))
    chosen: dict[str, Lead] = {}
    after = ("", "")
    while len(chosen) < most:
        page = _page(connection, before, after, at_once)
        chosen |= _may_be_asked(app, connection, {row.id: LEAD.validate_json(row.data) for row in page})
        if len(page) < at_once:
            break
        after = (page[-1].looked_up_at, page[-1].id)
    return dict(list(chosen.items())[:most])


def _page(
    connection: sa.Connection, before: str, after: tuple[str, str], at_once: int
) -> list[sa.Row[tuple[str, str, str]]]:
    place = sa.tuple_(lead.c.looked_up_at, lead.c.id)
    query = (
        sa.select(lead.c.id, lead.c.data, lead.c.looked_up_at)
        .where(lead.c.looked_up_at > "", lead.c.looked_up_at < before, place > sa.tuple_(*after))
        .where(sa.or_(lead.c.email != "", lead.c.linkedin_url != ""), *_resting())
        .order_by(lead.c.looked_up_at, lead.c.id)
    )
    return list(connection.execute(query.limit(at_once)))


def _resting() -> Iterator[sa.ColumnElement[bool]]:
    """Nothing of theirs is under way, and no campaign of theirs ended because of them."""
    mine = campaign_lead.c.lead_id == lead.c.id
    stopped = sa.exists().where(mine, campaign_lead.c.state == "stopped")
    at_work = sa.exists().where(
        run_lead.c.lead_id == lead.c.id, run.c.id == run_lead.c.run_id, run.c.state == "running"
    )
    yield from (*at_rest(), ~stopped, ~at_work)


def _may_be_asked(app: App, connection: sa.Connection, leads: Mapping[str, Lead]) -> dict[str, Lead]:
    """Those who are on no list, under any address, and weren't erased."""
    known = [one.email for one in leads.values() if one.email]
    refused = app.kernel.suppression.check(connection, known)
    named = {
        key: SourcedLead(email=one.email, linkedin_url=one.linkedin_url)
        for key, one in leads.items()
        if one.email not in refused
    }
    kept = {id(row) for row in forgotten.without_in(app.kernel, connection, list(named.values()))}
    return {key: leads[key] for key, row in named.items() if id(row) in kept}


def _keep(app: App, connection: sa.Connection, found: Mapping[str, Enrichment], failed: set[str]) -> int:
    """In the caller's transaction: what was told, of whoever still is at rest. Returns how many are fresh.

    When they were changed last stays as it was: looking somebody up is no reason to keep them longer (`retention.py`).
    """
    now, asked = iso(app.kernel.clock.now()), [*found, *sorted(failed)]
    still = sa.select(lead.c.id, lead.c.updated_at).where(lead.c.id.in_(asked), *_resting())
    changed = {row.id: row.updated_at for row in connection.execute(still)}
    leads = read_leads(connection, list(changed))
    for identifier in found.keys() & leads.keys():
        write_lead(connection, enriched(leads[identifier], found[identifier], now), changed[identifier])
    stops.follow_in(app.kernel, connection, list(leads))
    answered = sa.update(lead).where(lead.c.id.in_(list(leads)))
    connection.execute(answered.values(looked_up_at=now))
    return sum(found[one].status != "failed" for one in found.keys() & leads.keys())
