"""What people answered, newest first, and what we would answer: approve, change, leave."""

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import answers
from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown
from shared.pipeline_schema import answer, reply

MOST = 100
WHERE = "/replies"


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Replies whose answer waits for a person first, then the newest."""
    kernel = desk(request).app.kernel
    waits = sa.case((answer.c.state == "pending_review", 0), else_=1)
    columns = (reply.c.email, reply.c.subject, reply.c.text, reply.c.at, reply.c["class"].label("kind"))
    more = (reply.c.confidence, reply.c.action, reply.c.lead_id, reply.c.event_id, answer.c.id)
    ours = (answer.c.body, answer.c.subject.label("ours"), answer.c.state, answer.c.version)
    told = (answer.c.findings, answer.c.edited_by, answer.c.decided_by, answer.c.mailbox, answer.c.reason)
    query = (
        sa.select(*columns, *more, *ours, *told)
        .outerjoin(answer, answer.c.event_id == reply.c.event_id)
        .order_by(waits, reply.c.at.desc())
        .limit(MOST)
    )
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    listed = [(row, answers.FINDINGS.validate_json(row.findings or "[]")) for row in rows]
    return await page(request, "replies.html", visit, replies=listed, most=MOST)


@changing("approve", confirmed=True)
async def approve(request: Request, visit: Visit, form: Form) -> Response:
    """Exactly these words go out, once."""
    app, identifier = desk(request).app, request.path_params["id"]
    await answers.approve(app, identifier, person=visit.person, version=form.number("version"))
    return done(WHERE, "answer_approved")


@changing("approve")
async def reject(request: Request, visit: Visit, form: Form) -> Response:
    """Nothing goes out."""
    app, identifier = desk(request).app, request.path_params["id"]
    said = {"version": form.number("version"), "reason": form.text("reason")}
    await answers.reject(app, identifier, person=visit.person, **said)  # type: ignore[arg-type]  # a number and a text
    return done(WHERE, "answer_rejected")


@changing("approve")
async def edit(request: Request, visit: Visit, form: Form) -> Response:
    """Other words."""
    app, identifier = desk(request).app, request.path_params["id"]
    version, body = form.number("version"), form.text("body")
    await answers.edit(app, identifier, person=visit.person, version=version, body=body)
    return done(WHERE, "answer_edited")
