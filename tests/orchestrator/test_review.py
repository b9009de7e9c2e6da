"""Reviews: an approval covers exactly what was read, once, by somebody who may; and nothing else does."""

import json
from dataclasses import replace

import pytest
import sqlalchemy as sa

from orchestrator import review
from orchestrator.app import App
from orchestrator.dossier import ACTIVATE, ADD_LEAD, DRAFT, ENROLLMENT, RESUME
from orchestrator.rules import Rules, load_rules
from shared.approval import Person
from shared.effect import Effect, fingerprint
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.lead import Lead
from shared.pipeline_schema import campaign, campaign_lead, run
from shared.schema import approval, approval_item, audit_detail, audit_leaf
from shared.suite import Suite
from tests.conftest import CONFIG
from tests.waiting import Vendor, person_of, put_campaign, row_of, somebody

AE = Person("ann@corp.com", "ae")
OPERATOR = Person("olga@corp.com", "operator")
ADMIN = Person("boss@corp.com", "admin")
VIEWER = Person("vera@corp.com", "viewer")


@pytest.fixture
def rules() -> Rules:
    return load_rules(CONFIG)


@pytest.fixture
def app(kernel: Kernel, rules: Rules) -> App:
    return App(kernel, Suite({}, {}), rules, {})


async def _read_all(kernel: Kernel, campaign_id: str, person: Person, version: int = 1) -> None:
    detail = await review.detail(kernel, campaign_id, size=100, reader=person.name)
    for one in detail.recipients:
        if one.state == "drafted":
            await review.mark_read(kernel, campaign_id, [one.lead_id], person=person, version=version)


async def _approved(kernel: Kernel, rules: Rules, people: list[Lead], person: Person = AE) -> tuple[str, str]:
    campaign_id = await put_campaign(kernel, rules, people)
    await _read_all(kernel, campaign_id, person)
    return campaign_id, await review.approve(kernel, campaign_id, person=person, version=1)


async def _items(kernel: Kernel, given: str) -> set[tuple[str, str]]:
    query = sa.select(approval_item.c.action, approval_item.c.fingerprint).where(
        approval_item.c.approval_id == given
    )
    return {tuple(row) for row in await kernel.store.read(lambda c: c.execute(query).all())}


async def _drafted(kernel: Kernel, campaign_id: str) -> str:
    """The fingerprint of the campaign as drafted: what a yes to starting it names."""
    return fingerprint(DRAFT.validate_json((await row_of(kernel, campaign_id)).draft))


async def _kinds(kernel: Kernel) -> list[str]:
    return [str(entry["kind"]) for entry in await kernel.audit.tail(50)]


# ── approving ────────────────────────────────────────────────────────────────────────────────────────────
async def test_approval_covers_each_person_and_the_start_only(kernel: Kernel, rules: Rules) -> None:
    campaign_id, given = await _approved(kernel, rules, [somebody(1), somebody(2)])
    words = [ENROLLMENT.validate_json((await person_of(kernel, somebody(n).id)).enrollment) for n in (1, 2)]
    assert await _items(kernel, given) == {
        (ADD_LEAD, fingerprint(words[0])),
        (ADD_LEAD, fingerprint(words[1])),
        (ACTIVATE, await _drafted(kernel, campaign_id)),
    }


@pytest.mark.requirement("A1")
async def test_the_gate_accepts_the_approved_words_and_no_others(kernel: Kernel, rules: Rules) -> None:
    _, given = await _approved(kernel, rules, [somebody(1)])
    stored = json.loads((await person_of(kernel, somebody(1).id)).enrollment)
    effect = Effect("instantly", "add_lead", somebody(1).email, "intent", stored, approval=given)
    changed = replace(effect, content={**stored, "first_name": "Mallory"})
    said = await kernel.store.read(lambda c: [kernel.approvals.check(c, [one]) for one in (effect, changed)])
    assert said == [{}, {changed.key: "approval_mismatch"}]


async def test_approving_is_remembered(kernel: Kernel, rules: Rules) -> None:
    campaign_id, given = await _approved(kernel, rules, [somebody(1)])
    row = await row_of(kernel, campaign_id)
    assert (row.state, row.approval_id, row.decided_by) == ("approved", given, AE.name)
    assert {"approval.given", "review.approved"} <= set(await _kinds(kernel))
    assert (await kernel.audit.head()).exposed == 0


