"""Profile URLs, names, companies and domains made comparable, and sightings merged."""

import pytest
from people import a_lead

from orchestrator import normalise
from orchestrator.countries import candidates, country_code, country_of_domain, country_of_location
from orchestrator.titles import department, seniority
from shared.lead import Source
from shared.ports import SourcedLead


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("https://de.linkedin.com/in/Anna-Berg/?trk=x", "https://www.linkedin.com/in/anna-berg"),
        ("linkedin.com/in/anna-berg/en", "https://www.linkedin.com/in/anna-berg"),
        ("HTTP://WWW.LINKEDIN.COM/in/anna-berg#top", "https://www.linkedin.com/in/anna-berg"),
        ("https://www.linkedin.com/in/ACoAABcDeF_x", "https://www.linkedin.com/in/ACoAABcDeF_x"),
        ("https://www.linkedin.com/in/J%C3%BCrgen", "https://www.linkedin.com/in/j%C3%BCrgen"),
        ("https://www.linkedin.com/in/jürgen", "https://www.linkedin.com/in/j%C3%BCrgen"),
        (
            "https://www.linkedin.com/sales/lead/ACwAAAxY,NAME_SEARCH,a1",
            "https://www.linkedin.com/sales/lead/ACwAAAxY",
        ),
        ("http://evil-linkedin.com/in/anna", ""),
        ("https://linkedin.com.evil.example/in/anna", ""),
        ("https://www.linkedin.com/company/acme", ""),
        ("https://[broken", ""),
        ("", ""),
    ],
)
def test_a_profile_has_one_address(written: str, same: str) -> None:
    assert normalise.linkedin_url(written) == same


@pytest.mark.parametrize(
    "name", ["Ng", "O'Brien", "Jean-Luc", "李", "Müller", "D'Angelo", "van der Berg", "O", "Null"]
)
def test_a_real_name_survives(name: str) -> None:
    assert normalise.person_name(name) == name


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("JEAN-LUC", "Jean-Luc"),
        ("o'brien", "O'Brien"),
        ("NG", "NG"),
        ("John (Johnny) Smith, PhD 🚀", "John Smith"),
        ("Dr. Müller", "Müller"),
        ("Anna\u200b  Berg", "Anna Berg"),
        ("{{first_name}}", ""),
        ("<script>", ""),
        ("=HYPERLINK(1)", ""),
        ("anna@acme.example", ""),
        ("123", ""),
    ],
)
def test_a_name_is_cleaned_or_unknown(written: str, name: str) -> None:
    assert normalise.person_name(written) == name


@pytest.mark.parametrize("nobody", ["None", "null", "info", "Sales", "LinkedIn Member", "First Name", "test"])
def test_what_is_nobodys_first_name_is_unknown(nobody: str) -> None:
    assert normalise.first_name(nobody) == ""


