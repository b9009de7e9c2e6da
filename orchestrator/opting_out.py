"""One click, and nobody writes to that person any more: on the list before the answer, or on the disk if it can't be.

click ─ a link of ours ─ kept, with the suppression, in one commit ─▶ done
                       ├ on the list by this link before ─▶ done, and nothing is written
                       └ the database is away, or too slow ─ spooled ─▶ done ─ neither ─▶ to be asked again
      └ not one of ours ─▶ the same answer, and nothing is written
"""

from dataclasses import replace

import anyio
import sqlalchemy as sa

from orchestrator import inbox, opt_out_link
from orchestrator.app import App
from orchestrator.inbox import Arrived
from orchestrator.opt_out_link import Links, Wish
from orchestrator.stops import OF_AN_ADDRESS
from shared.clock import iso
from shared.effect import canonical
from shared.kernel import Kernel
from shared.schema import inbound
from shared.spool import Spool
from shared.telemetry import correlated, logger

log = logger("opting_out")
PATIENCE = 3.0  # seconds that a reader's mail program surely waits; then it goes to the spool


def links(kernel: Kernel) -> Links:
    """The links of this installation."""
    return Links(kernel.keys.pepper, kernel.settings.public_url)


async def opt_out(app: App, token: str) -> bool:
    """Carry out a click, durably. False only where it could be kept nowhere and has to be repeated."""
    wish = links(app.kernel).read(token)
    if wish is None:
        return True
    with correlated() as cid:
        one = replace(_arrived(wish, iso(app.kernel.clock.now())), correlation_id=cid)
        return await _taken(app, one) or await _spooled(app.kernel.spool, one)


async def opt_out_without_database(out: Spool, known: Links, token: str, now: str) -> bool:
    """As `opt_out`, while nothing but the spool can be opened."""
    wish = known.read(token)
    with correlated():
        return wish is None or await _spooled(out, _arrived(wish, now))


async def _spooled(out: Spool, one: Arrived) -> bool:
    """Whether it is on the disk: however often a link is used, it takes the room of once."""
    return await out.holds(one.event_id) or await inbox.spool(out, one) == inbox.TAKEN


def _arrived(wish: Wish, at: str) -> Arrived:
    payload = opt_out_link.told(wish, at)
    event = opt_out_link.parse(payload)
    return Arrived(opt_out_link.NAME, event.id, canonical(payload), event, event.reason, again=True)


async def _taken(app: App, one: Arrived) -> bool:
    """Whether the database has it; one that takes too long may have it later as well, which changes nothing."""
    store = app.kernel.store
    with anyio.move_on_after(PATIENCE):
        try:
            if not await store.read(lambda c: _heard(app, c, one)):
                await store.write(lambda c: inbox.keep(app, c, (one,)))
            return True
        except Exception:
            # Whatever is wrong with the database, or with us: somebody asked to be left alone.
            log.exception("opting_out.not_written")
    return False


def _heard(app: App, connection: sa.Connection, one: Arrived) -> bool:
    """Whether this very link was used and still holds: however often it is used, it is written once."""
    known = (inbound.c.vendor == one.vendor, inbound.c.event_id == one.event_id)
    before = connection.execute(sa.select(inbound.c.id).where(*known)).scalar()
    email = one.event.email if one.event else ""
    reasons = app.kernel.suppression.opted_out(connection, [email]).values()
    return before is not None and any(why not in OF_AN_ADDRESS for why in reasons)
