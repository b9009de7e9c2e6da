"""Every list a tool answers with comes in pages that fit, say what is left out, and are the whole together."""

from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.paging import FURTHEST
from orchestrator.phase_tools import get_artefact
from orchestrator.tools import FURTHEST_ENTRY, TOOLS
from shared.answer import MAX_CHARACTERS, TRUNCATED, compact, fitted, text
from shared.audit import Entry, append
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, event, handoff, run
from shared.toolschema import Contract
from tests.orchestrator.phases import drafted, researched
from tests.orchestrator.world import a_run, alone, in_run, people, put

LONG = "Ω" * 400
MANY = 130


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    return alone(live_kernel)


async def much(app: App) -> str:
    """More of everything than one answer holds, with texts as long as they may be."""
    run_id = await a_run(app, people(MANY, title=LONG, company=LONG, last_name=LONG))
    lead_id = (await in_run(app, run_id))[0].lead_id
    for n in range(MANY):
        at = f"2026-01-01T00:{n // 60:02}:{n % 60:02}+00:00"
        row = {"id": f"run{n}", "mode": "safe", "state": "failed", "message": LONG, "started_at": at}
        await put(app, sa.insert(run).values(**row))
        await put(
            app,
            sa.insert(handoff).values(
                id=f"h{n}", trigger="pricing", priority="high", state="pending", due_at=at
            ),
        )
        waiting = {"id": f"c{n}", "run_id": run_id, "name": LONG, "state": "pending_review", "review_due": at}
        await put(app, sa.insert(campaign).values(**waiting))
        seen = {"id": f"e{n}", "vendor": LONG, "type": "opened", "received_at": at, "lead_id": lead_id}
        await put(app, sa.insert(event).values(**seen))
        entry = Entry("test.entry", str(n), {})
        await app.kernel.store.write(lambda c, e=entry: append(c, [e], app.kernel.clock.now()))
    return run_id


def structured(name: str, value: object) -> dict[str, Any]:
    """The answer as it leaves the server."""
    tool = next(one for one in TOOLS if one.name == name)
    return Contract("orchestrator", tool).structured(value)


async def call(app: App, name: str, **arguments: Any) -> Any:
    return await next(one for one in TOOLS if one.name == name).function(app, **arguments)


LISTS: dict[str, str] = {
    "list_runs": "runs",
    "list_leads": "leads",
    "list_reviews": "reviews",
    "list_handoffs": "handoffs",
    "query_audit": "entries",
}


def identity(item: Any) -> object:
    return getattr(item, "id", None) or item.seq


def test_every_tool_that_takes_a_cursor_is_tested_here() -> None:
    paged = {tool.name for tool in TOOLS if "cursor" in Contract("orchestrator", tool).parameters}
    elsewhere = {"query_knowledge", "get_recommendations"}  # test_learning.py
    assert paged == {*LISTS, "get_artefact", *elsewhere}


@pytest.mark.parametrize("name", LISTS)
async def test_pages_fit_and_together_are_the_whole(app: App, name: str) -> None:
    run_id = await much(app)
    tool = next(one for one in TOOLS if one.name == name)
    most = Contract("orchestrator", tool).input_schema["properties"]["limit"]["maximum"]
    more = {"run_id": run_id} if name == "list_leads" else {}
    seen: list[object] = []
    cursor, left = "", None
    while left is None or cursor:
        page = await call(app, name, limit=most, cursor=cursor, **more)
        items = getattr(page, LISTS[name])
        whole = structured(name, page)
        assert TRUNCATED not in fitted(whole), f"{len(compact(whole))} characters"
        assert len(text(page, whole)) <= MAX_CHARACTERS
        if left is not None:
            assert page.omitted == left - len(items)
        cursor, left = page.next_cursor, page.omitted
        seen += [identity(item) for item in items]
    assert left == 0
    assert len(seen) == len(set(seen)) >= MANY


async def test_the_effects_of_a_plan_are_paged_like_any_list(app: App) -> None:
    run_id = await researched(app, people(120))
    await drafted(app, run_id)
    seen = 0
    cursor, left = "", None
    while left is None or cursor:
        page = await get_artefact.function(app, run_id, "plan", part="effects", cursor=cursor, limit=50)
        assert TRUNCATED not in fitted(structured("get_artefact", page))
        cursor, left = page.next_cursor, page.omitted
        seen += len(page.effects)
        assert all("@" not in one.lead_id for one in page.effects)
    assert (seen, left) == (602, 0)


async def test_a_persons_history_is_cut_to_the_latest_and_says_so(app: App) -> None:
    run_id = await much(app)
    lead_id = (await in_run(app, run_id))[0].lead_id
    found = await call(app, "get_lead", who=lead_id)
    assert TRUNCATED not in fitted(structured("get_lead", found))
    assert found.omitted > 0
    assert found.timeline[-1].at.startswith("2026-")


async def test_a_cursor_that_no_page_named_is_refused(app: App) -> None:
    with pytest.raises(Invalid):
        await call(app, "list_runs", cursor=str(FURTHEST + 1))
    with pytest.raises(Invalid):
        await call(app, "query_audit", cursor=str(FURTHEST_ENTRY + 1))
    beyond = await call(app, "list_runs", cursor="100000")
    assert (beyond.runs, beyond.next_cursor, beyond.omitted) == ((), "", 0)
