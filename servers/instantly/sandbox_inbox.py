"""The emulator's mail: what was sent and received, read on a budget of its own, and answered by hand."""

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly.sandbox_campaigns import WORKSPACE
from servers.instantly.sandbox_requests import RefusedError, check, guarded, json_body, page_of, stamp
from servers.instantly.sandbox_traps import Traps
from servers.instantly.sandbox_workspace import MAILBOXES
from shared.sandbox import Sandbox

EMAILS_A_MINUTE = 20
KINDS = {"received": 2, "sent": 1, "manual": 3}
REPLY_FIELDS = {
    "eaccount": "string",
    "reply_to_uuid": "string",
    "subject": "string",
    "body": "object",
    "additional_recipients": "array",
    "cc_address_email_list": "string",
    "bcc_address_email_list": "string",
    "reminder_ts": "string",
    "assigned_to": "string",
}
MISSPELT = "reyply_to_uuid"


class Inbox:
    """Endpoints of mail over the emulator's state."""

    def __init__(self, sandbox: Sandbox, traps: Traps) -> None:
        self.sandbox = sandbox
        self.traps = traps
        self.reads: list[float] = []

    @property
    def all(self) -> dict[str, dict[str, Any]]:
        """Messages by id, oldest first."""
        emails: dict[str, dict[str, Any]] = self.sandbox.state["emails"]
        return emails

    def routes(self) -> list[Route]:
        """Method, path and endpoint."""
        root, traps = "/api/v2/emails", self.traps
        return [
            Route(root, guarded(self._index, traps), methods=["GET"]),
            Route(f"{root}/reply", guarded(self._reply, traps), methods=["POST"]),
            Route(f"{root}/test", guarded(self._test, traps), methods=["POST"]),
            Route(f"{root}/{{id}}", guarded(self._show, traps), methods=["GET"]),
        ]

    async def _index(self, request: Request) -> Response:
        self._count_read()
        query = request.query_params
        wanted, search = KINDS.get(query.get("email_type", "")), query.get("search", "").lower()
        items = [
            mail
            for mail in reversed(self.all.values())
            if wanted in (None, mail["ue_type"])
            and query.get("campaign_id", mail["campaign_id"]) == mail["campaign_id"]
            and query.get("lead", mail["lead"]).lower() == mail["lead"]
            and search in ("", f"thread:{mail['thread_id']}", mail["lead"])
            and query.get("min_timestamp_created", "") <= mail["timestamp_created"]
            and (query.get("is_unread") != "true" or mail["is_unread"])
        ]
        return JSONResponse(page_of(items, query.get("limit"), query.get("starting_after", ""), self.traps))

    def _count_read(self) -> None:
        """This endpoint has its own budget, and refused reads count too."""
        now = self.sandbox.clock.monotonic()
        self.reads = [at for at in self.reads if now - at < 60] + [now]
        if len(self.reads) > EMAILS_A_MINUTE and self.traps.on("mail_has_its_own_limit"):
            raise RefusedError(429, "Rate limit exceeded")

    async def _show(self, request: Request) -> Response:
        return JSONResponse(self._found(request.path_params["id"]))

    def _found(self, identifier: str) -> dict[str, Any]:
        mail = self.all.get(identifier)
        if mail is None:
            raise RefusedError(404, "Email not found")
        return mail

    async def _reply(self, request: Request) -> Response:
        """Leaves at once: there is no draft, and no key that would keep it from leaving twice."""
        body = await json_body(request)
        if MISSPELT in body and not self.traps.on("misspelt_in_the_document"):
            body["reply_to_uuid"] = body.pop(MISSPELT)
        for name in ("reply_to_uuid", "eaccount", "subject", "body"):
            if name not in body:
                raise RefusedError(400, f"body must have required property '{name}'")
        check(body, REPLY_FIELDS)
        answered = self._found(body["reply_to_uuid"])
        if body["eaccount"] not in {*MAILBOXES, answered["eaccount"]}:
            raise RefusedError(404, "Account not found")
        now, identifier = stamp(self.sandbox.clock.now()), str(uuid.uuid4())
        text = body["body"].get("text") or body["body"].get("html", "")
        mail = {
            **answered,
            "id": identifier,
            "timestamp_created": now,
            "timestamp_email": now,
            "message_id": f"<{identifier}@mail.example>",
            "subject": body["subject"],
            "from_address_email": body["eaccount"],
            "to_address_email_list": answered["from_address_email"],
            "body": body["body"],
            "organization_id": WORKSPACE,
            "eaccount": body["eaccount"],
            "ue_type": 3,
            "is_unread": 0,
            "is_auto_reply": 0,
            "content_preview": text[:100],
        }
        self.all[identifier] = mail
        told = {"subject": mail["subject"], "body": body["body"], "reply_to": answered["id"]}
        self.sandbox.record("send_reply", mail["to_address_email_list"], **told)
        return JSONResponse(mail)

    async def _test(self, request: Request) -> Response:
        """A mailbox that isn't there is told in an answer of 200."""
        body = await json_body(request)
        if body.get("eaccount") not in MAILBOXES:
            if self.traps.on("success_that_is_none"):
                return JSONResponse({"error": "ACC_NOT_FOUND"})
            raise RefusedError(404, "Account not found")
        return JSONResponse({"status": "success"})
