"""Judging by numbers when something is to stop: counts in, verdicts out. Nothing is read or done here.

literal    over the threshold is over it; a single bad one in a small sample isn't believed (complaints are)
evidence   the lower bound of the rate is over, or the sample is large; less than that holds one campaign, or warns
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from math import sqrt
from typing import Literal

from shared.effect import Json
from shared.halt_rules import BounceRule, HaltRules, RateRule
from shared.observed import Observed, Seen

Action = Literal["halt", "kill", "alert"]
KILL = "kill"  # the scope of the kill switch
EVERYTHING = "all"


# ── judging: counts in, yes or no out ────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Counts:
    """`bad` ones of `total`; a bad one is always part of the total."""

    bad: int
    total: int

    def over(self, percent: float) -> bool:
        """More than so many percent, exactly: 1 of 1,000 is not over 0.1."""
        return self.total > 0 and Fraction(self.bad, self.total) > Fraction(str(percent)) / 100

    def surely_over(self, percent: float, z: float) -> bool:
        """The lower end of the Wilson interval is over."""
        return 100 * wilson_lower(self.bad, self.total, z) > percent


def wilson_lower(bad: int, total: int, z: float) -> float:
    """Lower end of the Wilson score interval for a share, one-sided at `z`; 0 for no sample."""
    if total == 0:
        return 0.0
    share, more = bad / total, z * z / total
    spread = z * sqrt(share * (1 - share) / total + more / (4 * total))
    return min(share, max(0.0, (share + more / 2 - spread) / (1 + more)))  # floats round past the end


def too_many(counts: Counts, rule: RateRule, rules: HaltRules) -> bool:
    """Whether a rate stops, by the policy in force."""
    if rules.policy == "literal":
        enough = counts.bad >= rule.literal_count or counts.total >= rule.literal_sample
        return enough and counts.over(rule.percent)
    sure = counts.bad >= rule.evidence_count and counts.surely_over(rule.percent, rules.z)
    return sure or (counts.total >= rule.evidence_sample and counts.over(rule.percent))


def suspicious(counts: Counts, rule: BounceRule) -> bool:
    """Not enough to stop everything, and enough that a person looks at this one campaign's list."""
    few = counts.total < rule.evidence_sample
    return few and counts.bad >= rule.hold_count and counts.over(rule.percent)


def worth_a_warning(counts: Counts, rule: BounceRule) -> bool:
    """Enough mail to say that the rate is on its way up."""
    return counts.total >= rule.warn_sample and counts.over(rule.warn_percent)


def bounce_word(counts: Counts, rules: HaltRules) -> Literal["ok", "warn", "hold", "halt"]:
    """What one list's bounces amount to."""
    if too_many(counts, rules.bounces, rules):
        return "halt"
    if rules.policy == "evidence" and suspicious(counts, rules.bounces):
        return "hold"
    return "warn" if rules.policy == "evidence" and worth_a_warning(counts, rules.bounces) else "ok"


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────
def cohorts(all_of_them: Iterable[Seen], bad: Iterable[Seen], cleared: str) -> tuple[Counts, Counts]:
    """Those from before the last clear whose bad news is newer, and those from after it; each person once.

    Without a clear everything is in the second. Bad news that was judged before the clear isn't counted.
    """
    whole, wrong = tuple(all_of_them), tuple(bad)
    later = {one.who for one in whole if one.at > cleared}
    earlier = {one.who for one in whole if one.at <= cleared} - later
    judged = {one.who for one in wrong if one.at <= cleared}
    new = {one.who for one in wrong if one.at > cleared} - judged
    late, fresh = new & earlier, new - earlier
    return Counts(len(late), len(earlier)), Counts(len(fresh), len(later | fresh))


def by_campaign(seen: Iterable[Seen]) -> dict[str, list[Seen]]:
    """Grouped by campaign; what belongs to none is left out."""
    return _grouped(seen, lambda one: one.campaign)


