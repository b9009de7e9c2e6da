"""Sample input in real formats: LinkedIn's own Connections.csv with its oddities, and a provider's export.

Everybody is invented; every domain ends in .example. The same numbers always make the same people.
"""

import csv
import unicodedata
from dataclasses import dataclass
from pathlib import Path

FIRST = ("Ava", "Noah", "Mia", "Liam", "Zoë", "Jean-Luc", "Priya", "Mateo", "Ingrid", "Kwame", "Yuki", "Omar")
LAST = (
    "O'Brien",
    "Ng",
    "Müller",
    "García",
    "Okafor",
    "Lindqvist",
    "Tanaka",
    "Rossi",
    "Haddad",
    "Novak",
    "Silva",
)
COMPANIES = (
    ("Northwind Robotics", "northwind-robotics.example", "Software", 140, 22_000_000),
    ("Halcyon Ledger", "halcyon-ledger.example", "Software", 310, 41_000_000),
    ("Tidewater Analytics", "tidewater-analytics.example", "Information Technology", 88, 12_000_000),
    ("Brightmoor Cloud", "brightmoor-cloud.example", "SaaS", 190, 35_000_000),
    ("Copperfield Data", "copperfield-data.example", "Software", 460, 74_000_000),
    ("Lanternfish Labs", "lanternfish-labs.example", "Information Technology", 62, 9_000_000),
    ("Evergreen Advisory", "evergreen-advisory.example", "Professional Services", 120, 15_000_000),
    ("Pinecrest Staffing", "pinecrest-staffing.example", "Staffing and Recruiting", 75, 8_000_000),
    ("Quarry Works", "quarry-works.example", "Manufacturing", 640, 120_000_000),
    ("Small Harbour", "small-harbour.example", "Software", 9, 900_000),
)
TITLES = (
    "VP of Sales",
    "Director of Revenue Operations",
    "VP Revenue Operations",
    "Chief Revenue Officer",
    "Head of SDR",
    "VP Sales, North America",
    "Director of Sales Enablement",
    "RevOps Analyst",
    "VP Revenue",
    "Sales Operations Manager",
    "Account Executive",
)
SOURCES = (
    ("event_attendee", "RevOps Summit", "attended the RevOps Summit"),
    ("post_commenter", "Forecasting in 2026", "commented on a post"),
    ("group_member", "Revenue Operations Leaders", "joined the group"),
    ("website_visitor", "Pricing page", "visited the pricing page"),
)
COUNTRIES = ("US", "US", "US", "US", "US", "GB", "US", "US", "DE", "US", "CA", "US")


@dataclass(frozen=True, slots=True)
class Sample:
    """The files written, and how many people each holds."""

    connections: Path
    provider: Path
    people: int


def write_sample(folder: Path, leads: int) -> Sample:
    """Write both files, `leads` people in all, a few of them in both."""
    folder.mkdir(parents=True, exist_ok=True)
    known = leads // 2
    sample = Sample(folder / "Connections.csv", folder / "provider-export.csv", leads)
    _write_connections(sample.connections, range(leads - known))
    _write_provider(sample.provider, range(leads - known, leads))
    return sample


def _person(number: int) -> tuple[str, str, str]:
    first = FIRST[number % len(FIRST)]
    last = LAST[(number // len(FIRST) + number) % len(LAST)]
    slug = f"{first}-{last}-{number:04d}".lower().replace("'", "").replace(" ", "-")
    return first, last, f"https://www.linkedin.com/in/{slug}"


def _mailbox(first: str, last: str) -> str:
    """`Zoë`, `O'Brien` → `zoe.obrien`."""
    plain = unicodedata.normalize("NFKD", f"{first}.{last}").encode("ascii", "ignore").decode()
    return plain.lower().replace("'", "")


def _write_connections(path: Path, numbers: range) -> None:
    """As LinkedIn writes it: a byte-order mark, notes, a blank line, few addresses; and rows that went wrong."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write('Notes:\n"When exporting your connection data, you may notice that some of the email ')
        file.write('addresses are missing. You will only see addresses of people who allowed it."\n\n')
        writer = csv.writer(file)
        writer.writerow(
            ("First Name", "Last Name", "URL", "Email Address", "Company", "Position", "Connected On")
        )
        for number in numbers:
            first, last, url = _person(number)
            name, domain, *_ = COMPANIES[number % len(COMPANIES)]
            mail = f"{_mailbox(first, last)}@{domain}" if number % 9 == 0 else ""
            row = (first, last, url, mail, name, TITLES[number % len(TITLES)], "12 Mar 2024")
            writer.writerow(row)
        writer.writerow(("", "", "", "", "", "", "03 Jan 2023"))
        writer.writerow(("=HYPERLINK(1)", "Trap", "https://www.linkedin.com/in/trap", "", "Trap", "Trap", ""))


def _write_provider(path: Path, numbers: range) -> None:
    """As a data provider exports it: much is known already."""
    columns = (
        "linkedInProfileUrl",
        "firstName",
        "lastName",
        "title",
        "companyName",
        "companyDomain",
        "email",
        "emailStatus",
    )
    more = (
        "companySize",
        "industry",
        "revenue",
        "country",
        "sourceType",
        "sourceName",
        "action",
        "capturedAt",
    )
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*columns, *more))
        for number in numbers:
            writer.writerow(_provider_row(number))


def _provider_row(number: int) -> tuple[object, ...]:
    first, last, url = _person(number)
    name, domain, industry, size, revenue = COMPANIES[(number * 7) % len(COMPANIES)]
    kind, source, action = SOURCES[number % len(SOURCES)]
    plain = f"{_mailbox(first, last)}.{number}"
    title = TITLES[(number * 5) % len(TITLES)]
    country = COUNTRIES[number % len(COUNTRIES)]
    person = (url, first, last, title, name, domain, f"{plain}@{domain}", "verified")
    captured = "2026-11-01T09:00:00+00:00"
    return (*person, size, industry, revenue, country, kind, source, action, captured)
