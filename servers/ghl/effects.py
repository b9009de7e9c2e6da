"""Every write to contacts, each an Effect handed to the gate, and how each is looked up when it is in doubt.

    create    (look first unless the location forbids duplicates) → POST ─ 400 duplicate → adopt that contact
                                                                        ─ 422, time-out, 5xx → in doubt
    update    GET by id → PUT only what differs → tags by their own endpoint
    upsert    create, and where the contact is there already: update
    tags      POST and DELETE on the contact's tags: a PUT would replace them all, so none carries tags
    dnc       tag and e-mail DND on every contact of the address, read back; allowed while all else is stopped

A create that answered 422 may have made the contact all the same, so it is in doubt like a lost answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, replace

import anyio

from servers.ghl import contacts
from servers.ghl.account import Ghl
from servers.ghl.api import DUPLICATE_CONTACT, Raw
from shared.address import read_address
from shared.effect import Effect, Json, Outcome, Receipt, digest
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import Lookup, Permit
from shared.ports import BatchOutcome, ContactRecord


# ── create, update, upsert ───────────────────────────────────────────────────────────────────────────────
async def create_contact(ghl: Ghl, record: ContactRecord, key: str) -> Outcome:
    """A new contact; one that is there already is adopted and left as it is."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        known = await _known(ghl, record.email)
        return Receipt(known, {"created": False}) if known else await _create(ghl, permit, record)

    return await ghl.gate.submit(_effect("create_contact", record, key), perform, bound(ghl, find_created))


async def update_contact(ghl: Ghl, contact_id: str, record: ContactRecord, key: str) -> Outcome:
    """Bring a contact's known fields to the record; its address must be the record's."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        return await _update(ghl, permit, contact_id, record)

    effect = _effect("update_contact", record, key)
    effect = replace(effect, intent=f"{effect.intent}:{contact_id}", repeatable=True)
    return await ghl.gate.submit(effect, perform, bound(ghl, find_as_wanted))


async def upsert_contact(ghl: Ghl, record: ContactRecord, key: str) -> Outcome:
    """Create, or update the contact of that address."""
    record = _normal(record)

    async def perform(permit: Permit) -> Receipt:
        if known := await _known(ghl, record.email):
            return await _update(ghl, permit, known, record)
        receipt = await _create(ghl, permit, record)
        if receipt.detail["created"]:
            return receipt
        return await _update(ghl, await permit.again(), receipt.reference, record)

    return await ghl.gate.submit(_effect("upsert_contact", record, key), perform, bound(ghl, find_as_wanted))


async def upsert_contacts(ghl: Ghl, records: Sequence[ContactRecord], key: str) -> BatchOutcome:
    """Each on its own and side by side, as far as the gate allows; those of one address in turn."""
    outcomes: dict[int, Outcome] = {}
    groups: dict[str, list[int]] = {}
    for index, record in enumerate(records):
        groups.setdefault(record.email.strip().casefold(), []).append(index)

    # Not more at once than the gate lets out: each reserves its place in the rate limit, and what a later one
    # reserves, the reads of an earlier one would have to wait for.
    room = anyio.CapacityLimiter(ghl.at_once)

    async def in_turn(indices: Sequence[int]) -> None:
        for index in indices:
            async with room:
                outcomes[index] = await _outcome(upsert_contact(ghl, records[index], key))

    async with anyio.create_task_group() as tasks:
        for indices in groups.values():
            tasks.start_soon(in_turn, indices)
    return BatchOutcome.of([outcomes[index] for index in range(len(records))])


async def _outcome(submitted: Awaitable[Outcome]) -> Outcome:
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


async def _known(ghl: Ghl, email: str) -> str:
    """The id of the address's contact; not asked for where the location refuses a second one by itself."""
    if (await ghl.location.policy()).forbids_contacts:
        return ""
    found = await ghl.api.find_duplicate(email)
    return str(found["id"]) if contacts.same_address(found, email) else ""


async def _create(ghl: Ghl, permit: Permit, record: ContactRecord) -> Receipt:
    """Create, or name the contact that the vendor says is there already."""
    fields = await ghl.location.fields()
    try:
        made = await ghl.api.create_contact(permit, contacts.creation(record, fields))
    except Invalid as refusal:
        if refusal.code != DUPLICATE_CONTACT:
            raise _doubtful(refusal) from refusal
        return Receipt(await _duplicate_of(ghl, record.email, refusal), {"created": False})
    missing: list[Json] = list(contacts.not_stored(record, made, fields))
    return Receipt(str(made["id"]), {"created": True, "not_stored": missing})


def _doubtful(refusal: Invalid) -> SwarmError:
    """A 422 was seen to leave a contact behind; any other refusal of a create is final."""
    if refusal.status != 422:
        return refusal
    message = "GoHighLevel refused a field, and may have made the contact all the same"
    return InDoubt(message, code="unprocessable", status=422, body=refusal.body)


