"""Logging in and out, and what one-time links are opened for."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.links import link_behind, redeem
from orchestrator.passwords import ADVISED_PASSWORD, LONGEST_PASSWORD, SHORTEST_PASSWORD
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import forget, keep, read_form, visitor
from shared.errors import Invalid

WRONG = "E-mail or password is wrong, or there were too many tries: wait a little, then try again."
LENGTHS = {"shortest": SHORTEST_PASSWORD, "advised": ADVISED_PASSWORD, "longest": LONGEST_PASSWORD}


async def show(request: Request) -> Response:
    """The form; whoever is logged in already goes on."""
    visit = await visitor(request)
    if visit is not None and not visit.idle:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    return await page(request, "login.html", visit, email="", problem="", next=_next(request))


async def log_in(request: Request) -> Response:
    """A new session with a new cookie, or the same refusal whatever was wrong."""
    form = await read_form(request)
    at = desk(request)
    replaced = request.cookies.get(at.cookie, "")
    cookie = await at.accounts.login(form.text("email"), form.text("password"), replaces=replaced)
    if cookie is None:
        values = {"email": form.text("email"), "problem": WRONG, "next": _local(form.text("next"))}
        return await page(request, "login.html", None, status=HTTPStatus.FORBIDDEN, **values)
    return keep(request, RedirectResponse(_local(form.text("next")), HTTPStatus.SEE_OTHER), cookie)


async def log_out(request: Request) -> Response:
    """End the session, on the server as well."""
    await read_form(request)
    at = desk(request)
    await at.accounts.logout(request.cookies.get(at.cookie, ""))
    return forget(request, done("/login", "logged_out"))


async def show_setup(request: Request) -> Response:
    """The form of a one-time link, while the link stands."""
    link = await link_behind(desk(request).app.kernel, request.path_params["token"])
    if link is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return await page(request, "setup.html", None, link=link, email="", name="", problem="", **LENGTHS)


async def set_up(request: Request) -> Response:
    """Make the account that the link is for, or give it a new password; the link is used up."""
    form = await read_form(request)
    kernel, token = desk(request).app.kernel, request.path_params["token"]
    email, name, password = form.text("email"), form.text("name"), form.text("password")
    link = await link_behind(kernel, token)
    try:
        _same(password, form.text("again"))
        await redeem(kernel, token, email, name, password)
    except Invalid as error:
        values = {"link": link, "email": email, "name": name, "problem": error.message, **LENGTHS}
        return await page(request, "setup.html", None, status=HTTPStatus.BAD_REQUEST, **values)
    return done("/login", "welcome")


def _same(password: str, again: str) -> None:
    if password != again:
        raise Invalid("the two passwords differ", field="again")


def _next(request: Request) -> str:
    return _local(request.query_params.get("next", "/"))


def _local(path: str) -> str:
    """A path on this site; anything that a browser might read as another site becomes the dashboard."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe and not path.startswith(("/login", "/logout", "/setup")) else "/"
