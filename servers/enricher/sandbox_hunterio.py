"""An emulator of Hunter.io's e-mail verifier: a GET that is paid for, and statuses used unlike elsewhere.

The local part decides: `pending…` is a 202, `optedout…` a 451; else the verdict is made up from the address.
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.enricher.synthetic import VERDICTS, number, pick
from shared.sandbox import Sandbox

WORDS = {"valid": "valid", "catch_all": "accept_all", "invalid": "invalid"}


def hunterio_sandbox(state_file: Path | None = None) -> ASGIApp:
    """The emulator, with its state in memory or in a file."""
    sandbox = Sandbox("hunterio", initial=dict, state_file=state_file)

    async def verify(request: Request) -> Response:
        """Check one address, and charge for it."""
        if not request.headers.get("x-api-key"):
            return _error(401, "authentication_failed", "No API key")
        email = request.query_params.get("email", "")
        if "@" not in email:
            return _error(400, "wrong_params", "Invalid email")
        if email.startswith("optedout"):
            return _error(451, "claimed_email", "The person asked not to be processed")
        if email.startswith("pending"):
            return JSONResponse({"data": {}}, 202)
        sandbox.record("charge", email, verifications=1)
        return JSONResponse({"data": _verdict(email), "meta": {"params": {"email": email}}})

    return sandbox.app([Route("/email-verifier", verify)])


def _verdict(email: str) -> dict[str, Any]:
    status = WORDS[pick(VERDICTS, "verdict", email)]
    good = status == "valid"
    return {
        "status": status,
        "result": "deliverable" if good else "risky",
        "score": 90 + number("score", email) % 10 if good else 40,
        "email": email,
        "regexp": True,
        "gibberish": False,
        "disposable": False,
        "webmail": False,
        "mx_records": True,
        "smtp_server": True,
        "smtp_check": good,
        "accept_all": status == "accept_all",
        "block": False,
        "sources": [],
    }


def _error(status: int, kind: str, details: str) -> Response:
    return JSONResponse({"errors": [{"id": kind, "code": status, "details": details}]}, status)
