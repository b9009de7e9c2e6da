"""Pausing a mailbox at Instantly, and letting it send again; each an Effect handed to the gate.

    active ─ pause (always) ─▶ paused ─ resume (approved, and only what was paused here) ─▶ active

A paused account sends for no campaign. What stopped for another reason (a lost connection, say) isn't paused, and only
a pause that the account shows is believed. Who paused it stands in the ledger: one that somebody had paused at
Instantly before stays so.
"""

from collections.abc import Mapping
from typing import Any

from servers.instantly.account import Instantly
from servers.instantly.api import InstantlyApi
from servers.instantly.effects import MAY_BE_HELD, VENDOR
from servers.instantly.views import MAILBOX_STATUS, number_of
from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import Permit

PAUSE, RESUME = "pause_mailbox", "resume_mailbox"
PAUSED = MAILBOX_STATUS[2]


async def pause_mailbox(instantly: Instantly, mailbox: str, reason: str) -> Outcome:
    """Have it send nothing more, and believe it when the account shows it."""
    address = mailbox.strip().lower()
    was = _status(await instantly.api.mailbox(address))
    effect = Effect(
        vendor=VENDOR,
        action=PAUSE,
        target=_target(address),
        intent=f"mailbox:{address}:pause:{iso(instantly.clock.now())}",
        content={"mailbox": address, "reason": reason, "was": was},
        repeatable=True,
        stops=True,
    )

    async def perform(permit: Permit) -> Receipt:
        refused = await _refused_pause(instantly.api, permit, address)
        if found := await find_paused(instantly, effect):
            return found
        raise refused or InDoubt("Instantly doesn't show the mailbox as paused", code="not_confirmed")

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_paused(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


async def _refused_pause(api: InstantlyApi, permit: Permit, address: str) -> SwarmError | None:
    """Pause; a refusal or a lost answer matters only if the account turns out not to be paused."""
    try:
        await api.pause_mailbox(permit, address)
    except (Invalid, InDoubt) as error:
        return error
    return None


async def find_paused(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a mailbox whose pause was in doubt is paused."""
    address = str(effect.content["mailbox"])
    return _receipt(address, PAUSED) if _status(await instantly.api.mailbox(address)) == PAUSED else None


async def resume_mailbox(instantly: Instantly, mailbox: str, approval: str, idempotency_key: str) -> Outcome:
    """Let it send again, by the yes of whoever cleared what stopped it; fails for one that wasn't paused here."""
    address = mailbox.strip().lower()
    effect = Effect(
        vendor=VENDOR,
        action=RESUME,
        target=_target(address),
        intent=f"mailbox:{address}:resume:{approval}",
        content={"mailbox": address},
        repeatable=True,
        approval=approval,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        await _refuse_foreign(instantly, effect)
        if _status(await instantly.api.mailbox(address)) == PAUSED:
            await instantly.api.resume_mailbox(permit, address)
        if found := await find_resumed(instantly, effect):
            return found
        raise InDoubt("Instantly still shows the mailbox as paused", code="not_confirmed")

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_resumed(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


async def _refuse_foreign(instantly: Instantly, effect: Effect) -> None:
    """`Invalid` unless a pause of ours, of what wasn't paused before, came after the last time it was resumed."""
    rows = await instantly.ledger.list(vendor=VENDOR, target=effect.target, actions=(PAUSE, RESUME))
    for row in rows:
        if row.effect.action == RESUME and row.status == "applied":
            break
        if row.effect.action == PAUSE and row.status in MAY_BE_HELD and row.effect.content["was"] != PAUSED:
            return
    raise Invalid("this mailbox wasn't paused here; resume it in Instantly", field="mailbox", code="not_ours")


async def find_resumed(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a mailbox whose resume was in doubt isn't paused any more."""
    address = str(effect.content["mailbox"])
    status = _status(await instantly.api.mailbox(address))
    return None if status == PAUSED else _receipt(address, status)


def _receipt(address: str, status: str) -> Receipt:
    return Receipt(address, {"status": status})


def _status(account: Mapping[str, Any]) -> str:
    return MAILBOX_STATUS.get(number_of(account, "status", 1_000), "unknown")


def _target(address: str) -> str:
    """As the vendor names it. An address alone would be somebody who is written to."""
    return f"accounts/{address}"
