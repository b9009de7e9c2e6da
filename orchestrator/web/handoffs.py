"""What people have to take over: open handoffs first, the most overdue on top."""

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, page
from orchestrator.web.session import shown
from shared.clock import iso
from shared.pipeline_schema import handoff, lead, reply

MOST = 200


@shown
async def show(request: Request, visit: Visit) -> Response:
    """The list, with what the person wrote."""
    kernel = desk(request).app.kernel
    query = (
        sa.select(handoff, lead.c.email, reply.c.subject, reply.c.text)
        .outerjoin(lead, lead.c.id == handoff.c.lead_id)
        .outerjoin(reply, reply.c.event_id == handoff.c.event_id)
        .order_by(handoff.c.state == "closed", handoff.c.due_at)
        .limit(MOST)
    )
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    now = iso(kernel.clock.now())
    return await page(request, "handoffs.html", visit, handoffs=rows, now=now, most=MOST)
