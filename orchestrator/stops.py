"""Stopping a person everywhere: taken out of every campaign, block-listed, marked in the CRM, until confirmed.

person:    open ─ remove from sequencer · block-list · DNC in the CRM ─ all done ─▶ confirmed
sequence:  open ─ remove from sequencer ─ done ─▶ confirmed
                └ something is not ─▶ open, tried again

These effects are let through while everything else stands still; stopping prefers twice to never.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from orchestrator.app import App
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Outcome, digest
from shared.errors import SwarmError
from shared.schema import campaign_lead, stop
from shared.telemetry import correlated, correlation, logger

log = logger("stops")
AT_ONCE = 50
ENDED = {"applied", "replayed", "simulated"}


def open_in(connection: sa.Connection, email: str, reason: str, now: str) -> None:
    """In the caller's transaction: this person is to be stopped everywhere. Once is enough."""
    _open(connection, "person", email, reason, now)


def halt_in(connection: sa.Connection, email: str, reason: str, now: str) -> None:
    """In the caller's transaction: nothing further of a sequence goes to this person; they are not suppressed."""
    _open(connection, "sequence", email, reason, now)


def _open(connection: sa.Connection, kind: str, email: str, reason: str, now: str) -> None:
    identifier = digest("stop/v1", kind, email.lower())[:24]
    if connection.execute(sa.select(stop.c.id).where(stop.c.id == identifier)).scalar() is None:
        values = {"kind": kind, "target": email, "reason": reason, "at": now}
        detail = json.dumps({"correlation_id": correlation()})  # what follows belongs to what caused it
        connection.execute(sa.insert(stop).values(id=identifier, detail=detail, **values))
    people = sa.update(campaign_lead).where(campaign_lead.c.email == email)
    connection.execute(people.values(state="stopped", reason=reason))


async def work(app: App) -> int:
    """Carry out what is open. Returns how many are still open afterwards."""
    query = sa.select(stop).where(stop.c.state == "open").order_by(stop.c.at).limit(AT_ONCE)
    rows = await app.kernel.store.read(lambda c: list(c.execute(query)))
    left = 0
    for row in rows:
        with correlated(str(json.loads(str(row.detail)).get("correlation_id", ""))):
            left += 0 if await _stop(app, row) else 1
    return left


async def _stop(app: App, row: sa.Row[tuple[object, ...]]) -> bool:
    email, reason = str(row.target), str(row.reason)
    sequencer, crm = app.suite.sequencer, app.suite.crm
    steps: dict[str, Callable[[], Awaitable[Outcome]]] = {
        "removed": lambda: sequencer.remove_lead(email=email, reason=reason),
        "blocked": lambda: sequencer.add_to_blocklist(values=[email], reason=reason),
        "dnc": lambda: crm.set_dnc(email=email, reason=reason),
    }
    if row.kind == "sequence":
        steps = {"removed": steps["removed"]}
    detail: dict[str, Any] = json.loads(str(row.detail))
    for name, act in steps.items():
        if detail.get(name) not in ENDED:
            detail[name] = await _try(act)
    confirmed = all(detail[name] in ENDED for name in steps)
    await _note(app, row, detail, confirmed)
    return confirmed


async def _try(act: Callable[[], Awaitable[Outcome]]) -> str:
    try:
        outcome = await act()
    except SwarmError as error:
        log.warning("stop.failed", code=error.code, kind=error.kind)
        return f"error: {error.code or error.kind}"
    # Nobody there to be stopped is as good as stopped.
    return "applied" if outcome.reason in {"not_found", "not_there"} else outcome.status


async def _note(app: App, row: sa.Row[tuple[object, ...]], detail: dict[str, Any], confirmed: bool) -> None:
    now = app.kernel.clock.now()
    values: dict[str, Any] = {"detail": json.dumps(detail), "attempts": stop.c.attempts + 1}
    if confirmed:
        values |= {"state": "confirmed", "confirmed_at": iso(now)}

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.update(stop).where(stop.c.id == row.id).values(**values))
        if confirmed:
            append(connection, [Entry("person.stopped", str(row.target), detail)], now)

    await app.kernel.store.write(change)
