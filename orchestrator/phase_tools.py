"""The three phases as tools: start them, and read what they left behind. None approves.

A run started here is carried out by the worker (`swarm gatekeeper` or `swarm worker`).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from orchestrator import anew, artefacts, drafting, drafts, implementing, plans, runs, surveying, telling
from orchestrator.app import App
from orchestrator.campaigns import Variant
from orchestrator.paging import Cursor, Id, Key, Limit, Reason, following, offset_of
from orchestrator.views import ArtefactView, EffectView
from shared.effect import Json, Outcome, fingerprint
from shared.errors import Conflict, Invalid
from shared.telemetry import correlation
from shared.tool import reads, writes

PLANNED = {"running", "review", "finished"}
Paths = Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=20)]
Version = Annotated[int, Field(ge=0, le=100_000)]


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
async def research(
    app: App, files: Paths = (), post_urls: Paths = (), run_id: Key = "", idempotency_key: Key = ""
) -> Outcome:
    """Take leads in from files and posts (or everyone stored who is in no campaign), look up, score, save findings.

    With `run_id` the people of that run are scored anew, since what is known of them changed; its plan is taken back.
    """
    if not run_id:
        return await _begin(app, files, post_urls, "research", idempotency_key)
    if files or post_urls:
        raise Invalid("either a run to research anew, or files and posts for a new one", field="run_id")
    await anew.research_anew(app.kernel, run_id, actor="agent")
    message = "Researched anew by the worker; then plan it again."
    return Outcome("applied", "", message, run_id, correlation_id=correlation())


@writes("Phase 2: plan", open_world=False)
async def plan(app: App, run_id: Id, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - the run is the key
    """Turn a run's findings into a campaign plan with every word written and checked, for a person to decide on.

    Read it with orchestrator_get_artefact; a person approves words and plan in the Gatekeeper.
    """
    found = await runs.get(app.kernel, run_id)
    if found.state in PLANNED and found.params.get("asked") in {"plan", "run"}:
        return Outcome("replayed", "", "Planning was asked for before.", run_id, correlation_id=correlation())
    if full := await _queue_full(app):
        return full
    await runs.ask(app.kernel, run_id, "plan")
    return Outcome(
        "applied",
        "",
        "Carried out by the worker; see orchestrator_get_run.",
        run_id,
        correlation_id=correlation(),
    )


@writes("Phase 3: implement", open_world=False)
async def implement(
    app: App,
    run_id: Id,
    dry_run: bool = False,
    idempotency_key: Key = "",  # noqa: ARG001 - the plan's version is the key
) -> Outcome:
    """Carry out a plan that a person approved. Refused if plan or leads moved since; `dry_run` only tells.

    In safe mode everything is simulated. orchestrator_get_artefact (phase implement) lays the ledger beside the plan.
    """
    return await implementing.implement(app, run_id, actor="agent", dry_run=dry_run)


@writes("Cancel a run", stops=True, open_world=False)
async def cancel_run(
    app: App,
    run_id: Id,
    reason: Reason,
    idempotency_key: Key = "",  # noqa: ARG001 - cancelled is cancelled
) -> Outcome:
    """End a run: nothing of it begins any more, and what is being launched is paused. What is live runs on."""
    done, paused = await anew.cancel(app.kernel, run_id, actor="agent", reason=reason)
    detail: dict[str, Json] = {"paused": list[Json](paused)}
    status: Literal["applied", "replayed"] = "applied" if done else "replayed"
    message = "Cancelled." if done else "This run was over before."
    return Outcome(status, "", message, run_id, detail, correlation_id=correlation())


@writes("All phases up to review", open_world=False)
async def run_pipeline(
    app: App, files: Paths = (), post_urls: Paths = (), idempotency_key: Key = ""
) -> Outcome:
    """Research and plan in one go; each campaign is launched once a person has approved its words."""
    return await _queue_full(app) or await _begin(app, files, post_urls, "run", idempotency_key)


async def _queue_full(app: App) -> Outcome | None:
    """People can't keep up: no further words until they have decided on some."""
    rules = app.kernel.settings.safety.approvals
    full = await app.kernel.store.read(lambda c: drafting.queue_full_in(c, rules))
    return Outcome("refused", drafting.MANY, full, correlation_id=correlation()) if full else None


