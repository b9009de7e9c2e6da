"""What the sequencer's webhooks missed is asked for: deliveries that failed, and replies. Each counts once.

undelivered  every few minutes, those since the last look ─ not known by its id ────────┐
replies      every few minutes, those since the last look ─ nor by its message's id ────┴▶ kept as a webhook is

Whoever opts out in one is on the list with it; what it means is found out as of any other. An unsubscribe of which no
delivery was even tried is on the sequencer's block list, which `syncing.py` compares as often.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

import sqlalchemy as sa

from orchestrator import catching_up, handling, inbox
from orchestrator.app import App
from orchestrator.inbox import Arrived
from shared.errors import Invalid
from shared.pipeline_schema import event as event_table
from shared.ports import MissedEvent
from shared.schema import inbound
from shared.telemetry import correlation, logger
from shared.webhook import decode

log = logger("missed")
Kind = Literal["undelivered", "replies"]
MOST_PAGES = 1_000  # of one look; what is beyond is for the next one
SOME_PAGES = 15  # of mail, which may be read 20 times a minute by all


async def work(app: App) -> int:
    """One look at both (the schedule `sequencer_missed`). Returns how many events were news."""
    found = 0
    for kind in get_args(Kind):
        found += await _look(app, kind)
    return found


async def _look(app: App, kind: Kind) -> int:
    name, began, cursor, found = f"sequencer.{kind}", app.kernel.clock.now(), "", 0
    since = await catching_up.asked_since(app, name)
    for _ in range(SOME_PAGES if kind == "replies" else MOST_PAGES):
        page = await app.suite.sequencer.list_missed_events(kind=kind, since=since, cursor=cursor)
        found += await _take_in(app, kind, page.events)
        cursor = page.next_cursor
        if not cursor:
            break
    await catching_up.looked(app, name, began)
    if found:
        log.warning("missed.found", kind=kind, events=found)
    return found


async def _take_in(app: App, kind: Kind, events: Sequence[MissedEvent]) -> int:
    came = [one for told in events if (one := _arrived(app, told))]
    news = await app.kernel.store.read(lambda c: [one for one in came if not _heard(c, kind, one)])
    if news:
        await app.kernel.store.write(lambda c: inbox.keep(app, c, news))
    return len(news)


def _arrived(app: App, told: MissedEvent) -> Arrived | None:
    """As if its webhook had come; nothing where it can't be read."""
    vendor, raw = app.kernel.settings.suite.ports["sequencer"].server, told.payload.encode()
    try:
        payload = decode(raw)
    except Invalid as error:
        log.warning("missed.unreadable", code=error.code)
        return None
    one = inbox.understood(app.webhooks[vendor], app.rules, vendor, raw, payload)
    return replace(one, correlation_id=correlation())


def _heard(connection: sa.Connection, kind: Kind, one: Arrived) -> bool:
    """Whether it is known: by its id, or, of a reply, by its message's."""
    by_id = (inbound.c.vendor == one.vendor, inbound.c.event_id == one.event_id)
    if connection.execute(sa.select(inbound.c.id).where(*by_id)).first():
        return True
    if kind == "undelivered" or one.event is None or not one.event.reference:
        return False
    of_message = (event_table.c.vendor == one.vendor, event_table.c.reference == one.event.reference)
    answers = event_table.c.type.in_(sorted(handling.ANSWERS))
    return connection.execute(sa.select(event_table.c.id).where(*of_message, answers)).first() is not None
