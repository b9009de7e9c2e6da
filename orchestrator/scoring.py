"""What a lead is worth: ICP score with its reasons, tier, disqualifiers, intent and completeness.

Pure and table-driven: every number comes from `scoring.yaml`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from orchestrator.normalise import within
from orchestrator.rules import Rules
from orchestrator.scoring_rules import Band, Phrase, ScoringRules
from orchestrator.titles import Level, level_of, phrase, title_words
from shared.lead import Lead, Source, Tier

IntentLevel = Literal["hot", "warm", "cool", "nurture"]
Readiness = Literal["ready", "partial", "nurture", "skip"]
# A title may have several parts; what follows "at" in one says where somebody works, which is no title.
_SEGMENT = re.compile(r"\s*[|·•]\s*|\s+[–—-]\s+|\s*,\s*(?=ex-)", re.IGNORECASE)
_WHERE = re.compile(r"(?:\s+at\s+|\s+@\s*).*", re.IGNORECASE)
_USELESS_VERDICTS = frozenset({"undeliverable", "never_send"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What our own records and the CRM know of the person. Unknown days are -1."""

    customer: bool = False
    suppressed: bool = False
    bounced: bool = False
    contacted_days_ago: int = -1


@dataclass(frozen=True, slots=True)
class Score:
    """A lead's worth, and why: `breakdown` adds up to `icp` before the cap."""

    icp: int
    tier: Tier
    breakdown: Mapping[str, int]
    reasons: tuple[str, ...]
    disqualifiers: tuple[str, ...]  # hard: never written to
    review: tuple[str, ...]  # soft: a person looks first
    intent: int
    intent_level: IntentLevel
    completeness: int
    readiness: Readiness
    gaps: tuple[str, ...]
    seniority: Level

    @property
    def disqualified(self) -> bool:
        """Whether no campaign may take the lead."""
        return self.tier == "disqualified"


_NOBODY_KNOWS = Standing()


@dataclass(frozen=True, slots=True)
class _Read:
    """A lead's texts, folded once."""

    industry: Phrase
    title: Phrase
    title_words: tuple[str, ...]


def score(lead: Lead, rules: Rules, standing: Standing = _NOBODY_KNOWS) -> Score:
    """Score one lead. A hard disqualifier puts it into the tier `disqualified` whatever its points."""
    read = _Read(phrase(lead.industry), phrase(lead.title), title_words(lead.title))
    parts = tuple(_parts(lead, read, rules.scoring))
    icp = min(rules.scoring.icp.cap, sum(points for _, points, _ in parts))
    hard = tuple(_hard(lead, read, rules, standing))
    intent = intent_score(lead, rules)
    complete, gaps = completeness(lead, rules)
    return Score(
        icp=icp,
        tier="disqualified" if hard else tier_of(icp, rules.scoring),
        breakdown={name: points for name, points, _ in parts},
        reasons=tuple(why for _, _, why in parts),
        disqualifiers=hard,
        review=tuple(_soft(lead, read, rules.scoring, standing)),
        intent=intent,
        intent_level=next(row.level for row in rules.scoring.intent.levels if intent >= row.at_least),
        completeness=complete,
        readiness=next(r.readiness for r in rules.scoring.completeness.readiness if complete >= r.at_least),
        gaps=gaps,
        seniority=level_of(lead.title, read.title_words),
    )


def tier_of(icp: int, rules: ScoringRules) -> Tier:
    """The tier of a score."""
    return next(row.tier for row in rules.tiers if icp >= row.at_least)


def has_phrase(text: Phrase, phrases: Iterable[Phrase]) -> bool:
    """Whether one of `phrases` stands in `text` as whole words, in order."""
    for known in phrases:  # noqa: SIM110 - runs a dozen times for each lead, and a generator costs thrice as much
        if known in text:
            return True
    return False


# ── the ICP's parts ──────────────────────────────────────────────────────────────────────────────────────
_Part = tuple[str, int, str]


def _parts(lead: Lead, read: _Read, rules: ScoringRules) -> Iterable[_Part]:
    icp = rules.icp
    yield from _band("employees", lead.company_size, icp.employees, "employees")
    yield from _industry(read.industry, rules)
    yield from _title(lead.title, read.title_words, rules)
    yield from _band("revenue", lead.revenue_usd, icp.revenue_usd, "US dollars of yearly revenue")
    yield from _source(lead.sources, rules)
    signals = {name for name, on in lead.signals.items() if on}
    if any(source.type == "website_visitor" for source in lead.sources):
        signals.add("website_visitor")
    for name, points in icp.boosters.items():
        if name in signals:
            yield f"signal:{name}", points, f"{name.replace('_', ' ')}: +{points}"
    touches = len(lead.sources) - 1
    if touches > 0:
        points = touches * icp.each_further_touch
        yield "further_touches", points, f"seen {touches} more times: +{points}"


def _band(name: str, number: int, bands: Sequence[Band], unit: str) -> Iterable[_Part]:
    band = next((band for band in bands if number and band.holds(number)), None)
    if band:
        yield name, band.points, f"{number:,} {unit}: +{band.points}"