@pytest.mark.requirement("A6", "F9")
async def test_a_double_click_gives_the_same_approval(kernel: Kernel, rules: Rules) -> None:
    campaign_id, given = await _approved(kernel, rules, [somebody(1)])
    assert await review.approve(kernel, campaign_id, person=AE, version=1) == given
    query = sa.select(sa.func.count()).select_from(approval)
    count = await kernel.store.read(lambda c: c.execute(query).scalar())
    assert count == 1


@pytest.mark.requirement("A6")
async def test_a_second_person_hears_who_approved_already(kernel: Kernel, rules: Rules) -> None:
    campaign_id, _ = await _approved(kernel, rules, [somebody(1)])
    with pytest.raises(Conflict, match=r"already approved by ann@corp\.com"):
        await review.approve(kernel, campaign_id, person=OPERATOR, version=1)


@pytest.mark.requirement("A6")
async def test_a_version_that_was_not_shown_is_not_approved(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    with pytest.raises(Conflict, match="changed since"):
        await review.approve(kernel, campaign_id, person=AE, version=2)


async def test_unread_messages_are_not_approved(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    with pytest.raises(Invalid, match="read the messages first"):
        await review.approve(kernel, campaign_id, person=AE, version=1)


async def test_what_somebody_else_read_does_not_count(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    await _read_all(kernel, campaign_id, OPERATOR)
    with pytest.raises(Invalid, match="read the messages first"):
        await review.approve(kernel, campaign_id, person=AE, version=1)


async def test_a_sample_of_a_tenth_is_enough_in_tier_3(kernel: Kernel, rules: Rules) -> None:
    people = [somebody(n) for n in range(1, 13)]
    campaign_id = await put_campaign(kernel, rules, people)
    await review.mark_read(kernel, campaign_id, [people[0].id, people[1].id], person=AE, version=1)
    assert await review.approve(kernel, campaign_id, person=AE, version=1)


async def test_tier_1_is_read_one_by_one(kernel: Kernel, rules: Rules) -> None:
    people = [somebody(1), somebody(2)]
    campaign_id = await put_campaign(kernel, rules, people, tier="tier_1")
    with pytest.raises(Invalid, match="one at a time"):
        await review.mark_read(kernel, campaign_id, [p.id for p in people], person=AE, version=1)
    await review.mark_read(kernel, campaign_id, [people[0].id], person=AE, version=1)
    with pytest.raises(Invalid, match="1 more to go"):
        await review.approve(kernel, campaign_id, person=AE, version=1)


async def test_the_held_are_not_covered(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1), somebody(2)])
    version = await review.leave_out(
        kernel, campaign_id, somebody(2).id, person=AE, version=1, reason="knows us already"
    )
    await _read_all(kernel, campaign_id, AE, version)
    given = await review.approve(kernel, campaign_id, person=AE, version=version)
    assert len([action for action, _ in await _items(kernel, given) if action == ADD_LEAD]) == 1


@pytest.mark.requirement("A6")
async def test_who_opted_out_meanwhile_is_held_and_the_rest_approved(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1), somebody(2)])
    await _read_all(kernel, campaign_id, AE)
    await kernel.suppression.add(somebody(2).email, reason="asked", source="test")
    given = await review.approve(kernel, campaign_id, person=AE, version=1)
    held = await person_of(kernel, somebody(2).id)
    assert (held.state, held.reason) == ("held", "suppressed")
    assert len(await _items(kernel, given)) == 2


async def test_nobody_left_is_not_approved(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    await _read_all(kernel, campaign_id, AE)
    await kernel.suppression.add(somebody(1).email, reason="asked", source="test")
    with pytest.raises(Invalid, match="nobody is left"):
        await review.approve(kernel, campaign_id, person=AE, version=1)


async def test_a_blocked_message_is_not_approved(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1, email_verdict="undeliverable")])
    await _read_all(kernel, campaign_id, ADMIN)
    with pytest.raises(Invalid, match="compliance blocks"):
        await review.approve(kernel, campaign_id, person=ADMIN, version=1)


