"""Points, tiers, disqualifiers, intent and completeness, as configured."""

import pytest
from people import RULES, a_lead

from orchestrator.scoring import Score, Standing, completeness, intent_score, score, tier_of
from shared.lead import Source


def test_the_breakdown_adds_up_and_says_why() -> None:
    result = score(a_lead(), RULES)
    assert result.breakdown == {"employees": 20, "industry": 20, "title": 25, "revenue": 15, "source": 10}
    assert result.icp == 90
    assert result.tier == "tier_1"
    assert len(result.reasons) == 5


@pytest.mark.parametrize(
    ("employees", "points"),
    [
        (0, 0),
        (19, 0),
        (20, 10),
        (50, 10),
        (51, 20),
        (200, 20),
        (201, 15),
        (500, 15),
        (501, 10),
        (1000, 10),
        (1001, 0),
    ],
)
def test_employees_score_by_band(employees: int, points: int) -> None:
    assert score(a_lead(company_size=employees), RULES).breakdown.get("employees", 0) == points


@pytest.mark.parametrize(
    ("revenue", "points"),
    [
        (0, 0),
        (4_999_999, 0),
        (5_000_000, 12),
        (9_999_999, 12),
        (10_000_000, 15),
        (50_000_000, 15),
        (50_000_001, 10),
        (100_000_000, 10),
        (100_000_001, 0),
    ],
)
def test_revenue_scores_by_band(revenue: int, points: int) -> None:
    assert score(a_lead(revenue_usd=revenue), RULES).breakdown.get("revenue", 0) == points


@pytest.mark.parametrize(
    ("title", "points"),
    [
        ("CRO", 25),
        ("Chief Revenue Officer", 25),
        ("VP Revenue", 25),
        ("VP of Sales", 25),
        ("Vice President, Sales", 25),
        ("SVP Revenue Operations", 25),
        ("Director of RevOps", 25),
        ("VP Sales | ex-Google", 25),
        ("Director, Sales Operations", 15),
        ("Head of SDR", 15),
        ("Director of Enablement", 15),
        ("Sales Ops Manager", 15),
        ("RevOps Analyst", 5),
        ("Sales Operations Analyst", 5),
        ("GTM Operations", 5),
        ("Across Recall Lead", 0),
        ("Assistant to the VP Sales", 0),
        ("VP Sales Engineering", 0),
        ("Microbiologist", 0),
        ("Account Executive at CRO Labs", 0),
        ("", 0),
    ],
)
def test_titles_score_on_whole_words(title: str, points: int) -> None:
    assert score(a_lead(title=title), RULES).breakdown.get("title", 0) == points


@pytest.mark.parametrize(
    ("source", "points"),
    [
        (Source("post_commenter"), 20),
        (Source("event_attendee"), 18),
        (Source("group_member", activity="active"), 14),
        (Source("group_member", activity="passive"), 10),
        (Source("group_member", activity="lurks"), 12),
        (Source("competitor_follower"), 10),
        (Source("post_liker"), 8),
        (Source("unknown"), 0),
    ],
)
def test_the_source_scores(source: Source, points: int) -> None:
    assert score(a_lead(sources=(source,)), RULES).breakdown.get("source", 0) == points


def test_boosters_and_touches_add_and_the_whole_is_capped() -> None:
    lead = a_lead(
        signals={"hiring_revops": True, "funded_recently": True, "new_vp_sales": False},
        sources=(Source("post_commenter"), Source("event_attendee"), Source("post_liker")),
    )
    result = score(lead, RULES)
    assert result.breakdown["signal:hiring_revops"] == 10
    assert "signal:new_vp_sales" not in result.breakdown
    assert result.breakdown["further_touches"] == 6
    assert result.icp == 100


@pytest.mark.parametrize(
    ("points", "tier"),
    [
        (100, "tier_1"),
        (85, "tier_1"),
        (84, "tier_2"),
        (70, "tier_2"),
        (69, "tier_3"),
        (50, "tier_3"),
        (49, "tier_4"),
        (30, "tier_4"),
        (29, "disqualified"),
        (0, "disqualified"),
    ],
)
def test_tiers_begin_where_configured(points: int, tier: str) -> None:
    assert tier_of(points, RULES.scoring) == tier


def hard(result: Score) -> tuple[str, ...]:
    """Codes of what rules a lead out."""
    return result.disqualifiers


