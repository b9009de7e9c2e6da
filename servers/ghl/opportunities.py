"""Every write to opportunities, each an Effect handed to the gate. One opportunity per contact and pipeline.

    create  (look first unless the location forbids duplicates) → POST ─ 400 duplicate → adopt that one
    move    find the contact's opportunity → PUT pipeline and stage

Search shows a new opportunity only seconds later, so those made here are remembered meanwhile.
"""

from servers.ghl import account
from servers.ghl.access import DUPLICATE_OPPORTUNITY
from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.finding import bound, find_contact, whose
from shared.effect import Effect, Json, Outcome, Receipt, digest
from shared.errors import Conflict, InDoubt, Invalid, Retryable
from shared.gate import Permit
from shared.ports import Pipeline


async def create_opportunity(
    ghl: Ghl, contact_id: str, email: str, name: str, stage: str, value_usd: int, key: str
) -> Outcome:
    """One opportunity; one that is there is adopted as it is, whatever its stage and value."""
    contact_id, email = await whose(ghl, contact_id, email)
    content: dict[str, Json] = {
        "pipeline": ghl.options.pipeline,
        "contact_id": contact_id,
        "email": email,
        "name": name,
        "stage": stage,
        "value_usd": value_usd,
    }
    effect = Effect(
        vendor="ghl",
        action="create_opportunity",
        target=email or contact_id,
        intent=f"opportunity:{ghl.options.pipeline}",
        content=content,
        recipients=(email,) if email else (),
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        return await _create(ghl, permit, effect)

    try:
        return await ghl.gate.submit(effect, perform, bound(ghl, find_opportunity))
    except Conflict:
        return await _adopted(ghl, effect)


async def _adopted(ghl: Ghl, effect: Effect) -> Outcome:
    """It was made before with another name, stage or value: that one stands, if the vendor shows it."""
    found = await find_opportunity(ghl, effect)
    if found is None:
        message = "this contact's opportunity was asked for before with other content"
        raise Conflict(message, field="idempotency_key", code="conflict")
    return Outcome("replayed", reason="already", message="the contact has one", reference=found.reference)


async def _create(ghl: Ghl, permit: Permit, effect: Effect) -> Receipt:
    content = effect.content
    pipeline = await ghl.location.pipeline()
    stage = account.stage_id(pipeline, str(content["stage"]))
    contact_id = await _contact_id(ghl, effect)
    if await _must_look(ghl, contact_id):
        present = await _present(ghl, contact_id)
        if present:
            return _receipt(ghl, contact_id, str(present["id"]), created=False)
    body: dict[str, Json] = {
        "pipelineId": pipeline.id,
        "pipelineStageId": stage,
        "name": content["name"],
        "status": "open",
        "contactId": contact_id,
    }
    if content["value_usd"]:
        body["monetaryValue"] = content["value_usd"]
    try:
        made = await ghl.api.create_opportunity(permit, body)
    except Invalid as refusal:
        return _receipt(ghl, contact_id, _existing(refusal), created=False)
    return _receipt(ghl, contact_id, str(made["id"]), created=True)


async def _must_look(ghl: Ghl, contact_id: str) -> bool:
    """Not where the vendor refuses a second one by itself, nor for a contact that was made here and has none yet."""
    if ghl.location.created.get(contact_id) and not ghl.location.opportunities.get(contact_id):
        return False
    return not (await ghl.location.policy()).forbids_opportunities


def _existing(refusal: Invalid) -> str:
    """The id in the refusal of a duplicate; any other refusal goes on its way."""
    body = refusal.body if isinstance(refusal.body, dict) else {}
    existing = str((body.get("meta") or {}).get("existingId") or "")
    if refusal.code != DUPLICATE_OPPORTUNITY or not existing:
        raise refusal
    return existing


def _receipt(ghl: Ghl, contact_id: str, opportunity_id: str, *, created: bool) -> Receipt:
    ghl.location.opportunities.put(contact_id, opportunity_id)
    return Receipt(opportunity_id, {"created": created, "contact_id": contact_id})


async def move_opportunity(
    ghl: Ghl, contact_id: str, email: str, stage: str, key: str, *, only_forward: bool = False
) -> Outcome:
    """The contact's opportunity to that stage of our pipeline; `only_forward`: never back, and no closed one."""
    contact_id, email = await whose(ghl, contact_id, email)
    pipeline = await ghl.location.pipeline()
    stage_id = account.stage_id(pipeline, stage)
    found = await _of_contact(ghl, contact_id, email)
    if found and (
        found.get("pipelineStageId") == stage_id or (only_forward and _beyond(pipeline, found, stage_id))
    ):
        message = "it stands there already, or further on"
        return Outcome("replayed", reason="already", message=message, reference=str(found["id"]))
    content: dict[str, Json] = {"contact_id": contact_id, "email": email, "stage": stage}
    effect = Effect(
        vendor="ghl",
        action="move_opportunity",
        target=email or contact_id,
        intent=f"move:{digest(content)}:{_version(found)}",
        content=content,
        recipients=(email,) if email else (),
        repeatable=True,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        current = found or await _of_contact(ghl, contact_id, email)
        return await _move(ghl, permit, current, stage_id)

    return await ghl.gate.submit(effect, perform, bound(ghl, find_moved))


async def _move(ghl: Ghl, permit: Permit, found: Raw, stage_id: str) -> Receipt:
    if not found:
        raise Retryable("the contact has no opportunity, or search does not show it yet", retry_after=10)
    body: dict[str, Json] = {"pipelineId": found["pipelineId"], "pipelineStageId": stage_id}
    moved = await ghl.api.update_opportunity(permit, str(found["id"]), body)
    if moved.get("pipelineStageId") != stage_id:
        raise InDoubt("GoHighLevel does not show the new stage", code="unconfirmed")
    detail: dict[str, Json] = {
        "contact_id": _contact_of(found),
        "before": {"stage": str(found.get("pipelineStageId") or "")},
        "after": {"stage": stage_id},
    }
    return Receipt(str(found["id"]), detail)


def _beyond(pipeline: Pipeline, found: Raw, stage_id: str) -> bool:
    """Whether somebody took it further than that, or closed it."""
    order = [stage.id for stage in pipeline.stages]
    stands = str(found.get("pipelineStageId") or "")
    further = stands in order and order.index(stands) > order.index(stage_id)
    return further or str(found.get("status") or "open") != "open"


def _contact_of(opportunity: Raw) -> str:
    return str(opportunity.get("contactId") or (opportunity.get("contact") or {}).get("id") or "")


async def _contact_id(ghl: Ghl, effect: Effect) -> str:
    contact_id = str(effect.content["contact_id"])
    if contact_id:
        return contact_id
    found = await find_contact(ghl, "", str(effect.content["email"]))
    if not found:
        raise Invalid("there is no contact of that address", field="email", code="not_found")
    return str(found["id"])


async def _present(ghl: Ghl, contact_id: str) -> Raw:
    """The contact's opportunity in our pipeline; empty when there is none, or none to be seen yet."""
    pipeline = await ghl.location.pipeline()
    remembered = ghl.location.opportunities.get(contact_id)
    if remembered:
        found = await ghl.api.get_opportunity(remembered)
        if found:
            return found
    rows = await ghl.api.search_opportunities(contact_id, pipeline.id)
    return await ghl.api.get_opportunity(str(rows[0]["id"])) if rows else {}


async def _of_contact(ghl: Ghl, contact_id: str, email: str) -> Raw:
    """As `_present`, by address where no id is given; empty also when there is no such contact."""
    found = {"id": contact_id} if contact_id else await find_contact(ghl, "", email)
    return await _present(ghl, str(found["id"])) if found.get("id") else {}


def _version(opportunity: Raw) -> str:
    if not opportunity:
        return "absent"
    return (
        f"{opportunity['id']}@{opportunity.get('updatedAt') or ''}:{opportunity.get('pipelineStageId') or ''}"
    )


async def find_opportunity(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A create is there when the contact has an opportunity in our pipeline."""
    found = await _of_contact(ghl, str(effect.content["contact_id"]), str(effect.content["email"]))
    return Receipt(str(found["id"]), {"found": True}) if found else None


async def find_moved(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A move is there when the opportunity stands in the stage."""
    found = await _of_contact(ghl, str(effect.content["contact_id"]), str(effect.content["email"]))
    stage = account.stage_id(await ghl.location.pipeline(), str(effect.content["stage"]))
    return Receipt(str(found["id"]), {"found": True}) if found.get("pipelineStageId") == stage else None