async def _duplicate_of(ghl: Ghl, email: str, refusal: Invalid) -> str:
    """Who the vendor says is there already; only someone with the same address is adopted."""
    meta = refusal.body.get("meta") if isinstance(refusal.body, Mapping) else None
    named = str(meta.get("contactId") or "") if isinstance(meta, Mapping) else ""
    found = await (ghl.api.get_contact(named) if named else ghl.api.find_duplicate(email))
    if not contacts.same_address(found, email):
        message = "another contact has this phone number; nothing was written"
        raise Invalid(message, field="phone", code="other_contact")
    return str(found["id"])


async def _update(ghl: Ghl, permit: Permit, contact_id: str, record: ContactRecord) -> Receipt:
    current, fields = await ghl.api.get_contact(contact_id), await ghl.location.fields()
    _check_same(current, record.email)
    change = contacts.change(record, current, fields)
    missing: list[Json] = []
    if change.body:
        shown = await ghl.api.update_contact(permit, contact_id, change.body)
        missing = list(contacts.not_stored(record, shown, fields, change.changed))
    if change.tags:
        await ghl.api.add_tags(await permit.again() if change.body else permit, contact_id, change.tags)
    detail: dict[str, Json] = {"created": False, "changed": list(change.changed), "before": change.before}
    return Receipt(contact_id, {**detail, "tags_added": list(change.tags), "not_stored": missing})


def _check_same(contact: Raw, email: str) -> None:
    """The address the gate has checked must be the one that is written about."""
    if not contact:
        raise Invalid("there is no such contact", field="contact_id", code="not_found")
    if email and not contacts.same_address(contact, email):
        raise Invalid("that contact has another address", field="email", code="other_contact")


