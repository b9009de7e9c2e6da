"""A provider's words become ours, by tables."""

import pytest

from servers.enricher.fields import enrichment, number_of, verdict
from shared.ports import Enrichment

WHEN = "2026-11-01T00:00:00+00:00"


def read(**result: object) -> Enrichment:
    return enrichment("lead-1", result, WHEN, 1)


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("valid", "deliverable"),
        ("OK", "deliverable"),
        ("DELIVERABLE", "deliverable"),
        ("catch-all", "accept_all"),
        ("accept_all", "accept_all"),
        ("HIGH_PROBABILITY", "accept_all"),
        ("Invalid Domain", "undeliverable"),
        ("do_not_mail", "never_send"),
        ("spamtrap", "never_send"),
        ("disposable", "never_send"),
        ("webmail", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
        ("something new", "unknown"),
    ],
)
def test_every_verifiers_verdict_is_said_in_our_words(word: str | None, ours: str) -> None:
    assert verdict(word) == ours


def test_fields_are_found_however_the_routine_names_them() -> None:
    found = read(
        **{"Work Email": "a@b.example", "email_status": "ok", "CompanyName": "B", "Employees": "51-200"}
    )
    assert (found.status, found.email, found.email_verdict) == ("found", "a@b.example", "deliverable")
    assert (found.company_name, found.company_size, found.credits) == ("B", 125, 1)
    assert (found.provider, found.collected_at) == ("clay", WHEN)


def test_a_private_address_is_never_taken_over() -> None:
    assert read(**{"Personal Email": "a@home.example", "personal_emails": ["b@home.example"]}).email == ""


def test_a_cell_that_is_an_object_counts_by_its_value() -> None:
    assert read(**{"Work Email": {"value": "a@b.example", "status": "success"}}).email == "a@b.example"


def test_nobody_found_costs_nothing_and_says_so() -> None:
    found = read(**{"Work Email": None, "Email Status": "valid", "Company Name": ""})
    assert (found.status, found.credits, found.email_verdict) == ("not_found", 0, "unknown")


def test_signals_are_those_the_scoring_knows() -> None:
    found = read(
        **{"Hiring RevOps": True, "funded_recently": "yes", "new_vp_sales": False, "loves_dogs": True}
    )
    assert found.signals == {"hiring_revops": True, "funded_recently": True, "new_vp_sales": False}


def test_technologies_come_as_a_list_or_with_commas() -> None:
    assert read(Technologies=["HubSpot", "", None, "Gong"]).technologies == ("HubSpot", "Gong")
    assert read(tech_stack="HubSpot, Gong").technologies == ("HubSpot", "Gong")


def test_text_from_outside_is_cut_to_what_a_field_may_hold() -> None:
    assert len(read(**{"Company Name": "x" * 10_000}).company_name) == 500


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (120, 120),
        (12.7, 12),
        (-3, 0),
        (True, 0),
        ("1,200", 1200),
        ("51-200 employees", 125),
        ("$12.5M", 12_500_000),
        ("$10M - $50M", 30_000_000),
        ("1.200", 1200),
        ("200 members", 200),
        ("unknown", 0),
        (None, 0),
        ({"a": 1}, 0),
    ],
)
def test_numbers_are_read_as_providers_write_them(value: object, number: int) -> None:
    assert number_of(value) == number
