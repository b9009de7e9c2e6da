"""A campaign plan out of findings, and out of nothing else. Pure.

Each line is a group of people who are written to alike: with which template, how deeply, how often, what the two
variants are to find out, what may come of it and on what that guess rests. A person's choices change a line;
everything else is configuration.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from math import ceil
from typing import Annotated, Literal

from pydantic import Field

from orchestrator.campaigns import Campaign, hypothesis, make_campaign
from orchestrator.findings import Findings, Group, Share, Track
from orchestrator.forecast import Prediction, detectable, predicted
from orchestrator.outreach_rules import CampaignType, Depth, TierTreatment
from orchestrator.rules import Rules
from shared.errors import Invalid
from shared.lead import Tier

Hour = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$")]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a person decided otherwise for one line. Empty and 0: as configured."""

    template: CampaignType | Literal[""] = ""
    depth: Depth | Literal[""] = ""
    sequence: str = ""
    hook: str = ""
    hypothesis: Annotated[str, Field(max_length=500)] = ""
    daily_limit: Annotated[int, Field(ge=0)] = 0
    start: Hour = ""
    end: Hour = ""
    linkedin: Literal["", "no"] = ""
    leave_out: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        """The parts that were decided."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != f.default)


@dataclass(frozen=True, slots=True)
class Hook:
    """What people of one industry are told; our own configured words."""

    context: str
    people: int
    hook: str
    pain_points: tuple[str, ...]
    value: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The test of two variants over all lines that share it, and what so many people can show."""

    hypothesis: str
    variants: tuple[str, ...]
    lines: tuple[str, ...]
    people_per_variant: int
    detectable_points: float  # difference in percentage points that would show with the configured power
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plan. `found` by research; `people` would be written to, as far as is known by then."""

    key: str
    type: CampaignType
    tier: Tier
    c_level: bool
    left_out: bool
    found: int
    people: int
    campaigns: int
    template: CampaignType
    depth: Depth
    sequence: str
    day_offsets: tuple[int, ...]
    linkedin_days: tuple[int, ...]
    hooks: tuple[Hook, ...]
    competitors: tuple[Share, ...]
    sources: tuple[Share, ...]
    mail: tuple[Share, ...]
    hypothesis: str
    start: str
    end: str
    zones: tuple[Share, ...]  # by whose clock, and for how many of them
    weekdays: tuple[int, ...]
    daily_limit: int
    approval: Literal["each", "batch"]
    sample_percent: float
    review_due_hours: float
    approver: Literal["ae", "operator"]
    predicted: tuple[Prediction, ...]
    attention: tuple[str, ...]  # what a person has to look at
    choice: Choice


@dataclass(frozen=True, slots=True)
class Expected:
    """One metric over all lines: how many people, at least and at most."""

    metric: str
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Strategy:
    """All lines, and what they come to together."""

    lines: tuple[Line, ...]
    comparisons: tuple[Comparison, ...]
    expected: tuple[Expected, ...]
    people: int
    messages: int
    linkedin_tasks: int
    mailboxes: int
    first_days: int  # at least so many sending days until everybody has a first message
    sending_days: int  # at least so many until every message has left

    @property
    def basis(self) -> str:
        """On what the predictions rest, in words: our own results, or the targets, or which for how many lines."""
        made = [line.predicted[0] for line in self.lines if line.predicted and not line.left_out]
        own = sum(one.basis == "our own results" for one in made)
        if own == len(made):
            return "our own results, line by line" if made else ""
        assumed = next(one for one in made if one.basis != "our own results")
        if not own:
            return f"{assumed.basis}, {assumed.told}"
        return f"our own results for {own} lines; {assumed.basis} for {len(made) - own}, {assumed.told}"


def make_strategy(
    findings: Findings,
    rules: Rules,
    choices: Mapping[str, Choice] | None = None,
    written: Mapping[str, int] | None = None,
) -> Strategy:
    """The plan for these findings. `written`, by line: who is left after the check, once that is known."""
    lines = tuple(_line(group, findings.history, rules, choices or {}, written) for group in findings.groups)
    told = [line for line in lines if not line.left_out]
    people, messages = sum(one.people for one in told), sum(one.people * len(one.day_offsets) for one in told)
    mailboxes = len(rules.outreach.sender.mailboxes)
    a_day = mailboxes * min((line.daily_limit for line in told), default=rules.outreach.daily_limit)
    return Strategy(
        lines=lines,
        comparisons=tuple(_comparisons(told, rules)),
        expected=tuple(_expected(told)),
        people=people,
        messages=messages,
        linkedin_tasks=sum(one.people * len(one.linkedin_days) for one in told),
        mailboxes=mailboxes,
        first_days=ceil(people / a_day),
        sending_days=ceil(messages / a_day),
    )


def campaign_of(
    line: Line, lead_ids: Iterable[str], rules: Rules, *, run_id: str, zone: str = ""
) -> Campaign:
    """The campaign of these people, as their line of the plan says. `zone`: their clock, unless the configured one."""
    made = make_campaign(line.type, line.tier, tuple(sorted(lead_ids)), rules, run_id, zone)
    return replace(
        made,
        name=f"{made.name} · C-level" if line.c_level else made.name,
        depth=line.depth,
        day_offsets=line.day_offsets,
        linkedin_touch_days=line.linkedin_days,
        hypothesis=line.hypothesis,
        line=line.key,
        template=line.choice.template,
        hook=line.choice.hook,
        daily_limit=line.choice.daily_limit,
        start=line.choice.start,
        end=line.choice.end,
    )


def check_choice(choice: Choice, rules: Rules) -> None:
    """`Invalid` where a choice names what isn't configured, or loosens a limit."""
    outreach = rules.outreach
    known: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("sequence", choice.sequence, outreach.sequences),
        ("hook", choice.hook, outreach.industries),
        ("template", choice.template, rules.templates),
    )
    for field, value, names in known:
        if value and value not in names:
            raise Invalid(f"there is no such {field}; there are {', '.join(sorted(names))}", field=field)
    if choice.daily_limit > outreach.daily_limit:
        raise Invalid(f"at most the configured {outreach.daily_limit} a day", field="daily_limit")
    start, end = choice.start or outreach.window.start, choice.end or outreach.window.end
    if not outreach.window.start <= start < end <= outreach.window.end:
        message = f"within the configured hours, {outreach.window.start} to {outreach.window.end}"
        raise Invalid(message, field="start" if choice.start else "end")


