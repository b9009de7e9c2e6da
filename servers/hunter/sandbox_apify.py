"""An emulator of Apify's API v2 as far as the hunter uses it: two actors, their runs and datasets.

Traps it has: reactions show encoded profile addresses and comments vanity ones; companies react too; a run
that timed out keeps a partial dataset. `POST /_control/act/configure` sets `seconds` (a run's length) and
`outcome` (its last status).
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.hunter.people import Person, number, people_at
from shared.sandbox import Sandbox

REACTIONS = "harvestapi~linkedin-post-reactions"
COMMENTS = "harvestapi~linkedin-post-comments"
KINDS = ("LIKE", "PRAISE", "EMPATHY", "INTEREST")
PARTIAL = 7  # rows a run keeps that timed out or failed
WENT = "2026-09-01T09:00:00.000Z"
Endpoint = Callable[[Request], Awaitable[Response]]


def apify_sandbox(state_file: Path | None = None) -> ASGIApp:
    """The emulator, with its state in memory or in a file."""
    return ApifySandbox(Sandbox("apify", initial=_initial, state_file=state_file)).app()


def _initial() -> dict[str, Any]:
    return {"settings": {"seconds": 0.3, "outcome": "SUCCEEDED"}, "runs": {}}


class ApifySandbox:
    """Routes over the sandbox's state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.actions["configure"] = self.configure

    def app(self) -> ASGIApp:
        """The vendor's routes and the control endpoints."""
        routes: list[tuple[str, str, Endpoint]] = [
            ("POST", "/v2/actors/{actor}/runs", self.start),
            ("GET", "/v2/actor-runs/{run}", self.run),
            ("POST", "/v2/actor-runs/{run}/abort", self.abort),
            ("GET", "/v2/datasets/{dataset}/items", self.items),
        ]
        return self.sandbox.app([Route(path, _keyed(run), methods=[method]) for method, path, run in routes])

    async def configure(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change how runs behave from now on."""
        settings: dict[str, Any] = self.sandbox.state["settings"]
        settings.update({key: value for key, value in given.items() if key in settings})
        self.sandbox.save()
        return settings

    async def start(self, request: Request) -> Response:
        """Start an actor."""
        actor = request.path_params["actor"]
        given = await request.json()
        posts = given.get("posts") or []
        if actor not in {REACTIONS, COMMENTS}:
            return _error(404, "actor-not-found", "Actor was not found")
        if not posts:
            return _error(400, "invalid-input", "Field posts is required")
        run = {
            "id": self.sandbox.identifier(17),
            "dataset": self.sandbox.identifier(17),
            "actor": actor,
            "post_url": str(posts[0]),
            "limit": int(given.get("maxItems", 100)),
            "at": self.sandbox.clock.now().isoformat(),
            "aborted": False,
            **self.sandbox.state["settings"],
        }
        self.sandbox.state["runs"][run["id"]] = run
        self.sandbox.record("start_run", run["post_url"], run=run["id"], actor=actor)
        return JSONResponse({"data": self._shown(run)}, 201)

    async def run(self, request: Request) -> Response:
        """One run."""
        run = self.sandbox.state["runs"].get(request.path_params["run"])
        return JSONResponse({"data": self._shown(run)}) if run else _no_run()

    async def abort(self, request: Request) -> Response:
        """End a run; its dataset stays."""
        run = self.sandbox.state["runs"].get(request.path_params["run"])
        if run is None:
            return _no_run()
        if self._status(run) == "RUNNING":
            run["aborted"] = True
        self.sandbox.record("abort_run", run["id"])
        return JSONResponse({"data": self._shown(run)})

    async def items(self, request: Request) -> Response:
        """A dataset's rows."""
        runs = self.sandbox.state["runs"].values()
        run = next((run for run in runs if run["dataset"] == request.path_params["dataset"]), None)
        if run is None:
            return _error(404, "record-not-found", "Dataset was not found")
        rows = self._rows(run)
        offset = int(request.query_params.get("offset", "0"))
        limit = int(request.query_params.get("limit", "250000"))
        page = rows[offset : offset + limit]
        headers = {"Offset": offset, "Limit": limit, "Count": len(page), "Total": len(rows)}
        told = {f"X-Apify-Pagination-{name}": str(value) for name, value in headers.items()}
        return JSONResponse(page, headers=told)

    def _status(self, run: Mapping[str, Any]) -> str:
        if run["aborted"]:
            return "ABORTED"
        ended = datetime.fromisoformat(run["at"]) + timedelta(seconds=run["seconds"])
        return str(run["outcome"]) if self.sandbox.clock.now() >= ended else "RUNNING"

    def _rows(self, run: Mapping[str, Any]) -> list[dict[str, Any]]:
        status = self._status(run)
        if status == "RUNNING":
            return []
        people = people_at(run["post_url"])[: run["limit"]]
        shape = _comment if run["actor"] == COMMENTS else _reaction
        rows = [shape(person, run["post_url"]) for person in people] + [_company(run["post_url"])]
        return rows if status == "SUCCEEDED" else rows[:PARTIAL]

    def _shown(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """A run as the vendor shows it."""
        return {
            "id": run["id"],
            "actId": run["actor"],
            "userId": "sandboxUser",
            "startedAt": run["at"],
            "status": self._status(run),
            "meta": {"origin": "API"},
            "stats": {"computeUnits": 0.01},
            "options": {"build": "latest", "timeoutSecs": 3600, "memoryMbytes": 512, "diskMbytes": 1024},
            "buildId": "sandboxBuild",
            "defaultKeyValueStoreId": f"kv{run['id']}",
            "defaultDatasetId": run["dataset"],
            "defaultRequestQueueId": f"rq{run['id']}",
            "generalAccess": "FOLLOW_USER_SETTING",
        }


def _keyed(run: Endpoint) -> Endpoint:
    """Requests without a key are refused."""

    async def checked(request: Request) -> Response:
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return _error(
                401, "user-or-token-not-found", "User was not found or authentication token is not valid"
            )
        return await run(request)

    return checked


def _error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"error": {"type": kind, "message": message}}, status)


def _no_run() -> Response:
    return _error(404, "record-not-found", "Actor run was not found")


def _post_id(post_url: str) -> str:
    return str(7_000_000_000_000_000_000 + number("post id", post_url))


def _actor(person: Person, address: str) -> dict[str, Any]:
    position = f"{person.title} at {person.company} | Building in public"
    return {"id": person.member_id, "name": person.name, "linkedinUrl": address, "position": position}


def _reaction(person: Person, post_url: str) -> dict[str, Any]:
    address = f"https://www.linkedin.com/in/{person.member_id}"
    kind = KINDS[person.index % len(KINDS)]
    return {
        "id": f"r{person.index}",
        "reactionType": kind,
        "actor": _actor(person, address),
        "postId": _post_id(post_url),
    }


def _comment(person: Person, post_url: str) -> dict[str, Any]:
    return {
        "type": "comment",
        "id": f"c{person.index}",
        "linkedinUrl": f"{post_url}?comment={person.index}",
        "commentary": "Same here: attribution is the hard part.",
        "createdAt": WENT,
        "numComments": 0,
        "reactionTypeCounts": [],
        "actor": _actor(person, f"https://www.linkedin.com/in/{person.slug}"),
        "postId": _post_id(post_url),
    }


def _company(post_url: str) -> dict[str, Any]:
    actor = {
        "id": "90001",
        "name": "Bluepeak Systems",
        "linkedinUrl": "https://www.linkedin.com/company/bluepeak",
    }
    return {"id": "r-company", "reactionType": "LIKE", "actor": actor, "postId": _post_id(post_url)}
