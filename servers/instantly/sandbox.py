"""An emulator of Instantly's API v2, faithful to its published contract and to the traps met in production.

    drafts on create · mailboxes of the create call ignored · a closed list of time zones
    more than 100 per page answers nothing · an import answers 200 and skips · 20 reads of /emails a minute
    unknown fields refused · deleting a collection deletes it · webhooks without id or signature

Actions (`POST /_control/act/…`): `run` sends what is due now, `pace` sets how fast it sends by itself.
"""

import uuid
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from servers.instantly.sandbox_campaigns import WORKSPACE, Campaigns
from servers.instantly.sandbox_leads import Leads
from servers.instantly.sandbox_mail import Mail
from servers.instantly.sandbox_requests import (
    RefusedError,
    check,
    check_choice,
    guarded,
    json_body,
    page_of,
    stamp,
)
from shared.clock import Clock
from shared.sandbox import Sandbox

PACE = 0.03  # seconds between two messages of a campaign
EMAILS_A_MINUTE = 20
MAILBOXES = ("ae@outreach.example", "sam@outreach.example")
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


def build(state_file: Path | None = None, *, pace: float = PACE, clock: Clock | None = None) -> ASGIApp:
    """The emulator as an ASGI application; state lives in `state_file` if one is given."""
    sandbox = Sandbox("instantly", initial=_initial, state_file=state_file, clock=clock)
    mail = Mail(sandbox, pace)
    sandbox.actions = {"run": mail.run, "pace": mail.set_pace}
    campaigns, leads = Campaigns(sandbox, mail.started), Leads(sandbox, mail.started)
    emulator = sandbox.app([*campaigns.routes(), *leads.routes(), *_Workspace(sandbox).routes()])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        mail.wake()
        await emulator(scope, receive, send)

    return app


def _initial() -> dict[str, Any]:
    kinds = ("campaigns", "leads", "progress", "blocklist", "webhooks", "emails")
    return {kind: {} for kind in kinds}


class _Workspace:
    """What is neither campaign nor lead: the workspace, mailboxes, received mail and webhooks."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.started = stamp(sandbox.clock.now())
        self.reads_of_mail: list[float] = []

    @property
    def webhooks(self) -> dict[str, dict[str, Any]]:
        """Subscriptions by id."""
        hooks: dict[str, dict[str, Any]] = self.sandbox.state["webhooks"]
        return hooks

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        root = "/api/v2"
        return [
            Route(f"{root}/workspaces/current", guarded(self._current), methods=["GET"]),
            Route(f"{root}/accounts", guarded(self._accounts), methods=["GET"]),
            Route(f"{root}/emails", guarded(self._emails), methods=["GET"]),
            Route(f"{root}/webhooks", guarded(self._hooks), methods=["GET"]),
            Route(f"{root}/webhooks", guarded(self._subscribe), methods=["POST"]),
            Route(f"{root}/webhooks/{{id}}", guarded(self._change_hook), methods=["PATCH"]),
            Route(f"{root}/webhooks/{{id}}", guarded(self._unsubscribe), methods=["DELETE"]),
            Route(f"{root}/webhooks/{{id}}/resume", guarded(self._resume_hook), methods=["POST"]),
        ]

    async def _current(self, _: Request) -> Response:
        return JSONResponse(
            {
                "id": WORKSPACE,
                "timestamp_created": self.started,
                "timestamp_updated": self.started,
                "owner": WORKSPACE,
                "name": "Sandbox",
                "add_unsub_to_block": True,
            }
        )

    async def _accounts(self, request: Request) -> Response:
        accounts = [
            {
                "email": email,
                "timestamp_created": self.started,
                "timestamp_updated": self.started,
                "first_name": "Sandbox",
                "last_name": "Sender",
                "organization": WORKSPACE,
                "status": 1,
                "warmup_status": 1,
                "provider_code": 2,
                "setup_pending": False,
                "is_managed_account": False,
                "daily_limit": 30,
            }
            for email in MAILBOXES
        ]
        query = request.query_params
        return JSONResponse(page_of(accounts, query.get("limit"), query.get("starting_after", ""), "email"))

    async def _emails(self, request: Request) -> Response:
        self._count_read()
        query = request.query_params
        wanted = {"received": 2, "sent": 1, "manual": 3}.get(query.get("email_type", ""))
        items = [
            mail
            for mail in reversed(self.sandbox.state["emails"].values())
            if wanted in (None, mail["ue_type"])
            and query.get("campaign_id", mail["campaign_id"]) == mail["campaign_id"]
            and query.get("lead", mail["lead"]).lower() == mail["lead"]
            and query.get("min_timestamp_created", "") <= mail["timestamp_created"]
            and (query.get("is_unread") != "true" or mail["is_unread"])
        ]
        return JSONResponse(page_of(items, query.get("limit"), query.get("starting_after", "")))

    def _count_read(self) -> None:
        """This endpoint has its own budget, and refused reads count too."""
        now = self.sandbox.clock.monotonic()
        self.reads_of_mail = [at for at in self.reads_of_mail if now - at < 60] + [now]
        if len(self.reads_of_mail) > EMAILS_A_MINUTE:
            raise RefusedError(429, "Rate limit exceeded")

    async def _hooks(self, request: Request) -> Response:
        query = request.query_params
        return JSONResponse(
            page_of(list(self.webhooks.values()), query.get("limit"), query.get("starting_after", ""))
        )

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
        self.webhooks[hook["id"]] = hook
        self.sandbox.record("create_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _change_hook(self, request: Request) -> Response:
        hook, body = self._hook(request), await json_body(request)
        if not body:
            raise RefusedError(400, "body must NOT have fewer than 1 properties")
        check(body, WEBHOOK_FIELDS)
        _check_hook(body)
        hook.update(body)
        self.sandbox.record("update_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _unsubscribe(self, request: Request) -> Response:
        hook = self._hook(request)
        del self.webhooks[hook["id"]]
        self.sandbox.record("delete_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    async def _resume_hook(self, request: Request) -> Response:
        hook = self._hook(request)
        hook["status"] = 1
        self.sandbox.record("resume_webhook", hook["target_hook_url"])
        return JSONResponse(hook)

    def _hook(self, request: Request) -> dict[str, Any]:
        hook = self.webhooks.get(request.path_params["id"])
        if hook is None:
            raise RefusedError(404, "Webhook not found")
        return hook


def _check_hook(body: dict[str, Any]) -> None:
    if "target_hook_url" in body and not body["target_hook_url"].startswith(("http://", "https://")):
        raise RefusedError(400, 'body/target_hook_url must match pattern "^https?://"')
    if body.get("event_type") is not None:
        check_choice(body["event_type"], SUBSCRIPTIONS, "body/event_type")
