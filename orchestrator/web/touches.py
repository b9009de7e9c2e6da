"""LinkedIn by hand: what somebody is asked to do today, and saying that it is done."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import touches
from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown

WHERE = "/campaigns/tasks"


@shown
async def show(request: Request, visit: Visit) -> Response:
    """What is due, the oldest first."""
    app = desk(request).app
    found = await touches.tasks(app.kernel, app.rules.outreach.linkedin)
    return await page(request, "touches.html", visit, tasks=found)


@changing("approve")
async def do(request: Request, visit: Visit, form: Form) -> Response:
    """It was done."""
    return await _end(request, visit, form, "done", "task_done")


@changing("approve")
async def skip(request: Request, visit: Visit, form: Form) -> Response:
    """It is left."""
    return await _end(request, visit, form, "skipped", "task_skipped")


async def _end(request: Request, visit: Visit, form: Form, how: touches.Ended, said: str) -> Response:
    await touches.end(
        desk(request).app.kernel, request.path_params["id"], how, person=visit.person, note=form.text("note")
    )
    return done(WHERE, said)
