"""GoHighLevel's endpoints as typed methods: no policy, no retry, nothing about leads.

Answers are read in both spellings the vendor uses (`succeded|succeeded`, `Email|email`, see `contacts.py`).
A 2xx that does not hold what it must is not success: a write is then in doubt, a read may be tried again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Fatal, InDoubt, Invalid, Retryable
from shared.gate import Permit
from shared.http import ApiClient, ErrorRow

Raw = Mapping[str, Any]

# POSTs that change nothing; every other one needs a permit.
READING_POSTS = frozenset({("POST", "/contacts/search")})

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
NOT_FOUND = "not_found"
DUPLICATE_CONTACT = "duplicate_contact"
DUPLICATE_OPPORTUNITY = "duplicate_opportunity"

# First match wins. A missing scope is a 401 here, and so are a bad Version header and some bad arguments.
ERRORS = (
    ErrorRow(
        400,
        "does not allow duplicated contacts",
        Invalid,
        DUPLICATE_CONTACT,
        "this contact is there already",
    ),
    ErrorRow(
        400,
        "opportunity_no_duplicate",
        Invalid,
        DUPLICATE_OPPORTUNITY,
        "this contact has an opportunity already",
    ),
    ErrorRow(400, "not found", Invalid, NOT_FOUND, "GoHighLevel holds no such object"),
    ErrorRow(404, "", Invalid, NOT_FOUND, "GoHighLevel holds no such object"),
    ErrorRow(
        401,
        "not authorized for this scope",
        Fatal,
        "missing_scope",
        "the GoHighLevel token lacks a scope; see docs/integrations/GOHIGHLEVEL.md",
    ),
    ErrorRow(401, "version header", Fatal, "version_header", "GoHighLevel refused the Version header"),
    ErrorRow(401, "can't be undefined", Invalid, "missing_argument", "GoHighLevel misses an argument"),
    ErrorRow(
        403,
        "access to this location",
        Fatal,
        "wrong_location",
        "the token is for another location than GHL_LOCATION_ID",
    ),
    ErrorRow(422, "", Invalid, "unprocessable", "GoHighLevel refused a field's name or value"),
)


@dataclass(frozen=True, slots=True)
class GhlApi:
    """One location (sub-account) at GoHighLevel."""

    client: ApiClient
    location_id: str

    # ── contacts ─────────────────────────────────────────────────────────────────────────────────────────
    async def get_contact(self, contact_id: str) -> Raw:
        """The contact as it is now; empty when there is none of that id."""
        try:
            answer = await self.client.read("GET", f"/contacts/{_id(contact_id)}")
        except Invalid as refusal:
            if refusal.code == NOT_FOUND:
                return {}
            raise
        return _object(answer.data, "contact")

    async def find_duplicate(self, email: str) -> Raw:
        """The contact with this address, or empty. Unlike search, this shows a write at once."""
        params = {"locationId": self.location_id, "email": email}
        answer = await self.client.read("GET", "/contacts/search/duplicate", params=params)
        if not isinstance(answer.data, Mapping) or "contact" not in answer.data:
            raise _unreadable()
        return answer.data["contact"] or {}

    async def search_contacts(self, body: Raw) -> tuple[tuple[Raw, ...], int]:
        """Rows and the total. The index is seconds behind the writes."""
        whole = {"locationId": self.location_id, **body}
        answer = await self.client.read("POST", "/contacts/search", json=whole)
        rows = _objects(answer.data, "contacts")
        return rows, int(answer.data.get("total") or len(rows))

    async def create_contact(self, permit: Permit, body: Raw) -> Raw:
        """Create; the answer's contact. A 400 with `DUPLICATE_CONTACT` names the one that is there."""
        whole = {"locationId": self.location_id, **body}
        answer = await self.client.write(permit, "POST", "/contacts/", json=whole)
        return _written(answer.data, "contact")

    async def update_contact(self, permit: Permit, contact_id: str, body: Raw) -> Raw:
        """Change the given fields only; the answer's contact, empty when the answer shows none."""
        if "tags" in body:
            raise Invalid("an update would replace all tags; use add_tags and remove_tags", field="tags")
        answer = await self.client.write(permit, "PUT", f"/contacts/{_id(contact_id)}", json=body)
        _confirm(answer.data, "contact")
        return answer.data.get("contact") or {}

    async def add_tags(self, permit: Permit, contact_id: str, tags: Sequence[str]) -> None:
        """Add; tags that are there already stay as they are."""
        answer = await self.client.write(
            permit, "POST", f"/contacts/{_id(contact_id)}/tags", json={"tags": list(tags)}
        )
        _confirm(answer.data, "tags")

    async def remove_tags(self, permit: Permit, contact_id: str, tags: Sequence[str]) -> None:
        """Remove; a DELETE with a body, as the vendor has it."""
        answer = await self.client.write(
            permit, "DELETE", f"/contacts/{_id(contact_id)}/tags", json={"tags": list(tags)}
        )
        _confirm(answer.data, "tags")

    # ── opportunities ────────────────────────────────────────────────────────────────────────────────────
    async def pipelines(self) -> tuple[Raw, ...]:
        """All pipelines with their stages."""
        params = {"locationId": self.location_id}
        answer = await self.client.read("GET", "/opportunities/pipelines", params=params)
        return _objects(answer.data, "pipelines")

    async def search_opportunities(self, contact_id: str, pipeline_id: str) -> tuple[Raw, ...]:
        """The contact's opportunities in that pipeline. The index is seconds behind the writes."""
        params = {"locationId": self.location_id, "contactId": contact_id, "pipelineId": pipeline_id}
        answer = await self.client.read("GET", "/opportunities/search", params={**params, "limit": 100})
        rows = _objects(answer.data, "opportunities")
        return tuple(row for row in rows if row.get("pipelineId") == pipeline_id and _of(row) == contact_id)

    async def get_opportunity(self, opportunity_id: str) -> Raw:
        """The opportunity as it is now; empty when there is none of that id."""
        try:
            answer = await self.client.read("GET", f"/opportunities/{_id(opportunity_id)}")
        except Invalid as refusal:
            if refusal.code == NOT_FOUND:
                return {}
            raise
        return _object(answer.data, "opportunity")

    async def create_opportunity(self, permit: Permit, body: Raw) -> Raw:
        """Create; a 400 with `DUPLICATE_OPPORTUNITY` names the one that is there."""
        whole = {"locationId": self.location_id, **body}
        answer = await self.client.write(permit, "POST", "/opportunities/", json=whole)
        return _written(answer.data, "opportunity")

    async def update_opportunity(self, permit: Permit, opportunity_id: str, body: Raw) -> Raw:
        """Change the given fields only."""
        answer = await self.client.write(permit, "PUT", f"/opportunities/{_id(opportunity_id)}", json=body)
        return _written(answer.data, "opportunity")

    # ── the location ─────────────────────────────────────────────────────────────────────────────────────
    async def location(self) -> Raw:
        """Name and settings of the location."""
        answer = await self.client.read("GET", f"/locations/{self.location_id}")
        return _object(answer.data, "location")

    async def custom_fields(self) -> tuple[Raw, ...]:
        """The contact's custom fields."""
        path = f"/locations/{self.location_id}/customFields"
        answer = await self.client.read("GET", path, params={"model": "contact"})
        return _objects(answer.data, "customFields")

    async def location_tags(self) -> tuple[Raw, ...]:
        """The tags the location knows."""
        answer = await self.client.read("GET", f"/locations/{self.location_id}/tags")
        return _objects(answer.data, "tags")


