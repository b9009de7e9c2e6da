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


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """An answer that is no success, in the vendor's shape: `message` is a list for 422."""

    def __init__(self, status: int, message: str | list[str], **more: Any) -> None:
        super().__init__(message)
        self.status = status
        error = {"error": ERROR_WORDS[status]} if status in ERROR_WORDS else {}
        self.body = {"statusCode": status, "message": message, **error, **more}


def initial() -> Entity:
    """A location with our fields and pipeline, and nobody in it. An empty location id stands for any."""
    return {
        "contacts": {},
        "opportunities": {},
        "index": {"contacts": {}, "opportunities": {}},
        "pending": [],
        "location": {
            "id": "",
            "allowDuplicateContact": False,
            "allowDuplicateOpportunity": False,
            "search_lag": 1.0,
        },
        "fields": [_field(position, *field) for position, field in enumerate(FIELDS)],
        "pipelines": [_pipeline()],
    }


def _field(position: int, key: str, name: str, data_type: str) -> Entity:
    return {
        "id": f"sandboxField{position:08d}",
        "name": name,
        "fieldKey": f"contact.{key}",
        "dataType": data_type,
        "position": position,
        "model": "contact",
    }


def _pipeline() -> Entity:
    stages = [{"id": f"sandbox-stage-{n}", "name": name, "position": n} for n, name in enumerate(STAGES)]
    return {"id": "sandboxPipeline00001", "name": "Alpha Swarm Pipeline", "stages": stages}


class State:
    """The emulator's contacts, opportunities and location, on a `Sandbox`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    @property
    def contacts(self) -> dict[str, Entity]:
        """By id, as GET by id shows them."""
        found: dict[str, Entity] = self.sandbox.state["contacts"]
        return found

    @property
    def opportunities(self) -> dict[str, Entity]:
        """By id, as GET by id shows them."""
        found: dict[str, Entity] = self.sandbox.state["opportunities"]
        return found

    @property
    def location(self) -> Entity:
        """Its settings."""
        found: Entity = self.sandbox.state["location"]
        return found

    @property
    def fields(self) -> list[Entity]:
        """Its custom fields."""
        found: list[Entity] = self.sandbox.state["fields"]
        return found

    @property
    def pipelines(self) -> list[Entity]:
        """Its pipelines."""
        found: list[Entity] = self.sandbox.state["pipelines"]
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

    def shown(self, entity: Mapping[str, Any]) -> Entity:
        """What an answer carries: nothing that is empty."""
        return {key: value for key, value in entity.items() if value is not None and value != ""}

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
        return list(self.sandbox.state["index"][kind].values())


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
