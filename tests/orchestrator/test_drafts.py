"""Words written by an agent: checked like any words, told from the last approved ones, and always read by a person."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from people import RULES, a_campaign, a_lead

from orchestrator import drafting, drafts, opting_out, phase_tools, plans, provenance, review, stops
from orchestrator.app import App
from orchestrator.campaigns import VARIANTS
from orchestrator.dossier import PAGE, queue
from orchestrator.drafts import Text, changes, most_changed, of_template, refuse_unfit, segments, tidy, write
from orchestrator.familiar import new_in
from orchestrator.intake import read_leads
from orchestrator.phase_tools import DraftMessage
from orchestrator.tools import TOOLS
from shared.approval import Person
from shared.effect import Outcome
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.lead import Lead, Source
from shared.pipeline_schema import campaign, wording
from tests.orchestrator.phases import AE, agreed, asked_for, planned, ready
from tests.orchestrator.world import OPERATOR, alone, members, people, put, rows, say_yes, states, the

BODY = """Hi {{ lead.first_name }},

I saw that you signed up for {{ source.name }}. Teams there told me how much of their week goes into upkeep.

We {{ sender.offer }}. Would a short talk about that help you at {{ lead.company }}?"""


def message(
    step: int = 1, variant: str = "A", subject: str = "Your week, after the event", body: str = BODY
) -> DraftMessage:
    return DraftMessage(variant, step, body, subject if step == 1 else "")  # type: ignore[arg-type]  # A or B


async def submit(app: App, campaign_id: str, *messages: DraftMessage, **more: Any) -> Outcome:
    given = messages or (message(), message(variant="B"))
    return await phase_tools.submit_draft.function(app, campaign_id, given, "shorter", **more)


# ── filling in ───────────────────────────────────────────────────────────────────────────────────────────
def written(body: str, lead: Lead, subject: str = "One question") -> Any:
    return write(lead, a_campaign(lead, "tier_1"), [tidy(subject, body)], RULES)[0]


def test_variables_are_filled_in_and_the_footer_is_ours() -> None:
    made = written(
        "Hi {{ lead.first_name }},\n\nHow is the pipeline at {{ lead.company }}? I ask out of curiosity.",
        a_lead(),
    )
    assert made.body.startswith("Hi Anna,\n\nHow is the pipeline at Acme? I ask out of curiosity.\n\n")
    assert made.body.endswith(RULES.outreach.sender.postal_address)
    assert "unsubscribe" in made.body


def test_what_is_unknown_greets_without_a_name_and_leaves_its_sentence_out() -> None:
    said = "First of all. You met us at {{ source.name }}. How is it at {{ lead.company }}?"
    body = f"Hi {{{{ lead.first_name }}}},\n\n{said}"
    made = written(body, a_lead(first_name="", company="", sources=()))
    assert made.body.startswith("Hello,\n\nFirst of all. How is it at your company?\n\n")


def test_a_subject_with_an_unknown_value_is_the_configured_one() -> None:
    made = written("Some words that say enough here.", a_lead(first_name=""), "A word, {{ lead.first_name }}")
    assert made.subject == RULES.outreach.subject_without_value


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@pytest.mark.requirement("P7")
def test_nothing_from_a_profile_breaks_an_agents_words(first: str, company: str, event: str) -> None:
    lead = a_lead(first_name=first, company=company, sources=(Source("event_attendee", name=event),))
    made = written(BODY, lead)
    assert "{" not in made.body
    assert "}" not in made.body
    assert "\n" not in made.subject
    assert not made.body.startswith(("Hi ,", ","))


# ── what no message may hold ─────────────────────────────────────────────────────────────────────────────
UNFIT = {
    "an unknown variable": ("Hello {{ lead.salary }}", "no variable lead.salary"),
    "a brace": ("Hello {lead.first_name}", "a brace"),
    "a template inside": ("{{ lead.first_name }} {% if x %}", "a brace"),
    "too deep for the tier": ("I see {{ context.angle }}", "may not name context.angle"),
    "a strange link": ("See https://evil.example/page", "links may point to"),
    "a link with a person in it": ("See https://evil.example/{{ lead.first_name }}", "links may point to"),
    "nothing": ("\n\n", "the body is empty"),
}


@pytest.mark.parametrize(("body", "why"), UNFIT.values(), ids=UNFIT)
def test_what_no_message_may_hold_is_refused_with_its_place(body: str, why: str) -> None:
    plan = a_campaign(a_lead(), "tier_3")
    texts = {**of_template(plan, RULES), "B": (tidy("A subject", body), *of_template(plan, RULES)["B"][1:])}
    with pytest.raises(Invalid, match=f"variant B, step 1: .*{why}"):
        refuse_unfit(texts, plan, RULES)


def test_our_own_links_are_allowed() -> None:
    plan = a_campaign(a_lead(), "tier_3")
    texts = {
        **of_template(plan, RULES),
        "A": (tidy("A subject", "See https://www.sender.example/page"), *of_template(plan, RULES)["A"][1:]),
    }
    refuse_unfit(texts, plan, RULES)


def test_every_shipped_template_is_fit_at_every_depth() -> None:
    for tier in ("tier_1", "tier_2", "tier_3", "tier_4"):
        plan = a_campaign(a_lead(), tier)  # type: ignore[arg-type]  # one of the tiers
        for kind in RULES.templates:
            one = replace(plan, template=kind)
            refuse_unfit(of_template(one, RULES), one, RULES)


# ── comparing ────────────────────────────────────────────────────────────────────────────────────────────
def test_the_change_is_that_of_the_message_that_changed_most() -> None:
    before = of_template(a_campaign(a_lead()), RULES)
    after = {
        **before,
        "A": (*before["A"][:3], Text("", "Entirely other words than those that stood here before.")),
    }
    compared = changes(before, after)
    assert len(compared) == 8
    assert [one.percent for one in compared if one.percent] == [most_changed(compared)]
    assert most_changed(compared) > 60
    assert most_changed(changes(before, before)) == 0


@settings(max_examples=100, deadline=None)
@given(st.text("ab {}.\n", max_size=40), st.text("ab {}.\n", max_size=40))
def test_a_comparison_loses_no_character_of_either_text(before: str, after: str) -> None:
    found = segments(before, after)
    assert "".join(one.text for one in found if one.kind != "new") == before
    assert "".join(one.text for one in found if one.kind != "gone") == after


# ── into review ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.both_databases
async def test_an_agents_words_stand_in_review_for_everybody_with_who_wrote_them(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(4))
    outcome = await submit(app, campaign_id)
    assert (outcome.status, outcome.detail["people"], outcome.detail["version"]) == ("applied", 4, 2)
    assert outcome.detail["sample"]["body"].startswith("Hi Dana,\n\nI saw that you signed up for RevOps Day.")
    for row in await members(app, campaign_id):
        assert "Teams there told me" in row.enrollment
        assert row.state == "drafted"
    origin, unread = await provenance.words_of(live_kernel, campaign_id, AE.name)
    assert origin is not None
    assert unread
    assert (origin.wording.written_by, origin.wording.why) == ("agent", "shorter")
    assert origin.wording.departs_from
    older = [row.state for row in await rows(app, sa.select(wording.c.state).order_by(wording.c.at))]
    assert older == ["superseded", "waiting"]


async def test_steps_that_are_left_out_keep_their_words(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    before = (await provenance.words_of(live_kernel, campaign_id, ""))[0]
    await submit(app, campaign_id, message(step=2, body="A short addition of my own to what I wrote."))
    after = (await provenance.words_of(live_kernel, campaign_id, ""))[0]
    assert before is not None
    assert after is not None
    assert after.wording.texts["B"] == before.wording.texts["B"]
    assert after.wording.texts["A"][0] == before.wording.texts["A"][0]
    assert after.wording.texts["A"][1].body == "A short addition of my own to what I wrote."


@pytest.mark.requirement("P4")
async def test_the_same_checks_hold_as_for_any_words(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(3))
    shouting = message(body=BODY + "\n\nThis is the best and only tool, guaranteed to double your revenue!")
    refused = await submit(app, campaign_id, shouting, message(variant="B", body=shouting.body))
    assert (refused.status, refused.reason) == ("refused", "blocked")
    assert {one["severity"] for one in refused.detail["findings"]} >= {"block"}
    assert all(one["fix"] for one in refused.detail["findings"])
    assert (await the(app, campaign_id)).version == 1
    half = await submit(app, campaign_id, shouting)
    assert half.status == "applied"
    held = {row.variant: row.state for row in await members(app, campaign_id)}
    assert held == {"A": "held", "B": "drafted"}


async def test_a_dry_run_checks_and_changes_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    told = await submit(app, campaign_id, dry_run=True)
    assert (told.status, told.detail["people"]) == ("simulated", 2)
    assert (await the(app, campaign_id)).version == 1


async def test_the_same_words_again_are_replayed(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    assert [(await submit(app, campaign_id)).status for _ in range(2)] == ["applied", "replayed"]
    assert (await the(app, campaign_id)).version == 2


@pytest.mark.parametrize("state", ["approved", "launching", "live", "rejected", "superseded"])
async def test_words_are_only_taken_for_what_waits_for_a_review(live_kernel: Kernel, state: str) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    await put(app, sa.update(campaign).values(state=state))
    with pytest.raises(Conflict):
        await submit(app, campaign_id)
    assert "Teams there told me" not in (await members(app, campaign_id))[0].enrollment


async def test_a_step_that_the_sequence_has_not_or_that_is_given_twice_is_named(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(1))
    for wrong in ((message(step=5),), (message(), message())):
        with pytest.raises(Invalid) as refused:
            await submit(app, campaign_id, *wrong)
        assert refused.value.field.startswith("messages.")


async def test_somebody_stopped_while_the_words_were_checked_stays_stopped(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    row, before, plan = await live_kernel.store.read(lambda c: drafting._standing(c, campaign_id))
    people_now = await live_kernel.store.read(lambda c: drafting._open_people(c, campaign_id))
    leads = await live_kernel.store.read(lambda c: read_leads(c, [one.lead_id for one in people_now]))
    after = drafts.merged(before.texts, [("A", 1, tidy("S", BODY)), ("B", 1, tidy("S", BODY))], 4)
    checked = drafting._check_all(RULES, opting_out.links(live_kernel), plan, people_now, leads, after)
    await stops.suppress(live_kernel, "person1@corp1.com", reason="asked", source="test", actor="test")
    await live_kernel.store.write(lambda c: drafting._replace(app, c, row, before, after, checked, "why"))
    assert await states(app, campaign_id) == [("stopped", "asked"), ("drafted", "")]


# ── a person reads them ──────────────────────────────────────────────────────────────────────────────────
async def read_people(app: App, campaign_id: str, person: Person) -> int:
    version = next(one.version for one in await queue(app.kernel) if one.id == campaign_id)
    for row in await members(app, campaign_id):
        await review.mark_read(app.kernel, campaign_id, [row.lead_id], person=person, version=version)
    return version


@pytest.mark.requirement("P4")
async def test_an_agents_words_are_not_approved_before_they_were_read_as_such(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(3))
    await submit(app, campaign_id)
    version = await read_people(app, campaign_id, OPERATOR)
    with pytest.raises(Invalid) as refused:
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version)
    assert refused.value.code == "words_unread"
    await review.mark_words_read(
        live_kernel, campaign_id, person=Person("another", "operator"), version=version
    )
    with pytest.raises(Invalid):
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version)
    await review.mark_words_read(live_kernel, campaign_id, person=OPERATOR, version=version)
    assert await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version)


async def test_who_had_read_the_old_words_reads_the_new_ones(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    await submit(app, campaign_id)
    version = await read_people(app, campaign_id, OPERATOR)
    await review.mark_words_read(live_kernel, campaign_id, person=OPERATOR, version=version)
    await submit(
        app, campaign_id, message(step=3, body="Another thought of mine that I wanted to leave with you.")
    )
    with pytest.raises(Conflict):
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version)
    with pytest.raises(Invalid) as refused:
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version + 1)
    assert refused.value.code == "unread"


async def test_an_agents_words_are_a_new_template_until_somebody_who_may_approved_them(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    _, (first,) = await planned(app, people(2))
    await say_yes(app, first)
    _, (second,) = await planned(app, people(2, 11))
    assert await live_kernel.store.read(lambda c: new_in(c, _row(c, second))) == []
    await submit(app, second)
    assert await live_kernel.store.read(lambda c: new_in(c, _row(c, second))) == ["template"]


def _row(connection: sa.Connection, campaign_id: str) -> Any:
    return connection.execute(sa.select(campaign).where(campaign.c.id == campaign_id)).one()


async def test_words_that_changed_beyond_the_threshold_are_read_beside_the_last_approved(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    _, (first,) = await planned(app, people(2))
    await say_yes(app, first)
    _, (second,) = await planned(app, people(2, 11))
    same, unread = await provenance.words_of(live_kernel, second, OPERATOR.name)
    assert same is not None
    assert (same.percent, same.reasons, unread) == (0, (), False)
    words = (await rows(app, sa.select(wording).where(wording.c.campaign_id == second)))[0]
    most = live_kernel.settings.safety.approvals.change_percent
    for said, beyond in (
        ("A brief addition to my note.", False),
        ("Some other and much longer opening " * 2, True),
    ):
        texts = words.texts.replace("A short addition to my note.", said)
        assert texts != words.texts
        await put(app, sa.update(wording).where(wording.c.campaign_id == second).values(texts=texts))
        origin, unread = await provenance.words_of(live_kernel, second, OPERATOR.name)
        assert origin is not None
        assert (origin.percent > most, unread) == (beyond, beyond)
        assert origin.percent > 0
    version = await read_people(app, second, OPERATOR)
    with pytest.raises(Invalid, match="changed by"):
        await review.approve(live_kernel, second, person=OPERATOR, version=version)


async def test_new_words_take_an_approved_plan_back_to_a_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await ready(app, people(2))
    await put(app, sa.update(campaign).values(state="pending_review", approval_id=""))
    await submit(app, campaign_id)
    assert (await asked_for(app, run_id)).reason == "needs_approval"
    version = await read_people(app, campaign_id, OPERATOR)
    await review.mark_words_read(live_kernel, campaign_id, person=OPERATOR, version=version)
    await review.approve(live_kernel, campaign_id, person=OPERATOR, version=version)
    assert (await asked_for(app, run_id)).reason == "plan_moved"
    await agreed(app, run_id)
    assert (await plans.plan_of(live_kernel, run_id)).state == "approved"


# ── people must be able to keep up ───────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("P6")
async def test_no_more_words_are_taken_while_too_many_wait(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    most = live_kernel.settings.safety.approvals.waiting_drafts
    ids = []
    for n in range(most + 1):
        _, (campaign_id,) = await planned(app, people(1, 100 * n + 1))
        ids.append(campaign_id)
    for campaign_id in ids[:most]:
        assert (await submit(app, campaign_id)).status == "applied"
    refused = await submit(app, ids[most])
    assert (refused.status, refused.reason) == ("refused", "too_many_waiting")
    assert "try again when fewer wait" in refused.message
    assert (await submit(app, ids[most], dry_run=True)).status == "simulated"
    await review.reject(live_kernel, ids[0], person=AE, version=2, reason="no")
    assert (await submit(app, ids[most])).status == "applied"


async def test_an_agent_starts_no_plan_while_too_many_campaigns_wait(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, (campaign_id,) = await planned(app, people(1))
    row = (await rows(app, sa.select(campaign)))[0]._mapping
    for n in range(live_kernel.settings.safety.approvals.waiting_campaigns - 1):
        await put(app, sa.insert(campaign).values(**{**row, "id": f"more-{n}"}))
    refused = await phase_tools.run_pipeline.function(app)
    assert (refused.status, refused.reason) == ("refused", "too_many_waiting")
    await review.reject(live_kernel, campaign_id, person=AE, version=1, reason="no")
    assert (await phase_tools.run_pipeline.function(app)).status == "applied"
    assert run_id


@pytest.mark.requirement("P5")
async def test_the_sample_of_a_batch_is_asked_for_by_the_server_and_not_by_the_page(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(45))
    everybody = [row.lead_id for row in await members(app, campaign_id)]
    with pytest.raises(Invalid) as refused:
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=1)
    assert refused.value.code == "unread"
    with pytest.raises(Invalid) as refused:
        await review.mark_read(live_kernel, campaign_id, everybody, person=OPERATOR, version=1)
    assert refused.value.code == "too_many"
    needed = 5  # ten per cent of 45, rounded up
    for lead_id in everybody[: needed - 1]:
        await review.mark_read(live_kernel, campaign_id, [lead_id], person=OPERATOR, version=1)
    with pytest.raises(Invalid):
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=1)
    await review.mark_read(
        live_kernel, campaign_id, [everybody[-1]], person=AE, version=1
    )  # another's reading
    with pytest.raises(Invalid):
        await review.approve(live_kernel, campaign_id, person=OPERATOR, version=1)
    await review.mark_read(live_kernel, campaign_id, [everybody[-1]], person=OPERATOR, version=1)
    assert await review.approve(live_kernel, campaign_id, person=OPERATOR, version=1)
    assert PAGE < 45


async def test_get_review_shows_an_agent_what_it_needs_to_write(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, (campaign_id,) = await planned(app, people(2))
    tool = next(one for one in TOOLS if one.name == "get_review")
    shown = await tool.function(app, campaign_id)
    assert (shown.written_by, len(shown.words)) == ("template", 8)
    assert {"lead.first_name", "source.name", "sender.offer"} <= set(shown.variables)
    assert "context.angle" not in shown.variables
    assert {one.variant for one in shown.words} == set(VARIANTS)
    back = [DraftMessage(one.variant, one.step, one.body, one.subject) for one in shown.words]
    assert (await submit(app, campaign_id, *back)).status == "replayed"
