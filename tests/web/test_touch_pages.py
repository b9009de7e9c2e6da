"""LinkedIn by hand, as an account executive sees it."""

import sqlalchemy as sa

from orchestrator.app import App
from shared.pipeline_schema import campaign, campaign_lead, touch
from tests.orchestrator.phases import planned
from tests.orchestrator.world import people, put, rows
from tests.web.conftest import LogIn

DUE = "2026-01-01T09:00:00+00:00"


async def waiting(app: App) -> str:
    """One task that is due, of a live campaign."""
    _, (campaign_id,) = await planned(app, people(1, title="<b>Director</b>"))
    await put(app, sa.update(campaign).values(state="live"))
    await put(app, sa.update(campaign_lead).values(state="live"))
    lead_id = (await rows(app, sa.select(campaign_lead.c.lead_id)))[0].lead_id
    task = {"id": "t1", "campaign_id": campaign_id, "lead_id": lead_id, "day": 1, "due_at": DUE}
    await put(app, sa.insert(touch).values(**task))
    return "t1"


async def test_a_task_says_what_to_do_and_is_done_with_a_note(app: App, log_in: LogIn) -> None:
    task = await waiting(app)
    ae = await log_in("ae")
    text = (await ae.get("/campaigns/tasks")).text
    assert app.rules.outreach.linkedin.what[1] in text
    assert "&lt;b&gt;Director" in text
    assert 'rel="noreferrer noopener"' in text
    done = await ae.post(f"/campaigns/tasks/{task}/done", {"note": "we know each other"})
    assert done.headers["location"] == "/campaigns/tasks?said=task_done"
    assert "Nothing is due." in (await ae.get("/campaigns/tasks")).text
    row = (await rows(app, sa.select(touch)))[0]
    assert (row.state, row.by, row.note) == ("done", "ae@corp.com", "we know each other")
    assert (await ae.post(f"/campaigns/tasks/{task}/skip")).status_code == 409


async def test_a_viewer_sees_tasks_and_does_none(app: App, log_in: LogIn) -> None:
    task = await waiting(app)
    viewer = await log_in("viewer")
    text = (await viewer.get("/campaigns/tasks")).text
    assert "Open their profile" in text
    assert f"/campaigns/tasks/{task}/done" not in text
    assert (await viewer.post(f"/campaigns/tasks/{task}/done")).status_code == 403
