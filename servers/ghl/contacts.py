"""A contact in the vendor's words and in ours: pure translation, in both spellings the vendor uses.

Custom fields are written by id: a value under a wrong key is dropped by the vendor without an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from shared.address import read_address
from shared.effect import Json
from shared.errors import Invalid
from shared.ports import ContactRecord, ContactView

Raw = Mapping[str, Any]

# Our name of a field → the vendor's. An update may not carry the company: the vendor answers 422.
CREATED = {"first_name": "firstName", "last_name": "lastName", "company": "companyName", "phone": "phone"}
UPDATED = {name: theirs for name, theirs in CREATED.items() if name != "company"}
CustomName = Literal[
    "title", "linkedin_url", "icp_score", "icp_tier", "last_campaign_id", "enriched_at", "contacted_at"
]
CUSTOM: tuple[CustomName, ...] = get_args(CustomName)
NUMBERS = {"NUMERICAL", "MONETORY"}  # the vendor's spelling
DND_CHANNELS = {name.casefold(): name for name in ("call", "email", "sms", "whatsApp", "gmb", "fb")}
# Fixed, not configured: a webhook must be understood without the configuration at hand.
DNC_TAG = "dnc"
DND_ON = {"active", "permanent"}  # "active" means: do not contact


@dataclass(frozen=True, slots=True)
class CustomField:
    """A custom field of the location."""

    id: str
    data_type: str = "TEXT"


Fields = Mapping[str, CustomField]  # by our name


@dataclass(frozen=True, slots=True)
class Change:
    """What an update would send, by our names what it changes, and what stood there before."""

    body: Mapping[str, Json] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    before: Mapping[str, Json] = field(default_factory=dict)
    tags: tuple[str, ...] = ()  # to be added, by their own endpoint


def same_address(contact: Raw, email: str) -> bool:
    """Whether the contact has this address, by whatever case."""
    return str(contact.get("email") or "").strip().casefold() == email.strip().casefold()


def tags_of(contact: Raw) -> frozenset[str]:
    """The contact's tags, folded: the vendor saves them in lower case."""
    return fold(contact.get("tags") or ())


def fold(tags: Sequence[str]) -> frozenset[str]:
    """Tags as the vendor compares them."""
    return frozenset(str(tag).strip().lower() for tag in tags) - {""}


def custom_values(contact: Raw) -> dict[str, str]:
    """Custom field values as text, by field id."""
    items = contact.get("customFields") or contact.get("customField") or ()
    return {
        str(item["id"]): _text(_value(item)) for item in items if isinstance(item, Mapping) and item.get("id")
    }


def view(contact: Raw, fields: Fields) -> ContactView:
    """As the CRM has it; custom fields under our names where they are ours, else under their id."""
    names = {custom.id: name for name, custom in fields.items()}
    return ContactView(
        id=str(contact.get("id") or ""),
        email=str(contact.get("email") or ""),
        first_name=str(contact.get("firstName") or ""),
        last_name=str(contact.get("lastName") or ""),
        company=str(contact.get("companyName") or ""),
        phone=str(contact.get("phone") or ""),
        tags=tuple(sorted(tags_of(contact))),
        dnd=contact.get("dnd") is True,
        dnd_email=dnd_status(contact, "email") in DND_ON,
        custom_fields={names.get(key, key): text for key, text in custom_values(contact).items()},
    )


def dnd_status(contact: Raw, channel: str) -> str:
    """active, inactive, permanent, or empty when the contact does not show it."""
    for name, setting in (contact.get("dndSettings") or {}).items():
        if name.casefold() == channel and isinstance(setting, Mapping):
            return str(setting.get("status") or "")
    return ""


def marked(contact: Raw) -> bool:
    """Whether the contact already carries the do-not-contact tag and e-mail DND."""
    return DNC_TAG in tags_of(contact) and dnd_status(contact, "email") in DND_ON


def dnd_body(contact: Raw, reason: str) -> dict[str, Json]:
    """All channels as they are, e-mail closed; sent whole, since whether a part merges is not documented."""
    settings: dict[str, Json] = {}
    for name, setting in (contact.get("dndSettings") or {}).items():
        known = DND_CHANNELS.get(name.casefold())
        if known and isinstance(setting, Mapping) and setting.get("status"):
            shown: dict[str, Json] = {
                k: str(setting[k]) for k in ("status", "message", "code") if setting.get(k)
            }
            settings[known] = shown
    if dnd_status(contact, "email") not in DND_ON:
        settings["email"] = {"status": "active", "message": reason[:200]}
    return {"dndSettings": settings}


