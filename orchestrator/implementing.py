"""Implement: what an approved plan lists is launched, if nothing of it moved; afterwards the ledger is laid beside it.

asked for ─ plan approved? ─ leads and campaigns as approved? ─ dry run ─▶ told, nothing done
                 └ no ─▶ refused         └ no ─▶ refused       └ live ─▶ cleared for launch ─ all over ─▶ done
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import drift, foreseen, outreach, runs, traced
from orchestrator.app import App
from orchestrator.artefacts import newest_in, put_in
from orchestrator.foreseen import EffectCount, Foreseen
from orchestrator.plans import Plan, moved, plan_in
from shared.clock import iso
from shared.effect import REASONS, Json, Outcome
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import artefact, campaign, campaign_lead
from shared.schema import approval
from shared.telemetry import correlation

MOST_NAMED = 20
LARGE = 20_000  # effects; more are not compared anew each time somebody looks
LAUNCHING = ("approved", "launching")
WELL = ("applied", "simulated", "replayed")
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of effect: how many were listed, and how many of those the ledger holds, by how they ended."""

    when: str
    action: str
    listed: int
    ended: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Difference:
    """A listed effect that wasn't done, or one that was done and not listed."""

    action: str
    target: str
    status: str
    reason: str
    listed: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What implement came to. `differences` names the first few; `more` counts the rest."""

    run_id: str
    version: int
    state: str
    asked_by: str
    asked_at: str
    compared: tuple[Compared, ...]
    unlisted: int
    differences: tuple[Difference, ...]
    more: int


REPORT = TypeAdapter(Report)


async def implement(app: App, run_id: str, *, actor: str, dry_run: bool) -> Outcome:
    """Check everything; then, unless it is a dry run, clear what the plan covers for launch. Never raises a refusal."""
    found = await runs.get(app.kernel, run_id)
    safety = await app.kernel.switches.now()
    if found.state == "cancelled":
        return _refused("cancelled", "This run was cancelled; start a new one.")
    if found.launches == "on_approval":
        return await _take_up_again(app, run_id, dry_run=dry_run)
    if safety.killed and not dry_run:
        return _refused("kill_switch", REASONS["kill_switch"])
    # What takes time is read before the write: a stop must not wait for it.
    now = app.kernel.clock.now()
    counts, no = await app.kernel.store.read(lambda c: _looked_at(c, run_id, iso(now)))
    if no is None and not dry_run and await outreach.again(app, run_id):
        counts, no = await app.kernel.store.read(lambda c: _looked_at(c, run_id, iso(now)))
    if no is not None:
        return no
    if dry_run:
        return _told("simulated", "A dry run: this would follow, and nothing of it was done.", counts)
    since = iso(now - drift.MARGIN)
    return await app.kernel.store.write(lambda c: _cleared_in(app.kernel, c, run_id, actor, counts, since))


def _looked_at(
    connection: sa.Connection, run_id: str, now: str
) -> tuple[tuple[EffectCount, ...], Outcome | None]:
    """What would follow, and what speaks against it."""
    plan = plan_in(connection, run_id)
    no = _against(connection, plan, now)
    return ((), no) if no else (_counted(connection, plan), None)


def _cleared_in(
    kernel: Kernel,
    connection: sa.Connection,
    run_id: str,
    actor: str,
    counts: Sequence[EffectCount],
    since: str,
) -> Outcome:
    """Once more, now that nobody else writes: what happened since it was looked at is seen, and the rest is cleared."""
    plan = plan_in(connection, run_id, counted=False)
    if no := _against(connection, plan, iso(kernel.clock.now()), since):
        return no
    if _cleared(connection, plan):
        return _told("replayed", "This plan is being implemented, or was.", counts, plan)
    _clear(kernel, connection, plan, actor, counts)
    return _told("applied", "Cleared for launch; carried out by the worker.", counts, plan)


async def _take_up_again(app: App, run_id: str, *, dry_run: bool) -> Outcome:
    """Runs that launch on approval have nothing to clear; what stalled is taken up again."""
    message = "This run launches each campaign as soon as a person has approved its words."
    count = 0 if dry_run else await outreach.again(app, run_id)
    detail: dict[str, Json] = {"taken_up_again": count}
    status = "applied" if count else "simulated" if dry_run else "replayed"
    return Outcome(status, "", message, run_id, detail, correlation_id=correlation())  # type: ignore[arg-type]  # one of the statuses


def _refused(reason: str, message: str, **detail: Json) -> Outcome:
    return Outcome("refused", reason, message, "", detail, correlation_id=correlation())


def _told(status: str, message: str, counts: Sequence[EffectCount], plan: Plan | None = None) -> Outcome:
    detail: dict[str, Json] = {
        "effects": [asdict(count) for count in counts],
        "in_all": sum(count.count for count in counts),
    }
    reference = f"{plan.run_id}:plan:{plan.version}" if plan else ""
    return Outcome(status, "", message, reference, detail, correlation_id=correlation())  # type: ignore[arg-type]  # one of the statuses


# ── may it ───────────────────────────────────────────────────────────────────────────────────────────────
def _against(connection: sa.Connection, plan: Plan, now: str, since: str = "") -> Outcome | None:
    """What speaks against implementing this plan now, the most basic first. `since` as in `moved_in`."""
    if plan.state != "approved":
        where = f"/campaigns/plans/{plan.run_id}"
        state = plan.state.replace("_", " ")
        message = f"Version {plan.version} of this plan is {state}: a person decides, at {where}."
        return _refused("needs_approval", message, version=plan.version, state=plan.state, page=where)
    if plan.undecided:
        names: list[Json] = [part.id for part in plan.undecided[:MOST_NAMED]]
        message = f"The words of {len(plan.undecided)} campaigns wait for a person again, at /reviews."
        return _refused("needs_approval", message, campaigns=names, page="/reviews")
    if changed := _changed(plan):
        names = list[Json](changed[:MOST_NAMED])
        message = (
            f"{len(changed)} campaigns are not what was approved with version {plan.version}; "
            f"a person looks at the plan again."
        )
        return _refused("plan_moved", message, campaigns=names, campaigns_changed=len(changed))
    if gone := moved(connection, plan, since):
        people: list[Json] = [lead_id for _, lead_id in gone[:MOST_NAMED]]
        message = f"What we know of {len(gone)} people changed since research. Research this run again, then plan it."
        return _refused("leads_moved", message, leads=people, leads_changed=len(gone))
    if late := _expired(connection, plan, now):
        names = list[Json](late[:MOST_NAMED])
        message = "The yes to some words has run out; a person approves them again."
        return _refused("approval_expired", message, campaigns=names)
    return None


def _changed(plan: Plan) -> list[str]:
    """Campaigns whose words or people aren't those of the yes to the plan, or that somebody has rejected since."""
    covered = plan.covers.get("campaigns")
    contents: Mapping[str, Json] = covered if isinstance(covered, dict) else {}
    now = {part.id: part for part in plan.parts}
    changed = [part.id for part in plan.approved if contents.get(part.id) != part.fingerprint]
    return changed + [one for one in contents if one not in now or now[one].state == "rejected"]


