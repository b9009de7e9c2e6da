"""Webhooks: verified, kept as they came, answered, and only then understood.

POST ─ verify ─ caps ─ stored (once per event id) ─▶ 200 ┄ later ┄ parse ─ event ─ what it means
        └ 401   └ 400/413 └ it can't be: an opt-out ─ spooled ─▶ 200, and nothing is sent before it is taken in
                                         else, or neither can be ─▶ 503 + Retry-After

What stops a person (unsubscribed, bounced for good, complained, DND, a reply that says so) goes on the suppression list
in the very transaction that stores the webhook, before it is answered; taking them out of the vendors' hands follows,
until confirmed. Those that come at the same time share one commit (`together.py`). One that can't be understood lets
those behind it pass, is tried a few times more, and is then kept for a person (`swarm doctor`); delivered again by the
vendor, it gets another chance.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from orchestrator import handling, opt_out_link
from orchestrator.app import App
from orchestrator.replies import classify, suppresses
from orchestrator.rules import Rules
from shared.clock import iso
from shared.errors import Invalid, SwarmError
from shared.event import Event
from shared.kernel import Kernel
from shared.schema import inbound
from shared.settings import Settings
from shared.spool import Kept, Spool
from shared.sql import insertion, run_many, value
from shared.store import Unavailable
from shared.telemetry import correlated, correlation, logger
from shared.webhook import WebhookSource, composed_id, decode

log = logger("inbox")
TRIES = 5
LONGEST_ID = 200
TAKEN = 200
AT_ONCE = 200
SIDE_BY_SIDE = 16  # understood in one commit: nobody waits for the database for long
STOP_WEIGHT = 10  # of what a commit may hold: stopping somebody takes as long as keeping so many
KEEP = (
    f"{insertion('inbound', ('vendor', 'event_id', 'raw', 'correlation_id', 'received_at'))} "
    "ON CONFLICT (vendor, event_id) DO UPDATE SET state = 'new', attempts = 0, raw = excluded.raw "
    "WHERE inbound.state = 'failed'"
)
KNOWN = "SELECT id FROM inbound WHERE vendor = ? AND event_id = ? AND state <> 'failed'"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A webhook whose sender was verified. `event` is None where the parser was surprised, `reason` where it stops."""

    vendor: str
    event_id: str
    raw: bytes
    event: Event | None = None
    reason: str = ""  # why nobody may write to its person any more; "" where it says nothing of the kind
    correlation_id: str = ""
    again: bool = False  # whether it counts each time that it comes


async def receive(app: App, vendor: str, headers: Mapping[str, str], raw: bytes) -> int:
    """Take one webhook in. Returns the HTTP status to answer: 200, 400, 401, 404, 413 or 503."""
    source = app.webhooks.get(vendor)
    if source is None:
        return 404
    with correlated() as cid:
        came = arrived(source, app.kernel.settings, app.rules, vendor, headers, raw, app.kernel.clock.now())
        if isinstance(came, int):
            return came
        try:
            one, weight = replace(came, correlation_id=cid), STOP_WEIGHT if came.reason else 1
            await app.together.write(app.kernel.store, one, partial(keep, app), weight)
        except Unavailable:
            log.exception("webhook.not_stored", vendor=vendor)
            return await spool(app.kernel.spool, came)
        except Exception:
            # A bug or a broken log: what would be lost by it is somebody's wish to be left alone.
            log.exception("webhook.not_taken", vendor=vendor)
            return await spool(app.kernel.spool, came)
    return TAKEN


def arrived(
    source: WebhookSource,
    settings: Settings,
    rules: Rules,
    vendor: str,
    headers: Mapping[str, str],
    raw: bytes,
    now: datetime,
) -> Arrived | int:
    """A webhook that its vendor sent and that can be read; else the status to answer."""
    lowered = {name.lower(): value for name, value in headers.items()}
    if not source.verify(lowered, raw, settings.vendor(vendor)):
        log.warning("webhook.forged", vendor=vendor, bytes=len(raw))
        return 401
    try:
        payload = decode(raw)
    except Invalid as error:
        log.warning("webhook.unreadable", vendor=vendor, code=error.code)
        return 413 if error.code == "too_large" else 400
    came = understood(source, rules, vendor, raw, payload)
    if not came.reason and source.stale(payload, now):  # an opt-out is never too old
        log.warning("webhook.stale", vendor=vendor)
        return 400
    return came


def understood(
    source: WebhookSource, rules: Rules, vendor: str, raw: bytes, payload: Mapping[str, Any]
) -> Arrived:
    """What a payload says, of which it is known that its vendor sent it."""
    event = _event(source, payload)
    return Arrived(vendor, _identifier(event, raw), raw, event, _reason(event, rules) if event else "")


