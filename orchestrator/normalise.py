"""What sources write, made comparable: profiles, names, companies, domains; two sightings made one lead."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import get_args
from urllib.parse import quote, unquote, urlsplit

from orchestrator.countries import country_code, country_of_location
from orchestrator.titles import vocabulary, words
from shared.address import ascii_domain, read_address
from shared.effect import digest
from shared.errors import Invalid
from shared.foreign import clean
from shared.lead import Lead, Source, SourceType
from shared.ports import SourcedLead

_SPACE = re.compile(r"\s+")
# Ids that LinkedIn gives to profiles without a public name are case-sensitive; chosen names are not.
_MEMBER_ID = re.compile(r"AC[a-zA-Z]AA[\w-]+")
_SLUG = re.compile(r"[^\s/?#<>\"\\]{2,150}")
_CREDENTIALS = re.compile(
    r",?\s+(?:ph\.?d|mba|m\.?d|cpa|pmp|esq|cfa|shrm(?:-s?cp)?|msc|bsc|ll\.?m|cissp)\.?(?=$|[\s,])",
    re.IGNORECASE,
)
_HONORIFIC = re.compile(r"^(?:(?:mr|mrs|ms|miss|dr|prof|herr|frau|mme|sir)\.?\s+)+(?=\S)", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\[（【][^)\]）】]*[)\]）】]")
# No name holds these; a value that does is a template, a formula, an address or an attack.
_NO_NAME = re.compile(r"[<>{}\[\]|\\%$*=@#^~`;:!?\"/\d]|https?|www\.", re.IGNORECASE)
_NOBODY = vocabulary(
    """null none nan undefined unknown n/a na test tester user guest admin info sales support
    team office contact
    hello marketing hr linkedin linkedinmember anonymous firstname lastname first last name fname lname
    customer client
    there friend"""
)
_LEGAL_FORMS = vocabulary(
    """inc incorporated llc llp lp ltd limited plc corp corporation gmbh mbh ag ug kg kgaa ohg se sa
    sas sasu sarl
    srl spa bv nv oy oyj ab as asa aps sl slu pty pte pvt kk sro zrt kft"""
)
_GMBH_CO = re.compile(r"\s+(?:GmbH|AG|UG|mbH)\s*&\s*Co\.?\s*KG(?:aA)?\s*$", re.IGNORECASE)
_SOURCE_WORDS: Mapping[str, SourceType] = {
    "follower": "competitor_follower",
    "followers": "competitor_follower",
    "company_follower": "competitor_follower",
    "attendee": "event_attendee",
    "event": "event_attendee",
    "event_guest": "event_attendee",
    "group": "group_member",
    "commenter": "post_commenter",
    "comment": "post_commenter",
    "commented": "post_commenter",
    "liker": "post_liker",
    "like": "post_liker",
    "liked": "post_liker",
    "reaction": "post_liker",
    "visitor": "website_visitor",
    "website": "website_visitor",
    "download": "content_downloader",
    "downloader": "content_downloader",
    "webinar": "webinar_registrant",
    "registrant": "webinar_registrant",
    "demo": "demo_requester",
    "demo_request": "demo_requester",
    "connections": "connection",
    "linkedin_connection": "connection",
}
_SOURCES: Mapping[str, SourceType] = {name: name for name in get_args(SourceType)} | dict(_SOURCE_WORDS)


def linkedin_url(text: str) -> str:
    """A profile's one address, `https://www.linkedin.com/in/<name>`, or empty when it is no profile's.

    Country hosts, queries, languages and a chosen name's case tell no profiles apart; an id's case does.
    """
    try:
        parts = urlsplit(text.strip() if "//" in text else f"https://{text.strip()}")
        host = (parts.hostname or "").lower()
    except ValueError:
        return ""
    path = [piece for piece in unquote(parts.path).split("/") if piece]
    if not (host == "linkedin.com" or host.endswith(".linkedin.com")) or len(path) < 2:
        return ""
    if path[0].lower() == "in":
        return _profile("in", path[1])
    if [piece.lower() for piece in path[:2]] in (["sales", "lead"], ["sales", "people"]) and len(path) > 2:
        return _profile("sales/lead", path[2].split(",")[0])
    return ""


def _profile(kind: str, slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        return ""
    if not _MEMBER_ID.fullmatch(slug):
        slug = unicodedata.normalize("NFC", slug).lower()
    return f"https://www.linkedin.com/{kind}/{quote(slug)}"


def plain(text: str) -> str:
    """Text from outside on one line: no control or invisible characters, single spaces."""
    return _SPACE.sub(" ", unicodedata.normalize("NFC", clean(text))).strip()


def person_name(text: str) -> str:
    """A person's name as they would write it, without titles, degrees and emoji; empty if it is none.

    Ng, O'Brien, Jean-Luc and 李 stay as they are; JOHN and john become John.
    """
    name = _CREDENTIALS.sub("", _BRACKETED.sub(" ", plain(text)))
    name = "".join(" " if unicodedata.category(char) in {"So", "Sk", "Cs", "Co"} else char for char in name)
    name = _HONORIFIC.sub("", _SPACE.sub(" ", name).strip(" ,-"))
    if not name or _NO_NAME.search(name) or not any(char.isalpha() for char in name) or len(name) > 60:
        return ""
    return _cased(name)


def first_name(text: str) -> str:
    """As `person_name`, and empty for what is nobody's first name: "info", "None", "LinkedIn"."""
    name = person_name(text)
    return "" if name.casefold().replace(" ", "") in _NOBODY else name


