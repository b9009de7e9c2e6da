"""The emulator's opportunity endpoints: one per contact and pipeline, found by search only after the lag."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_state import Entity, Refused, State, check

Body = Mapping[str, Any]

STATUSES = {"open", "won", "lost", "abandoned"}
UPDATE = {
    **dict.fromkeys(("pipelineId", "name", "pipelineStageId", "status", "assignedTo"), "text"),
    **dict.fromkeys(("monetaryValue", "forecastProbability"), "number"),
    "forecastExpectedCloseDate": "text",
    "customFields": "list",
}
CREATE = {**UPDATE, "locationId": "text", "contactId": "text"}
FILTERS = ("contactId", "pipelineId", "pipelineStageId", "status")
REQUIRED = ("pipelineId", "locationId", "name", "status", "contactId")
DUPLICATE = "Can not create duplicate opportunity for the contact."


def pipelines(state: State, request: Request, _: Body) -> Response:
    """GET /opportunities/pipelines"""
    location_id = state.check_location(request.query_params.get("locationId"))
    listed = [{**pipeline, "locationId": location_id} for pipeline in state.pipelines]
    return JSONResponse({"pipelines": listed})


def create(state: State, _: Request, body: Body) -> Response:
    """POST /opportunities/"""
    check(body, CREATE, REQUIRED)
    state.check_location(body["locationId"])
    contact = state.contact(body["contactId"])
    stage = _check_place(state, body["pipelineId"], body.get("pipelineStageId"))
    _check_status(body)
    if not state.location["allowDuplicateOpportunity"]:
        _refuse_duplicate(state, body)
    made = {
        **body,
        "id": state.sandbox.identifier(),
        "pipelineStageId": stage,
        "createdAt": state.now(),
        "lastStageChangeAt": state.now(),
        "contact": {name: contact[name] for name in ("id", "name", "email", "tags") if contact.get(name)},
    }
    state.opportunities[made["id"]] = made
    state.touch(made, "opportunities")
    _record(state, "create_opportunity", made, body)
    return JSONResponse({"opportunity": made}, 201)


def update(state: State, request: Request, body: Body) -> Response:
    """PUT /opportunities/{id}"""
    found = _opportunity(state, request)
    check(body, UPDATE)
    _check_status(body)
    place = body.get("pipelineId", found["pipelineId"])
    stage = _check_place(state, place, body.get("pipelineStageId", found["pipelineStageId"]))
    if stage != found["pipelineStageId"]:
        found["lastStageChangeAt"] = state.now()
    found.update({**body, "pipelineStageId": stage})
    state.touch(found, "opportunities")
    _record(state, "update_opportunity", found, body)
    return JSONResponse({"opportunity": found})


def get(state: State, request: Request, _: Body) -> Response:
    """GET /opportunities/{id}"""
    return JSONResponse({"opportunity": _opportunity(state, request)})


def search(state: State, request: Request, _: Body) -> Response:
    """GET /opportunities/search"""
    asked = request.query_params
    state.check_location(asked.get("locationId"))
    wanted = {name: asked[name] for name in FILTERS if name in asked}
    every = state.indexed("opportunities")
    rows = [row for row in every if all(row[name] == value for name, value in wanted.items())]
    shown = rows[: int(asked.get("limit", 20))]
    meta = {"total": len(rows), "currentPage": 1}
    return JSONResponse({"opportunities": shown, "meta": meta, "aggregations": {}})


ENDPOINTS = (
    ("GET", "/opportunities/pipelines", pipelines),
    ("GET", "/opportunities/search", search),
    ("POST", "/opportunities/", create),
    ("GET", "/opportunities/{opportunity_id}", get),
    ("PUT", "/opportunities/{opportunity_id}", update),
)


def _record(state: State, action: str, made: Entity, body: Body) -> None:
    contact = state.contacts.get(made["contactId"], {})
    target = str(contact.get("email") or made["contactId"])
    state.sandbox.record(action, target, opportunity_id=made["id"], body=dict(body))


def _opportunity(state: State, request: Request) -> Entity:
    given = request.path_params["opportunity_id"]
    if given not in state.opportunities:
        raise Refused(400, f"Opportunity with id {given} not found")
    return state.opportunities[given]


def _check_place(state: State, pipeline_id: str, stage_id: str | None) -> str:
    """The stage; the first one where none is given."""
    for pipeline in state.pipelines:
        if pipeline["id"] == pipeline_id:
            stages = [str(stage["id"]) for stage in pipeline["stages"]]
            if stage_id is None or stage_id in stages:
                return stage_id or stages[0]
            raise Refused(400, "The pipeline stage id is invalid.")
    raise Refused(400, "The pipeline id is invalid.")


def _check_status(body: Body) -> None:
    if body.get("status", "open") not in STATUSES:
        raise Refused(422, ["status must be one of the following values: open, won, lost, abandoned, all"])


def _refuse_duplicate(state: State, body: Body) -> None:
    for row in state.opportunities.values():
        if (row["contactId"], row["pipelineId"]) == (body["contactId"], body["pipelineId"]):
            meta = {"existingId": row["id"]}
            raise Refused(400, DUPLICATE, code="OPPORTUNITY_NO_DUPLICATE", meta=meta)
