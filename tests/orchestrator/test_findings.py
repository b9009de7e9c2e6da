"""Findings are counts of what scoring said; a plan is made of nothing else, and says on what its guesses rest."""

import inspect
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import RULES, a_lead

from orchestrator import strategy
from orchestrator.findings import LONGEST, MOST_KEYS, Findings, Share, Tally, Track, Worth
from orchestrator.forecast import detectable
from orchestrator.rates import interval
from orchestrator.scoring import score
from orchestrator.strategy import Choice, check_choice, make_strategy
from orchestrator.telling import findings_text
from shared.errors import Invalid
from shared.lead import Lead, Source, Tier

EVENT = (Source("event_attendee", name="SaaS Day"),)


def worth(lead: Lead, **changes: object) -> Worth:
    """What scoring says of somebody, as the run keeps it."""
    found = score(lead, RULES)
    known = {
        "tier": found.tier,
        "score": found.icp,
        "intent": found.intent,
        "gaps": found.gaps,
        "seniority": found.seniority,
        "against": found.disqualifiers,
    }
    return Worth(**(known | changes))  # type: ignore[arg-type]  # the keys are the fields


def found(people: list[tuple[Lead, Worth]], history: tuple[Track, ...] = ()) -> Findings:
    tally = Tally(RULES)
    for lead, value in people:
        tally.add(lead, value)
    return tally.findings("print", history)


def many(count: int, tier: Tier = "tier_2", **more: object) -> list[tuple[Lead, Worth]]:
    return [
        (lead := a_lead(id=f"{n:03}", sources=EVENT, **more), worth(lead, tier=tier)) for n in range(count)
    ]


# ── counting ─────────────────────────────────────────────────────────────────────────────────────────────
def test_everybody_is_counted_once_in_their_tier_and_once_in_a_group() -> None:
    people = [*many(3, "tier_1"), *many(5, "tier_3"), (a_lead(), worth(a_lead(), tier="disqualified"))]
    made = found(people)
    assert {one.tier: one.people for one in made.tiers} == {"tier_1": 3, "tier_3": 5, "disqualified": 1}
    assert {one.key: one.people for one in made.groups} == {
        "event_followup/tier_1": 3,
        "event_followup/tier_3": 5,
    }


def test_tiers_stand_in_order_and_the_disqualified_last() -> None:
    people = [(a_lead(), worth(a_lead(), tier="disqualified")), *many(1, "tier_4"), *many(1, "tier_1")]
    assert [one.tier for one in found(people).tiers] == ["tier_1", "tier_4", "disqualified"]


def test_c_level_people_are_a_group_of_their_own() -> None:
    made = found([*many(2), *many(1, title="Chief Revenue Officer")])
    assert {one.key: one.c_level for one in made.groups} == {
        "event_followup/tier_2": False,
        "event_followup/tier_2/c_level": True,
    }


def test_one_title_in_two_spellings_counts_as_one() -> None:
    made = found([*many(2, title="VP of Sales"), *many(1, title="VP OF SALES")])
    assert made.tiers[0].titles == (Share("VP of Sales", 3),)


def test_why_people_are_not_written_to_is_counted_and_who_lacks_only_an_address_is_named() -> None:
    nobody = a_lead(email="", sources=EVENT)
    made = found([(nobody, worth(nobody)), (nobody, worth(nobody))])
    assert made.disqualified == (Share("no work email", 2),)
    assert made.within_reach == (Share("tier 1", 2),)


def test_who_named_somebody_is_no_place_and_stands_in_no_findings() -> None:
    people = [
        a_lead(id=name, sources=(Source("referral", name=f"{name}@corp.example"),)) for name in ("jo", "ann")
    ]
    made = found([(one, worth(one)) for one in people])
    assert made.tiers[0].sources == made.groups[0].sources == (Share("referral", 2),)
    assert "@corp.example" not in findings_text(made)


def test_mail_that_a_country_forbids_is_seen_before_any_word_is_written() -> None:
    made = found([*many(2), *many(1, country="DE"), *many(1, country="")])
    assert {share.name: share.people for share in made.groups[0].mail} == {"allow": 2, "block": 1, "hold": 1}


