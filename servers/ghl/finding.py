"""Looking people up: by id, by address, everyone of an address; and what a look says about a write in doubt."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import anyio

from servers.ghl import contacts
from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import addresses_of, same, tags_of
from shared.address import read_address
from shared.effect import Effect, Outcome, Receipt, digest
from shared.errors import Invalid, SwarmError
from shared.gate import Lookup

T = TypeVar("T")
ALREADY = "already"
MOST_DUPLICATES = 20  # contacts of one person that are read


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A contact that shares an address or a phone number. Text is from outside."""

    id: str
    matches: Literal["email", "secondary_email", "phone", "email_and_phone"]
    email: str = ""
    phone: str = ""
    blocked: str = ""  # why they may not be e-mailed


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Who shares them, and what follows. `conflict`: address and number belong to different contacts."""

    contacts: tuple[Duplicate, ...]
    conflict: bool = False
    advice: str = ""


async def find_contact(ghl: Ghl, contact_id: str, email: str) -> Raw:
    """By id, else by address; empty when there is none."""
    if contact_id:
        return await ghl.api.get_contact(contact_id)
    if not email:
        raise Invalid("an id or an e-mail address is needed", field="contact_id")
    email = read_address(email).exact
    if mine := ghl.location.contacts.get(email):
        known = await ghl.api.get_contact(mine)
        if same(known, email):
            return known
    found = await ghl.api.find_duplicate(email=email)
    return await ghl.api.get_contact(str(found["id"])) if found.get("id") else {}


async def all_of(ghl: Ghl, email: str) -> list[Raw]:
    """Everyone with this address, as a second one too. Where duplicates are allowed, the first look shows one."""
    first = await ghl.api.find_duplicate(email=email)
    body = {"pageLimit": 100, "filters": [{"field": "email", "operator": "eq", "value": email}]}
    rows, _ = await ghl.api.search_contacts(body)
    # What the vendor itself takes for this address counts, even where it doesn't show a second address.
    ids = {str(first["id"]): None} if first.get("id") else {}
    ids |= {str(row["id"]): None for row in rows if row.get("id") and same(row, email)}
    return await read_all(ghl, list(ids))


async def read_all(ghl: Ghl, ids: Sequence[str]) -> list[Raw]:
    """These contacts as they are now; those that are gone are left out."""
    found = await side_by_side(ghl, ids, ghl.api.get_contact)
    return [contact for contact in found.values() if contact]


async def side_by_side(ghl: Ghl, keys: Sequence[str], ask: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """What is answered for each key, asked a few at a time. Raises the first error by itself, not in a group."""
    found: dict[str, T] = {}
    failed: list[SwarmError] = []
    room = anyio.CapacityLimiter(ghl.at_once)

    async def one(key: str) -> None:
        async with room:
            if failed:
                return
            try:
                found[key] = await ask(key)
            except SwarmError as error:
                failed.append(error)

    order = list(dict.fromkeys(keys))
    async with anyio.create_task_group() as tasks:
        for key in order:
            tasks.start_soon(one, key)
    if failed:
        raise failed[0]
    return {key: found[key] for key in order}


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────
async def find_duplicates(ghl: Ghl, email: str, phone: str) -> Duplicates:
    """Contacts that share an address or a number, each read by id."""
    if not email and not phone:
        raise Invalid("an e-mail address or a phone number is needed", field="email")
    email = read_address(email).exact if email else ""
    ids = [*(await _ids(ghl, "email", email)), *(await _ids(ghl, "phone", phone))]
    found = [
        one for raw in await read_all(ghl, ids[:MOST_DUPLICATES]) if (one := _duplicate(raw, email, phone))
    ]
    by_email = {one.id for one in found if "email" in one.matches}
    by_phone = {one.id for one in found if "phone" in one.matches}
    conflict = bool(by_email and by_phone and by_email != by_phone)
    return Duplicates(tuple(found), conflict, _advice(found, conflict=conflict))


async def _ids(ghl: Ghl, field: Literal["email", "phone"], value: str) -> list[str]:
    """What the vendor takes for the same, which shows a write at once, and what its search has of it."""
    if not value:
        return []
    at_once = await (
        ghl.api.find_duplicate(email=value) if field == "email" else ghl.api.find_duplicate(phone=value)
    )
    body = {"pageLimit": MOST_DUPLICATES, "filters": [{"field": field, "operator": "eq", "value": value}]}
    rows, _ = await ghl.api.search_contacts(body)
    return [str(raw["id"]) for raw in (at_once, *rows) if raw.get("id")]


def _duplicate(raw: Raw, email: str, phone: str) -> Duplicate | None:
    how = same(raw, email) if email else ""
    rings = bool(phone) and contacts.same_phone(raw, phone)
    if how != "secondary" and not how and not rings:
        return None
    matches: Literal["email", "secondary_email", "phone", "email_and_phone"] = (
        "email_and_phone" if how and rings else "phone" if rings else "email"
    )
    if how == "secondary" and not rings:
        matches = "secondary_email"
    shown = contacts.outline(raw)
    return Duplicate(str(raw["id"]), matches, shown.email, shown.phone, shown.blocked)


def _advice(found: list[Duplicate], *, conflict: bool) -> str:
    if conflict:
        return "Address and number belong to different contacts: a person merges them in the CRM, or tells them apart."
    if any(one.matches == "secondary_email" for one in found):
        return "The address is a contact's second one: ghl_upsert_contact updates that contact, its own address stays."
    if len(found) > 1:
        return "Several contacts share this: a person must merge them in the CRM."
    return (
        "One contact: ghl_upsert_contact updates it." if found else "Nobody: ghl_upsert_contact creates one."
    )


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────
def bound(ghl: Ghl, find: Callable[[Ghl, Effect], Awaitable[Receipt | None]]) -> Lookup:
    """A lookup as the gate takes it."""

    async def lookup(effect: Effect, /) -> Receipt | None:
        return await find(ghl, effect)

    return lookup


def version(contact: Raw) -> str:
    """The object's state: what was intended of another state is another intent."""
    if not contact:
        return "absent"
    return f"{contact.get('id')}@{contact.get('dateUpdated') or ''}:{digest(sorted(tags_of(contact)))}"


def already(contact: Raw) -> Outcome:
    """Nothing to do."""
    return Outcome("replayed", reason=ALREADY, message="it is so already", reference=str(contact["id"]))


def check_same(contact: Raw, email: str) -> None:
    """The address the gate has checked must be one of those the contact has."""
    if not contact:
        raise Invalid("there is no such contact", field="contact_id", code="not_found")
    if email and not same(contact, email):
        raise Invalid("that contact has another address", field="email", code="other_contact")


async def whose(ghl: Ghl, contact_id: str, email: str) -> tuple[str, str]:
    """Id and address; without an address the CRM's is taken, so that the gate can check it."""
    if email:
        return contact_id, read_address(email).exact
    found = await find_contact(ghl, contact_id, "")
    check_same(found, "")
    return contact_id, next(iter(addresses_of(found)), "")
