"""What people have to take over: open handoffs first, the most overdue on top; taking, closing, deciding."""

import json

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import handoffs, referrals, unclear
from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown
from shared.clock import iso
from shared.pipeline_schema import handoff, lead, reply

MOST = 200
WHERE = "/handoffs"


@shown
async def show(request: Request, visit: Visit) -> Response:
    """The list, with what the person wrote."""
    app = desk(request).app
    kernel = app.kernel
    query = (
        sa.select(handoff, lead.c.email, reply.c.email.label("written_by"), reply.c.subject, reply.c.text)
        .outerjoin(lead, lead.c.id == handoff.c.lead_id)
        .outerjoin(reply, reply.c.event_id == handoff.c.event_id)
        .order_by(handoff.c.state == "closed", handoff.c.due_at)
        .limit(MOST)
    )
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    listed = [(row, unclear.decides(row)) for row in rows]
    steps = {row.id: json.loads(row.detail).get("steps", []) for row in rows}
    ids = [row.event_id for row in rows if row.event_id]
    named = await kernel.store.read(lambda c: referrals.offers_in(app, c, ids)) if ids else []
    now = iso(kernel.clock.now())
    return await page(
        request, "handoffs.html", visit, handoffs=listed, steps=steps, named=named, now=now, most=MOST
    )


@changing("approve")
async def take(request: Request, visit: Visit, _: Form) -> Response:
    """Somebody takes it up."""
    await handoffs.acknowledge(desk(request).app.kernel, request.path_params["id"], by=visit.person.name)
    return done(WHERE, "handoff_taken")


@changing("approve")
async def close(request: Request, visit: Visit, form: Form) -> Response:
    """It is done."""
    app = desk(request).app
    said = {"by": visit.person.name, "note": form.text("note")}
    await handoffs.close(app.kernel, app.rules, request.path_params["id"], **said)
    return done(WHERE, "handoff_closed")


@changing("suppress")
async def confirm(request: Request, visit: Visit, _: Form) -> Response:
    """They asked to be left alone."""
    await unclear.confirm(desk(request).app.kernel, request.path_params["id"], person=visit.person)
    return done(WHERE, "opt_out_confirmed")


@changing("approve")
async def take_back(request: Request, visit: Visit, form: Form) -> Response:
    """They didn't."""
    kernel = desk(request).app.kernel
    await unclear.take_back(
        kernel, request.path_params["id"], person=visit.person, reason=form.text("reason")
    )
    return done(WHERE, "opt_out_taken_back")


@changing("approve")
async def take_in(request: Request, visit: Visit, form: Form) -> Response:
    """Whom an answer names becomes a lead."""
    app, email = desk(request).app, form.text("email")
    await referrals.take(app, request.path_params["id"], person=visit.person, email=email)
    return done(WHERE, "referral_taken")


@changing("approve")
async def leave(request: Request, visit: Visit, _: Form) -> Response:
    """Nobody writes to whom an answer names."""
    await referrals.decline(desk(request).app, request.path_params["id"], person=visit.person)
    return done(WHERE, "referral_declined")
