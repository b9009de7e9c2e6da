"""Giving checkpoints away: to witnesses as soon as there is a newer one, to our own people now and then.

Files got theirs when it was signed. A witness that shows another history of this log means that somebody rewrote it:
then nothing may be done outside before a person has looked, so the kill switch goes on.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
import sqlalchemy as sa

from shared import places
from shared.clock import iso
from shared.errors import SwarmError
from shared.kernel import Kernel
from shared.places import Place
from shared.schema import audit_checkpoint
from shared.telemetry import logger
from shared.witnesses import Forked

log = logger("publishing")
Send = Callable[[str, str], Awaitable[None]]  # subject, text
SEND_SECONDS = 10.0
RETRY_MINUTES = 5.0  # after a channel that didn't take it
FORKED = "a witness holds another history of the audit log: somebody rewrote it, or put an old copy back"
WORDS = (
    "The audit log has {size} entries, and this is its signed head. Keep this message: with it, anybody can prove "
    "whether entries up to here were changed or cut off later (tools/verify_audit.py --held).\n\n{note}"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """The newest checkpoint."""

    size: int
    note: str


async def work(kernel: Kernel, channels: Mapping[str, Send]) -> None:
    """One round. Raises `Forked`, after the kill switch went on."""
    try:
        await kernel.witnesses.give()
    except Forked:
        safety = await kernel.switches.now()
        if not safety.killed:
            await kernel.switches.kill(actor="audit", reason=FORKED)
            await kernel.audit.try_checkpoint("kill")
        raise
    finally:
        await tell(kernel, channels)


async def tell(kernel: Kernel, channels: Mapping[str, Send]) -> None:
    """Send the newest checkpoint to each channel that is due."""
    newest = await kernel.store.read(_newest)
    known = await kernel.store.read(places.all_places)
    minutes = kernel.settings.safety.checkpoints.tell_minutes
    for name, send in channels.items():
        if newest and minutes and is_due(known.get(name), newest.size, minutes, kernel.clock.now()):
            problem = await _send(send, newest)
            await _note(kernel, name, newest.size, problem)


def is_due(place: Place | None, size: int, minutes: float, now: datetime) -> bool:
    """Whether a channel is told now: it lacks the newest checkpoint, and the last message is long enough ago."""
    if place is None:
        return True
    pause = RETRY_MINUTES if place.problem else minutes
    return place.size < size and place.tried_at <= iso(now - timedelta(minutes=pause))


async def _send(send: Send, newest: Signed) -> str:
    """The kind of error, empty where the channel took it."""
    try:
        with anyio.fail_after(SEND_SECONDS):
            text = WORDS.format(size=newest.size, note=newest.note)
            await send(f"[alpha-swarm] audit log: {newest.size} entries", text)
    except Exception as error:  # noqa: BLE001 - whatever a channel does wrong is shown on its place
        kind = error.code or error.kind if isinstance(error, SwarmError) else type(error).__name__
        log.warning("checkpoint.not_told", kind=kind)
        return kind
    return ""


async def _note(kernel: Kernel, name: str, size: int, problem: str) -> None:
    now = kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        if problem:
            places.failed(connection, name, problem, now, outside=True)
        else:
            places.given(connection, name, size, now, outside=True)

    await kernel.store.write(change)


def _newest(connection: sa.Connection) -> Signed | None:
    query = sa.select(audit_checkpoint.c.size, audit_checkpoint.c.note)
    row = connection.execute(query.order_by(audit_checkpoint.c.size.desc()).limit(1)).one_or_none()
    return Signed(row.size, row.note) if row and row.size else None
