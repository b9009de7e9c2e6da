"""What an agent may call of the orchestrator: start phases, look, and stop. Nothing here approves or relaxes.

A run started here is carried out by the worker (`swarm gatekeeper` or `swarm worker`); what needs a person's yes
waits in the Gatekeeper.
"""

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from orchestrator import dossier, runs, standstill, stops
from orchestrator.app import App
from orchestrator.intake import LEAD
from orchestrator.summary import summarise
from orchestrator.timeline import history
from orchestrator.views import (
    AuditEntry,
    AuditPage,
    Count,
    HandoffList,
    HandoffView,
    Happening,
    LeadList,
    LeadView,
    ReviewList,
    ReviewView,
    RunList,
    RunView,
    StatusView,
    SuppressionView,
)
from shared.effect import Json, Outcome, fingerprint
from shared.errors import Conflict, Invalid
from shared.pipeline_schema import campaign, handoff, lead, run_lead
from shared.telemetry import correlation
from shared.tool import reads, writes

Id = Annotated[str, Field(min_length=1, max_length=200)]
Limit = Annotated[int, Field(ge=1, le=100)]
Reason = Annotated[str, Field(min_length=3, max_length=500)]
Key = Annotated[str, Field(max_length=200)]
PLANNED = {"running", "review", "finished"}
Paths = Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=20)]


def _counts(found: dict[str, int]) -> tuple[Count, ...]:
    return tuple(Count(name, count) for name, count in found.items())


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
@reads("Status of the system", open_world=False)
async def get_status(app: App) -> StatusView:
    """Every switch, what stands still, how effects ended, and how many campaigns wait for a person."""
    safety = await app.kernel.switches.now()
    head = await app.kernel.audit.head()
    return StatusView(
        kill_switch=safety.killed,
        safe_mode=safety.safe_mode,
        read_only=safety.read_only,
        standing_still=tuple(f"{pause.scope}: {pause.reason}" for pause in safety.pauses),
        effects=_counts(await app.kernel.ledger.counts()),
        suppressed=await app.kernel.suppression.count(),
        audit_entries=head.size,
        audit_unsigned=head.exposed,
        reviews_waiting=len(await dossier.queue(app.kernel)),
    )


@reads("A run", open_world=False)
async def get_run(app: App, run_id: Id) -> RunView:
    """How far a run is, its funnel and its campaigns by state."""
    return await _run(app, await runs.get(app.kernel, run_id))


async def _run(app: App, found: runs.Run) -> RunView:
    summary = await summarise(app.kernel, found.id)
    return RunView(
        found.id,
        found.mode,
        found.state,
        found.stage,
        found.message,
        found.started_at,
        found.finished_at,
        _counts(summary.funnel),
        _counts(summary.campaigns),
    )


@reads("Runs", open_world=False)
async def list_runs(app: App, limit: Limit = 20) -> RunList:
    """The newest runs, newest first."""
    found = await runs.newest(app.kernel, limit)
    views = [RunView(r.id, r.mode, r.state, r.stage, r.message, r.started_at, r.finished_at) for r in found]
    return RunList(tuple(views))


@reads("A person's history", open_world=False)
async def get_lead(app: App, who: Annotated[str, Field(min_length=3, max_length=500)]) -> LeadView:
    """One person by id, e-mail or profile URL: found where, scored how, written to when, answered what."""
    found = await history(app.kernel, who)
    if found is None:
        raise Invalid("nobody is known by that name", field="who", code="not_found")
    person = found["person"]
    return LeadView(
        id=person["id"],
        name=person["name"],
        title=person["title"],
        company=person["company"],
        suppressed=person["suppressed"],
        timeline=tuple(Happening(**entry) for entry in found["timeline"][-100:]),
    )


@reads("People of a run", open_world=False)
async def list_leads(app: App, run_id: Id, state: Key = "", limit: Limit = 50) -> LeadList:
    """People of a run, best score first; `state` narrows: scored, disqualified, held, in_review, live, stopped."""
    where = [run_lead.c.run_id == run_id, *([run_lead.c.state == state] if state else [])]
    query = (
        sa.select(lead.c.data, run_lead.c.tier, run_lead.c.score, run_lead.c.state)
        .join(run_lead, run_lead.c.lead_id == lead.c.id)
        .where(*where)
        .order_by(run_lead.c.score.desc(), lead.c.id)
        .limit(limit)
    )
    total = sa.select(sa.func.count()).select_from(run_lead).where(*where)
    rows, count = await app.kernel.store.read(
        lambda c: (c.execute(query).all(), c.execute(total).scalar() or 0)
    )
    people = [(LEAD.validate_json(row.data), row) for row in rows]
    views = [LeadView(p.id, p.name, p.title, p.company, row.tier, row.score, row.state) for p, row in people]
    return LeadList(tuple(views), count - len(views))


