"""The emulator's contact endpoints, with the vendor's traps.

A second create of an address or phone is 400 with `meta.contactId`. Tags are saved in lower case; a PUT with
tags replaces them all. A custom field under an unknown id or value key is dropped silently. Search is behind.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_state import Entity, Refused, State, check

Body = Mapping[str, Any]

UPDATE = {
    **dict.fromkeys(("firstName", "lastName", "name", "email", "phone", "address1", "city"), "text?"),
    **dict.fromkeys(("state", "website", "timezone", "source", "assignedTo"), "text?"),
    **dict.fromkeys(("postalCode", "country"), "text"),
    **dict.fromkeys(("tags", "customFields"), "list"),
    **dict.fromkeys(("dndSettings", "inboundDndSettings"), "object"),
    "dnd": "flag",
    "dateOfBirth": "any",
}
CREATE = {**UPDATE, "locationId": "text", "gender": "text", "companyName": "text?"}
SEARCH = {
    "locationId": "text",
    "pageLimit": "number",
    "page": "number",
    "searchAfter": "list",
    "query": "text",
    "filters": "list",
    "sort": "list",
}
DND_CHANNELS = {"call", "email", "sms", "whatsApp", "gmb", "fb"}
DND_STATUSES = {"active", "inactive", "permanent"}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def create(state: State, _: Request, body: Body) -> Response:
    """POST /contacts/"""
    check(body, CREATE, ("locationId",))
    state.check_location(body["locationId"])
    _check_values(body)
    if not state.location["allowDuplicateContact"]:
        _refuse_duplicate(state, body)
    contact: Entity = {
        "id": state.sandbox.identifier(),
        "dnd": False,
        "dndSettings": {},
        "tags": [],
        "customFields": [],
        "type": "lead",
        "dateAdded": state.now(),
    }
    state.contacts[contact["id"]] = contact
    _write(state, contact, body)
    state.sandbox.record("create_contact", _target(contact), contact_id=contact["id"], body=dict(body))
    return JSONResponse({"contact": state.shown(contact)}, 201)


def update(state: State, request: Request, body: Body) -> Response:
    """PUT /contacts/{id}"""
    contact = state.contact(request.path_params["contact_id"])
    check(body, UPDATE)
    _check_values(body)
    if not state.location["allowDuplicateContact"]:
        _refuse_duplicate(state, body, but=contact["id"])
    _write(state, contact, body)
    state.sandbox.record("update_contact", _target(contact), contact_id=contact["id"], body=dict(body))
    return JSONResponse({"succeeded": True, "succeded": True, "contact": state.shown(contact)})


def get(state: State, request: Request, _: Body) -> Response:
    """GET /contacts/{id}"""
    return JSONResponse({"contact": state.shown(state.contact(request.path_params["contact_id"]))})


def duplicate(state: State, request: Request, _: Body) -> Response:
    """GET /contacts/search/duplicate: shows a write at once"""
    state.check_location(request.query_params.get("locationId"))
    email, number = request.query_params.get("email", ""), request.query_params.get("number", "")
    found = _matching(state, "email", email) or _matching(state, "phone", number)
    return JSONResponse({"contact": state.shown(found) if found else None})


def add_tags(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/{id}/tags"""
    return _retag(state, request, body, "add_tags", lambda has, given: has | given, 201)


def remove_tags(state: State, request: Request, body: Body) -> Response:
    """DELETE /contacts/{id}/tags"""
    return _retag(state, request, body, "remove_tags", lambda has, given: has - given, 200)


def search(state: State, _: Request, body: Body) -> Response:
    """POST /contacts/search"""
    check(body, SEARCH, ("locationId", "pageLimit"))
    state.check_location(body["locationId"])
    if not 1 <= body["pageLimit"] <= 500:
        raise Refused(422, ["pageLimit must not be greater than 500"])
    rows = [row for row in state.indexed("contacts") if _found(row, body)]
    rows = sorted(rows, key=_position, reverse=True)
    page = _after(rows, body)[: int(body["pageLimit"])]
    shown = [{**state.shown(row), "searchAfter": list(_position(row)), "opportunities": []} for row in page]
    return JSONResponse({"contacts": shown, "total": len(rows), "traceId": state.sandbox.identifier()})


ENDPOINTS = (
    ("POST", "/contacts/", create),
    ("POST", "/contacts/search", search),
    ("GET", "/contacts/search/duplicate", duplicate),
    ("GET", "/contacts/{contact_id}", get),
    ("PUT", "/contacts/{contact_id}", update),
    ("POST", "/contacts/{contact_id}/tags", add_tags),
    ("DELETE", "/contacts/{contact_id}/tags", remove_tags),
)


def _target(contact: Entity) -> str:
    return str(contact.get("email") or contact["id"])


