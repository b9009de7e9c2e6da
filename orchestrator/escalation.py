"""Who has to look at it, how urgently: triggers of a lead and its answer, through the configured table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from orchestrator.replies import Classified
from orchestrator.rules import ReplyClass, Rules, Trigger
from orchestrator.scoring import Standing, works_at_competitor
from orchestrator.titles import seniority
from shared.lead import Lead, Tier

Priority = Literal["block", "critical", "high", "medium", "low"]
_URGENCY: Mapping[str, int] = {"block": 0, "critical": 1, "high": 2, "medium": 3, "low": 4}
# Written by a machine, or an opt-out that is already carried out: nobody is waiting for an answer.
_SILENT = frozenset[ReplyClass]({"bounce", "out_of_office", "auto_reply"})
_TRIGGERS: Mapping[ReplyClass, Trigger] = {
    "hostile": "negative_reply",
    "complaint": "negative_reply",
    "legal_threat": "legal_threat",
    "pricing_objection": "pricing",
    "security_question": "security",
    "technical_question": "technical_question",
    "meeting_request": "meeting_request",
    "positive_interest": "buying_signal",
    "referral": "unclear_reply",
    "left_company": "unclear_reply",
    "unknown": "unclear_reply",
}
# Where the evidence is more precise than the class.
_BY_RULE: Mapping[str, Trigger] = {
    "meeting_request.demo": "demo_request",
    "technical_question.integration": "integration",
}
_NEGATIVE = frozenset[ReplyClass]({"not_interested", "already_have_solution"})


@dataclass(frozen=True, slots=True)
class Escalation:
    """One reason for a person to act: to whom, how urgent, and within how many minutes."""

    trigger: Trigger
    to: tuple[str, ...]
    priority: Priority
    due_minutes: int

    def due(self, since: datetime) -> datetime:
        """By when somebody must have acknowledged it."""
        return since + timedelta(minutes=self.due_minutes)


def escalate(
    lead: Lead,
    tier: Tier,
    rules: Rules,
    reply: Classified | None = None,
    standing: Standing | None = None,
    *,
    icp: int = 0,
) -> tuple[Escalation, ...]:
    """Every escalation of a lead, most urgent first; with a reply, those of its answer.

    A competitor's employee gives one entry that blocks, and nothing else.
    """
    if works_at_competitor(lead, rules):
        return (_row("competitor_employee", rules),)
    found = set(_of_lead(lead, rules, icp))
    if reply and reply.reply not in _SILENT:
        found |= set(_of_reply(reply, lead, tier, rules))
        if reply.reply != "unsubscribe" or reply.to_confirm or reply.also:
            found |= set(_of_person(lead, rules, standing or Standing()))
    return tuple(sorted((_row(trigger, rules) for trigger in found), key=_by_urgency))


def handoff(escalations: Iterable[Escalation]) -> Escalation | None:
    """The escalation a person is asked to take up first, if any needs one soon."""
    return next((one for one in escalations if one.priority in {"critical", "high", "medium"}), None)


def escalation_of(trigger: Trigger, rules: Rules) -> Escalation:
    """The row of that trigger."""
    return _row(trigger, rules)


def _by_urgency(one: Escalation) -> tuple[int, int, str]:
    return _URGENCY[one.priority], one.due_minutes, one.trigger


def _row(trigger: Trigger, rules: Rules) -> Escalation:
    row = rules.routing.escalations[trigger]
    return Escalation(trigger, row.to, row.priority, row.due_minutes)


def _of_person(lead: Lead, rules: Rules, standing: Standing) -> Iterable[Trigger]:
    """Who answers matters more than what: any human answer of these goes to their own people."""
    if lead.company_size > rules.routing.enterprise_employees:
        yield "enterprise"
    if seniority(lead.title) == "c_level":
        yield "c_level"
    if standing.customer:
        yield "customer"


def _of_reply(reply: Classified, lead: Lead, tier: Tier, rules: Rules) -> Iterable[Trigger]:
    """What the answer says. Interest always reaches a person: nothing answers it by itself."""
    if reply.to_confirm:
        yield "opt_out_to_confirm"
    for kind in reply.also:
        if kind in _TRIGGERS:
            yield _TRIGGERS[kind]
    known = _BY_RULE.get(reply.rule) or _TRIGGERS.get(reply.reply)
    if known:
        yield known
    elif _wanted(reply.reply, lead, tier, rules):
        yield "negative_reply" if reply.reply in _NEGATIVE else "unclear_reply"


def _wanted(kind: ReplyClass, lead: Lead, tier: Tier, rules: Rules) -> bool:
    enterprise = lead.company_size > rules.routing.enterprise_employees
    answers = {
        "always": True,
        "never": False,
        "if_enterprise": enterprise,
        "if_tier_1": tier == "tier_1",
    }
    return answers[rules.routing.replies[kind].escalate]


def _of_lead(lead: Lead, rules: Rules, icp: int) -> Iterable[Trigger]:
    if icp >= rules.routing.top_score:
        yield "top_score"
    if len(lead.sources) >= rules.routing.many_touches:
        yield "many_touches"
