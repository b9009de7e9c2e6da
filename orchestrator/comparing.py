"""Actual rates beside their targets, and variants beside each other: what can be said, and what can't yet. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from orchestrator.outreach_rules import Target
from orchestrator.rates import Rate, difference, rate
from orchestrator.report_data import Side, TargetRow, Trial, Verdict
from orchestrator.results import Cell, total

# Metric of outreach.yaml → what counts, of what, and whether more of it is better.
METRICS: Mapping[str, tuple[str, str, bool]] = {
    "deliverability": ("delivered", "people", True),
    "opens": ("opened", "people", True),
    "replies": ("replied", "people", True),
    "positive_share": ("positive", "replied", True),
    "unsubscribes": ("unsubscribed", "people", False),
    "spam": ("complained", "people", False),
}
SURE = 2  # variants that a test compares


def against_targets(cells: Iterable[Cell], targets: Mapping[str, Target], z: float) -> Iterator[TargetRow]:
    """Each target with the actual rate of these people, and what its interval says of it."""
    everybody = total(cells)
    counts = {name: getattr(everybody, name) for _, name, _ in METRICS.values()}
    for metric, (what, of, more_is_better) in METRICS.items():
        good = everybody.people - everybody.bounced if what == "delivered" else getattr(everybody, what)
        actual, row = rate(good, counts[of], z), targets[metric]
        verdict = judged(actual, row, more_is_better=more_is_better)
        yield TargetRow(metric, of, actual, row.target, row.minimum, row.critical, verdict)


def judged(actual: Rate, row: Target, *, more_is_better: bool) -> Verdict:
    """The worst that can't well be chance; met where even the worse end of the interval is; else open."""
    if not actual.of:
        return "open"
    sign = 1 if more_is_better else -1
    best, worst = (actual.high, actual.low) if more_is_better else (actual.low, actual.high)
    steps: tuple[tuple[Verdict, float], ...] = (
        ("critical", row.critical),
        ("below_minimum", row.minimum),
        ("below_target", row.target),
    )
    for verdict, bound in steps:
        if sign * best < sign * bound:
            return verdict
    return "met" if sign * worst >= sign * row.target else "open"


def trials_of(cells: Iterable[Cell], z: float) -> Iterator[Trial]:
    """One test for each campaign type and tier where two variants went out."""
    groups = groupby(sorted(cells, key=_group), key=_group)
    listed = [(key, sides) for key, rows in groups if len(sides := _sides(list(rows), z)) == SURE]
    for (kind, tier), sides in listed:
        found = difference(sides[0].replied, sides[1].replied, z)
        yield Trial(kind, tier, sides, found, _told(sides, found.low, found.high, len(listed)))


def _group(cell: Cell) -> tuple[str, str]:
    return cell.type, cell.tier


def _sides(rows: list[Cell], z: float) -> tuple[Side, ...]:
    names = sorted({row.variant for row in rows if row.variant})
    summed = [(name, total(row for row in rows if row.variant == name)) for name in names]
    return tuple(
        Side(name, rate(one.replied, one.people, z), rate(one.positive, one.people, z))
        for name, one in summed
    )


def _told(sides: Sequence[Side], low: float, high: float, tests: int) -> str:
    if low <= 0 <= high:
        return f"no difference shown; it lies between {low:+.1f} and {high:+.1f} points"
    ahead = sides[0].variant if low > 0 else sides[1].variant
    chance = f"; of {tests} tests side by side, chance alone shows one now and then" if tests > 1 else ""
    return (
        f"{ahead} is ahead by {min(abs(low), abs(high)):.1f} to {max(abs(low), abs(high)):.1f} points{chance}"
    )