@reads("Campaigns that wait", open_world=False)
async def list_reviews(app: App) -> ReviewList:
    """Campaigns waiting for a person. Only a logged-in person decides, in the Gatekeeper."""
    waiting = await dossier.queue(app.kernel)
    return ReviewList(
        tuple(ReviewView(w.id, w.name, w.tier, w.covered, w.held, w.due) for w in waiting[:100])
    )


@reads("A campaign that waits", open_world=False)
async def get_review(app: App, campaign_id: Id) -> ReviewView:
    """One campaign with what compliance found and the first message of one recipient."""
    found = await dossier.detail(app.kernel, campaign_id)
    first = next((person.messages[0] for person in found.recipients if person.messages), None)
    return ReviewView(
        id=found.id,
        name=found.name,
        tier=found.tier,
        people=found.states.get("drafted", 0),
        held=found.states.get("held", 0),
        due=found.due,
        hypothesis=found.hypothesis,
        sample_subject=first.subject if first else "",
        sample_body=first.body if first else "",
        findings=tuple(Count(finding.code, count) for finding, count in found.findings),
    )


@reads("Handoffs", open_world=False)
async def list_handoffs(
    app: App, state: Literal["pending", "acknowledged", "closed"] = "pending", limit: Limit = 50
) -> HandoffList:
    """What people have to take up, soonest due first."""
    query = sa.select(handoff).where(handoff.c.state == state).order_by(handoff.c.due_at).limit(limit)
    rows = await app.kernel.store.read(lambda c: c.execute(query).all())
    return HandoffList(
        tuple(HandoffView(r.id, r.trigger, r.destination, r.priority, r.state, r.due_at) for r in rows)
    )


@reads("Check the do-not-contact list", open_world=False)
async def check_suppression(
    app: App, target: Annotated[str, Field(min_length=3, max_length=320)]
) -> SuppressionView:
    """Whether an e-mail address or a domain may not be written to, and why."""
    found = await app.kernel.suppression.find(target)
    if found is None:
        return SuppressionView(target, suppressed=False)
    return SuppressionView(target, suppressed=True, reason=found.reason, since=found.at)


@reads("The audit log", open_world=False)
async def query_audit(app: App, limit: Limit = 20) -> AuditPage:
    """The newest entries of the log, and whether all of it verifies against its signed checkpoints."""
    verdict = await app.kernel.audit.verify()
    entries = await app.kernel.audit.tail(limit)
    views = [AuditEntry(int(str(e["seq"])), str(e["at"]), str(e["kind"]), str(e["cid"])) for e in entries]
    return AuditPage(tuple(views), verdict.size, verdict.ok)


# ── starting phases ──────────────────────────────────────────────────────────────────────────────────────
async def _begin(
    app: App, files: tuple[str, ...], post_urls: tuple[str, ...], asked: str, key: str
) -> Outcome:
    """A run as rows; a second call with the same key finds the first."""
    params: dict[str, Json] = {
        "files": list(files),
        "posts": [{"url": url, "kind": "commenters"} for url in post_urls],
        "stored": not files and not post_urls,
        "asked": asked,
        "key": key,
    }
    once = f"{asked}:{key}" if key else ""
    if known := await runs.of_key(app.kernel, once):
        return _replayed(known, params)
    run = await runs.create(app.kernel, params, key=once)
    message = "Carried out by the worker; see orchestrator_get_run."
    return Outcome("applied", "", message, run.id, correlation_id=correlation())


def _replayed(run: runs.Run, params: dict[str, Json]) -> Outcome:
    """The run of an earlier call with this key; `Conflict` where that one asked for something else."""
    if fingerprint({**run.params, "asked": ""}) != fingerprint({**params, "asked": ""}):
        message = "this key was used for a run of other people"
        raise Conflict(message, field="idempotency_key", code="conflict")
    return Outcome("replayed", "", "This run was started before.", run.id, correlation_id=correlation())


