"""Flows outlive their process: what was finished answers from memory, what was cut off runs once more."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.engine import EnginePort, OnServer, Step, open_engine
from shared.clock import SystemClock
from shared.errors import Fatal
from tests.postgres import Server, name_in

LOOK = 0.02


Open = Callable[[Mapping[str, Any]], AbstractAsyncContextManager[EnginePort]]


@pytest.fixture
def opened(database: Mapping[str, str], tmp_path: Path) -> Open:
    """An engine as a process opens it that comes after those before: it takes up what they left."""
    processes = count()

    @asynccontextmanager
    async def opening(flows: Mapping[str, Any]) -> AsyncIterator[EnginePort]:
        url = database.get("DATABASE_URL")
        server = OnServer(url, f"process-{next(processes)}") if url else None
        async with open_engine(tmp_path, flows, server) as engine:
            await engine.recover(await engine.others())
            yield engine

    return opening


class Flow:
    """A flow of two steps; the second waits while it is told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.waits = True
        self.reached = anyio.Event()

    def __call__(self, step: Step, args: Any) -> Any:
        first = step("first", self._first)
        second = step("second", self._second)
        return {"said": [first["said"], second["said"], args.get("word", "")]}

    async def _first(self) -> dict[str, str]:
        self.ran.append("first")
        return {"said": "one"}

    async def _second(self) -> dict[str, str]:
        self.ran.append("second")
        self.reached.set()
        if self.waits:
            await anyio.sleep_forever()
        return {"said": "two"}


async def _ended(engine: EnginePort, identifier: str) -> str:
    with anyio.fail_after(20):
        while (status := await engine.status(identifier)) in {"", "PENDING", "ENQUEUED"}:
            await SystemClock().sleep(LOOK)
    return status


@pytest.mark.both_databases
async def test_a_flow_runs_to_its_end(opened: Open) -> None:
    flow = Flow()
    flow.waits = False
    async with opened({"f": flow}) as engine:
        await engine.start("f", "x", {})
        assert await _ended(engine, "x") == "SUCCESS"
        assert flow.ran == ["first", "second"]


@pytest.mark.both_databases
async def test_a_flow_goes_on_where_a_closed_engine_left_it(opened: Open) -> None:
    flow = Flow()
    async with opened({"f": flow}) as engine:
        await engine.start("f", "x", {})
        await flow.reached.wait()
    flow.waits = False
    async with opened({"f": flow}) as engine:
        assert await _ended(engine, "x") == "SUCCESS"
    assert flow.ran == ["first", "second", "second"]


@pytest.mark.both_databases
async def test_closing_lets_a_stage_write_down_what_it_did(opened: Open) -> None:
    reached, written = anyio.Event(), []

    async def stage() -> dict[str, str]:
        reached.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await SystemClock().sleep(0.05)
                written.append("settled")
        return {}

    async with opened({"f": lambda step, _: step("only", stage)}) as engine:
        await engine.start("f", "x", {})
        await reached.wait()
    assert written == ["settled"]


@pytest.mark.both_databases
async def test_a_second_start_of_the_same_id_does_nothing(opened: Open) -> None:
    flow = Flow()
    flow.waits = False
    async with opened({"f": flow}) as engine:
        for _ in range(3):
            await engine.start("f", "x", {})
        await _ended(engine, "x")
        await engine.start("f", "x", {})
        await engine.start("f", "y", {})  # behind it, if it were there
        await _ended(engine, "y")
        assert flow.ran == ["first", "second"] * 2


@pytest.mark.both_databases
async def test_an_id_that_nobody_started_has_no_status(opened: Open) -> None:
    async with opened({}) as engine:
        assert await engine.status("nobody") == ""


async def test_a_second_engine_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with open_engine(tmp_path, {}):
        with pytest.raises(Fatal) as caught:
            async with open_engine(tmp_path, {}):
                raise AssertionError("two engines")
        assert caught.value.code == "engine_busy"


async def test_the_folder_is_free_again_once_the_engine_is_closed(tmp_path: Path) -> None:
    for _ in range(2):
        async with open_engine(tmp_path, {}):
            pass


@pytest.mark.both_databases
async def test_a_cancelled_flow_begins_no_further_step(opened: Open) -> None:
    flow = Flow()
    async with opened({"f": flow}) as engine:
        await engine.start("f", "x", {})
        await flow.reached.wait()
        await engine.cancel("x")
        assert await engine.status("x") == "CANCELLED"


async def test_commits_of_the_engine_are_durable(tmp_path: Path) -> None:
    async with open_engine(tmp_path, {}):
        with sqlite3.connect(tmp_path / "engine.db") as looking:
            assert looking.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        looking.close()


async def test_only_what_a_process_left_is_taken_from_it(postgres: Server, tmp_path: Path) -> None:
    flow = Flow()
    with postgres.lent() as url:
        async with open_engine(tmp_path, {"f": flow}, OnServer(url, "first")) as engine:
            await engine.start("f", "x", {})
            await flow.reached.wait()
            assert await engine.others() == set()
        flow.waits = False
        async with open_engine(tmp_path, {"f": flow}, OnServer(url, "second")) as engine:
            assert await engine.others() == {"first"}
            assert await engine.recover(["somebody else"]) == 0
            assert await engine.status("x") == "PENDING"
            assert await engine.recover(["first"]) == 1
            assert await _ended(engine, "x") == "SUCCESS"
            assert (await engine.others(), await engine.recover(["first"])) == (set(), 0)
    assert flow.ran == ["first", "second", "second"]


async def test_flows_keep_to_a_schema_of_their_own_and_their_commits_are_durable(
    postgres: Server, tmp_path: Path
) -> None:
    with postgres.lent() as url:
        before = postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name_in(url))
        async with open_engine(tmp_path, {}, OnServer(url, "me")):
            tables = postgres.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'engine'", name_in(url))
            assert tables[0][0] > 3
            assert before == postgres.run(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", name_in(url)
            )
    assert not (tmp_path / "engine.db").exists()


@pytest.mark.both_databases
async def test_only_old_flows_that_ended_and_are_named_so_are_forgotten(opened: Open) -> None:
    flow, other = Flow(), Flow()
    flow.waits = False
    async with opened({"flow": flow, "other": other}) as engine:
        for name in ("schedule:a:1", "run:a"):
            await engine.start("flow", name, {})
            with anyio.fail_after(20):
                while await engine.status(name) != "SUCCESS":
                    await SystemClock().sleep(LOOK)
        await engine.start("other", "schedule:b:1", {})
        with anyio.fail_after(20):
            await other.reached.wait()
        now = SystemClock().now()
        assert await engine.forget("schedule:", now - timedelta(days=1)) == 0
        assert await engine.forget("schedule:", now + timedelta(seconds=1)) == 1
        left = [await engine.status(name) for name in ("schedule:a:1", "run:a", "schedule:b:1")]
    assert left == ["", "SUCCESS", "PENDING"]
