"""An emulator of GoHighLevel's HTTP API with the traps of the real one, for demos and tests.

Token, version and scopes are checked (401 for each), unknown and missing properties and parameters refused (422
with a list), so many requests in 10 s allowed (429, headers without a reset time, no Retry-After), webhooks signed
with the emulator's own Ed25519 key. What a person or the vendor does by itself, as `POST /_control/act/<name>`:

    enter {email} · set_dnd {email, channels?, dnd?} · add_tag {email, tag} · edit {email, fields?, custom?}
    move {email, stage} · add_address {email, second} · delete {email} · inbound_message {email, subject, body}
    set_location {allow_duplicate_contact, allow_duplicate_opportunity, search_lag, id, duplicate_order,
                  names_duplicate, shows_secondary, shows_fields, dnd_merges, calls, missing_scopes}
    forget {what} · end_tokens {refresh?} · install {code}
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.ghl import sandbox_contacts, sandbox_location, sandbox_opportunities, sandbox_search
from servers.ghl.sandbox_actions import actions, sign
from servers.ghl.sandbox_state import Refused, State, initial
from shared.clock import Clock, SystemClock
from shared.sandbox import Sandbox

__all__ = ["build", "sign"]

Endpoint = Callable[[State, Request, Mapping[str, Any]], Awaitable[Response] | Response]
SECONDS, CALLS_A_DAY = 10.0, 200_000
VERSIONS = frozenset({"v3", "2023-02-21", "2021-07-28", "2021-04-15"})


def build(state_file: Path | None = None, *, clock: Clock | None = None) -> ASGIApp:
    """The emulator, its state in memory or in that file."""
    sandbox = Sandbox("ghl", initial=initial, state_file=state_file, clock=clock or SystemClock())
    state = State(sandbox)
    sandbox.actions.update(actions(state))
    budget = _Budget(state)
    table: tuple[tuple[str, str, Endpoint, str], ...] = (
        ("POST", "/oauth/token", sandbox_location.issue, ""),
        *sandbox_search.ENDPOINTS,
        *sandbox_contacts.ENDPOINTS,
        *sandbox_opportunities.ENDPOINTS,
        *sandbox_location.ENDPOINTS,
    )
    routes = [
        Route(path, _guarded(state, budget, endpoint, scope), methods=[method])
        for method, path, endpoint, scope in table
    ]
    return sandbox.app([*routes, Route("/{rest:path}", _nowhere, methods=["GET", "POST", "PUT", "DELETE"])])


class _Budget:
    """Calls of the last ten seconds."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._calls: deque[float] = deque()
        self._today = 0

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Whether this call may go on, and the headers every answer carries."""
        now, most = self._state.sandbox.clock.monotonic(), int(self._state.location["calls"])
        while self._calls and self._calls[0] <= now - SECONDS:
            self._calls.popleft()
        allowed = len(self._calls) < most
        if allowed:
            self._calls.append(now)
            self._today += 1
        return allowed, {
            "x-ratelimit-limit-daily": str(CALLS_A_DAY),
            "x-ratelimit-daily-remaining": str(CALLS_A_DAY - self._today),
            "x-ratelimit-interval-milliseconds": str(int(SECONDS * 1000)),
            "x-ratelimit-max": str(most),
            "x-ratelimit-remaining": str(max(0, most - len(self._calls))),
        }


def _guarded(
    state: State, budget: _Budget, endpoint: Endpoint, scope: str
) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        allowed, headers = budget.spend()
        try:
            _check_budget(allowed)
            _check_headers(state, request, scope)
            found = endpoint(state, request, await _body(request))
            response = found if isinstance(found, Response) else await found
        except Refused as refused:
            response = JSONResponse(refused.body, refused.status)
        response.headers.update(headers)
        return response

    return answer


def _check_budget(allowed: bool) -> None:
    if not allowed:
        raise Refused(429, "Too Many Requests")


def _check_headers(state: State, request: Request, scope: str) -> None:
    """The vendor answers 401 to a bad token, a bad version and a missing scope alike."""
    version = request.headers.get("version", "")
    if scope:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        sandbox_location.check_token(state, token.strip() if scheme.lower() == "bearer" else "")
    if not version:
        raise Refused(401, "version header was not found.")
    if version not in VERSIONS:
        raise Refused(401, "version header is invalid")
    if scope in state.location["missing_scopes"]:
        raise Refused(401, "The token is not authorized for this scope.")


async def _body(request: Request) -> Mapping[str, Any]:
    raw = await request.body()
    try:
        parsed = json.loads(raw) if raw else {}
    except ValueError as error:
        raise Refused(400, "Unexpected token in JSON") from error
    if not isinstance(parsed, dict):
        raise Refused(422, ["body must be an object"])
    return parsed


async def _nowhere(request: Request) -> Response:
    return JSONResponse({"statusCode": 404, "message": f"Cannot {request.method} {request.url.path}"}, 404)
