"""The emulator's contact endpoints, with the vendor's traps.

A second create of an address or phone is 400 with `meta.contactId`, of whom the first rule finds. Tags are saved
in lower case; a PUT with tags replaces them all. A custom field under an unknown id or value key is dropped
silently. A bulk of tags is 201 also where some of it failed.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_state import CAPITALS, Entity, Refused, State, check, check_query

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
BULK = {"contacts": "list", "tags": "list", "locationId": "text", "removeAllTags": "flag"}
DND_STATUSES = {"active", "inactive", "permanent"}
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Under which words a custom field's value is taken; any other is dropped without an error.
VALUE_WORDS = {"v3": ("fieldValue", "field_value"), "2021-07-28": ("field_value",)}


def version_of(request: Request) -> str:
    """The version asked for."""
    return str(request.headers.get("version", ""))


def create(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/"""
    check(body, CREATE, ("locationId",))
    state.check_location(body["locationId"])
    _check_values(request, body)
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
    _write(state, contact, body, version_of(request))
    state.sandbox.record("create_contact", _target(contact), contact_id=contact["id"], body=dict(body))
    return JSONResponse({"contact": state.shown(contact, version_of(request), written=True)}, 201)


def update(state: State, request: Request, body: Body) -> Response:
    """PUT /contacts/{id}"""
    contact, version = state.contact(request.path_params["contact_id"]), version_of(request)
    check(body, UPDATE)
    _check_values(request, body)
    if not state.location["allowDuplicateContact"]:
        _refuse_duplicate(state, body, but=contact["id"])
    _write(state, contact, body, version)
    state.sandbox.record("update_contact", _target(contact), contact_id=contact["id"], body=dict(body))
    said = {"succeeded": True, "succeded": True} if version == "v3" else {"succeded": True}
    return JSONResponse({**said, "contact": state.shown(contact, version, written=True)})


def get(state: State, request: Request, _: Body) -> Response:
    """GET /contacts/{id}"""
    contact = state.contact(request.path_params["contact_id"])
    return JSONResponse({"contact": state.shown(contact, version_of(request))})


def delete(state: State, request: Request, _: Body) -> Response:
    """DELETE /contacts/{id}"""
    contact = state.contact(request.path_params["contact_id"])
    del state.contacts[contact["id"]]
    state.sandbox.record("delete_contact", _target(contact), contact_id=contact["id"])
    return JSONResponse({"succeded": True})


def duplicate(state: State, request: Request, _: Body) -> Response:
    """GET /contacts/search/duplicate: shows a write at once; finds second addresses too"""
    asked = request.query_params
    check_query(asked, ("locationId", "email", "number"))
    state.check_location(asked.get("locationId"))
    given = {"email": asked.get("email", ""), "phone": asked.get("number", "")}
    order = (
        ["email", "phone"] if state.location["allowDuplicateContact"] else state.location["duplicate_order"]
    )
    found = next((one for field in order if (one := _matching(state, field, given[field]))), None)
    return JSONResponse({"contact": state.shown(found, version_of(request)) if found else None})