async def test_c_level_is_approved_by_an_operator_only(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1, title="Chief Revenue Officer")])
    await _read_all(kernel, campaign_id, AE)
    with pytest.raises(Invalid, match="C-level"):
        await review.approve(kernel, campaign_id, person=AE, version=1)
    await _read_all(kernel, campaign_id, OPERATOR)
    assert await review.approve(kernel, campaign_id, person=OPERATOR, version=1)


@pytest.mark.parametrize("role", ["viewer", "agent", ""])
async def test_other_roles_decide_nothing(app: App, role: str) -> None:
    person, kernel = Person("eve@corp.com", role), app.kernel
    campaign_id = await put_campaign(kernel, app.rules, [somebody(1)])
    lead = somebody(1).id
    tries = [
        review.approve(kernel, campaign_id, person=person, version=1),
        review.reject(kernel, campaign_id, person=person, version=1, reason="no"),
        review.edit(app, campaign_id, lead, 1, "s", "b", person=person, version=1),
        review.leave_out(kernel, campaign_id, lead, person=person, version=1, reason="no"),
        review.mark_read(kernel, campaign_id, [lead], person=person, version=1),
        review.pause_campaign(kernel, app.suite, campaign_id, person=person, reason="no"),
    ]
    for attempt in tries:
        with pytest.raises(Invalid, match="needs the role"):
            await attempt
    assert (await row_of(kernel, campaign_id)).state == "pending_review"


