"""Whoever waits longer than was promised is told of once, and no longer than until somebody took it."""

import sqlalchemy as sa

from orchestrator import breaches, handoffs
from orchestrator.watching import decide, look
from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import handoff
from shared.schema import audit_detail
from tests.orchestrator.world import alone, put, rows


async def test_a_promise_that_was_broken_is_told_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    now = iso(app.kernel.clock.now())
    for name, state, due in (
        ("late", "pending", now),
        ("taken", "acknowledged", now),
        ("later", "pending", "9999"),
    ):
        values = {"id": name, "trigger": "pricing", "priority": "critical", "state": state, "due_at": due}
        await put(app, sa.insert(handoff).values(**values))
    assert [await breaches.work(app), await breaches.work(app)] == [1, 0]
    found = decide(await look(app.kernel, {}), app.kernel.settings.safety.alerts)
    assert [(one.scope, one.severity) for one in found if one.name == "sla"] == [("late", "critical")]
    noted = await rows(app, sa.select(audit_detail.c.payload))
    assert sum("9999" not in row.payload and '"due"' in row.payload for row in noted) == 1
    await handoffs.acknowledge(app.kernel, "late", by="olga@corp.com")
    found = decide(await look(app.kernel, {}), app.kernel.settings.safety.alerts)
    assert not [one for one in found if one.name == "sla"]