def _grouped(seen: Iterable[Seen], named: Callable[[Seen], str]) -> dict[str, list[Seen]]:
    groups: dict[str, list[Seen]] = {}
    for one in seen:
        if name := named(one):
            groups.setdefault(name, []).append(one)
    return groups


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule found, in numbers. `threshold` is in percent for a rate, else a number that was exceeded."""

    rule: str
    scope: str
    action: Action
    bad: int
    total: int
    threshold: float
    window: str
    policy: str
    what: str  # "people mailed bounced"

    @property
    def key(self) -> tuple[str, str]:
        """One stands at a time."""
        return self.rule, self.scope

    @property
    def reason(self) -> str:
        """For whoever clears it: rule, numbers, window."""
        if self.total:
            rate = 100 * self.bad / self.total
            said = f"{self.bad} of {self.total} {self.what}: {rate:.3g} %, more than {self.threshold:g} %"
        else:
            said = f"{self.bad} {self.what}, more than {self.threshold:g}"
        return f"{self.rule}: {said}, within {self.window} (policy {self.policy})"

    @property
    def numbers(self) -> dict[str, Json]:
        """To be kept."""
        rate: dict[str, Json] = {"rate": self.bad / self.total if self.total else None}
        return {**asdict(self), **rate, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: rules, what was observed, and since when each (rule, scope) may be judged again."""

    rules: HaltRules
    seen: Observed
    cleared: Mapping[tuple[str, str], str]
    sequencer: str  # scope that stops sending and lets the CRM and opt-outs go on
    crm: str  # scope that stops writing to the CRM
    lately: str  # where the window for compliance failures begins

    def since(self, rule: str, scope: str) -> str:
        """The last clear; "" if there was none."""
        return self.cleared.get((rule, scope), "")

    def worst(
        self,
        rule: str,
        scope: str,
        whole: Iterable[Seen],
        bad: Iterable[Seen],
        found: Callable[[Counts], bool],
    ) -> Counts | None:
        """The counts that `found` objects to, newest first; None if to none."""
        late, fresh = cohorts(whole, bad, self.since(rule, scope))
        return next(filter(found, (fresh, late)), None)

    def verdict(
        self, rule: str, scope: str, action: Action, counts: Counts, percent: float, what: str
    ) -> Verdict:
        """On a rate over the whole window."""
        hours = f"{self.rules.window_hours:g} h"
        said = (rule, scope, action, counts.bad, counts.total, percent, hours, self.rules.policy, what)
        return Verdict(*said)

    def number(self, rule: str, scope: str, action: Action, bad: int, most: float, what: str) -> Verdict:
        """On a number over the whole window."""
        return self.verdict(rule, scope, action, Counts(bad, 0), most, what)


def judge(case: Case) -> list[Verdict]:
    """Everything that is to stop, or to be told, as things stand."""
    rules = (_bounces, _complaints, _negative_replies, _system_errors, _compliance, _duplicates, _opt_outs)
    return [verdict for rule in rules for verdict in rule(case)]


MAILED_BOUNCED, MAILED_COMPLAINED = "people mailed bounced", "people mailed complained"


def _bounces(case: Case) -> Iterator[Verdict]:
    """The whole list stops sending; a doubtful one stops its campaign; a rising one is told."""
    rules, sent, bad = case.rules, case.seen.sent, case.seen.bounced
    percent = rules.bounces.percent

    def stops(counts: Counts) -> bool:
        return bounce_word(counts, rules) == "halt"

    def rises(counts: Counts) -> bool:
        return bounce_word(counts, rules) == "warn"

    if counts := case.worst("bounces", case.sequencer, sent, bad, stops):
        yield case.verdict("bounces", case.sequencer, "halt", counts, percent, MAILED_BOUNCED)
    elif counts := case.worst("bounces", case.sequencer, sent, bad, rises):
        warned = rules.bounces.warn_percent
        yield case.verdict("bounces_rising", case.sequencer, "alert", counts, warned, MAILED_BOUNCED)
    if rules.policy == "evidence":
        yield from _doubtful_lists(case)


