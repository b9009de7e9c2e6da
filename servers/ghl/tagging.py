"""Tags, one contact or many: by their own endpoints, since an update would replace them all.

many    read each by id → one request per hundred → `errorCount` and every row looked at ─ a row says error → failed
                                                                                        ─ no word of it  → in doubt
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import anyio

from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import DNC_TAG, fold, tags_of
from servers.ghl.effects import texts
from servers.ghl.finding import ALREADY, already, bound, check_same, find_contact, version
from shared.effect import Effect, Json, Outcome, Receipt, digest
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import Ended, Permit
from shared.ports import BatchOutcome, Email, Text
from shared.progress import Progress

Tags = frozenset[str]


@dataclass(frozen=True, slots=True)
class Person:
    """A contact by id or address; with both, the contact must have the address."""

    contact_id: Text = ""
    email: Email = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for one contact, and the contact as it is."""

    contact: Raw
    effect: Effect


async def tag_contact(
    ghl: Ghl, contact_id: str, email: str, add: Sequence[str], remove: Sequence[str], key: str
) -> Outcome:
    """Add and remove tags. The do-not-contact tag can't be removed: nothing here loosens an opt-out."""
    wanted, unwanted = fold(add), fold(remove)
    check_tags(wanted, unwanted)
    found = await find_contact(ghl, contact_id, email)
    if found and is_tagged(found, wanted, unwanted):
        return already(found)
    effect = _effect(contact_id, email, found, wanted, unwanted, key)
    email = str(effect.content["email"])

    async def perform(permit: Permit) -> Receipt:
        current = found or await find_contact(ghl, contact_id, email)
        check_same(current, email)
        return await _tag(ghl, permit, current, wanted, unwanted)

    return await ghl.gate.submit(effect, perform, bound(ghl, find_tagged))


def _effect(
    contact_id: str, email: str, found: Raw, wanted: Tags, unwanted: Tags, key: str, kind: str = ""
) -> Effect:
    email = email or str(found.get("email") or "")
    content: dict[str, Json] = {
        "contact_id": contact_id,
        "email": email,
        "add": list[Json](sorted(wanted)),
        "remove": list[Json](sorted(unwanted)),
    }
    return Effect(
        vendor="ghl",
        action="tag_contact",
        target=email or contact_id,
        intent=f"tags:{digest(content)}:{version(found)}{kind}",
        content=content,
        recipients=(email,) if email else (),
        repeatable=True,
        idempotency_key=f"{key}{kind}" if key else "",
    )


async def _tag(ghl: Ghl, permit: Permit, current: Raw, wanted: Tags, unwanted: Tags) -> Receipt:
    contact_id, has = str(current["id"]), tags_of(current)
    missing, spare = sorted(wanted - has), sorted(unwanted & has)
    if missing:
        await ghl.api.add_tags(permit, contact_id, missing)
    if spare:
        await ghl.api.remove_tags(await permit.again() if missing else permit, contact_id, spare)
    return Receipt(contact_id, {"tags_added": list(missing), "tags_removed": list(spare)})


def check_tags(wanted: Tags, unwanted: Tags) -> None:
    """Raises `Invalid` for what makes no sense, and for lifting an opt-out."""
    if DNC_TAG in unwanted:
        raise Invalid("only a person lifts a do-not-contact mark, in the CRM", field="remove", code="dnc")
    if wanted & unwanted:
        raise Invalid("the same tag is to be added and removed", field="remove")
    if not wanted and not unwanted:
        raise Invalid("no tag is given", field="add")


def is_tagged(contact: Raw, wanted: Tags, unwanted: Tags) -> bool:
    """Whether there is nothing to do."""
    has = tags_of(contact)
    return wanted <= has and not unwanted & has


# ── many ─────────────────────────────────────────────────────────────────────────────────────────────────
async def tag_contacts(
    ghl: Ghl, people: Sequence[Person], add: Sequence[str], remove: Sequence[str], key: str
) -> BatchOutcome:
    """The same tags on many contacts: one outcome each, in order; one that fails leaves the others alone."""
    wanted, unwanted = fold(add), fold(remove)
    check_tags(wanted, unwanted)
    progress = Progress(len(people))
    read = await _read(ghl, people, progress)
    outcomes: dict[int, Outcome] = {n: one for n, one in read.items() if isinstance(one, Outcome)}
    for kind, tags in (("add", wanted), ("remove", unwanted)):
        going = {
            n: one for n, one in read.items() if not isinstance(one, Outcome) and _going(outcomes.get(n))
        }
        for number, outcome in (await _all_of_a_kind(ghl, going, kind, tags, key)).items():
            outcomes[number] = _both(outcomes.get(number), outcome)
    return BatchOutcome.of([outcomes[n] for n in range(len(people))])