def _industry(known: Phrase, rules: ScoringRules) -> Iterable[_Part]:
    row = next((row for row in rules.icp.industries if has_phrase(known, row.phrases)), None)
    if row:
        yield "industry", row.points, f"industry is {row.name.replace('_', ' ')}: +{row.points}"


def _title(title: str, whole: tuple[str, ...], rules: ScoringRules) -> Iterable[_Part]:
    parts = [_WHERE.sub("", part) for part in _SEGMENT.split(title)]
    segments = [set(whole)] if parts == [title] else [set(title_words(part)) for part in parts]
    for row in rules.icp.titles:
        for present in segments:
            if not present & row.without and any(wanted <= present for wanted in row.any_of):
                yield "title", row.points, f"title is a {row.name.replace('_', ' ')}: +{row.points}"
                return


def _source(sources: Sequence[Source], rules: ScoringRules) -> Iterable[_Part]:
    best, points = "", 0
    for source in sources:
        worth = _worth(source, rules)
        if worth > points:
            best, points = source.type, worth
    if points:
        yield "source", points, f"known as {best.replace('_', ' ')}: +{points}"


def _worth(source: Source, rules: ScoringRules) -> int:
    if source.type != "group_member":
        return rules.icp.sources.get(source.type, 0)
    activity = rules.icp.group_activity
    return next((points for name, points in activity.items() if name == source.activity), activity["unknown"])


# ── disqualifiers ────────────────────────────────────────────────────────────────────────────────────────
def _hard(lead: Lead, read: _Read, rules: Rules, standing: Standing) -> Iterable[str]:
    limits = rules.scoring.disqualifiers
    checks = (
        ("too_small", 0 < lead.company_size < limits.min_employees),
        ("staffing", has_phrase(read.industry, limits.staffing)),
        (
            "small_marketing_agency",
            0 < lead.company_size < limits.marketing_agency_min_employees
            and has_phrase(read.industry, limits.marketing_agency),
        ),
        ("non_profit", has_phrase(read.industry, limits.non_profit)),
        ("government", has_phrase(read.industry, limits.government)),
        ("customer", standing.customer),
        ("suppressed", standing.suppressed),
        ("competitor_employee", works_at_competitor(lead, rules)),
        ("no_work_email", not has_work_email(lead, rules)),
    )
    return (code for code, holds in checks if holds)


def _soft(lead: Lead, read: _Read, rules: ScoringRules, standing: Standing) -> Iterable[str]:
    limits = rules.disqualifiers
    checks = (
        ("freelancer", has_phrase(read.title, limits.freelancer_titles)),
        ("student", has_phrase(read.title, limits.student_titles)),
        ("contacted_recently", 0 <= standing.contacted_days_ago < limits.contacted_within_days),
        ("bounced_before", standing.bounced),
        (
            "agency_of_unknown_size",
            not lead.company_size and has_phrase(read.industry, limits.marketing_agency),
        ),
    )
    return (code for code, holds in checks if holds)


def works_at_competitor(lead: Lead, rules: Rules) -> bool:
    """Whether the company is one of the competitors, by name or domain of company or address."""
    if phrase(lead.company) in rules.competitor_names:
        return True
    domains = rules.competitor_domains
    return within(lead.company_domain, domains) or within(lead.email.rpartition("@")[2], domains)


def has_work_email(lead: Lead, rules: Rules) -> bool:
    """An address that isn't a free-mail one and that no verifier has ruled out."""
    host = lead.email.rpartition("@")[2]
    return bool(host) and host not in rules.free_mail and lead.email_verdict not in _USELESS_VERDICTS


# ── intent and completeness ──────────────────────────────────────────────────────────────────────────────
def intent_score(lead: Lead, rules: Rules) -> int:
    """How near a purchase somebody is, 0 to the cap; two names of one sign count once."""
    intent = rules.scoring.intent
    worth = {name: intent.signals[name] for name, on in lead.signals.items() if on and name in intent.signals}
    if "uses_competitor" in intent.signals and _uses_competitor(lead, rules):
        worth["uses_competitor"] = intent.signals["uses_competitor"]
    for group in intent.same_signal:
        for name in sorted((n for n in group if n in worth), key=lambda n: -worth[n])[1:]:
            del worth[name]
    for source in lead.sources:
        if source.type in intent.sources:
            worth[source.type] = intent.sources[source.type]
    engagements = sum(source.type in intent.engagements for source in lead.sources)
    return min(intent.cap, sum(worth.values()) + engagements * intent.each_engagement)


def _uses_competitor(lead: Lead, rules: Rules) -> bool:
    return any(phrase(name) in rules.competitor_names for name in lead.technologies)


def completeness(lead: Lead, rules: Rules) -> tuple[int, tuple[str, ...]]:
    """How much is known, 0 to 100, and what is missing."""
    known = {
        "work_email": has_work_email(lead, rules),
        "company": bool(lead.company),
        "title": bool(lead.title),
        "phone": bool(lead.phone),
        "company_size": lead.company_size > 0,
        "technologies": bool(lead.technologies),
        "intent": bool(lead.signals),
    }
    parts = rules.scoring.completeness.parts
    points = sum(worth for name, worth in parts.items() if known[name])
    return points, tuple(name for name in parts if not known[name])
