"""Each rule has words that must fail and near-misses that must pass."""

from dataclasses import replace
from typing import Any

import pytest
from people import RULES, a_lead, messages_for

from orchestrator import compliance
from orchestrator.campaigns import VARIANTS
from orchestrator.compliance import Finding, check, verdict
from orchestrator.normalise import lead_id
from orchestrator.outreach_rules import Claim
from orchestrator.replies import classify, suppresses
from orchestrator.wording import tells_opt_out
from shared.lead import Lead
from shared.ports import Message

ADDRESS = RULES.outreach.sender.postal_address
OPT_OUT = RULES.outreach.compliance.opt_out


def a_message(sentence: str = "", subject: str = "A question about your pipeline") -> Message:
    """A message that is in order but for `sentence`."""
    return Message(
        subject,
        f"Hi Anna,\n\nWe look after sales records every day. {sentence}\n\nAlex\n\n{OPT_OUT}\n{ADDRESS}",
    )


def codes(message: Message, lead: Lead | None = None) -> set[str]:
    """Codes of what is wrong with one message for a lead in the United States."""
    return {finding.code for finding in check(lead or a_lead(), [message], RULES)}


def recipient_codes(**changes: Any) -> dict[str, str]:
    """Codes and severities of what is wrong with a person."""
    lead = a_lead(**changes)
    return {f.code: f.severity for f in check(lead, messages_for(lead), RULES) if f.place == "recipient"}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("country", ["US", "FR", "GB"])
def test_what_we_ship_is_clear(country: str, variant: Any) -> None:
    lead = a_lead(country=country)
    assert check(lead, messages_for(lead, "tier_1", variant), RULES) == ()


BODIES = [
    ("placeholder", "Does {{ lead.company }} grow?", "Does Acme grow?"),
    ("placeholder", "Does [Company] grow?", "Does Acme [the parent] grow?"),
    ("placeholder", "Hello {first} and all.", "Hello to all."),
    ("placeholder", "Dear *|FNAME|* there.", "A * marks it."),
    ("placeholder", "Say %FIRSTNAME% there.", "It is 5% of (Source: our survey, 2025)."),
    ("placeholder", "{Hi|Hello} all.", "Hi or hello."),
    ("placeholder", "Use ${name} here.", "It costs $5."),
    ("merge_failure", "It grows at , they say.", "It grows, they say."),
    ("merge_failure", "The value is undefined here.", "That is not defined here."),
    ("nothing_printed", "I saw that None grows.", "None of the tools does that."),
    ("nothing_printed", "I saw that null grows.", "I saw that Mr. Null grows."),
    ("mojibake", "That is a cafÃ© visit.", "That is a café visit."),
    ("mojibake", "Sales &amp; more.", "Sales & more."),
    ("invisible_text", "Free\u200btext here.", "Free text here."),
    ("html", "Look <b>here</b> now.", "a < b and c > d."),
    ("html", '<span style="display:none">x</span>', "I <3 this."),
    ("lorem_ipsum", "Lorem ipsum dolor.", "The forum is open."),
    ("guarantee", "We guarantee more meetings.", "We can't guarantee more meetings."),
    ("guarantee", "Guaranteed results.", "No guarantees from us."),
    ("superlative", "We are the best.", "Tuesday is the best day."),
    ("superlative", "A best-in-class platform.", "What works best for you?"),
    ("superlative", "Get our best platform.", "Best regards from Austin."),
    ("only_one", "The only platform that does this.", "It takes only ten minutes."),
    ("only_one", "Only we do this.", "I only ask once."),
    ("number_one", "We are #1 in sales.", "It is item #12 here."),
    ("number_one", "The number one tool.", "Is this your #1 question?"),
    ("hundred_percent", "It is 100% accurate.", "It runs for 100 people."),
    ("hundred_percent", "It is 100 percent free.", "It has 100 parts."),
    ("false_urgency", "Act now to join.", "We act on your word."),
    ("false_urgency", "The offer ends tonight.", "Your trial ends in June."),
    ("false_urgency", "Only 3 spots left.", "Only 3 people work on it."),
    ("false_urgency", "This is urgent.", "This is not urgent."),
    (
        "uncited_statistic",
        "Teams win 35% more deals.",
        "Teams win 35% more deals (Source: Example Survey, 2025).",
    ),
    ("uncited_statistic", "It is 3x faster.", "It has 3 steps."),
    ("uncited_statistic", "It works for 8 out of 10 teams.", "It works 24/7."),
    ("unfounded_contact", "As we discussed, here it is.", "We could discuss it."),
    ("unfounded_contact", "Our mutual friend says hello.", "Our friends at the office say hello."),
    ("unfounded_claim", "Congratulations on your funding.", "Congratulations on your fun day."),
    ("unfounded_claim", "I saw that you are hiring.", "I saw that you are busy."),
    ("banned_phrase", "It is risk free.", "It has a risk, freely told."),
    ("link_shortener", "See https://bit.ly/abc for it.", "See https://sender.example/abc for it."),
    ("link_shortener", "See bit.ly/abc for it.", "See orbit.ly.example/abc for it."),
    ("insecure_link", "See http://sender.example/a there.", "See https://sender.example/a there."),
    ("deceptive_link", "See https://10.0.0.1/a there.", "See https://sender.example/10.0 there."),
    ("deceptive_link", "See https://bank.example@evil.example/ there.", "Write to me@sender.example there."),
    (
        "many_links",
        "https://a.example https://b.example https://c.example",
        "https://a.example https://b.example",
    ),
    ("many_exclamations", "Great!!", "Great!"),
]


