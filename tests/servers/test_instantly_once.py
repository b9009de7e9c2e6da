"""A campaign is created once: answers lost, processes killed in between, two processes at the same moment."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers.instantly.sandbox import build
from shared.sandbox import serve
from tests.servers.instantly_world import DRAFT

ROOT = Path(__file__).parent.parent.parent


class Vendor:
    """The emulator, in this process: it outlives the processes that ask it."""

    def __init__(self, http: httpx.AsyncClient, home: Path) -> None:
        self.http = http
        self.home = home

    async def fault(self, *plan: dict[str, Any]) -> None:
        """Faults in force from now on."""
        await self.http.put("/_control/faults", json=list(plan))

    async def created(self) -> int:
        """How many campaigns there are."""
        log = (await self.http.get("/_control/log")).json()
        return sum(entry["action"] == "create_campaign" for entry in log)

    async def asked(self, method: str, path: str) -> int:
        """How many such requests have arrived so far."""
        requests = (await self.http.get("/_control/requests")).json()
        return sum((one["method"], one["path"].removeprefix("/api/v2")) == (method, path) for one in requests)

    async def held(self) -> list[dict[str, Any]]:
        """Its campaigns."""
        headers = {"authorization": "Bearer x"}
        items: list[dict[str, Any]] = (await self.http.get("/api/v2/campaigns", headers=headers)).json()[
            "items"
        ]
        return items

    async def start(self, key: str = "") -> asyncio.subprocess.Process:
        """A process that creates the campaign."""
        environ = {
            **os.environ,
            "SWARM_HOME": str(self.home),
            "SAFE_MODE": "false",
            "INSTANTLY_BASE_URL": str(self.http.base_url),
            "KEY": key,
        }
        arguments = ("-m", "tests.servers.instantly_creating")
        pipe, silent = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=ROOT, env=environ, stdout=pipe, stderr=silent
        )

    async def create(self, key: str = "") -> dict[str, Any]:
        """The same, to its end; how it ended."""
        return await ended(await self.start(key))


async def ended(process: asyncio.subprocess.Process) -> dict[str, Any]:
    """What a process said last."""
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    outcome: dict[str, Any] = json.loads(out.decode().splitlines()[-1])
    return outcome


async def killed(process: asyncio.subprocess.Process) -> None:
    """No last words."""
    process.kill()
    await process.wait()


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Vendor]:
    async with (
        serve(build(pace=0)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as http,
    ):
        yield Vendor(http, home)


@pytest.fixture
async def vendor(tmp_path: Path) -> AsyncIterator[Vendor]:
    """An emulator, and a home for the processes that ask it."""
    async with opened(tmp_path / "home") as made:
        yield made


async def until_asked(vendor: Vendor, method: str, path: str) -> None:
    """Until such a request has arrived; the fault holds it there."""
    while not await vendor.asked(method, path):
        continue  # asking takes its time


async def test_an_answer_that_is_lost_makes_no_second_campaign_in_another_process(vendor: Vendor) -> None:
    await vendor.fault({"kind": "drop_after", "method": "POST", "path": "/campaigns$"})
    first, second = await vendor.create("one"), await vendor.create("two")
    assert (first["status"], second["status"]) == ("in_doubt", "applied")
    assert await vendor.created() == 1


async def test_a_process_killed_while_its_request_is_on_the_way_makes_no_second_campaign(
    vendor: Vendor,
) -> None:
    await vendor.fault({"kind": "delay", "method": "POST", "path": "/campaigns$", "seconds": 1.0})
    dying = await vendor.start()
    await until_asked(vendor, "POST", "/campaigns")
    await killed(dying)
    assert await vendor.created() == 0  # it reaches the vendor only now
    outcome = await vendor.create()
    assert outcome["status"] in {"applied", "replayed"}
    assert await vendor.created() == 1


async def test_a_process_killed_between_create_and_completion_leaves_a_draft_that_is_completed(
    vendor: Vendor,
) -> None:
    await vendor.fault({"kind": "delay", "method": "GET", "path": "/campaigns/.+", "seconds": 2.0})
    dying = await vendor.start()
    while not await vendor.created():
        continue  # asking takes its time
    await killed(dying)
    assert [one["email_list"] for one in await vendor.held()] == [[]]
    await vendor.fault()
    assert (await vendor.create())["status"] == "applied"
    assert [one["email_list"] for one in await vendor.held()] == [list(DRAFT.mailboxes)]
    assert await vendor.created() == 1


@pytest.mark.parametrize("keys", [("", ""), ("one", "two")])
async def test_two_processes_at_the_same_moment_make_one_campaign(
    vendor: Vendor, keys: tuple[str, str]
) -> None:
    await vendor.fault(
        {"kind": "delay", "method": "POST", "path": "/campaigns$", "seconds": 1.0, "times": -1}
    )
    both = [await vendor.start(key) for key in keys]
    outcomes = [await ended(process) for process in both]
    assert await vendor.created() == 1
    assert sorted((one["status"], one["reason"]) for one in outcomes) in (
        [("applied", ""), ("refused", "in_flight")],
        [("applied", ""), ("replayed", "")],
    )
