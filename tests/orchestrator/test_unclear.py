"""What may be an opt-out: stopped and held at once, and only a person decides which way it ends."""

import pytest
import sqlalchemy as sa

from orchestrator import handling, handoffs, unclear
from orchestrator.app import App
from orchestrator.catching_up import stop_all
from shared.approval import Person
from shared.effect import Effect
from shared.errors import Conflict, Invalid
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import handoff, stop
from shared.ports import ContactView
from shared.schema import held
from shared.suppression import UNCLEAR
from tests.orchestrator.world import alone, rows

ONE = "jo@corp1.example"
TEXT = "We are all set for now, and I would rather you stopped; stop writing to the whole team"
AE = Person("olga@corp.com", "ae")


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    made = alone(live_kernel)
    await handling.handle(made, Event("r1", "instantly", "replied", "", email=ONE, text=TEXT))
    return made


async def refused(app: App, *addresses: str) -> dict[str, str]:
    return await app.kernel.suppression.refused(addresses)


async def the(app: App) -> str:
    (one,) = await rows(app, sa.select(handoff).where(handoff.c.trigger == unclear.TRIGGER))
    return str(one.id)


@pytest.mark.requirement("U12")
async def test_until_somebody_decides_nobody_there_is_written_to(app: App) -> None:
    assert await refused(app, ONE, "Jo+x@corp1.example", "other@corp1.example") == {
        ONE: UNCLEAR,
        "Jo+x@corp1.example": UNCLEAR,
    }
    assert await app.kernel.suppression.find(ONE) is None
    assert [(row.kind, row.target) for row in await rows(app, sa.select(stop))] == [("sequence", ONE)]

    async def never(_: object) -> object:
        raise AssertionError("it was sent")

    effect = Effect("ghl", "create_contact", ONE, "x", {"email": ONE}, recipients=(ONE,))
    outcome = await app.kernel.gate.submit(effect, never)  # type: ignore[arg-type]  # it is never called
    assert (outcome.status, outcome.reason) == ("refused", UNCLEAR)


async def test_confirmed_it_is_an_opt_out_like_any_other(app: App) -> None:
    assert await unclear.confirm(app.kernel, await the(app), person=AE) == 1
    assert await refused(app, ONE) == {ONE: "suppressed"}
    assert {row.kind for row in await rows(app, sa.select(stop))} == {"sequence", "person"}
    assert await rows(app, sa.select(held)) == []
    with pytest.raises(Conflict):
        await unclear.take_back(app.kernel, await the(app), person=AE, reason="no")


@pytest.mark.requirement("U12")
async def test_taken_back_they_may_be_planned_for_and_nobody_comes_off_the_list(app: App) -> None:
    await unclear.take_back(app.kernel, await the(app), person=AE, reason="they meant another list")
    assert await refused(app, ONE) == {}
    assert (await rows(app, sa.select(handoff)))[0].closed_by == AE.name


@pytest.mark.requirement("U12", "U4")
async def test_taking_back_leaves_a_real_opt_out_that_came_meanwhile(app: App) -> None:
    await handling.handle(app, Event("r2", "instantly", "unsubscribed", "", email=ONE, stops_contact=True))
    await unclear.take_back(app.kernel, await the(app), person=AE, reason="they meant another list")
    assert await refused(app, ONE) == {ONE: "suppressed"}


async def test_a_mark_in_the_crm_counts_for_somebody_who_is_only_held(app: App) -> None:
    assert await stop_all(app, [ContactView(id="c1", email=ONE)]) == 1
    assert await refused(app, ONE) == {ONE: "suppressed"}


@pytest.mark.requirement("U12", "A5")
async def test_no_tool_decides_and_no_viewer(app: App) -> None:
    one = await the(app)
    for act in (
        unclear.take_back(app.kernel, one, person=Person("v@corp.com", "viewer"), reason="because"),
        unclear.take_back(app.kernel, one, person=Person("agent", "agent"), reason="because"),
        unclear.take_back(app.kernel, one, person=AE, reason=" "),
        unclear.confirm(app.kernel, one, person=Person("v@corp.com", "viewer")),
        handoffs.close(app.kernel, app.rules, one, by=AE.name, note="done"),
        handoffs.close(app.kernel, app.rules, one, by=AE.name, note="done", told_by=handoffs.AGENT),
    ):
        with pytest.raises(Invalid):
            await act
    assert await refused(app, ONE) == {ONE: UNCLEAR}


async def test_what_is_no_such_handoff_is_not_decided(app: App) -> None:
    with pytest.raises(Invalid) as caught:
        await unclear.confirm(app.kernel, "nobody", person=AE)
    assert caught.value.code == "not_found"


@pytest.mark.requirement("U12")
async def test_an_answer_in_words_that_no_rule_knows_is_held_as_well(live_kernel: Kernel) -> None:
    made = alone(live_kernel)
    await handling.handle(made, Event("r9", "instantly", "replied", "", email=ONE, text="zut et zut"))
    assert await refused(made, ONE) == {ONE: UNCLEAR}
    (waits,) = await rows(made, sa.select(handoff))
    with pytest.raises(Invalid):
        await handoffs.close(made.kernel, made.rules, waits.id, by=AE.name, note="x", told_by=handoffs.AGENT)
    await unclear.take_back(made.kernel, waits.id, person=AE, reason="a joke")
    assert await refused(made, ONE) == {}
