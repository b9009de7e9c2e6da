"""Which of a row's columns say what: candidate names by table, and the person a row becomes.

Column names are compared without case, spaces and punctuation. A person needs a LinkedIn profile address or
an e-mail address; of several address columns the first that holds a `/in/` profile counts, since exports put
Sales-Navigator addresses beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from servers.hunter.numbers import headcount, money
from shared.lead import SourceType
from shared.ports import SourcedLead

MAX_TEXT = 500  # characters of one field
MAX_EMAIL = 320
MAX_VERBATIM = 5_000  # of what the person wrote; LinkedIn allows a comment 1,250

# Our field: its names in LinkedIn's, PhantomBuster's, Sales-Navigator-like and hand-made files, best first.
CANDIDATES: Mapping[str, tuple[str, ...]] = {
    "linkedin_url": (
        "linkedinprofileurl",
        "defaultprofileurl",
        "profileurl",
        "profilelink",
        "linkedinurl",
        "linkedinprofile",
        "linkedin",
        "personlinkedinurl",
        "url",
    ),
    "email": (
        "email",
        "emailaddress",
        "workemail",
        "businessemail",
        "professionalemail",
        "professionalemails",
        "mail",
    ),
    "email_verdict": (
        "emailstatus",
        "emailverdict",
        "emailverification",
        "emailverificationstatus",
        "verdict",
    ),
    "full_name": ("fullname", "name", "contactname", "person"),
    "first_name": ("firstname", "givenname", "forename"),
    "last_name": ("lastname", "surname", "familyname"),
    "title": (
        "title",
        "linkedinjobtitle",
        "jobtitle",
        "position",
        "job",
        "role",
        "occupation",
        "headline",
        "linkedinheadline",
    ),
    "company": (
        "companyname",
        "company",
        "currentcompany",
        "organization",
        "organisation",
        "account",
        "employer",
    ),
    "company_url": ("regularcompanyurl", "companyurl", "linkedincompanyurl", "companylinkedinurl"),
    "company_domain": ("companydomain", "domain", "companywebsite", "website"),
    "company_size": (
        "companysize",
        "employees",
        "employeecount",
        "companyemployees",
        "headcount",
        "numberofemployees",
    ),
    "industry": ("industry", "companyindustry", "sector"),
    "revenue_usd": ("revenueusd", "revenue", "annualrevenue", "companyrevenue"),
    "location": ("location", "city"),
    "country": ("country", "countrycode"),
    "phone": ("phone", "phonenumber", "workphone", "phonenumbers"),
    "connection_degree": ("connectiondegree", "degree"),
    "source_type": ("sourcetype",),
    "source_name": ("sourcename", "source"),
    "source_url": ("sourceurl", "posturl", "eventurl", "groupurl", "query"),
    "activity": ("activity",),
    "action": ("action", "engagementaction", "reactiontype"),
    "text": ("engagementtext", "comment", "commentary", "commenttext"),
    "captured_at": ("capturedat", "timestamp"),
}

# A column that tells the audience, where the row doesn't name it: the first that is filled counts.
AUDIENCES: tuple[tuple[str, SourceType, str], ...] = (
    ("connectedon", "connection", "connected"),
    ("reactiontype", "post_liker", "liked"),
    ("commenturl", "post_commenter", "commented"),
    ("comment", "post_commenter", "commented"),
    ("commentary", "post_commenter", "commented"),
    ("eventurl", "event_attendee", "attended"),
    ("groupurl", "group_member", "joined"),
)

EXPECTED = (
    "a header row with a LinkedIn profile column (URL, profileUrl, linkedInProfileUrl, linkedin_url) "
    "or an e-mail column (Email Address, email, work_email)"
)
IDENTITY = ("linkedin_url", "email")
# A provider's words for whether an address works; a word that isn't here says nothing.
VERDICTS: Mapping[str, str] = {
    "verified": "deliverable",
    "valid": "deliverable",
    "deliverable": "deliverable",
    "accept_all": "accept_all",
    "catch_all": "accept_all",
    "catch-all": "accept_all",
    "risky": "accept_all",
    "invalid": "undeliverable",
    "undeliverable": "undeliverable",
    "disposable": "never_send",
    "do_not_mail": "never_send",
}
NUMBERS = {"company_size": headcount, "revenue_usd": money}
SOURCE_TYPES = frozenset(get_args(SourceType))
# Fields a spreadsheet would run and a mail would greet with: a formula there is never a name.
FORMULA_FIELDS = ("full_name", "first_name", "last_name", "company", "title")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
PROFILE = re.compile(r"^(https?://)?([a-z]{2,3}\.)?linkedin\.com/in/[^/?#\s]+", re.IGNORECASE)
ADDRESS = re.compile(r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\".]+$")
EMPTY = frozenset({"", "-", "–", "—", "n/a", "null", "none", "nan", "undefined"})


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a row's source before reading it."""

    type: SourceType = "unknown"
    name: str = ""
    url: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each of our fields stands in a row: column numbers by field, best first."""

    names: tuple[str, ...]
    columns: Mapping[str, tuple[int, ...]]
    audiences: tuple[tuple[int, SourceType, str], ...] = field(default=())

    @property
    def identifies(self) -> bool:
        """Whether a row could tell who it is about."""
        return any(self.columns.get(name) for name in IDENTITY)

    def values(self, name: str, row: Sequence[str]) -> list[str]:
        """The filled cells of one of our fields, best first, untrimmed."""
        cells = [row[column] for column in self.columns.get(name, ()) if column < len(row)]
        return [cell for cell in cells if cell.strip().lower() not in EMPTY]


def plain(name: str) -> str:
    """A column's name for comparing: letters and digits only, lower case."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def layout_of(header: Sequence[str]) -> Layout:
    """What a header row describes; a repeated name keeps every column, and the first filled cell counts."""
    names = tuple(plain(name) for name in header)
    where: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        where.setdefault(name, []).append(column)
    columns = {
        ours: tuple(column for name in candidates for column in where.get(name, ()))
        for ours, candidates in CANDIDATES.items()
    }
    audiences = tuple(
        (column, kind, action) for name, kind, action in AUDIENCES for column in where.get(name, ())
    )
    return Layout(names, {ours: found for ours, found in columns.items() if found}, audiences)


