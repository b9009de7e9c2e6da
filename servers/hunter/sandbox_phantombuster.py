"""An emulator of PhantomBuster's API v2 as far as the hunter uses it: agents, containers, result objects.

Traps it has: results are JSON inside JSON; rows may be errors although the run ended with 0; an agent can
remember posts and give no rows the next time; all slots full is a 429; a fresh container can be hidden for a
while. `POST /_control/act/configure` sets `seconds` (a run's length), `hidden_seconds`, `slots`, `forgetful`
and `outcome` (rows, errors, session, crash).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from servers.hunter.people import Person, people_at
from shared.sandbox import Sandbox

AGENTS = {"1001": "Post likers", "1002": "Post commenters"}
OUTCOMES = ("rows", "errors", "session", "crash")
COMMENT = "We see the same in our pipeline reviews. How do you keep the forecast honest?"
Endpoint = Callable[[Request], Awaitable[Response]]


def phantombuster_sandbox(state_file: Path | None = None) -> ASGIApp:
    """The emulator, with its state in memory or in a file."""
    return PhantomBusterSandbox(Sandbox("phantombuster", initial=_initial, state_file=state_file)).app()


def _initial() -> dict[str, Any]:
    settings = {"seconds": 0.3, "hidden_seconds": 0.0, "slots": 5, "forgetful": True, "outcome": "rows"}
    return {"settings": settings, "containers": {}, "seen": []}


class PhantomBusterSandbox:
    """Routes over the sandbox's state."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        sandbox.actions["configure"] = self.configure

    def app(self) -> ASGIApp:
        """The vendor's routes and the control endpoints."""
        routes: list[tuple[str, str, Endpoint]] = [
            ("POST", "/agents/launch", self.launch),
            ("POST", "/agents/stop", self.stop),
            ("GET", "/agents/fetch", self.agent),
            ("GET", "/containers/fetch", self.container),
            ("GET", "/containers/fetch-all", self.containers),
            ("GET", "/containers/fetch-result-object", self.result),
            ("GET", "/orgs/fetch-resources", self.resources),
        ]
        return self.sandbox.app([Route(path, _keyed(run), methods=[method]) for method, path, run in routes])

    @property
    def settings(self) -> dict[str, Any]:
        """What `configure` sets."""
        found: dict[str, Any] = self.sandbox.state["settings"]
        return found

    async def configure(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Change how runs behave from now on."""
        self.settings.update({key: value for key, value in given.items() if key in self.settings})
        self.sandbox.save()
        return self.settings

    async def launch(self, request: Request) -> Response:
        """Queue a run, if a slot is free."""
        body = await request.json()
        agent = str(body.get("id", ""))
        if agent not in AGENTS:
            return _error(400, "agent not found")
        if len([run for run in self._runs() if self._status(run) != "finished"]) >= self.settings["slots"]:
            return _error(429, "parallel execution limit reached")
        if body.get("maxInstanceCount") and self._running(agent) >= body["maxInstanceCount"]:
            return JSONResponse({})
        run = self._start(agent, body)
        metadata = body.get("userCustomMetadata") or {}
        self.sandbox.record("launch_agent", run["post_url"], container=run["id"], metadata=metadata)
        return JSONResponse({"containerId": run["id"]})

    def _start(self, agent: str, body: Mapping[str, Any]) -> dict[str, Any]:
        argument = body.get("bonusArgument") or body.get("argument") or {}
        argument = json.loads(argument) if isinstance(argument, str) else argument
        post_url = str(argument.get("postUrl", ""))
        again = f"{agent} {post_url}" in self.sandbox.state["seen"]
        run = {
            "id": str(4_000_000_000 + len(self.sandbox.state["containers"])),
            "agent": agent,
            "at": self._now(),
            "seconds": self.settings["seconds"],
            "post_url": post_url,
            "count": argument.get("numberOfCommentsPerPost", 40),
            "outcome": "seen" if again and self.settings["forgetful"] is False else self.settings["outcome"],
            "metadata": body.get("userCustomMetadata"),
            "stopped": False,
        }
        self.sandbox.state["containers"][run["id"]] = run
        self.sandbox.state["seen"].append(f"{agent} {post_url}")
        return run

    async def stop(self, request: Request) -> Response:
        """End an agent's running containers; what they found stays."""
        agent = str((await request.json()).get("id", ""))
        if agent not in AGENTS:
            return _error(400, "agent not found")
        for run in self._runs():
            if run["agent"] == agent and self._status(run) != "finished":
                run["stopped"] = True
        self.sandbox.record("stop_agent", agent)
        return JSONResponse({})

    async def agent(self, request: Request) -> Response:
        """One agent."""
        agent = request.query_params.get("id", "")
        if agent not in AGENTS:
            return _error(404, "agent not found")
        return JSONResponse({"id": agent, "name": AGENTS[agent], "scriptId": None, "lastEndType": None})

    async def container(self, request: Request) -> Response:
        """One run."""
        run = self._visible(request)
        if run is None:
            return _error(404, "container not found")
        shown = self._shown(run)
        if request.query_params.get("withOutput") and shown["status"] == "finished":
            shown["output"] = _output(run["outcome"])
        return JSONResponse(shown)

    async def containers(self, request: Request) -> Response:
        """An agent's runs, newest first."""
        agent = request.query_params.get("agentId", "")
        runs = [self._shown(run) for run in self._runs() if run["agent"] == agent]
        limit = int(request.query_params.get("limit", "100"))
        return JSONResponse({"maxLimitReached": len(runs) > limit, "containers": runs[::-1][:limit]})

    async def result(self, request: Request) -> Response:
        """What a run found, as JSON inside JSON."""
        run = self._visible(request)
        if run is None:
            return _error(404, "container not found")
        rows = _rows(run) if self._status(run) == "finished" else None
        return JSONResponse({"resultObject": json.dumps(rows) if rows else None})

    async def resources(self, _: Request) -> Response:
        """What is left of the plan."""
        return JSONResponse(_resources(self._now()))

    def _visible(self, request: Request) -> dict[str, Any] | None:
        run: dict[str, Any] | None = self.sandbox.state["containers"].get(request.query_params.get("id", ""))
        hidden = run is not None and self._now() - run["at"] < self.settings["hidden_seconds"] * 1000
        return None if hidden else run

    def _runs(self) -> list[dict[str, Any]]:
        return list(self.sandbox.state["containers"].values())

    def _running(self, agent: str) -> int:
        return len([run for run in self._runs() if run["agent"] == agent and self._status(run) != "finished"])

    def _status(self, run: Mapping[str, Any]) -> str:
        age = self._now() - run["at"]
        length = run["seconds"] * 1000
        if run["stopped"] or age >= length:
            return "finished"
        return "starting" if age < length / 3 else "running"

    def _shown(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """A run as the vendor shows it."""
        status = self._status(run)
        shown = {
            "id": run["id"],
            "status": status,
            "createdAt": run["at"],
            "launchType": "user api call",
            "retryNumber": 0,
            "userCustomMetadata": run["metadata"],
        }
        if status == "finished":
            ended = int(run["at"] + run["seconds"] * 1000)
            code = 1 if run["outcome"] in {"session", "crash"} else 0
            kind = "killed" if run["stopped"] else "finished"
            shown |= {"endType": kind, "endedAt": ended, "exitCode": code}
        return shown

    def _now(self) -> int:
        return int(self.sandbox.clock.now().timestamp() * 1000)


def _keyed(run: Endpoint) -> Endpoint:
    """Requests without a key are refused."""

    async def checked(request: Request) -> Response:
        if not request.headers.get("x-phantombuster-key"):
            return _error(401, "missing key")
        return await run(request)

    return checked


def _error(status: int, message: str) -> Response:
    return JSONResponse({"status": "error", "error": message}, status)


def _rows(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows a run ends with."""
    if run["outcome"] == "errors":
        return [{"postUrl": run["post_url"], "error": "This post cannot be displayed"}]
    if run["outcome"] != "rows":
        return []
    people = people_at(run["post_url"])[: run["count"]]
    shape = _comment if run["agent"] == "1002" else _like
    failed = {"postUrl": run["post_url"], "error": "Profile not found"}
    return [shape(person, run["post_url"]) for person in people] + [failed]


def _like(person: Person, post_url: str) -> dict[str, Any]:
    return _profile(person, post_url) | {"reactionType": "LIKE"}


def _comment(person: Person, post_url: str) -> dict[str, Any]:
    return _profile(person, post_url) | {
        "comment": COMMENT,
        "commentUrl": f"{post_url}?comment={person.index}",
    }


def _profile(person: Person, post_url: str) -> dict[str, Any]:
    return {
        "profileLink": f"https://www.linkedin.com/in/{person.slug}",
        "fullName": person.name,
        "firstName": person.first,
        "lastName": person.last,
        "title": person.title,
        "companyName": person.company,
        "location": person.place,
        "connectionDegree": "2nd",
        "postUrl": post_url,
        "timestamp": "2026-09-01T09:00:00.000Z",
    }


def _output(outcome: str) -> str:
    said = {
        "session": "Can't connect to LinkedIn: the session cookie is not valid any more.",
        "seen": "Every post is scraped. The input is empty.",
        "crash": "Error: navigation timed out.",
    }
    return said.get(outcome, "Done.")


def _resources(now: int) -> dict[str, Any]:
    """Plan figures in the vendor's shape; only the execution time means something."""
    kinds = ("ExecutionTime", "Mail", "Captcha", "DiscoveredMail", "AiCredit", "SerpCredits")
    left = {f"{period}{kind}": 4_000 for period in ("daily", "monthly") for kind in kinds}
    plan = dict.fromkeys(
        (
            *("s3Storage", "mongoStorage", "parallelism", "agents", "scripts", "duration"),
            *("dailyExecutionTime", "dailyMails", "dailyCaptchas", "dailyDiscoveredMails", "dailyAiCredits"),
            *("monthlyPrice", "yearlyPrice"),
        ),
        10,
    )
    return {
        **left,
        "s3Storage": 10,
        "agentCount": len(AGENTS),
        "planName": "sandbox",
        "plan": {"name": "sandbox", "isAvailable": True, "isUpgradable": False, **plan},
        "dailyResourceNextResetAt": now + 3_600_000,
        "monthlyResourceNextResetAt": now + 86_400_000,
    }
