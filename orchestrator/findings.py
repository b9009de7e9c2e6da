"""What research found: per tier, and per group of people that could be a campaign. Pure.

    one person after the other ─▶ Tally ─▶ Findings ─▶ the only thing that a plan is made of

Titles, industries and names of sources come from outside: they are shortened and counted, never interpreted.
Memory doesn't grow with the number of people: every count has a bound, and says what it left out.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.campaigns import campaign_type, line_key, own_zone
from orchestrator.countries import candidates, permission
from orchestrator.normalise import company_key, plain
from orchestrator.outreach_rules import CampaignType
from orchestrator.rendering import context_key, greeting_name, rival_of
from orchestrator.rules import Rules
from orchestrator.scoring import tier_of
from orchestrator.titles import phrase, seniority
from shared.lead import Lead, Tier

MOST_KEYS = 2_000  # different titles, companies, … that are told apart in one count
LONGEST = 60  # characters of a text from outside
OTHERS = "others"
LEVELS = {"c_level": "C-level", "vp": "VP"}
GAPS = {"intent": "buying signals"}  # where somebody was seen tells of intent too, and is known
SIZES = (
    (1, 19),
    (20, 50),
    (51, 200),
    (201, 500),
    (501, 1_000),
    (1_001, 0),
)  # for reading; scoring has its own bands


@dataclass(frozen=True, slots=True)
class Share:
    """So many people have this in common. The name may come from outside."""

    name: str
    people: int


@dataclass(frozen=True, slots=True)
class Worth:
    """What scoring said of one person."""

    tier: Tier
    score: int
    intent: int = 0
    gaps: tuple[str, ...] = ()
    review: tuple[str, ...] = ()
    seniority: str = "unknown"
    against: tuple[str, ...] = ()  # why they are disqualified
    enrichment: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """How people of a campaign type and tier answered before, in campaigns of ours; each person once."""

    type: CampaignType
    tier: Tier
    people: int  # whom a message left for
    replied: int
    positive: int
    bounced: int
    unsubscribed: int
    complained: int


@dataclass(frozen=True, slots=True)
class Group:
    """People who would be written to alike. `c_level` ones are apart, since an AE alone may not approve those."""

    key: str
    type: CampaignType
    tier: Tier
    c_level: bool
    people: int
    contexts: tuple[Share, ...]  # rows of `industries` in outreach.yaml
    competitors: tuple[Share, ...]
    sources: tuple[Share, ...]
    countries: tuple[Share, ...]
    mail: tuple[Share, ...]
    without_greeting: int
    unverified: int
    zones: tuple[Share, ...] = ()  # by whose clock they would be written to; each is a campaign of its own


@dataclass(frozen=True, slots=True)
class TierFindings:
    """One tier: who they are, what speaks for writing to them, with what, and what isn't known."""

    tier: Tier
    people: int
    percent: float
    lowest: int
    median: int
    highest: int
    titles: tuple[Share, ...]
    seniority: tuple[Share, ...]
    industries: tuple[Share, ...]
    sizes: tuple[Share, ...]
    countries: tuple[Share, ...]
    sources: tuple[Share, ...]
    mail: tuple[Share, ...]  # allow, hold, block: whether the rules of their country let us write
    opportunities: tuple[str, ...]
    angles: tuple[str, ...]
    gaps: tuple[Share, ...]
    look_first: tuple[Share, ...]  # what a person should look at before they are written to


@dataclass(frozen=True, slots=True)
class Findings:
    """The saved result of research. `leads` is a fingerprint of everybody in it, as they were scored."""

    people: int
    leads: str
    enrichment: tuple[Share, ...]
    tiers: tuple[TierFindings, ...]
    disqualified: tuple[Share, ...]
    within_reach: tuple[Share, ...]  # people who lack only a work e-mail, by the tier their score would give
    groups: tuple[Group, ...]
    history: tuple[Track, ...] = ()


@dataclass(slots=True)
class _Count:
    """How often each text stood there, under the spelling it was first seen in."""

    counts: Counter[str] = field(default_factory=Counter)
    shown: dict[str, str] = field(default_factory=dict)

    def add(self, text: str, key: str = "") -> None:
        known = key or text
        if known not in self.shown and len(self.shown) >= MOST_KEYS:
            known = text = OTHERS
        self.shown.setdefault(known, plain(text)[:LONGEST])
        self.counts[known] += 1

    def top(self, most: int) -> tuple[Share, ...]:
        """The most frequent, and the rest as one."""
        ranked = sorted(self.counts.items(), key=lambda item: (item[0] == OTHERS, -item[1], item[0]))
        listed = [Share(self.shown[key], count) for key, count in ranked if key != OTHERS][:most]
        rest = sum(self.counts.values()) - sum(share.people for share in listed)
        return (*listed, *([Share(OTHERS, rest)] if rest else []))


