"""The do-not-contact list: who is on it, and putting somebody on it."""

from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from orchestrator import lists, relaxing, stops
from orchestrator.accounts import Visit
from orchestrator.situation import situation
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, confirm, given, shown
from orchestrator.web.uploads import Upload, uploading
from shared.errors import Invalid
from shared.suppression import Suppressed

LONGEST = 320
MEGABYTE = 1_000_000
MOST_BYTES = 2 * MEGABYTE  # of a file; a larger one goes by the command line


@shown
async def show(request: Request, visit: Visit) -> Response:
    """How many are on it, and both forms. The list itself holds no addresses, only keyed hashes."""
    return await _page(request, visit)


async def _page(
    request: Request,
    visit: Visit,
    *,
    asked: str = "",
    found: Suppressed | None = None,
    problem: str = "",
    taken: lists.Taken | None = None,
) -> Response:
    count = await desk(request).app.kernel.suppression.count()
    status = HTTPStatus.BAD_REQUEST if problem else HTTPStatus.OK
    values: dict[str, Any] = {"asked": asked, "found": found, "problem": problem, "count": count}
    waiting = [one for one in (await situation(desk(request).app.kernel)).asked if one.what == "suppression"]
    values |= {"taken": taken, "most_mb": MOST_BYTES / MEGABYTE, "lifts": waiting}
    return await page(request, "suppression.html", visit, status=status, **values)


@changing("read")
async def check(request: Request, visit: Visit, form: Form) -> Response:
    """Whether an address or a domain is on it. A form, so that no address stands in an URL."""
    asked = form.text("target").strip()[:LONGEST]
    try:
        found = await desk(request).app.kernel.suppression.find(asked)
    except Invalid as error:
        return await _page(request, visit, asked=asked, problem=error.message)
    return await _page(request, visit, asked=asked, found=found)


@changing("suppress")
async def add(request: Request, visit: Visit, form: Form) -> Response:
    """Put an address or a domain on it, and stop what runs for them."""
    target = form.text("target").strip()[:LONGEST]
    try:
        kernel, reason = desk(request).app.kernel, given(form, "reason")
        new = await stops.suppress(
            kernel, target, reason=reason, source="gatekeeper", actor=visit.account.email
        )
    except Invalid as error:
        return await _page(request, visit, asked=target, problem=error.message)
    return done("/suppression", "suppressed" if new else "suppressed_before")


@changing("relax")
async def lift(request: Request, visit: Visit, form: Form) -> Response:
    """Take somebody off it, or ask a second admin to: with a reason, and the visitor's password."""
    kernel, target = desk(request).app.kernel, form.text("target").strip()[:LONGEST]
    try:
        reason = given(form, "reason")
        await confirm(request, visit, form)
        answer = await relaxing.lift(kernel, target, person=visit.person, reason=reason)
    except Invalid as error:
        if error.code == "not_allowed":
            raise
        return await _page(request, visit, asked=target, problem=error.message)
    if not answer.done:
        return done("/suppression", "asked")
    return done("/suppression", "lifted" if answer.moved else "not_suppressed")


@uploading("suppress", MOST_BYTES)
async def upload(request: Request, visit: Visit, form: Upload) -> Response:
    """Put everybody in a file on it; says which lines couldn't be taken."""
    try:
        reason = given(form.form, "reason")
    except Invalid as error:
        return await _page(request, visit, problem=error.message)
    said = lists.Said(reason, "gatekeeper", visit.account.email)
    taken = await lists.take_in(desk(request).app.kernel, form.file, form.name, said)
    return await _page(request, visit, taken=taken)
