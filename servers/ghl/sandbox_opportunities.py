"""The emulator's opportunity endpoints: one per contact and pipeline, found by search only after the lag."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_contacts import version_of
from servers.ghl.sandbox_state import Entity, Refused, State, check, check_query, pipeline_of

Body = Mapping[str, Any]

STATUSES = {"open", "won", "lost", "abandoned"}
UPDATE = {
    **dict.fromkeys(("pipelineId", "name", "pipelineStageId", "status", "assignedTo"), "text"),
    **dict.fromkeys(("monetaryValue", "forecastProbability"), "number"),
    "forecastExpectedCloseDate": "text",
    "customFields": "list",
}
CREATE = {**UPDATE, "locationId": "text", "contactId": "text"}
# What a search is asked by, in the newest version and in the older ones → our name of it.
FILTERS = {
    "v3": {"contactId": "contactId", "pipelineId": "pipelineId", "pipelineStageId": "pipelineStageId"},
    "older": {"contact_id": "contactId", "pipeline_id": "pipelineId", "pipeline_stage_id": "pipelineStageId"},
}
LOCATIONS = {"v3": "locationId", "older": "location_id"}
OTHERS = ("status", "limit", "page", "q", "id", "order", "date", "endDate", "startAfter", "startAfterId")
PIPELINE = {
    **dict.fromkeys(("name", "locationId", "colorRenderMode"), "text"),
    **dict.fromkeys(("showInFunnel", "showInPieChart", "useOpportunityProbability"), "flag"),
    "stages": "list",
}
REQUIRED = ("pipelineId", "locationId", "name", "status", "contactId")
DUPLICATE = "Can not create duplicate opportunity for the contact."


def pipelines(state: State, request: Request, _: Body) -> Response:
    """GET /opportunities/pipelines"""
    check_query(request.query_params, ("locationId",))
    location_id = state.check_location(request.query_params.get("locationId"))
    listed = [{**pipeline, "locationId": location_id} for pipeline in state.listed("pipelines")]
    return JSONResponse({"pipelines": listed})


def create_pipeline(state: State, request: Request, body: Body) -> Response:
    """POST /opportunities/pipelines: the newest version only; names are unique whatever their case"""
    if version_of(request) != "v3":
        raise Refused(404, "Cannot POST /opportunities/pipelines")
    check(body, PIPELINE, ("name", "locationId", "stages"))
    state.check_location(body["locationId"])
    names = [str(stage.get("name") or "") for stage in body["stages"]]
    if body["name"].casefold() in {one["name"].casefold() for one in state.listed("pipelines")}:
        raise Refused(400, "Pipeline name already exists.")
    if not all(names) or len({name.casefold() for name in names}) != len(names):
        raise Refused(422, ["stages must have unique names"])
    made = pipeline_of(state.sandbox.identifier(), body["name"], names)
    state.listed("pipelines").append(made)
    state.sandbox.record("create_pipeline", body["name"], pipeline_id=made["id"], stages=names)
    return JSONResponse({**made, "locationId": body["locationId"], "position": "a0V"})


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
    """GET /opportunities/search: parameters are spelt as the version has them"""
    era = "v3" if version_of(request) == "v3" else "older"
    asked, names = request.query_params, FILTERS[era]
    check_query(asked, (LOCATIONS[era], *names, *OTHERS))
    state.check_location(asked.get(LOCATIONS[era]))
    wanted = {ours: asked[name] for name, ours in names.items() if name in asked}
    every = state.indexed("opportunities")
    rows = [row for row in every if all(row[name] == value for name, value in wanted.items())]
    rows = [row for row in rows if asked.get("status", "all") in {"all", row["status"]}]
    shown = rows[: int(asked.get("limit", 20))]
    meta = {"total": len(rows), "currentPage": 1}
    return JSONResponse({"opportunities": shown, "meta": meta, "aggregations": {}})


ENDPOINTS = (
    ("GET", "/opportunities/pipelines", pipelines, "opportunities.readonly"),
    ("POST", "/opportunities/pipelines", create_pipeline, "pipelines.create"),
    ("GET", "/opportunities/search", search, "opportunities.readonly"),
    ("POST", "/opportunities/", create, "opportunities.write"),
    ("GET", "/opportunities/{opportunity_id}", get, "opportunities.readonly"),
    ("PUT", "/opportunities/{opportunity_id}", update, "opportunities.write"),
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
    for pipeline in state.listed("pipelines"):
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
