"""An emulator of GoHighLevel's HTTP API (Version v3) with the traps of the real one, for demos and tests.

Bearer and Version are checked (401), unknown and missing properties refused (422 with a list), 100 requests
in 10 s allowed (429, headers without a reset time), webhooks signed with the emulator's own Ed25519 key.
Actions: `set_dnd {email}` · `add_tag {email, tag}` · `inbound_message {email, subject, body}` ·
`set_location {allow_duplicate_contact, allow_duplicate_opportunity, search_lag, id}`.
"""

import base64
import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.ghl import sandbox_contacts, sandbox_opportunities
from servers.ghl.sandbox_state import Refused, State, initial
from shared.clock import Clock, SystemClock
from shared.sandbox import Sandbox

Endpoint = Callable[[State, Request, Mapping[str, Any]], Awaitable[Response] | Response]

CALLS, SECONDS, CALLS_A_DAY = 100, 10.0, 200_000
# Deterministic, so that config/vendors/ghl.yaml can hold the public half; worth nothing outside the emulator.
SIGNING_SEED = hashlib.sha256(b"ghl sandbox webhook signature").digest()

LOCATION_DOES = {
    "allow_duplicate_contact": "allowDuplicateContact",
    "allow_duplicate_opportunity": "allowDuplicateOpportunity",
    "search_lag": "search_lag",
    "id": "id",
}


def build(state_file: Path | None = None, *, clock: Clock | None = None) -> ASGIApp:
    """The emulator, its state in memory or in that file."""
    sandbox = Sandbox("ghl", initial=initial, state_file=state_file, clock=clock or SystemClock())
    state = State(sandbox)
    sandbox.actions.update(_actions(state))
    budget = _Budget(sandbox.clock)
    table: tuple[tuple[str, str, Endpoint], ...] = (
        *sandbox_contacts.ENDPOINTS,
        *sandbox_opportunities.ENDPOINTS,
        ("GET", "/locations/{location_id}", _location),
        ("GET", "/locations/{location_id}/customFields", _custom_fields),
        ("GET", "/locations/{location_id}/tags", _tags),
    )
    routes = [
        Route(path, _guarded(state, budget, endpoint), methods=[method]) for method, path, endpoint in table
    ]
    return sandbox.app([*routes, Route("/{rest:path}", _nowhere, methods=["GET", "POST", "PUT", "DELETE"])])


def sign(body: bytes) -> str:
    """The signature header's value for a webhook's bytes."""
    key = Ed25519PrivateKey.from_private_bytes(SIGNING_SEED)
    return base64.b64encode(key.sign(body)).decode()


class _Budget:
    """Calls of the last ten seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: deque[float] = deque()
        self._today = 0

    def spend(self) -> tuple[bool, dict[str, str]]:
        """Whether this call may go on, and the headers every answer carries."""
        now = self._clock.monotonic()
        while self._calls and self._calls[0] <= now - SECONDS:
            self._calls.popleft()
        allowed = len(self._calls) < CALLS
        if allowed:
            self._calls.append(now)
            self._today += 1
        return allowed, {
            "x-ratelimit-limit-daily": str(CALLS_A_DAY),
            "x-ratelimit-daily-remaining": str(CALLS_A_DAY - self._today),
            "x-ratelimit-interval-milliseconds": str(int(SECONDS * 1000)),
            "x-ratelimit-max": str(CALLS),
            "x-ratelimit-remaining": str(CALLS - len(self._calls)),
        }


def _guarded(state: State, budget: _Budget, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        allowed, headers = budget.spend()
        try:
            _check_budget(allowed)
            _check_headers(request)
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


def _check_headers(request: Request) -> None:
    """The vendor answers 401 to all three."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip() or token.startswith("expired"):
        raise Refused(401, "Invalid token: access token is invalid")
    version = request.headers.get("version", "")
    if not version:
        raise Refused(401, "version header was not found.")
    if version != "v3":
        raise Refused(401, "version header is invalid")


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


# ── the location ─────────────────────────────────────────────────────────────────────────────────────────
def _location(state: State, request: Request, _: Mapping[str, Any]) -> Response:
    location_id = state.check_location(request.path_params["location_id"])
    names = ("allowDuplicateContact", "allowDuplicateOpportunity")
    settings = {name: state.location[name] for name in names} | {"allowFacebookNameMerge": False}
    return JSONResponse({"location": {"id": location_id, "name": "Sandbox", "settings": settings}})


def _custom_fields(state: State, request: Request, _: Mapping[str, Any]) -> Response:
    location_id = state.check_location(request.path_params["location_id"])
    model = request.query_params.get("model", "contact")
    fields = [field for field in state.fields if model in {"all", field["model"]}]
    listed = [{**field, "locationId": location_id} for field in fields]
    return JSONResponse({"customFields": listed})


def _tags(state: State, request: Request, _: Mapping[str, Any]) -> Response:
    location_id = state.check_location(request.path_params["location_id"])
    names = sorted({tag for contact in state.contacts.values() for tag in contact["tags"]})
    listed = [{"id": f"tag{n}", "name": name, "locationId": location_id} for n, name in enumerate(names)]
    return JSONResponse({"tags": listed})


# ── what happens by itself ───────────────────────────────────────────────────────────────────────────────
def _actions(state: State) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]]:
    async def set_dnd(given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The person unsubscribes at the vendor."""
        contact = state.by_email(str(given["email"]))
        contact["dndSettings"] |= {"email": {"status": "active", "message": "Unsubscribed"}}
        contact["dnd"] = True
        state.touch(contact)
        # Webhooks were seen with capitalised channels where the API has lower-case ones.
        shown = {**state.shown(contact), "dndSettings": {"Email": contact["dndSettings"]["email"]}}
        return await _deliver(state, "ContactDndUpdate", shown)

    async def add_tag(given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Somebody tags the contact in the vendor's own pages."""
        contact = state.by_email(str(given["email"]))
        contact["tags"] = sorted({*contact["tags"], str(given["tag"]).lower()})
        state.touch(contact)
        return await _deliver(state, "ContactTagUpdate", state.shown(contact))

    async def inbound_message(given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The person writes."""
        contact = state.by_email(str(given["email"]))
        message = {
            "contactId": contact["id"],
            "conversationId": f"conv{contact['id']}",
            "direction": "inbound",
            "messageType": "Email",
            "emailMessageId": state.sandbox.identifier(),
            "from": f"{contact.get('name') or 'Sender'} <{contact['email']}>",
            "to": "ae@example.com",
            "subject": str(given.get("subject", "")),
            "body": str(given.get("body", "")),
            "dateAdded": state.now(),
        }
        return await _deliver(state, "InboundMessage", message)

    async def set_location(given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Settings a person would change in the vendor's pages; `search_lag` in seconds."""
        state.location.update({LOCATION_DOES[name]: value for name, value in given.items()})
        state.sandbox.save()
        return dict(state.location)

    return {action.__name__: action for action in (set_dnd, add_tag, inbound_message, set_location)}


async def _deliver(state: State, kind: str, entity: Mapping[str, Any]) -> Mapping[str, Any]:
    """Flat, in the envelope that real payloads have and the vendor's schemas leave out."""
    envelope = {
        "type": kind,
        "locationId": state.location["id"] or "sandbox-location",
        "appId": "sandbox",
        "versionId": "sandbox",
        "timestamp": state.now(),
        "webhookId": state.sandbox.identifier(32),
    }
    body = {**entity, **envelope}
    await state.sandbox.deliver(body, {"x-ghl-signature": sign(json.dumps(body).encode())})
    return {"webhookId": body["webhookId"]}
