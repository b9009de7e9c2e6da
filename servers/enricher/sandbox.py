"""An emulator of Clay's public API v0 as far as the enricher uses it: the key's owner, runs, their results.

Traps it has: results are 202 while running; no run can be listed; the same item twice is paid twice.
A run that ends is told by a signed webhook, where one is set. `POST /_control/act/configure` sets `seconds` (a
run's length); `…/act/finish` ends all runs at once.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.enricher.synthetic import facts, person_of
from shared.clock import iso
from shared.sandbox import Sandbox

SECRET = "sandbox-clay-secret"  # noqa: S105  # the emulator's own, in clay.yaml too
ROUTINE = "function:t_sandbox"
Endpoint = Callable[[Request], Awaitable[Response]]


def clay_sandbox(state_file: Path | None = None) -> ASGIApp:
    """The emulator, with its state in memory or in a file."""
    return ClaySandbox(Sandbox("clay", initial=_initial, state_file=state_file)).app()


def _initial() -> dict[str, Any]:
    return {"settings": {"seconds": 0.5}, "runs": {}}


class ClaySandbox:
    """Routes over the sandbox's state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.ending: set[asyncio.Task[None]] = set()
        sandbox.actions["configure"] = self.configure
        sandbox.actions["finish"] = self.finish

    def app(self) -> ASGIApp:
        """The vendor's routes and the control endpoints."""
        routes: list[tuple[str, str, Endpoint]] = [
            ("GET", "/me", self.me),
            ("POST", "/routines/{routine}/run", self.start),
            ("GET", "/routines/run/{run}/results", self.results),
        ]
        return self.sandbox.app([Route(path, _keyed(run), methods=[method]) for method, path, run in routes])

    async def configure(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change how long runs take from now on."""
        settings: dict[str, Any] = self.sandbox.state["settings"]
        settings.update({key: value for key, value in given.items() if key in settings})
        self.sandbox.save()
        return settings

    async def finish(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        """End every run now, and tell the registered webhook."""
        ended = [run for run in self.sandbox.state["runs"].values() if not self._ended(run)]
        for run in ended:
            run["seconds"] = 0.0
            await self._tell(run)
        self.sandbox.save()
        return {"finished": len(ended)}

    async def _tell(self, run: dict[str, Any]) -> None:
        """The end-of-run webhook, once a run."""
        if run.get("told"):
            return
        run["told"] = True
        body = {
            "webhookId": run["webhook_id"] or "wh_sandbox",
            "createdAt": iso(self.sandbox.clock.now()),
            "data": {"routine_run_id": run["id"]},
        }
        await self.sandbox.deliver(body, {"X-Clay-Signature": signature(json.dumps(body).encode())})

    async def _end_in_time(self, run: dict[str, Any]) -> None:
        await self.sandbox.clock.sleep(run["seconds"])
        if self._ended(run):
            await self._tell(run)

    async def me(self, _: Request) -> Response:
        """Whose key it is."""
        return JSONResponse({"user": {"id": "u_sandbox", "name": None}, "workspace": {"id": "w_sandbox"}})

    async def start(self, request: Request) -> Response:
        """Accept a run; every item is paid for now."""
        body = await request.json()
        problem = _problem(request.path_params["routine"], body)
        if problem is not None:
            return problem
        run = {
            "id": f"rr_{self.sandbox.identifier()}",
            "items": body["items"],
            "webhook_id": body.get("webhook_id", ""),
            "at": self.sandbox.clock.now().timestamp(),
            "seconds": self.sandbox.state["settings"]["seconds"],
        }
        self.sandbox.state["runs"][run["id"]] = run
        for item in run["items"]:
            who, _ = person_of(item["inputs"])
            self.sandbox.record("charge", who, credits=1, item=item["id"], run=run["id"])
        ending = asyncio.create_task(self._end_in_time(run))
        self.ending.add(ending)
        ending.add_done_callback(self.ending.discard)
        return JSONResponse({"routine_run_id": run["id"], "status": "in_progress"}, 202)

    async def results(self, request: Request) -> Response:
        """A run's results, a page at a time; 202 while it is running."""
        run = self.sandbox.state["runs"].get(request.path_params["run"])
        if run is None:
            return _error(404, "Run not found")
        told = {"routine_run_id": run["id"], "total": len(run["items"])}
        if not self._ended(run):
            return JSONResponse({**told, "status": "in_progress", "finished": 0}, 202)
        start = int(request.query_params.get("cursor", "0"))
        limit = int(request.query_params.get("limit", "20"))
        page = [_result(item) for item in run["items"][start : start + limit]]
        more = start + limit < len(run["items"])
        answer = {**told, "status": "complete", "finished": len(run["items"]), "data": page}
        return JSONResponse(answer | ({"cursor": str(start + limit)} if more else {}))

    def _ended(self, run: Mapping[str, Any]) -> bool:
        return bool(self.sandbox.clock.now().timestamp() >= run["at"] + run["seconds"])


def signature(raw: bytes) -> str:
    """The header Clay signs a webhook with."""
    return "sha256=" + hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()


def _problem(routine: str, body: Any) -> Response | None:
    """What is wrong with a run's request, as the vendor says it."""
    if routine != ROUTINE:
        return _error(404, "Routine not found")
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= 100:
        return _error(400, "items must contain between 1 and 100 elements")
    if not all(_is_item(item) for item in items):
        return _error(400, "each item needs an id of 1 to 64 characters and inputs")
    return None


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and 1 <= len(str(item.get("id", ""))) <= 64
        and isinstance(item.get("inputs"), dict)
        and not item.keys() - {"id", "inputs"}
    )


def _result(item: Mapping[str, Any]) -> dict[str, Any]:
    found = facts(item["inputs"])
    if found is None:
        return {"id": item["id"], "status": "failed", "error": {"message": "Provider error"}}
    return {"id": item["id"], "status": "complete", "result": found}


def _keyed(run: Endpoint) -> Endpoint:
    """Requests without a key are refused."""

    async def checked(request: Request) -> Response:
        if not request.headers.get("clay-api-key"):
            return _error(401, "Invalid API key")
        return await run(request)

    return checked


def _error(status: int, message: str) -> Response:
    return JSONResponse({"message": message}, status)
