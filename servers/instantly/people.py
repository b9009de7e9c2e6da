"""Every change to a person at Instantly, each an Effect: enrolled with approved words, taken out, blocked.

An import answers 200 and counts what it skipped, without saying who: whoever is not among the created is
looked up, and counts as enrolled only if the campaign holds them with exactly our words.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from servers.instantly import drafts
from servers.instantly.account import Instantly, refuse_simulated
from servers.instantly.api import Page, every
from servers.instantly.effects import VENDOR, find_campaign
from servers.instantly.views import number_of, text_of
from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt, canonical
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import MAX_BATCH, Ended, Permit
from shared.ports import BatchOutcome, Enrollment, Message

MAX_BLOCKED = 1_000
PAGE = 100
# The counts of an import's answer, and what each means for those who were not created.
SKIPPED: Mapping[str, tuple[str, str]] = {
    "in_blocklist": ("blocklisted", "the address is on Instantly's block list"),
    "invalid_email_count": ("invalid_email", "Instantly takes the address for invalid"),
    "duplicated_leads": ("already_enrolled", "the person is in this campaign already, with other words"),
    "skipped_count": ("in_another_campaign", "the person is in another campaign already"),
    "duplicate_email_count": ("duplicate_email", "the address stands twice in one import"),
    "incomplete_count": ("incomplete", "Instantly takes the person for incomplete"),
}
ItemT = TypeVar("ItemT")
NOT_ADDED = ("not_added", "Instantly skipped the person and did not say why")


async def add_leads(
    instantly: Instantly,
    campaign_ref: str,
    enrollments: Sequence[Enrollment],
    approval: str,
    idempotency_key: str,
) -> BatchOutcome:
    """Enrol each person on their own approval: one effect per person, one request per few hundred."""
    effects = [_enrolment(one, approval, idempotency_key) for one in enrollments]
    unique = {effect.key: effect for effect in effects}
    if any(unique[effect.key].fingerprint != effect.fingerprint for effect in effects):
        raise Invalid("a person stands there twice with different words", field="enrollments")
    people = {effect.key: one for effect, one in zip(effects, enrollments, strict=True)}
    outcomes: dict[str, Outcome] = {}

    async def perform_many(permits: Mapping[str, Permit]) -> Ended:
        return await _enrol(instantly, campaign_ref, {key: people[key] for key in permits}, permits)

    async def lookup(effect: Effect) -> Receipt | None:
        refuse_simulated(campaign_ref)
        return await _find_in(instantly, campaign_ref, effect)

    for part in _parts(list(unique.values()), MAX_BATCH):
        ended = await instantly.gate.submit_batch(part, perform_many, lookup)
        outcomes |= {effect.key: outcome for effect, outcome in zip(part, ended, strict=True)}
    return BatchOutcome.of([outcomes[effect.key] for effect in effects])


def _enrolment(enrollment: Enrollment, approval: str, idempotency_key: str) -> Effect:
    """The effect of enrolling one person; its content is what was approved, to the letter."""
    return Effect(
        vendor=VENDOR,
        action="add_lead",
        target=enrollment.email,
        intent=f"campaign:{enrollment.campaign_id}:lead:{enrollment.lead_id}",
        content=json.loads(canonical(enrollment)),
        recipients=(enrollment.email,),
        campaign=enrollment.campaign_id,
        approval=approval,
        idempotency_key=f"{idempotency_key}:{enrollment.lead_id}" if idempotency_key else "",
    )


async def _enrol(
    instantly: Instantly, ref: str, people: Mapping[str, Enrollment], permits: Mapping[str, Permit]
) -> Ended:
    """Check everyone against the campaign as it is, then import in parts. A part in doubt is left out."""
    refuse_simulated(ref)
    campaign = await instantly.api.campaign(ref)
    ended: dict[str, Receipt | SwarmError] = {}
    fit: list[str] = []
    for key, one in people.items():
        code, message = drafts.words_problem(one, campaign)
        if code:
            ended[key] = Invalid(message, field="enrollments", code=code)
        else:
            fit.append(key)
    for part in _parts(fit, instantly.options.leads_per_request):
        chosen = {key: people[key] for key in part}
        ended |= await _import(instantly, ref, chosen, permits[part[0]])
    return ended


async def _import(
    instantly: Instantly, ref: str, people: Mapping[str, Enrollment], permit: Permit
) -> dict[str, Receipt | SwarmError]:
    """One request for many people: who was created, who was there already, who was skipped and why."""
    keys = list(people)
    try:
        leads = [drafts.lead_body(people[key]) for key in keys]
        summary = await instantly.api.add_leads(permit, ref, leads)
    except InDoubt:
        return {}
    except SwarmError as error:
        return dict.fromkeys(keys, error)
    ended: dict[str, Receipt | SwarmError] = {
        keys[index]: Receipt(text_of(one, "id"))
        for one in summary["created_leads"]
        if isinstance(one, Mapping) and 0 <= (index := number_of(one, "index")) < len(keys)
    }
    left = {key: people[key] for key in keys if key not in ended}
    return ended | await _left_out(instantly, ref, left, summary)


async def _left_out(
    instantly: Instantly, ref: str, left: Mapping[str, Enrollment], summary: Mapping[str, Any]
) -> dict[str, Receipt | SwarmError]:
    """Those not created: enrolled already with these very words, or skipped; else in doubt."""
    code, message = _why(summary)
    ended: dict[str, Receipt | SwarmError] = {}
    for part in _parts(list(left), PAGE):
        try:
            held = await _held(instantly, ref, [left[key].email for key in part])
        except SwarmError:
            continue
        for key in part:
            lead = held.get(left[key].email.lower())
            same = lead is not None and drafts.holds_words(lead, drafts.custom_variables(left[key]))
            skipped = Invalid(message, field="enrollments", code=code)
            ended[key] = Receipt(text_of(lead, "id"), {"already": True}) if lead and same else skipped
    return ended


def _why(summary: Mapping[str, Any]) -> tuple[str, str]:
    """The reason, if all were skipped for the same one: the answer counts reasons without naming people."""
    counted = [told for name, told in SKIPPED.items() if number_of(summary, name, 0) > 0]
    return counted[0] if len(counted) == 1 else NOT_ADDED


async def _held(instantly: Instantly, ref: str, emails: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The campaign's leads with these addresses (at most 100), by address."""

    async def page(cursor: str) -> Page:
        return await instantly.api.leads(emails, ref, cursor)

    return {text_of(lead, "email").lower(): lead async for lead in every(page)}


