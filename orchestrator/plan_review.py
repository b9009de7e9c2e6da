"""A person's decisions about a plan: approve, reject, edit. No tool can reach them.

    pending_review ─ approve ─▶ approved ─ (implement, asked for) ─▶ its campaigns are launched
         │   ▲                     │
         │   └──── edit: a new version, its lines written anew ◀────┘ (takes the words' approvals back)
         └ reject ─▶ rejected, and every campaign of it

The yes to a plan is to what follows from it as a whole; the words were each approved before, campaign by campaign,
so that one click never stands for words that nobody opened.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from orchestrator import drift, plans, runs
from orchestrator.accounts import need
from orchestrator.app import App
from orchestrator.artefacts import newest_in, put_in
from orchestrator.foreseen import EffectCount
from orchestrator.plans import LEFT_OUT, Plan, moved, plan_in
from orchestrator.strategy import Choice, Line, check_choice
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import artefact, campaign, run_lead

CHOICE = TypeAdapter(Choice)
LONGEST_REASON = 500
STILL_HERE = ("drafted", "pending_review", "approved", "failed")  # campaigns that an edit may take back
OUT = ("rejected", "failed")
BEGUN = ("launching", "live", "simulated", "paused", "completed", "stalled")


# ── approving and rejecting ──────────────────────────────────────────────────────────────────────────────
async def approve(kernel: Kernel, run_id: str, *, person: Person, version: int, content: str) -> None:
    """Say yes to the plan as it was shown. Once more after something of it was approved anew.

    Raises `Invalid` while words of it wait, `Conflict` for what changed since it was shown, or was decided.
    """
    need(person, "approve")
    # What takes time is read before the write: a stop must not wait for it.
    since = iso(kernel.clock.now() - drift.MARGIN)
    shown, gone = await kernel.store.read(lambda c: _looked_at(c, run_id))
    yes = _Yes(person, version, content, shown.effects, gone, since)
    await kernel.store.write(lambda c: _approve(kernel, c, run_id, yes))
    await kernel.audit.checkpoint("approval")


@dataclass(frozen=True, slots=True)
class _Yes:
    """Whose yes, to what, and what was found of the plan right before."""

    person: Person
    version: int
    content: str
    effects: Sequence[EffectCount]
    moved: Sequence[tuple[str, str]]
    since: str


def _looked_at(connection: sa.Connection, run_id: str) -> tuple[Plan, list[tuple[str, str]]]:
    plan = plan_in(connection, run_id)
    return plan, moved(connection, plan)


def _approve(kernel: Kernel, connection: sa.Connection, run_id: str, yes: _Yes) -> None:
    plan = plan_in(connection, run_id, counted=False)
    if plan.state == "approved" and plan.covers.get("content") == plan.content == yes.content:
        return
    _refuse_unless_open(plan, yes.version)
    if yes.content != plan.content:
        raise Conflict("something of this plan was changed since you opened it; look again", code="stale")
    if plan.undecided:
        names = f"{len(plan.undecided)} campaigns still wait for somebody to read their words"
        raise Invalid(f"decide on the words first: {names}", field="plan", code="words_waiting")
    if not plan.approved:
        raise Invalid("no campaign of this plan is approved; reject it", field="plan", code="nobody_left")
    if changed := {*yes.moved, *moved(connection, plan, yes.since)}:
        message = f"what we know of {len(changed)} people changed since research; research this run again"
        raise Conflict(message, code="moved")
    covers: dict[str, Json] = {
        "content": plan.content,
        "campaigns": {part.id: part.fingerprint for part in plan.parts if part.state not in OUT},
        "effects": [asdict(count) for count in yes.effects],
    }
    now = iso(kernel.clock.now())
    values = {
        "state": "approved",
        "decided_by": yes.person.name,
        "decided_at": now,
        "covers": json.dumps(covers),
    }
    _set(connection, plan, **values)
    payload: dict[str, Json] = {
        "version": yes.version,
        "content": yes.content,
        "campaigns": len(plan.approved),
    }
    append(connection, [Entry("plan.approved", run_id, payload, yes.person.name)], kernel.clock.now())


async def reject(kernel: Kernel, run_id: str, *, person: Person, version: int, reason: str) -> None:
    """Say no to all of it, and why: no campaign of it that hasn't begun is launched. Raises `Invalid` or `Conflict`."""
    need(person, "approve")
    why = _reason(reason)

    def change(connection: sa.Connection) -> None:
        plan = plan_in(connection, run_id, counted=False)
        _refuse_unless_open(plan, version)
        stalled = [part for part in plan.parts if part.state == "stalled"]
        for part in (*plan.undecided, *plan.approved, *stalled):
            _reject_part(kernel, connection, part.id, person, why)
        now = iso(kernel.clock.now())
        _set(connection, plan, state="rejected", decided_by=person.name, decided_at=now, reason=why)
        payload: dict[str, Json] = {"version": version, "reason": why}
        append(connection, [Entry("plan.rejected", run_id, payload, person.name)], kernel.clock.now())

    await kernel.store.write(change)
    await runs.finish_if_done(kernel, run_id)