def split_name(full: str) -> tuple[str, str]:
    """First and last name of a full one; one word is a first name, "Berg, Anna" is turned round."""
    last, comma, first = full.partition(",")
    if comma and first.strip() and not _CREDENTIALS.search(f" {first}") and " " not in last.strip():
        full = f"{first} {last}"
    first, _, last = person_name(full).partition(" ")
    return first_name(first), last


def _cased(name: str) -> str:
    if not (name.islower() or (name.isupper() and len(name) > 2)) or not name.isascii():
        return name
    return re.sub(r"[A-Za-z]+", lambda part: part[0].capitalize(), name)


def company_name(text: str) -> str:
    """A company as people call it: "Acme Robotics, Inc." is "Acme Robotics"."""
    name = _GMBH_CO.sub("", plain(text).split(" | ")[0]).strip(" ,-")
    head, _, tail = name.rpartition(" ")
    if head and _form(tail) in _LEGAL_FORMS and head.rstrip()[-1:] not in "&+":
        return company_name(head)
    return name


def company_key(text: str) -> str:
    """What two spellings of one company share; for comparing only."""
    return " ".join(words(company_name(text)))


def _form(text: str) -> str:
    return text.replace(".", "").replace(",", "").replace("/", "").casefold()


def domain(text: str) -> str:
    """The host of a web address, or a bare domain, in ASCII without `www.`; empty if it is none."""
    try:
        host = urlsplit(text.strip() if "//" in text else f"//{text.strip()}").hostname or ""
        ascii_host = ascii_domain(host.strip(".")) if host else ""
    except (ValueError, Invalid):
        return ""
    ascii_host = ascii_host.removeprefix("www.")
    return ascii_host if re.fullmatch(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", ascii_host) else ""


def within(host: str, domains: frozenset[str]) -> bool:
    """Whether a host is one of `domains` or below one."""
    while host not in domains:
        _, dot, host = host.partition(".")
        if not dot:
            return False
    return True


def email(text: str) -> str:
    """A mailbox in its exact form, or empty when there is no usable address in `text`."""
    try:
        address = read_address(text)
    except Invalid:
        return ""
    usable = re.fullmatch(r"[^\s@<>\"(),:;\\]{1,64}", address.local) and domain(address.domain)
    return address.exact if usable else ""


def source_type(text: str) -> SourceType:
    """Our word for where somebody was seen; what we don't know stays `unknown`."""
    key = "_".join(words(text.replace("_", " ")))
    return _SOURCES.get(key) or _SOURCES.get(key.removesuffix("s")) or "unknown"


def lead_id(linkedin: str, mail: str) -> str:
    """Our id for an identity: derived, so that two imports and two processes arrive at the same one."""
    return digest("lead/v1", linkedin or mail)[:32] if linkedin or mail else ""


def to_lead(sourced: SourcedLead, *, batch: str = "", collected_at: str = "", data_source: str = "") -> Lead:
    """A normalised lead from one sighting, with its provenance.

    `data_source` names where the data came from (default: the sighting's own words); `collected_at` is
    ISO 8601 and stands in where the source gave no time. A sighting with neither a profile nor an address
    identifies nobody: its id is empty.
    """
    profile, mail = linkedin_url(sourced.linkedin_url), email(sourced.email)
    first, last = _names(sourced)
    source = _source(sourced, batch, collected_at)
    return Lead(
        id=lead_id(profile, mail),
        linkedin_url=profile,
        email=mail,
        email_verdict=sourced.email_verdict if mail else "",
        first_name=first,
        last_name=last,
        title=plain(sourced.title),
        company=company_name(sourced.company),
        company_domain=domain(sourced.company_domain) or _own_domain(sourced.company_url),
        company_url=plain(sourced.company_url),
        company_size=max(0, sourced.company_size),
        industry=plain(sourced.industry),
        revenue_usd=max(0, sourced.revenue_usd),
        location=plain(sourced.location),
        country=country_code(sourced.country) or country_of_location(sourced.location),
        phone=re.sub(r"[^\d+]", "", sourced.phone),
        connection_degree=max(0, sourced.connection_degree),
        sources=(source,),
        data_source=data_source or _described(source, profile),
        data_collected_at=source.captured_at,
    )


def _described(source: Source, profile: str) -> str:
    """Where the data came from, in words a person can be told."""
    kind = "" if source.type == "unknown" else source.type.replace("_", " ")
    parts = ("LinkedIn" if profile and (kind or source.name) else "", kind, source.name)
    return ", ".join(part for part in parts if part)


def _names(sourced: SourcedLead) -> tuple[str, str]:
    first, last = first_name(sourced.first_name), person_name(sourced.last_name)
    if first or not sourced.full_name:
        return first, last
    whole_first, whole_last = split_name(sourced.full_name)
    return whole_first, last or whole_last


def _own_domain(url: str) -> str:
    """The company's domain, unless the URL is its page on LinkedIn."""
    host = domain(url)
    return "" if host == "linkedin.com" or host.endswith(".linkedin.com") else host


def _source(sourced: SourcedLead, batch: str, collected_at: str) -> Source:
    kind = source_type(sourced.source_type)
    activity = plain(sourced.activity).lower()
    return Source(
        type=kind,
        name=plain(sourced.source_name),
        url=plain(sourced.source_url),
        batch=batch,
        captured_at=sourced.captured_at.strip() or collected_at,
        activity=(activity if activity in {"active", "passive"} else "unknown")
        if kind == "group_member"
        else "",
        action=plain(sourced.action),
        text=clean(sourced.text),
    )


# Text and numbers that an earlier sighting may have left unknown.
_FILLABLE = (
    "linkedin_url", "email", "first_name", "last_name", "title", "company", "company_domain", "company_url",
    "company_size", "industry", "revenue_usd", "location", "country", "phone", "connection_degree",
    "email_verdict", "data_source", "data_collected_at", "enriched_at",
)  # fmt: skip


def merge(existing: Lead, new: Lead) -> Lead:
    """Two sightings of one person as one lead: `existing` with what it lacked and the sources it didn't have.

    What is known stays, as does where and when it was first collected; the same source again adds nothing.
    """
    known = {_place(source) for source in existing.sources}
    added = tuple(source for source in _distinct(new.sources) if _place(source) not in known)
    filled = {
        name: getattr(new, name) for name in _FILLABLE if not getattr(existing, name) and getattr(new, name)
    }
    if existing.email and new.email != existing.email:
        filled.pop("email_verdict", None)  # said of another address
    technologies = tuple(dict.fromkeys((*existing.technologies, *new.technologies)))
    signals = {**new.signals, **existing.signals}
    return replace(
        existing,
        **filled,
        technologies=technologies,
        signals={name: bool(existing.signals.get(name) or new.signals.get(name)) for name in signals},
        sources=existing.sources + added,
    )


def _distinct(sources: Iterable[Source]) -> tuple[Source, ...]:
    return tuple({_place(source): source for source in sources}.values())


def _place(source: Source) -> tuple[str, str, str]:
    """What makes two sightings the same place: its type and its address, or its name where it has none."""
    return (source.type, source.url.rstrip("/").lower(), "" if source.url else source.name.casefold())
