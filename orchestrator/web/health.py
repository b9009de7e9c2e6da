"""For whoever watches the process: alive, and ready to work. Needs no login and tells no more than that."""

from http import HTTPStatus

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from orchestrator.web.desk import desk
from shared.store import Unavailable


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
