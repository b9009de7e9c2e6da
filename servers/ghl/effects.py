"""Writing contacts: every write an Effect handed to the gate, and how each is looked up when it is in doubt.

    create    (look first unless the location forbids duplicates) → POST ─ 400 duplicate → whose? (see `_taken`)
                                                                        ─ 422, time-out, 5xx → in doubt
    update    GET by id → PUT only what differs → read back → tags by their own endpoint
    upsert    create, and where the contact is there already: update

A create that answered 422 may have made the contact all the same, so it is in doubt like a lost answer. An
address that is a contact's second one means that contact: its own address is never sent, so it stays. A phone
number that another contact has is left out and named; a second contact, or a swapped one, would be worse.
"""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import anyio

from servers.ghl import contacts
from servers.ghl.access import DUPLICATE_CONTACT
from servers.ghl.account import Ghl
from servers.ghl.contacts import Change
from servers.ghl.dialect import Raw
from servers.ghl.dnd import same, why_blocked
from servers.ghl.finding import bound, check_same, find_contact
from shared.address import read_address
from shared.effect import Effect, Json, Outcome, Receipt, digest
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import Permit
from shared.ports import BatchOutcome, ContactRecord
from shared.progress import Progress

OTHER = "other_contact"


@dataclass(frozen=True, slots=True)
class Taken:
    """What the vendor's "duplicate" means: the contact of our address, and who else has our phone number."""

    contact: Raw
    phone_of: str = ""


# ── create, update, upsert ───────────────────────────────────────────────────────────────────────────────
async def create_contact(ghl: Ghl, record: ContactRecord, key: str) -> Outcome:
    """A new contact; one that is there already is adopted and left as it is."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        known = await _known(ghl, record.email)
        return _adopted(known) if known else (await _create(ghl, permit, record))[1]

    return await ghl.gate.submit(_effect("create_contact", record, key), perform, bound(ghl, find_created))


async def update_contact(ghl: Ghl, contact_id: str, record: ContactRecord, key: str) -> Outcome:
    """Bring a contact's known fields to the record; its address must be the record's."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        return await _update(ghl, permit, await ghl.api.get_contact(contact_id), record)

    effect = _effect("update_contact", record, key)
    effect = replace(effect, intent=f"{effect.intent}:{contact_id}", repeatable=True)
    return await ghl.gate.submit(effect, perform, bound(ghl, find_as_wanted))


async def upsert_contact(ghl: Ghl, record: ContactRecord, key: str) -> Outcome:
    """Create, or update the contact of that address."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        if known := await _known(ghl, record.email):
            return await _update(ghl, permit, known, record)
        there, receipt = await _create(ghl, permit, record)
        return await _update(ghl, await permit.again(), there, record) if there else receipt

    return await ghl.gate.submit(_effect("upsert_contact", record, key), perform, bound(ghl, find_as_wanted))


async def upsert_contacts(ghl: Ghl, records: Sequence[ContactRecord], key: str) -> BatchOutcome:
    """Each on its own and side by side, as far as the gate allows; those of one address in turn."""
    outcomes: dict[int, Outcome] = {}
    groups: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(record.email.strip().casefold(), []).append(index)

    # Not more at once than the gate lets out: each reserves its place in the rate limit, and what a later one
    # reserves, the reads of an earlier one would have to wait for.
    room, progress = anyio.CapacityLimiter(ghl.at_once), Progress(len(records))

    async def in_turn(indices: Sequence[int]) -> None:
        for index in indices:
            async with room:
                outcomes[index] = await outcome_of(upsert_contact(ghl, records[index], key))
            await progress.one()

    async with anyio.create_task_group() as tasks:
        for indices in groups.values():
            tasks.start_soon(in_turn, indices)
    return BatchOutcome.of([outcomes[index] for index in range(len(records))])


async def outcome_of(submitted: Awaitable[Outcome]) -> Outcome:
    """One item's error must not take the others with it."""
    try:
        return await submitted
    except SwarmError as error:
        return Outcome("failed", reason=error.code or error.kind, message=error.message)


def _normal(record: ContactRecord) -> ContactRecord:
    return replace(record, email=read_address(record.email).exact)


def _effect(action: str, record: ContactRecord, key: str) -> Effect:
    content: dict[str, Json] = asdict(record)
    return Effect(
        vendor="ghl",
        action=action,
        target=record.email,
        intent=f"contact:{record.email}:{digest(content)}",
        content=content,
        recipients=(record.email,),
        idempotency_key=key,
    )


