"""Webhooks: verified, kept as they came, answered, and only then understood.

POST ─ verify ─ caps ─ stored (once per event id) ─▶ 200 ┄ later ┄ parse ─ event ─ what it means
        └ 401   └ 400/413                            └ 503 + Retry-After when it can't be stored

What stops a person (unsubscribed, bounced, complained, DND) goes on the suppression list in the very transaction
that stores the event; taking them out of the vendors' hands follows, until confirmed.
"""

from collections.abc import Mapping
from dataclasses import replace

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.clock import iso
from shared.errors import Invalid, SwarmError
from shared.schema import inbound
from shared.store import Unavailable
from shared.telemetry import correlated, logger
from shared.webhook import WebhookSource, composed_id, decode

log = logger("inbox")
TRIES = 5
AT_ONCE = 200


async def receive(app: App, vendor: str, headers: Mapping[str, str], raw: bytes) -> int:
    """Take one webhook in. Returns the HTTP status to answer: 200, 400, 401, 404, 413 or 503."""
    source = app.webhooks.get(vendor)
    if source is None:
        return 404
    lowered = {name.lower(): value for name, value in headers.items()}
    if not source.verify(lowered, raw, app.kernel.settings.vendor(vendor)):
        log.warning("webhook.forged", vendor=vendor, bytes=len(raw))
        return 401
    try:
        identifier = _identify(source, raw)
    except Invalid as error:
        log.warning("webhook.unreadable", vendor=vendor, code=error.code)
        return 413 if error.code == "too_large" else 400
    with correlated() as cid:
        values = {"vendor": vendor, "event_id": identifier, "raw": raw, "correlation_id": cid}
        try:
            await app.kernel.store.write(
                lambda c: _keep(c, {**values, "received_at": iso(app.kernel.clock.now())})
            )
        except Unavailable:
            log.exception("webhook.not_stored", vendor=vendor)
            return 503
    return 200


def _identify(source: WebhookSource, raw: bytes) -> str:
    """The event's id; a payload whose fields surprise the parser is kept all the same, under a hash."""
    payload = decode(raw)
    try:
        return source.parse(payload).id
    except (KeyError, TypeError, ValueError, AttributeError):
        return composed_id(raw.hex())


def _keep(connection: sa.Connection, values: Mapping[str, object]) -> bool:
    known = sa.select(inbound.c.id).where(
        inbound.c.vendor == values["vendor"], inbound.c.event_id == values["event_id"]
    )
    if connection.execute(known).scalar() is not None:
        return False
    connection.execute(sa.insert(inbound).values(**values))
    return True


async def drain(app: App) -> int:
    """Understand what came in. Returns how many were handled; one that fails is tried again, then shown."""
    query = sa.select(inbound).where(inbound.c.state == "new").order_by(inbound.c.id).limit(AT_ONCE)
    rows = await app.kernel.store.read(lambda c: list(c.execute(query)))
    for row in rows:
        with correlated(str(row.correlation_id)):
            await _understand(app, row)
    return len(rows)


async def _understand(app: App, row: sa.Row[tuple[object, ...]]) -> None:
    try:
        event = app.webhooks[str(row.vendor)].parse(decode(bytes(row.raw)))
        await handling.handle(app, replace(event, vendor=str(row.vendor)))
    except (SwarmError, KeyError, TypeError, ValueError, AttributeError) as error:
        log.exception("webhook.not_understood", vendor=row.vendor, kind=type(error).__name__)
        await _note_failure(app, row, type(error).__name__)
        return
    done = sa.update(inbound).where(inbound.c.id == row.id).values(state="done")
    await app.kernel.store.write(lambda c: c.execute(done))


async def _note_failure(app: App, row: sa.Row[tuple[object, ...]], kind: str) -> None:
    attempts = int(row.attempts) + 1
    state = "failed" if attempts >= TRIES else "new"
    values = {"attempts": attempts, "error": kind, "state": state}
    await app.kernel.store.write(
        lambda c: c.execute(sa.update(inbound).where(inbound.c.id == row.id).values(**values))
    )
