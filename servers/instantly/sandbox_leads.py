"""The emulator's people and block list: imports that answer 200 and skip, deletes that mean it."""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_campaigns import WORKSPACE
from servers.instantly.sandbox_requests import (
    EMAIL,
    RefusedError,
    check,
    check_type,
    check_uuid,
    guarded,
    json_body,
    page_of,
    stamp,
)
from shared.clock import iso
from shared.sandbox import Committed, Sandbox

ADD_FIELDS: Mapping[str, str] = {
    "campaign_id": "string",
    "list_id": "string",
    "leads": "array",
    "blocklist_id": "string?",
    "assigned_to": "string",
    "verify_leads_on_import": "boolean",
    "skip_if_in_workspace": "boolean",
    "skip_if_in_campaign": "boolean",
    "skip_if_in_list": "boolean",
}
LEAD_FIELDS: Mapping[str, str] = {
    "email": "string?",
    "personalization": "string?",
    "website": "string?",
    "last_name": "string?",
    "first_name": "string?",
    "company_name": "string?",
    "job_title": "string?",
    "phone": "string?",
    "lt_interest_status": "number",
    "pl_value_lead": "string?",
    "assigned_to": "string?",
    "custom_variables": "object",
}
PAYLOAD_NAMES: Mapping[str, str] = {
    "first_name": "firstName",
    "last_name": "lastName",
    "company_name": "companyName",
    "job_title": "jobTitle",
    "website": "website",
    "phone": "phone",
    "personalization": "personalization",
}


def blocked(state: Mapping[str, Any], email: str) -> bool:
    """Whether the block list holds the address or its domain."""
    values = {entry["bl_value"].lower() for entry in state["blocklist"].values()}
    return email.lower() in values or email.lower().rpartition("@")[2] in values


