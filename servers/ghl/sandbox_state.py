"""What the emulator holds, how it refuses, and a search index that is behind the writes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from shared.sandbox import Sandbox

Entity = dict[str, Any]
ERROR_WORDS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 422: "Unprocessable Entity"}
STAGES = ("New", "Contacted", "Replied", "Meeting Booked", "Qualified", "Closed")
FIELDS = (
    ("title", "Title", "TEXT"),
    ("linkedin_url", "LinkedIn URL", "TEXT"),
    ("icp_score", "ICP Score", "NUMERICAL"),
    ("icp_tier", "ICP Tier", "TEXT"),
    ("last_campaign_id", "Last Campaign ID", "TEXT"),
    ("enriched_at", "Enriched At", "DATE"),
    ("contacted_at", "Contacted At", "DATE"),
)
WORKFLOWS = (
    ("sandbox-workflow-1", "Nurture", "published"),
    ("sandbox-workflow-2", "Half done", "draft"),
)
# What a person would switch in the vendor's pages, or what differs from one location to the next.
LOCATION: Mapping[str, Any] = {
    "id": "",  # empty: any
    "allowDuplicateContact": False,
    "allowDuplicateOpportunity": False,
    "search_lag": 1.0,  # seconds
    "duplicate_order": ["email", "phone"],  # which field tells that somebody is there already
    "names_duplicate": True,  # whether the refusal of a duplicate names the contact
    "shows_secondary": True,  # whether a contact shows its other addresses
    "shows_fields": True,  # whether the answer to a write shows custom fields
    "dnd_merges": False,  # whether a part of dndSettings leaves the rest alone
    "calls": 100,  # in ten seconds
    "missing_scopes": [],
}
# Channels as the older versions and the webhooks write them.
CAPITALS = {"call": "Call", "email": "Email", "sms": "SMS", "whatsApp": "WhatsApp", "gmb": "GMB", "fb": "FB"}


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer that is no success, in the vendor's shape: `message` is a list for 422."""

    def __init__(self, status: int, message: str | list[str], **more: Any) -> None:
        super().__init__(message)
        self.status = status
        error = {"error": ERROR_WORDS[status]} if status in ERROR_WORDS else {}
        self.body = {"statusCode": status, "message": message, **error, **more}


def initial() -> Entity:
    """A location with our fields and pipeline, and nobody in it."""
    return {
        "contacts": {},
        "opportunities": {},
        "messages": {},
        "index": {"contacts": {}, "opportunities": {}},
        "pending": [],
        "location": json.loads(json.dumps(dict(LOCATION))),
        "fields": [field_of(position, *field) for position, field in enumerate(FIELDS)],
        "pipelines": [pipeline_of("sandboxPipeline00001", "Alpha Swarm Pipeline", STAGES)],
        "workflows": [dict(zip(("id", "name", "status"), one, strict=True)) for one in WORKFLOWS],
        "tags": [],
        "oauth": {"refresh": "sandbox-refresh", "code": "sandbox-code", "access": {}},
    }


def field_of(position: int, key: str, name: str, data_type: str) -> Entity:
    """A custom field of contacts."""
    return {
        "id": f"sandboxField{position:08d}",
        "name": name,
        "fieldKey": f"contact.{key}",
        "dataType": data_type,
        "position": position,
        "model": "contact",
    }


def pipeline_of(pipeline_id: str, name: str, stages: Sequence[str]) -> Entity:
    """A pipeline with its stages in order."""
    prefix = "sandbox-stage" if pipeline_id.startswith("sandboxPipeline") else pipeline_id
    listed = [{"id": f"{prefix}-{n}", "name": stage, "position": n} for n, stage in enumerate(stages)]
    return {"id": pipeline_id, "name": name, "stages": listed}


