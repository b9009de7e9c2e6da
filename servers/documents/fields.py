"""Labelled facts in a text: "Title: VP Sales", and addresses wherever they stand. Found, never inferred."""

import re
from collections.abc import Mapping

from shared.effect import Json

MAX_VALUE = 300
# Our field: the labels it may stand behind.
LEAD_LABELS: Mapping[str, tuple[str, ...]] = {
    "full_name": ("name", "full name", "contact", "contact name"),
    "first_name": ("first name", "given name"),
    "last_name": ("last name", "surname", "family name"),
    "title": ("title", "job title", "position", "role"),
    "company": ("company", "company name", "organization", "organisation", "employer"),
    "company_domain": ("website", "domain", "company website"),
    "industry": ("industry", "sector"),
    "company_size": ("employees", "company size", "headcount"),
    "location": ("location", "city", "based in"),
    "country": ("country",),
    "email": ("email", "e-mail", "email address", "mail"),
    "phone": ("phone", "telephone", "tel", "mobile"),
    "linkedin_url": ("linkedin", "linkedin url", "profile"),
}
LABELLED = re.compile(r"^[\s*•|>-]*\**([A-Za-z][A-Za-z -]{1,24}?)\**\s*[:=]\s*(\S.*)$")
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "email": re.compile(r"\b[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b"),
    "linkedin_url": re.compile(
        r"\b(?:https?://)?(?:[a-z]{2,3}\.)?linkedin\.com/in/[\w%-]{2,100}", re.IGNORECASE
    ),
    "phone": re.compile(r"(?<![\w+])\+\d[\d ()./-]{6,20}\d\b"),
}


def lead_fields(text: str) -> Mapping[str, Json]:
    """What a text says of one person: labelled values first, then the first address of each kind."""
    said = _labelled(text)
    found: dict[str, Json] = {}
    for ours, labels in LEAD_LABELS.items():
        value = next((said[label] for label in labels if label in said), "")
        value = _exact(ours, value) or _first(ours, text)
        if value:
            found[ours] = value
    return found


def _labelled(text: str) -> dict[str, str]:
    """Values by label in lower case; the first one of a label counts."""
    said: dict[str, str] = {}
    for line in text.splitlines():
        match = LABELLED.match(line[: MAX_VALUE + 50])
        if match:
            said.setdefault(match.group(1).strip().lower(), match.group(2).strip(" *|")[:MAX_VALUE])
    return said


def _exact(name: str, value: str) -> str:
    """Of a labelled address only the address itself."""
    return _first(name, value) if name in PATTERNS else value


def _first(name: str, text: str) -> str:
    match = PATTERNS[name].search(text) if name in PATTERNS else None
    return match.group(0) if match else ""
