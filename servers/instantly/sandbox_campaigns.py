"""The emulator's campaigns: drafts whatever is asked, read back slightly rewritten, started, stopped."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_requests import (
    RefusedError,
    check,
    check_choice,
    check_type,
    guarded,
    json_body,
    page_of,
    stamp,
)
from servers.instantly.sandbox_traps import Traps
from servers.instantly.timezones import ACCEPTED, EXACT, NEAREST
from shared.sandbox import Sandbox

WORKSPACE = "019ffad2-8d52-7649-baa5-0000000000a1"
DRAFT, ACTIVE, PAUSED = 0, 1, 2
TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
FIELDS: Mapping[str, str] = {
    "name": "string",
    "campaign_schedule": "object",
    "sequences": "array",
    "pl_value": "number?",
    "is_evergreen": "boolean?",
    "email_gap": "number?",
    "random_wait_max": "number?",
    "text_only": "boolean?",
    "first_email_text_only": "boolean?",
    "email_list": "array",
    "email_tag_list": "array",
    "daily_limit": "number?",
    "daily_max_leads": "integer?",
    "stop_on_reply": "boolean?",
    "stop_on_auto_reply": "boolean?",
    "stop_for_company": "boolean?",
    "link_tracking": "boolean?",
    "open_tracking": "boolean",
    "prioritize_new_leads": "boolean?",
    "auto_variant_select": "object?",
    "match_lead_esp": "boolean?",
    "insert_unsubscribe_header": "boolean?",
    "allow_risky_contacts": "boolean?",
    "disable_bounce_protect": "boolean?",
    "limit_emails_per_company_override": "object?",
    "cc_list": "array",
    "bcc_list": "array",
    "owned_by": "string?",
    "ai_sdr_id": "string?",
    "provider_routing_rules": "array",
}


class Campaigns:
    """Campaign endpoints over the emulator's state. `started` is told when a campaign begins to send."""

    def __init__(self, sandbox: Sandbox, traps: Traps, started: Callable[[str], None]) -> None:
        self.sandbox = sandbox
        self.traps = traps
        self.started = started

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Campaigns by id, oldest first."""
        campaigns: dict[str, dict[str, Any]] = self.sandbox.state["campaigns"]
        return campaigns

    @property
    def _zones(self) -> frozenset[str]:
        everywhere = ACCEPTED | EXACT.keys() | NEAREST.keys()
        return ACCEPTED if self.traps.on("closed_time_zones") else frozenset(everywhere)

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        root, traps = "/api/v2/campaigns", self.traps
        return [
            Route(root, guarded(self._create, traps), methods=["POST"]),
            Route(root, guarded(self._index, traps), methods=["GET"]),
            Route(f"{root}/analytics", guarded(self._analytics, traps), methods=["GET"]),
            Route(f"{root}/search-by-contact", guarded(self._by_contact, traps), methods=["GET"]),
            Route(f"{root}/{{id}}", guarded(self._show, traps), methods=["GET"]),
            Route(f"{root}/{{id}}", guarded(self._update, traps), methods=["PATCH"]),
            Route(f"{root}/{{id}}/activate", guarded(self._activate, traps), methods=["POST"]),
            Route(f"{root}/{{id}}/pause", guarded(self._pause, traps), methods=["POST"]),
        ]

    async def _create(self, request: Request) -> Response:
        body = await json_body(request)
        check(body, FIELDS, required=("name", "campaign_schedule"))
        _check_content(body, self._zones)
        now = stamp(self.sandbox.clock.now())
        # The mailboxes of the create call are ignored: they have to be patched in.
        campaign = {
            **{key: value for key, value in body.items() if key != "email_list"},
            "id": str(uuid.uuid4()),
            "organization": WORKSPACE,
            "status": DRAFT,
            "email_list": [],
            "sequences": _rewritten(body.get("sequences", [])),
            "timestamp_created": now,
            "timestamp_updated": now,
        }
        self.all[campaign["id"]] = campaign
        self.sandbox.record("create_campaign", campaign["id"], name=campaign["name"])
        return JSONResponse(campaign)

    async def _index(self, request: Request) -> Response:
        query = request.query_params
        wanted = query.get("search", "").lower()
        items = [one for one in self.all.values() if wanted in one["name"].lower()]
        if "status" in query:
            items = [one for one in items if str(one["status"]) == query["status"]]
        return JSONResponse(page_of(items, query.get("limit"), query.get("starting_after", ""), self.traps))

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._found(request))

    async def _update(self, request: Request) -> Response:
        campaign, body = self._found(request), await json_body(request)
        if not body:
            raise RefusedError(400, "body must NOT have fewer than 1 properties")
        check(body, {key: kind for key, kind in FIELDS.items() if key != "ai_sdr_id"})
        _check_content(body, self._zones)
        if "sequences" in body:
            body["sequences"] = _rewritten(body["sequences"])
        campaign.update(body)
        self._touched(campaign, "update_campaign", fields=sorted(body))
        return JSONResponse(campaign)

    async def _activate(self, request: Request) -> Response:
        campaign = self._found(request)
        campaign["status"] = ACTIVE
        self._touched(campaign, "activate_campaign")
        self.started(campaign["id"])
        return JSONResponse(campaign)

    async def _pause(self, request: Request) -> Response:
        campaign = self._found(request)
        campaign["status"] = PAUSED
        self._touched(campaign, "pause_campaign")
        return JSONResponse(campaign)

    async def _by_contact(self, request: Request) -> Response:
        wanted = request.query_params.get("search", "").lower()
        leads = self.sandbox.state["leads"].values()
        ids = {lead["campaign"] for lead in leads if (lead["email"] or "").lower() == wanted}
        return JSONResponse({"items": [one for one in self.all.values() if one["id"] in ids]})

    async def _analytics(self, request: Request) -> Response:
        query = request.query_params
        wanted = query.getlist("ids") or ([query["id"]] if "id" in query else list(self.all))
        return JSONResponse([self._figures(self.all[one]) for one in wanted if one in self.all])

    def _figures(self, campaign: Mapping[str, Any]) -> dict[str, Any]:
        leads = [lead for lead in self.sandbox.state["leads"].values() if lead["campaign"] == campaign["id"]]
        mails = [
            mail for mail in self.sandbox.state["emails"].values() if mail["campaign_id"] == campaign["id"]
        ]
        received = [mail for mail in mails if mail["ue_type"] == 2]
        apart = self.traps.on("automatic_replies_apart")
        opened = sum(lead["email_open_count"] > 0 for lead in leads)
        replied = {mail["lead"] for mail in received if not mail["is_auto_reply"] or not apart}
        contacted = sum(lead["timestamp_last_contact"] is not None for lead in leads)
        return {
            "campaign_name": campaign["name"],
            "campaign_id": campaign["id"],
            "campaign_status": campaign["status"],
            "campaign_is_evergreen": False,
            "leads_count": len(leads),
            "contacted_count": contacted,
            "emails_sent_count": sum(mail["ue_type"] == 1 for mail in mails),
            "new_leads_contacted_count": contacted,
            "open_count": opened,
            "open_count_unique": opened,
            "reply_count": sum(not mail["is_auto_reply"] or not apart for mail in received),
            "reply_count_unique": len(replied),
            "reply_count_automatic": sum(mail["is_auto_reply"] for mail in received),
            "link_click_count": 0,
            "link_click_count_unique": 0,
            "bounced_count": sum(lead["status"] == -1 for lead in leads),
            "unsubscribed_count": sum(lead["status"] == -2 for lead in leads),
            "completed_count": sum(lead["status"] == 3 for lead in leads),
            "total_opportunities": 0,
            "total_opportunity_value": 0,
        }

    def _found(self, request: Request) -> dict[str, Any]:
        campaign = self.all.get(request.path_params["id"])
        if campaign is None:
            raise RefusedError(404, "Campaign not found")
        return campaign

    def _touched(self, campaign: dict[str, Any], action: str, **detail: Any) -> None:
        campaign["timestamp_updated"] = stamp(self.sandbox.clock.now())
        self.sandbox.record(action, campaign["id"], **detail)


def _check_content(body: Mapping[str, Any], zones: frozenset[str]) -> None:
    if "campaign_schedule" in body:
        schedules = body["campaign_schedule"].get("schedules")
        if not schedules:
            raise RefusedError(400, "body/campaign_schedule/schedules must NOT have fewer than 1 items")
        for index, one in enumerate(schedules):
            _check_schedule(one, zones, f"body/campaign_schedule/schedules/{index}")
    for index, sequence in enumerate(body.get("sequences", [])):
        _check_steps(sequence, f"body/sequences/{index}")
    for index, mailbox in enumerate(body.get("email_list", [])):
        check_type(mailbox, "string", f"body/email_list/{index}")


def _check_schedule(one: Mapping[str, Any], zones: frozenset[str], where: str) -> None:
    for name in ("name", "timing", "days", "timezone"):
        if name not in one:
            raise RefusedError(400, f"{where} must have required property '{name}'")
    for side in ("from", "to"):
        if not TIME.fullmatch(str(one["timing"].get(side, ""))):
            raise RefusedError(
                400, f'{where}/timing/{side} must match pattern "^([01][0-9]|2[0-3]):([0-5][0-9])$"'
            )
    if not one["days"]:
        raise RefusedError(400, f"{where}/days must NOT have fewer than 1 properties")
    check_choice(one["timezone"], zones, f"{where}/timezone")


def _check_steps(sequence: Any, where: str) -> None:
    if not isinstance(sequence, dict) or "steps" not in sequence:
        raise RefusedError(400, f"{where} must have required property 'steps'")
    for index, step in enumerate(sequence["steps"]):
        for name in ("type", "delay", "variants"):
            if name not in step:
                raise RefusedError(400, f"{where}/steps/{index} must have required property '{name}'")
        check_choice(step["type"], frozenset({"email"}), f"{where}/steps/{index}/type")
        check_type(step["delay"], "number", f"{where}/steps/{index}/delay")
        for number, variant in enumerate(step["variants"]):
            _check_variant(variant, f"{where}/steps/{index}/variants/{number}")


def _check_variant(variant: Any, where: str) -> None:
    for name in ("subject", "body"):
        if name not in variant:
            raise RefusedError(400, f"{where} must have required property '{name}'")
        check_type(variant[name], "string", f"{where}/{name}")


def _rewritten(sequences: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Markup comes back in one form: line breaks closed, non-breaking spaces gone."""

    def body(text: str) -> str:
        return re.sub(r"<br\s*/?>", "<br />", text).replace("&nbsp;", " ")

    return [
        {
            "steps": [
                {**step, "variants": [{**one, "body": body(one["body"])} for one in step["variants"]]}
                for step in sequence["steps"]
            ]
        }
        for sequence in sequences
    ]
