"""One-click unsubscribe (RFC 8058): a page with a button, and the POST that mail programs send by themselves.

Looking changes nothing, so that scanners and previews opt nobody out. There is no log-in, no redirect and no token of a
form: whoever has the link may use it, from wherever. A link that isn't ours is answered as one that is. Nothing of the
page depends on the database, the templates or other pages.
"""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from orchestrator.opt_out_link import PATH
from orchestrator.web.security import FORM_BYTES, body

OptOut = Callable[[str], Awaitable[bool]]
FIELD, VALUE = "List-Unsubscribe", "One-Click"
# The address says who it is: it goes nowhere else, and nobody keeps it.
HEADERS = {"referrer-policy": "no-referrer", "cache-control": "no-store", "x-robots-tag": "noindex, nofollow"}
RETRY_AFTER = "10"  # seconds
PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Unsubscribe</title>'
    '<meta name="viewport" content="width=device-width"></head><body><main><h1>{title}</h1><p>{text}</p>{form}'
    "</main></body></html>"
)
FORM = (
    f'<form method="post"><input type="hidden" name="{FIELD}" value="{VALUE}">'
    '<button type="submit">Unsubscribe</button></form>'
)
ASK = PAGE.format(
    title="Unsubscribe", text="Press the button, and we will not write to you again.", form=FORM
)
DONE = PAGE.format(title="Done", text="We will not write to you again.", form="")
AGAIN = PAGE.format(
    title="Please try again", text="We could not note it just now. Please press the button again.", form=FORM
)


def routes(opt_out: Callable[[Request], OptOut]) -> list[BaseRoute]:
    """The page and the click; `opt_out` tells who carries a click out."""

    async def click(request: Request) -> Response:
        raw = await body(request, FORM_BYTES)
        if not is_one_click(request.headers.get("content-type", ""), raw):
            return _html(ASK, HTTPStatus.BAD_REQUEST)
        if await opt_out(request)(request.path_params["token"]):
            return _html(DONE)
        return _html(AGAIN, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": RETRY_AFTER})

    path = f"{PATH}{{token}}"
    return [Route(path, ask, methods=["GET"]), Route(path, click, methods=["POST"])]


async def ask(_: Request) -> Response:
    """The page with the button: the same for everybody, whatever the link."""
    return _html(ASK)


def is_one_click(kind: str, raw: bytes) -> bool:
    """Whether a body says what RFC 8058 has it say, as either of the kinds that forms are sent as."""
    if kind.split(";", maxsplit=1)[0].strip().lower() == "multipart/form-data":
        return f'name="{FIELD}"'.encode() in raw and VALUE.encode() in raw
    try:
        return VALUE in parse_qs(raw.decode(), max_num_fields=10).get(FIELD, [])
    except ValueError:
        return False


def _html(text: str, status: int = HTTPStatus.OK, more: dict[str, str] | None = None) -> Response:
    return HTMLResponse(text, status, headers={**HEADERS, **(more or {})})
