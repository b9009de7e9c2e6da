"""Absences: a sequence pauses until the business day after the return; then a person is asked to go on.

    away ─▶ out of the vendor's hands, which knows no pause for one person ─ day after the return ─▶ handoff

Going on is writing again, so it is planned and approved like any first message.
"""

from datetime import date

import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.escalation import escalation_of
from orchestrator.handing_over import About, hand_off_in
from orchestrator.replies import Classified, pause_until
from orchestrator.rules import Rules
from shared.pipeline_schema import reply

AWAY = "out_of_office"
AT_ONCE = 100


def back_on(found: Classified, received: date, rules: Rules) -> str:
    """The day from which somebody may be written to again, or "" for who isn't away."""
    return pause_until(found, received, rules).isoformat() if found.reply == AWAY else ""


async def work(app: App) -> int:
    """Ask people to go on with whom has come back. Returns how many."""
    now = app.kernel.clock.now()
    due = sa.select(reply).where(reply.c.resume_on != "", reply.c.resume_on <= now.date().isoformat())

    def change(connection: sa.Connection) -> int:
        rows = connection.execute(due.order_by(reply.c.resume_on).limit(AT_ONCE)).all()
        asked = 0
        for row in rows:
            if _still_wanted(app, connection, row):
                about = About(row.event_id, row.lead_id, row.campaign_id)
                asked += hand_off_in(connection, about, escalation_of("returned", app.rules), now)
            over = sa.update(reply).where(reply.c.event_id == row.event_id)
            connection.execute(over.values(resume_on=""))
        return asked

    found = await app.kernel.store.read(lambda c: c.execute(due.limit(1)).first())
    return await app.kernel.store.write(change) if found else 0


def _still_wanted(app: App, connection: sa.Connection, row: sa.Row[tuple[object, ...]]) -> bool:
    """Not if they opted out meanwhile, or answered themselves."""
    if not row.lead_id or app.kernel.suppression.check(connection, [str(row.email)]):
        return False
    later = sa.select(reply.c.event_id).where(
        reply.c.lead_id == row.lead_id,
        reply.c.at > row.at,
        reply.c["class"].not_in(("auto_reply", "bounce")),
    )
    return connection.execute(later.limit(1)).scalar() is None