# ── rejecting ────────────────────────────────────────────────────────────────────────────────────────────
async def test_rejecting_needs_a_reason(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    with pytest.raises(Invalid, match="reason"):
        await review.reject(kernel, campaign_id, person=AE, version=1, reason="  ")


async def test_rejecting_ends_the_campaign_and_with_it_the_run(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    await review.reject(kernel, campaign_id, person=AE, version=1, reason="wrong tone")
    detail = await review.detail(kernel, campaign_id)
    state = await kernel.store.read(lambda c: c.execute(sa.select(run.c.state)).scalar())
    assert (detail.state, detail.reason, state) == ("rejected", "wrong tone", "finished")
    assert await review.queue(kernel) == []


# ── editing ──────────────────────────────────────────────────────────────────────────────────────────────
async def _words(kernel: Kernel, step: int) -> str:
    enrollment = ENROLLMENT.validate_json((await person_of(kernel, somebody(1).id)).enrollment)
    return enrollment.messages[step - 1].body


async def test_editing_changes_one_message_and_the_version(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    second = await _words(app.kernel, 2)
    body = (await _words(app.kernel, 1)).replace("Hi Dana", "Hello Dana")
    version = await review.edit(app, campaign_id, somebody(1).id, 1, "A question", body, person=AE, version=1)
    assert (version, await _words(app.kernel, 1), await _words(app.kernel, 2)) == (2, body, second)
    assert (await person_of(app.kernel, somebody(1).id)).state == "drafted"


async def test_edited_words_are_checked_again_and_held_when_they_may_not_be_sent(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    await review.edit(app, campaign_id, somebody(1).id, 1, "Hi", "We guarantee it.", person=AE, version=1)
    one = await person_of(app.kernel, somebody(1).id)
    assert one.state == "held"
    assert any(found["severity"] == "block" for found in json.loads(one.findings))


async def test_mending_the_words_frees_who_was_held_for_them(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    good, lead = await _words(app.kernel, 1), somebody(1).id
    await review.edit(app, campaign_id, lead, 1, "Hi there", "We guarantee it.", person=AE, version=1)
    await review.edit(app, campaign_id, lead, 1, "Hi there", good, person=AE, version=2)
    assert (await person_of(app.kernel, somebody(1).id)).state == "drafted"


async def test_editing_does_not_free_who_was_left_out(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1), somebody(2)])
    lead, body = somebody(1).id, await _words(app.kernel, 1)
    await review.leave_out(app.kernel, campaign_id, lead, person=AE, version=1, reason="a friend")
    await review.edit(app, campaign_id, lead, 1, "Hi there", body, person=AE, version=2)
    assert (await person_of(app.kernel, lead)).state == "held"


async def test_an_edited_message_is_unread(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    await _read_all(app.kernel, campaign_id, AE)
    body = await _words(app.kernel, 1)
    await review.edit(app, campaign_id, somebody(1).id, 1, "Other", body, person=AE, version=1)
    assert not (await review.detail(app.kernel, campaign_id, reader=AE.name)).reading.complete


@pytest.mark.requirement("A6", "A4")
async def test_editing_takes_an_approval_back(app: App) -> None:
    campaign_id, given = await _approved(app.kernel, app.rules, [somebody(1)])
    body = await _words(app.kernel, 1)
    await review.edit(app, campaign_id, somebody(1).id, 1, "Other", body, person=AE, version=1)
    row = await row_of(app.kernel, campaign_id)
    query = sa.select(approval.c.state).where(approval.c.id == given)
    state = await app.kernel.store.read(lambda c: c.execute(query).scalar())
    assert (row.state, row.approval_id, state) == ("pending_review", "", "revoked")


async def test_a_live_campaign_is_not_edited(app: App) -> None:
    campaign_id, _ = await _approved(app.kernel, app.rules, [somebody(1)])
    await _set_state(app.kernel, "live", "ref-1")
    with pytest.raises(Conflict, match="live"):
        await review.edit(app, campaign_id, somebody(1).id, 1, "s", "b", person=AE, version=1)


async def test_of_two_edits_of_one_version_the_second_is_refused(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    body = await _words(app.kernel, 1)
    await review.edit(app, campaign_id, somebody(1).id, 1, "One", body, person=AE, version=1)
    with pytest.raises(Conflict, match="changed since"):
        await review.edit(app, campaign_id, somebody(1).id, 1, "Two", body, person=OPERATOR, version=1)


async def test_hidden_characters_do_not_get_into_a_message(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    body = (await _words(app.kernel, 1)).replace("\n", "\r\n") + "\u202e\u200b"
    await review.edit(app, campaign_id, somebody(1).id, 1, "Hi\u200b there", body, person=AE, version=1)
    stored = await _words(app.kernel, 1)
    assert not {"\r", "\u202e", "\u200b"} & set(stored)


async def test_what_was_edited_is_remembered_without_its_text(app: App) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    body = await _words(app.kernel, 1)
    await review.edit(app, campaign_id, somebody(1).id, 1, "Zanzibar", body, person=AE, version=1)
    query = sa.select(audit_leaf.c.data, audit_detail.c.payload).join(
        audit_detail, audit_detail.c.seq == audit_leaf.c.seq
    )
    rows = await app.kernel.store.read(lambda c: c.execute(query).all())
    assert "review.edited" in await _kinds(app.kernel)
    assert "Zanzibar" not in str(rows)


# ── letting in ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_held_person_is_let_in_by_an_operator_who_found_out(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1, country="", location="")])
    await _set_person(kernel, "held")
    lead = somebody(1).id
    with pytest.raises(Invalid, match="operator"):
        await review.let_in(kernel, campaign_id, lead, person=AE, version=1, reason="in Texas")
    await review.let_in(kernel, campaign_id, lead, person=OPERATOR, version=1, reason="in Texas")
    assert (await person_of(kernel, lead)).state == "drafted"


@pytest.mark.requirement("I4")
async def test_the_suppressed_are_never_let_in(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1)])
    await _set_person(kernel, "held")
    await kernel.suppression.add(somebody(1).email, reason="asked", source="test")
    with pytest.raises(Invalid, match="may not be written to"):
        await review.let_in(kernel, campaign_id, somebody(1).id, person=ADMIN, version=1, reason="please")


# ── pausing and resuming ─────────────────────────────────────────────────────────────────────────────────
async def _set_state(kernel: Kernel, state: str, ref: str) -> None:
    values = {"state": state, "vendor_ref": ref}
    await kernel.store.write(lambda c: c.execute(sa.update(campaign).values(**values)))


async def _set_person(kernel: Kernel, state: str) -> None:
    await kernel.store.write(lambda c: c.execute(sa.update(campaign_lead).values(state=state)))


async def _live(kernel: Kernel, rules: Rules, status: str = "applied") -> tuple[str, Suite, Vendor]:
    campaign_id, _ = await _approved(kernel, rules, [somebody(1)])
    await _set_state(kernel, "live", "ref-1")
    vendor = Vendor(status)
    return campaign_id, Suite({"sequencer": vendor}, {}), vendor


async def test_a_pause_holds_here_and_is_passed_on(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, vendor = await _live(kernel, rules)
    outcome = await review.pause_campaign(kernel, suite, campaign_id, person=AE, reason="wait")
    assert outcome is not None
    assert outcome.done
    assert [p.scope for p in (await kernel.switches.now()).pauses] == [f"campaign:{campaign_id}"]
    assert (await row_of(kernel, campaign_id)).state == "paused"
    assert vendor.told == [("pause", "ref-1", "wait")]


async def test_a_pause_holds_here_whatever_the_vendor_answers(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, _ = await _live(kernel, rules, "in_doubt")
    outcome = await review.pause_campaign(kernel, suite, campaign_id, person=AE, reason="wait")
    assert outcome is not None
    assert not outcome.done
    assert (await kernel.switches.now()).pauses


async def test_each_resume_is_a_yes_of_its_own(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, vendor = await _live(kernel, rules)
    for _ in range(2):
        await review.pause_campaign(kernel, suite, campaign_id, person=AE, reason="wait")
        await review.resume_campaign(kernel, suite, campaign_id, person=AE, reason="go on")
    given = [approval_id for what, _, approval_id in vendor.told if what == "resume"]
    assert len(set(given)) == 2
    assert await _items(kernel, given[0]) == {(RESUME, await _drafted(kernel, campaign_id))}
    assert (await row_of(kernel, campaign_id)).state == "live"
    assert not (await kernel.switches.now()).pauses


async def test_a_resume_the_vendor_does_not_confirm_is_paused_again(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, vendor = await _live(kernel, rules)
    await review.pause_campaign(kernel, suite, campaign_id, person=AE, reason="wait")
    vendor.status = "in_doubt"
    await review.resume_campaign(kernel, suite, campaign_id, person=AE, reason="go on")
    assert (await kernel.switches.now()).pauses
    assert (await row_of(kernel, campaign_id)).state == "paused"


async def test_a_halt_is_not_resumed_on_the_campaigns_page(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, vendor = await _live(kernel, rules)
    await kernel.switches.pause(f"campaign:{campaign_id}", actor="rule", reason="bounces", kind="halt")
    with pytest.raises(Invalid, match="halt"):
        await review.resume_campaign(kernel, suite, campaign_id, person=ADMIN, reason="go on")
    assert vendor.told == []


async def test_what_is_not_paused_is_not_resumed(kernel: Kernel, rules: Rules) -> None:
    campaign_id, suite, _ = await _live(kernel, rules)
    with pytest.raises(Conflict):
        await review.resume_campaign(kernel, suite, campaign_id, person=AE, reason="go on")


# ── seeing ───────────────────────────────────────────────────────────────────────────────────────────────
async def test_queue_shows_who_would_be_written_to(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(1), somebody(2)])
    await review.leave_out(kernel, campaign_id, somebody(2).id, person=AE, version=1, reason="no")
    waiting = await review.queue(kernel)
    assert [(one.id, one.covered, one.held, one.version) for one in waiting] == [(campaign_id, 1, 1, 2)]


async def test_detail_pages_through_the_people(kernel: Kernel, rules: Rules) -> None:
    campaign_id = await put_campaign(kernel, rules, [somebody(n) for n in range(1, 6)])
    pages = [await review.detail(kernel, campaign_id, page=n, size=2) for n in (1, 2, 3, 99)]
    assert [len(one.recipients) for one in pages] == [2, 2, 1, 1]
    seen = {one.lead_id for shown in pages[:3] for one in shown.recipients}
    assert len(seen) == 5


async def test_an_unknown_campaign_is_not_found(kernel: Kernel) -> None:
    with pytest.raises(Invalid) as caught:
        await review.detail(kernel, "nothing")
    assert caught.value.code == "not_found"


def test_what_approvals_name_is_what_the_gate_asks_for(kernel: Kernel) -> None:
    assert {ADD_LEAD, ACTIVATE, RESUME} <= set(kernel.settings.safety.approvals.required_for)