def _line(
    group: Group,
    history: Iterable[Track],
    rules: Rules,
    choices: Mapping[str, Choice],
    written: Mapping[str, int] | None,
) -> Line:
    outreach, treatment, choice = (
        rules.outreach,
        rules.outreach.tiers[group.tier],
        choices.get(group.key, Choice()),
    )
    people = _expected_people(group) if written is None else written.get(group.key, 0)
    template = choice.template or group.type
    sequence = choice.sequence or treatment.sequence
    zones = group.zones or (Share(outreach.window.timezone, group.people),)
    record = next((one for one in history if (one.type, one.tier) == (group.type, group.tier)), None)
    return Line(
        key=group.key,
        type=group.type,
        tier=group.tier,
        c_level=group.c_level,
        left_out=choice.leave_out,
        found=group.people,
        people=people,
        campaigns=sum(ceil(share.people / treatment.max_leads) for share in zones),
        template=template,
        depth=choice.depth or treatment.depth,
        sequence=sequence,
        day_offsets=outreach.sequences[sequence],
        linkedin_days=() if choice.linkedin == "no" else treatment.linkedin_touch_days,
        hooks=tuple(_hooks(group, rules, choice)),
        competitors=group.competitors,
        sources=group.sources,
        mail=group.mail,
        hypothesis=choice.hypothesis or hypothesis(template, rules),
        start=choice.start or outreach.window.start,
        end=choice.end or outreach.window.end,
        zones=zones,
        weekdays=outreach.window.weekdays,
        daily_limit=choice.daily_limit or outreach.daily_limit,
        approval=treatment.approval,
        sample_percent=treatment.sample_percent,
        review_due_hours=treatment.review_due_hours,
        approver="operator" if group.c_level else "ae",
        predicted=tuple(predicted(people, record, rules)),
        attention=tuple(_attention(group, people, treatment, template)),
        choice=choice,
    )


