"""Whether a rendered message may go to this person: the law, the brand's rules, and what a reader would see.

Judges what would really be sent, per person and per message, never a template and never variants together.
Fails closed: a rule that raises is a blocking finding.

    block   may not be sent at all
    hold    may not be sent before a person has decided about this one
    warn    shown to whoever approves
"""

from collections.abc import Iterable, Sequence
from typing import Literal

from orchestrator.finding import ORDER, Case, Finding, Rule
from orchestrator.message_rules import MESSAGE_RULES
from orchestrator.recipient_rules import RECIPIENT_RULES
from orchestrator.rules import Rules
from shared.lead import Lead
from shared.ports import Message

Verdict = Literal["blocked", "held", "person", "clear"]
RULES: tuple[Rule, ...] = (*MESSAGE_RULES, *RECIPIENT_RULES)
# Holds that an approval of exactly this message settles; the others need something to be found out first.
_SETTLED_BY_APPROVAL = frozenset({"c_level", "seniority_unknown"})


def check(lead: Lead, messages: Sequence[Message], rules: Rules) -> tuple[Finding, ...]:
    """Everything that is wrong with sending `messages` to `lead`, worst first."""
    case = Case(lead, tuple(messages), rules)
    found = [finding for rule in RULES for finding in _run(rule, case)]
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: ORDER[finding.severity]))


def verdict(findings: Iterable[Finding]) -> Verdict:
    """The worst of it: `person` means that each such message needs its own yes, never a batch's."""
    known = tuple(findings)
    if any(finding.severity == "block" for finding in known):
        return "blocked"
    holds = {finding.code for finding in known if finding.severity == "hold"}
    if holds - _SETTLED_BY_APPROVAL:
        return "held"
    return "person" if holds else "clear"


def _run(rule: Rule, case: Case) -> tuple[Finding, ...]:
    try:
        return tuple(rule(case))
    except Exception:  # noqa: BLE001 - a rule that breaks must block; anything else would let the message through
        return (
            Finding(
                "rule_failed",
                "block",
                rule.__name__.strip("_"),
                "a rule could not be applied",
                "report it as a fault",
            ),
        )
