"""The Gatekeeper's routes, and the answers to what went wrong."""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from orchestrator import inbox, opting_out
from orchestrator.accounts import Accounts
from orchestrator.app import App
from orchestrator.web import (
    audit,
    campaigns,
    dashboard,
    handoffs,
    health,
    leads,
    learning,
    login,
    plans,
    replies,
    reports,
    reviews,
    safety,
    schedules,
    suppression,
    touches,
    unsubscribe,
    webhooks,
)
from orchestrator.web.desk import Desk, Receiver, desk, page, templates
from orchestrator.web.security import PUBLIC_PATHS, Shield
from orchestrator.web.session import visitor
from shared.errors import Conflict, Invalid, Retryable, SwarmError

# What a person reads where an answer isn't a page; our own words only.
SENTENCES: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "That could not be read. Open the page again and repeat it.",
    HTTPStatus.FORBIDDEN: "This form is too old, or didn't come from this site. Open the page again.",
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address takes no such request.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That was too much at once.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "This address takes forms only.",
}
CODES = {"not_found": HTTPStatus.NOT_FOUND, "not_allowed": HTTPStatus.FORBIDDEN}


def create_web(
    app: App, *, hosts: frozenset[str], secure: bool = False, receive: Receiver = inbox.receive
) -> Starlette:
    """The web application for exactly these `host:port` names; `secure` where browsers reach it by https."""
    names = frozenset(host.lower() for host in hosts)
    web = Starlette(
        routes=_routes(),
        middleware=[Middleware(Shield, hosts=names, secure=secure, public=app.kernel.settings.public_host)],
        exception_handlers={HTTPException: _refused, SwarmError: _not_done},
    )
    web.state.desk = Desk(app, Accounts(app.kernel), templates(), names, receive, secure)
    return web


def _routes() -> list[BaseRoute]:
    static = StaticFiles(directory=str(files("orchestrator.web") / "static"))
    return [
        # First, since each that stands before it costs every webhook a look.
        *_post({"/webhooks/{vendor}": webhooks.receive}),
        *unsubscribe.routes(lambda request: partial(opting_out.opt_out, desk(request).app)),
        Mount("/static", static, name="static"),
        *_get({"/healthz": health.alive, "/readyz": health.ready, "/metrics": health.metrics}),
        *_get({"/login": login.show, "/setup/{token}": login.show_setup}),
        *_post({"/login": login.log_in, "/logout": login.log_out, "/setup/{token}": login.set_up}),
        *_get({"/": dashboard.show, "/campaigns": campaigns.show, "/handoffs": handoffs.show}),
        *_get({"/campaigns/plans/{id}": plans.show, "/campaigns/plans/{id}/effects": plans.show_effects}),
        *_get({"/campaigns/plans/{id}/findings": plans.show_findings}),
        *_post(
            {"/campaigns/plans/{id}/approve": plans.approve, "/campaigns/plans/{id}/reject": plans.reject}
        ),
        *_post({"/campaigns/plans/{id}/edit": plans.edit}),
        *_post({"/campaigns/plans/{id}/implement": plans.implement}),
        *_get({"/campaigns/tasks": touches.show}),
        *_post({"/campaigns/tasks/{id}/done": touches.do, "/campaigns/tasks/{id}/skip": touches.skip}),
        *_post({"/campaigns/{id}/pause": campaigns.pause, "/campaigns/{id}/resume": campaigns.resume}),
        *_get({"/reviews": reviews.show_queue, "/reviews/{id}": reviews.show}),
        *_post({"/reviews/{id}/read": reviews.read, "/reviews/{id}/approve": reviews.approve}),
        *_post({"/reviews/{id}/reject": reviews.reject, "/reviews/{id}/words": reviews.read_words}),
        *_post({"/reviews/{id}/{lead}/out": reviews.leave_out, "/reviews/{id}/{lead}/in": reviews.let_in}),
        *_get({"/reviews/{id}/{lead}/{step:int}": reviews.show_edit}),
        *_post({"/reviews/{id}/{lead}/{step:int}": reviews.edit}),
        *_get({"/schedules": schedules.show, "/reports": reports.show, "/learning": learning.show}),
        *_get({"/replies": replies.show}),
        *_post({"/replies/{id}/approve": replies.approve, "/replies/{id}/reject": replies.reject}),
        *_post({"/replies/{id}/edit": replies.edit}),
        *_post({"/handoffs/{id}/take": handoffs.take, "/handoffs/{id}/close": handoffs.close}),
        *_post({"/handoffs/{id}/confirm": handoffs.confirm, "/handoffs/{id}/take-back": handoffs.take_back}),
        *_post({"/handoffs/named/{id}/take-in": handoffs.take_in}),
        *_post({"/handoffs/named/{id}/leave": handoffs.leave}),
        *_get({"/leads": leads.search, "/leads/{id}": leads.show}),
        *_post({"/leads": leads.find}),
        *_get({"/suppression": suppression.show, "/audit": audit.show, "/safety": safety.show}),
        *_post({"/suppression/check": suppression.check, "/suppression/add": suppression.add}),
        *_post({"/suppression/upload": suppression.upload, "/suppression/lift": suppression.lift}),
        *_post({"/audit/verify": audit.verify}),
        *_post({"/safety/kill": safety.kill, "/safety/release": safety.release}),
        *_post({"/safety/settle": safety.settle}),
        *_post({"/safety/safe-mode/on": safety.engage_safe_mode}),
        *_post({"/safety/safe-mode/off": safety.leave_safe_mode}),
        *_post({"/safety/pause": safety.pause, "/safety/clear": safety.clear}),
    ]


Endpoint = Callable[[Request], Awaitable[Response]]


def _get(pages: dict[str, Endpoint]) -> list[Route]:
    return [Route(path, page, methods=["GET"]) for path, page in pages.items()]


def _post(changes: dict[str, Endpoint]) -> list[Route]:
    return [Route(path, change, methods=["POST"]) for path, change in changes.items()]


async def _refused(request: Request, error: Exception) -> Response:
    """An answer by status, in our own words."""
    assert isinstance(error, HTTPException)
    sentence = SENTENCES.get(error.status_code, "That didn't work.")
    return await _problem(request, error.status_code, sentence)


async def _not_done(request: Request, error: Exception) -> Response:
    """What a rule refused: its message is ours, and says what to do."""
    assert isinstance(error, SwarmError)
    status = CODES.get(error.code, _status(error))
    return await _problem(request, status, error.message)


def _status(error: SwarmError) -> HTTPStatus:
    if isinstance(error, Conflict):
        return HTTPStatus.CONFLICT
    if isinstance(error, Invalid):
        return HTTPStatus.BAD_REQUEST
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, Retryable) else HTTPStatus.BAD_GATEWAY


async def _problem(request: Request, status: int, sentence: str) -> Response:
    """The sentence on a page with the way back, or as text where no page was asked for or can be made."""
    if request.url.path.startswith(PUBLIC_PATHS) or status == HTTPStatus.SERVICE_UNAVAILABLE:
        return PlainTextResponse(sentence, status)
    visit = await visitor(request)
    return await page(request, "problem.html", visit, status=status, sentence=sentence, back=_back(request))


def _back(request: Request) -> str:
    """The page that a refused form most likely stood on."""
    parts = request.url.path.strip("/").split("/")
    deep = 2 if parts[0] == "reviews" else 3 if parts[:2] == ["campaigns", "plans"] else 1
    return "/" + "/".join(parts[:deep])
