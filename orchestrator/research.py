"""Research: who is in the run, and what each of them is worth.

collect ─ files and provider jobs ─▶ leads in batches ─ enrich ─▶ score ─▶ scored | disqualified ─▶ findings
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import sqlalchemy as sa

from orchestrator import forgotten, runs, stops
from orchestrator.app import App
from orchestrator.drift import lead_fingerprint
from orchestrator.intake import import_path, join_run, read_leads, take_in
from orchestrator.passing import waits
from orchestrator.scoring import Score, Standing, score
from shared.clock import iso, parse
from shared.effect import Outcome, digest
from shared.errors import Fatal, Retryable, SwarmError
from shared.lead import Lead
from shared.pipeline_schema import campaign, campaign_lead, event, lead, run_lead
from shared.pipeline_schema import run as run_table
from shared.ports import LeadPage
from shared.suppression import UNCLEAR
from shared.telemetry import logger

log = logger("research")
BATCH = 100
POLL_SECONDS = 0.25
LONGEST_POLL_SECONDS = 10.0
POLL_LIMIT_SECONDS = 1_800.0


async def collect(app: App, run_id: str) -> dict[str, int]:
    """Bring everyone into the run. Repeating it adds nobody twice."""
    run = await runs.get(app.kernel, run_id)
    if run.turn > 1:  # researched anew: the same people, as they are known by now
        await runs.mark(app.kernel, run_id, stage="researching")
        return {"batches": await runs.batches(app.kernel, run_id)}
    await runs.mark(app.kernel, run_id, stage="collecting")
    for path in cast("Sequence[str]", run.params.get("files", [])):
        await import_path(app, path, run_id=run_id, batch_size=BATCH)
    for post in cast("Sequence[Mapping[str, Any]]", run.params.get("posts", [])):
        await _scrape(app, run_id, str(post["url"]), post["kind"], int(post.get("limit", 500)))
    if run.params.get("stored"):
        await _take_stored(app, run_id)
    await runs.mark(app.kernel, run_id, stage="researching")
    return {"batches": await runs.batches(app.kernel, run_id)}


async def ended(app: App, run_id: str) -> None:
    """Everybody is scored; planning is asked for by a person or a tool."""
    await runs.mark(app.kernel, run_id, stage="research done", state="researched")


async def _scrape(app: App, run_id: str, url: str, kind: Literal["likers", "commenters"], limit: int) -> None:
    """Start a provider's job, wait for it, and take its rows in.

    A job that isn't started, or fails, fails the run: a reviewer must not take a part for the whole.
    """
    started = await app.suite.source.scrape_posts(
        post_url=url, kind=kind, limit=limit, idempotency_key=f"run:{run_id}:{digest(kind, url, limit)[:32]}"
    )
    if started.status == "simulated":
        log.info("research.job_simulated")
        return
    if not started.done:
        raise _not_started(started)
    cursor, waited = "", 0.0
    while waited < POLL_LIMIT_SECONDS:
        page = await app.suite.source.get_job(job_id=started.reference, cursor=cursor)
        await _take_page(app, run_id, page, url)
        if page.status == "failed":
            raise Fatal("a provider's job failed; swarm effects list shows which", code="job_failed")
        if page.status != "running" and not page.next_cursor:
            return
        cursor = page.next_cursor or cursor
        if page.status == "running":
            pause = min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, waited / 10))
            await app.kernel.clock.sleep(pause)
            waited += pause
    raise Fatal(f"a provider's job took longer than {POLL_LIMIT_SECONDS:.0f} s", code="job_too_slow")


def _not_started(outcome: Outcome) -> SwarmError:
    kind = Retryable if waits(outcome) else Fatal
    why = outcome.message or outcome.reason or outcome.status
    return kind(f"a provider's job was not started: {why}", code=outcome.reason)


async def _take_page(app: App, run_id: str, page: LeadPage, url: str) -> None:
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        rows = forgotten.without_in(app.kernel, connection, page.leads)
        taken = take_in(connection, rows, now=now, batch=url, data_source="linkedin_provider")
        stops.follow_in(app.kernel, connection, taken.lead_ids)
        join_run(connection, run_id, taken.lead_ids, BATCH)

    if page.leads:
        await app.kernel.store.write(change)


async def _take_stored(app: App, run_id: str) -> None:
    """Everyone we know who is in no campaign that counts, a page at a time."""
    after = ""
    while True:
        page = sa.select(lead.c.id).where(lead.c.id > after, sa.not_(_in_campaign())).order_by(lead.c.id)
        ids = await app.kernel.store.read(lambda c, q=page: list(c.execute(q.limit(1_000)).scalars()))  # type: ignore[misc]  # mypy can't infer it
        if not ids:
            return
        await app.kernel.store.write(lambda c, ids=ids: join_run(c, run_id, ids, BATCH))  # type: ignore[misc]  # mypy can't infer it
        after = ids[-1]


def _in_campaign() -> sa.ColumnElement[bool]:
    """In one that was made for real and not turned down: a rehearsal, or a no to the words, uses nobody up."""
    return sa.exists().where(
        campaign_lead.c.lead_id == lead.c.id,
        campaign.c.id == campaign_lead.c.campaign_id,
        campaign.c.state.not_in(("rejected", "superseded", "failed")),
        run_table.c.id == campaign.c.run_id,
        run_table.c.mode == "live",
    )


async def score_batch(app: App, run_id: str, batch: int) -> dict[str, int]:
    """Score one batch on what is known now."""
    query = sa.select(run_lead.c.lead_id).where(
        run_lead.c.run_id == run_id, run_lead.c.batch == batch, run_lead.c.state == "enriched"
    )
    now = app.kernel.clock.now()

    def change(connection: sa.Connection) -> dict[str, int]:
        ids = list(connection.execute(query).scalars())
        leads = read_leads(connection, ids)
        standings = standing_of(app, connection, leads, now)
        for identifier, found in leads.items():
            _keep(connection, run_id, found, score(found, app.rules, standings[identifier]))
        return {"scored": len(leads)}

    return await app.kernel.store.write(change)


def standing_of(
    app: App, connection: sa.Connection, leads: Mapping[str, Lead], now: datetime
) -> dict[str, Standing]:
    """What our own records say of each of them."""
    addresses = [found.email for found in leads.values() if found.email]
    suppressed = app.kernel.suppression.check(connection, addresses)
    # Also a report that came as mail; a mailbox that was full then says nothing of the address now.
    lasting = (sa.or_(event.c.type == "bounced", event.c.bounce != ""), event.c.bounce != "soft")
    bounced = sa.select(event.c.lead_id).where(*lasting, event.c.lead_id.in_(list(leads)))
    bounces = set(connection.execute(bounced).scalars())
    last = _contacted(connection, list(leads))
    return {
        identifier: Standing(
            suppressed=suppressed.get(found.email) in {"suppressed", UNCLEAR},
            bounced=identifier in bounces,
            contacted_days_ago=(now - parse(last[identifier])).days if identifier in last else -1,
        )
        for identifier, found in leads.items()
    }


def _contacted(connection: sa.Connection, lead_ids: Sequence[str]) -> dict[str, str]:
    """When each was last in a live campaign, written to, or answered; also those who were stopped since."""
    enrolled = (
        sa.select(campaign_lead.c.lead_id, sa.func.max(campaign.c.updated_at))
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .where(campaign_lead.c.lead_id.in_(lead_ids), campaign_lead.c.state == "live")
        .group_by(campaign_lead.c.lead_id)
    )
    heard_of = (
        sa.select(event.c.lead_id, sa.func.max(event.c.received_at))
        .where(event.c.lead_id.in_(lead_ids), event.c.type.in_(("sent", "replied")))
        .group_by(event.c.lead_id)
    )
    last: dict[str, str] = {}
    for lead_id, at in [*connection.execute(enrolled), *connection.execute(heard_of)]:
        last[lead_id] = max(at, last.get(lead_id, ""))
    return {lead_id: at for lead_id, at in last.items() if at}


def _keep(connection: sa.Connection, run_id: str, found: Lead, result: Score) -> None:
    data = {
        "breakdown": dict(result.breakdown),
        "reasons": list(result.reasons),
        "review": list(result.review),
        "intent": result.intent,
        "completeness": result.completeness,
        "gaps": list(result.gaps),
        "seniority": result.seniority,
        "against": list(result.disqualifiers),
    }
    values = {
        "state": "disqualified" if result.disqualified else "scored",
        "tier": result.tier,
        "score": result.icp,
        "data": json.dumps(data),
        "seen": lead_fingerprint(found),
    }
    if result.disqualified:
        values["reason"] = "; ".join(result.disqualifiers) or f"score {result.icp}"
    where = (run_lead.c.run_id == run_id, run_lead.c.lead_id == found.id)
    connection.execute(sa.update(run_lead).where(*where).values(**values))