async def spool(out: Spool, came: Arrived) -> int:
    """While the database can't take it: keep what stops somebody, and ask for the rest again. The status to answer."""
    if not (came.reason and came.event and came.event.email):
        return 503
    targets = (came.event.email,)
    told = (came.reason, came.vendor, "system", came.vendor, came.event_id, came.raw, correlation())
    try:
        await out.keep(Kept(targets, *told))
    except Unavailable:
        log.exception("webhook.not_spooled", vendor=came.vendor)
        return 503
    return TAKEN


def _event(source: WebhookSource, payload: Mapping[str, Any]) -> Event | None:
    try:
        return source.parse(payload)
    except (SwarmError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        log.warning("webhook.odd", kind=type(error).__name__)
        return None


def _identifier(event: Event | None, raw: bytes) -> str:
    """The event's id; a payload whose fields surprise the parser is kept all the same, under a hash."""
    if event is None:
        return composed_id(raw.hex())
    try:
        event.id.encode()
    except (AttributeError, ValueError):
        return composed_id(raw.hex())
    return event.id if 0 < len(event.id) <= LONGEST_ID else composed_id(event.id)


def _reason(event: Event, rules: Rules) -> str:
    if event.type in handling.STOPPING or event.stops_contact:
        return event.reason or event.type
    if event.type == "bounced" and event.bounce == "hard" and rules.routing.replies["bounce"].suppress:
        return "bounced"
    if event.type in handling.ANSWERS and suppresses(found := classify(event.subject, event.text), rules):
        return str(found.reply)
    return ""


def keep(app: App, connection: sa.Connection, batch: Sequence[Arrived]) -> None:
    """In the caller's transaction: all of them, once per event; whoever must not be written to is on the list with it.

    What could not be understood so far gets another chance.
    """
    now = app.kernel.clock.now()
    stopping = [
        one for one in batch if one.event and one.reason and (one.again or not _known(connection, one))
    ]
    run_many(
        connection,
        KEEP,
        [(one.vendor, one.event_id, one.raw, one.correlation_id, iso(now)) for one in batch],
    )
    for one in stopping:
        if one.event:
            with correlated(one.correlation_id):
                handling.stop_in(app, connection, replace(one.event, vendor=one.vendor), one.reason, now)


def _known(connection: sa.Connection, one: Arrived) -> bool:
    """Whether it came before: whom a person has let in again since isn't stopped by a delivery that is repeated."""
    return value(connection, KNOWN, one.vendor, one.event_id) is not None


async def drain(app: App) -> int:
    """Understand what came in, untried ones first, in the order it came. Returns how many were looked at.

    Raises `Unavailable` where the database is at fault: then no webhook is.
    """
    query = sa.select(inbound).where(inbound.c.state == "new")
    rows = await app.kernel.store.read(
        lambda c: list(c.execute(query.order_by(inbound.c.attempts, inbound.c.id).limit(AT_ONCE)))
    )
    for first in range(0, len(rows), SIDE_BY_SIDE):
        part = (_understood(app, row) for row in rows[first : first + SIDE_BY_SIDE])
        problems = [one for one in await asyncio.gather(*part, return_exceptions=True) if one is not None]
        if problems:
            raise problems[0]
    return len(rows)


async def _understood(app: App, row: sa.Row[tuple[object, ...]]) -> None:
    with correlated(str(row.correlation_id)):
        await _understand(app, row)


async def _understand(app: App, row: sa.Row[tuple[object, ...]]) -> None:
    try:
        ours = str(row.vendor) == opt_out_link.NAME
        source = opt_out_link.SOURCE if ours else app.webhooks[str(row.vendor)]
        event = source.parse(decode(bytes(row.raw)))
        told = replace(event, vendor=str(row.vendor), told_at=str(row.received_at))
        await handling.handle(app, told, inbound_id=int(row.id))
    except Unavailable:
        raise
    except Exception as error:
        # Whatever is wrong with one webhook, a bug of ours included, must not keep back those behind it.
        log.exception("webhook.not_understood", vendor=row.vendor, kind=type(error).__name__)
        await _note_failure(app, row, type(error).__name__)


async def _note_failure(app: App, row: sa.Row[tuple[object, ...]], kind: str) -> None:
    attempts = int(row.attempts) + 1
    state = "failed" if attempts >= TRIES else "new"
    values = {"attempts": attempts, "error": kind, "state": state}
    await app.kernel.store.write(
        lambda c: c.execute(sa.update(inbound).where(inbound.c.id == row.id).values(**values))
    )


async def not_understood(kernel: Kernel) -> int:
    """Webhooks that nobody could make sense of, and that a person should look at."""
    query = sa.select(sa.func.count()).select_from(inbound).where(inbound.c.state == "failed")
    return await kernel.store.read(lambda c: c.execute(query).scalar() or 0)
