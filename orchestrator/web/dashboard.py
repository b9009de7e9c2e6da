"""The dashboard: the newest run's funnel, how effects ended, what waits for a person, how long the log is."""

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import review, runs
from orchestrator.accounts import Visit
from orchestrator.summary import summarise
from orchestrator.web.desk import desk, page
from orchestrator.web.session import shown
from shared.alerts import link, open_alerts
from shared.kernel import Kernel
from shared.ledger import OPEN
from shared.pipeline_schema import handoff, stop

ORDER = ("applied", "replayed", "simulated", "refused", "in_doubt", "failed", "claimed")


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Everything at a glance; refreshes itself where scripts run."""
    kernel = desk(request).app.kernel
    newest = next(iter(await runs.newest(kernel, limit=1)), None)
    summary = await summarise(kernel, newest.id) if newest else None
    outcomes = await kernel.ledger.counts()
    return await page(
        request,
        "dashboard.html",
        visit,
        run=newest,
        funnel=summary.funnel if summary else {},
        outcomes=[(name, outcomes[name]) for name in ORDER if outcomes.get(name)],
        in_doubt=sum(outcomes.get(name, 0) for name in OPEN),
        suppressed=await kernel.suppression.count(),
        waiting=await review.queue(kernel),
        open_handoffs=await _count(kernel, handoff, handoff.c.state != "closed"),
        open_stops=await _count(kernel, stop, stop.c.state == "open"),
        head=await kernel.audit.head(),
        alerts=await open_alerts(kernel).shown(),
        channels=open_alerts(kernel).channels,
        runbook=lambda name: link(kernel.settings.safety.alerts.runbook, name),
    )


async def _count(kernel: Kernel, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(where)
    return await kernel.store.read(lambda c: c.execute(query).scalar() or 0)
