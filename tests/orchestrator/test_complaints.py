"""Complaints that no vendor tells of: from mail and from people, each stops at once and feeds the halts."""

import pytest
import sqlalchemy as sa

from orchestrator import complaints, handling
from orchestrator.app import App
from shared.errors import Invalid
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, event, reply, stop
from tests.orchestrator.world import alone, people, planned, put, rows
from tests.shared.test_feedback import report

FIRST, PROVIDER = "person1@corp1.com", "feedback@provider.example"


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    """Somebody in a live campaign."""
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    await put(app, sa.update(campaign_lead).values(state="live"))
    return app


async def listed(app: App, email: str) -> bool:
    return await app.kernel.suppression.find(email) is not None


async def arrives(app: App, text: str, sender: str = PROVIDER) -> None:
    said = Event("m1", "ghl", "message_received", "", email=sender, subject="FW: a question", text=text)
    await handling.handle(app, said)
    await app.kernel.halts.look()


@pytest.mark.requirement("U15")
async def test_a_report_stops_whom_it_names_and_not_the_provider_and_kills(app: App) -> None:
    await arrives(app, report(to=FIRST))
    assert (await listed(app, FIRST), await listed(app, PROVIDER)) == (True, False)
    assert [row.target for row in await rows(app, sa.select(stop))] == [FIRST]
    assert [row[1] for row in await rows(app, sa.select(reply.c.event_id, reply.c["class"]))] == ["complaint"]
    assert (await app.kernel.switches.now()).killed


async def test_a_report_that_names_nobody_counts_and_stops_nobody(app: App) -> None:
    await arrives(app, report(to="redacted"))
    assert await rows(app, sa.select(stop)) == []
    assert (await app.kernel.switches.now()).killed


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure"])
async def test_a_report_of_something_else_does_nothing(app: App, kind: str) -> None:
    await arrives(app, report(kind, to=FIRST))
    assert not await listed(app, FIRST)
    assert not (await app.kernel.switches.now()).killed


async def test_a_report_from_somebody_we_write_to_is_about_themselves(app: App) -> None:
    await arrives(app, report(to="another@corp9.com"), FIRST)
    assert (await listed(app, FIRST), await listed(app, "another@corp9.com")) == (True, False)


@pytest.mark.requirement("U15")
async def test_one_that_a_person_notes_stops_them_and_is_counted_once_a_day(app: App) -> None:
    assert await complaints.note(app, "Person1@CORP1.com", reason="by telephone", actor="ada")
    assert not await complaints.note(app, FIRST, reason="and again", actor="ada")
    assert await listed(app, FIRST)
    assert [row.type for row in await rows(app, sa.select(event))] == ["complained"]
    assert [verdict.rule for verdict in await app.kernel.halts.standing()] == ["complaints"]
    assert (await app.kernel.switches.now()).killed
    kinds = [entry["kind"] for entry in await app.kernel.audit.tail(20)]
    assert {"complaint.noted", "event.complained", "suppression.added", "rule.kill"} <= set(kinds)


@pytest.mark.parametrize(("email", "reason", "field"), [("nobody", "asked", "email"), (FIRST, " ", "reason")])
async def test_what_is_no_address_and_what_has_no_reason_is_refused(
    app: App, email: str, reason: str, field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        await complaints.note(app, email, reason=reason, actor="ada")
    assert refused.value.field == field
