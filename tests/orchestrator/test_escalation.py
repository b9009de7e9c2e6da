"""Who is told, how urgently, for which lead and answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from people import RULES, a_lead

from orchestrator.escalation import escalate, handoff
from orchestrator.replies import Classified, classify
from orchestrator.scoring import Standing
from shared.lead import Source


def triggers(
    text: str = "", *, tier: Any = "tier_2", standing: Standing | None = None, icp: int = 0, **changes: Any
) -> list[str]:
    """Triggers of a lead, and of its answer when there is one, most urgent first."""
    reply = classify("Re: x", text) if text else None
    return [one.trigger for one in escalate(a_lead(**changes), tier, RULES, reply, standing, icp=icp)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How much does it cost?", "pricing"),
        ("Do you have a SOC 2 report?", "security"),
        ("Sounds good", "buying_signal"),
        ("Can we schedule a call on Thursday?", "meeting_request"),
        ("I want a demo", "demo_request"),
        ("How does it work exactly?", "technical_question"),
        ("Does it integrate with HubSpot?", "integration"),
        ("Go to hell", "negative_reply"),
        ("My lawyer will call you", "legal_threat"),
        ("I'm not the right person", "unclear_reply"),
        ("asdf", "unclear_reply"),
    ],
)
def test_an_answer_has_its_trigger(text: str, expected: str) -> None:
    assert triggers(text) == [expected]


@pytest.mark.parametrize(
    "text", ["Not interested", "Not right now", "Can you send me more information?", "unsubscribe"]
)
def test_these_answers_need_nobody(text: str) -> None:
    assert triggers(text) == []


def test_an_opt_out_to_confirm_reaches_a_person() -> None:
    assert triggers("Please take me off, thanks, Bob") == ["opt_out_to_confirm"]


def test_another_solution_matters_at_an_enterprise_only() -> None:
    assert triggers("We already use Clari") == []
    assert triggers("We already use Clari", company_size=1001) == ["enterprise", "negative_reply"]
    assert triggers("We already use Clari", company_size=1000) == []


def test_who_answers_comes_before_what_they_say() -> None:
    assert triggers("Sounds good", title="CEO") == ["c_level", "buying_signal"]
    assert triggers("Sounds good", standing=Standing(customer=True)) == ["customer", "buying_signal"]


def test_several_questions_reach_several_people() -> None:
    assert triggers("What is the pricing, and does it integrate with HubSpot?") == [
        "pricing",
        "technical_question",
    ]


def test_a_machines_answer_escalates_nothing() -> None:
    reply = Classified("out_of_office", 0.99, "out_of_office.header")
    assert escalate(a_lead(title="CEO", company_size=5000), "tier_1", RULES, reply) == ()


def test_a_carried_out_opt_out_of_the_top_level_bothers_nobody() -> None:
    assert triggers("unsubscribe", title="CEO", company_size=5000) == []


def test_a_competitors_employee_is_skipped_whatever_they_say() -> None:
    (only,) = escalate(a_lead(company="Gong"), "tier_1", RULES, classify("Re: x", "Sounds good"))
    assert (only.trigger, only.to, only.priority) == ("competitor_employee", (), "block")
    assert handoff([only]) is None


def test_scores_and_touches_raise_low_ones() -> None:
    many = tuple(Source("post_liker", url=str(n)) for n in range(5))
    assert triggers(icp=95, sources=many) == ["many_touches", "top_score"]
    assert triggers(icp=94, sources=many[:4]) == []


@pytest.mark.parametrize(("text", "minutes"), [("How much does it cost?", 15), ("Sounds good", 60)])
def test_an_escalation_is_due_as_configured(text: str, minutes: int) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    first = handoff(escalate(a_lead(), "tier_2", RULES, classify("Re: x", text)))
    assert first is not None
    assert first.due(now) - now == timedelta(minutes=minutes)


def test_an_enterprise_is_critical_within_five_minutes() -> None:
    first = handoff(escalate(a_lead(company_size=1001), "tier_2", RULES, classify("Re: x", "Sounds good")))
    assert first is not None
    assert (first.to, first.priority, first.due_minutes) == (("enterprise_ae",), "critical", 5)
