"""A handoff is taken and closed by people; an agent only says who did, and silences nothing by itself."""

import pytest
import sqlalchemy as sa

from orchestrator import handoff_tools, handoffs, unclear
from orchestrator.accounts import Accounts
from orchestrator.app import App
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import handoff
from shared.schema import audit_detail
from tests.orchestrator.world import Row, alone, put, rows

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    accounts = Accounts(live_kernel)
    await accounts.create("olga@corp.com", "Olga", "ae", PASSWORD, by="test")
    await accounts.create("vera@corp.com", "Vera", "viewer", PASSWORD, by="test")
    return alone(live_kernel)


async def waiting(app: App, trigger: str = "pricing") -> str:
    values = {
        "id": f"h-{trigger}",
        "trigger": trigger,
        "state": "pending",
        "due_at": "2026-01-01T00:00:00+00:00",
    }
    await put(app, sa.insert(handoff).values(**values))
    return values["id"]


async def the(app: App, identifier: str) -> Row:
    return (await rows(app, sa.select(handoff).where(handoff.c.id == identifier)))[0]


async def test_an_agent_says_who_took_it_and_who_is_done(app: App) -> None:
    one = await waiting(app)
    taken = await handoff_tools.acknowledge_handoff.function(app, one, "Olga@corp.com")
    again = await handoff_tools.acknowledge_handoff.function(app, one, "olga@corp.com")
    assert (taken.status, again.status) == ("applied", "replayed")
    assert ((await the(app, one)).state, (await the(app, one)).acknowledged_by) == (
        "acknowledged",
        "olga@corp.com",
    )
    closed = await handoff_tools.close_handoff.function(app, one, "olga@corp.com", "sent the price list")
    again = await handoff_tools.close_handoff.function(app, one, "olga@corp.com", "sent the price list")
    assert (closed.status, again.status) == ("applied", "replayed")
    assert ((await the(app, one)).state, (await the(app, one)).closed_by) == ("closed", "olga@corp.com")
    with pytest.raises(Conflict):
        await handoff_tools.acknowledge_handoff.function(app, one, "olga@corp.com")
    noted = [row.payload for row in await rows(app, sa.select(audit_detail.c.payload))]
    assert sum('"told_by":"agent"' in payload.replace(" ", "") for payload in noted) == 2


@pytest.mark.parametrize("nobody", ["agent", "vera@corp.com", "stranger@corp.com", "", "olga"])
async def test_an_agent_can_not_have_nobody_take_it(app: App, nobody: str) -> None:
    one = await waiting(app)
    with pytest.raises(Invalid) as refused:
        await handoff_tools.acknowledge_handoff.function(app, one, nobody)
    assert refused.value.field == "taken_by"
    with pytest.raises(Invalid):
        await handoff_tools.close_handoff.function(app, one, nobody, "done")
    assert (await the(app, one)).state == "pending"


async def test_what_people_must_close_themselves_no_agent_reports_as_done(app: App) -> None:
    assert app.rules.routing.closed_by_people_only
    for trigger in app.rules.routing.closed_by_people_only:
        one = await waiting(app, trigger)
        with pytest.raises(Invalid) as refused:
            await handoff_tools.close_handoff.function(app, one, "olga@corp.com", "done")
        assert refused.value.code == "people_only"
        if trigger == unclear.TRIGGER:
            continue  # decided, not closed: see test_unclear.py
        assert await handoffs.close(app.kernel, app.rules, one, by="olga@corp.com", note="spoke to them")
        assert (await the(app, one)).state == "closed"


async def test_an_unknown_handoff_is_named(app: App) -> None:
    with pytest.raises(Invalid, match="no such handoff"):
        await handoff_tools.acknowledge_handoff.function(app, "nobody", "olga@corp.com")