class State:
    """The emulator's contacts, opportunities and location, on a `Sandbox`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def of(self, kind: Literal["contacts", "opportunities", "messages"]) -> dict[str, Entity]:
        """By id, as GET by id shows them."""
        found: dict[str, Entity] = self.sandbox.state[kind]
        return found

    @property
    def contacts(self) -> dict[str, Entity]:
        """By id."""
        return self.of("contacts")

    @property
    def opportunities(self) -> dict[str, Entity]:
        """By id."""
        return self.of("opportunities")

    @property
    def location(self) -> Entity:
        """Its settings."""
        found: Entity = self.sandbox.state["location"]
        return found

    def listed(self, kind: Literal["fields", "pipelines", "workflows", "tags"]) -> list[Any]:
        """What the location has of a kind."""
        found: list[Any] = self.sandbox.state[kind]
        return found

    def now(self) -> str:
        """The moment, as the vendor writes it."""
        return self.sandbox.clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def check_location(self, given: object) -> str:
        """The location's id as asked for; 403 for another one than the token's."""
        if not given or not isinstance(given, str):
            raise Refused(422, ["locationId should not be empty", "locationId must be a string"])
        if self.location["id"] not in {"", given}:
            raise Refused(403, "The token does not have access to this location.")
        return given

    def contact(self, contact_id: str) -> Entity:
        """The contact of that id; the vendor answers 400, not 404, where there is none."""
        if contact_id not in self.contacts:
            raise Refused(400, f"Contact with id {contact_id} not found")
        return self.contacts[contact_id]

    def by_email(self, email: str) -> Entity:
        """The contact of that address."""
        for contact in self.contacts.values():
            if contact.get("email", "").lower() == email.lower():
                return contact
        raise KeyError("no contact has this address")

    def shown(self, entity: Mapping[str, Any], version: str = "v3", *, written: bool = False) -> Entity:
        """What an answer carries: nothing that is empty, and channels as the version spells them."""
        found = {key: value for key, value in entity.items() if value is not None and value != ""}
        if version != "v3" and "dndSettings" in found:
            found["dndSettings"] = {CAPITALS.get(k, k): v for k, v in found["dndSettings"].items()}
        if not self.location["shows_secondary"]:
            found.pop("additionalEmails", None)
        if written and not self.location["shows_fields"]:
            found.pop("customFields", None)
        return found

    def touch(self, entity: Entity, kind: Literal["contacts", "opportunities"] = "contacts") -> None:
        """Changed now; search shows it after the lag."""
        entity["dateUpdated" if kind == "contacts" else "updatedAt"] = self.now()
        at = self.sandbox.clock.now().timestamp() + float(self.location["search_lag"])
        self.sandbox.state["pending"].append([at, kind, json.loads(json.dumps(entity))])
        self.sandbox.save()

    def indexed(self, kind: Literal["contacts", "opportunities"]) -> Sequence[Entity]:
        """What search shows at this moment."""
        now = self.sandbox.clock.now().timestamp()
        pending = self.sandbox.state["pending"]
        for _, of, entity in (entry for entry in pending if entry[0] <= now):
            self.sandbox.state["index"][of][entity["id"]] = entity
        self.sandbox.state["pending"] = [entry for entry in pending if entry[0] > now]
        found = self.sandbox.state["index"][kind]
        return [entity for key, entity in found.items() if key in self.of(kind)]


def check(body: Mapping[str, Any], allowed: Mapping[str, str], required: Sequence[str] = ()) -> None:
    """422 with a line for every property that is missing, unknown or of a wrong type."""
    problems = [f"{name} should not be empty" for name in required if body.get(name) in (None, "", [])]
    for name, value in body.items():
        if name not in allowed:
            problems.append(f"property {name} should not exist")
        elif problem := _problem(name, value, allowed[name]):
            problems.append(problem)
    if problems:
        raise Refused(422, problems)


def check_query(given: Mapping[str, str], allowed: Sequence[str]) -> None:
    """422 for a query parameter that the version doesn't know."""
    if unknown := [name for name in given if name not in allowed]:
        raise Refused(422, [f"property {name} should not exist" for name in unknown])


KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "text": ((str,), "a string"),
    "text?": ((str, type(None)), "a string"),
    "flag": ((bool,), "a boolean value"),
    "number": ((int, float), "a number conforming to the specified constraints"),
    "list": ((list,), "an array"),
    "object": ((dict,), "an object"),
    "any": ((object,), "anything"),
}


def _problem(name: str, value: object, kind: str) -> str:
    types, words = KINDS[kind]
    wrong = not isinstance(value, types) or (kind == "number" and isinstance(value, bool))
    return f"{name} must be {words}" if wrong else ""