def _expired(connection: sa.Connection, plan: Plan, now: str) -> list[str]:
    ids = [part.id for part in plan.approved]
    query = (
        sa.select(campaign.c.id)
        .join(approval, approval.c.id == campaign.c.approval_id)
        .where(campaign.c.id.in_(ids), sa.or_(approval.c.expires_at <= now, approval.c.state != "approved"))
    )
    return list(connection.execute(query.order_by(campaign.c.id)).scalars())


def _counted(connection: sa.Connection, plan: Plan) -> tuple[EffectCount, ...]:
    """What would follow now, of what is not launched yet."""
    mine = {part.id for part in plan.approved}
    casts = [cast for cast in foreseen.casts_in(connection, plan.run_id) if cast.campaign_id in mine]
    return foreseen.counts(casts)


def _cleared(connection: sa.Connection, plan: Plan) -> bool:
    """Whether everything approved was cleared before."""
    waiting = sa.select(campaign.c.id).where(
        campaign.c.id.in_([part.id for part in plan.approved]), campaign.c.cleared != campaign.c.version
    )
    return connection.execute(waiting.limit(1)).scalar() is None


def _clear(
    kernel: Kernel, connection: sa.Connection, plan: Plan, actor: str, counts: Sequence[EffectCount]
) -> None:
    """The worker may launch exactly these versions; who is in them is noted, to be compared with the ledger."""
    ids = [part.id for part in plan.approved]
    connection.execute(sa.update(campaign).where(campaign.c.id.in_(ids)).values(cleared=campaign.c.version))
    for one in ids:  # one statement for all would have SQLite keep everybody's row in memory until it ends
        people = (campaign_lead.c.campaign_id == one, campaign_lead.c.state == "drafted")
        connection.execute(sa.update(campaign_lead).where(*people).values(listed=plan.version))
    data: dict[str, Json] = {
        "plan": plan.version,
        "campaigns": list[Json](ids),
        "effects": [asdict(count) for count in counts],
    }
    why = f"version {plan.version} of the plan, approved by {plan.decided_by}"
    put_in(
        connection, plan.run_id, "implement", data, state="running", by=actor, why=why, now=kernel.clock.now()
    )