COUNTED = (
    "titles", "seniority", "industries", "sizes", "countries", "sources", "mail", "gaps", "look_first", "intent",
    "signals", "types", "contexts", "competitors", "companies",
)  # fmt: skip


@dataclass(slots=True)
class _TierTally:
    people: int = 0
    several_places: int = 0
    scores: Counter[int] = field(default_factory=Counter)
    counts: dict[str, _Count] = field(default_factory=lambda: {name: _Count() for name in COUNTED})


@dataclass(slots=True)
class _GroupTally:
    type: CampaignType
    tier: Tier
    c_level: bool
    people: int = 0
    without_greeting: int = 0
    unverified: int = 0
    counts: dict[str, _Count] = field(
        default_factory=lambda: {
            n: _Count() for n in ("contexts", "competitors", "sources", "countries", "mail", "zones")
        }
    )


class Tally:
    """Counts people one after the other."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tiers: dict[Tier, _TierTally] = {}
        self._groups: dict[str, _GroupTally] = {}
        self._against: Counter[str] = Counter()
        self._within_reach: Counter[str] = Counter()
        self._enrichment: Counter[str] = Counter()

    def add(self, lead: Lead, worth: Worth) -> None:
        """One person, as they were scored."""
        self._enrichment[worth.enrichment or "not asked"] += 1
        self._tier(lead, worth)
        if worth.tier == "disqualified":
            self._against.update(worth.against or (f"score below {self._lowest()}",))
            if worth.against == ("no_work_email",):
                self._within_reach[tier_of(worth.score, self._rules.scoring)] += 1
        elif worth.tier in self._rules.outreach.tiers:
            self._group(lead, worth)

    def findings(self, leads: str, history: Sequence[Track] = ()) -> Findings:
        """What came of it. `leads` is the fingerprint of all who were added."""
        total = sum(tally.people for tally in self._tiers.values())
        # tier_1 first; the disqualified last.
        names = sorted(self._tiers, key=lambda name: (name == "disqualified", name))
        tiers = [self._of_tier(name, self._tiers[name], total) for name in names]
        return Findings(
            people=total,
            leads=leads,
            enrichment=_shares(self._enrichment),
            tiers=tuple(tiers),
            disqualified=_shares(self._against),
            within_reach=_shares({k: v for k, v in self._within_reach.items() if k != "disqualified"}),
            groups=tuple(self._of_group(key, self._groups[key]) for key in sorted(self._groups)),
            history=tuple(history),
        )

    def _lowest(self) -> int:
        return min(
            (row.at_least for row in self._rules.scoring.tiers if row.tier != "disqualified"), default=0
        )

    def _tier(self, lead: Lead, worth: Worth) -> None:
        tally = self._tiers.setdefault(worth.tier, _TierTally())
        tally.people += 1
        tally.scores[worth.score] += 1
        tally.several_places += len(lead.sources) > 1
        for name, texts in self._said(lead, worth).items():
            for text, key in texts:
                tally.counts[name].add(text, key)

    def _said(self, lead: Lead, worth: Worth) -> Mapping[str, Iterable[tuple[str, str]]]:
        rival = rival_of(lead, self._rules)
        return {
            "titles": [(lead.title or "no title", " ".join(phrase(lead.title)) or "no title")],
            "seniority": [(LEVELS.get(worth.seniority, worth.seniority), "")],
            "industries": [(lead.industry or "unknown", " ".join(phrase(lead.industry)) or "unknown")],
            "sizes": [(_size(lead.company_size), "")],
            "countries": [(_country(lead), "")],
            "sources": [(_place(kind, name), "") for kind, name in _places(lead)],
            "mail": [(permission(lead, self._rules.outreach.compliance), "")],
            "gaps": [(GAPS.get(gap, gap.replace("_", " ")), "") for gap in (*worth.gaps, *_unknown(lead))],
            "look_first": [(why.replace("_", " "), "") for why in worth.review],
            "intent": [(self._level(worth.intent), "")],
            "signals": [(name.replace("_", " "), "") for name, on in lead.signals.items() if on],
            "types": [(campaign_type(lead, self._rules), "")],
            "contexts": [(context_key(lead, self._rules), "")],
            "competitors": [(rival.names[0], "")] if rival else [],
            "companies": [(lead.company, company_key(lead.company))] if lead.company else [],
        }

    def _level(self, intent: int) -> str:
        return next(row.level for row in self._rules.scoring.intent.levels if intent >= row.at_least)

    def _group(self, lead: Lead, worth: Worth) -> None:
        kind, top = campaign_type(lead, self._rules), seniority(lead.title) == "c_level"
        key = line_key(kind, worth.tier, c_level=top)
        tally = self._groups.setdefault(key, _GroupTally(kind, worth.tier, top))
        tally.people += 1
        tally.without_greeting += not greeting_name(lead.first_name)
        state = self._rules.outreach.compliance.email_verdicts.get(lead.email_verdict, "hold")
        tally.unverified += state != "allow"
        tally.counts["contexts"].add(context_key(lead, self._rules))
        tally.counts["countries"].add(_country(lead))
        tally.counts["mail"].add(permission(lead, self._rules.outreach.compliance))
        tally.counts["zones"].add(own_zone(lead, self._rules) or self._rules.outreach.window.timezone)
        for place in _places(lead):
            tally.counts["sources"].add(_place(*place))
        if rival := rival_of(lead, self._rules):
            tally.counts["competitors"].add(rival.names[0])

    def _of_tier(self, name: Tier, tally: _TierTally, total: int) -> TierFindings:
        shown = self._rules.outreach.planning.shown
        tops = {part: tally.counts[part].top(shown) for part in COUNTED}
        return TierFindings(
            tier=name,
            people=tally.people,
            percent=round(100 * tally.people / total, 1) if total else 0.0,
            lowest=min(tally.scores),
            median=_median(tally.scores, tally.people),
            highest=max(tally.scores),
            **{part: tops[part] for part in COUNTED[:9]},
            opportunities=tuple(self._opportunities(tally)),
            angles=tuple(self._angles(tally)),
        )

    def _opportunities(self, tally: _TierTally) -> Iterable[str]:
        """What speaks for writing to them now."""
        levels = tally.counts["intent"].counts
        for row in self._rules.scoring.intent.levels:
            if row.act_within_hours and levels[row.level]:
                yield f"{levels[row.level]} show {row.level} intent: write within {row.act_within_hours} h"
        for share in tally.counts["signals"].top(self._rules.outreach.planning.shown):
            yield f"{share.people} with the signal: {share.name}"
        if tally.several_places:
            yield f"{tally.several_places} were seen in more than one place"
        least = self._rules.outreach.planning.people_per_company
        large = sum(count >= least for count in tally.counts["companies"].counts.values())
        if large:
            many = "1 company has" if large == 1 else f"{large:,} companies have"
            yield f"{many} {least} or more people here: colleagues will compare what they get"

    def _angles(self, tally: _TierTally) -> Iterable[str]:
        """What may be said to them; all of it our own configured words."""
        outreach = self._rules.outreach
        for share in tally.counts["types"].top(len(outreach.campaign_sources)):
            yield f"{share.people} fit the campaign {share.name.replace('_', ' ')}"
        for share in tally.counts["contexts"].top(len(outreach.industries)):
            yield f"{share.people} in {share.name.replace('_', ' ')}: {outreach.industries[share.name].hook}"
        angles = {row.names[0]: row.angle for row in outreach.competitors}
        for share in tally.counts["competitors"].top(len(angles)):
            yield f"{share.people} follow {share.name}: {angles.get(share.name) or 'no angle is configured'}"

    def _of_group(self, key: str, tally: _GroupTally) -> Group:
        shown = self._rules.outreach.planning.shown
        return Group(
            key=key,
            type=tally.type,
            tier=tally.tier,
            c_level=tally.c_level,
            people=tally.people,
            contexts=tally.counts["contexts"].top(len(self._rules.outreach.industries)),
            competitors=tally.counts["competitors"].top(shown),
            sources=tally.counts["sources"].top(shown),
            countries=tally.counts["countries"].top(shown),
            mail=tally.counts["mail"].top(shown),
            without_greeting=tally.without_greeting,
            unverified=tally.unverified,
            zones=tally.counts["zones"].top(MOST_KEYS),
        )


def _median(scores: Mapping[int, int], people: int) -> int:
    """The score that half of them don't exceed."""
    below = 0
    for value in sorted(scores):
        below += scores[value]
        if 2 * below >= people:
            return value
    return 0


def _shares(counts: Mapping[str, int]) -> tuple[Share, ...]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Share(name.replace("_", " "), count) for name, count in ranked)


def _size(employees: int) -> str:
    for least, most in SIZES:
        if employees >= least and (not most or employees <= most):
            return f"{least:,}–{most:,} employees" if most else f"{least:,} and more employees"
    return "size unknown"


def _country(lead: Lead) -> str:
    return next(iter(candidates(lead)), "unknown")


def _places(lead: Lead) -> list[tuple[str, str]]:
    """Where they were seen, each place once. Who named a colleague is a person, and no place to count by."""
    places = ((source.type, "" if source.type == "referral" else source.name) for source in lead.sources)
    return list(dict.fromkeys(places))


def _place(kind: str, name: str) -> str:
    return f"{kind.replace('_', ' ')}: {name}" if name else kind.replace("_", " ")


def _unknown(lead: Lead) -> Iterable[str]:
    """Gaps that scoring doesn't count and writing feels."""
    if not candidates(lead):
        yield "country"
    if not greeting_name(lead.first_name):
        yield "first name to greet with"
    if not lead.industry:
        yield "industry"
    if lead.email_verdict in {"", "unknown"}:
        yield "verified address"