def _check_values(body: Body) -> None:
    fine = body.get("email") is None or EMAIL.fullmatch(body["email"])
    problems = [] if fine else ["email must be an email"]
    for channel, setting in (body.get("dndSettings") or {}).items():
        if channel not in DND_CHANNELS:
            problems.append(f"dndSettings.property {channel} should not exist")
        elif not isinstance(setting, dict) or setting.get("status") not in DND_STATUSES:
            problems.append(f"dndSettings.{channel}.status must be one of: active, inactive, permanent")
    if problems:
        raise Refused(422, problems)


def _matching(state: State, field: str, value: object) -> Entity | None:
    wanted = str(value or "").lower()
    having = (c for c in state.contacts.values() if wanted and str(c.get(field) or "").lower() == wanted)
    return next(having, None)


def _refuse_duplicate(state: State, body: Body, but: str = "") -> None:
    for field in ("email", "phone"):
        found = _matching(state, field, body.get(field))
        if found and found["id"] != but:
            meta = {"contactId": found["id"], "contactName": found.get("name", ""), "matchingField": field}
            raise Refused(400, "This location does not allow duplicated contacts.", meta=meta)


def _write(state: State, contact: Entity, body: Body) -> None:
    """What a create or an update stores; `dndSettings` is replaced whole, the harsher of two readings."""
    plain = {k: v for k, v in body.items() if k not in {"tags", "customFields"}}
    contact.update(plain)
    if "tags" in body:
        contact["tags"] = _lower(body["tags"])
    _write_fields(state, contact, body.get("customFields") or [])
    if contact.get("firstName") or contact.get("lastName"):
        contact["name"] = f"{contact.get('firstName') or ''} {contact.get('lastName') or ''}".strip()
    state.touch(contact)


def _write_fields(state: State, contact: Entity, items: Sequence[Body]) -> None:
    known = {field["id"]: field["id"] for field in state.fields}
    known |= {field["fieldKey"].removeprefix("contact."): field["id"] for field in state.fields}
    stored = {item["id"]: item["value"] for item in contact["customFields"]}
    for item in items:
        field_id = known.get(item.get("id") or item.get("key") or "")
        value = item.get("fieldValue", item.get("field_value"))
        if field_id and value is not None:
            stored[field_id] = str(value)
    contact["customFields"] = [{"id": field_id, "value": value} for field_id, value in stored.items()]


def _lower(tags: Sequence[str]) -> list[str]:
    return sorted({str(tag).strip().lower() for tag in tags} - {""})


def _retag(
    state: State,
    request: Request,
    body: Body,
    action: str,
    change: Callable[[set[str], set[str]], set[str]],
    status: int,
) -> Response:
    contact = state.contact(request.path_params["contact_id"])
    check(body, {"tags": "list"}, ("tags",))
    contact["tags"] = sorted(change(set(contact["tags"]), set(_lower(body["tags"]))))
    state.touch(contact)
    state.sandbox.record(action, _target(contact), contact_id=contact["id"], tags=_lower(body["tags"]))
    return JSONResponse({"tags": contact["tags"]}, status)


# ── search ───────────────────────────────────────────────────────────────────────────────────────────────
def _position(row: Entity) -> tuple[str, str]:
    return row["dateAdded"], row["id"]


def _after(rows: list[Entity], body: Body) -> list[Entity]:
    """From a row's `searchAfter`, else from a page's number."""
    if body.get("searchAfter"):
        return [row for row in rows if _position(row) < tuple(body["searchAfter"])]
    return rows[(int(body.get("page", 1)) - 1) * int(body["pageLimit"]) :]


def _found(row: Entity, body: Body) -> bool:
    text = " ".join(str(row.get(name) or "") for name in ("name", "email", "phone", "companyName")).lower()
    asked = str(body.get("query") or "").lower()
    return asked in text and all(_passes(row, condition) for condition in body.get("filters") or [])


def _passes(row: Entity, condition: Body) -> bool:
    if "group" in condition:
        whether = [_passes(row, one) for one in condition.get("filters", [])]
        return any(whether) if condition["group"] == "OR" else all(whether)
    stored, wanted = _stored(row, str(condition.get("field"))), condition.get("value")
    operator = str(condition.get("operator"))
    if operator not in OPERATORS:
        raise Refused(422, [f"filters.operator {operator} is not supported"])
    return OPERATORS[operator](stored, wanted)


def _stored(row: Entity, field: str) -> Any:
    if field.startswith("dndSettings."):
        return row["dndSettings"].get(field.split(".")[1].lower(), {}).get("status")
    if field.startswith("customFields."):
        return next((item["value"] for item in row["customFields"] if item["id"] == field[13:]), None)
    return row.get(field)


def _same(stored: Any, wanted: Any) -> bool:
    return str(stored).lower() == str(wanted).lower() if isinstance(stored, str) else bool(stored == wanted)


def _holds(stored: Any, wanted: Any) -> bool:
    return str(wanted).lower() in (stored if isinstance(stored, list) else str(stored or "").lower())


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "not_eq": lambda stored, wanted: not _same(stored, wanted),
    "contains": _holds,
    "not_contains": lambda stored, wanted: not _holds(stored, wanted),
    "exists": lambda stored, _: bool(stored),
    "not_exists": lambda stored, _: not stored,
}
