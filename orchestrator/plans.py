"""A run's plan as a saved artefact: begun from findings, completed by the check, shown as it stands.

    findings ─ make_strategy ─▶ drafting ─ words written, checked ─▶ pending_review   (runs that wait for implement)
                                                                  └▶ saved            (runs that launch on approval)

What a person decides about it stands in `plan_review.py`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import foreseen, surveying
from orchestrator.app import App
from orchestrator.artefacts import Artefact, newest_in, put_in
from orchestrator.compliance import verdict
from orchestrator.crowds import Crowds
from orchestrator.dossier import findings_of
from orchestrator.drift import moved_in
from orchestrator.familiar import new_of_run
from orchestrator.findings import Share
from orchestrator.foreseen import EffectCount
from orchestrator.strategy import Choice, Line, Strategy, make_strategy
from shared.effect import Json, canonical, digest
from shared.errors import Fatal, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import artefact, campaign, campaign_lead, run
from shared.safety_rules import SafetyFile

STRATEGY = TypeAdapter(Strategy)
CHOICES = TypeAdapter(dict[str, Choice])
WAITING = ("drafted", "pending_review")
LEFT_OUT = "left out of the plan"
Row = Any  # a row of campaign_lead with its campaign's line


# ── what the check adds ──────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Flag:
    """One kind of finding of compliance, and on how many people's messages."""

    code: str
    severity: Literal["block", "hold", "warn"]
    why: str
    people: int


@dataclass(frozen=True, slots=True)
class Checked:
    """One line of the plan, once every message of it was written and checked."""

    key: str
    people: int  # who would be written to
    held: int
    alone: int  # whose messages need a yes of their own
    flags: tuple[Flag, ...]
    held_because: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """The whole plan after the check. `attention` is what a person has to look at, most important first."""

    lines: tuple[Checked, ...]
    people: int
    held: int
    to_read: int  # people whose messages somebody has to open before everything can be approved
    effects: tuple[EffectCount, ...]
    attention: tuple[str, ...]


CHECK = TypeAdapter(Check)


# ── how it stands ────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Part:
    """A campaign of the plan as it is now."""

    id: str
    line: str
    name: str
    state: str
    version: int
    fingerprint: str
    people: int
    held: int
    decided_by: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A version of a plan, and how what it speaks of stands now. `content` is what a yes would be to."""

    run_id: str
    version: int
    state: str
    research: int
    made_by: str
    why: str
    made_at: str
    decided_by: str
    decided_at: str
    reason: str
    launches: str
    strategy: Strategy
    check: Check | None
    parts: tuple[Part, ...]
    effects: tuple[EffectCount, ...]
    content: str
    covers: Mapping[str, Json]

    @property
    def undecided(self) -> tuple[Part, ...]:
        """Campaigns whose words nobody has decided on."""
        return tuple(part for part in self.parts if part.state in WAITING)

    @property
    def approved(self) -> tuple[Part, ...]:
        """Campaigns whose words a person approved, and that aren't launched yet."""
        return tuple(part for part in self.parts if part.state == "approved")

    def parts_of(self, line: Line) -> tuple[Part, ...]:
        """The campaigns of a line."""
        return tuple(part for part in self.parts if part.line == line.key)

    def checked(self, line: Line) -> Checked | None:
        """What the check said of a line."""
        return next((one for one in self.check.lines if one.key == line.key), None) if self.check else None


# ── making one ───────────────────────────────────────────────────────────────────────────────────────────
async def begin(app: App, run_id: str) -> tuple[int, Strategy]:
    """The version that is being drafted, begun from the newest findings unless a person's edit has begun it."""
    research = await app.kernel.store.read(lambda c: newest_in(c, run_id, "research"))
    if research is None:  # a run that was researched by an older version
        await surveying.write_findings(app, run_id)
        research = await app.kernel.store.read(lambda c: newest_in(c, run_id, "research"))
    if research is None:
        raise Fatal("this run has no findings; research it first", code="no_findings")
    found, version, now = surveying.findings_of(research), research.version, app.kernel.clock.now()

    def change(connection: sa.Connection) -> tuple[int, Strategy]:
        known = newest_in(connection, run_id, "plan")
        if known is not None and known.state == "drafting":
            strategy = make_strategy(found, app.rules, choices_of(known))
            return known.version, _keep(connection, known, version, strategy)
        strategy = make_strategy(found, app.rules)
        data = {"research": version, "choices": {}, "strategy": STRATEGY.dump_python(strategy, mode="json")}
        why = f"planned from version {version} of the findings"
        made = put_in(connection, run_id, "plan", data, state="drafting", by="worker", why=why, now=now)
        return made, strategy

    return await app.kernel.store.write(change)


def _keep(connection: sa.Connection, known: Artefact, research: int, strategy: Strategy) -> Strategy:
    data = {**known.data, "research": research, "strategy": STRATEGY.dump_python(strategy, mode="json")}
    _update(connection, known, data=canonical(data).decode())
    return strategy