def test_counts_stand_apart_from_names_that_end_in_a_number() -> None:
    below = worth(a_lead(), tier="disqualified", against=())
    text = findings_text(found([(a_lead(), below)]))
    assert "Not written to, because: score below 30 (1)." in text


def test_whom_mail_is_forbidden_to_is_told_beside_who_is_worth_writing_to() -> None:
    text = findings_text(found([*many(3), *many(2, country="DE"), *many(1, country="PL")]))
    assert (
        "6 worth writing to; mail to 2 of them: forbidden without consent; mail to 1 of them: a person"
        in text
    )
    assert "- mail there: allowed (3), forbidden without consent (2), a person decides (1)" in text


def test_one_crowded_company_is_one() -> None:
    (one,) = found(many(3)).tiers
    assert "1 company has 3 or more people here: colleagues will compare what they get" in one.opportunities


def test_who_was_looked_up_in_safe_mode_only_is_told() -> None:
    blank = a_lead(email="")
    text = findings_text(found([(blank, worth(blank, enrichment="simulated: safe mode"))]))
    assert "Safe mode asked no provider: what is missing of 1 person may be found" in text
    assert "Safe mode" not in findings_text(found(many(3)))


def test_the_median_is_the_score_that_half_do_not_exceed() -> None:
    lead = a_lead()
    people = [(lead, worth(lead, tier="tier_1", score=value)) for value in (85, 86, 90, 100)]
    assert found(people).tiers[0].median == 86


def test_a_count_is_bounded_and_says_what_it_left_out() -> None:
    people = [
        (a_lead(title=f"Title {n}"), Worth("tier_2", 70, seniority="manager")) for n in range(MOST_KEYS + 50)
    ]
    (tier,) = found(people).tiers
    assert len(tier.titles) == RULES.outreach.planning.shown + 1
    assert tier.titles[-1].name == "others"
    assert sum(share.people for share in tier.titles) == len(people)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_text_from_outside_stays_on_its_line_and_short(title: str, industry: str, name: str) -> None:
    lead = a_lead(title=title, industry=industry, sources=(Source("event_attendee", name=name),))
    made = found([(lead, Worth("tier_2", 70))])
    for share in (*made.tiers[0].titles, *made.tiers[0].industries):
        assert len(share.name) <= LONGEST
        assert "\n" not in share.name
    assert all(line == line.strip("\r\x0b\x0c\x85\u2028\u2029") for line in findings_text(made).split("\n"))


# ── a plan out of findings ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("P1")
def test_a_plan_is_a_function_of_findings_configuration_and_choices_alone() -> None:
    assert list(inspect.signature(make_strategy).parameters) == ["findings", "rules", "choices", "written"]
    made = found(many(10))
    assert make_strategy(made, RULES) == make_strategy(made, RULES)
    assert not {"sqlalchemy", "anyio"} & set(vars(strategy))


def test_a_line_says_how_people_are_written_to() -> None:
    (line,) = make_strategy(found(many(120)), RULES).lines
    assert (line.template, line.depth, line.day_offsets) == ("event_followup", "medium", (0, 3, 7, 14))
    assert (line.people, line.campaigns, line.approval) == (120, 3, "batch")
    assert line.hooks[0].context == "saas"
    assert "A names the event" in line.hypothesis


def test_who_can_not_be_written_to_is_no_part_of_what_is_expected() -> None:
    made = found([*many(60), *many(40, country="DE")])
    (line,) = make_strategy(made, RULES).lines
    assert (line.found, line.people) == (100, 60)
    (after,) = make_strategy(made, RULES, None, {line.key: 50}).lines
    assert (after.found, after.people) == (100, 50)


def test_without_results_of_our_own_the_configured_targets_are_the_basis() -> None:
    (line,) = make_strategy(found(many(100)), RULES).lines
    replies = next(one for one in line.predicted if one.metric == "replies")
    assert (replies.low, replies.high, replies.people_low, replies.people_high) == (5, 8, 5, 8)
    assert replies.basis == "configured targets"
    assert "an assumption" in replies.told


