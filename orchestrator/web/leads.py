"""One person: found by e-mail, profile or id, with everything that happened."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.accounts import Visit
from orchestrator.timeline import history
from orchestrator.web.desk import desk, page
from orchestrator.web.session import Form, changing, shown
from shared.errors import Invalid

LONGEST = 320


@shown
async def search(request: Request, visit: Visit) -> Response:
    """The search form."""
    return await page(request, "leads.html", visit, asked="", nobody=False)


@changing("read")
async def find(request: Request, visit: Visit, form: Form) -> Response:
    """Look somebody up. A form, so that no address stands in an URL."""
    asked = form.text("who").strip()[:LONGEST]
    found = await history(desk(request).app.kernel, asked) if asked else None
    if found is None:
        return await page(request, "leads.html", visit, status=HTTPStatus.NOT_FOUND, asked=asked, nobody=True)
    return RedirectResponse(f"/leads/{found['person']['id']}", HTTPStatus.SEE_OTHER)


@shown
async def show(request: Request, visit: Visit) -> Response:
    """A person's timeline."""
    found = await history(desk(request).app.kernel, request.path_params["id"])
    if found is None:
        raise Invalid("nobody is known under this id", code="not_found")
    return await page(request, "lead.html", visit, person=found["person"], timeline=found["timeline"])
