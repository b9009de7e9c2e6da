"""The emulator's location: settings, custom fields, tags, workflows, messages, and tokens from OAuth."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_state import Entity, Refused, State, check, check_query, field_of

Body = Mapping[str, Any]
CLIENT = ("sandbox-client", "sandbox-client-secret")
LIVES = 86_399  # seconds
FIELD = {
    **dict.fromkeys(("name", "dataType", "placeholder", "model"), "text"),
    **dict.fromkeys(("acceptedFormat", "textBoxListOptions"), "list"),
    **dict.fromkeys(("maxNumberOfFiles", "position"), "number"),
    "isMultipleFile": "flag",
}
TOKEN = dict.fromkeys(
    ("clientId", "clientSecret", "grantType", "code", "refreshToken", "userType", "redirectUri"), "text"
)
EXPORT = ("locationId", "limit", "cursor", "sortBy", "sortOrder", "conversationId", "contactId", "channel")


# ── settings, fields, tags, workflows ────────────────────────────────────────────────────────────────────
def location(state: State, request: Request, _: Body) -> Response:
    """GET /locations/{id}"""
    location_id = state.check_location(request.path_params["location_id"])
    names = ("allowDuplicateContact", "allowDuplicateOpportunity")
    settings = {name: state.location[name] for name in names} | {"allowFacebookNameMerge": False}
    return JSONResponse({"location": {"id": location_id, "name": "Sandbox", "settings": settings}})


def custom_fields(state: State, request: Request, _: Body) -> Response:
    """GET /locations/{id}/customFields"""
    check_query(request.query_params, ("model",))
    location_id = state.check_location(request.path_params["location_id"])
    model = request.query_params.get("model", "contact")
    fields = [field for field in state.listed("fields") if model in {"all", field["model"]}]
    return JSONResponse({"customFields": [{**field, "locationId": location_id} for field in fields]})


def create_field(state: State, request: Request, body: Body) -> Response:
    """POST /locations/{id}/customFields: the key is made of the name"""
    location_id = state.check_location(request.path_params["location_id"])
    check(body, FIELD, ("name", "dataType"))
    key = str(body["name"]).strip().lower().replace(" ", "_")
    fields = state.listed("fields")
    if f"contact.{key}" in {field["fieldKey"] for field in fields}:
        raise Refused(400, "Custom field with this name already exists")
    made = field_of(len(fields), key, body["name"], body["dataType"])
    fields.append(made)
    state.sandbox.record("create_custom_field", key, field_id=made["id"], data_type=body["dataType"])
    return JSONResponse({"customField": {**made, "locationId": location_id}}, 201)


def tags(state: State, request: Request, _: Body) -> Response:
    """GET /locations/{id}/tags: what was made, and what contacts carry"""
    location_id = state.check_location(request.path_params["location_id"])
    used = {tag for contact in state.contacts.values() for tag in contact["tags"]}
    names = sorted(used | set(state.listed("tags")))
    listed = [{"id": f"tag{n}", "name": name, "locationId": location_id} for n, name in enumerate(names)]
    return JSONResponse({"tags": listed})


def create_tag(state: State, request: Request, body: Body) -> Response:
    """POST /locations/{id}/tags"""
    location_id = state.check_location(request.path_params["location_id"])
    check(body, {"name": "text"}, ("name",))
    name = str(body["name"]).strip().lower()
    if name in state.listed("tags"):
        raise Refused(400, "The tag name is already exist.")
    state.listed("tags").append(name)
    state.sandbox.record("create_tag", name)
    return JSONResponse({"tag": {"id": f"tag-{name}", "name": name, "locationId": location_id}})


def workflows(state: State, request: Request, _: Body) -> Response:
    """GET /workflows/"""
    check_query(request.query_params, ("locationId",))
    location_id = state.check_location(request.query_params.get("locationId"))
    more = {"version": 1, "locationId": location_id}
    return JSONResponse({"workflows": [{**one, **more} for one in state.listed("workflows")]})


# ── messages ─────────────────────────────────────────────────────────────────────────────────────────────
def export(state: State, request: Request, _: Body) -> Response:
    """GET /conversations/messages/export: one row a message, its e-mail named in `meta`"""
    asked = request.query_params
    check_query(asked, (*EXPORT, "startDate", "endDate"))
    state.check_location(asked.get("locationId"))
    limit = int(asked.get("limit", 100))
    if not 10 <= limit <= 500:
        raise Refused(400, "limit must not be less than 10")
    rows = [
        one for one in state.of("messages").values() if one["dateAdded"] >= asked.get("startDate", "")[:19]
    ]
    rows = sorted(rows, key=_added, reverse=asked.get("sortOrder", "desc") == "desc")
    start = int(asked.get("cursor") or 0)
    page = rows[start : start + limit]
    following = {"nextCursor": str(start + limit)} if len(rows) > start + limit else {}
    shown = [
        {key: value for key, value in row.items() if key not in {"subject", "from", "to"}} for row in page
    ]
    return JSONResponse({"messages": shown, "total": len(rows), **following})


def _added(row: Entity) -> str:
    return str(row["dateAdded"])


def email(state: State, request: Request, _: Body) -> Response:
    """GET /conversations/messages/email/{id}"""
    wanted = request.path_params["message_id"]
    for row in state.of("messages").values():
        if wanted in row["meta"]["email"]["messageIds"]:
            plain = {key: value for key, value in row.items() if key not in {"meta", "type", "messageType"}}
            return JSONResponse({**plain, "id": wanted, "to": [row["to"]], "threadId": row["id"]})
    raise Refused(404, "Message not found")


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────
def issue(state: State, _: Request, body: Body) -> Response:
    """POST /oauth/token: a code and a refresh token are good for once"""
    check(body, TOKEN, ("clientId", "clientSecret", "grantType"))
    if (body["clientId"], body["clientSecret"]) != CLIENT:
        raise Refused(401, "Invalid client: client is invalid")
    held = state.sandbox.state["oauth"]
    kind = "code" if body["grantType"] == "authorization_code" else "refresh"
    given = body.get("code" if kind == "code" else "refreshToken")
    if not given or given != held[kind]:
        raise Refused(400, "Invalid grant: refresh token is invalid")
    held |= {kind: "", "refresh": f"refresh-{state.sandbox.identifier()}"}
    access = f"oauth-{state.sandbox.identifier()}"
    held["access"][access] = (state.sandbox.clock.now() + timedelta(seconds=LIVES)).isoformat()
    state.sandbox.record("issue_token", kind)
    pair = {"accessToken": access, "refreshToken": held["refresh"], "expiresIn": LIVES}
    more = {"tokenType": "Bearer", "userType": "Location", "userId": "sandbox", "scope": "contacts.readonly"}
    return JSONResponse({**pair, **more})


def check_token(state: State, token: str) -> None:
    """A private integration's token is any text; one from OAuth must have been issued here and still hold."""
    until = state.sandbox.state["oauth"]["access"].get(token)
    over = until is not None and datetime.fromisoformat(until) <= state.sandbox.clock.now()
    if not token or token.startswith("expired") or over or (token.startswith("oauth-") and until is None):
        raise Refused(401, "Invalid token: access token is invalid")


ENDPOINTS = (
    ("GET", "/locations/{location_id}", location, "locations.readonly"),
    ("GET", "/locations/{location_id}/customFields", custom_fields, "locations/customFields.readonly"),
    ("POST", "/locations/{location_id}/customFields", create_field, "locations/customFields.write"),
    ("GET", "/locations/{location_id}/tags", tags, "locations/tags.readonly"),
    ("POST", "/locations/{location_id}/tags", create_tag, "locations/tags.write"),
    ("GET", "/workflows/", workflows, "workflows.readonly"),
    ("GET", "/conversations/messages/export", export, "conversations/message.readonly"),
    ("GET", "/conversations/messages/email/{message_id}", email, "conversations/message.readonly"),
)
