"""The emulator's contact search: an index that is behind the writes, filters, groups and two ways to page."""

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from servers.ghl.sandbox_contacts import version_of
from servers.ghl.sandbox_state import Entity, Refused, State, check

Body = Mapping[str, Any]
SEARCH = {
    "locationId": "text",
    "pageLimit": "number",
    "page": "number",
    "searchAfter": "list",
    "query": "text",
    "filters": "list",
    "sort": "list",
}


def search(state: State, request: Request, body: Body) -> Response:
    """POST /contacts/search: rows come without their channels, as the vendor's did"""
    check(body, SEARCH, ("locationId", "pageLimit"))
    state.check_location(body["locationId"])
    if not 1 <= body["pageLimit"] <= 500:
        raise Refused(422, ["pageLimit must not be greater than 500"])
    rows = [row for row in state.indexed("contacts") if _found(row, body)]
    rows = sorted(rows, key=_position, reverse=True)
    page = _after(rows, body)[: int(body["pageLimit"])]
    version = version_of(request)
    shown = [
        {**state.shown(row, version), "searchAfter": list(_position(row)), "opportunities": []}
        for row in page
    ]
    plain = [{key: value for key, value in row.items() if key != "dndSettings"} for row in shown]
    return JSONResponse({"contacts": plain, "total": len(rows), "traceId": state.sandbox.identifier()})


ENDPOINTS = (("POST", "/contacts/search", search, "contacts.readonly"),)


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


def _within(stored: Any, wanted: Any) -> bool:
    """Times of one shape, so that text compares as time does."""
    low, high = str(wanted.get("gte", ""))[:19], str(wanted.get("lte", "9"))[:19]
    return low <= str(stored or "")[:19] <= high


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "not_eq": lambda stored, wanted: not _same(stored, wanted),
    "contains": _holds,
    "not_contains": lambda stored, wanted: not _holds(stored, wanted),
    "exists": lambda stored, _: bool(stored),
    "not_exists": lambda stored, _: not stored,
    "range": _within,
}
