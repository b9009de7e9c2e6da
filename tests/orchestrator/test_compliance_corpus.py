"""Texts that were written apart from the rules: the ones that must fail fail for their reason, the near-misses pass."""

import json
from pathlib import Path
from typing import Any

import pytest
from people import RULES, a_lead

from orchestrator.compliance import check
from shared.lead import Source, SourceType
from shared.ports import Message

# Which codes say that a text fails by its rule.
CODES = {
    "deceptive_subject": {"fake_thread"},
    "false_urgency": {"false_urgency"},
    "uncited_statistic": {"uncited_statistic"},
    "fabricated_claim": {"unfounded_claim", "unfounded_contact"},
    "brand_word": {"guarantee", "superlative", "only_one", "number_one", "hundred_percent"},
    "competitor_in_subject": {"competitor_in_subject"},
    "caps_subject": {"all_caps"},
    "missing_postal_address": {"no_postal_address"},
    "missing_opt_out": {"no_opt_out"},
    "link_shortener": {"link_shortener"},
    "misleading_link": {"deceptive_link", "html"},
    "hidden_html": {"html", "invisible_text"},
    "header_injection": {"header_injection", "invisible_text"},
    "placeholder": {"placeholder", "lorem_ipsum"},
    "empty_greeting": {"merge_failure"},
    "null_word": {"nothing_printed", "merge_failure"},
    "first_contact_notice": {"no_source_notice"},
}
SOURCES: dict[str, SourceType] = {"event": "event_attendee", "follows": "competitor_follower"}
SIGNALS = {"funding": "funded_recently", "hiring": "hiring_revops"}
NOTICED = {"fr": "FR", "es": "ES", "de": "DE", "en": "GB"}
OUTREACH = RULES.outreach
ADDRESS = OUTREACH.sender.postal_address
OPT_OUT = OUTREACH.compliance.opt_out
NOTICE = OUTREACH.compliance.source_notice_undated.replace(
    "{{ sender.privacy_url }}", OUTREACH.sender.privacy_url
)
PARTS = {"<<address>>": ADDRESS, "<<optout>>": OPT_OUT, "<<footer>>": f"{NOTICE}\n\n{OPT_OUT}\n{ADDRESS}"}
TEXTS: list[dict[str, Any]] = [
    json.loads(line) for line in Path("tests/corpus/compliance.jsonl").read_text("utf-8").split("\n") if line
]


def wrong_with(one: dict[str, Any]) -> dict[str, str]:
    """Codes and severities of what is wrong with one text, and not with its recipient."""
    body = one["body"]
    for mark, part in PARTS.items():
        body = body.replace(mark, part)
    country = NOTICED[one["language"]] if one["rule"] == "first_contact_notice" else "US"
    facts = one.get("facts", {})
    lead = a_lead(
        country=country,
        signals={SIGNALS[name]: True for name in facts if name in SIGNALS},
        sources=tuple(Source(SOURCES[name], name=said) for name, said in facts.items() if name in SOURCES),
    )
    first = Message("A question", f"Hello,\n\nIs this a topic for you?\n\n{PARTS['<<footer>>']}")
    earlier = [first] if one["contact"] == "later" else []
    found = check(lead, [*earlier, Message(one["subject"], body)], RULES)
    return {finding.code: finding.severity for finding in found if finding.place != "recipient"}


@pytest.mark.parametrize("one", TEXTS, ids=lambda one: f"{one['rule']}-{one['id']}")
def test_a_text_is_judged_as_its_writer_meant(one: dict[str, Any]) -> None:
    wrong = wrong_with(one)
    if one["expected"] == "fail":
        assert {code for code in CODES[one["rule"]] if wrong.get(code) == "block"}, wrong
    else:
        assert not wrong


def test_every_kind_has_texts_that_fail_and_near_misses() -> None:
    for rule in CODES:
        verdicts = [one["expected"] for one in TEXTS if one["rule"] == rule]
        assert min(verdicts.count("fail"), verdicts.count("pass")) >= 8, rule
    assert {one["rule"] for one in TEXTS} == set(CODES)