@pytest.mark.parametrize(("code", "wrong", "near_miss"), BODIES)
def test_a_wording_fails_and_its_near_miss_passes(code: str, wrong: str, near_miss: str) -> None:
    assert code in codes(a_message(wrong))
    assert code not in codes(a_message(near_miss))


@pytest.mark.parametrize(
    ("code", "wrong", "near_miss"),
    [
        ("fake_thread", "Re: our call", "Re-thinking your pipeline"),
        ("fake_thread", "RE[2]: pipeline", "Reps and their pipeline"),
        ("fake_thread", "Fwd: pipeline", "Forward planning"),
        ("fake_thread", "AW: Pipeline", "Award season"),
        ("all_caps", "READ THIS TODAY", "Your CRM and GTM"),
        ("all_caps", "URGENTLY", "CRM"),
        ("competitor_in_subject", "Better than Gong", "Better than gongs"),
        ("competitor_in_subject", "Leaving ZoomInfo?", "Leaving the zoom info page?"),
        ("header_injection", "Hello\r\nBcc: all@x.example", "Hello Bcc: all"),
        ("empty_subject", "", "Pipeline"),
        ("guarantee", "Guaranteed pipeline", "Pipeline"),
        ("placeholder", "{{ first_name }}, hello", "Anna, hello"),
        ("number_one", "The #1 tool", "Tool #12"),
    ],
)
def test_a_subject_fails_and_its_near_miss_passes(code: str, wrong: str, near_miss: str) -> None:
    assert code in codes(a_message(subject=wrong))
    assert code not in codes(a_message(subject=near_miss))


@pytest.mark.parametrize(
    "greeting", ["Hi ,", "Hi,", "Hi None,", "Dear null,", "Hello undefined,", "Hi anna@x.example,"]
)
def test_a_failed_greeting_blocks(greeting: str) -> None:
    message = a_message()
    assert codes(replace(message, body=message.body.replace("Hi Anna,", greeting))) & {
        "merge_failure",
        "nothing_printed",
    }


@pytest.mark.parametrize(
    "name", ["Ng", "O'Brien", "Jean-Luc", "李", "Dr. Müller", "JP", "Nonette", "Nullmeier", "O. Berg"]
)
def test_a_real_name_in_a_greeting_passes(name: str) -> None:
    message = a_message()
    assert codes(replace(message, body=message.body.replace("Hi Anna,", f"Hi {name},"))) == set()


@pytest.mark.parametrize("name", ["ANNABELLE", "J", "J.", "info", "Sales Team", "there"])
def test_an_odd_greeting_is_held(name: str) -> None:
    message = a_message()
    assert codes(replace(message, body=message.body.replace("Hi Anna,", f"Hi {name},"))) == {"odd_greeting"}


def test_a_statistic_may_stand_once_it_is_a_claim_we_can_prove() -> None:
    claim = Claim(text="35% more deals", source="own study")
    settings = RULES.outreach.compliance.model_copy(update={"claims": (claim,)})
    rules = replace(RULES, outreach=RULES.outreach.model_copy(update={"compliance": settings}))
    assert "uncited_statistic" not in {
        f.code for f in check(a_lead(), [a_message("Teams win 35% more deals.")], rules)
    }