def _going(so_far: Outcome | None) -> bool:
    """Whether removing may follow: not where adding went wrong."""
    return so_far is None or so_far.done or so_far.status == "simulated"


def _both(adding: Outcome | None, removing: Outcome) -> Outcome:
    """One word for the two: what was already so says nothing of the other."""
    if adding is None or adding.reason == ALREADY:
        return removing
    if removing.reason == ALREADY:
        return adding
    return replace(removing, detail={**adding.detail, **removing.detail})


async def _read(ghl: Ghl, people: Sequence[Person], progress: Progress) -> dict[int, Raw | Outcome]:
    """Each as it is now, or why not; somebody named twice is tagged once."""
    found: dict[int, Raw | Outcome] = {}
    room = anyio.CapacityLimiter(ghl.at_once)

    async def one(number: int, person: Person) -> None:
        async with room:
            try:
                contact = await find_contact(ghl, person.contact_id, person.email)
                check_same(contact, person.email)
                found[number] = contact
            except SwarmError as error:
                found[number] = Outcome("failed", reason=error.code or error.kind, message=error.message)
        await progress.one()

    async with anyio.create_task_group() as tasks:
        for number, person in enumerate(people):
            tasks.start_soon(one, number, person)
    return found


async def _all_of_a_kind(
    ghl: Ghl, going: Mapping[int, Raw], kind: str, tags: Tags, key: str
) -> dict[int, Outcome]:
    """Add, or remove, everywhere; those where it is so already are left alone."""
    if not tags:
        return {}
    add, remove = (tags, Tags()) if kind == "add" else (Tags(), tags)
    done = {n: already(one) for n, one in going.items() if is_tagged(one, add, remove)}
    wishes: dict[str, Wish] = {}
    places: dict[int, str] = {}
    for number, contact in going.items():
        if number not in done:
            effect = _effect(str(contact["id"]), "", contact, add, remove, key, f":{kind}")
            wishes.setdefault(effect.key, Wish(contact, effect))
            places[number] = effect.key
    ended: dict[str, Outcome] = {}
    keys = list(wishes)
    for start in range(0, len(keys), ghl.options.tags_per_request):
        part = {one: wishes[one] for one in keys[start : start + ghl.options.tags_per_request]}
        ended |= await _submit(ghl, part, kind, tags)
    return done | {number: ended[one] for number, one in places.items()}


async def _submit(ghl: Ghl, part: Mapping[str, Wish], kind: str, tags: Tags) -> dict[str, Outcome]:
    async def perform_many(permits: Mapping[str, Permit]) -> Ended:
        ids = {key: str(part[key].contact["id"]) for key in permits}
        permit = next(iter(permits.values()))
        answer = await ghl.api.tag_many(permit, kind, list(ids.values()), sorted(tags))
        word = "tags_added" if kind == "add" else "tags_removed"
        return judged(ids, answer, {word: list[Json](sorted(tags))})

    effects = [wish.effect for wish in part.values()]
    ended = await ghl.gate.submit_batch(effects, perform_many, bound(ghl, find_tagged))
    return {effect.key: outcome for effect, outcome in zip(effects, ended, strict=True)}


def judged(
    ids: Mapping[str, str], answer: Raw, detail: Mapping[str, Json]
) -> dict[str, Receipt | SwarmError]:
    """Key → receipt or error, by the rows of an answer that is 201 whatever happened.

    A contact without a row was done only if the vendor counts no error at all and names nobody.
    """
    rows = {str(row.get("contactId")): row for row in answer["responses"] if isinstance(row, Mapping)}
    clean = not rows and answer.get("errorCount") == 0
    ended: dict[str, Receipt | SwarmError] = {}
    for key, contact_id in ids.items():
        said = str(rows.get(contact_id, {}).get("type") or ("success" if clean else ""))
        if said == "success":
            ended[key] = Receipt(contact_id, detail)
        elif said == "error":
            ended[key] = Invalid("GoHighLevel refused to tag this contact", field="people", code="not_tagged")
        else:
            ended[key] = InDoubt("GoHighLevel's answer does not tell about this contact", code="unconfirmed")
    return ended


async def find_tagged(ghl: Ghl, effect: Effect) -> Receipt | None:
    """Tags are there when adding and removing would change nothing."""
    content = effect.content
    found = await find_contact(ghl, str(content["contact_id"]), str(content["email"]))
    wanted, unwanted = fold(texts(content["add"])), fold(texts(content["remove"]))
    return (
        Receipt(str(found["id"]), {"found": True}) if found and is_tagged(found, wanted, unwanted) else None
    )
