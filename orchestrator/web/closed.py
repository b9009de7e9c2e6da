"""What the Gatekeeper answers while its database or log can't be opened: opt-outs are taken, all else has to wait.

Nothing is shown and nobody can log in; effects can't begin anywhere without the database. Opt-outs go into the spool,
and from there onto the list as soon as the database opens again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from orchestrator import inbox, opting_out
from orchestrator.opt_out_link import Links
from orchestrator.rules import Rules
from orchestrator.web import unsubscribe
from orchestrator.web.security import Shield, body
from orchestrator.web.webhooks import told
from shared.clock import SystemClock, iso
from shared.settings import Settings
from shared.spool import Spool
from shared.webhook import MAX_BYTES, WebhookSource

RETRY_AFTER = {"retry-after": "10"}  # seconds


@dataclass(frozen=True, slots=True)
class Closed:
    """What is left without a kernel."""

    settings: Settings
    rules: Rules
    webhooks: Mapping[str, WebhookSource]
    spool: Spool
    why: str  # our own words
    links: Links | None  # where the keys can't be read, links can't either


def create_closed(closed: Closed, hosts: frozenset[str]) -> Starlette:
    """The application for exactly these `host:port` names."""

    async def receive(request: Request) -> Response:
        vendor = request.path_params["vendor"]
        if vendor not in closed.webhooks:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        raw = await body(request, MAX_BYTES)
        status = await _received(closed, vendor, told(request), raw)
        wait = RETRY_AFTER if status == HTTPStatus.SERVICE_UNAVAILABLE else None
        return PlainTextResponse(HTTPStatus(status).phrase, status, headers=wait)

    async def alive(_: Request) -> Response:
        # What can't be read counts as on.
        return JSONResponse({"status": "ok", "database": "unavailable", "kill_switch": True})

    async def otherwise(_: Request) -> Response:
        text = f"The Gatekeeper is closed: {closed.why}\nNothing is sent meanwhile, and opt-outs are taken.\n"
        return PlainTextResponse(text, HTTPStatus.SERVICE_UNAVAILABLE, headers=RETRY_AFTER)

    routes = [
        Route("/healthz", alive, methods=["GET"]),
        Route("/webhooks/{vendor}", receive, methods=["POST"]),
        *unsubscribe.routes(lambda _: lambda token: _opted_out(closed, token)),
        Route("/{rest:path}", otherwise, methods=["GET", "POST"]),
    ]
    shield = Middleware(Shield, hosts=hosts, secure=False, public=closed.settings.public_host)
    return Starlette(routes=routes, middleware=[shield])


async def _opted_out(closed: Closed, token: str) -> bool:
    if closed.links is None:
        return False
    now = iso(SystemClock().now())
    return await opting_out.opt_out_without_database(closed.spool, closed.links, token, now)


async def _received(closed: Closed, vendor: str, headers: Mapping[str, str], raw: bytes) -> int:
    """As the inbox receives, with the spool in the database's place."""
    source = closed.webhooks[vendor]
    now = SystemClock().now()
    came = inbox.arrived(source, closed.settings, closed.rules, vendor, headers, raw, now)
    return came if isinstance(came, int) else await inbox.spool(closed.spool, came)