def _id(given: str) -> str:
    """An id that stays one segment of a path, whatever a caller puts into it."""
    if not ID.fullmatch(given):
        raise Invalid("not an id of GoHighLevel", field="contact_id", code="no_id")
    return given


def _of(opportunity: Raw) -> str:
    """Whose it is: some answers carry only the nested contact."""
    return str(opportunity.get("contactId") or (opportunity.get("contact") or {}).get("id") or "")


def _unreadable() -> Retryable:
    return Retryable("GoHighLevel answered with success but without content", code="unreadable")


def _object(data: Any, key: str) -> Raw:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        raise _unreadable()
    return found


def _objects(data: Any, key: str) -> tuple[Raw, ...]:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, list):
        raise _unreadable()
    return tuple(row for row in found if isinstance(row, Mapping))


def _confirm(data: Any, key: str) -> None:
    """A 2xx to a write must show what it wrote, or say that it succeeded."""
    if not isinstance(data, Mapping):
        raise _lost()
    said = [data[word] for word in ("succeeded", "succeded", "success") if word in data]
    if False in said:
        raise Invalid("GoHighLevel answered that it did not do it", code="not_done")
    if not said and key not in data:
        raise _lost()


def _written(data: Any, key: str) -> Raw:
    _confirm(data, key)
    found = data.get(key)
    if not isinstance(found, Mapping) or not found.get("id"):
        raise _lost()
    return found


def _lost() -> InDoubt:
    return InDoubt("GoHighLevel answered with success but not with what it wrote", code="unreadable")
