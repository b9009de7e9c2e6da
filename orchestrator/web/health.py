"""For whoever watches the process: alive, ready to work, and its numbers. Needs no login and names no person."""

from http import HTTPStatus
from ipaddress import ip_address

import sqlalchemy as sa
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from orchestrator.web.desk import desk
from shared.metrics import CONTENT_TYPE, exposition, measure
from shared.store import Unavailable

# Set by proxies: behind one, everybody seems to be on this machine.
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


async def alive(request: Request) -> Response:
    """200 while the process answers; says so when the database doesn't."""
    try:
        safety = await desk(request).app.kernel.switches.now()
    except Unavailable:
        # What can't be read counts as on.
        return JSONResponse({"status": "ok", "database": "unavailable", "kill_switch": True})
    return JSONResponse({"status": "ok", "database": "ok", "kill_switch": safety.killed})


def _nothing(_: sa.Connection) -> None:
    """A transaction that changes nothing still needs the lock and the disk."""


async def ready(request: Request) -> Response:
    """200 when the database can be written, 503 when not."""
    try:
        await desk(request).app.kernel.store.write(_nothing)
    except Unavailable:
        return JSONResponse({"status": "unavailable"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"status": "ready"})


async def metrics(request: Request) -> Response:
    """The numbers, in Prometheus' words, for this machine only: how much business is done is nobody else's."""
    if not _from_here(request):
        raise HTTPException(HTTPStatus.NOT_FOUND)
    try:
        measured = await measure(desk(request).app.kernel)
    except Unavailable:
        return Response("the database can't be read", HTTPStatus.SERVICE_UNAVAILABLE, media_type="text/plain")
    return Response(exposition(measured), headers={"content-type": CONTENT_TYPE})


def _from_here(request: Request) -> bool:
    """Whether whoever asks is on this machine, and not behind a proxy that is."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False
