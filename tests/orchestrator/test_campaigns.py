"""Types by source, groups by tier, variants by id, and what an approval binds to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from people import RULES, a_campaign, a_lead, messages_for

from orchestrator.campaigns import (
    VARIANTS,
    campaign_fingerprint,
    campaign_type,
    draft,
    enrollment,
    linkedin_tasks,
    plan_campaigns,
    review_due,
    sample_size,
    variants_for,
)
from shared.lead import Source


@pytest.mark.parametrize(
    ("sources", "kind"),
    [
        (("competitor_follower",), "competitor_displacement"),
        (("event_attendee",), "event_followup"),
        (("webinar_registrant",), "event_followup"),
        (("post_liker",), "thought_leadership"),
        (("group_member",), "community_outreach"),
        (("website_visitor",), "website_visitor"),
        (("post_liker", "competitor_follower"), "competitor_displacement"),
        (("unknown",), "community_outreach"),
        ((), "community_outreach"),
    ],
)
def test_the_type_follows_the_sources_in_configured_order(sources: tuple, kind: str) -> None:
    assert campaign_type(a_lead(sources=tuple(Source(name) for name in sources)), RULES) == kind


def test_leads_are_grouped_by_type_and_tier() -> None:
    event = (Source("event_attendee"),)
    people = [
        (a_lead(id="a"), "tier_1"),
        (a_lead(id="b"), "tier_1"),
        (a_lead(id="c"), "tier_2"),
        (a_lead(id="d", sources=event), "tier_1"),
        (a_lead(id="e"), "disqualified"),
    ]
    planned = plan_campaigns(people, RULES, run_id="r")
    assert [(one.type, one.tier, one.lead_ids) for one in planned] == [
        ("competitor_displacement", "tier_1", ("a", "b")),
        ("competitor_displacement", "tier_2", ("c",)),
        ("event_followup", "tier_1", ("d",)),
    ]


def test_the_same_leads_give_the_same_campaigns_in_any_order() -> None:
    people = [(a_lead(id=str(number)), "tier_3") for number in range(20)]
    assert plan_campaigns(people, RULES, run_id="r") == plan_campaigns(people[::-1], RULES, run_id="r")


def test_another_run_has_other_campaigns() -> None:
    people = [(a_lead(), "tier_3")]
    assert plan_campaigns(people, RULES, run_id="r")[0].id != plan_campaigns(people, RULES, run_id="s")[0].id


def test_a_campaign_is_no_larger_than_a_person_can_review() -> None:
    planned = plan_campaigns([(a_lead(id=f"{n:03}"), "tier_1") for n in range(60)], RULES, run_id="r")
    assert [len(one.lead_ids) for one in planned] == [25, 25, 10]


@pytest.mark.parametrize(
    ("tier", "days", "touches", "depth"),
    [
        ("tier_1", (0, 4, 7, 14), (1, 5, 10), "deep"),
        ("tier_2", (0, 3, 7, 14), (), "medium"),
        ("tier_3", (0, 3, 7, 14), (), "light"),
        ("tier_4", (0, 3, 7, 14), (), "minimal"),
    ],
)
def test_a_tier_has_its_rhythm_and_depth(tier: str, days: tuple, touches: tuple, depth: str) -> None:
    campaign = a_campaign(a_lead(), tier)
    assert (campaign.day_offsets, campaign.linkedin_touch_days, campaign.depth) == (days, touches, depth)


def test_linkedin_touches_are_tasks_per_lead_and_day() -> None:
    assert [(task.lead_id, task.day) for task in linkedin_tasks(a_campaign(a_lead()))] == [
        ("lead-1", 1),
        ("lead-1", 5),
        ("lead-1", 10),
    ]


@pytest.mark.parametrize(("tier", "hours"), [("tier_1", 4), ("tier_2", 24), ("tier_3", 48)])
def test_a_review_is_due_by_tier(tier: str, hours: int) -> None:
    now = datetime(2026, 1, 5, tzinfo=UTC)
    assert review_due(a_campaign(a_lead(), tier), now) - now == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("leads", "percent", "opened"), [(100, 10, 10), (1, 10, 1), (11, 10, 2), (0, 10, 0), (7, 100, 7)]
)
def test_a_sample_is_rounded_up(leads: int, percent: float, opened: int) -> None:
    assert sample_size(leads, percent) == opened


@pytest.mark.parametrize("people", [1, 2, 3, 10, 25, 200])
def test_each_variant_gets_half_of_a_campaign(people: int) -> None:
    for number in range(20):
        drawn = variants_for(f"campaign-{number}", [f"lead-{n}" for n in range(people)])
        counts = [list(drawn.values()).count(variant) for variant in VARIANTS]
        assert abs(counts[0] - counts[1]) <= 1
        assert people < 2 or min(counts) > 0


def test_the_lot_is_the_same_in_any_order_and_another_one_in_another_campaign() -> None:
    ids = [f"lead-{n}" for n in range(40)]
    assert variants_for("one", ids) == variants_for("one", ids[::-1])
    assert variants_for("one", ids) != variants_for("two", ids)


def test_the_odd_one_goes_to_either_variant_about_as_often() -> None:
    odd = [variants_for(f"campaign-{n}", ["lead"])["lead"] for n in range(400)]
    assert 150 < odd.count("A") < 250


def test_the_hypothesis_names_both_variants() -> None:
    assert "A opens with" in a_campaign(a_lead()).hypothesis
    assert "B opens with" in a_campaign(a_lead()).hypothesis


def test_a_draft_carries_no_words_and_no_people() -> None:
    made = draft(a_campaign(a_lead()), RULES)
    assert made.day_offsets == (0, 4, 7, 14)
    assert all(box.endswith("@sender.example") for box in made.mailboxes)


def test_the_fingerprint_holds_for_any_order_and_breaks_on_any_word() -> None:
    campaign = a_campaign(a_lead())
    people = [enrollment(campaign, a_lead(id=n), "A", messages_for(a_lead())) for n in ("a", "b")]
    whole = campaign_fingerprint(draft(campaign, RULES), people)
    assert campaign_fingerprint(draft(campaign, RULES), people[::-1]) == whole
    other = replace(
        people[0], messages=(replace(people[0].messages[0], subject="Another"), *people[0].messages[1:])
    )
    assert campaign_fingerprint(draft(campaign, RULES), [other, people[1]]) != whole
    assert campaign_fingerprint(draft(campaign, RULES), people[:1]) != whole
    assert campaign_fingerprint(replace(draft(campaign, RULES), mailboxes=("x@y.example",)), people) != whole