class Leads:
    """Lead and block-list endpoints over the emulator's state. `started`: a campaign has new people."""

    def __init__(self, sandbox: Sandbox, started: Callable[[str], None]) -> None:
        self.sandbox = sandbox
        self.started = started

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Leads by id, oldest first."""
        leads: dict[str, dict[str, Any]] = self.sandbox.state["leads"]
        return leads

    @property
    def blocklist(self) -> dict[str, dict[str, Any]]:
        """Block-list entries by id."""
        entries: dict[str, dict[str, Any]] = self.sandbox.state["blocklist"]
        return entries

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        leads, entries = "/api/v2/leads", "/api/v2/block-lists-entries"
        return [
            Route(f"{leads}/add", guarded(self._add), methods=["POST"]),
            Route(f"{leads}/list", guarded(self._index), methods=["POST"]),
            Route(f"{leads}/{{id}}", guarded(self._show), methods=["GET"]),
            Route(f"{leads}/{{id}}", guarded(self._delete), methods=["DELETE"]),
            Route(leads, guarded(self._delete_matching), methods=["DELETE"]),
            Route(entries, guarded(self._blocked), methods=["GET"]),
            Route(entries, guarded(self._block_one), methods=["POST"]),
            Route(entries, guarded(self._unblock_all), methods=["DELETE"]),
            Route(f"{entries}/bulk-create", guarded(self._block), methods=["POST"]),
        ]

    async def _add(self, request: Request) -> Response:
        body = await json_body(request)
        _check_import(body)
        campaign = str(body.get("campaign_id", ""))
        if campaign not in self.sandbox.state["campaigns"]:
            raise RefusedError(404, "Campaign not found")
        counts: Counter[str] = Counter()
        created, seen = [], set[str]()
        for index, person in enumerate(body["leads"]):
            email = str(person.get("email") or "").strip().lower()
            skipped = self._why_skipped(email, campaign, body, seen)
            seen.add(email)
            if skipped:
                counts[skipped] += 1
                continue
            lead = self._new(email, campaign, person)
            self.all[lead["id"]] = lead
            created.append(
                {
                    "index": index,
                    **{key: lead[key] for key in ("id", "email", "first_name", "last_name", "phone")},
                }
            )
        self._record_import(campaign, [one["email"] for one in created])
        return JSONResponse(
            {
                "status": "success",
                "total_sent": len(body["leads"]),
                "leads_uploaded": len(created),
                **{name: counts[name] for name in SKIP_COUNTS},
                "blocklist_used": None,
                "remaining_in_plan": 25_000 - len(self.all),
                "created_leads": created,
            }
        )

    def _record_import(self, campaign: str, emails: list[str]) -> None:
        now, log = iso(self.sandbox.clock.now()), self.sandbox.log
        log.extend(Committed(now, "instantly", "add_lead", email, {"campaign": campaign}) for email in emails)
        self.sandbox.save()
        self.started(campaign)

    def _why_skipped(self, email: str, campaign: str, body: Mapping[str, Any], seen: set[str]) -> str:
        """The name of the count this person falls into, or nothing."""
        if not EMAIL.fullmatch(email):
            return "invalid_email_count"
        if email in seen:
            return "duplicate_email_count"
        if blocked(self.sandbox.state, email):
            return "in_blocklist"
        homes = {lead["campaign"] for lead in self.all.values() if lead["email"] == email}
        if campaign in homes:
            return "duplicated_leads"
        anywhere = body.get("skip_if_in_workspace") or body.get("skip_if_in_campaign")
        return "skipped_count" if homes and anywhere else ""

    def _new(self, email: str, campaign: str, person: Mapping[str, Any]) -> dict[str, Any]:
        now = stamp(self.sandbox.clock.now())
        payload = {word: person[name] for name, word in PAYLOAD_NAMES.items() if person.get(name)}
        return {
            "id": str(uuid.uuid4()),
            "timestamp_created": now,
            "timestamp_updated": now,
            "organization": WORKSPACE,
            "campaign": campaign,
            "status": 1,
            "email": email,
            **{name: person.get(name) for name in PAYLOAD_NAMES},
            "email_open_count": 0,
            "email_reply_count": 0,
            "email_click_count": 0,
            "company_domain": email.rpartition("@")[2],
            "status_summary": {},
            "payload": {**payload, **person.get("custom_variables", {})},
            "timestamp_last_contact": None,
            "upload_method": "api",
        }

    async def _index(self, request: Request) -> Response:
        body = await json_body(request)
        wanted = {str(email).lower() for email in body.get("contacts", [])}
        search = str(body.get("search", "")).lower()
        ids = set(body.get("ids", []))
        # Unknown keys, `status` among them, are not refused: they are ignored.
        items = [
            lead
            for lead in self.all.values()
            if (not body.get("campaign") or lead["campaign"] == body["campaign"])
            and (not wanted or lead["email"] in wanted)
            and (not ids or lead["id"] in ids)
            and (not search or search in f"{lead['first_name']} {lead['last_name']} {lead['email']}".lower())
        ]
        return JSONResponse(page_of(items, body.get("limit"), body.get("starting_after", "")))

    async def _show(self, request: Request) -> Response:
        lead = self.all.get(request.path_params["id"])
        if lead is None:
            raise RefusedError(404, "Lead not found")
        return JSONResponse(lead)

    async def _delete(self, request: Request) -> Response:
        lead = self.all.pop(request.path_params["id"], None)
        if lead is None:
            raise RefusedError(404, "Lead not found")
        self.sandbox.record("delete_lead", lead["email"], campaign=lead["campaign"])
        return JSONResponse(lead)

    async def _delete_matching(self, request: Request) -> Response:
        """Deletes all that matches; without `ids` that is the whole campaign. Unknown keys are ignored."""
        body = await json_body(request)
        campaign = body.get("campaign_id") or body.get("list_id")
        if not campaign:
            raise RefusedError(400, "body must have required property 'campaign_id'")
        matching: list[dict[str, Any]] = [
            lead
            for lead in self.all.values()
            if lead["campaign"] == campaign
            and ("ids" not in body or lead["id"] in body["ids"])
            and ("status" not in body or lead["status"] == body["status"])
        ]
        doomed = matching[: body.get("limit")]
        for lead in doomed:
            del self.all[lead["id"]]
            self.sandbox.record("delete_lead", lead["email"], campaign=lead["campaign"], collection=True)
        return JSONResponse({"count": len(doomed)})

    async def _blocked(self, request: Request) -> Response:
        query = request.query_params
        search = query.get("search", "").lower()
        items = [
            entry
            for entry in self.blocklist.values()
            if search in entry["bl_value"].lower()
            and (query.get("domains_only") != "true" or entry["is_domain"])
        ]
        return JSONResponse(page_of(items, query.get("limit"), query.get("starting_after", "")))

    async def _block_one(self, request: Request) -> Response:
        body = await json_body(request)
        check(body, {"bl_value": "string"}, required=("bl_value",))
        return JSONResponse(self._entry(body["bl_value"]))

    async def _block(self, request: Request) -> Response:
        values = (await json_body(request)).get("bl_values")
        if not isinstance(values, list) or not 1 <= len(values) <= 1000:
            raise RefusedError(400, "body/bl_values must be array")
        valid = [value for value in values if isinstance(value, str) and "." in value.rpartition("@")[2]]
        held = {entry["bl_value"] for entry in self.blocklist.values()}
        # Those already there count as valid and are not repeated among the created.
        items = [self._entry(value) for value in dict.fromkeys(valid) if value.lower() not in held]
        counts = {"valid_count": len(valid), "invalid_count": len(values) - len(valid)}
        return JSONResponse({"items": items, **counts})

    def _entry(self, value: str) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "timestamp_created": stamp(self.sandbox.clock.now()),
            "organization_id": WORKSPACE,
            "bl_value": value.lower(),
            "is_domain": "@" not in value,
        }
        self.blocklist[entry["id"]] = entry
        self.sandbox.record("block", entry["bl_value"])
        return entry

    async def _unblock_all(self, _: Request) -> Response:
        count = len(self.blocklist)
        self.blocklist.clear()
        self.sandbox.record("unblock_all", WORKSPACE, count=count)
        return JSONResponse({"count": count})


SKIP_COUNTS = (
    "in_blocklist",
    "duplicated_leads",
    "skipped_count",
    "invalid_email_count",
    "incomplete_count",
    "duplicate_email_count",
)


def _check_import(body: Mapping[str, Any]) -> None:
    known = {name: value for name, value in body.items() if name in ADD_FIELDS}
    check(known, ADD_FIELDS, required=("leads",))
    if ("campaign_id" in body) == ("list_id" in body):
        raise RefusedError(400, "body must have either 'campaign_id' or 'list_id'")
    check_uuid(str(body.get("campaign_id") or body.get("list_id")), "body/campaign_id")
    if not 1 <= len(body["leads"]) <= 1000:
        count = "fewer than 1" if not body["leads"] else "more than 1000"
        raise RefusedError(400, f"body/leads must NOT have {count} items")
    for index, person in enumerate(body["leads"]):
        where = f"body/leads/{index}"
        check_type(person, "object", where)
        check(person, LEAD_FIELDS, where=where)
        for name, value in person.get("custom_variables", {}).items():
            if isinstance(value, list | dict):
                raise RefusedError(400, f"{where}/custom_variables/{name} must be string,number,boolean,null")
