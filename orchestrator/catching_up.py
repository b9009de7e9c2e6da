"""What the CRM's webhooks missed is asked for, and what they tell of people we write to is read again by id.

opt-outs   every few minutes those that changed, once a day all ─ not on our list ─▶ handled as an event
replies    every few minutes those since the last look          ─ not known by id ─▶ handled as an event
changes    a webhook about somebody in a campaign ─ read by id  ─ marked ─▶ handled as an event
                                                                ─ gone ───▶ their sequence stops

Somebody whom we never met goes on our list and no further: the gate holds, and real stops don't wait behind them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from orchestrator import handling, rereads, stops, walks
from orchestrator.app import App
from orchestrator.identity import addresses_of, lead_of_address, lead_of_contact
from shared.address import read_address
from shared.clock import iso, parse
from shared.effect import digest
from shared.errors import Invalid
from shared.event import Event
from shared.owed import note_in
from shared.pipeline_schema import event as event_table
from shared.pipeline_schema import watermark
from shared.ports import ContactView, ReceivedMessage
from shared.suppression import UNCLEAR, says_more
from shared.telemetry import logger

log = logger("catching_up")
PAGE = 100
JUST_NOW = timedelta(minutes=1)
MOST_PAGES = 1_000  # of one look; what is beyond is for the next one
GONE = "crm_gone"
MARKS, EVERYTHING, REPLIES = "crm.marks", "crm.all_marks", "crm.replies"


async def work(app: App) -> int:
    """Everything at once. Returns how many people were stopped, put on the list or heard of by it."""
    return await changes(app) + await look(app)


async def look(app: App) -> int:
    """One look for what webhooks missed (the schedule `crm_missed`). Returns as `work`."""
    found = 0
    if await _due(app, EVERYTHING, timedelta(hours=app.rules.routing.catching_up.whole_hours)):
        found += await _all_marks(app)
    if await _due(app, MARKS, JUST_NOW):  # comparing the lists asks for the same
        found += await opt_outs(app)
    return found + await _replies(app)


def vendor(app: App) -> str:
    """The CRM's account, as its events name it."""
    return app.kernel.settings.suite.ports["crm"].server


async def _due(app: App, name: str, every: timedelta) -> bool:
    """Whether the look of this name is to be taken again."""
    last = await _last(app, name)
    return last is None or app.kernel.clock.now() - last >= every


async def _last(app: App, name: str) -> datetime | None:
    """When the last look began that came to its end."""
    query = sa.select(watermark.c.at).where(watermark.c.name == name)
    at = await app.kernel.store.read(lambda c: c.execute(query).scalar())
    return parse(at) if at else None


async def asked_since(app: App, name: str) -> str:
    """From when on the next look of this name asks."""
    rules, last = app.rules.routing.catching_up, await _last(app, name)
    if last is None:
        return iso(app.kernel.clock.now() - timedelta(hours=rules.first_hours))
    return iso(last - timedelta(minutes=rules.overlap_minutes))


async def looked(app: App, name: str, began: datetime) -> None:
    """Note that a look came to its end, and when it began."""
    await walks.keep(app.kernel, name, walks.Stand(iso(began)))


# ── opt-outs ─────────────────────────────────────────────────────────────────────────────────────────────
async def opt_outs(app: App) -> int:
    """Contacts marked do-not-contact that changed since the last look. Returns how many our list lacked."""
    began, since, cursor, found = app.kernel.clock.now(), await asked_since(app, MARKS), "", 0
    for _ in range(MOST_PAGES):
        page = await app.suite.crm.list_dnc(limit=PAGE, cursor=cursor, changed_since=since)
        found += await stop_all(app, page.contacts)
        cursor = page.next_cursor
        if not cursor:
            break
    await looked(app, MARKS, began)
    if found:
        log.warning("catching_up.opt_outs", people=found)
    return found


async def _all_marks(app: App) -> int:
    """All that are marked, as many pages as a look may take; the next one goes on where this one stopped."""

    async def look(cursor: str) -> walks.Page:
        page = await app.suite.crm.list_dnc(limit=PAGE, cursor=cursor)
        return walks.Page(len(page.contacts), await stop_all(app, page.contacts), page.next_cursor)

    began = app.kernel.clock.now()
    done = await walks.onwards(app.kernel, EVERYTHING, timedelta(), look, MOST_PAGES)
    if not (await walks.standing(app.kernel, EVERYTHING)).began:
        await looked(app, MARKS, began)
    return done.new


async def stop_all(app: App, contacts: Sequence[ContactView]) -> int:
    """Those whom the CRM marks and our list lacks: on the list, and stopped where we know them. Returns how many."""
    missing = await app.kernel.store.read(lambda c: [one for one in contacts if _not_listed(app, c, one)])
    for one in missing:
        await handling.handle(app, _marked(app, one)) if await _is_ours(app, one) else await _list(app, one)
    return len(missing)


