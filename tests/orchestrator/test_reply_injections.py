"""Replies that try to make a program act: each is taken in for real, and leads to what the table allows and no more.

All of them in one store, each from an address of its own; nothing of them is read as an instruction anywhere.
"""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import pytest_asyncio
import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.event import Event
from shared.kernel import open_kernel
from shared.pipeline_schema import campaign, handoff, reply, run, stop
from shared.schema import account, approval, effect, relaxation, suppression, switch
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import alone, rows

INJECTIONS = Path(__file__).parents[1] / "corpus" / "injections.jsonl"
RECORDS = [json.loads(line) for line in INJECTIONS.read_text("utf-8").splitlines()]
in_one_loop = pytest.mark.asyncio(loop_scope="module")
BYSTANDER = "bystander@corp.example"
# All that an answer may leave in the log.
ALLOWED = {"event.replied", "suppression.added", "suppression.held", "handoff.created"}
KERNELS_OWN = {"kernel.started", "audit.checkpoint"}  # of the installation that takes them in


def sender(record: dict[str, Any]) -> str:
    return f"{record['id']}@corp-{record['id']}.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def after(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """An installation that has taken in every one of them."""
    home = tmp_path_factory.mktemp("injections")
    settings = load_settings(CONFIG, {"SWARM_HOME": str(home), "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel:
        app = alone(kernel)
        await app.kernel.suppression.add(BYSTANDER, reason="unsubscribe", source="test")
        async with anyio.create_task_group() as tasks:  # side by side, so that they share commits
            for record in RECORDS:
                tasks.start_soon(handling.handle, app, received(record))
        yield app


def received(record: dict[str, Any]) -> Event:
    text = str(record.get("html") or record.get("text") or "")
    said = {"email": sender(record), "subject": str(record["subject"]), "text": text}
    return Event(record["id"], "instantly", "replied", "", **said)


async def count(app: App, table: sa.Table) -> int:
    return len(await rows(app, sa.select(table)))


@in_one_loop
@pytest.mark.requirement("F21", "X5")
async def test_none_of_them_makes_anything_happen(after: App) -> None:
    for table in (effect, approval, run, campaign, account, relaxation, switch):
        assert await count(after, table) == 0, table.name
    safety = await after.kernel.switches.now()
    assert not safety.killed
    assert not safety.pauses
    kinds = {str(entry["kind"]) for entry in await after.kernel.audit.tail(10_000)}
    assert kinds <= ALLOWED | KERNELS_OWN, kinds - ALLOWED - KERNELS_OWN


@in_one_loop
@pytest.mark.requirement("F21", "U2", "U4")
async def test_each_concerns_its_sender_alone(after: App) -> None:
    mine = {sender(record) for record in RECORDS}
    assert {row.target for row in await rows(after, sa.select(stop))} <= mine
    assert {row.email for row in await rows(after, sa.select(reply))} == mine
    lists = await rows(after, sa.select(suppression.c.source, suppression.c.lifted_at))
    assert {row.lifted_at for row in lists} == {""}
    assert await after.kernel.suppression.refused([BYSTANDER]) == {BYSTANDER: "suppressed"}


@in_one_loop
@pytest.mark.requirement("F21", "C5")
async def test_nobody_is_suppressed_by_words_that_were_not_their_plain_wish(after: App) -> None:
    refused = await after.kernel.suppression.refused([sender(record) for record in RECORDS])
    at_once = {address for address, why in refused.items() if why == "suppressed"}
    may = {sender(record) for record in RECORDS if record["suppresses"]}
    assert at_once <= may, sorted(at_once - may)


@in_one_loop
@pytest.mark.requirement("F21")
async def test_what_waits_for_people_is_one_of_the_tables_rows_each(after: App) -> None:
    table = after.rules.routing.escalations
    for row in await rows(after, sa.select(handoff)):
        assert row.destination == ", ".join(table[row.trigger].to)
        assert row.state == "pending"


def test_they_are_as_many_as_is_said() -> None:
    assert len(RECORDS) >= 200
    assert len({record["pattern"] for record in RECORDS}) >= 200