def _expected_people(group: Group) -> int:
    """Who is left when those are out whom the rules of their country keep us from writing to."""
    out = sum(share.people for share in group.mail if share.name != "allow")
    return group.people - out


def _hooks(group: Group, rules: Rules, choice: Choice) -> Iterable[Hook]:
    contexts = (Share(choice.hook, group.people),) if choice.hook else group.contexts
    for share in contexts:
        row = rules.outreach.industries.get(share.name)
        if row is not None:
            yield Hook(share.name, share.people, row.hook, row.pain_points, row.value)


def _attention(group: Group, people: int, treatment: TierTreatment, template: CampaignType) -> Iterable[str]:
    """What a person looks at before saying yes, as far as research can tell."""
    if group.c_level:
        yield f"all {people} are at C-level: an operator or admin approves them, one by one"
    elif treatment.approval == "each":
        yield f"each of the {people} needs a yes of their own"
    else:
        yield f"open the messages of {treatment.sample_percent:g} % of the people before approving"
    counts = {share.name: share.people for share in group.mail}
    if counts.get("block"):
        yield f"mail without consent is forbidden to {counts['block']} of those found: compliance leaves them out"
    if counts.get("hold"):
        yield f"the rules aren't settled for {counts['hold']}, or their country is unknown: each is held for a person"
    if group.unverified:
        yield f"no verifier vouches for the address of {group.unverified}"
    if group.without_greeting:
        yield f"without a first name to greet with: {group.without_greeting}; their mail opens with Hello"
    if template != group.type:
        yield f"written with the template of another campaign type: {template.replace('_', ' ')}"


# ── of all lines together ────────────────────────────────────────────────────────────────────────────────
def _expected(lines: Iterable[Line]) -> Iterable[Expected]:
    """The predictions of all lines together, rounded once."""
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for line in lines:
        shares = {one.metric: (one.low / 100, one.high / 100) for one in line.predicted}
        for one in line.predicted:
            of = shares["replies"] if one.of == "replies" else (1.0, 1.0)
            low[one.metric] = low.get(one.metric, 0) + line.people * of[0] * one.low / 100
            high[one.metric] = high.get(one.metric, 0) + line.people * of[1] * one.high / 100
    # Rounded outwards, but not for what only floating point adds.
    return [Expected(name, int(low[name] + 1e-9), ceil(high[name] - 1e-9)) for name in low]


def _comparisons(lines: Iterable[Line], rules: Rules) -> Iterable[Comparison]:
    """One for each hypothesis: people of all its lines together, since few lines are large enough alone."""
    pooled: dict[tuple[str, CampaignType], list[Line]] = {}
    for line in lines:
        pooled.setdefault((line.hypothesis, line.template), []).append(line)
    for (stated, template), members in sorted(pooled.items()):
        variants = sorted(rules.templates[template].variants.items())
        per_variant = sum(line.people for line in members) // 2
        points = detectable(rules.outreach.targets["replies"].minimum / 100, per_variant, rules)
        yield Comparison(
            hypothesis=stated,
            variants=tuple(f"{name}: {variant.idea}" for name, variant in variants),
            lines=tuple(line.key for line in members),
            people_per_variant=per_variant,
            detectable_points=points,
            told=_can_show(per_variant, points, rules),
        )


def _can_show(per_variant: int, points: float, rules: Rules) -> str:
    base = rules.outreach.targets["replies"].minimum
    if points > rules.outreach.planning.hopeless_points:
        return f"with {per_variant} people a variant it can't tell the variants apart: any difference may be chance"
    return (
        f"with {per_variant} people a variant, a difference shows from about {points:g} percentage points on "
        f"(over {base:g} % replies); a smaller one may be chance"
    )