# ── what came of it ──────────────────────────────────────────────────────────────────────────────────────
async def settle(app: App, campaign_id: str) -> None:
    """As `settle_run`, for the run of this campaign."""
    of = sa.select(campaign.c.run_id).where(campaign.c.id == campaign_id)
    await settle_run(app, await app.kernel.store.read(lambda c: str(c.execute(of).scalar_one())))


async def settle_run(app: App, run_id: str) -> None:
    """Once nothing of the run is being launched any more, the report is saved with what was asked."""
    made = await app.kernel.store.read(lambda c: _settled(c, run_id))
    if made is not None:
        identifier, data = made
        mine = (artefact.c.id == identifier, artefact.c.state == "running")
        done = sa.update(artefact).where(*mine).values(state="done", data=data)
        await app.kernel.store.write(lambda c: c.execute(done))


def _settled(connection: sa.Connection, run_id: str) -> tuple[str, str] | None:
    """The implementation that has ended, and what it says from now on."""
    asked = newest_in(connection, run_id, "implement")
    busy = sa.select(campaign.c.id).where(
        campaign.c.run_id == run_id,
        campaign.c.state.in_(LAUNCHING),
        campaign.c.cleared == campaign.c.version,
    )
    if asked is None or asked.state != "running" or connection.execute(busy.limit(1)).scalar():
        return None
    made = replace(report_in(connection, run_id), state="done")
    return asked.id, json.dumps({**asked.data, "report": REPORT.dump_python(made, mode="json")})


async def report(kernel: Kernel, run_id: str) -> Report:
    """The listed effects beside what the ledger holds of them now. `Invalid` where nothing was asked for."""
    return await kernel.store.read(lambda c: report_in(c, run_id))


def report_in(connection: sa.Connection, run_id: str) -> Report:
    """As `report`, in the caller's transaction. A large one that has ended is told as it was saved then."""
    asked = newest_in(connection, run_id, "implement")
    if asked is None:
        raise Invalid("implement was not asked for yet", field="run_id", code="not_found")
    saved = asked.data.get("report")
    if saved and sum(cast.effects for cast in foreseen.casts_in(connection, run_id, listed=True)) > LARGE:
        return REPORT.validate_python(saved)
    trace = traced.trace_of(connection, run_id)
    ended: dict[tuple[str, str], Counter[str]] = {}
    wrong: list[Difference] = []
    bad = 0
    for cast in foreseen.casts_in(connection, run_id, listed=True):
        for one, (status, reason) in traced.ends(connection, cast, trace):
            ended.setdefault((one.when, one.action), Counter())[status] += 1
            if one.when == "launch" and status not in WELL:
                bad += 1
                if len(wrong) < MOST_NAMED:
                    why = reason or _why(connection, one)
                    wrong.append(Difference(one.action, one.target, status, why, listed=True))
    strange = traced.unlisted(connection, run_id, trace)
    wrong += [Difference(*place, *strange[place], listed=False) for place in sorted(strange)]
    compared = [Compared(when, action, sum(c.values()), dict(c)) for (when, action), c in ended.items()]
    return Report(
        run_id, asked.version, asked.state, asked.made_by, asked.made_at, tuple(compared), len(strange),
        tuple(wrong[:MOST_NAMED]), max(0, bad + len(strange) - MOST_NAMED),
    )  # fmt: skip


def _why(connection: sa.Connection, one: Foreseen) -> str:
    """Why nothing was tried: the person was stopped or held since, or the campaign isn't launched."""
    query = sa.select(campaign_lead.c.state, campaign_lead.c.reason).where(
        campaign_lead.c.campaign_id == one.campaign_id, campaign_lead.c.lead_id == one.lead_id
    )
    row = connection.execute(query).one_or_none()
    return f"{row.state} {row.reason}".strip() if row else ""


def listing(
    connection: sa.Connection, run_id: str, offset: int, limit: int
) -> tuple[tuple[Foreseen, ...], int]:
    """A page of what would follow, and how many effects there are in all."""
    casts = foreseen.casts_in(connection, run_id)
    return foreseen.page(connection, casts, offset, limit), sum(cast.effects for cast in casts)
