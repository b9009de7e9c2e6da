"""Webhooks: verified, kept as they came, answered, and only then understood.

POST ─ verify ─ caps ─ stored (once per event id) ─▶ 200 ┄ later ┄ parse ─ event ─ what it means
        └ 401   └ 400/413                            └ 503 + Retry-After when it can't be stored

What stops a person (unsubscribed, bounced for good, complained, DND) goes on the suppression list in the very
transaction that stores the event; taking them out of the vendors' hands follows, until confirmed. One that can't be
understood lets those behind it pass, is tried a few times more, and is then kept for a person
(`swarm doctor`); delivered again by the vendor, it gets another chance.
"""

from collections.abc import Mapping
from dataclasses import replace

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.clock import iso
from shared.errors import Invalid, SwarmError
from shared.kernel import Kernel
from shared.schema import inbound
from shared.store import Unavailable
from shared.telemetry import correlated, logger
from shared.webhook import WebhookSource, composed_id, decode

log = logger("inbox")
TRIES = 5
LONGEST_ID = 200
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
