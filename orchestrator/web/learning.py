"""What past campaigns taught, and what follows from it by stated rules; a person decides."""

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import knowledge
from orchestrator.accounts import Visit
from orchestrator.learning_tools import recommended
from orchestrator.web.desk import desk, page
from orchestrator.web.session import shown

MOST = 30


@shown
async def show(request: Request, visit: Visit) -> Response:
    """Advice on top, then lessons about each thing."""
    app = desk(request).app
    people, told = await recommended(app.kernel, app.rules)
    about = {one: (await knowledge.lessons(app.kernel, app.rules, one))[:MOST] for one in knowledge.ABOUT}
    planning = app.rules.outreach.planning
    return await page(
        request, "learning.html", visit, people=people, advice=told, about=about, planning=planning
    )
