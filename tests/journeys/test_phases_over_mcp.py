"""A model's host drives the three phases over stdio, a person approves in the Gatekeeper, the ledger is as listed."""

import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from orchestrator.accounts import Accounts
from orchestrator.samples import write_sample
from shared import schema
from shared.answer import MAX_CHARACTERS, compact
from shared.clock import SystemClock
from shared.remote import environment
from tests.journeys.journey import LONGEST_WAIT, ROOT, Journey, installed

PASSWORD = "correct horse battery staple"
LAUNCH = ("upsert_contact", "create_opportunity", "create_campaign", "add_lead", "activate_campaign")


class Host:
    """A model's host: calls tools, and keeps every answer within its budget."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        result: CallToolResult = await self.client.call_tool(f"orchestrator_{name}", arguments)
        found: Mapping[str, Any] = result.structured_content or {}
        words = "".join(getattr(block, "text", "") for block in result.content)
        assert max(len(words), len(compact(dict(found)))) <= MAX_CHARACTERS, name
        assert words
        return found

    async def until(self, name: str, state: str, **arguments: Any) -> Mapping[str, Any]:
        with anyio.fail_after(LONGEST_WAIT):
            while (found := await self.call(name, **arguments))["state"] != state:
                await SystemClock().sleep(0.1)
        return found


class Person:
    """Somebody with a browser, who reads every message before saying yes."""

    def __init__(self, http: httpx.AsyncClient, csrf: str) -> None:
        self.http = http
        self.csrf = csrf

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        return await self.http.post(path, data={"csrf": self.csrf, **fields}, headers=_ours(self.http))

    async def read_and_approve(self, campaign_id: str) -> None:
        page, more = 1, True
        while more:
            text = (await self.http.get(f"/reviews/{campaign_id}?page={page}")).text
            version = _found(r'name="version" value="(\d+)"', text)
            for form in re.findall(
                rf'<form method="post" action="/reviews/{campaign_id}/read".*?</form>', text, re.DOTALL
            ):
                leads = re.findall(r'name="lead" value="([^"]+)"', form)
                done = await self.post(f"/reviews/{campaign_id}/read", version=version, page=page, lead=leads)
                assert done.status_code == 303, done.text
            more, page = f"?page={page + 1}" in text, page + 1
        done = await self.post(f"/reviews/{campaign_id}/approve", version=version)
        assert done.status_code == 303, done.text


def _ours(http: httpx.AsyncClient) -> dict[str, str]:
    return {"origin": str(http.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, pattern
    return found[1]


@asynccontextmanager
async def somebody(journey: Journey, role: str) -> AsyncIterator[Person]:
    email = f"{role}@corp.com"
    await Accounts(journey.app.kernel).create(email, role.title(), role, PASSWORD, by="test")
    async with httpx.AsyncClient(base_url=journey.gatekeeper, trust_env=False) as http:
        await http.post("/login", data={"email": email, "password": PASSWORD}, headers=_ours(http))
        page = (await http.get("/reviews")).text
        yield Person(http, _found(r'name="csrf" value="([^"]+)"', page))


@asynccontextmanager
async def hosted(journey: Journey) -> AsyncIterator[Host]:
    """The orchestrator's server as a child on stdio, on the same installation as worker and Gatekeeper."""
    env = environment(journey.app.kernel.settings)
    command = StdioServerParameters(
        command=sys.executable, args=["-m", "servers", "orchestrator"], env=env, cwd=ROOT
    )
    async with Client(command, cache=None) as client:
        yield Host(client)


@pytest.mark.parametrize("safe", [False, True], ids=["live", "safe mode"])
@pytest.mark.requirement("P2", "P3")
async def test_from_files_to_a_report_with_a_person_in_between(tmp_path: Path, safe: bool) -> None:
    async with installed(tmp_path, safe=safe) as journey, hosted(journey) as host:
        sample = write_sample(journey.home / "sample", 40)
        files = [str(sample.connections), str(sample.provider)]
        run_id = (await host.call("research", files=files, idempotency_key="monday"))["reference"]
        await host.until("get_run", "researched", run_id=run_id)
        findings = await host.call("get_artefact", run_id=run_id, phase="research")
        assert f"{sample.people} people researched" in findings["text"]
        await host.call("plan", run_id=run_id)
        told = await host.until("get_run", "review", run_id=run_id)
        assert f"/campaigns/plans/{run_id}" in told["next"]
        refused = await host.call("implement", run_id=run_id)
        assert (refused["status"], refused["reason"]) == ("refused", "needs_approval")
        listed = await _effects(host, run_id)
        async with somebody(journey, "operator") as person:
            waiting = (await host.call("list_reviews"))["reviews"]
            for one in waiting:
                await person.read_and_approve(one["id"])
            assert (await host.call("implement", run_id=run_id))["reason"] == "needs_approval"
            plan = f"/campaigns/plans/{run_id}"
            content = _found(r'name="content" value="([0-9a-f]{64})"', (await person.http.get(plan)).text)
            assert (await person.post(f"{plan}/approve", version=1, content=content)).status_code == 303
        assert (await host.call("get_run", run_id=run_id))["next"] == "orchestrator_implement"
        assert (await host.call("implement", run_id=run_id, dry_run=True))["status"] == "simulated"
        assert await _launched(journey) == Counter()
        assert (await host.call("implement", run_id=run_id))["status"] == "applied"
        report = await host.until("get_artefact", "done", run_id=run_id, phase="implement")
        assert "0 effects were done that the plan didn't list" in report["text"]
        assert await _launched(journey) == Counter(one["action"] for one in listed if one["when"] == "launch")
        taken = [entry["action"] for entry in await journey.witness.log("instantly")]
        people = sum(one["people"] for one in waiting)
        assert taken.count("add_lead") == (0 if safe else people)


async def _effects(host: Host, run_id: str) -> list[Mapping[str, Any]]:
    """The plan's whole list of effects, page by page."""
    found: list[Mapping[str, Any]] = []
    cursor, first = "", True
    while first or cursor:
        page = await host.call("get_artefact", run_id=run_id, phase="plan", part="effects", cursor=cursor)
        found, cursor, first = [*found, *page["effects"]], page["next_cursor"], False
    return found


async def _launched(journey: Journey) -> Counter[str]:
    """What the ledger holds of launches, by action."""
    rows = await journey.rows(schema.effect)
    return Counter(f"{row['vendor']}.{row['action']}" for row in rows if row["action"] in LAUNCH)
