"""The emulator's people: imports that skip, lists that ignore what they don't know, deletes that mean it."""

import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from servers.instantly.sandbox_traps import Traps
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
LIST_FIELDS = frozenset(
    {
        *("search", "filter", "campaign", "list_id", "in_campaign", "in_list", "ids", "queries"),
        *("excluded_ids", "contacts", "limit", "starting_after", "organization_user_ids", "smart_view_id"),
        *("is_website_visitor", "distinct_contacts", "enrichment_status", "esg_code"),
    }
)
PLAN_ROOM = 25_000  # people that the workspace's plan has room for
PAYLOAD_NAMES: Mapping[str, str] = {
    "first_name": "firstName",
    "last_name": "lastName",
    "company_name": "companyName",
    "job_title": "jobTitle",
    "website": "website",
    "phone": "phone",
    "personalization": "personalization",
}


def blocked_values(state: Mapping[str, Any]) -> set[str]:
    """What is on the block list, in lower case."""
    return {entry["bl_value"].lower() for entry in state["blocklist"].values()}


def blocks(values: set[str], email: str) -> bool:
    """Whether these values hold the address or its domain."""
    return email.lower() in values or email.lower().rpartition("@")[2] in values


class Leads:
    """Lead endpoints over the emulator's state. `started`: a campaign has new people."""

    def __init__(self, sandbox: Sandbox, traps: Traps, started: Callable[[str], None]) -> None:
        self.sandbox = sandbox
        self.traps = traps
        self.started = started

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Leads by id, oldest first."""
        leads: dict[str, dict[str, Any]] = self.sandbox.state["leads"]
        return leads

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        leads, traps = "/api/v2/leads", self.traps
        return [
            Route(f"{leads}/add", guarded(self._add, traps), methods=["POST"]),
            Route(f"{leads}/list", guarded(self._index, traps), methods=["POST"]),
            Route(f"{leads}/update-interest-status", guarded(self._interest, traps), methods=["POST"]),
            Route(leads, guarded(self._add_one, traps), methods=["POST"]),
            Route(leads, guarded(self._delete_matching, traps), methods=["DELETE"]),
            Route(f"{leads}/{{id}}", guarded(self._show, traps), methods=["GET"]),
            Route(f"{leads}/{{id}}", guarded(self._delete, traps), methods=["DELETE"]),
        ]

    async def _add(self, request: Request) -> Response:
        body = await json_body(request)
        _check_import(body)
        campaign = str(body.get("campaign_id", ""))
        if campaign not in self.sandbox.state["campaigns"]:
            raise RefusedError(404, "Campaign not found")
        counts: Counter[str] = Counter()
        created, seen, known = [], set[str](), self._known()
        for index, person in enumerate(body["leads"]):
            email = str(person.get("email") or "").strip().lower()
            skipped = "duplicate_email_count" if email in seen else known.why_skipped(email, campaign, body)
            seen.add(email)
            if skipped and not self.traps.on("success_that_is_none"):
                raise RefusedError(400, f"body/leads/{index} can't be imported")
            if skipped:
                counts[skipped] += 1
                continue
            lead = self._new(email, campaign, person)
            self.all[lead["id"]] = lead
            kept = {key: lead[key] for key in ("id", "email", "first_name", "last_name", "phone")}
            created.append({"index": index, **kept})
        if body.get("verify_leads_on_import"):
            self._charge(len(created))
        self._record_import(campaign, [one["email"] for one in created])
        return JSONResponse(
            {
                "status": "success",
                "total_sent": len(body["leads"]),
                "leads_uploaded": len(created),
                **{name: counts[name] for name in SKIP_COUNTS},
                "blocklist_used": None,
                "remaining_in_plan": PLAN_ROOM - len(self.all),
                "created_leads": created,
            }
        )

    async def _add_one(self, request: Request) -> Response:
        """One lead; here the campaign's field is `campaign`, not `campaign_id`."""
        body = await json_body(request)
        check(body, {**LEAD_FIELDS, "campaign": "string?", "list_id": "string?", **SKIPPING})
        campaign, email = str(body.get("campaign") or ""), str(body.get("email") or "").strip().lower()
        if campaign and campaign not in self.sandbox.state["campaigns"]:
            raise RefusedError(404, "Campaign not found")
        if not EMAIL.fullmatch(email):
            raise RefusedError(400, "body/email must be an email")
        if campaign and (held := next((one for one in self._of(email) if one["campaign"] == campaign), None)):
            return JSONResponse(held)
        lead = self._new(email, campaign, body)
        self.all[lead["id"]] = lead
        self._record_import(campaign, [email])
        return JSONResponse(lead)

    def _of(self, email: str) -> list[dict[str, Any]]:
        return [lead for lead in self.all.values() if lead["email"] == email]

    def _known(self) -> "_Known":
        homes: dict[str, set[str]] = {}
        for lead in self.all.values():
            homes.setdefault(lead["email"], set()).add(lead["campaign"])
        return _Known(homes, blocked_values(self.sandbox.state))

    def _charge(self, checks: int) -> None:
        if self.traps.on("checking_costs"):
            self.sandbox.state["workspace"]["credits_used"] += checks
            self.sandbox.record("spend_credits", WORKSPACE, credits=checks)

    def _record_import(self, campaign: str, emails: list[str]) -> None:
        now, log = iso(self.sandbox.clock.now()), self.sandbox.log
        log.extend(Committed(now, "instantly", "add_lead", email, {"campaign": campaign}) for email in emails)
        self.sandbox.save()
        self.started(campaign)

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
        if not self.traps.on("campaign_or_campaign_id") and body.keys() - LIST_FIELDS:
            raise RefusedError(400, "body must NOT have additional properties")
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
        return JSONResponse(page_of(items, body.get("limit"), body.get("starting_after", ""), self.traps))

    async def _interest(self, request: Request) -> Response:
        """Queued, and applied with the next `run`; its refusal has a shape of its own."""
        body = await json_body(request)
        leads = self._of(str(body.get("lead_email", "")).lower())
        if not leads:
            return JSONResponse({"error": "Invalid lead email"}, 400)
        change = {"email": leads[0]["email"], "value": body.get("interest_value")}
        if self.traps.on("accepted_is_not_applied"):
            self.sandbox.state["interests"].append(change)
        else:
            apply_interest(self.all, change)
        self.sandbox.record("queue_interest", leads[0]["email"])
        return JSONResponse({"message": "Lead interest status update background job submitted"}, 202)

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
        if "ids" not in body and not self.traps.on("delete_takes_all"):
            raise RefusedError(400, "body must have required property 'ids'")
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


@dataclass(frozen=True, slots=True)
class _Known:
    """Who is where, and what is blocked, as an import begins."""

    homes: Mapping[str, set[str]]
    blocked: set[str]

    def why_skipped(self, email: str, campaign: str, body: Mapping[str, Any]) -> str:
        """The name of the count this person falls into, or nothing."""
        if not EMAIL.fullmatch(email):
            return "invalid_email_count"
        if blocks(self.blocked, email):
            return "in_blocklist"
        homes = self.homes.get(email, set())
        if campaign in homes:
            return "duplicated_leads"
        anywhere = body.get("skip_if_in_workspace") or body.get("skip_if_in_campaign")
        return "skipped_count" if homes and anywhere else ""


def apply_interest(leads: Mapping[str, dict[str, Any]], change: Mapping[str, Any]) -> None:
    """Set a person's interest status wherever they are."""
    for lead in leads.values():
        if lead["email"] == change["email"]:
            lead["lt_interest_status"] = change["value"]


SKIPPING: Mapping[str, str] = dict.fromkeys(
    ("skip_if_in_workspace", "skip_if_in_campaign", "skip_if_in_list"), "boolean"
)
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