@writes("Phase 1: research", open_world=False)
async def research(app: App, files: Paths = (), post_urls: Paths = (), idempotency_key: Key = "") -> Outcome:
    """Take leads in from files and posts (or everyone stored who is in no campaign), enrich and score them."""
    return await _begin(app, files, post_urls, "research", idempotency_key)


@writes("Phase 2: plan", open_world=False)
async def plan(app: App, run_id: Id, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - the run is the key
    """Group a researched run into campaigns, write and check every word, and put them into review."""
    found = await runs.get(app.kernel, run_id)
    if found.state in PLANNED and found.params.get("asked") in {"plan", "run"}:
        return Outcome("replayed", "", "Planning was asked for before.", run_id, correlation_id=correlation())
    await runs.ask(app.kernel, run_id, "plan")
    return Outcome("applied", "", "Carried out by the worker.", run_id, correlation_id=correlation())


@writes("All phases up to review", open_world=False)
async def run_pipeline(
    app: App, files: Paths = (), post_urls: Paths = (), idempotency_key: Key = ""
) -> Outcome:
    """Research and plan in one go; ends with campaigns waiting for a person."""
    return await _begin(app, files, post_urls, "run", idempotency_key)


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
@writes("Never write to somebody again", stops=True, open_world=False)
async def suppress(
    app: App,
    target: Annotated[str, Field(min_length=3, max_length=320)],
    reason: Reason,
    idempotency_key: Key = "",  # noqa: ARG001 - the target is the key
) -> Outcome:
    """Put an e-mail address or a company's domain on the do-not-contact list, and stop what runs for it."""
    added = await stops.suppress(app.kernel, target, reason=reason, source="agent", actor="agent")
    return Outcome("applied" if added else "replayed", "", "On the list.", correlation_id=correlation())


@writes("Pause campaigns", stops=True, open_world=False)
async def pause_campaigns(
    app: App,
    reason: Reason,
    campaign_id: Key = "",
    idempotency_key: Key = "",  # noqa: ARG001 - pausing twice is pausing
) -> Outcome:
    """Make one campaign, or without `campaign_id` everything, stand still. A person resumes."""
    if campaign_id:
        known = sa.select(campaign.c.id).where(campaign.c.id == campaign_id)
        if await app.kernel.store.read(lambda c: c.execute(known).scalar()) is None:
            raise Invalid("no campaign has this id", field="campaign_id", code="not_found")
    scope = f"campaign:{campaign_id}" if campaign_id else "all"
    await app.kernel.switches.pause(scope, actor="agent", reason=reason)
    return await _stood_still(app, f"{scope} stands still", reason, scope)


async def _stood_still(app: App, said: str, reason: str, reference: str = "") -> Outcome:
    """Pause at the vendor what stands still here, and tell how many it confirmed; the worker goes on trying."""
    confirmed, total = await standstill.pause_at_vendor(app, await app.kernel.switches.now(), reason)
    message = f"{said}; the vendor confirmed {confirmed} of {total} campaigns that may be sending."
    detail: dict[str, Json] = {"confirmed": confirmed, "of": total}
    return Outcome("applied", "", message, reference, detail, correlation_id=correlation())


@writes("Engage the kill switch", stops=True, open_world=False)
async def engage_kill_switch(app: App, reason: Reason, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - on is on
    """Stop every effect in every process, now, and pause live campaigns at the vendor. Only an admin releases it."""
    if await app.kernel.switches.kill(actor="agent", reason=reason):
        return await _stood_still(app, "Stopped", reason)
    message = (
        "Stopped by the flag file; the database could not be written, so campaigns run on at the vendor."
    )
    return Outcome("applied", "", message, correlation_id=correlation())


@writes("Engage safe mode", stops=True, open_world=False)
async def engage_safe_mode(app: App, reason: Reason, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - on is on
    """Simulate every effect from now on. Only an admin leaves safe mode."""
    await app.kernel.switches.engage_safe_mode(actor="agent", reason=reason)
    return Outcome("applied", "", "Everything is simulated from now on.", correlation_id=correlation())


TOOLS = (
    get_status,
    get_run,
    list_runs,
    get_lead,
    list_leads,
    list_reviews,
    get_review,
    list_handoffs,
    check_suppression,
    query_audit,
    research,
    plan,
    run_pipeline,
    suppress,
    pause_campaigns,
    engage_kill_switch,
    engage_safe_mode,
)
