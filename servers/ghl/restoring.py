"""Putting back what a run changed: only what still stands as we left it. Nothing is deleted, no opt-out lifted.

field    as we wrote it ─▶ what stood there before      ─ somebody changed it since ─▶ kept, and named
tag      added by us and still there ─▶ removed         ─ the do-not-contact tag stays
stage    as we set it ─▶ where it was                   ─ moved since ─▶ kept
"""

from collections.abc import Sequence
from dataclasses import dataclass

from servers.ghl import contacts
from servers.ghl.account import Ghl
from servers.ghl.contacts import Change, Terms
from servers.ghl.dialect import Raw
from servers.ghl.dnd import DNC_TAG, fold, tags_of
from servers.ghl.finding import bound, check_same
from shared.address import read_address
from shared.effect import Effect, Json, Outcome, Receipt
from shared.errors import InDoubt, Invalid
from shared.gate import Permit
from shared.ports import FieldChange


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be put back, and what somebody changed since."""

    change: Change
    tags: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is nothing left to do."""
        return not self.change.body and not self.tags


async def restore_contact(
    ghl: Ghl,
    contact_id: str,
    email: str,
    changes: Sequence[FieldChange],
    tags: Sequence[str],
    undoes: str,
    key: str,
) -> Outcome:
    """Put fields back and take off tags, each only if it still is as the undone write left it."""
    email = read_address(email).exact
    found = await ghl.api.get_contact(contact_id)
    check_same(found, email)
    plan = planned(found, changes, tags, await ghl.location.terms())
    if plan.nothing:
        reason = "changed_since" if plan.kept else "already"
        return Outcome("replayed", reason=reason, reference=contact_id, detail={"kept": list(plan.kept)})
    content: dict[str, Json] = {
        "contact_id": contact_id,
        "email": email,
        "fields": {one.field: [one.was, one.now] for one in changes},
        "tags": list[Json](sorted(fold(tags))),
    }
    effect = Effect(
        vendor="ghl",
        action="restore_contact",
        target=email,
        intent=f"restore:{undoes}",
        content=content,
        recipients=(email,),
        repeatable=True,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        return await _restore(ghl, permit, contact_id, changes, tags)

    return await ghl.gate.submit(effect, perform, bound(ghl, find_restored))


async def _restore(
    ghl: Ghl, permit: Permit, contact_id: str, changes: Sequence[FieldChange], tags: Sequence[str]
) -> Receipt:
    terms = await ghl.location.terms()
    plan = planned(await ghl.api.get_contact(contact_id), changes, tags, terms)
    if plan.change.body:
        await ghl.api.update_contact(permit, contact_id, plan.change.body)
    if plan.tags:
        await ghl.api.remove_tags(await permit.again() if plan.change.body else permit, contact_id, plan.tags)
    now = contacts.values(await ghl.api.get_contact(contact_id), terms)
    refused: list[Json] = [name for name, value in plan.change.after.items() if now.get(name) != value]
    detail: dict[str, Json] = {
        "restored": [name for name in plan.change.after if name not in refused],
        "not_restored": refused,
        "tags_removed": list(plan.tags),
        "kept": list(plan.kept),
    }
    return Receipt(contact_id, detail)


def planned(contact: Raw, changes: Sequence[FieldChange], tags: Sequence[str], terms: Terms) -> Plan:
    """Field by field: as we left it goes back, anything else is somebody's and stays."""
    stored = contacts.values(contact, terms)
    ours = {one.field: one.was for one in changes if one.field in stored and stored[one.field] == one.now}
    kept = tuple(one.field for one in changes if one.field not in ours and stored.get(one.field) != one.was)
    spare = (fold(tags) & tags_of(contact)) - {DNC_TAG}
    return Plan(contacts.replacing(ours, contact, terms), tuple(sorted(spare)), kept)


async def find_restored(ghl: Ghl, effect: Effect) -> Receipt | None:
    """It is put back when nothing is left to put back."""
    content = effect.content
    contact_id, fields, tags = str(content["contact_id"]), content["fields"], content["tags"]
    assert isinstance(fields, dict)
    assert isinstance(tags, list)
    changes = [FieldChange(name, str(pair[0]), str(pair[1])) for name, pair in fields.items()]
    found = await ghl.api.get_contact(contact_id)
    plan = planned(found, changes, [str(tag) for tag in tags], await ghl.location.terms())
    return Receipt(contact_id, {"found": True, "kept": list(plan.kept)}) if plan.nothing else None


# ── a stage ──────────────────────────────────────────────────────────────────────────────────────────────
async def restore_stage(
    ghl: Ghl, opportunity_id: str, email: str, was: str, now: str, undoes: str, key: str
) -> Outcome:
    """Move an opportunity back, if it still stands where the undone move put it. Stages by their ids."""
    if not was:
        raise Invalid("where it stood before isn't known", field="was")
    found = await ghl.api.get_opportunity(opportunity_id)
    stands = str(found.get("pipelineStageId") or "")
    if stands != now:
        reason = "already" if stands == was else "changed_since"
        return Outcome("replayed", reason=reason, reference=opportunity_id, detail={"kept": ["stage"]})
    content: dict[str, Json] = {"opportunity_id": opportunity_id, "email": email, "was": was, "now": now}
    effect = Effect(
        vendor="ghl",
        action="restore_stage",
        target=email or opportunity_id,
        intent=f"restore:{undoes}",
        content=content,
        recipients=(email,) if email else (),
        repeatable=True,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        body: dict[str, Json] = {"pipelineId": str(found["pipelineId"]), "pipelineStageId": was}
        moved = await ghl.api.update_opportunity(permit, opportunity_id, body)
        if moved.get("pipelineStageId") != was:
            raise InDoubt("GoHighLevel does not show the stage", code="unconfirmed")
        return Receipt(opportunity_id, {"restored": ["stage"]})

    return await ghl.gate.submit(effect, perform, bound(ghl, find_stage))


async def find_stage(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A stage is put back when the opportunity stands in it."""
    found = await ghl.api.get_opportunity(str(effect.content["opportunity_id"]))
    there = found.get("pipelineStageId") == effect.content["was"]
    return Receipt(str(found["id"]), {"found": True}) if there else None