async def _known(ghl: Ghl, email: str) -> Raw:
    """The address's contact, read by id; not asked for where the location refuses a second one by itself.

    Raises `Invalid` where the vendor takes the address for a contact that doesn't show it.
    """
    if mine := ghl.location.contacts.get(email):
        whole = await ghl.api.get_contact(mine)
        if same(whole, email):
            return whole
        ghl.location.contacts.put(email, "")
    if (await ghl.location.policy()).forbids_contacts:
        return {}
    found = await ghl.api.find_duplicate(email=email)
    whole = await ghl.api.get_contact(str(found["id"])) if found else {}
    if whole and not same(whole, email):
        raise _somebody_else()
    return whole


def _adopted(contact: Raw) -> Receipt:
    detail: dict[str, Json] = {"created": False}
    if reason := why_blocked(contact):
        detail["blocked"] = reason
    return Receipt(str(contact["id"]), detail)


# ── creating ─────────────────────────────────────────────────────────────────────────────────────────────
async def _create(ghl: Ghl, permit: Permit, record: ContactRecord) -> tuple[Raw, Receipt]:
    """Create; or the contact that the vendor says is there already, untouched."""
    left_out = await _phone_elsewhere(ghl, record)
    if left_out:
        record = replace(record, phone="")
    try:
        return {}, await _post(ghl, permit, record, left_out)
    except Invalid as refusal:
        if refusal.code != DUPLICATE_CONTACT:
            raise
        taken = await _taken(ghl, record.email, refusal)
    if taken.contact:
        return taken.contact, _adopted(taken.contact)
    return {}, await _post(ghl, await permit.again(), replace(record, phone=""), taken.phone_of)


async def _post(ghl: Ghl, permit: Permit, record: ContactRecord, phone_of: str) -> Receipt:
    terms = await ghl.location.terms()
    try:
        made = await ghl.api.create_contact(permit, contacts.creation(record, terms))
    except Invalid as refusal:
        raise _doubtful(refusal) from refusal
    contact_id, sent = str(made["id"]), contacts.sent_values(record)
    ghl.location.created.put(contact_id, record.email)
    ghl.location.contacts.put(record.email, contact_id)
    detail: dict[str, Json] = {"created": True, "after": {name: str(value) for name, value in sent.items()}}
    return Receipt(contact_id, detail | await _told(ghl, made, sent, phone_of))


async def _told(ghl: Ghl, shown: Raw, sent: Mapping[str, str | int], phone_of: str) -> dict[str, Json]:
    """What was not written: discarded by the vendor, read back where its answer doesn't show it; left out by us."""
    if "customFields" not in shown and any(name in contacts.CUSTOM for name in sent):
        shown = await ghl.api.get_contact(str(shown["id"]))
    dropped: list[Json] = list(contacts.discarded(sent, shown, await ghl.location.terms()))
    return {"discarded": dropped, **_left_out(phone_of)}


def _left_out(phone_of: str, *more: str) -> dict[str, Json]:
    """What we did not even send, and who has the number."""
    names: list[Json] = [*(["phone"] if phone_of else []), *more]
    return ({"left_out": names} if names else {}) | ({"phone_of": phone_of} if phone_of else {})


def _doubtful(refusal: Invalid) -> SwarmError:
    """A 422 was seen to leave a contact behind; any other refusal of a create is final."""
    if refusal.status != 422:
        return refusal
    message = "GoHighLevel refused a field, and may have made the contact all the same"
    return InDoubt(message, code="unprocessable", status=422, body=refusal.body)


async def _phone_elsewhere(ghl: Ghl, record: ContactRecord) -> str:
    """Who else has the number, where the location would not mind; "" where nobody does, or the vendor watches."""
    if not record.phone or (await ghl.location.policy()).forbids_contacts:
        return ""
    found = await ghl.api.find_duplicate(phone=record.phone)
    return str(found["id"]) if found and not same(found, record.email) else ""


