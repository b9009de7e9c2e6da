"""What is done again and again: when it was done last, when it is due next, and what lags."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator.accounts import Visit
from orchestrator.schedules import standing
from orchestrator.timetable import TIMETABLE
from orchestrator.web.desk import desk, page
from orchestrator.web.session import shown


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Schedules, then the parts of the worker."""
    app = desk(request).app
    found = await standing(app.kernel, app.rules.schedules, TIMETABLE)
    return await page(
        request,
        "schedules.html",
        visit,
        schedules=[one for one in found if one.state != "round"],
        rounds=[one for one in found if one.state == "round"],
    )
