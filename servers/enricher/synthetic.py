"""What the emulated providers know: invented facts that are the same for the same person or company.

Every domain that is made up ends in .example, so nothing can reach a mailbox.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
FOUND = 85  # of a hundred people
FAILED = 2

# (weight, employees from, to, revenue from, to)
SIZES = (
    (34, 60, 190, 10_000_000, 45_000_000),
    (20, 210, 480, 20_000_000, 90_000_000),
    (12, 22, 49, 5_000_000, 9_500_000),
    (12, 520, 980, 50_000_000, 98_000_000),
    (10, 1_100, 9_000, 150_000_000, 900_000_000),
    (12, 4, 18, 400_000, 3_000_000),
)
INDUSTRIES = (
    (48, "Software"),
    (18, "Information Technology"),
    (10, "Professional Services"),
    (10, "Manufacturing"),
    (4, "Staffing and Recruiting"),
    (4, "Marketing Agency"),
    (3, "Non-profit"),
    (3, "Government Administration"),
)
COUNTRIES = ((82, "US"), (6, "DE"), (7, "GB"), (5, "CA"))
VERDICTS = ((86, "valid"), (8, "catch_all"), (6, "invalid"))
TECHNOLOGIES = ("Salesforce", "HubSpot", "Outreach", "Snowflake", "Segment", "Gong", "Marketo")
MADE_UP = ("Quantile Labs", "Ironleaf Systems", "Clearwell Software", "Foxglove Analytics", "Starboard Cloud")
SIGNALS = ("hiring_revops", "funded_recently", "new_vp_sales", "product_launch")
# The titles of the other emulators' people, so that providers agree about a person.
TITLES = (
    "VP of Sales",
    "Chief Revenue Officer",
    "VP Revenue Operations",
    "Director of Revenue Operations",
    "VP Revenue",
    "Director of Sales Operations",
    "Head of Business Development",
    "Sales Operations Manager",
    "Director of Sales Enablement",
    "Head of SDR",
    "RevOps Analyst",
    "Sales Ops Analyst",
    "GTM Operations Specialist",
    "Account Executive",
    "Software Engineer",
)


def number(*parts: object) -> int:
    """A number that looks random and is the same for the same parts."""
    joined = "\x1f".join(map(str, parts)).lower()
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:6], "big")


def pick(choices: Sequence[tuple[int, T]], *parts: object) -> T:
    """One of the weighted choices, the same for the same parts."""
    left = number(*parts) % sum(weight for weight, _ in choices)
    for weight, choice in choices:
        left -= weight
        if left < 0:
            return choice
    return choices[-1][1]


def words(text: str) -> list[str]:
    """Lower-case ASCII words of a name."""
    flat = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.findall(r"[a-z0-9]+", flat)


def person_of(inputs: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Who is asked for, and the words of their name as far as the inputs tell."""
    url, email = str(inputs.get("LinkedIn URL", "")), str(inputs.get("Email", ""))
    slug = re.sub(r"-\d+$", "", url.rstrip("/").rsplit("/", 1)[-1])
    name = words(str(inputs.get("Full Name", ""))) or words(slug) or words(email.partition("@")[0])
    return url or email or " ".join(name), name


def company_of(inputs: Mapping[str, Any], who: str) -> tuple[str, str]:
    """The company's name and domain, made up where the inputs name neither."""
    email_domain = str(inputs.get("Email", "")).partition("@")[2]
    domain = str(inputs.get("Company Domain", "")) or email_domain
    name = str(inputs.get("Company Name", ""))
    if not name:
        name = domain.partition(".")[0].replace("-", " ").title() or MADE_UP[number("at", who) % len(MADE_UP)]
    return name, domain or f"{'-'.join(words(name)) or 'company'}.example"


def facts(inputs: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the provider finds: None where it fails, only empty fields where it finds nobody."""
    who, name = person_of(inputs)
    chance = number("found", who) % 100
    if chance >= 100 - FAILED:
        return None
    if chance >= FOUND:
        return {"Work Email": None, "Email Status": "not_found", "Company Name": None}
    company, domain = company_of(inputs, who)
    email = str(inputs.get("Email", "")) or f"{'.'.join(name[:2]) or 'someone'}@{domain}"
    return {
        "Work Email": email,
        "Email Status": pick(VERDICTS, "verdict", email),
        "Phone": f"+1 512 555 0{100 + number('phone', who) % 100}" if number("p?", who) % 2 else None,
        "Title": TITLES[number("title", " ".join(name)) % len(TITLES)],
        **_company(company, domain),
        **{signal: number(signal, company) % 6 == 0 for signal in SIGNALS},
    }


def _company(name: str, domain: str) -> dict[str, Any]:
    low, high, poor, rich = pick([(row[0], row[1:]) for row in SIZES], "size", name)
    share = number("share", name) % 1000
    used = [tool for tool in TECHNOLOGIES if number(tool, name) % 3 == 0]
    return {
        "Company Name": name,
        "Company Domain": domain,
        "Company Size": low + (high - low) * share // 1000,
        "Industry": pick(INDUSTRIES, "industry", name),
        "Annual Revenue": poor + (rich - poor) * share // 1000,
        "Country": pick(COUNTRIES, "country", name),
        "Technologies": used,
    }
