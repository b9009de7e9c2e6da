"""Do not contact: tag and e-mail DND on every contact that has the address, read back. Nothing here lifts one.

Allowed while all else is stopped. A contact that has the address as its second one is marked as well.
"""

from collections.abc import Sequence

from servers.ghl.account import Ghl
from servers.ghl.dialect import Raw
from servers.ghl.dnd import DNC_TAG, closing, marked, reopened
from servers.ghl.finding import all_of, bound, version
from shared.address import read_address
from shared.effect import Effect, Json, Outcome, Receipt, digest
from shared.errors import InDoubt
from shared.gate import Permit


async def set_dnc(ghl: Ghl, email: str, reason: str, key: str) -> Outcome:
    """Mark everyone of the address; done when reading back shows tag and DND."""
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
    done: list[Json] = []
    lost: list[Json] = []
    for contact in open_ones:
        contact_id = str(contact["id"])
        await ghl.api.add_tags(await permit.again() if done else permit, contact_id, [DNC_TAG])
        await ghl.api.update_contact(
            await permit.again(), contact_id, closing(contact, reason, ghl.api.dialect)
        )
        now = await ghl.api.get_contact(contact_id)
        if not marked(now):
            raise InDoubt("GoHighLevel does not show the do-not-contact mark", code="unconfirmed")
        lost += reopened(contact, now)
        done.append(contact_id)
    detail: dict[str, Json] = {"marked": done, "absent": not done}
    return Receipt(str(done[0]) if done else "", detail | ({"reopened": lost} if lost else {}))


async def _unmarked(ghl: Ghl, email: str) -> list[Raw] | None:
    """The address's contacts that may still be written to; None when it has no contact at all."""
    every = await all_of(ghl, email)
    return [c for c in every if not marked(c)] if every else None


async def find_dnc(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A mark is there when no contact of the address is without it."""
    left = await _unmarked(ghl, str(effect.content["email"]))
    return None if left else Receipt("", {"found": True, "absent": left is None})