def test_enough_results_of_our_own_are_the_basis_and_too_few_are_not() -> None:
    enough = RULES.outreach.planning.history_people
    own = Track("event_followup", "tier_2", enough, 10, 4, 6, 1, 0)
    (line,) = make_strategy(found(many(100), (own,)), RULES).lines
    replies = next(one for one in line.predicted if one.metric == "replies")
    assert replies.basis == "our own results"
    assert replies.low < 100 * 10 / enough < replies.high
    few = Track("event_followup", "tier_2", enough - 1, 10, 4, 6, 1, 0)
    (line,) = make_strategy(found(many(100), (few,)), RULES).lines
    assert {one.basis for one in line.predicted} == {"configured targets"}


def test_the_whole_says_on_what_it_rests() -> None:
    enough = RULES.outreach.planning.history_people
    own = Track("event_followup", "tier_2", enough, 10, 4, 6, 1, 0)
    assumed = make_strategy(found(many(100)), RULES)
    assert assumed.basis == f"configured targets, {assumed.lines[0].predicted[0].told}"
    assert make_strategy(found(many(100), (own,)), RULES).basis == "our own results, line by line"
    mixed = make_strategy(found([*many(9), *many(9, "tier_3")], (own,)), RULES)
    assert mixed.basis.startswith("our own results for 1 lines; configured targets for 1, an assumption")


def test_the_whole_is_rounded_once_and_not_line_by_line() -> None:
    people = [*many(10), *many(10, title="Chief Revenue Officer"), *many(10, "tier_3")]
    whole = {one.metric: (one.low, one.high) for one in make_strategy(found(people), RULES).expected}
    assert whole["replies"] == (1, 3)  # 5 to 8 % of 30; each line by itself would say 0 to 1
    assert whole["deliverability"] == (27, 29)


def test_lines_with_one_hypothesis_are_one_test() -> None:
    strategy_ = make_strategy(found([*many(40), *many(40, "tier_3")]), RULES)
    (test,) = strategy_.comparisons
    assert (test.people_per_variant, len(test.lines)) == (40, 2)
    assert "can't tell the variants apart" in test.told


@pytest.mark.parametrize(("base", "people", "points"), [(0.03, 5_298, 1.0), (0.03, 1_504, 2.0)])
def test_the_difference_a_test_can_show_agrees_with_the_usual_sample_sizes(
    base: float, people: int, points: float
) -> None:
    assert detectable(base, people, RULES) == pytest.approx(points, abs=0.05)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5_000), st.data())
def test_an_interval_holds_the_share_and_stays_between_nothing_and_all(
    total: int, data: st.DataObject
) -> None:
    good = data.draw(st.integers(0, total))
    low, high = interval(good, total, 1.96)
    assert 0 <= low <= good / total + 1e-12
    assert good / total - 1e-12 <= high <= 1
    assert math.isfinite(low + high)


# ── what a person decides otherwise ──────────────────────────────────────────────────────────────────────
def test_a_choice_changes_its_own_line_only() -> None:
    made = found([*many(10), *many(10, "tier_3")])
    changed = make_strategy(made, RULES, {"event_followup/tier_2": Choice(depth="deep", hook="general")})
    by_key = {line.key: line for line in changed.lines}
    assert by_key["event_followup/tier_2"].depth == "deep"
    assert [hook.context for hook in by_key["event_followup/tier_2"].hooks] == ["general"]
    before = {line.key: line for line in make_strategy(made, RULES).lines}
    assert by_key["event_followup/tier_3"] == before["event_followup/tier_3"]


def test_a_line_left_out_is_shown_and_counts_for_nothing() -> None:
    made = make_strategy(found(many(10)), RULES, {"event_followup/tier_2": Choice(leave_out=True)})
    assert made.lines[0].left_out
    assert (made.people, made.messages, made.expected) == (0, 0, ())


@pytest.mark.parametrize(
    ("choice", "field"),
    [
        (Choice(sequence="hourly"), "sequence"),
        (Choice(hook="nobody"), "hook"),
        (Choice(daily_limit=31), "daily_limit"),
        (Choice(start="06:00"), "start"),
        (Choice(end="22:00"), "end"),
        (Choice(start="12:00", end="11:00"), "start"),
    ],
)
def test_a_choice_that_is_not_configured_or_loosens_a_limit_is_refused(choice: Choice, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_choice(choice, RULES)
    assert refused.value.field == field
