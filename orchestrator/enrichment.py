"""What is not known is looked up, a batch at a time: never twice for the same person within the freshness window.

sourced ─ known enough? ─ yes ────────────────────▶ enriched
                        ─ no ─ asked ─ answered ──▶ enriched   (filled fields only, provenance kept)
                                     ─ no answer ─▶ enriched, with the reason; scoring decides on what is known
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.intake import read_leads, write_lead
from shared.clock import iso, parse
from shared.lead import Lead
from shared.ports import Enrichment, EnrichRequest
from shared.schema import run_lead
from shared.telemetry import logger

log = logger("enrichment")
POLL_SECONDS = 0.25
POLL_LIMIT_SECONDS = 600.0
# How long a look-up whose start is in doubt is waited for: the provider's end-of-run webhook settles it.
DOUBT_SECONDS = 20.0
DOUBT_LOOK_SECONDS = 2.0
STALE_AFTER = timedelta(days=45)


async def enrich_batch(app: App, run_id: str, batch: int) -> dict[str, int]:
    """Look up what is missing for one batch. May be repeated: what was asked is not asked again."""
    leads = await _waiting(app, run_id, batch)
    asked = {lead.id: lead for lead in leads.values() if needs_enrichment(lead, app.kernel.clock.now())}
    references, notes, doubtful = await _ask(app, asked)
    waited = 0.0
    while doubtful and waited < DOUBT_SECONDS:
        await app.kernel.clock.sleep(DOUBT_LOOK_SECONDS)
        waited += DOUBT_LOOK_SECONDS
        more, again, doubtful = await _ask(app, {lead: asked[lead] for lead in doubtful})
        references, notes = [*references, *more], {**notes, **again}
    found = await _answers(app, references)
    await _write(app, run_id, leads, found, notes)
    return {"leads": len(leads), "asked": len(asked), "found": len(found)}


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


async def _ask(app: App, leads: Mapping[str, Lead]) -> tuple[list[str], dict[str, str], list[str]]:
    """Start the look-ups. Returns the references to ask for, lead id → why there is none, and who is in doubt."""
    requests = [
        EnrichRequest(
            lead_id=lead.id,
            linkedin_url=lead.linkedin_url,
            email=lead.email,
            full_name=lead.name,
            company=lead.company,
            company_domain=lead.company_domain,
        )
        for lead in leads.values()
    ]
    references: list[str] = []
    notes: dict[str, str] = {}
    doubtful: list[str] = []
    for start in range(0, len(requests), 100):
        part = requests[start : start + 100]
        answered = await app.suite.enricher.enrich_leads(requests=part)
        for request, outcome in zip(part, answered.outcomes, strict=True):
            if outcome.done:
                references.append(outcome.reference)
            else:
                notes[request.lead_id] = f"enrichment {outcome.status}: {outcome.reason}"
                doubtful += [request.lead_id] if outcome.status == "in_doubt" else []
    return references, notes, doubtful


async def _answers(app: App, references: Sequence[str]) -> dict[str, Enrichment]:
    """Ask until every reference is answered, or the time is up. By lead id."""
    results: dict[str, Enrichment] = {}
    pending, waited = list(references), 0.0
    while pending and waited < POLL_LIMIT_SECONDS:
        page = await app.suite.enricher.get_result(references=pending)
        results.update({result.lead_id: result for result in page.results})
        pending = list(page.pending)
        if pending:
            await app.kernel.clock.sleep(POLL_SECONDS)
            waited += POLL_SECONDS
    if pending:
        log.warning("enrichment.unanswered", count=len(pending))
    return results


async def _write(
    app: App,
    run_id: str,
    leads: Mapping[str, Lead],
    found: Mapping[str, Enrichment],
    notes: Mapping[str, str],
) -> None:
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        current = read_leads(connection, list(leads))  # merged meanwhile, perhaps
        for identifier, lead in current.items():
            if (result := found.get(identifier)) is not None:
                write_lead(connection, enriched(lead, result, now), now, "enriched")
            note = "" if identifier in found else notes.get(identifier, "")
            where = (run_lead.c.run_id == run_id, run_lead.c.lead_id == identifier)
            connection.execute(sa.update(run_lead).where(*where).values(state="enriched", reason=note))

    await app.kernel.store.write(change)


def enriched(lead: Lead, result: Enrichment, now: str) -> Lead:
    """The lead with what the provider found, where nothing was known; a verdict on the address always counts."""
    if result.status != "found":
        return replace(lead, enriched_at=parse(now))
    return replace(
        lead,
        email=lead.email or result.email.lower(),
        email_verdict=result.email_verdict or lead.email_verdict,
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
