"""The emulator's manners: who may ask, what a body may hold, and how refusals read."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.instantly.sandbox_traps import Traps

Endpoint = Callable[[Request], Awaitable[Response]]
PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    413: "Payload Too Large",
    429: "Too Many Requests",
}
UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\"]+")
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


class RefusedError(Exception):
    """The emulator answers with an error of the vendor's shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def stamp(moment: datetime) -> str:
    """A moment as the vendor writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def guarded(endpoint: Endpoint, traps: Traps) -> Endpoint:
    """Check key, agent, plan and content type first; turn refusals into answers."""

    async def answer(request: Request) -> Response:
        try:
            await _admit(request, traps)
            return await endpoint(request)
        except RefusedError as refused:
            body = {
                "statusCode": refused.status,
                "error": PHRASES[refused.status],
                "message": refused.message,
            }
            return JSONResponse(body, refused.status)

    return answer


async def _admit(request: Request, traps: Traps) -> None:
    if request.headers.get("user-agent", "").lower().startswith("python-urllib"):
        raise RefusedError(403, "Forbidden")
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme != "Bearer" or not key.strip():
        raise RefusedError(401, "Invalid API key")
    if traps.on("no_plan"):
        raise RefusedError(402, "Workspace does not have an active paid plan")
    declared = request.headers.get("content-type", "").startswith("application/json")
    if declared and not await request.body():
        raise RefusedError(400, "Body cannot be empty when content-type is set to 'application/json'")


async def json_body(request: Request) -> dict[str, Any]:
    """The request's JSON object."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        raise RefusedError(400, "Body is not valid JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(400, "body must be object")
    return body


def check(
    body: Mapping[str, Any], fields: Mapping[str, str], *, required: tuple[str, ...] = (), where: str = "body"
) -> None:
    """Required fields, no others than `fields`, each of its type ("string?" also takes null)."""
    for name in required:
        if name not in body:
            raise RefusedError(400, f"{where} must have required property '{name}'")
    for name, value in body.items():
        if name not in fields:
            raise RefusedError(400, f"{where} must NOT have additional properties")
        check_type(value, fields[name], f"{where}/{name}")


def check_type(value: Any, kind: str, where: str) -> None:
    """One value against a type word."""
    plain = kind.rstrip("?")
    if value is None and kind.endswith("?"):
        return
    fits = isinstance(value, TYPES[plain]) and not (isinstance(value, bool) and plain != "boolean")
    if not fits:
        raise RefusedError(400, f"{where} must be {plain}{',null' if kind.endswith('?') else ''}")


def check_choice(value: Any, allowed: frozenset[str], where: str) -> None:
    """A value from a closed list; the message is the one that names no list."""
    if value not in allowed:
        raise RefusedError(400, f"{where} must be equal to one of the allowed values")


def check_uuid(value: str, where: str) -> None:
    """An id."""
    if not UUID.fullmatch(value):
        raise RefusedError(400, f'{where} must match format "uuid"')


def page_of(
    items: list[dict[str, Any]], limit: Any, after: Any, traps: Traps, key: str = "id"
) -> dict[str, Any]:
    """A page. More than 100 gives nothing instead of an error, and even the last page carries a cursor."""
    wanted = _limit(limit)
    if wanted > 100 and not traps.on("page_over_100_is_empty"):
        raise RefusedError(400, "querystring/limit must be <= 100")
    if wanted > 100:
        return {"items": []}
    keys = [str(item[key]) for item in items]
    start = keys.index(after) + 1 if after in keys else (len(keys) if after else 0)
    shown = items[start : start + wanted]
    more = bool(shown) and (traps.on("cursor_on_last_page") or start + wanted < len(items))
    return {"items": shown, **({"next_starting_after": str(shown[-1][key])} if more else {})}


def _limit(limit: Any) -> int:
    try:
        wanted = int(limit if limit not in (None, "") else 10)
    except ValueError:
        raise RefusedError(400, "querystring/limit must be integer") from None
    if wanted < 1:
        raise RefusedError(400, "querystring/limit must be >= 1")
    return wanted
