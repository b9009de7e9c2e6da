"""Where vendors report to: the raw body within its cap, and the status the inbox answers. No session."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from orchestrator.web.desk import desk
from orchestrator.web.security import body
from shared.webhook import IN_ADDRESS, MAX_BYTES

RETRY_AFTER = "10"  # seconds


async def receive(request: Request) -> Response:
    """Hand the body on as it came. 2xx only once it is stored."""
    vendor = request.path_params["vendor"]
    at = desk(request)
    if vendor not in at.app.webhooks:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    raw = await body(request, MAX_BYTES)
    status = await at.receive(at.app, vendor, told(request), raw)
    headers = {"retry-after": RETRY_AFTER} if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return PlainTextResponse(HTTPStatus(status).phrase, status, headers=headers)


def told(request: Request) -> Mapping[str, str]:
    """The headers; and the secret out of the address, for vendors that send no header of ours."""
    return {**request.headers, IN_ADDRESS: request.query_params.get("secret", "")}