def test_a_claim_about_the_company_stands_when_it_is_on_record() -> None:
    funded = a_lead(signals={"funded_recently": True})
    assert codes(a_message("Congratulations on your funding."), funded) == set()


@pytest.mark.parametrize(
    ("sentence", "tells"),
    [
        (OPT_OUT, True),
        ("To unsubscribe, click https://sender.example/u/1", True),
        ("Reply STOP and you won't hear from me.", True),
        ("Not for you? Tell me to stop.", True),
        ("People unsubscribe from bad newsletters.", False),
        ("unsubscribe", False),
        ("You cannot click here to unsubscribe.", False),
        ("Our opt-out rates are low.", False),
    ],
)
def test_only_a_sentence_that_tells_how_counts_as_opt_out(sentence: str, tells: bool) -> None:
    assert tells_opt_out(sentence) is tells


def test_an_opt_out_in_the_middle_of_a_long_text_is_not_enough() -> None:
    body = (
        f"Hi Anna,\n\n{OPT_OUT}\n"
        + "\n".join(f"A line of text, number {n}." for n in range(9))
        + f"\n{ADDRESS}"
    )
    assert "no_opt_out" in codes(Message("Pipeline", body))


# ── five faults of an earlier system, each of which let a message through ───────────────────────────────
@pytest.mark.requirement("C1")
def test_each_message_is_judged_alone_so_one_good_variant_covers_no_other() -> None:
    good, bare = (
        a_message(),
        Message("Pipeline", "Hi Anna,\n\nWe look after sales records every day.\n\nAlex"),
    )
    found = check(a_lead(), [good, bare], RULES)
    assert {(f.code, f.place) for f in found} == {
        ("no_opt_out", "message 2: body"),
        ("no_postal_address", "message 2: body"),
    }


@pytest.mark.requirement("C2")
def test_the_word_unsubscribe_or_an_unrendered_address_satisfies_nothing() -> None:
    body = "Hi Anna,\n\nPeople unsubscribe from bad mail, not from ours.\n\n{{ sender.physical_address }}"
    assert codes(Message("Pipeline", body)) >= {"no_opt_out", "no_postal_address", "placeholder"}


@pytest.mark.requirement("C3")
def test_an_asterisk_switches_no_rule_off() -> None:
    assert codes(a_message("*We guarantee it, act now, we are #1.*")) >= {
        "guarantee",
        "false_urgency",
        "number_one",
    }


@pytest.mark.requirement("C4")
def test_an_identity_is_the_same_in_every_process() -> None:
    assert lead_id("", "anna@acme.example") == "313645bb820e6d2924ad45286bb5767e"


@pytest.mark.parametrize("text", ["Remove me", "unsubscribe", "Stop emailing me"])
@pytest.mark.requirement("C5")
def test_an_opt_out_is_a_suppression_and_never_a_soft_goodbye(text: str) -> None:
    assert suppresses(classify("Re: x", text), RULES)


@pytest.mark.parametrize(
    ("text", "reply"),
    [("Not interested, yes really", "not_interested"), ("Please pass this along to Bob", "referral")],
)
@pytest.mark.requirement("C5")
def test_a_word_inside_its_opposite_counts_for_nothing(text: str, reply: str) -> None:
    found = classify("Re: x", text)
    assert found.reply == reply
    assert not {"positive_interest", "not_interested"} & set(found.also)


def test_a_message_of_nothing_but_its_footer_is_empty() -> None:
    assert "empty_body" in codes(Message("Pipeline", f"Hi Anna,\n\n{OPT_OUT}\n{ADDRESS}"))
    assert "no_messages" in {f.code for f in check(a_lead(), [], RULES)}


# ── who and where ───────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("country", ["DE", "AT", "NL", "RO", "HR", "CA", "AU", "IT", "DK", "BE"])
def test_these_countries_are_blocked_without_consent(country: str) -> None:
    assert recipient_codes(country=country) == {"country_needs_consent": "block"}


@pytest.mark.parametrize("country", ["ES", "PL", "SE", "CH", "NO", "JP", "BR", "ZZ", ""])
def test_these_countries_are_held(country: str) -> None:
    assert recipient_codes(country=country, phone="") == {"country_unsettled": "hold"}


@pytest.mark.parametrize("country", ["US", "GB", "FR", "IE", "FI"])
def test_these_countries_are_allowed(country: str) -> None:
    assert recipient_codes(country=country) == {}


