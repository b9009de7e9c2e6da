"""What an agent may look at, and everything it may call. Nothing here approves or relaxes.

What needs a person's yes waits in the Gatekeeper.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from orchestrator import (
    artefacts,
    dossier,
    handoff_tools,
    learning_tools,
    phase_tools,
    reply_tools,
    report_tools,
    runs,
    schedules,
    stop_tools,
)
from orchestrator.app import App
from orchestrator.intake import LEAD
from orchestrator.outreach_rules import Depth
from orchestrator.paging import Cursor, FewLimit, Id, Key, Limit, cut, following, offset_of, short
from orchestrator.provenance import Origin, origin_in
from orchestrator.rendering import DEPTHS
from orchestrator.situation import situation
from orchestrator.summary import summarise
from orchestrator.timeline import history
from orchestrator.timetable import TIMETABLE
from orchestrator.views import (
    AuditEntry,
    AuditPage,
    Count,
    HandoffList,
    HandoffView,
    Happening,
    KeptView,
    LeadList,
    LeadView,
    ReviewList,
    ReviewView,
    RunList,
    RunView,
    StatusView,
    SuppressionView,
    WordsView,
)
from shared.errors import Invalid
from shared.pipeline_schema import handoff, lead, reply, run_lead
from shared.tool import Tool, reads

MOST_HAPPENINGS = 60
FURTHEST_ENTRY = 10_000  # of the audit log; what lies behind is for `swarm audit export`


def _counts(found: dict[str, int]) -> tuple[Count, ...]:
    return tuple(Count(name, count) for name, count in found.items())


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
@reads("Status of the system", open_world=False)
async def get_status(app: App) -> StatusView:
    """Every switch, what stands still or lags, how effects ended, and how many campaigns wait for a person."""
    again = await schedules.standing(app.kernel, app.rules.schedules, TIMETABLE)
    found = await situation(app.kernel)
    safety, head = found.safety, await app.kernel.audit.head()
    return StatusView(
        kill_switch=safety.killed,
        safe_mode=safety.safe_mode,
        read_only=safety.read_only,
        standing_still=tuple(f"{pause.scope}: {pause.reason}" for pause in safety.pauses),
        effects=_counts(await app.kernel.ledger.counts()),
        on_the_wire=len(found.calls),
        campaigns_paused_at_vendor=f"{found.at_vendor.confirmed} of {found.at_vendor.of}",
        suppressed=await app.kernel.suppression.count(),
        audit_entries=head.size,
        audit_unsigned=head.exposed,
        reviews_waiting=len(await dossier.queue(app.kernel)),
        late=tuple(f"{one.name}: {one.lag_seconds / 60:.0f} min behind" for one in again if one.late),
    )


@reads("A run", open_world=False)
async def get_run(app: App, run_id: Id) -> RunView:
    """How far a run is: funnel, campaigns by state, and what its phases left behind (orchestrator_get_artefact)."""
    found = await runs.get(app.kernel, run_id)
    summary = await summarise(app.kernel, found.id)
    left = await artefacts.kept(app.kernel, found.id)
    return replace(
        _run(found),
        funnel=_counts(summary.funnel),
        campaigns=_counts(summary.campaigns),
        next=_next(found, left),
        artefacts=tuple(
            KeptView(k.phase, k.version, k.state, k.made_by, k.why, k.made_at) for k in left[-20:]
        ),
    )


def _next(found: runs.Run, left: list[artefacts.Kept]) -> str:
    """What is to be done with the run now, and by whom."""
    page = f"/campaigns/plans/{found.id}"
    plan = next((one.state for one in reversed(left) if one.phase == "plan"), "")
    if found.state == "running":
        return "ask again in a few seconds; if its stage never changes, a person starts the worker"
    if found.state == "researched":
        return "orchestrator_get_artefact (research), then orchestrator_plan"
    if found.state != "review":
        return "nothing"
    if plan == "approved":
        return "orchestrator_implement"
    return f"a person decides in the Gatekeeper, at {page}; orchestrator_get_artefact (plan) shows it"


def _run(found: runs.Run) -> RunView:
    return RunView(
        found.id, found.mode, found.state, found.stage, found.message, found.started_at, found.finished_at
    )


@reads("Runs", open_world=False)
async def list_runs(app: App, limit: Limit = 20, cursor: Cursor = "") -> RunList:
    """Runs, newest first."""
    offset = offset_of(cursor)
    found, total = await runs.newest(app.kernel, limit, offset), await runs.count(app.kernel)
    views = [replace(_run(one), message=short(one.message)) for one in found]
    return RunList(tuple(views), *following(offset, len(found), total))


@reads("A person's history", open_world=False)
async def get_lead(app: App, who: Annotated[str, Field(min_length=3, max_length=500)]) -> LeadView:
    """One person by id, e-mail or profile URL: found where, scored how, written to when, answered what.

    The latest entries; swarm://leads/{id} has more.
    """
    found = await history(app.kernel, who)
    if found is None:
        raise Invalid("nobody is known by that name", field="who", code="not_found")
    person, timeline = found["person"], found["timeline"]
    return LeadView(
        id=person["id"],
        name=person["name"],
        title=person["title"],
        company=person["company"],
        suppressed=person["suppressed"],
        timeline=tuple(
            Happening(e["at"], e["what"], short(e["detail"])) for e in timeline[-MOST_HAPPENINGS:]
        ),
        omitted=max(0, len(timeline) - MOST_HAPPENINGS),
    )


@reads("People of a run", open_world=False)
async def list_leads(
    app: App, run_id: Id, state: Key = "", limit: FewLimit = 25, cursor: Cursor = ""
) -> LeadList:
    """People of a run, best score first; `state` narrows: scored, disqualified, held, in_review, live, stopped."""
    offset = offset_of(cursor)
    where = [run_lead.c.run_id == run_id, *([run_lead.c.state == state] if state else [])]
    query = (
        sa.select(lead.c.data, run_lead.c.tier, run_lead.c.score, run_lead.c.state)
        .join(run_lead, run_lead.c.lead_id == lead.c.id)
        .where(*where)
        .order_by(run_lead.c.score.desc(), lead.c.id)
        .limit(limit)
        .offset(offset)
    )
    total = sa.select(sa.func.count()).select_from(run_lead).where(*where)
    rows, count = await app.kernel.store.read(
        lambda c: (c.execute(query).all(), c.execute(total).scalar() or 0)
    )
    people = [(LEAD.validate_json(row.data), row) for row in rows]
    views = [
        LeadView(p.id, short(p.name), short(p.title), short(p.company), row.tier, row.score, row.state)
        for p, row in people
    ]
    return LeadList(tuple(views), *following(offset, len(views), count))


@reads("Campaigns that wait", open_world=False)
async def list_reviews(app: App, limit: Limit = 50, cursor: Cursor = "") -> ReviewList:
    """Campaigns whose words wait for a person, most urgent first. A logged-in person decides, in the Gatekeeper."""
    waiting, next_cursor, left = cut(await dossier.queue(app.kernel), cursor, limit)
    views = [ReviewView(w.id, short(w.name), w.tier, w.covered, w.held, w.due) for w in waiting]
    return ReviewList(tuple(views), next_cursor, left)


@reads("A campaign that waits", open_world=False)
async def get_review(app: App, campaign_id: Id) -> ReviewView:
    """One campaign: what compliance found, one recipient's first message, its words and who wrote them.

    Words may be written anew with orchestrator_submit_draft, while it waits.
    """
    found = await dossier.detail(app.kernel, campaign_id)
    told = await app.kernel.store.read(
        lambda c: origin_in(c, dossier.campaign_row(c, campaign_id), app.kernel.settings.safety.approvals)
    )
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
        **(_words(app, told, found.depth) if told else {}),
    )


def _words(app: App, told: Origin, depth: Depth) -> dict[str, Any]:
    """Who wrote the words, from what they depart, and the words."""
    levels = DEPTHS[: DEPTHS.index(depth) + 1]
    ours = ("sender.first_name", "sender.name", "sender.title", "sender.company", "sender.offer")
    return {
        "written_by": told.wording.written_by,
        "departs_from": told.wording.departs_from,
        "compared_with": told.approved_before.id
        if told.approved_before
        else "nothing: none was approved before",
        "changed_percent": round(told.percent) if told.approved_before else 0,
        "must_be_read": told.reasons,
        "words": tuple(
            WordsView(variant, step, text.subject, text.body)
            for variant, texts in told.wording.texts.items()
            for step, text in enumerate(texts, 1)
        ),
        "variables": (
            *(name for level in levels for name in app.rules.outreach.personalisation[level]),
            *ours,
        ),
    }


@reads("Handoffs", open_world=False)
async def list_handoffs(
    app: App,
    state: Literal["pending", "acknowledged", "closed"] = "pending",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> HandoffList:
    """What people have to take up, soonest due first."""
    offset = offset_of(cursor)
    wanted = handoff.c.state == state
    query = (
        sa.select(handoff, reply.c.event_id.label("reply_id"))
        .outerjoin(reply, reply.c.event_id == handoff.c.event_id)
        .where(wanted)
        .order_by(handoff.c.due_at, handoff.c.id)
        .limit(limit)
        .offset(offset)
    )
    total = sa.select(sa.func.count()).select_from(handoff).where(wanted)
    rows, count = await app.kernel.store.read(
        lambda c: (c.execute(query).all(), c.execute(total).scalar() or 0)
    )
    views = [
        HandoffView(r.id, r.trigger, r.destination, r.priority, r.state, r.due_at, r.reply_id or "")
        for r in rows
    ]
    return HandoffList(tuple(views), *following(offset, len(views), count))


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
async def query_audit(app: App, limit: Limit = 20, cursor: Cursor = "") -> AuditPage:
    """Entries of the log, newest first, and whether all of it verifies against its signed checkpoints."""
    offset = offset_of(cursor, FURTHEST_ENTRY)
    verdict = await app.kernel.audit.verify_lately()
    entries = (await app.kernel.audit.tail(offset + limit))[offset:]
    views = [AuditEntry(int(str(e["seq"])), str(e["at"]), str(e["kind"]), str(e["cid"])) for e in entries]
    return AuditPage(tuple(views), verdict.size, verdict.ok, *following(offset, len(views), verdict.size))


TOOLS: tuple[Tool, ...] = (
    get_status,
    get_run,
    list_runs,
    phase_tools.get_artefact,
    get_lead,
    list_leads,
    list_reviews,
    get_review,
    list_handoffs,
    handoff_tools.list_tasks,
    handoff_tools.get_metrics,
    report_tools.get_report,
    learning_tools.query_knowledge,
    learning_tools.get_recommendations,
    check_suppression,
    query_audit,
    phase_tools.research,
    phase_tools.plan,
    phase_tools.implement,
    phase_tools.run_pipeline,
    phase_tools.cancel_run,
    phase_tools.submit_draft,
    reply_tools.classify_reply,
    handoff_tools.acknowledge_handoff,
    handoff_tools.close_handoff,
    stop_tools.suppress,
    stop_tools.sync_suppression,
    stop_tools.pause_campaigns,
    stop_tools.engage_kill_switch,
    stop_tools.engage_safe_mode,
)

# Listed only where they are asked for: `--toolsets linkedin,reports,replies`.
TOOLSETS: Mapping[str, tuple[str, ...]] = {
    "linkedin": ("list_tasks",),
    "reports": ("get_report", "query_knowledge", "get_recommendations"),
    "replies": ("classify_reply",),
}
