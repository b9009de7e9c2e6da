"""Replies and the answers to them, as people see them."""

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.event import Event
from shared.pipeline_schema import answer, campaign, campaign_lead
from tests.orchestrator.world import people, planned, put, rows
from tests.web.conftest import PASSWORD, LogIn

ONE = "person1@corp1.com"


async def test_an_answer_is_read_changed_approved_or_left(app: App, log_in: LogIn) -> None:
    await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    await put(app, sa.update(campaign_lead).values(state="live"))
    said = {"email": ONE, "text": "<i>Not interested</i>", "campaign_ref": "ref-1", "reference": "m-1"}
    detail = {"mailbox": "ada@outreach.example"}
    await handling.handle(app, Event("r1", "instantly", "replied", "", **said, detail=detail))
    (draft,) = await rows(app, sa.select(answer))
    ae, viewer, operator = await log_in("ae"), await log_in("viewer"), await log_in("operator")
    text = (await ae.get("/replies")).text
    assert "&lt;i&gt;Not interested" in text
    assert f"/replies/{draft.id}/approve" in text
    assert f"/replies/{draft.id}/approve" not in (await viewer.get("/replies")).text
    for step in ("approve", "reject", "edit"):
        assert (await viewer.post(f"/replies/{draft.id}/{step}", {"version": 1})).status_code == 403
    changed = {"version": 1, "body": draft.body.replace("Thank you", "Many thanks")}
    assert (await ae.post(f"/replies/{draft.id}/edit", changed)).headers[
        "location"
    ] == "/replies?said=answer_edited"
    assert (
        await ae.post(f"/replies/{draft.id}/approve", {"version": 1, "password": PASSWORD})
    ).status_code == 409
    again = {"version": 2, "password": PASSWORD}
    assert (await ae.post(f"/replies/{draft.id}/approve", again)).status_code == 400  # their own words
    done = await operator.post(f"/replies/{draft.id}/approve", again)
    assert done.headers["location"] == "/replies?said=answer_approved"
    assert (await rows(app, sa.select(answer.c.state)))[0].state == "approved"
    assert (await operator.post(f"/replies/{draft.id}/reject", {"version": 2})).status_code == 409
