"""What an agent may call of the orchestrator: start phases, look, and stop. Nothing here approves or relaxes.

A run started here is carried out by the worker (`swarm gatekeeper` or `swarm worker`); what needs a person's yes
waits in the Gatekeeper.
"""

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from orchestrator import dossier, runs, stops
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
from shared.clock import iso
from shared.effect import Json, Outcome
from shared.errors import Invalid
from shared.schema import campaign, handoff, lead, run_lead
from shared.telemetry import correlation
from shared.tool import reads, writes

Id = Annotated[str, Field(min_length=1, max_length=200)]
Limit = Annotated[int, Field(ge=1, le=100)]
Reason = Annotated[str, Field(min_length=3, max_length=500)]
Key = Annotated[str, Field(max_length=200)]
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
    if key and (known := await _known(app, key)):
        return Outcome("replayed", "", "This run was started before.", known, correlation_id=correlation())
    run = await runs.create(app.kernel, params)
    message = "Carried out by the worker; see orchestrator_get_run."
    return Outcome("applied", "", message, run.id, correlation_id=correlation())


async def _known(app: App, key: str) -> str:
    found = [run.id for run in await runs.newest(app.kernel, 1_000) if run.params.get("key") == key]
    return found[0] if found else ""


@writes("Phase 1: research", open_world=False)
async def research(app: App, files: Paths = (), post_urls: Paths = (), idempotency_key: Key = "") -> Outcome:
    """Take leads in from files and posts (or everyone stored who is in no campaign), enrich and score them."""
    return await _begin(app, files, post_urls, "research", idempotency_key)


@writes("Phase 2: plan", open_world=False)
async def plan(app: App, run_id: Id, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - the run is the key
    """Group a researched run into campaigns, write and check every word, and put them into review."""
    found = await runs.get(app.kernel, run_id)
    if found.state != "researched":
        raise Invalid(f"this run is {found.state}; planning follows research", field="run_id")
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
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> bool:
        added = app.kernel.suppression.add_in(
            connection, target, reason=reason, source="agent", actor="agent"
        )
        if "@" in target:
            stops.open_in(connection, target.strip().lower(), reason, now)
        return added

    added = await app.kernel.store.write(change)
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
    paused = await _pause_at_vendor(app, campaign_id, reason)
    detail = {"confirmed": paused[0], "of": paused[1]}
    message = f"{scope} stands still; the vendor confirmed {paused[0]} of {paused[1]} campaigns."
    return Outcome("applied", "", message, scope, detail, correlation_id=correlation())


async def _pause_at_vendor(app: App, campaign_id: str, reason: str) -> tuple[int, int]:
    """Pause what is live at the vendor. Returns how many are confirmed, of how many."""
    where = [campaign.c.state == "live", *([campaign.c.id == campaign_id] if campaign_id else [])]
    query = sa.select(campaign.c.vendor_ref).where(*where)
    references = await app.kernel.store.read(lambda c: list(c.execute(query).scalars()))
    outcomes = [
        await app.suite.sequencer.pause_campaign(campaign_ref=reference, reason=reason)
        for reference in references
    ]
    return sum(outcome.done or outcome.status == "simulated" for outcome in outcomes), len(outcomes)


@writes("Engage the kill switch", stops=True, open_world=False)
async def engage_kill_switch(app: App, reason: Reason, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - on is on
    """Stop every effect in every process, now, and pause live campaigns at the vendor. Only an admin releases it."""
    in_database = await app.kernel.switches.kill(actor="agent", reason=reason)
    confirmed, total = await _pause_at_vendor(app, "", reason) if in_database else (0, 0)
    message = f"Stopped. The vendor confirmed {confirmed} of {total} campaigns paused."
    return Outcome(
        "applied", "", message, detail={"confirmed": confirmed, "of": total}, correlation_id=correlation()
    )


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