# ── tags ─────────────────────────────────────────────────────────────────────────────────────────────────
async def tag_contact(
    ghl: Ghl, contact_id: str, email: str, add: Sequence[str], remove: Sequence[str], key: str
) -> Outcome:
    """Add and remove tags. The do-not-contact tag can't be removed: nothing here loosens an opt-out."""
    wanted, unwanted = contacts.fold(add), contacts.fold(remove)
    _check_tags(wanted, unwanted)
    found = await find_contact(ghl, contact_id, email)
    if found and _tagged(found, wanted, unwanted):
        return _already(found)
    email = email or str(found.get("email") or "")
    content: dict[str, Json] = {
        "contact_id": contact_id,
        "email": email,
        "add": list[Json](sorted(wanted)),
        "remove": list[Json](sorted(unwanted)),
    }
    effect = Effect(
        vendor="ghl",
        action="tag_contact",
        target=email or contact_id,
        intent=f"tags:{digest(content)}:{version(found)}",
        content=content,
        recipients=(email,) if email else (),
        repeatable=True,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        current = found or await find_contact(ghl, contact_id, email)
        _check_same(current, email)
        return await _tag(ghl, permit, current, wanted, unwanted)

    return await ghl.gate.submit(effect, perform, bound(ghl, find_tagged))


async def _tag(
    ghl: Ghl, permit: Permit, current: Raw, wanted: frozenset[str], unwanted: frozenset[str]
) -> Receipt:
    contact_id, has = str(current["id"]), contacts.tags_of(current)
    missing, spare = sorted(wanted - has), sorted(unwanted & has)
    if missing:
        await ghl.api.add_tags(permit, contact_id, missing)
    if spare:
        await ghl.api.remove_tags(await permit.again() if missing else permit, contact_id, spare)
    return Receipt(contact_id, {"added": list(missing), "removed": list(spare)})


def _check_tags(wanted: frozenset[str], unwanted: frozenset[str]) -> None:
    if contacts.DNC_TAG in unwanted:
        raise Invalid("only a person lifts a do-not-contact mark, in the CRM", field="remove", code="dnc")
    if wanted & unwanted:
        raise Invalid("the same tag is to be added and removed", field="remove")
    if not wanted and not unwanted:
        raise Invalid("no tag is given", field="add")


def _tagged(contact: Raw, wanted: frozenset[str], unwanted: frozenset[str]) -> bool:
    has = contacts.tags_of(contact)
    return wanted <= has and not unwanted & has


# ── do not contact ───────────────────────────────────────────────────────────────────────────────────────
async def set_dnc(ghl: Ghl, email: str, reason: str, key: str) -> Outcome:
    """Tag and e-mail DND on every contact of the address; done when reading back shows both."""
    email = read_address(email).exact
    open_ones = await _unmarked(ghl, email)
    if open_ones == []:
        return Outcome("replayed", reason="already", message="do-not-contact is set already")
    content: dict[str, Json] = {"email": email, "reason": reason}
    effect = Effect(
        vendor="ghl",
        action="set_dnc",
        target=email,
        intent=f"dnc:{digest(content)}:{','.join(version(c) for c in open_ones or ())}",
        content=content,
        recipients=(email,),
        repeatable=True,
        stops=True,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        return await _mark(ghl, permit, open_ones or await _unmarked(ghl, email) or [], reason)

    return await ghl.gate.submit(effect, perform, bound(ghl, find_dnc))


async def _mark(ghl: Ghl, permit: Permit, open_ones: Sequence[Raw], reason: str) -> Receipt:
    marked: list[Json] = []
    for contact in open_ones:
        contact_id = str(contact["id"])
        await ghl.api.add_tags(await permit.again() if marked else permit, contact_id, [contacts.DNC_TAG])
        await ghl.api.update_contact(await permit.again(), contact_id, contacts.dnd_body(contact, reason))
        if not contacts.marked(await ghl.api.get_contact(contact_id)):
            raise InDoubt("GoHighLevel does not show the do-not-contact mark", code="unconfirmed")
        marked.append(contact_id)
    return Receipt(str(marked[0]) if marked else "", {"marked": marked, "absent": not marked})


async def _unmarked(ghl: Ghl, email: str) -> list[Raw] | None:
    """The address's contacts that may still be written to; None when it has no contact at all."""
    every = await _all_of(ghl, email)
    return [c for c in every if not contacts.marked(c)] if every else None


async def _all_of(ghl: Ghl, email: str) -> list[Raw]:
    """Where duplicates are allowed, an address may have several contacts; the first look shows one."""
    first = await ghl.api.find_duplicate(email)
    body = {"pageLimit": 100, "filters": [{"field": "email", "operator": "eq", "value": email}]}
    rows, _ = await ghl.api.search_contacts(body)
    ids = {
        str(row["id"]): None for row in (first, *rows) if row.get("id") and contacts.same_address(row, email)
    }
    whole = [await ghl.api.get_contact(contact_id) for contact_id in ids]
    return [contact for contact in whole if contact]


# ── looking up ───────────────────────────────────────────────────────────────────────────────────────────
async def find_contact(ghl: Ghl, contact_id: str, email: str) -> Raw:
    """By id, else by address; empty when there is none."""
    if contact_id:
        return await ghl.api.get_contact(contact_id)
    if not email:
        raise Invalid("an id or an e-mail address is needed", field="contact_id")
    found = await ghl.api.find_duplicate(read_address(email).exact)
    return await ghl.api.get_contact(str(found["id"])) if found.get("id") else {}


def version(contact: Raw) -> str:
    """The object's state: what was intended of another state is another intent."""
    if not contact:
        return "absent"
    return (
        f"{contact.get('id')}@{contact.get('dateUpdated') or ''}:{digest(sorted(contacts.tags_of(contact)))}"
    )


def _already(contact: Raw) -> Outcome:
    return Outcome("replayed", reason="already", message="it is so already", reference=str(contact["id"]))


def bound(ghl: Ghl, find: Callable[[Ghl, Effect], Awaitable[Receipt | None]]) -> Lookup:
    """A lookup as the gate takes it."""

    async def lookup(effect: Effect, /) -> Receipt | None:
        return await find(ghl, effect)

    return lookup


async def find_created(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A create is there when the address has a contact; this lookup does not lag."""
    found = await ghl.api.find_duplicate(str(effect.content["email"]))
    return Receipt(str(found["id"]), {"found": True}) if found.get("id") else None


async def find_as_wanted(ghl: Ghl, effect: Effect) -> Receipt | None:
    """An update is there when nothing is left to change."""
    record = recorded(effect)
    current = await find_contact(ghl, "", record.email)
    if not current:
        return None
    change = contacts.change(record, current, await ghl.location.fields())
    return None if change.body or change.tags else Receipt(str(current["id"]), {"found": True})


async def find_tagged(ghl: Ghl, effect: Effect) -> Receipt | None:
    """Tags are there when adding and removing would change nothing."""
    content = effect.content
    found = await find_contact(ghl, str(content["contact_id"]), str(content["email"]))
    wanted, unwanted = contacts.fold(_texts(content["add"])), contacts.fold(_texts(content["remove"]))
    return Receipt(str(found["id"]), {"found": True}) if found and _tagged(found, wanted, unwanted) else None


async def find_dnc(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A mark is there when no contact of the address is without it."""
    left = await _unmarked(ghl, str(effect.content["email"]))
    return None if left else Receipt("", {"found": True, "absent": left is None})


def recorded(effect: Effect) -> ContactRecord:
    """The contact an effect was made of."""
    content = dict(effect.content)
    return ContactRecord(**{**content, "tags": _texts(content.get("tags"))})  # type: ignore[arg-type]  # our own asdict


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(str(part) for part in value) if isinstance(value, (list, tuple)) else ()
