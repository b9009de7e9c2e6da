"""What stops a person at Instantly: taken out of every campaign, and put on the block list. Always allowed.

Neither is enough alone: whether a block-list entry stops a sequence that is running is documented nowhere, and who is
only taken out may be imported again. Each is believed when the vendor shows it, and repeated until it does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import anyio

from servers.instantly.account import Instantly
from servers.instantly.api import Page, every
from servers.instantly.effects import VENDOR
from servers.instantly.people import leads_of
from servers.instantly.views import number_of, text_of
from shared.address import ascii_domain, read_address
from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import Permit

MAX_BLOCKED = 1_000
SEARCHES_AT_ONCE = 8
DOMAIN = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


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


# ── the block list ───────────────────────────────────────────────────────────────────────────────────────
async def add_to_blocklist(
    instantly: Instantly, values: Sequence[str], reason: str, idempotency_key: str
) -> Outcome:
    """Block addresses or domains, and believe it when the list shows each."""
    wanted = tuple(dict.fromkeys(_readable(value) for value in values))
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
        told = {text_of(one, "bl_value").lower() for one in _items(answer)}
        missing = await _not_shown(instantly, [value for value in wanted if value not in told])
        if missing and number_of(answer, "invalid_count", 0) >= len(missing):
            message = (
                f"Instantly takes {len(missing)} of {len(wanted)} values for invalid; the others are blocked"
            )
            raise Invalid(message, field="values", code="invalid_values")
        if missing:
            raise InDoubt(
                f"Instantly's block list does not show {len(missing)} of them", code="not_confirmed"
            )
        return Receipt(f"{len(wanted)} blocked", {"values": len(wanted)})

    async def lookup(doubtful: Effect) -> Receipt | None:
        return await find_blocked(instantly, doubtful)

    return await instantly.gate.submit(effect, perform, lookup)


def _readable(value: str) -> str:
    """An address or a domain in the form that the list shows. Raises `Invalid` for anything else."""
    try:
        if "@" in value:
            return read_address(value).exact
        domain = ascii_domain(value.strip().strip("."))
    except Invalid as error:
        raise Invalid("each must be an address or a domain", field="values", code=error.code) from error
    if not DOMAIN.fullmatch(domain):
        raise Invalid("each must be an address or a domain", field="values", code="not_a_domain")
    return domain


async def _block(instantly: Instantly, permit: Permit, values: Sequence[str]) -> Mapping[str, Any]:
    """The answer to blocking, or nothing if it was lost: the list is read back either way."""
    try:
        return await instantly.api.block(permit, values)
    except InDoubt:
        return {}


def _items(answer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Entries that were made now; what stood on the list before isn't among them."""
    items = answer.get("items")
    return (one for one in items if isinstance(one, Mapping)) if isinstance(items, list) else iter(())


async def _not_shown(instantly: Instantly, values: Sequence[str]) -> list[str]:
    """Those of the values that the block list doesn't have, a few searches at a time. Raises what one raised."""
    missing: list[str] = []
    failed: list[SwarmError] = []
    room = anyio.CapacityLimiter(SEARCHES_AT_ONCE)

    async def look(value: str) -> None:
        async with room:
            try:
                if not failed and not await is_blocked(instantly, value):
                    missing.append(value)
            except SwarmError as error:
                failed.append(error)

    async with anyio.create_task_group() as tasks:
        for value in values:
            tasks.start_soon(look, value)
    if failed:
        raise failed[0]
    return missing


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
    wanted = [str(value) for value in values] if isinstance(values, Sequence) else []
    return None if await _not_shown(instantly, wanted) else Receipt("blocked")