def choices_of(plan: Artefact) -> dict[str, Choice]:
    """What people decided otherwise, by line."""
    return CHOICES.validate_python(plan.data.get("choices", {}))


def _update(connection: sa.Connection, plan: Artefact, **values: str) -> None:
    connection.execute(sa.update(artefact).where(artefact.c.id == plan.id).values(**values))


async def complete(app: App, run_id: str) -> None:
    """Every message is written and checked: the draft becomes a version that a person can decide on."""
    made = await app.kernel.store.read(lambda c: _completed(c, run_id, app))
    if made is not None:
        await app.kernel.store.write(lambda c: _put_completed(c, *made))


def _completed(connection: sa.Connection, run_id: str, app: App) -> tuple[str, str, str] | None:
    """The draft's id, its state from now on, and what it says; None where there is no draft."""
    plan = newest_in(connection, run_id, "plan")
    if plan is None or plan.state != "drafting":
        return None
    safety = app.kernel.settings.safety
    check = _check(connection, run_id, STRATEGY.validate_python(plan.data["strategy"]), safety)
    launches = connection.execute(sa.select(run.c.launches).where(run.c.id == run_id)).scalar_one()
    state = "saved" if launches == "on_approval" or not check.people else "pending_review"
    research = newest_in(connection, run_id, "research", int(str(plan.data["research"])))
    assert research is not None  # a draft names findings that are there
    written = {line.key: line.people for line in check.lines}
    final = make_strategy(surveying.findings_of(research), app.rules, choices_of(plan), written)
    data = {
        **plan.data,
        "strategy": STRATEGY.dump_python(final, mode="json"),
        "check": CHECK.dump_python(check, mode="json"),
    }
    return plan.id, state, canonical(data).decode()


def _put_completed(connection: sa.Connection, identifier: str, state: str, data: str) -> None:
    draft = (artefact.c.id == identifier, artefact.c.state == "drafting")
    connection.execute(sa.update(artefact).where(*draft).values(state=state, data=data))


@dataclass(slots=True)
class _Counted:
    people: int
    held: int
    alone: int
    flags: Counter[tuple[str, str, str]]
    held_because: Counter[str]


def _check(connection: sa.Connection, run_id: str, strategy: Strategy, safety: SafetyFile) -> Check:
    counted: dict[str, _Counted] = {}
    crowds = Crowds(safety.caps, safety.free_mail)
    for row in _people(connection, run_id):
        if row.state != "held":
            crowds.add(row.email)
        _count(counted.setdefault(row.line, _Counted(0, 0, 0, Counter(), Counter())), row)
    lines = tuple(_checked(key, counted[key]) for key in sorted(counted))
    return Check(
        lines=lines,
        people=sum(line.people for line in lines),
        held=sum(line.held for line in lines),
        to_read=_to_read(lines, strategy),
        effects=foreseen.counts(foreseen.casts_in(connection, run_id)),
        attention=(
            *_attention(lines, strategy),
            *(_unfamiliar(connection, run_id) if safety.approvals.new_content == "operator" else ()),
            *crowds.told(),
        ),
    )


def _people(connection: sa.Connection, run_id: str) -> Iterable[Row]:
    """Everybody in campaigns of the run that count or may come to count, one campaign after the other."""
    ours = (campaign.c.run_id == run_id, campaign.c.state.not_in(("rejected", "superseded")))
    ids = list(connection.execute(sa.select(campaign.c.id).where(*ours).order_by(campaign.c.id)).scalars())
    here = campaign_lead.c
    for campaign_id in ids:
        query = (
            sa.select(here.state, here.reason, here.findings, here.email, campaign.c.line)
            .join(campaign, campaign.c.id == here.campaign_id)
            .where(here.campaign_id == campaign_id)
            .order_by(here.lead_id)
        )
        yield from connection.execute(query)


def _count(counted: _Counted, row: Row) -> None:
    found = findings_of(row)
    counted.flags.update({(one.code, one.severity, one.why) for one in found})
    if row.state == "held":
        counted.held += 1
        counted.held_because[str(row.reason)] += 1
    else:
        counted.people += 1
        counted.alone += verdict(found) == "person"


def _checked(key: str, counted: _Counted) -> Checked:
    order = ("block", "hold", "warn")
    kinds = sorted(counted.flags.items(), key=lambda item: (order.index(item[0][1]), -item[1], item[0][0]))
    because = sorted(counted.held_because.items(), key=lambda item: (-item[1], item[0]))
    return Checked(
        key=key,
        people=counted.people,
        held=counted.held,
        alone=counted.alone,
        flags=tuple(Flag(code, severity, why, people) for (code, severity, why), people in kinds),  # type: ignore[arg-type]  # findings know these words only
        held_because=tuple(Share(why, people) for why, people in because),
    )


