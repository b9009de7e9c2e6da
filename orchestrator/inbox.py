"""Webhooks: verified, kept as they came, answered, and only then understood.

POST ─ verify ─ caps ─ stored (once per event id) ─▶ 200 ┄ later ┄ parse ─ event ─ what it means
        └ 401   └ 400/413 └ it can't be: an opt-out ─ spooled ─▶ 200, and nothing is sent before it is taken in
                                         else, or neither can be ─▶ 503 + Retry-After

What stops a person (unsubscribed, bounced for good, complained, DND) goes on the suppression list in the very
transaction that stores the event; taking them out of the vendors' hands follows, until confirmed. One that can't be
understood lets those behind it pass, is tried a few times more, and is then kept for a person
(`swarm doctor`); delivered again by the vendor, it gets another chance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa

from orchestrator import handling
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
from shared.store import Unavailable
from shared.telemetry import correlated, correlation, logger
from shared.webhook import WebhookSource, composed_id, decode

log = logger("inbox")
TRIES = 5
LONGEST_ID = 200
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Arrived:
    """A webhook whose sender was verified."""

    vendor: str
    event_id: str
    raw: bytes


async def receive(app: App, vendor: str, headers: Mapping[str, str], raw: bytes) -> int:
    """Take one webhook in. Returns the HTTP status to answer: 200, 400, 401, 404, 413 or 503."""
    source = app.webhooks.get(vendor)
    if source is None:
        return 404
    came = arrived(source, app.kernel.settings, vendor, headers, raw)
    if isinstance(came, int):
        return came
    with correlated() as cid:
        values = {"vendor": vendor, "event_id": came.event_id, "raw": raw, "correlation_id": cid}
        try:
            await app.kernel.store.write(
                lambda c: _keep(c, {**values, "received_at": iso(app.kernel.clock.now())})
            )
        except Unavailable:
            log.exception("webhook.not_stored", vendor=vendor)
            return await spool(app.kernel.spool, app.rules, source, came)
    return 200


def arrived(
    source: WebhookSource, settings: Settings, vendor: str, headers: Mapping[str, str], raw: bytes
) -> Arrived | int:
    """A webhook that its vendor sent and that can be read; else the status to answer."""
    lowered = {name.lower(): value for name, value in headers.items()}
    if not source.verify(lowered, raw, settings.vendor(vendor)):
        log.warning("webhook.forged", vendor=vendor, bytes=len(raw))
        return 401
    try:
        return Arrived(vendor, _identify(source, raw), raw)
    except Invalid as error:
        log.warning("webhook.unreadable", vendor=vendor, code=error.code)
        return 413 if error.code == "too_large" else 400


async def spool(out: Spool, rules: Rules, source: WebhookSource, came: Arrived) -> int:
    """While the database can't take it: keep what stops somebody, and ask for the rest again. The status to answer."""
    targets, reason = stopping(source, came.raw, rules)
    if not targets:
        return 503
    kept = Kept(targets, reason, came.vendor, "system", came.vendor, came.event_id, came.raw, correlation())
    try:
        await out.keep(kept)
    except Unavailable:
        log.exception("webhook.not_spooled", vendor=came.vendor)
        return 503
    return 200


def stopping(source: WebhookSource, raw: bytes, rules: Rules) -> tuple[tuple[str, ...], str]:
    """Who must not be written to any more, by this webhook, and why; nobody where it says nothing of the kind."""
    try:
        event = source.parse(decode(raw))
    except (SwarmError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return (), ""
    reason = _reason(event, rules) if event.email else ""
    return ((event.email,), reason) if reason else ((), "")


def _reason(event: Event, rules: Rules) -> str:
    if event.type in handling.STOPPING or event.stops_contact:
        return event.reason or event.type
    if event.type == "bounced" and event.bounce == "hard":
        return "bounced"
    if event.type in handling.ANSWERS and suppresses(found := classify(event.subject, event.text), rules):
        return str(found.reply)
    return ""


def _identify(source: WebhookSource, raw: bytes) -> str:
    """The event's id; a payload whose fields surprise the parser is kept all the same, under a hash."""
    payload = decode(raw)
    try:
        identifier = source.parse(payload).id
        identifier.encode()
    except (SwarmError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        log.warning("webhook.odd", kind=type(error).__name__)
        return composed_id(raw.hex())
    return identifier if 0 < len(identifier) <= LONGEST_ID else composed_id(identifier)


def _keep(connection: sa.Connection, values: Mapping[str, object]) -> None:
    """Once per event; what could not be understood so far gets another chance."""
    known = (inbound.c.vendor == values["vendor"], inbound.c.event_id == values["event_id"])
    row = connection.execute(sa.select(inbound.c.id, inbound.c.state).where(*known)).one_or_none()
    if row is None:
        connection.execute(sa.insert(inbound).values(**values))
    elif row.state == "failed":
        again = {"state": "new", "attempts": 0, "raw": values["raw"]}
        connection.execute(sa.update(inbound).where(inbound.c.id == row.id).values(**again))


async def drain(app: App) -> int:
    """Understand what came in, untried ones first. Returns how many were looked at.

    Raises `Unavailable` where the database is at fault: then no webhook is.
    """
    query = sa.select(inbound).where(inbound.c.state == "new")
    rows = await app.kernel.store.read(
        lambda c: list(c.execute(query.order_by(inbound.c.attempts, inbound.c.id).limit(AT_ONCE)))
    )
    for row in rows:
        with correlated(str(row.correlation_id)):
            await _understand(app, row)
    return len(rows)


async def _understand(app: App, row: sa.Row[tuple[object, ...]]) -> None:
    try:
        event = app.webhooks[str(row.vendor)].parse(decode(bytes(row.raw)))
        await handling.handle(app, replace(event, vendor=str(row.vendor)), inbound_id=int(row.id))
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