async def _find_in(instantly: Instantly, ref: str, effect: Effect) -> Receipt | None:
    """Whether the campaign holds the person with exactly these words."""
    enrollment = _enrollment(effect)
    lead = (await _held(instantly, ref, [enrollment.email])).get(enrollment.email.lower())
    if lead is None or not drafts.holds_words(lead, drafts.custom_variables(enrollment)):
        return None
    return Receipt(text_of(lead, "id"))


async def find_lead(instantly: Instantly, effect: Effect) -> Receipt | None:
    """The same, from the ledger alone: the campaign is found by its unique name."""
    campaign = await find_campaign(instantly.api, str(effect.content["campaign_id"]))
    return None if campaign is None else await _find_in(instantly, text_of(campaign, "id"), effect)


def _enrollment(effect: Effect) -> Enrollment:
    """The enrollment that an effect's content was made of."""
    content: dict[str, Any] = dict(effect.content)
    content["messages"] = tuple(Message(**message) for message in content["messages"])
    return Enrollment(**content)


async def remove_lead(instantly: Instantly, email: str, reason: str, idempotency_key: str) -> Outcome:
    """Delete the person from every campaign, one by one, until a search finds them nowhere."""
    effect = Effect(
        vendor=VENDOR,
        action="remove_lead",
        target=email,
        intent=f"lead:{email}:remove:{iso(instantly.clock.now())}",
        content={"email": email, "reason": reason},
        recipients=(email,),
        repeatable=True,
        stops=True,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        leads = await leads_of(instantly, email)
        for number, lead in enumerate(leads):
            permit = permit if number == 0 else await permit.again()
            await _delete(instantly, permit, text_of(lead, "id"))
        if leads and await leads_of(instantly, email):
            raise InDoubt("Instantly still shows the person in a campaign", code="not_confirmed")
        return Receipt(email, {"removed": len(leads)})

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_removed(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


async def leads_of(instantly: Instantly, email: str) -> list[Mapping[str, Any]]:
    """The person's leads in all campaigns."""

    async def page(cursor: str) -> Page:
        return await instantly.api.leads([email], cursor=cursor)

    return [lead async for lead in every(page) if text_of(lead, "email").lower() == email.lower()]


async def _delete(instantly: Instantly, permit: Permit, ref: str) -> None:
    """Delete one lead; one that is gone already is as wanted. A lost answer is made good by the search after."""
    try:
        await instantly.api.delete_lead(permit, ref)
    except (Invalid, InDoubt) as error:
        if isinstance(error, Invalid) and error.status != 404:
            raise


async def find_removed(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a person whose removal was in doubt is in no campaign any more."""
    email = str(effect.content["email"])
    return None if await leads_of(instantly, email) else Receipt(email, {"removed": 0})


async def add_to_blocklist(
    instantly: Instantly, values: Sequence[str], reason: str, idempotency_key: str
) -> Outcome:
    """Block addresses or domains, and believe it when the list shows each."""
    wanted = tuple(dict.fromkeys(value.strip().lower() for value in values if value.strip()))
    if not 1 <= len(wanted) <= MAX_BLOCKED:
        raise Invalid(f"give 1 to {MAX_BLOCKED} addresses or domains", field="values")
    effect = Effect(
        vendor=VENDOR,
        action="add_to_blocklist",
        target=wanted[0] if len(wanted) == 1 else f"{len(wanted)} values",
        intent=f"blocklist:{iso(instantly.clock.now())}",
        content={"values": list(wanted), "reason": reason},
        repeatable=True,
        stops=True,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        answer = await _block(instantly, permit, wanted)
        told = {
            text_of(one, "bl_value").lower() for one in answer.get("items") or () if isinstance(one, Mapping)
        }
        missing = [value for value in wanted if value not in told and not await is_blocked(instantly, value)]
        if missing:
            raise InDoubt(
                f"Instantly's block list does not show {len(missing)} of them", code="not_confirmed"
            )
        return Receipt(f"{len(wanted)} blocked", {"values": len(wanted)})

    async def lookup(doubtful: Effect) -> Receipt | None:
        return await find_blocked(instantly, doubtful)

    return await instantly.gate.submit(effect, perform, lookup)


async def _block(instantly: Instantly, permit: Permit, values: Sequence[str]) -> Mapping[str, Any]:
    """The answer to blocking, or nothing if it was lost: the list is read back either way."""
    try:
        return await instantly.api.block(permit, values)
    except InDoubt:
        return {}


async def is_blocked(instantly: Instantly, value: str) -> bool:
    """Whether the block list has exactly this address or domain."""

    async def page(cursor: str) -> Page:
        return await instantly.api.blocklist(cursor, value)

    async for entry in every(page):
        if text_of(entry, "bl_value").lower() == value:
            return True
    return False


async def find_blocked(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether all values of a block whose answer was lost are on the list."""
    values = effect.content["values"]
    for value in values if isinstance(values, Sequence) else ():
        if not await is_blocked(instantly, str(value)):
            return None
    return Receipt("blocked")


def _parts(items: Sequence[ItemT], size: int) -> Iterator[list[ItemT]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
