"""What happens at the emulator by itself: people write, opt out, change things in the vendor's pages; tokens end."""

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from servers.ghl.sandbox_contacts import lower
from servers.ghl.sandbox_state import CAPITALS, Entity, State

Given = Mapping[str, Any]
Action = Callable[[Given], Awaitable[Given]]
# Deterministic, so that config/vendors/ghl.yaml can hold the public half; worth nothing outside the emulator.
SIGNING_SEED = hashlib.sha256(b"ghl sandbox webhook signature").digest()
RENAMED = {
    "allow_duplicate_contact": "allowDuplicateContact",
    "allow_duplicate_opportunity": "allowDuplicateOpportunity",
}


def sign(body: bytes) -> str:
    """The signature header's value for a webhook's bytes."""
    key = Ed25519PrivateKey.from_private_bytes(SIGNING_SEED)
    return base64.b64encode(key.sign(body)).decode()


def actions(state: State) -> dict[str, Action]:
    """By name; `sandbox.py` says what each is given."""
    return {**_people(state), **_pages(state), **_deals(state), **_location(state)}


def _people(state: State) -> dict[str, Action]:
    """What the contact does."""

    async def set_dnd(given: Given) -> Given:
        """The person unsubscribes at the vendor; or channels are set as given, `dnd` too."""
        contact = state.by_email(str(given["email"]))
        statuses = given.get("channels") or {"email": "active"}
        contact["dndSettings"] |= {name: {"status": status} for name, status in statuses.items()}
        contact["dnd"] = bool(given.get("dnd", True))
        state.touch(contact)
        return await _deliver(state, "ContactDndUpdate", _capital(state, contact))

    async def inbound_message(given: Given) -> Given:
        """The person writes."""
        message = _message(state, state.by_email(str(given["email"])), given)
        return await _deliver(state, "InboundMessage", message)

    return {action.__name__: action for action in (set_dnd, inbound_message)}


def _pages(state: State) -> dict[str, Action]:
    """What somebody does in the vendor's own pages."""

    async def enter(given: Given) -> Given:
        """Somebody enters a contact by hand."""
        made: Entity = {"id": state.sandbox.identifier(), "email": str(given["email"]).lower(), "dnd": False}
        made |= {"tags": [], "dndSettings": {}, "customFields": [], "dateAdded": state.now()}
        state.contacts[made["id"]] = made
        state.touch(made)
        return await _deliver(state, "ContactCreate", _capital(state, made))

    async def add_tag(given: Given) -> Given:
        """Somebody tags the contact in the vendor's own pages."""
        contact = state.by_email(str(given["email"]))
        contact["tags"] = lower([*contact["tags"], str(given["tag"])])
        state.touch(contact)
        return await _deliver(state, "ContactTagUpdate", _capital(state, contact))

    async def edit(given: Given) -> Given:
        """Somebody edits the contact: `fields` in the vendor's words, `custom` by field key."""
        contact = state.by_email(str(given["email"]))
        contact.update(given.get("fields") or {})
        keys = {field["fieldKey"].removeprefix("contact."): field["id"] for field in state.listed("fields")}
        stored = {item["id"]: item["value"] for item in contact["customFields"]}
        stored |= {keys[key]: value for key, value in (given.get("custom") or {}).items()}
        contact["customFields"] = [{"id": key, "value": value} for key, value in stored.items()]
        state.touch(contact)
        return await _deliver(state, "ContactUpdate", _capital(state, contact))

    async def add_address(given: Given) -> Given:
        """The contact gets a second address."""
        contact = state.by_email(str(given["email"]))
        contact.setdefault("additionalEmails", []).append({"email": str(given["second"]).lower()})
        state.touch(contact)
        return {"id": contact["id"]}

    async def delete(given: Given) -> Given:
        """Somebody deletes the contact."""
        contact = state.contacts.pop(state.by_email(str(given["email"]))["id"])
        state.sandbox.save()
        return await _deliver(state, "ContactDelete", {"id": contact["id"], "email": contact["email"]})

    listed = (enter, add_tag, edit, add_address, delete)
    return {action.__name__: action for action in listed}


