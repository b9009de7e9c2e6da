"""A contact in the vendor's words and in ours: pure translation, in every spelling the vendor uses.

Custom fields are written by id: a value under a wrong key is dropped by the vendor without an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from servers.ghl.dialect import Dialect, Raw, custom_value
from servers.ghl.dnd import addresses_of, channels, fold, tags_of, why_blocked
from shared.address import read_address
from shared.effect import Json
from shared.errors import Invalid
from shared.ports import ContactRecord, ContactView

# Our name of a field → the vendor's. An update may not carry the company: the vendor answers 422.
CREATED = {"first_name": "firstName", "last_name": "lastName", "company": "companyName", "phone": "phone"}
UPDATED = {name: theirs for name, theirs in CREATED.items() if name != "company"}
CustomName = Literal[
    "title", "linkedin_url", "icp_score", "icp_tier", "last_campaign_id", "enriched_at", "contacted_at"
]
CUSTOM: tuple[CustomName, ...] = get_args(CustomName)
NUMBERS = {"NUMERICAL", "MONETORY"}  # the vendor's spelling


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field of the location."""

    id: str
    data_type: str = "TEXT"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a translation needs: the vendor's words, and the location's custom fields by our name."""

    dialect: Dialect
    fields: Mapping[str, CustomField]


@dataclass(frozen=True, slots=True)
class Change:
    """What an update would send, by our names what it changes, and what stood there before and is to stand there."""

    body: Mapping[str, Json] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()  # to be added, by their own endpoint

    @property
    def changed(self) -> tuple[str, ...]:
        """Our names of the fields."""
        return tuple(self.after)


def custom_values(contact: Raw) -> dict[str, str]:
    """Custom field values as text, by field id."""
    items = contact.get("customFields") or contact.get("customField") or ()
    known = [item for item in items if isinstance(item, Mapping) and item.get("id")]
    return {str(item["id"]): _text(custom_value(item)) for item in known}


def view(contact: Raw, terms: Terms) -> ContactView:
    """As the CRM has it; custom fields under our names where they are ours, else under their id."""
    names = {custom.id: name for name, custom in terms.fields.items()}
    first, *others = addresses_of(contact) or ("",)
    return ContactView(
        id=str(contact.get("id") or ""),
        email=first,
        first_name=_text(contact.get("firstName")),
        last_name=_text(contact.get("lastName")),
        company=_text(contact.get("companyName")),
        phone=_text(contact.get("phone")),
        tags=tuple(sorted(tags_of(contact))),
        dnd=contact.get("dnd") is True,
        dnd_email=bool(why_blocked({"dndSettings": contact.get("dndSettings")})),
        custom_fields={names.get(key, key): text for key, text in custom_values(contact).items()},
        other_emails=tuple(others),
        channels=channels(contact),
        blocked=why_blocked(contact),
    )


@dataclass(frozen=True, slots=True)
class Outline:
    """What a duplicate is told by."""

    email: str
    phone: str
    blocked: str


def outline(contact: Raw) -> Outline:
    """The least that tells two contacts apart."""
    return Outline(next(iter(addresses_of(contact)), ""), _text(contact.get("phone")), why_blocked(contact))


def same_phone(contact: Raw, phone: str) -> bool:
    """Whether the contact has this number, however it is written."""
    others = contact.get("additionalPhones")
    listed = [contact.get("phone"), *(others if isinstance(others, list) else ())]
    plain = [one.get("phone") if isinstance(one, Mapping) else one for one in listed]
    return bool(_digits(phone)) and _digits(phone) in {_digits(str(one or "")) for one in plain}


def creation(record: ContactRecord, terms: Terms) -> dict[str, Json]:
    """The body of a create. Tags may ride here and nowhere else."""
    body: dict[str, Json] = {"email": read_address(record.email).exact}
    body |= {theirs: getattr(record, ours) for ours, theirs in CREATED.items() if getattr(record, ours)}
    if record.tags:
        body["tags"] = list[Json](sorted(fold(record.tags)))
    if custom := _custom_body(custom_wanted(record), terms):
        body["customFields"] = custom
    return body


def change(record: ContactRecord, contact: Raw, terms: Terms) -> Change:
    """Only what differs and is known: an unknown field is left alone, never blanked."""
    wanted = {ours: getattr(record, ours) for ours in UPDATED if getattr(record, ours)}
    return replacing({**wanted, **custom_wanted(record)}, contact, terms, fold(record.tags))


def replacing(
    wanted: Mapping[str, str | int], contact: Raw, terms: Terms, tags: frozenset[str] = frozenset()
) -> Change:
    """From the contact as it is to the wanted values, by our names; what is so already isn't sent."""
    stored = values(contact, terms)
    differing = {ours: value for ours, value in wanted.items() if ours in stored}
    differing = {o: v for o, v in differing.items() if not _equal(o, v, stored[o], terms)}
    body: dict[str, Json] = {UPDATED[o]: value for o, value in differing.items() if o in UPDATED}
    custom = {ours: value for ours, value in differing.items() if ours not in UPDATED}
    if custom:
        body["customFields"] = _custom_body(custom, terms)
    after = {ours: _text(_sent(ours, value, terms)) for ours, value in differing.items()}
    before = {ours: stored[ours] for ours in differing}
    return Change(body, before, after, tuple(sorted(tags - tags_of(contact))))


