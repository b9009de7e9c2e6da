"""Who asks, and whether they may: every page and every change is wrapped by one of these.

shown(page)              a GET: needs a session that isn't idle, and the right to read
changing(right)(change)  a POST: from our own page, with the session's token, by somebody with that right
confirmed=True           asks for the password again where it was given long ago
even_idle=True           also while idle for too long: only for what stops something; waits for no lock to do so
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from orchestrator.accounts import ABSOLUTE, GRACE, Visit, need
from orchestrator.roles import Right
from orchestrator.web.desk import desk
from orchestrator.web.security import FORM_BYTES, body, from_our_page
from shared.errors import Invalid

MOST_FIELDS = 100
LONGEST_LINE = 500
REFRESHING = "live"  # the id of the part of a page that refreshes itself


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; a field that isn't there is empty."""

    fields: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str:
        """The field's first value."""
        return next(iter(self.fields.get(name, ())), "")

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the field."""
        return tuple(self.fields.get(name, ()))

    def number(self, name: str) -> int:
        """The field as a whole number; `Invalid` where it is none."""
        text = self.text(name)
        if not text.isdecimal() or len(text) > 9:
            raise Invalid("this form isn't whole; open the page again", field=name, code="bad_form")
        return int(text)


Endpoint = Callable[[Request], Awaitable[Response]]
Page = Callable[[Request, Visit], Awaitable[Response]]
Change = Callable[[Request, Visit, Form], Awaitable[Response]]


def given(form: Form, name: str) -> str:
    """A line of text that has to be there; `Invalid` where it isn't."""
    text = " ".join(form.text(name).split())[:LONGEST_LINE]
    if not text:
        raise Invalid(f"a {name} is needed", field=name, code=f"no_{name}")
    return text


async def visitor(request: Request, *, counts: bool = True) -> Visit | None:
    """The session behind the request's cookie. A page that refreshes itself doesn't keep a session alive.

    `counts`: note that it was used, which waits for the database while somebody locks it.
    """
    cookie = request.cookies.get(desk(request).cookie, "")
    if not cookie:
        return None
    return await desk(request).accounts.visit(cookie, counts=counts and not refreshes_itself(request))


def refreshes_itself(request: Request) -> bool:
    """Whether the page asks, and not a person."""
    return request.method == "GET" and request.headers.get("hx-trigger") == REFRESHING


def shown(page: Page) -> Endpoint:
    """A page for whoever is logged in."""

    async def endpoint(request: Request) -> Response:
        visit = await visitor(request)
        if visit is None or visit.idle:
            return to_login(request)
        need(visit.person, "read")
        return await page(request, visit)

    return endpoint


def changing(
    right: Right, *, even_idle: bool = False, confirmed: bool = False
) -> Callable[[Change], Endpoint]:
    """A change by somebody with `right`, sent by a page of ours; `confirmed`: who gave their password lately."""

    def wrap(change: Change) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            form = await read_form(request)
            visit = await visitor(request, counts=not even_idle)
            if visit is None or (visit.idle and not even_idle):
                return to_login(request)
            if not hmac.compare_digest(form.text("csrf").encode(), visit.csrf.encode()):
                raise HTTPException(HTTPStatus.FORBIDDEN)
            need(visit.person, right)
            if confirmed and not visit.fresh:
                await confirm(request, visit, form)
            return await change(request, visit, form)

        return endpoint

    return wrap


async def confirm(request: Request, visit: Visit, form: Form) -> None:
    """The visitor's password again: a session left open says yes to nothing."""
    if not await desk(request).accounts.confirm(visit, form.text("password")):
        message = "enter your password; it is wrong, or there were too many tries"
        raise Invalid(message, field="password", code="not_allowed")


async def read_form(request: Request) -> Form:
    """A form that a page of ours sent: 403 for another page's, 413 and 415 for what no form of ours is."""
    if not from_our_page(request.headers, desk(request).hosts):
        raise HTTPException(HTTPStatus.FORBIDDEN)
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    raw = await body(request, FORM_BYTES)
    try:
        return Form(parse_qs(raw.decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from error


def to_login(request: Request) -> Response:
    """Log in first; a page that was asked for is found again afterwards.

    A page that refreshes itself stays as it is: its kill button still works.
    """
    if refreshes_itself(request):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    path = request.url.path if request.method == "GET" else "/"
    return RedirectResponse(f"/login?next={quote(path, safe='/')}", HTTPStatus.SEE_OTHER)


def keep(request: Request, response: Response, cookie: str) -> Response:
    """Give the browser the session's cookie; out of reach of scripts and of other sites."""
    at = desk(request)
    seconds = int((ABSOLUTE + GRACE).total_seconds())
    response.set_cookie(
        at.cookie, cookie, max_age=seconds, path="/", httponly=True, samesite="strict", secure=at.secure
    )
    return response


def forget(request: Request, response: Response) -> Response:
    """Take the cookie back."""
    at = desk(request)
    response.delete_cookie(at.cookie, path="/", httponly=True, samesite="strict", secure=at.secure)
    return response
