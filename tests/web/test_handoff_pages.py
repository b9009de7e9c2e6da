"""Handoffs as people see them: taking, closing, and deciding what may be an opt-out."""

import json

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.app import App
from shared.event import Event
from shared.pipeline_schema import handoff, lead, referral
from tests.orchestrator.world import put, rows
from tests.web.conftest import LogIn

ONE = "jo@corp1.example"
JANE = "jane@corp1.example"
PERHAPS = "<b>We are all set</b> for now, and I would rather you stopped; stop writing to the whole team"


async def answered(app: App, text: str, name: str = "r1") -> str:
    await handling.handle(app, Event(name, "instantly", "replied", "", email=ONE, text=text))
    (one,) = await rows(app, sa.select(handoff).where(handoff.c.event_id == f"instantly:{name}"))
    return str(one.id)


async def test_a_handoff_is_taken_and_closed_by_whoever_may(app: App, log_in: LogIn) -> None:
    one = await answered(app, "What does it cost?")
    viewer, ae = await log_in("viewer"), await log_in("ae")
    assert f"/handoffs/{one}/take" not in (await viewer.get("/handoffs")).text
    assert (await viewer.post(f"/handoffs/{one}/take")).status_code == 403
    assert f"/handoffs/{one}/take" in (await ae.get("/handoffs")).text
    assert (await ae.post(f"/handoffs/{one}/take")).headers["location"] == "/handoffs?said=handoff_taken"
    await ae.post(f"/handoffs/{one}/close", {"note": "sent the price list"})
    (row,) = await rows(app, sa.select(handoff))
    assert (row.state, row.acknowledged_by, row.closed_by, row.note) == (
        "closed",
        "ae@corp.com",
        "ae@corp.com",
        "sent the price list",
    )
    assert (await ae.post(f"/handoffs/{one}/take")).status_code == 409


async def test_what_may_be_an_opt_out_is_decided_with_a_button(app: App, log_in: LogIn) -> None:
    one, ae = await answered(app, PERHAPS), await log_in("ae")
    text = (await ae.get("/handoffs")).text
    assert "&lt;b&gt;We are all set" in text
    assert f"/handoffs/{one}/close" not in text
    assert (await ae.post(f"/handoffs/{one}/close", {"note": "x"})).status_code == 400
    assert (await ae.post(f"/handoffs/{one}/take-back", {"reason": " "})).status_code == 400
    assert await app.kernel.suppression.refused([ONE]) == {ONE: "unclear_opt_out"}
    await ae.post(f"/handoffs/{one}/take-back", {"reason": "another list"})
    assert await app.kernel.suppression.refused([ONE]) == {}
    other = await answered(app, PERHAPS, "r2")
    viewer = await log_in("viewer")
    assert (await viewer.post(f"/handoffs/{other}/confirm")).status_code == 403
    await ae.post(f"/handoffs/{other}/confirm")
    assert await app.kernel.suppression.refused([ONE]) == {ONE: "suppressed"}


async def test_what_has_to_be_done_by_hand_is_shown_step_by_step(app: App, log_in: LogIn) -> None:
    told = {"steps": ["ghl: open the contact", "ghl: delete <it>"]}
    values = {"id": "t1", "trigger": "privacy_request", "detail": json.dumps(told), "priority": "high"}
    await put(app, sa.insert(handoff).values(**values))
    text = (await (await log_in("operator")).get("/handoffs")).text
    assert "1. ghl: open the contact" in text
    assert "2. ghl: delete &lt;it&gt;" in text


async def named(app: App, text: str, name: str = "r1") -> str:
    await answered(app, text, name)
    (one,) = await rows(app, sa.select(referral).where(referral.c.event_id == f"instantly:{name}"))
    return str(one.id)


async def test_whom_an_answer_names_is_taken_in_with_a_button(app: App, log_in: LogIn) -> None:
    one = await named(app, f"Wrong person, <u>please</u> write to Jane Doe <{JANE}>")
    viewer, ae = await log_in("viewer"), await log_in("ae")
    where = f"/handoffs/named/{one}"
    assert f"{where}/take-in" not in (await viewer.get("/handoffs")).text
    assert (await viewer.post(f"{where}/take-in")).status_code == 403
    text = (await ae.get("/handoffs")).text
    assert f"{where}/take-in" in text
    assert f"{where}/leave" in text
    assert JANE in text
    assert "<u>" not in text
    assert (await ae.post(f"{where}/take-in", {"csrf": "x"})).status_code == 403
    assert await rows(app, sa.select(lead)) == []
    for _ in range(2):
        told = await ae.post(f"{where}/take-in")
        assert told.headers["location"] == "/handoffs?said=referral_taken"
    (made,) = await rows(app, sa.select(lead))
    after = (await ae.get("/handoffs")).text
    assert f"/leads/{made.id}" in after
    assert f"{where}/take-in" not in after
    assert (await ae.post(f"{where}/leave")).status_code == 409
    assert "referral" in (await ae.get(f"/leads/{made.id}")).text


async def test_whom_nobody_may_write_to_is_shown_without_that_button(app: App, log_in: LogIn) -> None:
    one = await named(app, f"Wrong person, please write to {JANE}")
    await app.kernel.suppression.add("corp1.example", reason="asked", source="test")
    ae = await log_in("ae")
    text = (await ae.get("/handoffs")).text
    assert "their company is on the do-not-contact list" in text
    assert f"/handoffs/named/{one}/take-in" not in text
    assert (await ae.post(f"/handoffs/named/{one}/take-in")).status_code == 400
    assert (await ae.post(f"/handoffs/named/{one}/leave")).headers["location"].endswith("referral_declined")
    (row,) = await rows(app, sa.select(referral))
    assert (row.state, row.email) == ("declined", "")


async def test_a_name_alone_asks_for_the_address(app: App, log_in: LogIn) -> None:
    one = await named(app, "Wrong person. Talk to Jane, she runs this")
    ae = await log_in("ae")
    assert 'name="email" type="email"' in (await ae.get("/handoffs")).text
    assert (await ae.post(f"/handoffs/named/{one}/take-in")).status_code == 400
    assert (await ae.post(f"/handoffs/named/{one}/take-in", {"email": JANE})).status_code == 303
    (made,) = await rows(app, sa.select(lead))
    assert made.email == JANE
    assert (await ae.post("/handoffs/named/nobody/take-in")).status_code == 404
