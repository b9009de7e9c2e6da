"""When a rule stops something: by the owner's thresholds as written, or by evidence."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.halt_rules import BounceRule, HaltRules
from shared.observed import Observed, Seen
from shared.verdicts import Case, Counts, Verdict, bounce_word, cohorts, judge, too_many, wilson_lower

LITERAL, EVIDENCE = HaltRules(), HaltRules(policy="evidence")
SENDING, CRM = "vendor:instantly", "vendor:ghl"


def people(count: int, campaign: str = "c1", at: str = "5", first: int = 0) -> tuple[Seen, ...]:
    return tuple(Seen(f"p{n}", campaign, at) for n in range(first, first + count))


def verdicts(
    rules: HaltRules, cleared: Mapping[tuple[str, str], str] | None = None, lately: str = "", **seen: Any
) -> list[Verdict]:
    return judge(Case(rules, Observed(**seen), cleared or {}, SENDING, CRM, lately))


def acts(*arguments: Any, **seen: Any) -> list[tuple[str, str, str]]:
    return [(one.rule, one.scope, one.action) for one in verdicts(*arguments, **seen)]


# ── rates ────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("bad", "total", "word"),
    [
        *((1, 3, "ok"), (2, 5, "hold"), (3, 20, "halt"), (3, 30, "hold"), (4, 31, "halt")),
        *((5, 50, "hold"), (6, 50, "halt"), (10, 200, "warn"), (11, 200, "halt"), (2, 100, "ok")),
        *((0, 0, "ok"), (3, 100, "warn"), (3, 99, "ok"), (0, 500, "ok")),
    ],
)
@pytest.mark.requirement("H2")
def test_evidence_judges_bounces_by_floors_and_bounds(bad: int, total: int, word: str) -> None:
    assert bounce_word(Counts(bad, total), EVIDENCE) == word


@pytest.mark.parametrize(
    ("bad", "total", "stops"),
    [
        (0, 0, False),
        (1, 3, False),
        (1, 20, False),
        (2, 40, False),
        (2, 39, True),
        (3, 59, True),
        (51, 1_000, True),
    ],
)
@pytest.mark.requirement("H1")
def test_literally_more_than_five_percent_stops_unless_it_is_a_single_one(
    bad: int, total: int, *, stops: bool
) -> None:
    assert (bounce_word(Counts(bad, total), LITERAL) == "halt") is stops


@pytest.mark.parametrize(
    ("bad", "total", "stops"),
    [(0, 1, False), (1, 1, True), (1, 999, True), (1, 1_000, False), (2, 1_999, True), (2, 2_000, False)],
)
@pytest.mark.requirement("H1")
def test_literally_the_first_complaint_under_a_thousand_kills(bad: int, total: int, *, stops: bool) -> None:
    assert too_many(Counts(bad, total), LITERAL.complaints, LITERAL) is stops


@pytest.mark.parametrize(
    ("bad", "total", "stops"),
    [(1, 10, False), (2, 10, True), (2, 999, False), (1, 1_000, False), (2, 1_500, True)],
)
def test_evidence_kills_for_complaints_that_cannot_be_chance(bad: int, total: int, *, stops: bool) -> None:
    assert too_many(Counts(bad, total), EVIDENCE.complaints, EVIDENCE) is stops


@pytest.mark.parametrize(
    ("bad", "total", "literal", "evidence"),
    [
        (1, 1, False, False),
        (2, 5, True, False),
        (1, 5, False, False),
        (3, 4, True, True),
        (11, 50, True, True),
    ],
)
def test_negative_answers_by_either_policy(bad: int, total: int, *, literal: bool, evidence: bool) -> None:
    counts = Counts(bad, total)
    assert too_many(counts, LITERAL.negative_replies, LITERAL) is literal
    assert too_many(counts, EVIDENCE.negative_replies, EVIDENCE) is evidence


@given(st.integers(0, 500), st.integers(0, 500))
def test_the_lower_bound_lies_between_nothing_and_the_rate(bad: int, good: int) -> None:
    total = bad + good
    bound = wilson_lower(bad, total, 1.645)
    assert 0 <= bound <= (bad / total if total else 0)


def test_a_warning_above_the_threshold_is_refused() -> None:
    with pytest.raises(ValidationError, match="warn_percent"):
        BounceRule(warn_percent=6)


@pytest.mark.parametrize(
    "wrong", [{"policy": "hope"}, {"window_hours": 0}, {"z": -1}, {"duplicate_contacts": 0}, {"unknown": 1}]
)
def test_impossible_numbers_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HaltRules.model_validate(wrong)


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────
def test_a_person_counts_once_however_often_they_were_mailed_or_bounced() -> None:
    sent = (*people(10, at="1"), *people(10, at="2"), *people(10, campaign="c2", at="3"))
    assert cohorts(sent, (*people(2, at="4"), *people(2, at="5")), "") == (Counts(0, 0), Counts(2, 10))


def test_somebody_who_was_mailed_before_the_window_and_bounces_in_it_is_part_of_both() -> None:
    assert cohorts(people(10), people(2, first=20), "")[1] == Counts(2, 12)


def test_after_a_clear_what_was_judged_is_not_counted_again() -> None:
    old, again = people(6, at="4"), people(6, at="8")
    assert cohorts(people(50, at="3"), (*old, *again), "6") == (Counts(0, 50), Counts(0, 0))


def test_late_bad_news_about_mail_from_before_the_clear_is_judged_against_that_mail() -> None:
    sent = (*people(50, at="3"), *people(10, at="7", first=50))
    late, fresh = cohorts(sent, (*people(6, at="8"), *people(2, at="8", first=50)), "6")
    assert (late, fresh) == (Counts(6, 50), Counts(2, 10))


@given(st.data())
def test_the_bad_are_never_more_than_all(data: st.DataObject) -> None:
    seen = st.builds(Seen, st.sampled_from("abcdef"), st.just("c"), st.sampled_from("123456789"))
    made = data.draw(st.tuples(st.lists(seen), st.lists(seen)))
    for counts in cohorts(*made, data.draw(st.sampled_from(["", "3", "6"]))):
        assert 0 <= counts.bad <= counts.total


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def test_nothing_observed_stops_nothing() -> None:
    assert acts(LITERAL) == acts(EVIDENCE) == []


def test_bounces_stop_all_sending_and_say_by_which_numbers() -> None:
    (found,) = verdicts(LITERAL, sent=people(50), bounced=people(6))
    assert (found.rule, found.scope, found.action) == ("bounces", SENDING, "halt")
    expected = "bounces: 6 of 50 people mailed bounced: 12 %, more than 5 %, within 24 h (policy literal)"
    assert found.reason == expected
    assert (found.numbers["rate"], found.numbers["bad"], found.numbers["reason"]) == (0.12, 6, expected)


def test_literally_a_rising_rate_is_not_told_and_no_single_campaign_is_held() -> None:
    sent = (*people(100), *people(5, "c2", first=100))
    assert acts(LITERAL, sent=sent, bounced=people(3, "c2", first=100)) == []


def test_evidence_holds_the_one_campaign_with_a_doubtful_list() -> None:
    sent = (*people(95), *people(5, "c2", first=100))
    assert acts(EVIDENCE, sent=sent, bounced=people(2, "c2", first=100)) == [
        ("bounces", "campaign:c2", "halt")
    ]


def test_evidence_tells_of_a_rising_rate() -> None:
    assert acts(EVIDENCE, sent=people(200), bounced=people(10)) == [("bounces_rising", SENDING, "alert")]


def test_a_bounced_campaign_that_nobody_was_mailed_in_within_the_window_is_judged() -> None:
    expected = [("bounces", SENDING, "halt"), ("bounces", "campaign:c1", "halt")]
    assert acts(EVIDENCE, bounced=people(3)) == expected


def test_a_complaint_kills_literally() -> None:
    assert acts(LITERAL, sent=people(500), complained=people(1)) == [("complaints", "kill", "kill")]
    assert acts(LITERAL, sent=people(1_000), complained=people(1)) == []


def test_with_evidence_a_first_complaint_stops_its_campaign_and_a_second_kills() -> None:
    assert acts(EVIDENCE, sent=people(500), complained=people(1)) == [("complaint", "campaign:c1", "halt")]
    found = acts(EVIDENCE, sent=people(500), complained=people(2))
    assert found == [("complaints", "kill", "kill"), ("complaint", "campaign:c1", "halt")]


def test_with_evidence_a_complaint_that_names_no_campaign_stops_all_sending() -> None:
    assert acts(EVIDENCE, sent=people(500), complained=people(1, "")) == [("complaint", SENDING, "halt")]


BOX = "alex@sender.example"


def from_box(count: int, campaign: str = "c1", box: str = BOX, **more: Any) -> tuple[Seen, ...]:
    """Complaints about what this mailbox of ours wrote."""
    return tuple(replace(one, mailbox=box) for one in people(count, campaign, **more))


def test_with_evidence_a_first_complaint_stops_the_mailbox_that_wrote_too() -> None:
    found = verdicts(EVIDENCE, sent=people(500), complained=from_box(1))
    stopped = [("complaint", "campaign:c1", "halt"), ("complaint", f"mailbox:{BOX}", "halt")]
    assert [(one.rule, one.scope, one.action) for one in found] == stopped
    assert found[1].reason.startswith("complaint: 1 complaints, more than 0, within 24 h")


def test_literally_no_mailbox_is_stopped() -> None:
    assert acts(LITERAL, sent=people(2_000), complained=from_box(1)) == []
    assert acts(LITERAL, sent=people(500), complained=from_box(1)) == [("complaints", "kill", "kill")]


def test_a_mailbox_that_was_cleared_is_stopped_again_by_the_next_complaint_only() -> None:
    cleared = {("complaint", f"mailbox:{BOX}"): "6", ("complaint", "campaign:c1"): "6"}
    assert acts(EVIDENCE, cleared, sent=people(500), complained=from_box(1)) == []
    both = (*from_box(1), *from_box(1, "c2", at="8", first=1))
    found = acts(EVIDENCE, cleared, sent=people(5_000), complained=both)
    assert found == [("complaint", "campaign:c2", "halt"), ("complaint", f"mailbox:{BOX}", "halt")]


def test_each_mailbox_is_stopped_for_its_own_complaints() -> None:
    both = (*from_box(1), *from_box(1, box="sam@sender.example", first=1))
    found = [scope for _, scope, _ in acts(EVIDENCE, sent=people(5_000), complained=both)]
    assert found == ["campaign:c1", f"mailbox:{BOX}", "mailbox:sam@sender.example"]


def test_negative_answers_stop_only_their_campaign() -> None:
    answered = (*people(4), *people(9, "c2", first=10))
    found = acts(LITERAL, answered=answered, negative=(*people(2), *people(1, "c2", first=10)))
    assert found == [("negative_replies", "campaign:c1", "halt")]


def test_a_negative_answer_outside_every_campaign_stops_nothing() -> None:
    assert acts(LITERAL, answered=people(3, ""), negative=people(3, "")) == []


def test_errors_of_vendors_stop_all_writes() -> None:
    (found,) = verdicts(LITERAL, effects=people(20), errors=people(3))
    assert (found.rule, found.scope) == ("system_errors", "all")
    assert "3 of 20 effects failed or are in doubt: 15 %, more than 10 %" in found.reason
    assert acts(LITERAL, effects=people(30), errors=people(3)) == []


def test_a_compliance_failure_stops_its_campaign_and_the_fifth_in_an_hour_everything() -> None:
    four = (*people(2), *people(2, "c2", first=2))
    campaigns = [("compliance", "campaign:c1", "halt"), ("compliance", "campaign:c2", "halt")]
    assert acts(LITERAL, failures=four) == campaigns
    five = (*four, *people(1, "c2", first=4))
    assert acts(LITERAL, failures=five) == [*campaigns, ("compliance", "all", "halt")]
    last = verdicts(LITERAL, failures=five)[-1]
    assert last.reason.endswith(
        "failures on what was about to be sent, more than 4, within 60 min (policy literal)"
    )
    assert acts(LITERAL, None, "5", failures=five) == campaigns


def test_the_eleventh_duplicate_stops_writing_to_the_crm() -> None:
    assert acts(LITERAL, duplicates=people(10)) == []
    assert acts(LITERAL, duplicates=people(11)) == [("duplicate_contacts", CRM, "halt")]


def test_opt_outs_that_are_late_are_told_and_stop_nothing() -> None:
    (found,) = verdicts(LITERAL, opt_outs=people(2))
    assert (found.action, found.bad, found.numbers["rate"]) == ("alert", 2, None)
    assert found.reason.startswith("opt_outs: 2 opt-outs not confirmed by every vendor after 60 min")


@pytest.mark.parametrize(
    ("rule", "scope", "seen"),
    [
        ("bounces", SENDING, {"sent": people(50), "bounced": people(6)}),
        ("complaints", "kill", {"sent": people(50), "complained": people(1)}),
        ("negative_replies", "campaign:c1", {"answered": people(9), "negative": people(4)}),
        ("system_errors", "all", {"effects": people(20), "errors": people(9)}),
        ("compliance", "campaign:c1", {"failures": people(1)}),
        ("duplicate_contacts", CRM, {"duplicates": people(11)}),
    ],
)
def test_the_same_evidence_does_not_stop_again_after_a_clear(
    rule: str, scope: str, seen: dict[str, Any]
) -> None:
    assert acts(LITERAL, **seen) == [(rule, scope, acts(LITERAL, **seen)[0][2])]
    assert acts(LITERAL, {(rule, scope): "6"}, **seen) == []


def test_worse_after_a_clear_stops_again_by_new_mail_or_by_late_news() -> None:
    cleared = {("bounces", SENDING): "6"}
    sent, bounced = people(50, at="3"), people(6, at="5")
    fresh = (*sent, *people(10, at="7", first=50))
    assert acts(LITERAL, cleared, sent=fresh, bounced=(*bounced, *people(2, at="8", first=50)))
    assert not acts(LITERAL, cleared, sent=fresh, bounced=(*bounced, *people(1, at="8", first=10)))
    (late,) = verdicts(LITERAL, cleared, sent=sent, bounced=(*bounced, *people(4, at="8", first=10)))
    assert (late.bad, late.total) == (4, 50)
