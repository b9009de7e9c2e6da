"""The emulator's workspace: its settings, its mailboxes with their figures, and checking of addresses, which costs."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_campaigns import PAUSED, WORKSPACE
from servers.instantly.sandbox_requests import RefusedError, check, guarded, json_body, page_of, stamp
from servers.instantly.sandbox_traps import Traps
from shared.sandbox import Sandbox

MAILBOXES = ("ae@outreach.example", "sam@outreach.example")
DAILY_FIGURES = (
    *("sent", "bounced", "contacted", "new_leads_contacted", "opened", "unique_opened", "replies"),
    *("unique_replies", "replies_automatic", "unique_replies_automatic", "clicks", "unique_clicks"),
)
CREDITS = 1_000
CONNECTED = 1  # PAUSED is the same number as a campaign's


class Workspace:
    """What is neither campaign, lead nor mail. `started` is told when a campaign may go on sending."""

    def __init__(self, sandbox: Sandbox, traps: Traps, started: Callable[[str], None]) -> None:
        self.sandbox = sandbox
        self.traps = traps
        self.tell_started = started
        self.started = stamp(sandbox.clock.now())

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        root, traps = "/api/v2", self.traps
        return [
            Route(f"{root}/workspaces/current", guarded(self._current, traps), methods=["GET"]),
            Route(f"{root}/accounts", guarded(self._accounts, traps), methods=["GET"]),
            Route(f"{root}/accounts/{{email}}", guarded(self._account, traps), methods=["GET"]),
            Route(f"{root}/accounts/{{email}}/pause", guarded(self._pause, traps), methods=["POST"]),
            Route(f"{root}/accounts/{{email}}/resume", guarded(self._resume, traps), methods=["POST"]),
            Route(f"{root}/accounts/analytics/daily", guarded(self._daily, traps), methods=["GET"]),
            Route(f"{root}/accounts/warmup-analytics", guarded(self._warmup, traps), methods=["POST"]),
            Route(f"{root}/email-verification", guarded(self._verify, traps), methods=["POST"]),
        ]

    async def _current(self, _: Request) -> Response:
        settings = self.sandbox.state["workspace"]
        return JSONResponse(
            {
                "id": WORKSPACE,
                "timestamp_created": self.started,
                "timestamp_updated": self.started,
                "owner": WORKSPACE,
                "name": "Sandbox",
                "add_unsub_to_block": settings["add_unsub_to_block"],
            }
        )

    async def set_workspace(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """The action `workspace`: {"add_unsub_to_block": null}; {"mailbox": email, "status": -1} for a sick one."""
        state = self.sandbox.state["workspace"]
        if "add_unsub_to_block" in arguments:
            state["add_unsub_to_block"] = arguments["add_unsub_to_block"]
        if "mailbox" in arguments:
            state["mailboxes"][arguments["mailbox"]] = {
                key: value for key, value in arguments.items() if key in {"status", "warmup_status"}
            }
        self.sandbox.save()
        return dict(state)

    async def _account(self, request: Request) -> Response:
        return JSONResponse(self._shown(self._known(request)))

    async def _pause(self, request: Request) -> Response:
        return self._turned(self._known(request), "pause_account", PAUSED)

    async def _resume(self, request: Request) -> Response:
        email = self._known(request)
        answer = self._turned(email, "resume_account", CONNECTED)
        for campaign in self.sandbox.state["campaigns"].values():
            if email in campaign["email_list"]:
                self.tell_started(campaign["id"])
        return answer

    def _turned(self, email: str, action: str, status: int) -> Response:
        self.sandbox.state["workspace"]["mailboxes"].setdefault(email, {})["status"] = status
        self.sandbox.record(action, email)
        return JSONResponse(self._shown(email))

    def _known(self, request: Request) -> str:
        """Its address. What a campaign sends from is connected, too."""
        email = str(request.path_params["email"])
        state = self.sandbox.state
        used = (box for campaign in state["campaigns"].values() for box in campaign["email_list"])
        if email not in {*MAILBOXES, *state["workspace"]["mailboxes"], *used}:
            raise RefusedError(404, "Account not found")
        return email

    def _shown(self, email: str) -> dict[str, Any]:
        return {
            "email": email,
            "timestamp_created": self.started,
            "timestamp_updated": self.started,
            "first_name": "Sandbox",
            "last_name": "Sender",
            "organization": WORKSPACE,
            "status": CONNECTED,
            "warmup_status": 1,
            "provider_code": 2,
            "setup_pending": False,
            "is_managed_account": False,
            "daily_limit": 30,
            **self.sandbox.state["workspace"]["mailboxes"].get(email, {}),
        }

    async def _accounts(self, request: Request) -> Response:
        sick = self.sandbox.state["workspace"]["mailboxes"]
        accounts = [self._shown(email) for email in dict.fromkeys((*MAILBOXES, *sick))]
        query = request.query_params
        page = page_of(accounts, query.get("limit"), query.get("starting_after", ""), self.traps, "email")
        return JSONResponse(page)

    async def _daily(self, request: Request) -> Response:
        """What each mailbox did on each day; too much to ask unless mailboxes are named and the span is short."""
        emails = request.query_params.getlist("emails")
        if not emails and self.traps.on("too_large"):
            raise RefusedError(413, "Analytics request is too large for this workspace")
        last = _day(request.query_params.get("end_date"), self.sandbox.clock.now().date())
        first = _day(request.query_params.get("start_date"), last - timedelta(days=30))
        if len(emails) > 200 or (last - first).days > 31:
            raise RefusedError(400, "querystring/emails must NOT have more than 200 items")
        days: dict[tuple[str, str], dict[str, Any]] = {}
        for mail in self.sandbox.state["emails"].values():
            day, box = mail["timestamp_created"][:10], mail["eaccount"]
            if (
                mail["ue_type"] == 1
                and (not emails or box in emails)
                and first.isoformat() <= day <= last.isoformat()
            ):
                row = days.setdefault(
                    (day, box), {"date": day, "email_account": box, **dict.fromkeys(DAILY_FIGURES, 0)}
                )
                row["sent"] += 1
                row["bounced"] += self._bounced(mail)
        return JSONResponse(list(days.values()))

    def _bounced(self, mail: dict[str, Any]) -> bool:
        lead = self.sandbox.state["leads"].get(mail["lead_id"])
        return mail["step"] == "1" and lead is not None and lead["status"] == -1

    async def _warmup(self, request: Request) -> Response:
        body = await json_body(request)
        check(body, {"emails": "array"}, required=("emails",))
        if not 1 <= len(body["emails"]) <= 100:
            raise RefusedError(400, "body/emails must NOT have more than 100 items")
        figures = {"sent": 40, "received": 38, "landed_inbox": 37, "landed_spam": 1, "health_score": 97}
        return JSONResponse({"email_date_data": {}, "aggregate_data": dict.fromkeys(body["emails"], figures)})

    async def _verify(self, request: Request) -> Response:
        """Every check spends a credit, whatever it finds."""
        body = await json_body(request)
        check(body, {"email": "string", "webhook_url": "string"}, required=("email",))
        state = self.sandbox.state["workspace"]
        if self.traps.on("checking_costs"):
            state["credits_used"] += 1
            self.sandbox.record("spend_credits", body["email"], credits=1)
        return JSONResponse(
            {
                "email": body["email"],
                "status": "success",
                "verification_status": "pending",
                "catch_all": "pending",
                "credits": CREDITS - state["credits_used"],
                "credits_used": int(self.traps.on("checking_costs")),
            }
        )


def _day(text: str | None, missing: date) -> date:
    try:
        return date.fromisoformat(text) if text else missing
    except ValueError:
        raise RefusedError(400, "querystring/start_date must be a date") from None