def add_tags(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/{id}/tags"""
    return _retag(state, request, body, "add_tags", lambda has, given: has | given, 201)


def remove_tags(state: State, request: Request, body: Body) -> Response:
    """DELETE /contacts/{id}/tags"""
    return _retag(state, request, body, "remove_tags", lambda has, given: has - given, 200)


def tag_many(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/bulk/tags/update/{type}: 201 whatever becomes of each contact"""
    check(body, BULK, ("contacts", "tags"))
    if not body.get("locationId"):
        raise Refused(400, "LocationId can't be undefined")
    state.check_location(body["locationId"])
    adding = request.path_params["kind"] == "add"
    rows = [_tagged(state, str(one), set(lower(body["tags"])), adding=adding) for one in body["contacts"]]
    failed = sum(row["type"] == "error" for row in rows)
    said = {"succeded": True, **({"succeeded": True} if version_of(request) == "v3" else {})}
    return JSONResponse({**said, "errorCount": failed, "responses": rows}, 201)


def _tagged(state: State, contact_id: str, given: set[str], *, adding: bool) -> Entity:
    contact = state.contacts.get(contact_id)
    if contact is None:
        return {"contactId": contact_id, "message": "contact is deleted", "type": "error"}
    old = set(contact["tags"])
    contact["tags"] = sorted(old | given if adding else old - given)
    state.touch(contact)
    action = "add_tags" if adding else "remove_tags"
    state.sandbox.record(action, _target(contact), contact_id=contact_id, tags=sorted(given), bulk=True)
    new = set(contact["tags"])
    changed = {"tagsAdded": sorted(new - old), "tagsRemoved": sorted(old - new)}
    return {
        "contactId": contact_id,
        "message": "Tags updated",
        "type": "success",
        "oldTags": sorted(old),
        **changed,
    }


def enrol(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/{id}/workflow/{workflow_id}: enrols once more each time"""
    contact = state.contact(request.path_params["contact_id"])
    check(body, {"eventStartTime": "text"})
    workflow_id = request.path_params["workflow_id"]
    found = next((one for one in state.listed("workflows") if one["id"] == workflow_id), None)
    if found is None:
        raise Refused(400, f"Workflow with id {workflow_id} not found")
    if found["status"] != "published":
        raise Refused(400, "The workflow is not published.")
    state.sandbox.record(
        "trigger_workflow", _target(contact), contact_id=contact["id"], workflow_id=workflow_id
    )
    said = {"succeeded": True, "succeded": True} if version_of(request) == "v3" else {"succeded": True}
    return JSONResponse(said)


# method, path, endpoint, scope
ENDPOINTS = (
    ("POST", "/contacts/", create, "contacts.write"),
    ("POST", "/contacts/bulk/tags/update/{kind}", tag_many, "contacts.write"),
    ("GET", "/contacts/search/duplicate", duplicate, "contacts.readonly"),
    ("GET", "/contacts/{contact_id}", get, "contacts.readonly"),
    ("PUT", "/contacts/{contact_id}", update, "contacts.write"),
    ("DELETE", "/contacts/{contact_id}", delete, "contacts.write"),
    ("POST", "/contacts/{contact_id}/tags", add_tags, "contacts.write"),
    ("DELETE", "/contacts/{contact_id}/tags", remove_tags, "contacts.write"),
    ("POST", "/contacts/{contact_id}/workflow/{workflow_id}", enrol, "contacts.write"),
)


def _target(contact: Entity) -> str:
    return str(contact.get("email") or contact["id"])


def _check_values(request: Request, body: Body) -> None:
    fine = body.get("email") is None or EMAIL.fullmatch(body["email"])
    problems = [] if fine else ["email must be an email"]
    if body.get("phone") and not any(character.isdigit() for character in body["phone"]):
        problems.append("phone must be a valid phone number")
    known = set(CAPITALS) if version_of(request) == "v3" else set(CAPITALS.values())
    for channel, setting in (body.get("dndSettings") or {}).items():
        if channel not in known:
            problems.append(f"dndSettings.property {channel} should not exist")
        elif not isinstance(setting, dict) or setting.get("status") not in DND_STATUSES:
            problems.append(f"dndSettings.{channel}.status must be one of: active, inactive, permanent")
    if problems:
        raise Refused(422, problems)


def _matching(state: State, field: str, value: object) -> Entity | None:
    wanted = str(value or "").lower()
    having = (c for c in state.contacts.values() if wanted and wanted in _all(c, field))
    return next(having, None)


def _all(contact: Entity, field: str) -> set[str]:
    """The contact's own and its further addresses, or its number."""
    more = contact.get("additionalEmails", []) if field == "email" else []
    return {str(one).lower() for one in (contact.get(field), *(each["email"] for each in more)) if one}


def _refuse_duplicate(state: State, body: Body, but: str = "") -> None:
    for field in state.location["duplicate_order"]:
        found = _matching(state, field, body.get(field))
        if found and found["id"] != but:
            meta = {"contactId": found["id"], "contactName": found.get("name", ""), "matchingField": field}
            more = {"meta": meta} if state.location["names_duplicate"] else {}
            raise Refused(400, "This location does not allow duplicated contacts.", **more)


def _write(state: State, contact: Entity, body: Body, version: str) -> None:
    """What a create or an update stores; `dndSettings` is replaced whole, or merged, as the location has it."""
    contact.update({k: v for k, v in body.items() if k not in {"tags", "customFields", "dndSettings"}})
    if "dndSettings" in body:
        small = {theirs: ours for ours, theirs in CAPITALS.items()}
        given = {small.get(k, k): v for k, v in body["dndSettings"].items()}
        # The vendor keeps by itself what no request may name, such as RCS.
        kept = contact["dndSettings"] if state.location["dnd_merges"] else {}
        unnamed = {k: v for k, v in contact["dndSettings"].items() if k not in CAPITALS}
        contact["dndSettings"] = {**kept, **unnamed, **given}
    if "tags" in body:
        contact["tags"] = lower(body["tags"])
    _write_fields(state, contact, body.get("customFields") or [], version)
    if contact.get("firstName") or contact.get("lastName"):
        contact["name"] = f"{contact.get('firstName') or ''} {contact.get('lastName') or ''}".strip()
    state.touch(contact)


def _write_fields(state: State, contact: Entity, items: Sequence[Body], version: str) -> None:
    fields = state.listed("fields")
    known = {field["id"]: field["id"] for field in fields}
    known |= {field["fieldKey"].removeprefix("contact."): field["id"] for field in fields}
    words = VALUE_WORDS.get(version, VALUE_WORDS["2021-07-28"])
    stored = {item["id"]: item["value"] for item in contact["customFields"]}
    for item in items:
        field_id = known.get(item.get("id") or item.get("key") or "")
        value = next((item[word] for word in words if word in item), None)
        if field_id and value is not None:
            stored[field_id] = str(value)
    contact["customFields"] = [{"id": field_id, "value": value} for field_id, value in stored.items()]


def lower(tags: Sequence[str]) -> list[str]:
    """Tags as they are saved."""
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
    contact["tags"] = sorted(change(set(contact["tags"]), set(lower(body["tags"]))))
    state.touch(contact)
    state.sandbox.record(action, _target(contact), contact_id=contact["id"], tags=lower(body["tags"]))
    return JSONResponse({"tags": contact["tags"]}, status)
