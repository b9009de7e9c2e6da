"""The emulator's webhook subscriptions: static headers, neither id nor signature, disabled after failed deliveries."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_campaigns import WORKSPACE
from servers.instantly.sandbox_requests import (
    RefusedError,
    check,
    check_choice,
    guarded,
    json_body,
    page_of,
    stamp,
)
from servers.instantly.sandbox_traps import Traps
from shared.sandbox import Sandbox

WEBHOOK_FIELDS = {
    "campaign": "string?",
    "name": "string?",
    "target_hook_url": "string",
    "event_type": "string?",
    "custom_interest_value": "number?",
    "headers": "object?",
}
SUBSCRIPTIONS = frozenset(
    {
        "all_events",
        "email_sent",
        "email_opened",
        "email_link_clicked",
        "reply_received",
        "email_bounced",
        "lead_unsubscribed",
        "campaign_completed",
        "account_error",
        "lead_neutral",
        "lead_interested",
        "lead_not_interested",
        "lead_meeting_booked",
        "lead_meeting_completed",
        "lead_closed",
        "lead_out_of_office",
        "lead_wrong_person",
        "lead_no_show",
        "supersearch_enrichment_completed",
    }
)


MOST_DELIVERIES = 5_000  # remembered; the vendor keeps them by day
NOWHERE = "https://nowhere.example/webhooks/instantly"  # where no subscription names an address


def delivery(payload: Mapping[str, Any], url: str, now: datetime, *, success: bool) -> dict[str, Any]:
    """What the vendor remembers of a webhook that it sent, or tried to."""
    at = stamp(now)
    return {
        "id": str(uuid.uuid4()),
        "timestamp_created": at,
        "timestamp_created_date": at[:10],
        "organization_id": WORKSPACE,
        "payload": dict(payload),
        "success": success,
        "retry_count": 0 if success else 3,
        "will_retry": False,
        "webhook_url": url or NOWHERE,
        "status_code": 200 if success else None,
        "error_message": None if success else "the receiver did not answer",
        "lead_email": payload.get("lead_email"),
    }


class Webhooks:
    """Webhook endpoints over the emulator's state."""

    def __init__(self, sandbox: Sandbox, traps: Traps) -> None:
        self.sandbox = sandbox
        self.traps = traps

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Subscriptions by id."""
        hooks: dict[str, dict[str, Any]] = self.sandbox.state["webhooks"]
        return hooks

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        root, traps = "/api/v2/webhooks", self.traps
        return [
            Route(root, guarded(self._index, traps), methods=["GET"]),
            Route(root, guarded(self._subscribe, traps), methods=["POST"]),
            Route("/api/v2/webhook-events", guarded(self._deliveries, traps), methods=["GET"]),
            Route(f"{root}/{{id}}", guarded(self._change, traps), methods=["PATCH"]),
            Route(f"{root}/{{id}}", guarded(self._unsubscribe, traps), methods=["DELETE"]),
            Route(f"{root}/{{id}}/resume", guarded(self._resume, traps), methods=["POST"]),
        ]

    async def disable(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `disable_webhook`: {"id": …}; as the vendor does after failed deliveries."""
        self.all[str(arguments["id"])]["status"] = -1
        self.sandbox.save()
        return {"status": -1}

    async def _index(self, request: Request) -> Response:
        query, hooks = request.query_params, list(self.all.values())
        return JSONResponse(page_of(hooks, query.get("limit"), query.get("starting_after", ""), self.traps))

    async def _deliveries(self, request: Request) -> Response:
        """What was sent, newest first; days are the only window there is."""
        query = request.query_params
        wanted, search = query.get("success"), query.get("search")
        found = [
            one
            for one in reversed(self.sandbox.state["deliveries"].values())
            if wanted in (None, str(one["success"]).lower())
            and query.get("from", "") <= one["timestamp_created_date"] <= query.get("to", "9999")
            and search in (None, one["webhook_url"], one["lead_email"])
        ]
        return JSONResponse(page_of(found, query.get("limit"), query.get("starting_after", ""), self.traps))

    async def _subscribe(self, request: Request) -> Response:
        body = await json_body(request)
        check(body, WEBHOOK_FIELDS, required=("target_hook_url",))
        _check_hook(body)
        hook = {
            **body,
            "id": str(uuid.uuid4()),
            "organization": WORKSPACE,
            "timestamp_created": stamp(self.sandbox.clock.now()),
            "status": 1,
        }
        self.all[hook["id"]] = hook
        self.sandbox.record("create_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _change(self, request: Request) -> Response:
        hook, body = self._found(request), await json_body(request)
        if not body:
            raise RefusedError(400, "body must NOT have fewer than 1 properties")
        check(body, WEBHOOK_FIELDS)
        _check_hook(body)
        hook.update(body)
        self.sandbox.record("update_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _unsubscribe(self, request: Request) -> Response:
        hook = self._found(request)
        del self.all[hook["id"]]
        self.sandbox.record("delete_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _resume(self, request: Request) -> Response:
        hook = self._found(request)
        hook["status"] = 1
        self.sandbox.record("resume_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    def _found(self, request: Request) -> dict[str, Any]:
        hook = self.all.get(request.path_params["id"])
        if hook is None:
            raise RefusedError(404, "Webhook not found")
        return hook


def _check_hook(body: dict[str, Any]) -> None:
    if "target_hook_url" in body and not body["target_hook_url"].startswith(("http://", "https://")):
        raise RefusedError(400, 'body/target_hook_url must match pattern "^https?://"')
    if body.get("event_type") is not None:
        check_choice(body["event_type"], SUBSCRIPTIONS, "body/event_type")
