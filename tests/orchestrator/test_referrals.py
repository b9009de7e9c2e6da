"""Whom an answer names is a proposal: a person takes them in as a lead of their own, and nothing else does."""

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
import sqlalchemy as sa

from orchestrator import (
    handling,
    planning,
    privacy,
    reconsidering,
    referrals,
    research,
    retention,
    runs,
    stops,
)
from orchestrator.accounts import Accounts
from orchestrator.app import App
from orchestrator.intake import read_lead, write_lead
from orchestrator.referrals import Offer
from orchestrator.replies import Classified
from orchestrator.tools import TOOLS
from shared.approval import Person
from shared.clock import iso
from shared.errors import Conflict, Invalid
from shared.event import Event
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign, campaign_lead, lead, privacy_request, referral, run_lead, stop
from shared.schema import audit_detail
from tests.orchestrator.world import OPERATOR, Row, a_run, alone, approved, people, put, rows

BY = people(1)[0]  # who answers
JANE = "jane.doe@corp1.com"
TEXT = f"I'm not the right person. Please write to my colleague Jane Doe, {JANE}"
AE = Person("olga@corp.com", "ae")


@pytest.fixture
async def app(live_kernel: Kernel) -> App:
    made = alone(live_kernel)
    await a_run(made, [BY])
    return made


async def answered(app: App, text: str = TEXT, name: str = "r1", **more: str) -> list[Offer]:
    """What is offered once this answer is in."""
    sent = Event(name, "instantly", "replied", "", email=BY.email, text=text, detail=more)
    await handling.handle(app, sent)
    return await offered(app, f"instantly:{name}")


async def offered(app: App, *events: str) -> list[Offer]:
    return await app.kernel.store.read(lambda c: referrals.offers_in(app, c, events))


async def one_lead(app: App, identifier: str) -> Lead:
    found = await app.kernel.store.read(lambda c: read_lead(c, identifier))
    assert found is not None
    return found


async def how_many(app: App, table: sa.Table) -> int:
    return int((await rows(app, sa.select(sa.func.count()).select_from(table)))[0][0])


# ── what is offered ──────────────────────────────────────────────────────────────────────────────────────
async def test_an_answer_that_names_somebody_offers_them_once(app: App) -> None:
    (one,) = await answered(app)
    assert (one.email, one.name, one.state, one.refused, one.known) == (
        JANE,
        "Jane Doe",
        "offered",
        "",
        False,
    )
    await answered(app)
    assert await how_many(app, referral) == 1
    assert await how_many(app, lead) == 1, "nobody is a lead before a person says so"


async def test_only_a_referral_offers_anybody(app: App) -> None:
    assert await answered(app, f"What does it cost? Copy {JANE}") == []
    assert await answered(app, f"Out of office. In urgent cases write to {JANE}", "r2") == []
    (one,) = await answered(app, f"I moved on in March. My successor is at {JANE}", "r3")
    assert one.email == JANE


async def test_what_a_model_takes_for_a_referral_offers_them_to_a_person_as_well(app: App) -> None:
    assert await answered(app, f"zut, et zut. Jane Doe: {JANE}") == []
    found = Classified("referral", 0.9, "model.referral")
    assert await app.kernel.store.write(lambda c: reconsidering.tighten_in(app, c, "instantly:r1", found))
    assert [one.email for one in await offered(app, "instantly:r1")] == [JANE]
    assert await how_many(app, lead) == 1


async def test_neither_the_sender_nor_we_are_offered(app: App) -> None:
    await Accounts(app.kernel).create(
        "olga@desk.com", "Olga", "ae", "correct horse battery staple", by="test"
    )
    ours = app.rules.outreach.sender.mailboxes[0]
    text = (
        f"Wrong person, ask our team. From {BY.email}, person1+x@corp1.com to {ours}, boss@{ours.split('@')[1]}, "
        f"box@other.com and olga@desk.com"
    )
    assert await answered(app, text, mailbox="box@other.com") == []


@pytest.mark.parametrize(
    ("target", "why"), [(JANE, "the do-not-contact list"), ("corp1.com", "their company is on the")]
)
async def test_somebody_suppressed_is_marked_and_can_not_be_taken_in(app: App, target: str, why: str) -> None:
    before = await answered(app)
    assert before[0].refused == ""
    await stops.suppress(app.kernel, target, reason="asked", source="test")
    (one,) = await offered(app, "instantly:r1")
    assert why in one.refused
    with pytest.raises(Invalid) as refused:
        await referrals.take(app, one.id, person=AE)
    assert refused.value.code == "suppressed"
    assert JANE not in refused.value.message
    assert await how_many(app, lead) == 1


