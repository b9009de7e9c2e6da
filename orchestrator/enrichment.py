"""What is not known is looked up, a batch at a time: never twice for the same person within the freshness window.

sourced ─ known enough? ─ yes ────────────────────▶ enriched
                        ─ no ─ asked ─ answered ──▶ enriched   (filled fields only, provenance kept)
                                     ─ no answer ─▶ enriched, with the reason; scoring decides on what is known
                                     ─ all stands still ─▶ the run ends: it must not judge people by what was not asked
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator import stops
from orchestrator.app import App
from orchestrator.intake import read_leads, write_lead
from orchestrator.normalise import email
from orchestrator.passing import STANDING_STILL, waits
from shared.clock import iso, parse
from shared.effect import Outcome
from shared.errors import Fatal
from shared.lead import Lead
from shared.pipeline_schema import run_lead
from shared.ports import Enrichment, EnrichRequest
from shared.telemetry import logger

log = logger("enrichment")
MOST = 100  # people in one request
POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 10.0
POLL_LIMIT_SECONDS = 600.0
# How long a look-up that time may help is waited for: for one in doubt, the provider's end-of-run webhook tells.
PATIENCE_SECONDS = 60.0
AGAIN_SECONDS = 2.0
STALE_AFTER = timedelta(days=45)


@dataclass(slots=True)
class Asked:
    """What became of starting look-ups: references to ask for, why there is none, who may be asked again."""

    references: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)


async def enrich_batch(app: App, run_id: str, batch: int) -> dict[str, int]:
    """Look up what is missing for one batch. May be repeated: what was asked is not asked again.

    Raises `Fatal` while the kill switch is on, or the provider is paused.
    """
    leads = await _waiting(app, run_id, batch)
    wanted = {lead.id: lead for lead in leads.values() if needs_enrichment(lead, app.kernel.clock.now())}
    asked = await ask(app, list(wanted.values()))
    references, notes, waited = asked.references, asked.notes, 0.0
    while asked.again and waited < PATIENCE_SECONDS:
        await app.kernel.clock.sleep(AGAIN_SECONDS)
        waited += AGAIN_SECONDS
        once_more = asked.again
        asked = await ask(app, [wanted[lead_id] for lead_id in once_more])
        references += asked.references
        notes = {lead_id: why for lead_id, why in notes.items() if lead_id not in once_more} | asked.notes
    found = await answers(app, references)
    became = dict.fromkeys(leads, "known") | dict.fromkeys(wanted, "unanswered") | notes
    became |= {lead_id: result.status for lead_id, result in found.items()}
    await _write(app, run_id, leads, found, became)
    return {"leads": len(leads), "asked": len(wanted), "found": len(found)}


def needs_enrichment(lead: Lead, now: datetime) -> bool:
    """Whether a paid look-up can add anything that scoring and writing need."""
    if lead.enriched_at is not None and now - lead.enriched_at < STALE_AFTER:
        return False
    verified = lead.email_verdict not in {"", "unknown"}
    return not (
        lead.email and verified and lead.title and lead.company_size and lead.industry and lead.country
    )


async def _waiting(app: App, run_id: str, batch: int) -> dict[str, Lead]:
    query = sa.select(run_lead.c.lead_id).where(
        run_lead.c.run_id == run_id, run_lead.c.batch == batch, run_lead.c.state == "sourced"
    )
    return await app.kernel.store.read(lambda c: read_leads(c, list(c.execute(query).scalars())))


async def ask(app: App, leads: Sequence[Lead]) -> Asked:
    """Start look-ups, a hundred at most in one request."""
    asked = Asked()
    for start in range(0, len(leads), MOST):
        part = [_request(lead) for lead in leads[start : start + MOST]]
        answered = await app.suite.enricher.enrich_leads(requests=part)
        for request, outcome in zip(part, answered.outcomes, strict=True):
            _sort(asked, request.lead_id, outcome)
    return asked


def _request(lead: Lead) -> EnrichRequest:
    return EnrichRequest(
        lead_id=lead.id,
        linkedin_url=lead.linkedin_url,
        email=lead.email,
        full_name=lead.name,
        company=lead.company,
        company_domain=lead.company_domain,
    )


def _sort(asked: Asked, lead_id: str, outcome: Outcome) -> None:
    if outcome.status == "refused" and outcome.reason in STANDING_STILL:
        raise Fatal(f"looking people up stands still: {outcome.message}", code=outcome.reason)
    if outcome.done:
        asked.references.append(outcome.reference)
        return
    asked.notes[lead_id] = f"{outcome.status}: {outcome.reason}"
    asked.again += [lead_id] if waits(outcome) else []


async def answers(app: App, references: Sequence[str]) -> dict[str, Enrichment]:
    """Ask until every reference is answered, or the time is up. By lead id."""
    results: dict[str, Enrichment] = {}
    pending, waited = list(references), 0.0
    while pending and waited < POLL_LIMIT_SECONDS:
        page = await app.suite.enricher.get_result(references=pending)
        results.update({result.lead_id: result for result in page.results})
        pending = list(page.pending)
        if pending:
            pause = min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, waited / 10))
            await app.kernel.clock.sleep(pause)
            waited += pause
    if pending:
        log.warning("enrichment.unanswered", count=len(pending))
    return results


async def _write(
    app: App,
    run_id: str,
    leads: Mapping[str, Lead],
    found: Mapping[str, Enrichment],
    became: Mapping[str, str],
) -> None:
    """Who they are now, and by lead id what became of looking them up."""
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        current = read_leads(connection, list(leads))  # merged meanwhile, perhaps
        for identifier, lead in current.items():
            if (result := found.get(identifier)) is not None:
                write_lead(connection, enriched(lead, result, now), now, "enriched")
            where = (run_lead.c.run_id == run_id, run_lead.c.lead_id == identifier)
            values = {"state": "enriched", "enrichment": became.get(identifier, "")}
            connection.execute(sa.update(run_lead).where(*where).values(**values))
        stops.follow_in(app.kernel, connection, list(current))

    await app.kernel.store.write(change)


def enriched(lead: Lead, result: Enrichment, now: str) -> Lead:
    """The lead with what the provider found, where nothing was known. A look-up that failed changes nothing."""
    if result.status == "failed":
        return lead
    if result.status != "found":
        return replace(lead, enriched_at=parse(now))
    address = lead.email or email(result.email)
    return replace(
        lead,
        email=address,
        email_verdict=_verdict(lead, result, address),
        phone=lead.phone or result.phone,
        title=lead.title or result.title,
        company=lead.company or result.company_name,
        company_domain=lead.company_domain or result.company_domain,
        company_size=lead.company_size or result.company_size,
        industry=lead.industry or result.company_industry,
        revenue_usd=lead.revenue_usd or result.company_revenue,
        country=lead.country or result.country,
        technologies=lead.technologies or tuple(result.technologies),
        signals={**result.signals, **lead.signals},
        data_source=lead.data_source or result.provider,
        enriched_at=parse(now),
    )


def _verdict(lead: Lead, result: Enrichment, address: str) -> str:
    """The provider's word on this very address: none of it holds for another one, and a shrug changes nothing."""
    about = email(result.email) or lead.email
    if about == address and result.email_verdict not in {"", "unknown"}:
        return result.email_verdict
    return lead.email_verdict or ("unknown" if address else "")
