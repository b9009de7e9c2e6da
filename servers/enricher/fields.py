"""A provider's words as ours: result fields by candidate names, verifiers' verdicts by one table.

A routine's outputs are named by whoever built it, so names are compared without case, spaces and punctuation.
Addresses that are a person's private ones have no candidate here: they are never taken over.
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.ports import Enrichment

# Our field: the names it may have in a routine's result, best first.
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "email": ("workemail", "workemailaddress", "businessemail", "professionalemail", "email", "emailaddress"),
    "email_verdict": (
        "emailstatus",
        "workemailstatus",
        "emailverdict",
        "verificationstatus",
        "emailvalidation",
    ),
    "phone": ("workphone", "phone", "phonenumber", "directphone"),
    "title": ("title", "jobtitle", "currenttitle"),
    "company_name": ("companyname", "company", "organization"),
    "company_domain": ("companydomain", "domain", "website"),
    "company_size": ("companysize", "employeecount", "employees", "headcount"),
    "company_industry": ("companyindustry", "industry"),
    "company_revenue": ("companyrevenue", "annualrevenue", "revenue"),
    "country": ("country", "countrycode", "companycountry"),
    "technologies": ("technologies", "techstack", "technographics"),
    "seniority_level": ("senioritylevel", "seniority"),
    "department": ("department", "jobfunction"),
}
# What the rest of the system knows as a sign of need, by the same names here.
SIGNALS = (
    "hiring_revops",
    "hiring_sales",
    "funded_recently",
    "new_cro",
    "new_vp_sales",
    "product_launch",
    "uses_competitor",
    "website_visitor",
)
# Every verifier's word → ours. A word that isn't here is "unknown", which nobody is written to on.
VERDICTS: Mapping[str, str] = {
    "valid": "deliverable",
    "ok": "deliverable",
    "verified": "deliverable",
    "deliverable": "deliverable",
    "accept_all": "accept_all",
    "catch_all": "accept_all",
    "catchall": "accept_all",
    "high_probability": "accept_all",
    "invalid": "undeliverable",
    "invalid_domain": "undeliverable",
    "undeliverable": "undeliverable",
    "spamtrap": "never_send",
    "abuse": "never_send",
    "do_not_mail": "never_send",
    "disposable": "never_send",
    "opted_out": "never_send",
}
MAX_TEXT = 500
MAX_TECHNOLOGIES = 50
SCALES = {"k": 10**3, "m": 10**6, "b": 10**9}
NUMBER = re.compile(r"(\d+(?:[.,]\d{3})*(?:[.,]\d{1,2}(?!\d))?)\s*([kmb](?![a-z]))?")
TRUE = {"true", "yes", "1"}


def verdict(word: object) -> str:
    """A verifier's word in our vocabulary."""
    return VERDICTS.get(str(word or "").strip().lower().replace("-", "_").replace(" ", "_"), "unknown")


def enrichment(lead_id: str, result: Mapping[str, Any], collected_at: str, credits_spent: int) -> Enrichment:
    """One person's result in our words; "not_found" when neither an address nor a company came back."""
    named = {plain(name): value for name, value in result.items()}
    said = {ours: _first(named, names) for ours, names in CANDIDATES.items()}
    text = {ours: text_of(value) for ours, value in said.items()}
    found = bool(text["email"] or text["company_name"])
    return Enrichment(
        lead_id=lead_id,
        status="found" if found else "not_found",
        email=text["email"][:320],
        email_verdict=verdict(text["email_verdict"]) if text["email"] else "unknown",
        phone=text["phone"],
        title=text["title"],
        company_name=text["company_name"],
        company_domain=text["company_domain"],
        company_size=number_of(said["company_size"]),
        company_industry=text["company_industry"],
        company_revenue=number_of(said["company_revenue"]),
        country=text["country"],
        technologies=_list(said["technologies"]),
        seniority_level=text["seniority_level"],
        department=text["department"],
        signals={signal: _true(named[plain(signal)]) for signal in SIGNALS if plain(signal) in named},
        provider="clay",
        collected_at=collected_at,
        credits=credits_spent if found else 0,
    )


def plain(name: str) -> str:
    """A field's name for comparing: letters and digits only, lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _first(named: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first filled field of those names; a cell that is an object counts by its value."""
    for name in names:
        value = named.get(name)
        value = value.get("value") if isinstance(value, dict) else value
        if value not in (None, "", [], 0):
            return value
    return None


def text_of(value: object) -> str:
    """A cell as text: of a list its first entry, cut at what a field may hold."""
    if isinstance(value, list):
        return text_of(value[0]) if value else ""
    return "" if value is None or isinstance(value, dict) else str(value).strip()[:MAX_TEXT]


def number_of(value: object) -> int:
    """A cell as a whole number: the middle of a range, k, M and B understood, 0 when it tells none."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return max(0, int(value))
    found = [_scaled(*match) for match in NUMBER.findall(text_of(value).lower()[:60])]
    if len(found) >= 2:
        return (found[0] + found[1]) // 2
    return found[0] if found else 0


def _scaled(digits: str, scale: str) -> int:
    whole, _, part = digits.replace(",", ".").rpartition(".")
    if not whole or len(part) == 3:
        return int(re.sub(r"\D", "", digits)) * SCALES.get(scale, 1)
    return int(float(f"{whole.replace('.', '')}.{part}") * SCALES.get(scale, 1))


def _list(value: object) -> tuple[str, ...]:
    """Several texts: a list, or one text with commas."""
    items = value if isinstance(value, list) else text_of(value).split(",")
    texts = [text_of(item) for item in items[:MAX_TECHNOLOGIES]]
    return tuple(text for text in texts if text)


def _true(value: object) -> bool:
    return value is True or str(value).strip().lower() in TRUE