def _deals(state: State) -> dict[str, Action]:
    """What somebody does with opportunities."""

    async def move(given: Given) -> Given:
        """Somebody moves the contact's opportunity to a stage, in the vendor's pages."""
        contact = state.by_email(str(given["email"]))
        found = next(one for one in state.opportunities.values() if one["contactId"] == contact["id"])
        stages = {s["name"]: s["id"] for p in state.listed("pipelines") for s in p["stages"]}
        found["pipelineStageId"] = stages[str(given["stage"])]
        state.touch(found, "opportunities")
        return await _deliver(
            state, "OpportunityStageUpdate", {k: v for k, v in found.items() if k != "contact"}
        )

    return {"move": move}


def _location(state: State) -> dict[str, Action]:
    async def set_location(given: Given) -> Given:
        """Settings a person would change in the vendor's pages, and what differs between locations."""
        changed = {RENAMED.get(name, name): value for name, value in given.items()}
        if unknown := sorted(changed.keys() - state.location.keys()):
            return {"error": f"there is no {unknown[0]}; there are {sorted(state.location)}"}
        state.location.update(changed)
        state.sandbox.save()
        return dict(state.location)

    async def forget(given: Given) -> Given:
        """The location loses what `what` names: fields, pipelines, workflows or tags."""
        state.listed(given["what"]).clear()
        state.sandbox.save()
        return {"what": given["what"]}

    async def end_tokens(given: Given) -> Given:
        """All access tokens end now; with `refresh` the refresh token is withdrawn as well."""
        held = state.sandbox.state["oauth"]
        held["access"] = dict.fromkeys(held["access"], state.now())
        held |= {"refresh": ""} if given.get("refresh") else {}
        state.sandbox.save()
        return {"ended": len(held["access"])}

    async def install(given: Given) -> Given:
        """The app is installed again: a new code."""
        state.sandbox.state["oauth"]["code"] = str(given["code"])
        state.sandbox.save()
        return {}

    return {action.__name__: action for action in (set_location, forget, end_tokens, install)}


def _message(state: State, contact: Entity, given: Given) -> Entity:
    """Kept for the export; what the webhook carries is told apart by its names."""
    email_id, message_id = state.sandbox.identifier(), state.sandbox.identifier()
    shared = {
        "contactId": contact["id"],
        "conversationId": f"conv{contact['id']}",
        "direction": "inbound",
        "from": f"{contact.get('name') or 'Sender'} <{contact['email']}>",
        "to": "ae@example.com",
        "subject": str(given.get("subject", "")),
        "body": str(given.get("body", "")),
        "dateAdded": state.now(),
    }
    kept = {"id": message_id, "type": 3, "messageType": "TYPE_EMAIL", "contentType": "text/html"}
    kept |= {"locationId": state.location["id"] or "sandbox-location", "status": "delivered"}
    state.of("messages")[message_id] = {**shared, **kept, "meta": {"email": {"messageIds": [email_id]}}}
    state.sandbox.save()
    return {**shared, "messageType": "Email", "emailMessageId": email_id}


def _capital(state: State, contact: Entity) -> Entity:
    """As webhooks show a contact: channels with capitals, where the API has them small."""
    shown = state.shown(contact)
    return {**shown, "dndSettings": {CAPITALS.get(k, k): v for k, v in contact["dndSettings"].items()}}


async def _deliver(state: State, kind: str, entity: Mapping[str, Any]) -> Mapping[str, Any]:
    """Flat, in the envelope that real payloads have and the vendor's schemas leave out."""
    envelope = {
        "type": kind,
        "locationId": state.location["id"] or "sandbox-location",
        "appId": "sandbox",
        "versionId": "sandbox",
        "timestamp": state.now(),
        "webhookId": state.sandbox.identifier(32),
    }
    body = {**entity, **envelope}
    await state.sandbox.deliver(body, {"x-ghl-signature": sign(json.dumps(body).encode())})
    return {"webhookId": body["webhookId"]}
