"""How often a bounce rule stops a good list, and how soon a bad one: `python -m bench.halts` (seeded, simulated).

Each list is mailed one person at a time and judged after each; a rule that looks so often errs more often than one
look would. The same people are shown to every rule.
"""

import random
import statistics
from collections.abc import Callable, Iterator

from shared.halt_rules import HaltRules
from shared.verdicts import Counts, bounce_word

SEED = 20_260_302
LISTS, SENDS = 600, 1_000
GOOD, BAD = (1, 2, 3), (10, 20, 40)  # percent of a list that really bounces
LITERAL, EVIDENCE = HaltRules(), HaltRules(policy="evidence")
Stops = Callable[[Counts], bool]


def naive(at_least: int) -> Stops:
    """Over 5 percent, from so many on."""
    return lambda counts: counts.total >= at_least and counts.bad * 20 > counts.total


RULES: tuple[tuple[str, Stops], ...] = (
    ("over 5 % from the first send", naive(1)),
    ("over 5 % from 20 on", naive(20)),
    ("over 5 % from 200 on", naive(200)),
    ("policy literal", lambda counts: bounce_word(counts, LITERAL) == "halt"),
    ("policy evidence", lambda counts: bounce_word(counts, EVIDENCE) == "halt"),
)


def mailed(percent: int, seed: int) -> Iterator[Counts]:
    """The counts whenever a rule can begin to object: after a bounce, and where a minimum sample is reached."""
    dice, bad = random.Random(f"{SEED}/{percent}/{seed}"), 0
    for total in range(1, SENDS + 1):
        bounced = dice.random() * 100 < percent
        bad += bounced
        if bounced or total in {20, 200}:
            yield Counts(bad, total)


def stopped_after(stops: Stops, percent: int, seed: int) -> int:
    """The send after which the rule stops this list; 0 for never."""
    return next((counts.total for counts in mailed(percent, seed) if stops(counts)), 0)


def main() -> None:
    """Print the table."""
    print(f"{LISTS} lists of {SENDS} sends each, judged after every send\n")
    falsely = " ".join(f"{percent:>4} %" for percent in GOOD)
    rightly = " ".join(f"{percent:>4} %" for percent in BAD)
    print(f"{'':32}stopped falsely at     sends until it stops at (median)")
    print(f"{'':32}{falsely}     {rightly}")
    for name, stops in RULES:
        shares = [sum(stopped_after(stops, p, n) > 0 for n in range(LISTS)) / LISTS for p in GOOD]
        sends = [statistics.median(stopped_after(stops, p, n) for n in range(LISTS)) for p in BAD]
        falsely = " ".join(f"{100 * share:>4.1f} %" for share in shares)
        print(f"{name:32}{falsely}     " + " ".join(f"{round(count):>6}" for count in sends))


if __name__ == "__main__":
    main()