@pytest.mark.parametrize(
    ("full", "parts"),
    [
        ("Jean-Luc van der Berg", ("Jean-Luc", "van der Berg")),
        ("Berg, Anna", ("Anna", "Berg")),
        ("John Smith, MBA", ("John", "Smith")),
        ("李 小龙", ("李", "小龙")),
        ("Cher", ("Cher", "")),
        ("John Null", ("John", "Null")),
    ],
)
def test_a_full_name_is_split(full: str, parts: tuple[str, str]) -> None:
    assert normalise.split_name(full) == parts


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Acme Robotics, Inc.", "Acme Robotics"),
        ("Acme GmbH & Co. KG", "Acme"),
        ("Tiffany & Co.", "Tiffany & Co."),
        ("AT&T", "AT&T"),
        ("Booking.com B.V.", "Booking.com"),
        ("Incorporate Labs", "Incorporate Labs"),
    ],
)
def test_a_company_loses_its_legal_form_only(written: str, name: str) -> None:
    assert normalise.company_name(written) == name


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("https://www.Acme.com/about?x=1", "acme.com"),
        ("acme.co.uk", "acme.co.uk"),
        ("straße.de", "xn--strae-oqa.de"),
        ("acme.com:8080", "acme.com"),
        ("not a domain", ""),
        ("localhost", ""),
    ],
)
def test_a_domain_is_the_host_in_ascii(written: str, host: str) -> None:
    assert normalise.domain(written) == host


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Anna@ACME.example ", "anna@acme.example"),
        ("Anna Berg <anna@acme.example>", "anna@acme.example"),
        ("anna at acme", ""),
        ("anna@acme@acme.example", ""),
        ("anna@localhost", ""),
    ],
)
def test_an_address_is_exact_or_unknown(written: str, address: str) -> None:
    assert normalise.email(written) == address


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("competitor_follower", "competitor_follower"),
        ("Commenters", "post_commenter"),
        ("likers", "post_liker"),
        ("Event Attendee", "event_attendee"),
        ("connections", "connection"),
        ("carrier pigeon", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_source_type_is_ours_or_unknown(written: str, kind: str) -> None:
    assert normalise.source_type(written) == kind


def test_a_sighting_becomes_a_lead_with_provenance() -> None:
    sourced = SourcedLead(
        linkedin_url="linkedin.com/in/Anna-Berg",
        full_name="Anna Berg",
        company="Acme, Inc.",
        company_url="https://www.linkedin.com/company/acme",
        location="Austin, Texas, United States",
        source_type="follower",
        source_name="Gong",
    )
    lead = normalise.to_lead(sourced, batch="b1", collected_at="2026-01-05T00:00:00Z")
    assert (lead.first_name, lead.company, lead.company_domain, lead.country) == ("Anna", "Acme", "", "US")
    assert lead.data_source == "LinkedIn, competitor follower, Gong"
    assert lead.data_collected_at == "2026-01-05T00:00:00Z"
    assert lead.legal_basis == "legitimate_interest"
    assert lead.sources[0].batch == "b1"


def test_the_same_profile_gets_the_same_id_however_it_is_written() -> None:
    one = normalise.to_lead(SourcedLead(linkedin_url="https://de.linkedin.com/in/Anna-Berg/"))
    other = normalise.to_lead(SourcedLead(linkedin_url="linkedin.com/in/anna-berg?trk=1"))
    assert one.id == other.id


def test_a_sighting_of_nobody_has_no_id() -> None:
    assert normalise.to_lead(SourcedLead(full_name="Anna Berg", company="Acme")).id == ""


def test_the_same_source_again_adds_nothing() -> None:
    lead = a_lead()
    assert normalise.merge(lead, lead) == lead


def test_a_new_source_is_added_to_the_same_lead() -> None:
    event = Source("event_attendee", name="SaaS Day")
    merged = normalise.merge(a_lead(), a_lead(sources=(event,)))
    assert [source.type for source in merged.sources] == ["competitor_follower", "event_attendee"]


def test_filled_fields_win_over_empty_and_known_ones_stay() -> None:
    merged = normalise.merge(a_lead(phone="", title="VP Sales"), a_lead(phone="+1512", title="Clerk"))
    assert (merged.phone, merged.title) == ("+1512", "VP Sales")


def test_provenance_stays_with_the_first_sighting() -> None:
    merged = normalise.merge(a_lead(), a_lead(data_source="elsewhere", data_collected_at="2026-02-01"))
    assert (merged.data_source, merged.data_collected_at) == ("LinkedIn", "2026-01-05T00:00:00Z")


@pytest.mark.parametrize(
    "title",
    [
        "CEO",
        "C.E.O.",
        "C E O",
        "СЕО",
        "CE0",
        "Co-CEO",
        "COO & Co-Founder | ex-Google",
        "Chief Revenue Officer",
        "Founder",
        "Cofounder",
        "Owner",
        "Partner",
        "Managing Partner",
        "President",
        "Managing Director",
        "GM",
        "General Manager",
        "Geschäftsführer",
        "Geschaeftsfuehrerin",
        "Vorstand",
        "Prokurist",
        "PDG",
        "Président-directeur général",
        "Directeur général",
        "gérant",
        "Fundadora",
        "Consejero delegado",
        "总经理",
        "Inhaber",
        "CISO",
        "CHRO",
        "Chairman of the Board",
        "CEO & Assistant to the Chair",
        "Fractional CMO",
        "Amministratore delegato",
        "Self-employed",
        "Head of Sales / Co-founder",
    ],
)
def test_any_sign_of_the_top_is_c_level(title: str) -> None:
    assert seniority(title) == "c_level"


@pytest.mark.parametrize(
    ("title", "level"),
    [
        ("Assistant to the CEO", "individual"),
        ("Executive Assistant to CEO", "individual"),
        ("Chief of Staff", "individual"),
        ("Partner Manager", "manager"),
        ("Channel Partner Manager", "manager"),
        ("Product Owner", "individual"),
        ("HR Business Partner", "individual"),
        ("Head of Customer Success", "director"),
        ("Vice President of Sales", "vp"),
        ("SVP, Revenue", "vp"),
        ("Vizepräsident Vertrieb", "vp"),
        ("Vertriebsleiter", "director"),
        ("Across Recall Team Lead", "manager"),
        ("Account Executive", "individual"),
        ("", "unknown"),
    ],
)
def test_what_only_sounds_like_the_top_is_not(title: str, level: str) -> None:
    assert seniority(title) == level


def test_a_department_is_read_from_whole_words() -> None:
    assert department("Director, Revenue Operations") == "revenue_operations"
    assert department("Vertriebsleiter") == "sales"
    assert department("Wholesaler") == ""


def test_countries_are_told_by_name_code_place_and_domain() -> None:
    assert country_code("Deutschland") == "DE"
    assert country_code("uk") == "GB"
    assert country_of_location("Berlin, Germany") == "DE"
    assert country_of_location("San Francisco, CA") == ""
    assert country_of_domain("firma.de") == "DE"
    assert country_of_domain("startup.io") == ""


def test_every_sign_of_a_country_is_a_candidate() -> None:
    lead = a_lead(country="US", email="anna@firma.de", phone="+4930123456")
    assert candidates(lead) == ("US", "DE")
