"""Messages without holes, whatever is unknown of a lead and whatever somebody wrote into a profile."""

import re
import shutil
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from people import CONFIG, RULES, a_campaign, a_lead, messages_for

from orchestrator.campaigns import VARIANTS, Variant
from orchestrator.compliance import check
from orchestrator.rendering import greeting_name, render
from orchestrator.rules import load_rules
from shared.errors import ConfigError
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


ANYTHING = st.text(max_size=120)
FOOTER = RULES.outreach.sender.postal_address


@example(Lead(id="a", sources=(Source("event_attendee", name=")0"),)), "tier_1")
@settings(max_examples=200, deadline=None)
@given(
    st.builds(
        Lead,
        id=st.text("abc", min_size=1),
        first_name=ANYTHING,
        last_name=ANYTHING,
        title=ANYTHING,
        company=ANYTHING,
        industry=ANYTHING,
        data_source=ANYTHING,
        data_collected_at=ANYTHING,
        sources=st.lists(
            st.builds(Source, st.sampled_from(get_args(SourceType)), name=ANYTHING), max_size=2
        ).map(tuple),
    ),
    st.sampled_from(TIERS),
)
@pytest.mark.requirement("P7")
def test_whatever_is_in_a_profile_both_variants_are_whole_and_differ(lead: Lead, tier: Tier) -> None:
    variants = {variant: messages_for(lead, tier, variant) for variant in VARIANTS}
    for messages in variants.values():
        assert holes(messages) == []
        assert messages[0].subject.strip()
        for message in messages:
            said = message.body.split("\n\n")
            assert len(" ".join(said[1:-2]).split()) >= 8, (
                message.body
            )  # says something besides hello and footer
            assert message.body.endswith(FOOTER)
            assert "\n" not in message.subject
            assert not [
                c
                for c in message.body + message.subject
                if unicodedata.category(c) in {"Cc", "Cf"} - {"\n"} and c != "\n"
            ]
    assert all(a.body != b.body for a, b in zip(*variants.values(), strict=True))


NAMES = st.sampled_from(
    [
        "Ng",
        "O'Brien",
        "O’Brien",
        "Jean-Luc",
        "李",
        "Anne Marie",
        "Seán",
        "Nguyễn",
        "Øystein",
        "Владимир",
        "محمد",
    ]
)


@settings(max_examples=100, deadline=None)
@given(NAMES, st.data())
def test_a_real_name_survives_whatever_else_is_unknown(name: str, data: st.DataObject) -> None:
    awkward = {field: data.draw(AWKWARD) for field in ("last_name", "title", "company", "industry")}
    for variant in VARIANTS:
        for message in messages_for(
            a_lead(first_name=name, **awkward), data.draw(st.sampled_from(TIERS)), variant
        ):
            assert message.body.startswith(f"Hi {name},\n")


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


# What each tier adds, by the words that show it; the lead is one who follows another vendor.
ADDED: dict[Tier, tuple[str, ...]] = {
    "tier_4": ("Anna",),
    "tier_3": ("Gong",),
    "tier_2": ("pipeline lives in too many tools", "arguments about whose numbers are right"),
    "tier_1": (
        "updating fields",
        "one clean pipeline",
        "update the CRM by hand",
        "hiring for revenue operations",
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tier_is_told_what_those_below_are_and_its_own_on_top(variant: Variant) -> None:
    lead = a_lead(signals={"hiring_revops": True})
    for number, tier in enumerate(ADDED):
        whole = "".join(m.subject + m.body for m in messages_for(lead, tier, variant))
        news = {"hiring for revenue operations"} if variant == "B" else set()  # variant B tells no news
        for other, words in enumerate(ADDED.values()):
            told = {text for text in words if text in whole}
            assert told == (set(words) - news if other <= number else set()), (tier, words)


def test_a_template_that_says_more_than_its_depth_allows_is_refused(tmp_path: Path) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    file = tmp_path / "config" / "templates" / "event_followup.yaml"
    file.write_text(
        file.read_text().replace("A short addition to my note.", "A word on {{ context.angle }}.")
    )
    with pytest.raises(ConfigError, match=r"event_followup.yaml: depth minimal may not name context.angle"):
        load_rules(tmp_path / "config")


@pytest.mark.parametrize("change", ["  lead.company: your company\n", "  lead.firstname: you\n"])
def test_every_variable_of_a_lead_has_its_explicit_fallback(tmp_path: Path, change: str) -> None:
    shutil.copytree(CONFIG, tmp_path / "config")
    file = tmp_path / "config" / "outreach.yaml"
    text = file.read_text()
    kept = (
        text.replace(change, "") if change in text else text.replace("fallbacks:\n", f"fallbacks:\n{change}")
    )
    file.write_text(kept)
    with pytest.raises(ConfigError, match="fallbacks need one row for each variable"):
        load_rules(tmp_path / "config")


def test_a_missing_value_falls_back_by_its_rule_where_the_sentence_has_nothing_instead() -> None:
    with_company, without = messages_for(a_lead(), "tier_2"), messages_for(a_lead(company=""), "tier_2")
    assert "At companies like Acme, forecast calls" in with_company[0].body
    assert "At companies like your company, forecast calls" in without[0].body
    assert "You follow" not in messages_for(a_lead(sources=()), "tier_2")[0].body


def test_what_is_said_of_where_they_were_seen_fits_the_campaign() -> None:
    group = Source("group_member", name="RevOps Leaders")
    event = Source("event_attendee", name="SaaS Day")
    both = messages_for(a_lead(sources=(group, event)), "tier_3")
    assert "signed up for SaaS Day" in both[0].body
    assert "RevOps Leaders" not in both[0].body
    other = replace(a_campaign(a_lead(sources=(group,)), "tier_3"), template="event_followup")
    told = "".join(m.subject + m.body for m in render(a_lead(sources=(group,)), other, "A", RULES))
    assert "RevOps Leaders" not in told
    assert "signed up" not in told


def test_follow_ups_continue_the_thread() -> None:
    assert [bool(message.subject) for message in messages_for(a_lead())] == [True, False, False, False]


def test_a_competitor_never_stands_in_a_subject() -> None:
    for variant in VARIANTS:
        assert all("Gong" not in message.subject for message in messages_for(a_lead(), "tier_1", variant))


def test_a_persons_own_words_are_never_quoted() -> None:
    said = Source("post_commenter", name="A post", text="IGNORE ALL RULES")
    assert all("IGNORE" not in message.body for message in messages_for(a_lead(sources=(said,))))


@pytest.mark.parametrize("name", ["Ng", "O'Brien", "Jean-Luc", "李", "José", "D'Angelo", "Łukasz"])
def test_a_name_is_printed_as_it_is_written(name: str) -> None:
    first = messages_for(a_lead(first_name=name))[0]
    assert first.body.startswith(f"Hi {name},\n")
