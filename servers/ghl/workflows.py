"""Starting a workflow for a contact: a send, so a person approves it, it is tried once, and doubt is a person's.

approved ─ read by id ─ DND, DNC or a suppressed address ─▶ failed: nothing was sent
                      └ POST, once ─ done ─▶ applied
                                   └ answer lost ─▶ in doubt: nothing can be asked, and a second try might write twice
"""

from dataclasses import dataclass, replace

from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import addresses_of, sentence, why_blocked
from servers.ghl.finding import check_same, find_contact
from shared.address import read_address
from shared.effect import Effect, Json, Outcome, Receipt
from shared.errors import Invalid
from shared.gate import Permit

PUBLISHED = "published"
WANTING = frozenset({"needs_approval", "approval_expired", "approval_mismatch"})


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow of the location. Only a published one runs."""

    id: str
    name: str
    status: str


async def list_workflows(ghl: Ghl) -> tuple[Workflow, ...]:
    """All workflows."""
    return tuple(_read(raw) for raw in await ghl.api.workflows())


def _read(raw: Raw) -> Workflow:
    return Workflow(*(str(raw.get(name) or "") for name in ("id", "name", "status")))


async def trigger_workflow(
    ghl: Ghl, contact_id: str, email: str, workflow_id: str, channel: str, approval: str, key: str
) -> Outcome:
    """Start a workflow for one contact, once."""
    if email:
        email = read_address(email).exact
    found = await find_contact(ghl, contact_id, email)
    check_same(found, email)
    _refuse_blocked(found, channel)
    addresses = addresses_of(found)
    content: dict[str, Json] = {
        "contact_id": str(found["id"]),
        "email": email or next(iter(addresses), ""),
        "workflow_id": workflow_id,
        "channel": channel,
    }
    effect = Effect(
        vendor="ghl",
        action="trigger_workflow",
        target=str(content["email"]) or str(found["id"]),
        intent=f"workflow:{workflow_id}:{found['id']}",
        content=content,
        recipients=addresses,
        approval=approval,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        await _check_workflow(ghl, workflow_id)
        await _check_person(ghl, str(found["id"]), effect)
        await ghl.api.add_to_workflow(permit, str(found["id"]), workflow_id)
        return Receipt(str(found["id"]), {"workflow_id": workflow_id})

    return await ghl.gate.submit(effect, perform)


def with_next_step(outcome: Outcome) -> Outcome:
    """The outcome, and for one that wants a person's yes how that is given."""
    if outcome.reason not in WANTING:
        return outcome
    how = f"A person reads and approves it with `swarm effects approve {outcome.key[:16]}`; then call again with that."
    return replace(outcome, message=f"{outcome.message} {how}")


async def _check_workflow(ghl: Ghl, workflow_id: str) -> None:
    """Raises `Invalid` for one that isn't there or is a draft: what the vendor does with a draft is unknown."""
    status = {one.id: one.status for one in await list_workflows(ghl)}.get(workflow_id)
    if status is None:
        raise Invalid(
            "there is no such workflow; ghl_list_workflows lists them", field="workflow_id", code="not_found"
        )
    if status.casefold() != PUBLISHED:
        raise Invalid("this workflow is not published", field="workflow_id", code="not_published")


async def _check_person(ghl: Ghl, contact_id: str, effect: Effect) -> None:
    """The contact as it is this moment: its marks, and every address it has got since the gate looked."""
    now = await ghl.api.get_contact(contact_id)
    check_same(now, str(effect.content["email"]))
    _refuse_blocked(now, str(effect.content["channel"]))
    addresses = addresses_of(now)
    if not set(addresses) <= set(effect.recipients) and await ghl.suppression.refused(addresses):
        raise Invalid(
            "an address of this contact is on the do-not-contact list", field="contact_id", code="suppressed"
        )


def _refuse_blocked(contact: Raw, channel: str) -> None:
    if reason := why_blocked(contact, channel):
        message = f"the CRM says that this person may not be written to: {sentence(reason)}"
        raise Invalid(message, field="contact_id", code=reason)