def _reject_part(
    kernel: Kernel, connection: sa.Connection, campaign_id: str, person: Person, why: str
) -> None:
    """A campaign goes with its plan, and so do its people and the yes to its words."""
    revoke(kernel, connection, campaign_id, person.name, "plan.rejected")
    values = {"state": "rejected", "decided_by": person.name, "updated_at": iso(kernel.clock.now())}
    connection.execute(sa.update(campaign).where(campaign.c.id == campaign_id).values(**values))
    mine = (run_lead.c.campaign_id == campaign_id, run_lead.c.state == "in_review")
    connection.execute(sa.update(run_lead).where(*mine).values(state="rejected", reason=why))


def revoke(kernel: Kernel, connection: sa.Connection, campaign_id: str, actor: str, why: str) -> None:
    """Take back the yes to a campaign's words, if there is one."""
    given = sa.select(campaign.c.approval_id).where(campaign.c.id == campaign_id)
    if identifier := connection.execute(given).scalar():
        kernel.approvals.revoke_in(connection, str(identifier), actor=actor, reason=why)


def _refuse_unless_open(plan: Plan, version: int) -> None:
    if plan.state == "saved":
        message = "this run launches each campaign when its words are approved: decide on the campaigns"
        raise Invalid(message, field="plan", code="per_campaign")
    if plan.state == "drafting":
        raise Conflict("this plan is being written; look again in a moment", code="drafting")
    if plan.state not in {"pending_review", "approved"}:
        raise Conflict(f"this plan was decided: it is {plan.state}", code="decided")
    if plan.version != version:
        raise Conflict(f"there is a newer version {plan.version} of this plan; look at it", code="stale")


def _set(connection: sa.Connection, plan: Plan, **values: str) -> None:
    mine = (
        artefact.c.run_id == plan.run_id,
        artefact.c.phase == "plan",
        artefact.c.version == plan.version,
    )
    connection.execute(sa.update(artefact).where(*mine).values(**values))


# ── editing ──────────────────────────────────────────────────────────────────────────────────────────────
async def edit(
    app: App, run_id: str, key: str, choice: Choice, *, person: Person, version: int, reason: str
) -> int:
    """Decide a line otherwise: a new version, whose words are written and checked anew. Returns its number.

    Approvals of the line's words are taken back. Raises `Invalid`, or `Conflict` for what was changed or has begun.
    """
    need(person, "approve")
    why = _reason(reason)
    check_choice(choice, app.rules)

    def change(connection: sa.Connection) -> int:
        plan = plan_in(connection, run_id, counted=False)
        if plan.state != "saved":
            _refuse_unless_open(plan, version)
        _line_of(plan, key)
        for part in plan.parts:
            if part.line == key:
                _supersede(app.kernel, connection, part.id, part.state, person.name)
        _bring_back(connection, run_id)
        runs.again_in(connection, run_id, "plan")
        return _next_version(app, connection, plan, key, choice, person, why)

    return await app.kernel.store.write(change)


def _line_of(plan: Plan, key: str) -> Line:
    line = next((one for one in plan.strategy.lines if one.key == key), None)
    if line is None:
        raise Invalid("this plan has no such line", field="line", code="not_found")
    begun = [part for part in plan.parts if part.line == key and part.state in BEGUN]
    if begun:
        raise Conflict(f"{begun[0].name} was launched already; a plan can't change that", code="decided")
    return line


def _supersede(kernel: Kernel, connection: sa.Connection, campaign_id: str, state: str, actor: str) -> None:
    """The campaign stays on record, and its people are free for the next version."""
    if state not in STILL_HERE:
        return
    revoke(kernel, connection, campaign_id, actor, "plan.edited")
    values = {"state": "superseded", "updated_at": iso(kernel.clock.now())}
    connection.execute(sa.update(campaign).where(campaign.c.id == campaign_id).values(**values))
    mine = (run_lead.c.campaign_id == campaign_id, run_lead.c.state.in_(("in_review", "held")))
    free = {"state": "scored", "reason": "", "campaign_id": ""}
    connection.execute(sa.update(run_lead).where(*mine).values(**free))


def _bring_back(connection: sa.Connection, run_id: str) -> None:
    """Who was left out may be let in by this version; whether they are is decided when it is drafted."""
    mine = (run_lead.c.run_id == run_id, run_lead.c.state == "held", run_lead.c.reason == LEFT_OUT)
    connection.execute(sa.update(run_lead).where(*mine).values(state="scored", reason=""))


def _next_version(
    app: App, connection: sa.Connection, plan: Plan, key: str, choice: Choice, person: Person, why: str
) -> int:
    known = newest_in(connection, plan.run_id, "plan")
    assert known is not None
    choices = {**plans.choices_of(known), key: choice}
    data: dict[str, Json] = {
        "research": plan.research,
        "choices": {name: asdict(one) for name, one in choices.items() if one.changed},
        "strategy": known.data["strategy"],
    }
    return put_in(
        connection, plan.run_id, "plan", data,
        state="drafting", by=person.name, why=f"{key}: {why}", now=app.kernel.clock.now(),
    )  # fmt: skip


def read_choice(given: dict[str, object]) -> Choice:
    """A choice as a form sends it; `Invalid` names the part that can't be read."""
    try:
        return CHOICE.validate_python(given)
    except ValidationError as error:
        part = str(error.errors(include_input=False)[0]["loc"][0])
        raise Invalid(f"that can't be a {part.replace('_', ' ')}", field=part, code="bad_choice") from error


def _reason(text: str) -> str:
    tidy = " ".join(clean(text).split())[:LONGEST_REASON]
    if not tidy:
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    return tidy