def _doubtful_lists(case: Case) -> Iterator[Verdict]:
    mailed = by_campaign(case.seen.sent)

    def holds(counts: Counts) -> bool:
        return bounce_word(counts, case.rules) in {"hold", "halt"}

    for campaign, bad in by_campaign(case.seen.bounced).items():
        scope = f"campaign:{campaign}"
        if counts := case.worst("bounces", scope, mailed.get(campaign, ()), bad, holds):
            percent = case.rules.bounces.percent
            yield case.verdict("bounces", scope, "halt", counts, percent, MAILED_BOUNCED)


def _complaints(case: Case) -> Iterator[Verdict]:
    """Too many kill. With the policy `evidence`, any stops campaign and mailbox; one of no campaign, all sending."""
    rules, sent, bad = case.rules, case.seen.sent, case.seen.complained
    percent = rules.complaints.percent
    rule = rules.complaints
    if counts := case.worst("complaints", KILL, sent, bad, lambda counts: too_many(counts, rule, rules)):
        yield case.verdict("complaints", KILL, "kill", counts, percent, MAILED_COMPLAINED)
    if rules.policy == "evidence":
        for campaign, here in by_campaign(bad).items():
            yield from _numbered(case, "complaint", f"campaign:{campaign}", here, 0, "complaints")
        for mailbox, here in _grouped(bad, lambda one: one.mailbox).items():
            yield from _numbered(case, "complaint", f"mailbox:{mailbox}", here, 0, "complaints")
        nowhere = [one for one in bad if not one.campaign]
        yield from _numbered(case, "complaint", case.sequencer, nowhere, 0, "complaints")


def _numbered(
    case: Case, rule: str, scope: str, bad: Iterable[Seen], most: float, what: str
) -> Iterator[Verdict]:
    """Stop the scope for more than `most` that are newer than its last clear."""
    new = {one.who for one in bad if one.at > case.since(rule, scope)}
    if len(new) > most:
        yield case.number(rule, scope, "halt", len(new), most, what)


def _negative_replies(case: Case) -> Iterator[Verdict]:
    rule, answered = case.rules.negative_replies, by_campaign(case.seen.answered)
    for campaign, bad in by_campaign(case.seen.negative).items():
        scope = f"campaign:{campaign}"
        everyone = answered.get(campaign, ())
        counts = case.worst(
            "negative_replies", scope, everyone, bad, lambda counts: too_many(counts, rule, case.rules)
        )
        if counts:
            what = "people who answered were negative"
            yield case.verdict("negative_replies", scope, "halt", counts, rule.percent, what)


def _system_errors(case: Case) -> Iterator[Verdict]:
    rule, seen = case.rules.system_errors, case.seen
    counts = case.worst(
        "system_errors", EVERYTHING, seen.effects, seen.errors, lambda c: too_many(c, rule, case.rules)
    )
    if counts:
        what = "effects failed or are in doubt"
        yield case.verdict("system_errors", EVERYTHING, "halt", counts, rule.percent, what)


def _compliance(case: Case) -> Iterator[Verdict]:
    """One failure stops its campaign; several in a short time stop everything."""
    rule, what = case.rules.compliance, "compliance failures on what was about to be sent"
    for campaign, failures in by_campaign(case.seen.failures).items():
        yield from _numbered(case, "compliance", f"campaign:{campaign}", failures, 0, what)
    these = [one for one in case.seen.failures if one.at > case.lately]
    short = f"{rule.window_minutes:g} min"
    for found in _numbered(case, "compliance", EVERYTHING, these, rule.halt_all_at - 1, what):
        yield replace(found, window=short)


def _duplicates(case: Case) -> Iterator[Verdict]:
    most, what = case.rules.duplicate_contacts, "contacts beside another one of the same address"
    yield from _numbered(case, "duplicate_contacts", case.crm, case.seen.duplicates, most, what)


def _opt_outs(case: Case) -> Iterator[Verdict]:
    if late := len(case.seen.opt_outs):
        what = f"opt-outs not confirmed by every vendor after {case.rules.opt_out_minutes:g} min"
        yield case.number("opt_outs", "opt_outs", "alert", late, 0, what)
