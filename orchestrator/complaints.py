"""A spam complaint that no vendor tells of: noted by a person, it stops that person everywhere and feeds the halts.

Where complaints come from: the CRM's mail statistics and feedback reports in mail by themselves; a reply that says so
suppresses by itself, and whoever reads it notes it here where it was meant.
"""

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.address import read_address
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import digest
from shared.errors import Invalid
from shared.event import Event
from shared.pipeline_schema import event as event_table

BY = "operator"  # as the vendor of such an event


async def note(app: App, email: str, *, reason: str, actor: str) -> bool:
    """On the list, stopped and counted, and the rules asked at once. False if it was noted today already.

    Raises `Invalid` for what is no address, or without a reason.
    """
    if not reason.strip():
        raise Invalid("a reason is needed: how was it heard of?", field="reason", code="no_reason")
    try:
        address = read_address(email).exact
    except Invalid as error:
        raise Invalid(error.message, field="email", code=error.code) from error
    now = iso(app.kernel.clock.now())
    identifier = digest("complaint/v1", address, now[:10])[:40]
    if await app.kernel.store.read(lambda c: _known(c, identifier)):
        return False
    said = Event(
        id=identifier,
        vendor=BY,
        type="complained",
        occurred_at=now,
        email=address,
        stops_contact=True,
        reason="complained",
    )
    await handling.handle(app, said)
    entry = Entry("complaint.noted", address, {"reason": reason}, actor)
    await app.kernel.store.write(lambda c: append(c, [entry], app.kernel.clock.now()))
    await app.kernel.halts.look()
    return True


def _known(connection: sa.Connection, identifier: str) -> bool:
    query = sa.select(event_table.c.id).where(event_table.c.id == f"{BY}:{identifier}")
    return connection.execute(query).scalar() is not None