async def _taken(ghl: Ghl, email: str, refusal: Invalid) -> Taken:
    """Whom a "duplicate" names. Only somebody with our address is adopted; raises `Invalid` for anybody else.

    `meta` may be absent, and names whom the location's first rule found: by phone perhaps, not by address.
    """
    meta = refusal.body.get("meta") if isinstance(refusal.body, Mapping) else None
    meta = meta if isinstance(meta, Mapping) else {}
    named = await ghl.api.get_contact(str(meta["contactId"])) if meta.get("contactId") else {}
    if same(named, email):
        return Taken(named)
    ours = await ghl.api.find_duplicate(email=email)
    if ours.get("id") and ours.get("id") != named.get("id"):
        ours = await ghl.api.get_contact(str(ours["id"]))
    if same(ours, email):
        return Taken(ours)
    if named and not ours and meta.get("matchingField") != "email":
        return Taken({}, str(named["id"]))
    raise _somebody_else()


def _somebody_else() -> Invalid:
    message = (
        "GoHighLevel takes this address for another contact's; nothing was written; see ghl_find_duplicates"
    )
    return Invalid(message, field="email", code=OTHER)


# ── updating ─────────────────────────────────────────────────────────────────────────────────────────────
async def _update(ghl: Ghl, permit: Permit, current: Raw, record: ContactRecord) -> Receipt:
    check_same(current, record.email)
    contact_id, terms = str(current["id"]), await ghl.location.terms()
    ghl.location.contacts.put(record.email, contact_id)
    phone_of = await _phone_elsewhere(ghl, record) if record.phone != str(current.get("phone") or "") else ""
    change = contacts.change(replace(record, phone="") if phone_of else record, current, terms)
    detail: dict[str, Json] = {"created": False, "matched": same(current, record.email)}
    if change.body:
        change, told, phone_of = await _put(ghl, permit, contact_id, change, phone_of)
        detail |= told
    if change.tags:
        await ghl.api.add_tags(await permit.again() if change.body else permit, contact_id, change.tags)
    # The vendor takes a company at creation only.
    company = ["company"] if record.company not in {"", str(current.get("companyName") or "")} else []
    detail |= {"before": dict(change.before), "after": dict(change.after), "tags_added": list(change.tags)}
    detail |= _left_out(phone_of, *company)
    if reason := why_blocked(current):
        detail["blocked"] = reason
    return Receipt(contact_id, detail)


async def _put(
    ghl: Ghl, permit: Permit, contact_id: str, change: Change, phone_of: str
) -> tuple[Change, dict[str, Json], str]:
    """Send the change and read back; a phone that turns out to be another contact's is taken out of it.

    Returns what was sent, what was not stored, and who else has the phone.
    """
    try:
        shown = await ghl.api.update_contact(permit, contact_id, change.body)
    except Invalid as refusal:
        if refusal.code != DUPLICATE_CONTACT or "phone" not in change.after:
            raise
        phone_of, change = _named(refusal) or "another", contacts.without(change, "phone")
        if not change.body:
            return change, {"discarded": []}, phone_of
        shown = await ghl.api.update_contact(await permit.again(), contact_id, change.body)
    return change, await _told(ghl, {"id": contact_id, **shown}, change.after, phone_of), phone_of


def _named(refusal: Invalid) -> str:
    """The contact that a refusal names, if it does."""
    meta = refusal.body.get("meta") if isinstance(refusal.body, Mapping) else None
    return str(meta.get("contactId") or "") if isinstance(meta, Mapping) else ""


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────
async def find_created(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A create is there when the address has a contact; this lookup does not lag as search does."""
    found = await ghl.api.find_duplicate(email=str(effect.content["email"]))
    return Receipt(str(found["id"]), {"found": True}) if found.get("id") else None


async def find_as_wanted(ghl: Ghl, effect: Effect) -> Receipt | None:
    """An update is there when nothing is left to change."""
    record = recorded(effect)
    current = await find_contact(ghl, "", record.email)
    if not current:
        return None
    change = contacts.change(record, current, await ghl.location.terms())
    return None if change.body or change.tags else Receipt(str(current["id"]), {"found": True})


def recorded(effect: Effect) -> ContactRecord:
    """The contact an effect was made of."""
    content = dict(effect.content)
    return ContactRecord(**{**content, "tags": texts(content.get("tags"))})  # type: ignore[arg-type]  # our own asdict


def texts(value: Json) -> tuple[str, ...]:
    """A list of an effect's content, as it came back from the ledger."""
    return tuple(str(part) for part in value) if isinstance(value, (list, tuple)) else ()