@pytest.mark.parametrize(
    ("code", "changes", "near_miss"),
    [
        ("too_small", {"company_size": 19}, {"company_size": 20}),
        ("too_small", {"company_size": 1}, {"company_size": 0}),
        ("staffing", {"industry": "Staffing and Recruiting"}, {"industry": "Understaffing Analytics"}),
        (
            "small_marketing_agency",
            {"industry": "Marketing Services", "company_size": 99},
            {"industry": "Marketing Services", "company_size": 100},
        ),
        ("non_profit", {"industry": "Non-profit Organizations"}, {"industry": "Profit Analytics"}),
        ("government", {"industry": "Government Administration"}, {"industry": "Governance Software"}),
        ("competitor_employee", {"company": "Gong"}, {"company": "Gongs and Bells"}),
        ("competitor_employee", {"email": "a@eu.gong.io"}, {"email": "a@notgong.io"}),
        ("no_work_email", {"email": ""}, {"email": "anna@acme.example"}),
        ("no_work_email", {"email": "anna@gmail.com"}, {"email": "anna@gmail.company.example"}),
        ("no_work_email", {"email_verdict": "undeliverable"}, {"email_verdict": "accept_all"}),
    ],
)
def test_a_hard_disqualifier_rules_out_and_its_near_miss_does_not(
    code: str, changes: dict, near_miss: dict
) -> None:
    assert code in hard(score(a_lead(**changes), RULES))
    assert score(a_lead(**changes), RULES).tier == "disqualified"
    assert code not in hard(score(a_lead(**near_miss), RULES))


@pytest.mark.parametrize(
    ("code", "standing"), [("customer", Standing(customer=True)), ("suppressed", Standing(suppressed=True))]
)
def test_customers_and_suppressed_people_are_ruled_out(code: str, standing: Standing) -> None:
    assert hard(score(a_lead(), RULES, standing)) == (code,)


@pytest.mark.parametrize(
    ("code", "title", "standing"),
    [
        ("freelancer", "Freelance Consultant", Standing()),
        ("student", "Sales Intern", Standing()),
        ("contacted_recently", "VP Sales", Standing(contacted_days_ago=89)),
        ("bounced_before", "VP Sales", Standing(bounced=True)),
    ],
)
def test_a_soft_disqualifier_asks_for_a_look(code: str, title: str, standing: Standing) -> None:
    result = score(a_lead(title=title), RULES, standing)
    assert code in result.review
    assert not result.disqualifiers


def test_a_contact_ninety_days_ago_is_long_enough_ago() -> None:
    assert score(a_lead(), RULES, Standing(contacted_days_ago=90)).review == ()


@pytest.mark.parametrize(
    ("signals", "points", "level"),
    [
        ({}, 0, "nurture"),
        ({"hiring_revops": True, "hiring_sales": True}, 30, "nurture"),
        ({"hiring_revops": True, "uses_competitor": True}, 45, "cool"),
        ({"hiring_revops": True, "funded_recently": True, "website_visitor": True}, 65, "warm"),
        (
            {"hiring_revops": True, "funded_recently": True, "new_cro": True, "uses_competitor": True},
            90,
            "hot",
        ),
        ({"never_heard_of": True}, 0, "nurture"),
    ],
)
def test_intent_adds_signals_once_each(signals: dict[str, bool], points: int, level: str) -> None:
    result = score(a_lead(signals=signals), RULES)
    assert (result.intent, result.intent_level) == (points, level)


def test_each_engagement_counts_towards_intent() -> None:
    lead = a_lead(
        sources=(Source("post_commenter", url="a"), Source("post_liker", url="b"), Source("event_attendee"))
    )
    assert intent_score(lead, RULES) == 5 + 5 + 8


def test_a_competitors_tool_in_use_is_a_signal() -> None:
    assert intent_score(a_lead(technologies=("Gong",)), RULES) == 15


@pytest.mark.parametrize(
    ("changes", "points", "readiness"),
    [
        ({}, 100, "ready"),
        ({"phone": ""}, 90, "ready"),
        ({"phone": "", "technologies": ()}, 80, "partial"),
        ({"phone": "", "technologies": (), "title": "", "signals": {}}, 55, "nurture"),
        ({"email": "", "phone": "", "technologies": ()}, 50, "nurture"),
        ({"email": "", "phone": "", "technologies": (), "signals": {}}, 40, "skip"),
    ],
)
def test_completeness_counts_what_is_known(changes: dict, points: int, readiness: str) -> None:
    lead = a_lead(**changes)
    assert completeness(lead, RULES)[0] == points
    assert score(lead, RULES).readiness == readiness


def test_gaps_name_what_is_missing() -> None:
    assert completeness(a_lead(phone="", title=""), RULES)[1] == ("title", "phone")
