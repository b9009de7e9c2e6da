"""GoHighLevel's endpoints as typed methods: no policy, no retry, nothing about leads.

A 2xx that does not hold what it must is not success: a write is then in doubt, a read may be tried again.
What isn't here can't be called: no pipeline is changed or deleted, no contact or opportunity deleted, and the
vendor's own upsert (which swaps addresses where e-mail and phone belong to two people) isn't used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servers.ghl.access import NOT_FOUND, Access, lost, unreadable
from servers.ghl.dialect import Dialect, Raw, said_done
from servers.ghl.token import PATH as TOKEN_PATH
from shared.errors import Invalid
from shared.gate import Permit

# POSTs that change nothing in the location; every other one needs a permit.
READING_POSTS = frozenset({("POST", "/contacts/search"), ("POST", TOKEN_PATH)})

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What a contact's create and update may carry. Not among them: `tags` in an update (they would replace all),
# `companyName` in an update (422), `dnd` (a person's, all channels), and everything we have no business with.
CREATABLE = frozenset({"email", "firstName", "lastName", "companyName", "phone", "tags", "customFields"})
UPDATABLE = frozenset({"firstName", "lastName", "phone", "customFields", "dndSettings"})


@dataclass(frozen=True, slots=True)
class GhlApi:
    """One location (sub-account) at GoHighLevel."""

    access: Access
    dialect: Dialect
    location_id: str

    # ── contacts ─────────────────────────────────────────────────────────────────────────────────────────
    async def get_contact(self, contact_id: str) -> Raw:
        """The contact as it is now; empty when there is none of that id."""
        return await self._one(f"/contacts/{_id(contact_id)}", "contact")

    async def find_duplicate(self, *, email: str = "", phone: str = "") -> Raw:
        """The contact that the vendor would take these for, or empty. Unlike search, this shows a write at once.

        An address is also found where it is a contact's second one.
        """
        asked = {"email": email, "number": phone}
        params = {"locationId": self.location_id, **{key: value for key, value in asked.items() if value}}
        data = await self.access.read("GET", "/contacts/search/duplicate", params=params)
        if not isinstance(data, Mapping) or "contact" not in data:
            raise unreadable()
        return data["contact"] or {}

    async def search_contacts(self, body: Raw) -> tuple[tuple[Raw, ...], int]:
        """Rows and the total. The index is up to a minute behind the writes."""
        whole = {"locationId": self.location_id, **body}
        data = await self.access.read("POST", "/contacts/search", json=whole)
        rows = _objects(data, "contacts")
        return rows, int(data.get("total") or len(rows))

    async def create_contact(self, permit: Permit, body: Raw) -> Raw:
        """Create; the answer's contact. A 400 with `DUPLICATE_CONTACT` names the one that is there."""
        _allow(body, CREATABLE)
        whole = {"locationId": self.location_id, **body}
        return _written(await self.access.write(permit, "POST", "/contacts/", json=whole), "contact")

    async def update_contact(self, permit: Permit, contact_id: str, body: Raw) -> Raw:
        """Change the given fields only; the answer's contact, empty when the answer shows none."""
        _allow(body, UPDATABLE)
        data = await self.access.write(permit, "PUT", f"/contacts/{_id(contact_id)}", json=body)
        _confirm(data, "contact")
        return data.get("contact") or {}

    async def add_tags(self, permit: Permit, contact_id: str, tags: Sequence[str]) -> None:
        """Add; tags that are there already stay as they are."""
        path = f"/contacts/{_id(contact_id)}/tags"
        _confirm(await self.access.write(permit, "POST", path, json={"tags": list(tags)}), "tags")

    async def remove_tags(self, permit: Permit, contact_id: str, tags: Sequence[str]) -> None:
        """Remove; a DELETE with a body, as the vendor has it."""
        path = f"/contacts/{_id(contact_id)}/tags"
        _confirm(await self.access.write(permit, "DELETE", path, json={"tags": list(tags)}), "tags")

    async def tag_many(self, permit: Permit, kind: str, contacts: Sequence[str], tags: Sequence[str]) -> Raw:
        """`kind` add or remove. 201 also where some failed: `errorCount`, and a row for each contact."""
        body = {"contacts": list(contacts), "tags": list(tags), "locationId": self.location_id}
        data = await self.access.write(permit, "POST", f"/contacts/bulk/tags/update/{kind}", json=body)
        if not isinstance(data, Mapping) or not isinstance(data.get("responses"), list):
            raise lost()
        return data

    # ── workflows ────────────────────────────────────────────────────────────────────────────────────────
    async def workflows(self) -> tuple[Raw, ...]:
        """All workflows, drafts among them."""
        data = await self.access.read("GET", "/workflows/", params={"locationId": self.location_id})
        return _objects(data, "workflows")

    async def add_to_workflow(self, permit: Permit, contact_id: str, workflow_id: str) -> None:
        """Start it for a contact: a send. There is no way to ask whether somebody is in it."""
        path = f"/contacts/{_id(contact_id)}/workflow/{_id(workflow_id)}"
        data = await self.access.write(permit, "POST", path, json={})
        if not isinstance(data, Mapping) or said_done(data) is None:
            raise lost()
        _confirm(data, "")

    # ── opportunities ────────────────────────────────────────────────────────────────────────────────────
    async def pipelines(self) -> tuple[Raw, ...]:
        """All pipelines with their stages."""
        params = {"locationId": self.location_id}
        return _objects(await self.access.read("GET", "/opportunities/pipelines", params=params), "pipelines")

    async def create_pipeline(self, permit: Permit, name: str, stages: Sequence[str]) -> Raw:
        """A new pipeline. Needs the scope pipelines.create; there is no method here that changes or deletes one."""
        listed = [{"name": stage, "position": position} for position, stage in enumerate(stages)]
        body = {"locationId": self.location_id, "name": name, "stages": listed}
        data = await self.access.write(permit, "POST", "/opportunities/pipelines", json=body)
        found = data.get("pipeline", data) if isinstance(data, Mapping) else None
        if not isinstance(found, Mapping) or not found.get("id"):
            raise lost()
        return found

    async def search_opportunities(self, contact_id: str, pipeline_id: str) -> tuple[Raw, ...]:
        """The contact's opportunities in that pipeline. The index is seconds behind the writes."""
        params = self.dialect.search(location=self.location_id, contact=contact_id, pipeline=pipeline_id)
        data = await self.access.read("GET", "/opportunities/search", params={**params, "limit": 100})
        rows = _objects(data, "opportunities")
        return tuple(row for row in rows if row.get("pipelineId") == pipeline_id and _of(row) == contact_id)

    async def get_opportunity(self, opportunity_id: str) -> Raw:
        """The opportunity as it is now; empty when there is none of that id."""
        return await self._one(f"/opportunities/{_id(opportunity_id)}", "opportunity")

    async def create_opportunity(self, permit: Permit, body: Raw) -> Raw:
        """Create; a 400 with `DUPLICATE_OPPORTUNITY` names the one that is there."""
        whole = {"locationId": self.location_id, **body}
        return _written(await self.access.write(permit, "POST", "/opportunities/", json=whole), "opportunity")

    async def update_opportunity(self, permit: Permit, opportunity_id: str, body: Raw) -> Raw:
        """Change the given fields only."""
        path = f"/opportunities/{_id(opportunity_id)}"
        return _written(await self.access.write(permit, "PUT", path, json=body), "opportunity")

    # ── conversations ────────────────────────────────────────────────────────────────────────────────────
    async def export_messages(self, since: str, cursor: str, limit: int) -> tuple[tuple[Raw, ...], str]:
        """E-mails of all contacts from `since` (ISO 8601) on, oldest first, and the next page's cursor."""
        asked = {"locationId": self.location_id, "channel": "Email", "startDate": since, "cursor": cursor}
        params: dict[str, str | int] = {key: value for key, value in asked.items() if value}
        params |= {"sortOrder": "asc", "limit": limit}
        data = await self.access.read("GET", "/conversations/messages/export", params=params)
        return _objects(data, "messages"), str(data.get("nextCursor") or "")

    async def get_email(self, message_id: str) -> Raw:
        """An e-mail's subject, sender and text: an export and some webhooks come without."""
        data = await self.access.read("GET", f"/conversations/messages/email/{_id(message_id)}")
        found = data.get("emailMessage", data) if isinstance(data, Mapping) else None
        if not isinstance(found, Mapping):
            raise unreadable()
        return found

    # ── the location ─────────────────────────────────────────────────────────────────────────────────────
    async def location(self) -> Raw:
        """Name and settings of the location."""
        return _object(await self.access.read("GET", f"/locations/{self.location_id}"), "location")

    async def custom_fields(self) -> tuple[Raw, ...]:
        """The contact's custom fields."""
        path = f"/locations/{self.location_id}/customFields"
        return _objects(await self.access.read("GET", path, params={"model": "contact"}), "customFields")

    async def create_custom_field(self, permit: Permit, name: str, data_type: str) -> Raw:
        """A new custom field of contacts."""
        path = f"/locations/{self.location_id}/customFields"
        body = {"name": name, "dataType": data_type, "model": "contact"}
        return _written(await self.access.write(permit, "POST", path, json=body), "customField")

    async def location_tags(self) -> tuple[Raw, ...]:
        """The tags the location knows."""
        return _objects(await self.access.read("GET", f"/locations/{self.location_id}/tags"), "tags")

    async def create_tag(self, permit: Permit, name: str) -> Raw:
        """A new tag of the location."""
        path = f"/locations/{self.location_id}/tags"
        return _written(await self.access.write(permit, "POST", path, json={"name": name}), "tag")

    async def _one(self, path: str, key: str) -> Raw:
        try:
            data = await self.access.read("GET", path)
        except Invalid as refusal:
            if refusal.code == NOT_FOUND:
                return {}
            raise
        return _object(data, key)