def creation(record: ContactRecord, fields: Fields) -> dict[str, Json]:
    """The body of a create. Tags may ride here and nowhere else."""
    body: dict[str, Json] = {"email": read_address(record.email).exact}
    body |= {theirs: getattr(record, ours) for ours, theirs in CREATED.items() if getattr(record, ours)}
    if record.tags:
        body["tags"] = list[Json](sorted(fold(record.tags)))
    if custom := _custom_body(custom_wanted(record), fields):
        body["customFields"] = custom
    return body


def change(record: ContactRecord, contact: Raw, fields: Fields) -> Change:
    """Only what differs and is known: an unknown field is left alone, never blanked."""
    stored = custom_values(contact)
    native = {
        ours: getattr(record, ours)
        for ours, theirs in UPDATED.items()
        if getattr(record, ours) and getattr(record, ours) != (contact.get(theirs) or "")
    }
    custom = {
        ours: value
        for ours, value in custom_wanted(record).items()
        if ours in fields and not _equal(value, stored.get(fields[ours].id, ""), fields[ours])
    }
    body: dict[str, Json] = {UPDATED[ours]: value for ours, value in native.items()}
    if custom:
        body["customFields"] = _custom_body(custom, fields)
    before: dict[str, Json] = {ours: str(contact.get(UPDATED[ours]) or "") for ours in native}
    before |= {ours: stored.get(fields[ours].id, "") for ours in custom}
    tags = tuple(sorted(fold(record.tags) - tags_of(contact)))
    return Change(body, (*native, *custom), before, tags)


def not_stored(
    record: ContactRecord, contact: Raw, fields: Fields, among: Sequence[str] = CUSTOM
) -> list[str]:
    """Custom fields we sent that the answer does not show as sent, and those the location does not have."""
    wanted, shown = custom_wanted(record), custom_values(contact)
    absent = [ours for ours in wanted if ours not in fields]
    if "customFields" not in contact:
        return absent
    sent = [ours for ours in wanted if ours in fields and ours in among]
    dropped = [o for o in sent if not _equal(wanted[o], shown.get(fields[o].id, ""), fields[o])]
    return absent + dropped


def custom_wanted(record: ContactRecord) -> dict[str, str | int]:
    """The record's custom values that are known."""
    values: dict[str, str | int] = {name: getattr(record, name) for name in CUSTOM}
    return {name: value for name, value in values.items() if value not in ("", -1)}


def _custom_body(values: Mapping[str, str | int], fields: Fields) -> list[Json]:
    return [
        {"id": fields[name].id, "fieldValue": _sent(value, fields[name])}
        for name, value in values.items()
        if name in fields
    ]


def _sent(value: str | int, custom: CustomField) -> str | int | float:
    """The value in the shape its type takes: numbers as numbers, dates without the time."""
    if custom.data_type in NUMBERS:
        return _number(value)
    return str(value)[:10] if custom.data_type == "DATE" else str(value)


def _number(value: str | int) -> int | float:
    if isinstance(value, int):
        return value
    try:
        return float(value)
    except ValueError as error:
        raise Invalid("the CRM holds this field as a number", field="custom_fields") from error


def _equal(value: str | int, stored: str, custom: CustomField) -> bool:
    sent = _sent(value, custom)
    if custom.data_type in NUMBERS:
        return stored.replace(".", "", 1).lstrip("-").isdigit() and float(stored) == float(sent)
    return (_day(stored) if custom.data_type == "DATE" else stored) == sent


def _day(stored: str) -> str:
    """A stored date as YYYY-MM-DD: some answers show milliseconds since 1970."""
    if stored.isdigit() and len(stored) > 8:
        return datetime.fromtimestamp(int(stored) / 1000, UTC).date().isoformat()
    return stored[:10]


def _value(item: Raw) -> Any:
    for key in ("value", "fieldValue", "field_value"):
        if key in item:
            return item[key]
    return None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    return "" if value is None else str(value)
