"""One do-not-contact list for everything: ours, the CRM's marks and the sequencer's block list hold the same people.

what a vendor has and we lack  block list: its head, its tail, and all of it a few pages at a time ─▶ on our list
                               CRM: `catching_up.py`, by what changed, and all of it once a day
what we have and a vendor lacks  one that was an event ─▶ a stop, at once (`stops.py`)
                                 one that came in a list, or from the other vendor ─▶ owed (`owing.py`)
                                 a contact that changed, or whose turn it is, is on our list and unmarked ─▶ owed

Our list holds no addresses, so it is never read out: it is asked for those that a vendor shows. So a look costs what
is new, and some pages, however long the lists are. Nothing here takes anybody off a list.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import sqlalchemy as sa

from orchestrator import catching_up, owing, stops, walks
from orchestrator.app import App
from orchestrator.identity import lead_of_address
from orchestrator.walks import Page, Walked
from shared.clock import iso, parse
from shared.owed import note_in
from shared.ports import ContactView
from shared.suppression import Listed
from shared.telemetry import logger

log = logger("syncing")
SYNC, BLOCKLIST, CONTACTS, CHANGED = "suppression.sync", "sequencer.blocklist", "crm.contacts", "crm.changed"
PAGE = 100
MOST_HEAD = 1_000  # pages of news in one look; the walk gets to what is beyond
EVERYTHING = 1_000_000  # pages, for whoever waits for all of it
WHY = "on the sequencer's block list"
HERE = "on the do-not-contact list"
Told = Callable[["Synced"], object]


@dataclass(frozen=True, slots=True)
class Synced:
    """What a look found: entries that vendors showed, those new to our list, and those that vendors then confirmed."""

    looked_at: int = 0
    new: int = 0
    told: int = 0

    def seen(self, walked: Walked) -> "Synced":
        """And so many more."""
        return Synced(self.looked_at + walked.entries, self.new + walked.new, self.told)


async def sync(app: App, *, whole: bool = False, told: Told = lambda _: None) -> Synced:
    """One look in both directions; `whole`: through all of every list, however long that takes.

    Raises what a vendor that doesn't answer raises; what was found until then stays, and the next look goes on.
    """
    began = app.kernel.clock.now()
    if whole:
        await app.kernel.store.write(_all_anew)
    found = Synced(new=await catching_up.opt_outs(app))
    for look in (_blocklist, _contacts):
        found = found.seen(await look(app, EVERYTHING if whole else app.rules.routing.catching_up.pages))
        told(found)
    if found.new:
        await stops.sweep(app.kernel)
    shown = await owing.settle(app, lambda count: told(Synced(found.looked_at, found.new, count)))
    await walks.keep(app.kernel, SYNC, walks.Stand(iso(began)))
    if found.new:
        log.info("syncing.new", entries=found.new)
    return Synced(found.looked_at, found.new, shown)


def _all_anew(connection: sa.Connection) -> None:
    for name in (BLOCKLIST, CONTACTS, catching_up.EVERYTHING):
        walks.anew_in(connection, name)


# ── what the sequencer has ───────────────────────────────────────────────────────────────────────────────
async def _blocklist(app: App, most: int) -> Walked:
    """News first, wherever the vendor puts them; then a part of the whole."""
    fresh, old = partial(_blocked, app, news=True), partial(_blocked, app, news=False)
    every = timedelta(hours=app.rules.routing.catching_up.whole_hours)
    first = await walks.standing(app.kernel, BLOCKLIST) == walks.Stand()
    found = Walked() if first else await walks.head(fresh, MOST_HEAD)
    found += await walks.tail(app.kernel, BLOCKLIST, fresh, MOST_HEAD)
    found += await walks.onwards(app.kernel, BLOCKLIST, every, old, most)
    if found.new:
        # Who is new on our list may be an unmarked contact.
        await app.kernel.store.write(lambda c: walks.anew_in(c, CONTACTS))
    return found


async def _blocked(app: App, cursor: str, *, news: bool) -> Page:
    page = await app.suite.sequencer.list_blocklist(cursor=cursor)
    values = [one.value for one in page.entries]
    lacking = await app.kernel.store.read(lambda c: app.kernel.suppression.lacking(c, values))
    new = await app.kernel.store.write(lambda c: _take_in(app, c, lacking, news=news)) if lacking else 0
    return Page(len(values), new, page.next_cursor)


def _take_in(app: App, connection: sa.Connection, values: Sequence[str], *, news: bool) -> int:
    """In one transaction: people of ours and companies are stopped everywhere, others go on the list.

    News is told the CRM at once; of a list that is read for the first time, the walk through the contacts finds who
    is one.
    """
    kernel, now = app.kernel, app.kernel.clock.now()
    lacking = kernel.suppression.lacking(connection, values)  # another process may have been faster
    source = app.kernel.settings.suite.ports["sequencer"].server
    ours = {one for one in lacking if "@" not in one or lead_of_address(connection, one)}
    for one in sorted(ours):
        stops.suppress_in(kernel, connection, one, reason=WHY, source=source)
    others = [one for one in lacking if one not in ours]
    entries = [Listed(kernel.suppression.keys_for(one), WHY, source, iso(now)) for one in others]
    kernel.suppression.add_many_in(connection, entries, about=f"{source}: block list", actor="system")
    if news:
        note_in(connection, "crm", others, WHY, now)
    return len(lacking)


# ── what the CRM lacks ───────────────────────────────────────────────────────────────────────────────────
async def _contacts(app: App, most: int) -> Walked:
    """Contacts that changed since the last look, and a part of all of them."""
    rules, began = app.rules.routing.catching_up, app.kernel.clock.now()
    last = (await walks.standing(app.kernel, CHANGED)).at
    since = (
        parse(last) - timedelta(minutes=rules.overlap_minutes)
        if last
        else began - timedelta(hours=rules.first_hours)
    )
    done = await walks.onwards(
        app.kernel, CHANGED, timedelta(), partial(_unmarked, app, changed_since=iso(since)), EVERYTHING
    )
    every = timedelta(hours=rules.whole_hours)
    done += await walks.onwards(app.kernel, CONTACTS, every, partial(_unmarked, app), most)
    return done


async def _unmarked(app: App, cursor: str, *, changed_since: str = "") -> Page:
    page = await app.suite.crm.find_contacts(limit=PAGE, cursor=cursor, changed_since=changed_since)
    listed = await app.kernel.store.read(lambda c: _listed(app, c, page.contacts))
    if listed:
        now = app.kernel.clock.now()
        await app.kernel.store.write(lambda c: note_in(c, "crm", listed, HERE, now))
    return Page(len(page.contacts), 0, page.next_cursor)


def _listed(app: App, connection: sa.Connection, contacts: Sequence[ContactView]) -> list[str]:
    """Addresses on our list, of contacts that the CRM would still write to."""
    addresses = [
        address
        for one in contacts
        if not one.blocked
        for address in (one.email, *one.other_emails)
        if address
    ]
    found = app.kernel.suppression.check(connection, addresses)
    return [address for address, why in found.items() if why == "suppressed"]