# ── an agent's words ─────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class DraftMessage:
    """One message in an agent's words. Plain text, blank lines between paragraphs; `{{ lead.first_name }}` and other
    variables of orchestrator_get_review. No signature, notice, opt-out or address: those are added."""

    variant: Variant
    step: Annotated[int, Field(ge=1, le=20)]
    body: Annotated[str, Field(min_length=1, max_length=drafts.MOST_BODY)]
    subject: Annotated[str, Field(max_length=drafts.MOST_SUBJECT)] = ""  # empty continues the thread


@writes("Words for a campaign", open_world=False)
async def submit_draft(
    app: App,
    campaign_id: Id,
    messages: Annotated[tuple[DraftMessage, ...], Field(min_length=1, max_length=40)],
    reason: Reason,
    dry_run: bool = False,
    idempotency_key: Key = "",  # noqa: ARG001 - the words are the key
) -> Outcome:
    """Put your words for some or all messages of a campaign that waits into review; steps left out keep theirs.

    Checked for every person in it like any words; the answer names findings and shows one message filled in. A person
    reads them beside the last approved ones, and decides. `dry_run` only checks.
    """
    given = [(one.variant, one.step, drafts.tidy(one.subject, one.body)) for one in messages]
    return await drafting.submit(app, campaign_id, given, why=reason, dry_run=dry_run)


# ── reading what they left ───────────────────────────────────────────────────────────────────────────────
@reads("What a phase left behind", open_world=False)
async def get_artefact(
    app: App,
    run_id: Id,
    phase: Literal["research", "plan", "implement"],
    version: Version = 0,
    part: Key = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> ArtefactView:
    """Findings, plan or report of a run in plain words; without `version` the newest.

    `part` narrows: a tier of the findings (tier_1), a line of the plan (event_followup/tier_2), or "effects": the
    plan's list of external effects, paged by `cursor`.
    """
    found = await artefacts.get(app.kernel, run_id, phase, version)
    if phase == "plan" and part == "effects":
        return await _effects(app, found, cursor, limit)
    return _view(found, await _words(app, found, part))


async def _words(app: App, found: artefacts.Artefact, part: str) -> str:
    if found.phase == "research":
        findings = surveying.findings_of(found)
        _refuse_unknown(part, [tier.tier for tier in findings.tiers])
        return telling.findings_text(findings, part)
    if found.phase == "implement":
        return telling.report_text(await implementing.report(app.kernel, found.run_id))
    plan = await plans.plan_of(app.kernel, found.run_id, found.version)
    _refuse_unknown(part, [*(line.key for line in plan.strategy.lines), "effects"])
    line = next((line for line in plan.strategy.lines if line.key == part), None)
    return "\n".join(telling.line_lines(plan, line)) if line else telling.plan_text(plan)


def _refuse_unknown(part: str, known: list[str]) -> None:
    if part and part not in known:
        raise Invalid(f"there is no such part; there are {', '.join(known)}", field="part", code="not_found")


async def _effects(app: App, found: artefacts.Artefact, cursor: str, limit: int) -> ArtefactView:
    """As the campaigns stand now. People go by our id: whoever reads this needs no addresses."""
    offset = offset_of(cursor)
    rows, total = await app.kernel.store.read(lambda c: implementing.listing(c, found.run_id, offset, limit))
    effects = tuple(EffectView(one.when, one.action, one.lead_id, one.campaign_id) for one in rows)
    next_cursor, left = following(offset, len(effects), total)
    return _view(found, f"{total:,} effects in all.", effects, next_cursor, left)


def _view(
    found: artefacts.Artefact,
    text: str,
    effects: tuple[EffectView, ...] = (),
    next_cursor: str = "",
    omitted: int = 0,
) -> ArtefactView:
    return ArtefactView(
        run_id=found.run_id,
        phase=found.phase,
        version=found.version,
        state=found.state,
        made_by=found.made_by,
        why=found.why,
        made_at=found.made_at,
        decided_by=found.decided_by,
        text=text,
        effects=effects,
        next_cursor=next_cursor,
        omitted=omitted,
    )
