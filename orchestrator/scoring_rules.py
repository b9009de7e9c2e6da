"""The shape of `scoring.yaml`: points, tiers, disqualifiers, intent and completeness."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from orchestrator.titles import phrase, title_words
from shared.lead import SourceType, Tier
from shared.strict import Strict

Points = Annotated[int, Field(ge=0, le=100)]
Days = Annotated[int, Field(ge=0, le=365)]
# A phrase is written as text and compared as whole words: see `titles.phrase`.
Phrase = Annotated[str, BeforeValidator(lambda text: phrase(text) if isinstance(text, str) else text)]
TitleWords = Annotated[
    frozenset[str],
    BeforeValidator(lambda text: frozenset(title_words(text)) if isinstance(text, str) else text),
]


class Band(Strict):
    """Points for a number between two bounds, both included; `to` 0 means no upper bound."""

    at_least: Annotated[int, Field(ge=0)]
    at_most: Annotated[int, Field(ge=0)] = 0
    points: Points

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.at_most and self.at_most < self.at_least:
            raise ValueError("at_most must not be below at_least")
        return self

    def holds(self, number: int) -> bool:
        """Whether a known `number` lies in the band."""
        return number >= self.at_least and (not self.at_most or number <= self.at_most)


class IndustryRow(Strict):
    """Points for an industry whose name has one of the phrases."""

    name: str
    phrases: tuple[Phrase, ...]
    points: Points


class TitleRow(Strict):
    """Points for a title that has all the words of one entry, in any order, and none of `without`."""

    name: str
    any_of: tuple[TitleWords, ...]
    without: frozenset[str] = frozenset()
    points: Points


class Icp(Strict):
    """What makes an ideal customer, part by part."""

    employees: tuple[Band, ...]
    industries: tuple[IndustryRow, ...]
    titles: tuple[TitleRow, ...]
    revenue_usd: tuple[Band, ...]
    sources: dict[SourceType, Points]
    group_activity: dict[Literal["active", "passive", "unknown"], Points]
    boosters: dict[str, Points]
    each_further_touch: Points
    cap: Points = 100


class TierRow(Strict):
    """The lowest score of a tier."""

    tier: Tier
    at_least: Points


class Disqualifiers(Strict):
    """Who is never written to (hard), and whom a person looks at first (soft)."""

    min_employees: Annotated[int, Field(ge=0)]
    staffing: tuple[Phrase, ...]
    marketing_agency: tuple[Phrase, ...]
    marketing_agency_min_employees: Annotated[int, Field(ge=0)]
    non_profit: tuple[Phrase, ...]
    government: tuple[Phrase, ...]
    freelancer_titles: tuple[Phrase, ...]
    student_titles: tuple[Phrase, ...]
    contacted_within_days: Days


class IntentLevel(Strict):
    """The lowest intent score of a level, and how soon to act, in hours; 0: no hurry."""

    level: Literal["hot", "warm", "cool", "nurture"]
    at_least: Points
    act_within_hours: Annotated[int, Field(ge=0)]


class Intent(Strict):
    """Signs that somebody is about to buy."""

    signals: dict[str, Points]
    same_signal: tuple[tuple[str, ...], ...] = ()
    sources: dict[SourceType, Points]
    each_engagement: Points
    engagements: frozenset[SourceType]
    cap: Points = 100
    levels: tuple[IntentLevel, ...]


class ReadinessRow(Strict):
    """The lowest completeness of a readiness."""

    readiness: Literal["ready", "partial", "nurture", "skip"]
    at_least: Points


class Renewal(Strict):
    """How many stale records are looked up again on one occasion, and for which part of the day's credits."""

    at_once: Annotated[int, Field(ge=0, le=100)] = 50
    credits_percent: Annotated[int, Field(ge=0, le=100)] = 25


class Completeness(Strict):
    """What a record is worth by what is known, and when it is stale."""

    parts: dict[
        Literal["work_email", "company", "title", "phone", "company_size", "technologies", "intent"], Points
    ]
    readiness: tuple[ReadinessRow, ...]
    stale_after_days: Days
    re_enrich_bounced_after_days: Days
    renewal: Renewal = Renewal()


class ScoringRules(Strict):
    """scoring.yaml."""

    icp: Icp
    tiers: tuple[TierRow, ...]
    disqualifiers: Disqualifiers
    intent: Intent
    completeness: Completeness

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for rows in (self.tiers, self.intent.levels, self.completeness.readiness):
            floors = [row.at_least for row in rows]
            if not floors or floors != sorted(floors, reverse=True) or floors[-1] != 0:
                raise ValueError("levels must go down from the highest and end at 0")
        return self