def _addresses(contact: ContactView) -> list[str]:
    return [one for one in (contact.email, *contact.other_emails) if one]


def _not_listed(app: App, connection: sa.Connection, contact: ContactView) -> bool:
    theirs, suppression = _addresses(contact), app.kernel.suppression
    refused = suppression.check(connection, theirs)
    # One that can't be read, or looks like another, is never written to anyway.
    if any(refused.get(one, UNCLEAR) == UNCLEAR for one in theirs):
        return True
    reasons = suppression.opted_out(connection, theirs)
    return any(says_more(contact.blocked or "crm_dnc", why) for why in reasons.values())


async def _is_ours(app: App, contact: ContactView) -> bool:
    def query(connection: sa.Connection) -> bool:
        known = (lead_of_address(connection, one) for one in _addresses(contact))
        return bool(lead_of_contact(connection, contact.id)) or any(known)

    return await app.kernel.store.read(query)


async def _list(app: App, contact: ContactView) -> None:
    """Somebody whom we never met: on the list before anybody has an idea to write to them."""
    reason = contact.blocked or "crm_dnc"

    def change(connection: sa.Connection, address: str) -> None:
        app.kernel.suppression.add_in(connection, address, reason=reason, source=vendor(app))
        note_in(connection, "sequencer", [read_address(address).exact], reason, app.kernel.clock.now())

    for address in _addresses(contact):
        try:
            await app.kernel.store.write(lambda c, address=address: change(c, address))  # type: ignore[misc]  # mypy can't infer it
        except Invalid as error:
            log.warning("catching_up.unreadable", code=error.code)


def _marked(app: App, contact: ContactView) -> Event:
    now = iso(app.kernel.clock.now())
    return Event(
        id=digest("crm marked", contact.id, contact.blocked, now)[:40],
        vendor=vendor(app),
        type="dnd_changed",
        occurred_at=now,
        email=contact.email,
        contact_ref=contact.id,
        stops_contact=True,
        reason=contact.blocked or "crm_dnc",
        detail={"other_emails": list(contact.other_emails)},
    )


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────
async def _replies(app: App) -> int:
    """E-mails that came in since the last look, each handled once, by its id."""
    began, since, cursor, found = app.kernel.clock.now(), await asked_since(app, REPLIES), "", 0
    for _ in range(MOST_PAGES):
        page = await app.suite.crm.list_replies(since=since, cursor=cursor)
        for message in await _unheard(app, page.messages):
            await handling.handle(app, _received(app, message))
            found += 1
        cursor = page.next_cursor
        if not cursor:
            break
    await looked(app, REPLIES, began)
    if found:
        log.warning("catching_up.replies", messages=found)
    return found


async def _unheard(app: App, messages: Sequence[ReceivedMessage]) -> list[ReceivedMessage]:
    ids = [one.id for one in messages]
    query = sa.select(event_table.c.reference).where(
        event_table.c.vendor == vendor(app), event_table.c.reference.in_(ids)
    )
    heard = set(await app.kernel.store.read(lambda c: list(c.execute(query).scalars()))) if ids else set()
    return [one for one in messages if one.id not in heard]


def _received(app: App, message: ReceivedMessage) -> Event:
    return Event(
        id=f"message:{message.id}",
        vendor=vendor(app),
        type="message_received",
        occurred_at=message.received_at,
        email=message.email,
        contact_ref=message.contact_id,
        reference=message.id,
        subject=message.subject,
        text=message.text,
    )


# ── changes that a webhook told of ───────────────────────────────────────────────────────────────────────
async def changes(app: App) -> int:
    """Contacts that are due, as the CRM has them at this moment: a webhook may be old, and leaves things out."""
    rows = await app.kernel.store.read(lambda c: rereads.due_in(c, app.kernel.clock.now(), PAGE))
    if not rows:
        return 0
    blocked = (await app.suite.crm.list_blocked(contact_ids=list(rows))).contacts
    await halt_gone(app, [one.id for one in blocked if one.blocked == GONE])
    found = await stop_all(app, [one for one in blocked if one.blocked != GONE])
    await app.kernel.store.write(lambda c: rereads.forget_in(c, rows))
    return found


async def halt_gone(app: App, contact_refs: Sequence[str]) -> None:
    """Somebody took these people out of the CRM: their sequences end, and nobody is suppressed for it."""
    now = app.kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        for contact_ref in contact_refs:
            lead_id = lead_of_contact(connection, contact_ref)
            for address in addresses_of(connection, "", lead_id) if lead_id else ():
                stops.halt_in(connection, address, GONE, now)

    if contact_refs:
        await app.kernel.store.write(change)
