"""What the phases left behind, in plain words: for an operator's terminal and for a model, in the same sentences.

Markdown without decoration. Names of titles, industries and sources come from outside; they were made one line and
short when they were counted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.findings import Findings, Share, TierFindings
from orchestrator.forecast import Prediction
from orchestrator.implementing import Report
from orchestrator.plans import Checked, Part, Plan
from orchestrator.strategy import Expected, Line
from orchestrator.traced import NOT_YET
from shared.effect import REASONS

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
METRICS = {
    "deliverability": "delivered",
    "replies": "replies",
    "positive_share": "positive replies",
    "unsubscribes": "unsubscribe",
    "spam": "complaints of spam",
}


MAIL = {"allow": "allowed", "hold": "a person decides", "block": "forbidden without consent"}


def people(count: int) -> str:
    """`1 person`, `2 people`."""
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _shares(shares: Iterable[Share]) -> str:
    """Numbers in brackets: names such as "score below 30" may end in one."""
    return ", ".join(f"{share.name} ({share.people:,})" for share in shares) or "nothing"


def plain(text: str) -> str:
    """A word of ours for people: `tier_1` → `tier 1`."""
    return text.replace("_", " ")


# ── research ─────────────────────────────────────────────────────────────────────────────────────────────
def findings_text(found: Findings, tier: str = "") -> str:
    """All findings, or those of one tier."""
    tiers = [one for one in found.tiers if not tier or one.tier == tier]
    head = [] if tier else list(_overview(found))
    return "\n".join([*head, *(line for one in tiers for line in _tier(one))]).strip()


def _overview(found: Findings) -> Iterator[str]:
    qualified = [one for one in found.tiers if one.tier != "disqualified"]
    mail = Counter(dict.fromkeys(MAIL, 0))
    for one in qualified:
        mail.update({share.name: share.people for share in one.mail})
    kept = "".join(
        f"; mail to {mail[name]:,} of them: {MAIL[name]}" for name in ("block", "hold") if mail[name]
    )
    yield f"{people(found.people)} researched, {sum(one.people for one in qualified):,} worth writing to{kept}."
    yield f"Look-ups: {_shares(found.enrichment)}."
    if missed := sum(share.people for share in found.enrichment if share.name.startswith("simulated")):
        yield (
            f"Safe mode asked no provider: what is missing of {people(missed)} may be found when they are "
            "looked up for real, and their tier may change."
        )
    if found.disqualified:
        yield f"Not written to, because: {_shares(found.disqualified)}."
    if found.within_reach:
        yield f"Within reach: they lack only a work e-mail, and would be in: {_shares(found.within_reach)}."
    for record in found.history:
        yield (
            f"Before, {plain(record.type)} {plain(record.tier)}: {people(record.people)} written to, "
            f"{record.replied} replied, {record.positive} positively, {record.bounced} bounced, "
            f"{record.unsubscribed} unsubscribed, {record.complained} complained."
        )
    if not found.history:
        yield "Before: no campaign of ours has been sent yet, so nothing is known of how people answer."


def _tier(one: TierFindings) -> Iterator[str]:
    yield from ("", f"## {plain(one.tier)}: {people(one.people)} ({one.percent:g} %)")
    yield f"- score: {one.lowest} to {one.highest}, half of them up to {one.median}"
    rows: tuple[tuple[str, Sequence[Share]], ...] = (
        ("titles", one.titles),
        ("level", one.seniority),
        ("industries", one.industries),
        ("size", one.sizes),
        ("countries", one.countries),
        ("mail there", [Share(MAIL.get(share.name, share.name), share.people) for share in one.mail]),
        ("known from", one.sources),
        ("not known", one.gaps),
        ("look first", one.look_first),
    )
    yield from (f"- {name}: {_shares(shares)}" for name, shares in rows if shares)
    yield from (f"- opportunity: {text}" for text in one.opportunities)
    yield from (f"- angle: {text}" for text in one.angles)


# ── plan ─────────────────────────────────────────────────────────────────────────────────────────────────
def plan_text(plan: Plan, *, whole: bool = False) -> str:
    """The plan at a glance; `whole` with every line in full."""
    lines = [*_head(plan), *_effects(plan), *_table(plan), *_comparisons(plan)]
    if whole:
        for line in plan.strategy.lines:
            lines += ["", *line_lines(plan, line)]
    return "\n".join(lines)


def _head(plan: Plan) -> Iterator[str]:
    yield f"Plan {plan.run_id}, version {plan.version}: {plain(plan.state)}. By {plan.made_by}: {plan.why}."
    if plan.decided_by:
        reason = f": {plan.reason}" if plan.reason else ""
        yield f"Decided by {plan.decided_by} at {plan.decided_at[:16]}{reason}."
    yield _next(plan)
    if plan.check:
        yield f"{people(plan.check.people)} would be written to; {plan.check.held:,} are held and would not."
        yield f"To read before all of it can be approved: the messages of {people(plan.check.to_read)}."
        if plan.check.attention:
            yield from ("", "What a person has to look at:")
            yield from (f"- {text}" for text in plan.check.attention)


def _next(plan: Plan) -> str:
    if plan.state == "drafting":
        return "The words are being written and checked."
    if plan.launches == "on_approval":
        return "Each campaign is launched as soon as a person has approved its words in the Gatekeeper."
    if plan.state == "pending_review":
        waiting = len(plan.undecided)
        words = f"{waiting} campaigns' words, then the plan" if waiting else "the plan"
        return f"A person decides on {words}, in the Gatekeeper at /campaigns/plans/{plan.run_id}."
    if plan.state == "approved":
        return "Approved: implement carries it out, if nothing of it moved."
    return "Nothing of it is carried out."


def _effects(plan: Plan) -> Iterator[str]:
    total = sum(count.count for count in plan.effects)
    yield from (
        "",
        f"What would follow outside: {total:,} effects." if total else "Nothing would follow outside.",
    )
    yield from (f"- {count.count:,} × {count.action} ({count.when})" for count in plan.effects)
    if total:
        yield (
            f"Then the vendor sends: up to {plan.strategy.messages:,} messages from {plan.strategy.mailboxes} "
            f"mailboxes; the mailboxes need at least {_days_of(plan.strategy.first_days)} for everybody's first one, "
            f"and {_days_of(plan.strategy.sending_days)} for all of them."
        )
    if total and plan.strategy.expected:
        yield f"Expected of it: {', '.join(_in_all(one) for one in plan.strategy.expected)}."
        yield f"That rests on {plan.strategy.basis}."
    if plan.strategy.linkedin_tasks:
        yield f"For people to do by hand: {plan.strategy.linkedin_tasks:,} touches on LinkedIn."


def _table(plan: Plan) -> Iterator[str]:
    yield from (
        "",
        "| line | found | written to | held | template | depth | days | campaigns |",
        "|" + "---|" * 8,
    )
    for line in plan.strategy.lines:
        checked = plan.checked(line)
        told = (f"{checked.people}", f"{checked.held}") if checked else ("–", "–")
        counted = Counter(state_of(part) for part in plan.parts_of(line))
        states = ", ".join(f"{count} {state}" for state, count in sorted(counted.items())) or "left out"
        days = "/".join(map(str, line.day_offsets))
        cells = (line.key, str(line.found), *told, plain(line.template), line.depth, days, states)
        yield f"| {' | '.join(cells)} |"


def _comparisons(plan: Plan) -> Iterator[str]:
    """Each test once: its lines share it."""
    yield from ("", "What is tested:")
    for one in plan.strategy.comparisons:
        yield f"- {one.hypothesis} {one.told[0].upper()}{one.told[1:]}."


def line_lines(plan: Plan, line: Line) -> Iterator[str]:
    """One line of the plan in full."""
    campaigns = "1 campaign" if line.campaigns == 1 else f"{line.campaigns} campaigns"
    yield f"## {line.key}: {people(line.found)} in {'no campaign: left out' if line.left_out else campaigns}"
    days = ", ".join(DAYS[day] for day in line.weekdays)
    yield f"- written with: template {plain(line.template)}, depth {line.depth}, on days {_days(line.day_offsets)}"
    yield f"- sent: {days} {line.start}–{line.end}, at most {line.daily_limit} a day and mailbox"
    yield f"- by whose clock: {_shares(line.zones)}"
    if line.linkedin_days:
        yield f"- LinkedIn, by hand: days {_days(line.linkedin_days)} for each person"
    yield f"- known from: {_shares(line.sources)}"
    for hook in line.hooks:
        yield f"- hook for {people(hook.people)} in {plain(hook.context)}: {hook.hook}; pain: {hook.pain_points[0]}"
    if line.competitors:
        yield f"- follow another vendor: {_shares(line.competitors)}"
    yield f"- test: {line.hypothesis}"
    yield from (f"- expected: {_expected(one)}" for one in line.predicted)
    if line.predicted:
        yield f"- expected by {line.predicted[0].basis}: {line.predicted[0].told}"
    yield from (f"- look: {text}" for text in line.attention)
    yield f"- review: {line.approver}, {line.approval}, within {line.review_due_hours:g} h"
    if checked := plan.checked(line):
        yield from _checked(checked)
    for part in plan.parts_of(line):
        yield f"- campaign {part.id}: {state_of(part)}, {people(part.people)}, {part.held} held"


def state_of(part: Part) -> str:
    """A campaign's state in words; one that everybody is held in ended before it began."""
    return "nobody left" if part.state == "failed" and not part.people else plain(part.state)


