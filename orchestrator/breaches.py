"""Promised times: a handoff that nobody took in time is a breach, noted and told once.

pending ─ due ─▶ breached, once (the log, an alert of its own) ─ taken ─▶ the alert is over
"""

import sqlalchemy as sa

from orchestrator.app import App
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.pipeline_schema import handoff

AT_ONCE = 200


async def work(app: App) -> int:
    """Note whoever waits longer than was promised. Returns how many are new."""
    now = app.kernel.clock.now()
    late = sa.select(handoff).where(
        handoff.c.state == "pending",
        handoff.c.breached_at == "",
        handoff.c.due_at != "",
        handoff.c.due_at <= iso(now),
    )

    def change(connection: sa.Connection) -> int:
        rows = connection.execute(late.order_by(handoff.c.due_at).limit(AT_ONCE)).all()
        entries = []
        for row in rows:
            mine = sa.update(handoff).where(handoff.c.id == row.id)
            connection.execute(mine.values(breached_at=iso(now)))
            payload: dict[str, Json] = {"trigger": row.trigger, "to": row.destination, "due": row.due_at}
            entries.append(Entry("handoff.breached", row.id, payload))
        append(connection, entries, now)
        return len(rows)

    waits = await app.kernel.store.read(lambda c: c.execute(late.limit(1)).first())
    return await app.kernel.store.write(change) if waits else 0