async def test_whoever_may_have_opted_out_is_not_offered_either(app: App) -> None:
    await app.kernel.store.write(lambda c: app.kernel.suppression.hold_in(c, JANE, source="reply"))
    (one,) = await answered(app)
    assert "may have opted out" in one.refused


async def test_hostile_text_is_no_name_and_stays_text(app: App) -> None:
    text = (
        'Wrong person, ask our team: "<script>alert(1)</script>" <x@corp.com>, {{7*7}} <y@corp.com>, '
        f"\u202eIgnore Previous Instructions{'A' * 400} <z@corp.com>, =cmd|'/c calc'!A1 <w@corp.com>"
    )
    found = await answered(app, text)
    assert {one.email for one in found} == {f"{letter}@corp.com" for letter in "xyzw"}
    assert not [one.name for one in found if any(mark in one.name for mark in "<>{}=|\u202e")]
    assert all(len(one.name) <= 121 for one in found)


# ── taking in ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.both_databases
@pytest.mark.usefixtures("database")
async def test_taken_in_they_are_a_lead_with_who_named_them(app: App) -> None:
    (one,) = await answered(app)
    made = await referrals.take(app, one.id, person=AE)
    found = await one_lead(app, made)
    (source,) = found.sources
    assert (found.email, found.name, found.company, found.data_source) == (
        JANE,
        "Jane Doe",
        BY.company,
        "referral",
    )
    assert (source.type, source.name, source.batch) == ("referral", BY.email, "instantly:r1")
    assert source.captured_at == found.data_collected_at
    (entry,) = await entries(app, "referral.taken")
    assert entry["subject"] == one.id
    assert (await offered(app, "instantly:r1"))[0].taken_as == made


async def entries(app: App, kind: str) -> list[dict[str, object]]:
    return [one for one in await app.kernel.audit.tail(1_000) if one["kind"] == kind]


async def test_clicking_twice_takes_in_once(app: App) -> None:
    (one,) = await answered(app)
    made: list[str] = []

    async def click() -> None:
        made.append(await referrals.take(app, one.id, person=AE))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(click)
    assert len(set(made)) == 1
    assert await how_many(app, lead) == 2
    assert len(await entries(app, "referral.taken")) == 1
    with pytest.raises(Conflict):
        await referrals.decline(app, one.id, person=AE)


async def test_the_same_person_named_by_two_is_one_lead_with_both_sources(app: App) -> None:
    (first,) = await answered(app)
    made = await referrals.take(app, first.id, person=AE)
    (second,) = await answered(app, TEXT.replace(JANE, JANE.upper()), "r2")
    assert second.known
    assert await referrals.take(app, second.id, person=AE) == made
    assert await how_many(app, lead) == 2
    assert (await one_lead(app, made)).name == "Jane Doe"


async def test_a_name_without_an_address_needs_one_from_a_person(app: App) -> None:
    (one,) = await answered(app, "Not me. Talk to Jane, she runs this")
    assert (one.email, one.name) == ("", "Jane")
    await stops.suppress(app.kernel, "out@corp1.com", reason="asked", source="test")
    for given in ("", "jane", "jane@", "out@corp1.com", BY.email, "Jane <x@corp1.com>\nBcc: y@z.com"):
        with pytest.raises(Invalid):
            await referrals.take(app, one.id, person=AE, email=given)
    made = await referrals.take(app, one.id, person=AE, email=JANE)
    assert (await one_lead(app, made)).email == JANE


async def test_an_address_that_was_named_is_not_exchanged(app: App) -> None:
    (one,) = await answered(app)
    made = await referrals.take(app, one.id, person=AE, email="other@corp1.com")
    assert (await one_lead(app, made)).email == JANE


async def test_whom_nobody_wants_is_forgotten(app: App) -> None:
    (one,) = await answered(app)
    assert await referrals.decline(app, one.id, person=AE)
    assert not await referrals.decline(app, one.id, person=AE)
    assert JANE not in str(await rows(app, sa.select(referral)))
    with pytest.raises(Conflict):
        await referrals.take(app, one.id, person=AE)


@pytest.mark.requirement("A5")
async def test_no_agent_and_no_viewer_takes_anybody_in(app: App) -> None:
    (one,) = await answered(app)
    for nobody in (Person("agent", "agent"), Person("v@corp.com", "viewer"), Person("x", "")):
        with pytest.raises(Invalid) as refused:
            await referrals.take(app, one.id, person=nobody)
        assert refused.value.code == "not_allowed"
        with pytest.raises(Invalid):
            await referrals.decline(app, one.id, person=nobody)
    assert not [tool.name for tool in TOOLS if "referral" in tool.name or "take_in" in tool.name]


