"""Handoffs: what a person has to take up, who took it, and when it is done.

    pending ─ acknowledged ─▶ acknowledged ─ closed ─▶ closed

An agent may only say that a person took one: it names somebody who can log in, so that no alarm is silenced by
nobody. What the law or somebody's anger is behind is closed by people themselves.
"""

from typing import Literal

import sqlalchemy as sa

from orchestrator import unclear
from orchestrator.rules import Rules
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import handoff
from shared.schema import account

AGENT = "agent"
TAKING = ("ae", "operator", "admin")
Step = Literal["acknowledged", "closed"]


async def acknowledge(kernel: Kernel, handoff_id: str, *, by: str, told_by: str = "") -> bool:
    """Somebody has taken it. True if nobody had before. Raises `Invalid`, or `Conflict` for a closed one."""

    def change(connection: sa.Connection) -> bool:
        row = _row(connection, handoff_id)
        if row.state == "closed":
            raise Conflict(f"this handoff was closed by {row.closed_by}", code="closed")
        if row.state == "acknowledged":
            return False
        _set(kernel, connection, row, "acknowledged", _person(connection, by, told_by), told_by)
        return True

    return await kernel.store.write(change)


async def close(
    kernel: Kernel, rules: Rules, handoff_id: str, *, by: str, note: str, told_by: str = ""
) -> bool:
    """It is done. True if it was open. Raises `Invalid` for who may not say so."""

    def change(connection: sa.Connection) -> bool:
        row = _row(connection, handoff_id)
        if row.state == "closed":
            return False
        if unclear.decides(row):
            message = "this may be an opt-out: a person confirms it or takes it back, in the Gatekeeper"
            raise Invalid(message, field="handoff_id", code="people_only")
        if told_by == AGENT and row.trigger in rules.routing.closed_by_people_only:
            message = (
                f"a handoff for {row.trigger.replace('_', ' ')} is closed by the person, in the Gatekeeper"
            )
            raise Invalid(message, field="handoff_id", code="people_only")
        _set(kernel, connection, row, "closed", _person(connection, by, told_by), told_by, note)
        return True

    return await kernel.store.write(change)


def _row(connection: sa.Connection, handoff_id: str) -> sa.Row[tuple[object, ...]]:
    row = connection.execute(sa.select(handoff).where(handoff.c.id == handoff_id)).one_or_none()
    if row is None:
        raise Invalid("there is no such handoff", field="handoff_id", code="not_found")
    return row


def _person(connection: sa.Connection, email: str, told_by: str) -> str:
    """Somebody's name for the record; where another one tells it, they must be known here."""
    if not told_by:
        return email
    known = sa.select(account.c.email).where(
        account.c.email == email.strip().lower(), account.c.disabled == 0, account.c.role.in_(TAKING)
    )
    found = connection.execute(known).scalar()
    if found is None:
        raise Invalid("name somebody who can log in and may take it", field="taken_by", code="unknown_person")
    return str(found)


def _set(
    kernel: Kernel,
    connection: sa.Connection,
    row: sa.Row[tuple[object, ...]],
    step: Step,
    person: str,
    told_by: str,
    note: str = "",
) -> None:
    who = _when(kernel, row, step)
    who |= {"acknowledged_by": person} if step == "acknowledged" else {"closed_by": person}
    if step == "closed" and not row.acknowledged_by:
        who["acknowledged_by"] = person
    who |= {"note": note} if note else {}
    connection.execute(sa.update(handoff).where(handoff.c.id == row.id).values(state=step, **who))
    payload: dict[str, Json] = {"person": person, "told_by": told_by, "note": note}
    entry = Entry(f"handoff.{step}", str(row.id), payload, told_by or person)
    append(connection, [entry], kernel.clock.now())


def _when(kernel: Kernel, row: sa.Row[tuple[object, ...]], step: Step) -> dict[str, str]:
    """What is closed at once was taken at that moment."""
    now = iso(kernel.clock.now())
    return {f"{step}_at": now, **({} if row.acknowledged_by else {"acknowledged_at": now})}
