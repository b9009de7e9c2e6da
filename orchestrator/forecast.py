"""What a plan may come to: by our own results where there are enough of them, else by the configured targets. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from typing import Literal

from orchestrator.findings import Track
from orchestrator.outreach_rules import Target
from orchestrator.rates import interval
from orchestrator.rules import Rules

Basis = Literal["our own results", "configured targets"]


@dataclass(frozen=True, slots=True)
class Prediction:
    """A share of those before it, as a range in per cent, and how many people that is."""

    metric: str
    of: str
    low: float
    high: float
    people_low: int
    people_high: int
    basis: Basis
    told: str  # the basis in words


def predicted(people: int, record: Track | None, rules: Rules) -> Iterable[Prediction]:
    """Delivered of those written to; the rest of those; positive ones of the replies."""
    own = record if record is not None and record.people >= rules.outreach.planning.history_people else None
    replied_low = replied_high = people
    for metric, of in (
        ("deliverability", "people"),
        ("replies", "people"),
        ("positive_share", "replies"),
        ("unsubscribes", "people"),
        ("spam", "people"),
    ):
        low, high, told = _rate(metric, own, rules)
        of_low, of_high = (replied_low, replied_high) if of == "replies" else (people, people)
        made = Prediction(
            metric=metric,
            of=of,
            low=low,
            high=high,
            people_low=int(of_low * low / 100),
            people_high=ceil(of_high * high / 100),
            basis="our own results" if own else "configured targets",
            told=told,
        )
        if metric == "replies":
            replied_low, replied_high = made.people_low, made.people_high
        yield made


def _rate(metric: str, own: Track | None, rules: Rules) -> tuple[float, float, str]:
    """Lowest and highest rate in per cent, and why we think so."""
    if own is None:
        row: Target = rules.outreach.targets[metric]
        low, high = sorted((row.target, row.minimum))
        least = rules.outreach.planning.history_people
        return (
            low,
            high,
            f"an assumption: from target to minimum in outreach.yaml, until {least} people were written to",
        )
    good, total = {
        "deliverability": (own.people - own.bounced, own.people),
        "replies": (own.replied, own.people),
        "positive_share": (own.positive, own.replied),
        "unsubscribes": (own.unsubscribed, own.people),
        "spam": (own.complained, own.people),
    }[metric]
    low, high = interval(min(good, total), total, rules.outreach.planning.z)
    days = rules.outreach.planning.history_days
    return (
        round(100 * low, 2),
        round(100 * high, 2),
        f"{good} of {total} in our own campaigns of the last {days} days",
    )


def detectable(base: float, per_variant: int, rules: Rules) -> float:
    """The smallest difference, in percentage points over `base`, that so many people a variant are likely to show."""
    if not per_variant:
        return 100.0
    planning = rules.outreach.planning
    factor = (planning.z + planning.power_z) ** 2 / per_variant
    low, high = base, 1.0
    for _ in range(40):
        other = (low + high) / 2
        needed = factor * (base * (1 - base) + other * (1 - other))
        low, high = (low, other) if (other - base) ** 2 >= needed else (other, high)
    return round(100 * (high - base), 1)