def lead_of(layout: Layout, row: Sequence[str], line: int, origin: Origin) -> SourcedLead | str:
    """The person in a row, or why the row can't be used."""
    found = {name: next(iter(layout.values(name, row)), "") for name in layout.columns}
    found["linkedin_url"] = _profile(layout.values("linkedin_url", row))
    found["email"] = _address(layout.values("email", row))
    problem = _problem(found)
    if problem:
        return problem
    text = {name: value.strip() for name, value in found.items()}
    fields: dict[str, Any] = {
        **_texts(text),
        **{name: read(text.get(name, "")) for name, read in NUMBERS.items()},
        **_origin(layout, row, text, origin),
        "connection_degree": _degree(text.get("connection_degree", "")),
        "text": text.get("text", "")[:MAX_VERBATIM],
        "email_verdict": VERDICTS.get(text.get("email_verdict", "").lower(), ""),
    }
    return SourcedLead(**fields, line=line)


def _texts(text: Mapping[str, str]) -> dict[str, str]:
    names = (
        *IDENTITY,
        *FORMULA_FIELDS,
        "company_url",
        "company_domain",
        "industry",
        "location",
        "country",
        "phone",
        "activity",
        "captured_at",
    )
    return {name: text.get(name, "") for name in names}


def _origin(layout: Layout, row: Sequence[str], text: Mapping[str, str], origin: Origin) -> dict[str, str]:
    """Where the person was seen: as the row says, else as the columns tell, else as the job was asked."""
    told = next(((kind, action) for column, kind, action in layout.audiences if _filled(row, column)), None)
    kind, action = told if told and origin.type == "unknown" else (origin.type, origin.action)
    named = text.get("source_type", "").lower().replace(" ", "_")
    return {
        "source_type": named if named in SOURCE_TYPES else kind,
        "source_name": text.get("source_name", "") or origin.name,
        "source_url": text.get("source_url", "") or origin.url,
        "action": text.get("action", "").lower() or action,
    }


def _filled(row: Sequence[str], column: int) -> bool:
    return column < len(row) and bool(row[column].strip())


def _profile(values: Sequence[str]) -> str:
    return next((value.strip() for value in values if PROFILE.match(value.strip())), "")


def _address(values: Sequence[str]) -> str:
    return next((value.strip() for value in values if _is_address(value.strip())), "")


def _is_address(value: str) -> bool:
    return len(value) <= MAX_EMAIL and not value.startswith(FORMULA_STARTS) and bool(ADDRESS.match(value))


def _degree(value: str) -> int:
    return int(value[0]) if value[:1] in {"1", "2", "3"} else 0


def _problem(found: Mapping[str, str]) -> str:
    """Why a row can't be used; empty when it can."""
    if not found["linkedin_url"] and not found["email"]:
        return "neither a LinkedIn profile address nor an e-mail address"
    for name in FORMULA_FIELDS:
        if found.get(name, "").lstrip(" ").startswith(FORMULA_STARTS):
            return f"a formula in {name}"
    long = next((name for name, value in found.items() if name != "text" and len(value) > MAX_TEXT), "")
    return f"{long} is longer than {MAX_TEXT} characters" if long else ""
