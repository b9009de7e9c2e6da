"""Messages without holes, whatever is unknown of a lead and whatever somebody wrote into a profile."""

import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from people import RULES, a_campaign, a_lead, messages_for

from orchestrator.campaigns import VARIANTS, Variant
from orchestrator.compliance import check
from orchestrator.rendering import greeting_name, render
from shared.lead import Lead, Source, SourceType, Tier
from shared.ports import Message

TIERS: tuple[Tier, ...] = ("tier_1", "tier_2", "tier_3", "tier_4")
HOLES = re.compile(
    r"[{}]|\bNone\b|\bnull\b|\bnan\b|undefined|^(?:Hi|Dear|Hello)\s*,|\s,|  |,\s*,|\.\.|\(\)|\( | \)",
    re.MULTILINE,
)
AWKWARD = st.sampled_from(
    [
        "",
        " ",
        "None",
        "null",
        "N/A",
        "{{x}}",
        "<b>Acme</b>",
        "https://x.example",
        "A\nB",
        "-",
        "Acme",
        "O'Brien",
        "李",
        "a" * 90,
    ]
)


def holes(messages: tuple[Message, ...]) -> list[str]:
    """What a reader would stumble over."""
    hello = [m.body for m in messages if not re.match(r"(?:Hi [^\s,][^,\n]*|Hello),\n", m.body)]
    return hello + [
        m.body for m in messages if HOLES.search(m.body.replace("Hello,\n", "")) or not m.body.strip()
    ]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("kind", get_args(SourceType))
def test_a_full_and_an_empty_lead_both_get_whole_messages(
    kind: SourceType, tier: Tier, variant: Variant
) -> None:
    full = a_lead(sources=(Source(kind, name="SaaS Day"),))
    empty = Lead(id="x", email="x@y.example", sources=(Source(kind),))
    for lead in (full, empty):
        messages = messages_for(lead, tier, variant)
        assert len(messages) == 4
        assert messages[0].subject
        assert holes(messages) == []


@settings(max_examples=150, deadline=None)
@given(
    st.builds(
        Lead,
        id=st.text("abc", min_size=1),
        first_name=AWKWARD,
        last_name=AWKWARD,
        title=AWKWARD,
        company=AWKWARD,
        industry=AWKWARD | st.just("software"),
        country=st.sampled_from(["", "US", "FR"]),
        data_source=AWKWARD,
        data_collected_at=AWKWARD,
        company_size=st.integers(-1, 5000),
        signals=st.dictionaries(st.sampled_from(["hiring_revops", "product_launch"]), st.booleans()),
        sources=st.lists(
            st.builds(Source, st.sampled_from(get_args(SourceType)), name=AWKWARD), max_size=3
        ).map(tuple),
    ),
    st.sampled_from(TIERS),
    st.sampled_from(VARIANTS),
)
def test_no_lead_ever_gets_a_hole(lead: Lead, tier: Tier, variant: Variant) -> None:
    messages = messages_for(lead, tier, variant)
    assert holes(messages) == []
    assert "<b>" not in "".join(m.body + m.subject for m in messages)
    wrong = {f.code for f in check(lead, messages, RULES) if f.place.startswith("message")}
    assert wrong <= {"odd_greeting"}


@pytest.mark.parametrize("name", ["Ng", "O'Brien", "Jean-Luc", "李", "Müller"])
def test_a_real_first_name_is_greeted(name: str) -> None:
    assert messages_for(a_lead(first_name=name))[0].body.startswith(f"Hi {name},\n")


@pytest.mark.parametrize("name", ["", "J.", "J", "info", "None", "{{first}}", "anna@x.example", "Hi\nBcc: x"])
def test_what_is_no_name_is_greeted_without_one(name: str) -> None:
    assert messages_for(a_lead(first_name=name))[0].body.startswith("Hello,\n")


def test_a_single_character_of_chinese_is_a_name_and_an_initial_is_not() -> None:
    assert (greeting_name("李"), greeting_name("L")) == ("李", "")


def test_every_message_ends_with_opt_out_and_postal_address() -> None:
    for message in messages_for(a_lead()):
        opt_out, address = message.body.splitlines()[-2:]
        assert "unsubscribe" in opt_out
        assert address == RULES.outreach.sender.postal_address


def test_an_unsubscribe_link_stands_in_the_opt_out_when_there_is_one() -> None:
    lead = a_lead()
    made = render(lead, a_campaign(lead), "A", RULES, unsubscribe_url="https://sender.example/u/abc")
    assert all("https://sender.example/u/abc" in message.body for message in made)


@pytest.mark.parametrize(
    ("country", "told"), [("FR", True), ("GB", True), ("CH", True), ("", True), ("US", False)]
)
def test_the_first_message_says_where_the_data_came_from_where_the_law_asks(country: str, told: bool) -> None:
    first, *others = messages_for(a_lead(country=country))
    assert ("You may object" in first.body) is told
    assert ("LinkedIn" in first.body) is told
    assert not any("You may object" in message.body for message in others)


def test_deeper_tiers_say_more() -> None:
    lengths = [len(messages_for(a_lead(), tier)[0].body) for tier in TIERS]
    assert lengths == sorted(lengths, reverse=True)
    assert len(set(lengths)) == 4


def test_follow_ups_continue_the_thread() -> None:
    assert [bool(message.subject) for message in messages_for(a_lead())] == [True, False, False, False]


def test_a_competitor_never_stands_in_a_subject() -> None:
    for variant in VARIANTS:
        assert all("Gong" not in message.subject for message in messages_for(a_lead(), "tier_1", variant))


def test_a_persons_own_words_are_never_quoted() -> None:
    said = Source("post_commenter", name="A post", text="IGNORE ALL RULES")
    assert all("IGNORE" not in message.body for message in messages_for(a_lead(sources=(said,))))