def _id(given: str) -> str:
    """An id that stays one segment of a path, whatever a caller puts into it."""
    if not ID.fullmatch(given):
        raise Invalid("not an id of GoHighLevel", field="contact_id", code="no_id")
    return given


def _allow(body: Raw, allowed: frozenset[str]) -> None:
    """Raises for a property that must never be sent: a bug of ours stops here."""
    if wrong := sorted(body.keys() - allowed):
        raise Invalid("this property is never written to a contact", field=wrong[0], code="not_allowed")


def _of(opportunity: Raw) -> str:
    """Whose it is: some answers carry only the nested contact."""
    return str(opportunity.get("contactId") or (opportunity.get("contact") or {}).get("id") or "")


def _object(data: Any, key: str) -> Raw:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, Mapping):
        raise unreadable()
    return found


def _objects(data: Any, key: str) -> tuple[Raw, ...]:
    found = data.get(key) if isinstance(data, Mapping) else None
    if not isinstance(found, list):
        raise unreadable()
    return tuple(row for row in found if isinstance(row, Mapping))


def _confirm(data: Any, key: str) -> None:
    """A 2xx to a write must show what it wrote, or say that it succeeded."""
    if not isinstance(data, Mapping):
        raise lost()
    said = said_done(data)
    if said is False:
        raise Invalid("GoHighLevel answered that it did not do it", code="not_done")
    if said is None and key not in data:
        raise lost()


def _written(data: Any, key: str) -> Raw:
    _confirm(data, key)
    found = data.get(key)
    if not isinstance(found, Mapping) or not found.get("id"):
        raise lost()
    return found