def test_conflicting_signs_of_a_country_count_as_the_strictest() -> None:
    assert recipient_codes(country="US", email="anna@firma.de", company_domain="firma.de") == {
        "country_needs_consent": "block"
    }
    assert "country_needs_consent" in recipient_codes(country="", phone="+4930123456")


def test_recorded_consent_turns_a_block_into_a_persons_decision() -> None:
    assert recipient_codes(country="DE", legal_basis="consent") == {"consent_to_prove": "hold"}


@pytest.mark.parametrize(
    ("country", "severity"), [("FR", "block"), ("GB", "block"), ("CA", "block"), ("US", "hold"), ("", "hold")]
)
def test_a_free_mail_address_counts_as_a_consumers(country: str, severity: str) -> None:
    assert recipient_codes(country=country, email="anna@gmail.com", phone="")["free_mail"] == severity


def test_a_sole_trader_in_britain_is_held() -> None:
    assert recipient_codes(country="GB", company="")["individual_subscriber"] == "hold"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("postmaster@acme.example", "technical_address"),
        ("no-reply@acme.example", "technical_address"),
        ("info@acme.example", "role_address"),
        ("sales+eu@acme.example", "role_address"),
        ("", "no_address"),
        ("anna@acme.example\nbcc: x@y.example", "no_address"),
        ("anna.info@acme.example", ""),
    ],
)
def test_an_address_nobody_reads_alone_is_caught(address: str, code: str) -> None:
    found = set(recipient_codes(email=address)) - {"company_mismatch"}
    assert found == ({code} if code else set())


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        ("deliverable", ""),
        ("accept_all", "warn"),
        ("unknown", "hold"),
        ("", "hold"),
        ("undeliverable", "block"),
        ("never_send", "block"),
        ("brand new", "hold"),
    ],
)
def test_what_a_verifier_said_decides(state: str, severity: str) -> None:
    assert recipient_codes(email_verdict=state).get("address_unverified", "") == severity


def test_a_competitors_employee_is_blocked() -> None:
    assert recipient_codes(email="a@gong.io", company_domain="gong.io")["competitor_employee"] == "block"


@pytest.mark.parametrize(
    ("company_domain", "held"),
    [("acme.example", False), ("mail.acme.example", False), ("", False), ("other.example", True)],
)
def test_an_address_of_another_company_is_held(company_domain: str, held: bool) -> None:
    assert ("company_mismatch" in recipient_codes(company_domain=company_domain)) is held


@pytest.mark.parametrize("country", ["FR", "GB", ""])
def test_without_its_source_notice_the_first_message_is_blocked(country: str) -> None:
    assert "no_source_notice" in codes(a_message(), a_lead(country=country, phone=""))


@pytest.mark.parametrize(("country", "severity"), [("FR", "block"), ("US", "hold")])
def test_missing_provenance_stops(country: str, severity: str) -> None:
    assert recipient_codes(country=country, data_collected_at="")["no_provenance"] == severity


@pytest.mark.parametrize(
    ("title", "result"), [("CEO", "person"), ("CRO", "person"), ("", "person"), ("VP Sales", "clear")]
)
def test_the_top_level_always_needs_a_persons_own_yes(title: str, result: str) -> None:
    lead = a_lead(title=title)
    assert verdict(check(lead, messages_for(lead), RULES)) == result


def test_a_rule_that_breaks_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> list[Finding]:
        raise ZeroDivisionError

    monkeypatch.setattr(compliance, "RULES", (broken,))
    assert [(f.code, f.severity) for f in check(a_lead(), [a_message()], RULES)] == [("rule_failed", "block")]


def test_findings_come_worst_first_and_say_how_to_fix() -> None:
    found = check(
        a_lead(country="DE", title="CEO", email_verdict="accept_all"), [a_message("Act now!!")], RULES
    )
    order = [f.severity for f in found]
    assert order == sorted(order, key=["block", "hold", "warn"].index)
    assert all(f.why and f.fix and f.place for f in found)


def test_no_finding_repeats_what_somebody_wrote() -> None:
    secret = "Zaphod-7731"
    lead = a_lead(company=secret, email=f"{secret}@gmail.com", title="CEO", country="DE")
    found = check(lead, [a_message(f"Guaranteed for {secret}, 35% more.")], RULES)
    assert secret not in repr(found)