def _days_of(count: int) -> str:
    return "1 sending day" if count == 1 else f"{count:,} sending days"


def _days(days: Sequence[int]) -> str:
    return ", ".join(map(str, days))


def _expected(one: Prediction) -> str:
    low, high = f"{one.low:g}", f"{one.high:g}"
    rate = low if low == high else f"{low}–{high}"
    count = (
        str(one.people_low) if one.people_low == one.people_high else f"{one.people_low}–{one.people_high}"
    )
    of = "of the replies" if one.of == "replies" else "of the people"
    return f"{METRICS.get(one.metric, plain(one.metric))} {rate} % {of}: {count}"


def _in_all(one: Expected) -> str:
    count = str(one.low) if one.low == one.high else f"{one.low:,}–{one.high:,}"
    return f"{METRICS.get(one.metric, plain(one.metric))} {count}"


def _checked(checked: Checked) -> Iterator[str]:
    yield f"- after the check: {people(checked.people)} would be written to, {checked.held} held"
    for flag in checked.flags:
        yield f"- compliance, {flag.severity}: {flag.why} ({people(flag.people)}, {flag.code})"
    for share in checked.held_because:
        yield f"- held: {people(share.people)}: {share.name}"


# ── implement ────────────────────────────────────────────────────────────────────────────────────────────
def report_text(report: Report) -> str:
    """What was listed, beside what was done."""
    lines = [
        f"Implementation {report.version} of {report.run_id}: {report.state}. Asked for by {report.asked_by}."
    ]
    for one in report.compared:
        later = {} if one.when == "launch" else {NOT_YET: "still to come"}
        ended = ", ".join(
            f"{count:,} {later.get(status, status)}" for status, count in sorted(one.ended.items())
        )
        lines.append(f"- {one.listed:,} × {one.action} ({one.when}): {ended}")
    lines.append(f"{report.unlisted} effects were done that the plan didn't list.")
    for wrong in report.differences:
        listed = "" if wrong.listed else ", not listed"
        why = f": {REASONS.get(wrong.reason, wrong.reason)}" if wrong.reason else ""
        lines.append(f"- {wrong.action} {wrong.target}: {wrong.status}{listed}{why}")
    if report.more:
        lines.append(f"- and {report.more} more")
    return "\n".join(lines)
