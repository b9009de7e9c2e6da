"""The emulator's webhook subscriptions: static headers, neither id nor signature, disabled after failed deliveries."""

import uuid
from collections.abc import Mapping
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
