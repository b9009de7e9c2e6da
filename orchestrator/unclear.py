"""What may be an opt-out, inside a longer text or in words no rule knows: held at once; a person reads and decides.

    held ─ confirmed   ─▶ on the list, stopped everywhere          (by whoever may put somebody on it)
         ─ taken back  ─▶ may be written to again, by a new plan   (by a person alone; no tool does)

Holding is no entry of the list, so taking back takes nobody off it who opted out by another word.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from orchestrator import stops
from orchestrator.accounts import need
from orchestrator.identity import addresses_of
from orchestrator.rules import Trigger
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import handoff, reply
from shared.telemetry import logger

log = logger("unclear")
TRIGGER: Trigger = "opt_out_to_confirm"
CONFIRMED, TAKEN_BACK = "confirmed: they asked to be left alone", "taken back"


def hold_in(kernel: Kernel, connection: sa.Connection, addresses: Iterable[str], now: datetime) -> None:
    """In the caller's transaction: nothing goes to any of these any more until somebody has decided."""
    for address in addresses:
        try:
            kernel.suppression.hold_in(connection, address, source="reply")
        except Invalid as error:
            log.warning("unclear.unreadable", code=error.code)
            continue
        stops.halt_in(connection, address, TRIGGER, now)


def decides(row: sa.Row[tuple[object, ...]]) -> bool:
    """Whether this handoff is about somebody who is held, so that it is decided instead of closed."""
    return bool(row.held) or row.trigger == TRIGGER


async def confirm(kernel: Kernel, handoff_id: str, *, person: Person) -> int:
    """It is an opt-out: on the list, and stopped everywhere. Returns for how many addresses."""
    need(person, "suppress")

    def change(connection: sa.Connection) -> int:
        row, addresses = _waiting(connection, handoff_id)
        for address in addresses:
            said = {"reason": "unsubscribe", "source": "reply", "actor": person.name}
            stops.suppress_in(kernel, connection, address, lead_id=row.lead_id, **said)
            kernel.suppression.let_go_in(connection, address, actor=person.name, reason=CONFIRMED)
        _close(kernel, connection, handoff_id, person, CONFIRMED)
        return len(addresses)

    return await kernel.store.write(change)


async def take_back(kernel: Kernel, handoff_id: str, *, person: Person, reason: str) -> int:
    """It is none: they may be planned for again. Returns for how many addresses. `Invalid` without a reason."""
    need(person, "approve")
    why = " ".join(clean(reason).split())[:500]
    if not why:
        raise Invalid("say why this is no opt-out", field="reason", code="no_reason")

    def change(connection: sa.Connection) -> int:
        _, addresses = _waiting(connection, handoff_id)
        for address in addresses:
            kernel.suppression.let_go_in(connection, address, actor=person.name, reason=why)
        _close(kernel, connection, handoff_id, person, f"{TAKEN_BACK}: {why}")
        return len(addresses)

    return await kernel.store.write(change)


def _waiting(
    connection: sa.Connection, handoff_id: str
) -> tuple[sa.Row[tuple[object, ...]], tuple[str, ...]]:
    """The handoff and every address it is about. Raises `Invalid`, or `Conflict` for one that was decided."""
    row = connection.execute(sa.select(handoff).where(handoff.c.id == handoff_id)).one_or_none()
    if row is None or not decides(row):
        raise Invalid("no opt-out waits under this name", field="handoff_id", code="not_found")
    if row.state == "closed":
        raise Conflict(f"{row.closed_by} has decided this before", code="closed")
    written = sa.select(reply.c.email).where(reply.c.event_id == row.event_id)
    email = connection.execute(written).scalar() or ""
    return row, addresses_of(connection, email, str(row.lead_id)) if email or row.lead_id else ()


def _close(kernel: Kernel, connection: sa.Connection, handoff_id: str, person: Person, how: str) -> None:
    now, untaken = iso(kernel.clock.now()), handoff.c.acknowledged_by == ""
    values: dict[str, Any] = {"state": "closed", "closed_by": person.name, "closed_at": now, "note": how}
    values["acknowledged_by"] = sa.case((untaken, person.name), else_=handoff.c.acknowledged_by)
    values["acknowledged_at"] = sa.case((untaken, now), else_=handoff.c.acknowledged_at)
    connection.execute(sa.update(handoff).where(handoff.c.id == handoff_id).values(values))
    payload: dict[str, Json] = {"person": person.name, "told_by": "", "note": how}
    append(connection, [Entry("handoff.closed", handoff_id, payload, person.name)], kernel.clock.now())
