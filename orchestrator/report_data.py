"""What a report says, as data: every number with what it is counted of. No name of a person is in it."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.periods import PeriodName
from orchestrator.rates import Difference, Rate

# How an actual rate stands to its target, as far as the interval tells: `open` where it can't be told yet.
Verdict = Literal["met", "open", "below_target", "below_minimum", "critical"]
VERDICTS: dict[Verdict, str] = {
    "met": "target met",
    "open": "can't be told yet",
    "below_target": "misses the target",
    "below_minimum": "misses the minimum",
    "critical": "critical",
}


@dataclass(frozen=True, slots=True)
class Count:
    """A name of ours, and how many."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class TierRow:
    """A tier: people scored into it, written to, who answered, and in favour."""

    tier: str
    scored: int
    people: int
    replied: Rate
    positive: Rate


@dataclass(frozen=True, slots=True)
class Punctuality:
    """What is promised within a time: how often it was kept. `median` in minutes, -1 where nothing is done."""

    name: str
    target_minutes: int
    maximum_minutes: int
    done: int
    within_target: int
    within_maximum: int
    waiting: int
    overdue: int  # waiting for longer than the maximum
    median: float = -1.0


@dataclass(frozen=True, slots=True)
class TargetRow:
    """A rate of outreach.yaml beside what it really is, in per cent."""

    metric: str
    of: str
    actual: Rate
    target: float
    minimum: float
    critical: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Side:
    """One variant of a test."""

    variant: str
    replied: Rate
    positive: Rate


@dataclass(frozen=True, slots=True)
class Trial:
    """Variants of a campaign type and tier, compared by who replied. `told`: what follows, in words."""

    type: str
    tier: str
    sides: tuple[Side, ...]
    difference: Difference
    told: str


@dataclass(frozen=True, slots=True)
class Moment:
    """People written to and people who answered within an hour or a day."""

    at: str  # 2026-11-28, or 2026-11-28T09
    people: int
    replied: int


@dataclass(frozen=True, slots=True)
class Report:
    """A day, a week or a month. Times are ISO 8601 in UTC."""

    period: PeriodName
    title: str
    begins: str
    ends: str
    made_at: str
    over: bool  # whether the period had ended
    early: Rate  # people written to so lately that answers still come
    funnel: tuple[Count, ...]
    outcomes: tuple[Count, ...]
    tiers: tuple[TierRow, ...]
    replies: tuple[Count, ...]
    punctuality: tuple[Punctuality, ...]
    targets: tuple[TargetRow, ...]
    trials: tuple[Trial, ...]
    course: tuple[Moment, ...]
    safety: tuple[Count, ...]