def _to_read(lines: Iterable[Checked], strategy: Strategy) -> int:
    by_key = {line.key: line for line in strategy.lines}
    total = 0
    for line in lines:
        plan = by_key.get(line.key)
        percent = 100 if plan is None or plan.approval == "each" else plan.sample_percent
        total += max(line.alone, -int(-line.people * percent // 100))
    return total


def _attention(lines: Iterable[Checked], strategy: Strategy) -> Iterable[str]:
    """What a person has to look at, of the whole plan."""
    by_key = {line.key: line for line in strategy.lines}
    because: Counter[str] = Counter()
    top = alone = 0
    for line in lines:
        because.update({share.name: share.people for share in line.held_because})
        top += line.people if line.key in by_key and by_key[line.key].c_level else 0
        alone += line.alone
    if top:
        yield f"{top} people at C-level: an operator or admin reads and approves each"
    if alone > top:
        yield f"{alone - top} more whose messages each need a yes of their own"
    for why, people in because.most_common(5):
        yield f"{people} held: {why}"
    for one in strategy.lines:
        if one.left_out:
            yield f"left out by a person: {one.people} people of {one.key}"
        elif one.choice.changed:
            yield f"changed by a person: {one.key} ({', '.join(one.choice.changed)})"


def _unfamiliar(connection: sa.Connection, run_id: str) -> Iterable[str]:
    """Templates and segments that nobody has approved here before."""
    new = new_of_run(connection, run_id)
    if new:
        named = " and ".join(
            f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in sorted(new.items())
        )
        yield f"new here: {named}; an operator or admin approves the first campaign of each"


# ── looking at one ───────────────────────────────────────────────────────────────────────────────────────
async def plan_of(kernel: Kernel, run_id: str, version: int = 0) -> Plan:
    """A version of a run's plan, the newest without a number, with how its campaigns stand. Raises `Invalid`."""
    return await kernel.store.read(lambda c: plan_in(c, run_id, version))


def plan_in(connection: sa.Connection, run_id: str, version: int = 0, *, counted: bool = True) -> Plan:
    """As `plan_of`, in the caller's transaction. Not `counted`: without people and effects, for a write transaction."""
    found = newest_in(connection, run_id, "plan", version)
    if found is None:
        message = "this run has no plan yet; plan it first" if not version else "there is no such version"
        raise Invalid(message, field="run_id", code="not_found")
    parts = tuple(_parts(connection, run_id, counted=counted))
    launches = connection.execute(sa.select(run.c.launches).where(run.c.id == run_id)).scalar_one()
    return Plan(
        run_id=run_id,
        version=found.version,
        state=found.state,
        research=int(str(found.data["research"])),
        made_by=found.made_by,
        why=found.why,
        made_at=found.made_at,
        decided_by=found.decided_by,
        decided_at=found.decided_at,
        reason=found.reason,
        launches=launches,
        strategy=STRATEGY.validate_python(found.data["strategy"]),
        check=CHECK.validate_python(found.data["check"]) if "check" in found.data else None,
        parts=parts,
        effects=foreseen.counts(foreseen.casts_in(connection, run_id)) if counted else (),
        content=content_of(found.version, parts),
        covers=found.covers,
    )


def _parts(connection: sa.Connection, run_id: str, *, counted: bool) -> Iterable[Part]:
    one = campaign.c
    query = sa.select(campaign).where(one.run_id == run_id, one.state != "superseded")
    rows = connection.execute(query.order_by(one.line, one.id)).all()
    people = _counts(connection, run_id) if counted else {}
    for row in rows:
        everybody, held = people.get(row.id, (0, 0))
        yield Part(
            row.id, row.line, row.name, row.state, row.version, row.fingerprint,
            everybody - held, held, row.decided_by,
        )  # fmt: skip


def _counts(connection: sa.Connection, run_id: str) -> Mapping[str, tuple[int, int]]:
    """By campaign: its people, and how many of them are held."""
    held = sa.func.sum(sa.case((campaign_lead.c.state == "held", 1), else_=0))
    query = (
        sa.select(campaign_lead.c.campaign_id, sa.func.count(), held)
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .where(campaign.c.run_id == run_id)
        .group_by(campaign_lead.c.campaign_id)
    )
    return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query)}


def content_of(version: int, parts: Iterable[Part]) -> str:
    """The fingerprint of a plan: its version, and every campaign with its words and people as they are now."""
    known = [
        [part.id, part.version, part.fingerprint, part.state in ("rejected", "failed")] for part in parts
    ]
    return digest("plan-content/v1", version, known)


def moved(connection: sa.Connection, plan: Plan, since: str = "") -> list[tuple[str, str]]:
    """Campaign and lead of everybody the plan would write to who isn't as research saw them any more.

    `since` as in `moved_in`.
    """
    open_ones = [part.id for part in plan.parts if part.state in (*WAITING, "approved", "stalled")]
    return list(moved_in(connection, plan.run_id, open_ones, since))
