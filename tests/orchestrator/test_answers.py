"""Answers to replies: drafted for a person, approved word for word, sent once; never a machine's to a machine."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import answering, answers, handling
from orchestrator.accounts import Accounts
from orchestrator.app import App
from orchestrator.later import Later
from orchestrator.rules import MACHINES
from shared.approval import Person
from shared.effect import canonical
from shared.errors import Conflict, Invalid
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import answer, campaign, campaign_lead
from shared.schema import approval
from tests.orchestrator.world import World, alone, approved, launched, people, planned, put, rows, world

ONE = "person1@corp1.com"
AE, OTHER = Person("olga@corp.com", "ae"), Person("otto@corp.com", "ae")
MAIL = {"detail": {"mailbox": "ada@outreach.example"}}


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    """The first person is in a live campaign."""
    made = alone(live_kernel)
    _, (_campaign_id,) = await planned(made, people(1))
    await put(made, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    await put(made, sa.update(campaign_lead).values(state="live"))
    return made


async def answered(app: App, text: str, name: str = "r1", **more: Any) -> list[Any]:
    """Somebody answers; the drafts, oldest first."""
    said: dict[str, Any] = {"email": ONE, "text": text, "campaign_ref": "ref-1", **MAIL}
    said |= {"reference": f"m-{name}", **more}
    event = Event(name, "instantly", "replied", "", **said)
    await handling.handle(app, event)
    return await rows(app, sa.select(answer).order_by(answer.c.at, answer.c.event_id))


# ── drafting ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_objection_gets_a_draft_that_waits_for_a_person(app: App) -> None:
    (draft,) = await answered(app, "Not interested, sorry.")
    assert (draft.state, draft._mapping["class"], draft.email) == ("pending_review", "not_interested", ONE)
    assert draft.subject.startswith("Re: ")
    assert app.rules.outreach.sender.postal_address.split(",")[0] in draft.body
    assert "{{" not in draft.body
    assert await rows(app, sa.select(approval)) == []


@pytest.mark.parametrize(
    "text",
    [
        "unsubscribe",
        "I will hear from you no more, or from my lawyer you will",
        "We are all set for now, and I would rather you stopped; stop writing to the whole team",
        "zut et zut",
        "This is an automatically generated message.",
    ],
)
@pytest.mark.requirement("A8")
async def test_who_ended_contact_is_unclear_or_a_machine_gets_no_draft(app: App, text: str) -> None:
    assert await answered(app, text) == []


async def test_without_a_thread_to_answer_in_there_is_no_draft(app: App) -> None:
    assert await answered(app, "Not interested", reference="") == []
    assert await answered(app, "Not interested", "r2", detail={}) == []


async def test_a_newer_reply_supersedes_the_draft_to_the_older_one(app: App) -> None:
    await answered(app, "Not right now", reference="m-1")
    older, newer = await answered(app, "Actually, how much is it?", "r2", reference="m-2")
    assert {older.state, newer.state} == {"superseded", "pending_review"}


def test_no_template_stands_for_who_is_not_answered(app: App) -> None:
    silent = {name for name, row in app.rules.routing.replies.items() if row.suppress} | MACHINES
    assert not silent & app.rules.answers.drafts.keys()
    assert app.rules.answers.by_policy == frozenset()


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A1", "A5")
async def test_a_yes_is_to_exactly_these_words_by_somebody_who_may(app: App) -> None:
    (draft,) = await answered(app, "Not interested, sorry.")
    with pytest.raises(Invalid):
        await answers.approve(app, draft.id, person=Person("v@corp.com", "viewer"), version=1)
    with pytest.raises(Conflict):
        await answers.approve(app, draft.id, person=AE, version=2)
    await answers.approve(app, draft.id, person=AE, version=1)
    (done,) = await rows(app, sa.select(answer))
    assert (done.state, done.decided_by, done.automatic) == ("approved", AE.name, 0)
    with pytest.raises(Conflict):
        await answers.approve(app, draft.id, person=OTHER, version=1)


async def test_changed_words_are_checked_again_and_approved_by_somebody_else(app: App) -> None:
    for name in ("olga", "otto"):
        await Accounts(app.kernel).create(f"{name}@corp.com", name, "ae", "correct horse battery", by="test")
    (draft,) = await answered(app, "Not interested, sorry.")
    version = await answers.edit(
        app,
        draft.id,
        person=AE,
        version=1,
        body=draft.body.replace("Thank you", "Guaranteed 100 % thanks to you"),
    )
    with pytest.raises(Invalid) as caught:
        await answers.approve(app, draft.id, person=AE, version=version)
    assert caught.value.code == "four_eyes"
    with pytest.raises(Invalid) as caught:
        await answers.approve(app, draft.id, person=OTHER, version=version)
    assert caught.value.code == "blocked"
    await answers.reject(app, draft.id, person=OTHER, version=version, reason="no")
    assert (await rows(app, sa.select(answer)))[0].state == "rejected"


@pytest.mark.requirement("A6")
async def test_nobody_says_yes_while_everything_is_killed(app: App) -> None:
    (draft,) = await answered(app, "Not interested, sorry.")
    await app.kernel.switches.kill(actor="test", reason="drill")
    with pytest.raises(Conflict):
        await answers.approve(app, draft.id, person=AE, version=1)


# ── policy ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A8")
async def test_policy_lets_out_one_and_no_second_before_a_person_answered(app: App) -> None:
    rules = replace(app.rules, answers=app.rules.answers.model_copy(update={"by_policy": {"not_interested"}}))
    app = replace(app, rules=rules)
    (first,) = await answered(app, "Not interested, sorry.")
    assert first.findings == "[]"
    assert (first.state, first.automatic, first.decided_by) == ("approved", 1, answers.POLICY.name)
    states = {row.event_id: (row.state, row.automatic) for row in await answered(app, "No thanks", "r2")}
    assert states["instantly:r2"] == ("pending_review", 0)
    second = next(row for row in await rows(app, sa.select(answer)) if row.event_id == "instantly:r2")
    await answers.approve(app, second.id, person=AE, version=1)
    states = {row.event_id: (row.state, row.automatic) for row in await answered(app, "No, thanks", "r3")}
    assert states["instantly:r3"] == ("approved", 1)


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


@pytest.mark.requirement("A1", "A3", "I5")
async def test_an_approved_answer_goes_out_once_in_its_thread(here: World) -> None:
    app = here.app
    _, campaign_id = await approved(app, people(1))
    await launched(app, campaign_id)
    (row,) = await rows(app, sa.select(campaign.c.vendor_ref))
    await here.witness.act("instantly", "run", campaign=row.vendor_ref, steps=1)
    message = await here.witness.act("instantly", "receive", lead=ONE, text="Not interested, sorry.")
    opened = app.suite.server("instantly")
    read = next(tool for tool in opened.server.tools if tool.name == "get_replies")
    (mail,) = (await read.function(opened.instance)).replies
    assert mail.id == message["id"]
    event = Event("r1", "instantly", "replied", "", email=ONE, text=mail.text, campaign_ref=row.vendor_ref)
    await handling.handle(app, replace(event, reference=mail.id, detail={"mailbox": mail.mailbox}))
    (draft,) = await rows(app, sa.select(answer))
    waits = Later(app.kernel.clock, 1.0, 1.0)
    assert await answering.work(app, waits) == 0
    await answers.approve(app, draft.id, person=AE, version=1)
    assert [await answering.work(app, waits), await answering.work(app, waits)] == [1, 0]
    assert await here.wrote("instantly", "send_reply") == [ONE]
    (sent,) = await rows(app, sa.select(answer))
    assert sent.state == "sent"
    assert canonical(answers.as_message(sent)) == canonical(answers.as_message(draft))


@pytest.mark.requirement("I3")
async def test_what_is_stopped_meanwhile_is_not_sent(here: World) -> None:
    app, other = here.app, "person2@corp2.com"
    await planned(app, people(2))
    await put(app, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    await answered(app, "Not interested, sorry.")
    drafts = await answered(app, "Not interested, sorry.", "r2", email=other, reference="m-2")
    waits, first = Later(app.kernel.clock, 0.0, 0.0), next(one for one in drafts if one.email == ONE)
    await answers.approve(app, first.id, person=AE, version=1)
    await app.kernel.suppression.add(ONE, reason="unsubscribe", source="test")
    assert await answering.work(app, waits) == 1
    second = next(one for one in drafts if one.email == other)
    await answers.approve(app, second.id, person=AE, version=1)
    await app.kernel.switches.kill(actor="test", reason="drill")
    assert await answering.work(app, waits) == 0  # waits, as everything does
    states = {row.email: (row.state, row.reason) for row in await rows(app, sa.select(answer))}
    assert states == {ONE: ("refused", "suppressed"), other: ("approved", "")}
    assert await here.wrote("instantly", "send_reply") == []
