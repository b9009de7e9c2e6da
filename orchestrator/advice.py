"""What to do next, by stated rules from what past campaigns taught; each with its evidence and how sure it is. Pure.

Many comparisons side by side find something by chance, so each is asked to be surer the more there are (Bonferroni).
Variants are dealt at random, so a difference is theirs; titles and hours aren't, so theirs is only a hint to test.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from orchestrator.comparing import against_targets, trials_of
from orchestrator.forecast import detectable
from orchestrator.knowledge import Lesson
from orchestrator.rates import Rate, difference, rate
from orchestrator.results import Cell, total
from orchestrator.rules import Rules

Rule = Literal["variant", "target", "title", "send_window", "too_little_data"]
Confidence = Literal[
    "shown by a random test", "certain against the target", "a hint, not dealt at random", "none yet"
]


@dataclass(frozen=True, slots=True)
class Advice:
    """What a rule says, on what evidence, and how sure it is. `people`: how many it rests on."""

    rule: Rule
    what: str
    evidence: str
    confidence: Confidence
    people: int
    campaigns: tuple[str, ...]


def advise(
    cells: Sequence[Cell], titles: Sequence[Lesson], windows: Sequence[Lesson], rules: Rules
) -> list[Advice]:
    """Everything the rules say, the surest first."""
    least = rules.outreach.planning.history_people
    told = (
        *_targets(cells, rules),
        *_variants(cells, rules),
        *_groups("title", [one for one in titles if one.people >= least], rules),
        *_groups("send_window", [one for one in windows if one.people >= least], rules),
    )
    return sorted(told, key=lambda one: ORDER.index(one.confidence))


UNSURE = "opens"  # machines open mails, too: nothing is decided by them
ORDER: tuple[Confidence, ...] = (
    "certain against the target",
    "shown by a random test",
    "a hint, not dealt at random",
    "none yet",
)


def stricter(z: float, comparisons: int) -> float:
    """How many standard deviations each of so many comparisons needs, for all of them together to be as sure."""
    normal = NormalDist()
    chance = 2 * (1 - normal.cdf(z)) / max(1, comparisons)
    return normal.inv_cdf(1 - chance / 2)


def _segments(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        found.setdefault((cell.type, cell.tier), []).append(cell)
    return found


def _targets(cells: Sequence[Cell], rules: Rules) -> Iterator[Advice]:
    """A segment that misses a target's critical bound, or its minimum, for certain."""
    least = rules.outreach.planning.history_people  # of three people, an interval says more than it knows
    segments = {key: mine for key, mine in _segments(cells).items() if total(mine).people >= least}
    z = stricter(rules.outreach.planning.z, len(segments) * len(rules.outreach.targets))
    for (kind, tier), mine in segments.items():
        for row in against_targets(mine, rules.outreach.targets, z):
            if row.metric == UNSURE or row.verdict not in {"critical", "below_minimum"}:
                continue
            bound = row.critical if row.verdict == "critical" else row.minimum
            deed = "stop writing to" if row.verdict == "critical" else "rewrite before you write more to"
            evidence = (
                f"{row.metric} {row.actual.told}, {row.actual.good:,} of {row.actual.of:,}; bound {bound:g} %"
            )
            what = f"{deed} {kind}, {tier}: {row.metric} beyond its bound"
            yield Advice(
                "target", what, evidence, "certain against the target", total(mine).people, _ids(mine)
            )


def _variants(cells: Sequence[Cell], rules: Rules) -> Iterator[Advice]:
    """A variant that is ahead; where none is, what could have been seen so far."""
    planning = rules.outreach.planning
    z = stricter(planning.z, len(list(trials_of(cells, planning.z))))
    segments = _segments(cells)
    for trial in trials_of(cells, z):
        people = sum(side.replied.of for side in trial.sides)
        where, mine = f"{trial.type}, {trial.tier}", _ids(segments[trial.type, trial.tier])
        if trial.difference.shown:
            ahead = trial.sides[0] if trial.difference.points > 0 else trial.sides[1]
            what = f"prefer variant {ahead.variant} in {where}"
            yield Advice("variant", what, trial.told, "shown by a random test", people, mine)
            continue
        base = rate(sum(side.replied.good for side in trial.sides), people, z)
        points = detectable(base.percent / 100, min(side.replied.of for side in trial.sides), rules)
        evidence = (
            f"{people:,} people so far show only differences of {points:g} points or more; {trial.told}"
        )
        yield Advice("too_little_data", f"keep both variants in {where}", evidence, "none yet", people, mine)


def _groups(rule: Rule, lessons: Sequence[Lesson], rules: Rules) -> Iterator[Advice]:
    """A group that answers more, or less, than everybody else together."""
    z = stricter(rules.outreach.planning.z, len(lessons))
    good, of = sum(one.replied.good for one in lessons), sum(one.replied.of for one in lessons)
    for one in lessons:
        rest = rate(good - one.replied.good, of - one.replied.of, z)
        found = difference(one.replied, rest, z)
        if not found.shown:
            continue
        deed = "write to {} first, as a test" if found.points > 0 else "write less to {}, as a test"
        if rule == "send_window":
            deed = "send more at {}, as a test" if found.points > 0 else "send less at {}, as a test"
        between = f"{found.low:+.1f} to {found.high:+.1f} points"
        evidence = f"replied {_brief(one.replied)} against {_brief(rest)} of the others; {between}"
        yield Advice(
            rule, deed.format(one.name), evidence, "a hint, not dealt at random", one.people, one.sources
        )


def _brief(one: Rate) -> str:
    return f"{one.percent:.1f} % of {one.of:,}"


def _ids(cells: Iterable[Cell]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cell.campaign_id for cell in cells))[:5]