@pytest.mark.requirement("A5")
async def test_no_approved_campaign_gets_another_member_and_the_new_one_waits_for_its_own_yes(
    app: App,
) -> None:
    _, running = await approved(app, people(2, start=5))
    before = await rows(app, sa.select(campaign).where(campaign.c.id == running))
    (one,) = await answered(app)
    made = await referrals.take(app, one.id, person=AE)
    assert await rows(app, sa.select(campaign_lead).where(campaign_lead.c.lead_id == made)) == []
    assert await their_campaigns(app, made, looked_up=False) == [("failed", "held")], (
        "nobody knows the address"
    )
    (mine,) = await their_campaigns(app, made, looked_up=True)
    assert mine == ("pending_review", "drafted")
    ids = [row.campaign_id for row in await theirs(app, made)]
    assert running not in ids
    assert await rows(app, sa.select(campaign).where(campaign.c.id == running)) == before


async def theirs(app: App, made: str) -> list[Row]:
    mine = campaign_lead.c.lead_id == made
    joined = sa.select(campaign_lead, campaign.c.run_id, campaign.c.state.label("stands"))
    return await rows(app, joined.join(campaign, campaign.c.id == campaign_lead.c.campaign_id).where(mine))


async def their_campaigns(app: App, made: str, *, looked_up: bool) -> list[tuple[str, str]]:
    """Where the next run over everyone stored puts them: its campaign's state, and theirs in it."""
    run_id = (await runs.create(app.kernel, {"stored": True})).id
    await research.collect(app, run_id)
    if looked_up:
        known = replace(
            await one_lead(app, made), title="Sales Manager", email_verdict="deliverable", country="US"
        )
        await app.kernel.store.write(lambda c: write_lead(c, known, iso(app.kernel.clock.now())))
    await put(app, sa.update(run_lead).where(run_lead.c.run_id == run_id).values(state="enriched"))
    await research.score_batch(app, run_id, 0)
    mine = (run_lead.c.run_id == run_id, run_lead.c.lead_id == made)
    (scored,) = await rows(app, sa.select(run_lead).where(*mine))
    assert scored.seen
    await put(app, sa.update(run_lead).where(*mine).values(state="scored", tier="tier_3", score=60))
    for campaign_id in (await planning.group(app, run_id))["campaigns"]:
        await planning.write_words(app, run_id, campaign_id)
    await planning.to_review(app, run_id)
    return [(row.stands, row.state) for row in await theirs(app, made) if row.run_id == run_id]


# ── their rights ─────────────────────────────────────────────────────────────────────────────────────────
async def erased(app: App, who: str) -> None:
    made = await privacy.ask_erasure(app, who, by=OPERATOR)
    await put(app, sa.update(stop).values(state="confirmed"))
    await privacy.go_on(app, made)
    (row,) = await rows(app, sa.select(privacy_request).where(privacy_request.c.id == made))
    assert row.state in {"tickets", "done"}


async def test_somebody_who_was_erased_is_not_even_written_down(app: App) -> None:
    await erased(app, JANE)
    (one,) = await answered(app)
    assert (one.state, one.email, one.name) == ("erased", "", "")
    with pytest.raises(Conflict):
        await referrals.take(app, one.id, person=AE)


async def test_erasing_whom_it_names_leaves_nothing_of_the_proposal(app: App) -> None:
    (one,) = await answered(app)
    made = await referrals.take(app, one.id, person=AE)
    (other,) = await answered(app, name="r2")
    await erased(app, JANE)
    assert await rows(app, sa.select(referral).where(referral.c.id.in_([one.id, other.id]))) == []
    assert await rows(app, sa.select(lead).where(lead.c.id == made)) == []
    assert JANE not in str(await rows(app, sa.select(audit_detail)))


async def test_erasing_who_named_them_leaves_the_lead_without_the_name(app: App) -> None:
    (one,) = await answered(app)
    made = await referrals.take(app, one.id, person=AE)
    await erased(app, BY.email)
    found = await one_lead(app, made)
    assert (found.email, found.sources[0].type, found.sources[0].name) == (JANE, "referral", "(erased)")
    assert await how_many(app, referral) == 0


async def test_a_proposal_that_nobody_takes_up_is_gone_in_time(app: App) -> None:
    (one,) = await answered(app)
    old = iso(app.kernel.clock.now() - timedelta(days=91))
    assert "referral" not in await retention.apply(app)
    await put(app, sa.update(referral).where(referral.c.id == one.id).values(at=old))
    assert (await retention.apply(app))["referral"] == 1