def without(change: Change, name: str) -> Change:
    """The change less one of the vendor's own fields."""
    body = {theirs: value for theirs, value in change.body.items() if theirs != UPDATED[name]}
    before = {ours: value for ours, value in change.before.items() if ours != name}
    after = {ours: value for ours, value in change.after.items() if ours != name}
    return Change(body, before, after, change.tags)


def values(contact: Raw, terms: Terms) -> dict[str, str]:
    """What an update may change, by our names, as it stands; custom fields that the location lacks are absent."""
    custom = custom_values(contact)
    native = {ours: _text(contact.get(theirs)) for ours, theirs in UPDATED.items()}
    return native | {ours: custom.get(one.id, "") for ours, one in terms.fields.items()}


def discarded(sent: Mapping[str, str | int], contact: Raw, terms: Terms) -> list[str]:
    """Which of the values we sent the contact doesn't show; and those for which the location has no field."""
    shown = values(contact, terms) | {"company": _text(contact.get("companyName"))}
    return [
        ours
        for ours, value in sent.items()
        if ours not in shown or not _equal(ours, value, shown[ours], terms)
    ]


def sent_values(record: ContactRecord) -> dict[str, str | int]:
    """Everything of the record that a create sends, by our names, tags and address left out."""
    native: dict[str, str | int] = {ours: getattr(record, ours) for ours in CREATED if getattr(record, ours)}
    return native | custom_wanted(record)


def custom_wanted(record: ContactRecord) -> dict[str, str | int]:
    """The record's custom values that are known."""
    found: dict[str, str | int] = {name: getattr(record, name) for name in CUSTOM}
    return {name: value for name, value in found.items() if value not in ("", -1)}


def _custom_body(given: Mapping[str, str | int], terms: Terms) -> list[Json]:
    return [
        terms.dialect.custom_item(terms.fields[name].id, _sent(name, value, terms))
        for name, value in given.items()
        if name in terms.fields
    ]


def _sent(name: str, value: str | int, terms: Terms) -> str | int | float:
    """The value in the shape its type takes: numbers as numbers, dates without the time. "" clears a field."""
    kind = terms.fields[name].data_type if name in terms.fields else "TEXT"
    if value == "":
        return ""
    if kind in NUMBERS:
        return _number(value)
    return str(value)[:10] if kind == "DATE" else str(value)


def _number(value: str | int) -> int | float:
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except ValueError as error:
        raise Invalid("the CRM holds this field as a number", field="custom_fields") from error
    return int(number) if number.is_integer() else number


def _equal(name: str, value: str | int, stored: str, terms: Terms) -> bool:
    """As far as the vendor keeps what it is given: it writes phones in its own way, dates and numbers too."""
    if name == "phone":
        return _digits(stored) == _digits(str(value))
    kind = terms.fields[name].data_type if name in terms.fields else "TEXT"
    sent = _sent(name, value, terms)
    if kind in NUMBERS and sent != "":
        return stored.replace(".", "", 1).lstrip("-").isdigit() and float(stored) == float(sent)
    return (_day(stored) if kind == "DATE" else stored) == sent


def _digits(phone: str) -> str:
    return "".join(character for character in phone if character.isdigit())


def _day(stored: str) -> str:
    """A stored date as YYYY-MM-DD: some answers show milliseconds since 1970."""
    if stored.isdigit() and len(stored) > 8:
        return datetime.fromtimestamp(int(stored) / 1000, UTC).date().isoformat()
    return stored[:10]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return "" if value is None else str(value)
