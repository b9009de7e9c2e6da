"""The gate: what may happen, once; what is refused, and why; what becomes of what is in doubt."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy as sa

from shared import ledger
from shared.clock import iso
from shared.doubt import Sightings
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Conflict, Fatal, InDoubt, Invalid, NotSent, Retryable, SwarmError
from shared.gate import MAX_BATCH, Permit
from shared.kernel import Kernel, open_kernel
from shared.ledger import Proposal
from shared.schema import approval_item, lease, rate, spend
from shared.settings import Settings
from shared.store import Unavailable
from tests.shared.world import (
    AE,
    HandClock,
    Shown,
    Somebody,
    Vendor,
    approve,
    contact,
    enrolment,
    kinds,
    leave_claimed,
    opened,
    stricter,
)

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def live(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        yield kernel


def fail(error: Exception) -> None:
    raise error


async def row(kernel: Kernel, effect: Effect) -> ledger.Row:
    found = await kernel.ledger.get(effect.key)
    assert found is not None
    return found


async def let_its_time_run_out(kernel: Kernel, effect: Effect, clock: HandClock) -> None:
    """On a server a claim without a session may still be sending, until its call's time since we noticed is over."""
    if kernel.store.path is None:
        await kernel.gate.look(await row(kernel, effect), Shown(Retryable("down")))
        clock.move(kernel.settings.safety.call_deadline_seconds)


# ── once ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("I1")
async def test_an_effect_is_performed_and_its_receipt_kept(live: Kernel) -> None:
    outcome = await live.gate.submit(contact(), vendor := Vendor())
    assert (outcome.status, outcome.reference, len(vendor.performed)) == ("applied", "ref-1", 1)
    assert (await row(live, contact())).detail == {"n": 1}


@pytest.mark.requirement("G2", "I2")
async def test_the_same_effect_again_replays_the_first_receipt(live: Kernel) -> None:
    await live.gate.submit(contact(), vendor := Vendor())
    outcome = await live.gate.submit(contact(), vendor)
    assert (outcome.status, outcome.reference, len(vendor.performed)) == ("replayed", "ref-1", 1)


@pytest.mark.requirement("G3")
async def test_the_same_key_with_other_content_is_a_conflict(live: Kernel) -> None:
    await live.gate.submit(contact(), vendor := Vendor())
    with pytest.raises(Conflict):
        await live.gate.submit(contact(content={"email": "jane@corp.example", "phone": "1"}), vendor)
    assert len(vendor.performed) == 1


async def test_what_failed_for_sure_may_be_tried_again_with_other_content(live: Kernel) -> None:
    vendor = Vendor([Invalid("bad phone")])
    assert (await live.gate.submit(contact(), vendor)).status == "failed"
    again = contact(content={"email": "jane@corp.example", "phone": "1"})
    assert (await live.gate.submit(again, vendor)).status == "applied"
    assert (await row(live, again)).attempts == 2


@pytest.mark.requirement("G4", "F9")
async def test_two_submits_of_one_key_at_once_perform_once(live: Kernel) -> None:
    entered, leave = anyio.Event(), anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        entered.set()
        await leave.wait()
        return Receipt("r")

    first = asyncio.create_task(live.gate.submit(contact(), slow))
    await entered.wait()
    second = await live.gate.submit(contact(), vendor := Vendor())
    leave.set()
    assert (second.status, second.reason, vendor.performed) == ("refused", "in_flight", [])
    assert (await first).status == "applied"


@pytest.mark.requirement("G4", "I2", "F9")
async def test_a_thousand_submits_of_one_key_perform_once(live: Kernel) -> None:
    vendor = Vendor()
    outcomes = await asyncio.gather(*(live.gate.submit(contact(), vendor) for _ in range(1_000)))
    assert len(vendor.performed) == 1
    assert {outcome.status for outcome in outcomes} <= {"applied", "replayed", "refused"}


async def test_an_idempotency_key_stands_for_the_intent(live: Kernel) -> None:
    vendor = Vendor()
    first = contact(idempotency_key="mine")
    await live.gate.submit(first, vendor)
    again = contact(idempotency_key="mine", intent="said otherwise")
    assert (await live.gate.submit(again, vendor)).status == "replayed"


@pytest.mark.parametrize("broken", [{"text": "\ud800"}, {"n": float("nan")}, {"x": object()}])
async def test_content_that_is_not_json_is_the_callers_mistake(
    live: Kernel, broken: dict[str, object]
) -> None:
    with pytest.raises(Invalid):
        await live.gate.submit(contact(content=broken), Vendor())


async def test_text_that_cannot_be_written_down_is_refused_before_anything_happens(live: Kernel) -> None:
    with pytest.raises(Invalid):
        await live.gate.submit(contact(campaign="\ud800"), vendor := Vendor())
    assert vendor.performed == []


# ── refused ──────────────────────────────────────────────────────────────────────────────────────────────
async def refusal(kernel: Kernel, effect: Effect) -> str:
    outcome = await kernel.gate.submit(effect, vendor := Vendor())
    assert vendor.performed == []
    assert outcome.status == "refused"
    assert outcome.message
    return outcome.reason


@pytest.mark.requirement("K1")
async def test_nothing_begins_once_kill_has_returned(live: Kernel) -> None:
    await live.switches.kill(actor="ada", reason="wrong copy")
    assert await refusal(live, contact()) == "kill_switch"


@pytest.mark.requirement("I3")
async def test_nothing_begins_under_a_halt(live: Kernel) -> None:
    await live.switches.pause("vendor:ghl", actor="rule", reason="bounces", kind="halt")
    assert await refusal(live, contact()) == "halted"


@pytest.mark.parametrize("scope", ["all", "vendor:instantly", "campaign:c1"])
@pytest.mark.requirement("I3")
async def test_nothing_begins_while_its_scope_is_paused(live: Kernel, scope: str) -> None:
    await live.switches.pause(scope, actor="ada", reason="lunch")
    effect = enrolment()
    assert await refusal(live, enrolment(approval=await approve(live, effect))) == "paused"


async def test_a_read_only_process_writes_nothing(settings_for: Make) -> None:
    async with opened(settings_for(SAFE_MODE="false", READ_ONLY="true")) as kernel:
        assert await refusal(kernel, contact()) == "read_only"
        assert await refusal(kernel, contact(stops=True)) == "read_only"


@pytest.mark.requirement("I3", "U3")
async def test_nobody_suppressed_is_written_about(live: Kernel) -> None:
    await live.suppression.add("jane@corp.example", reason="opt_out", source="reply")
    assert await refusal(live, contact()) == "suppressed"


@pytest.mark.parametrize(
    "hidden",
    [
        contact(recipients=()),
        contact(target="id-7", recipients=()),
        contact(recipients=("joe@other.example",)),
    ],
)
@pytest.mark.requirement("U1")
async def test_forgetting_a_recipient_does_not_hide_a_suppressed_person(live: Kernel, hidden: Effect) -> None:
    await live.suppression.add("jane@corp.example", reason="opt_out", source="reply")
    assert await refusal(live, hidden) == "suppressed"


@pytest.mark.requirement("U7")
async def test_an_address_that_looks_like_another_is_left_to_a_person(live: Kernel) -> None:
    assert await refusal(live, contact("jаne@corp.example")) == "look_alike"  # with a Cyrillic а


@pytest.mark.requirement("I5")
async def test_what_needs_a_yes_and_has_none_is_refused(live: Kernel) -> None:
    assert await refusal(live, enrolment()) == "needs_approval"
    assert await refusal(live, enrolment(approval="made up")) == "needs_approval"


@pytest.mark.requirement("A2", "I3")
async def test_a_yes_expires(live: Kernel, clock: HandClock) -> None:
    approval = await approve(live, enrolment())
    clock.move(72 * 3600 + 1)
    assert await refusal(live, enrolment(approval=approval)) == "approval_expired"


@pytest.mark.requirement("A1")
async def test_a_yes_is_to_this_content_only(live: Kernel) -> None:
    approval = await approve(live, enrolment())
    other = {"email": "jane@corp.example", "messages": ["Hello Jane, changed"]}
    assert await refusal(live, enrolment(approval=approval, content=other)) == "approval_mismatch"


@pytest.mark.requirement("A1")
async def test_a_yes_to_one_person_is_no_yes_to_another(live: Kernel) -> None:
    approval = await approve(live, enrolment())
    swapped = enrolment(approval=approval, target="joe@corp.example", recipients=("joe@corp.example",))
    assert await refusal(live, swapped) == "approval_mismatch"


@pytest.mark.requirement("I5")
async def test_calling_it_a_stop_does_not_spare_it_the_yes(live: Kernel) -> None:
    await live.switches.kill(actor="ada", reason="test")
    assert await refusal(live, enrolment(stops=True)) == "kill_switch"
    await live.switches.release(actor="root", reason="test")
    assert await refusal(live, enrolment(stops=True)) == "needs_approval"


@pytest.mark.requirement("R2")
async def test_credits_stop_at_the_budget(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    caps = settings.safety.caps.model_copy(update={"credits_per_day": {"clay": 10}})
    async with opened(stricter(settings, caps=caps)) as kernel:
        paid = Effect("clay", "enrich", "lead-1", "enrich:1", {"person": "p"}, cost=10)
        assert (await kernel.gate.submit(paid, Vendor())).status == "applied"
        assert await refusal(kernel, Effect("clay", "enrich", "lead-2", "enrich:2", {}, cost=1)) == "budget"
        assert (await kernel.budgets.credits("clay")).spent == 10


@pytest.mark.requirement("R2", "U11")
async def test_effects_stop_at_the_daily_cap_and_stops_do_not(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    caps = settings.safety.caps.model_copy(update={"effects_per_day": {"ghl.create_contact": 1}})
    async with opened(stricter(settings, caps=caps)) as kernel:
        assert (await kernel.gate.submit(contact("a@corp.example"), Vendor())).status == "applied"
        assert await refusal(kernel, contact("b@corp.example")) == "limit"
        assert (await kernel.gate.submit(contact("c@corp.example", stops=True), Vendor())).status == "applied"


async def test_of_several_reasons_the_most_serious_is_told(live: Kernel) -> None:
    await live.suppression.add("jane@corp.example", reason="opt_out", source="reply")
    assert await refusal(live, enrolment()) == "suppressed"
    await live.switches.pause("campaign:c1", actor="ada", reason="lunch")
    assert await refusal(live, enrolment()) == "paused"
    await live.switches.pause("all", actor="rule", reason="bounces", kind="halt")
    assert await refusal(live, enrolment()) == "halted"
    await live.switches.kill(actor="ada", reason="all of it")
    assert await refusal(live, enrolment()) == "kill_switch"


@pytest.mark.requirement("K5", "U11")
async def test_a_stop_passes_while_killed_and_to_a_suppressed_person(live: Kernel) -> None:
    await live.suppression.add("jane@corp.example", reason="opt_out", source="reply")
    await live.switches.pause("all", actor="ada", reason="lunch")
    await live.switches.kill(actor="ada", reason="test")
    outcome = await live.gate.submit(contact(stops=True, action="set_dnc"), Vendor())
    assert outcome.status == "applied"


async def test_what_was_refused_may_be_proposed_again(live: Kernel) -> None:
    await live.switches.pause("all", actor="ada", reason="lunch")
    assert await refusal(live, contact()) == "paused"
    await live.switches.resume("all", actor="ada", reason="back")
    assert (await live.gate.submit(contact(), Vendor())).status == "applied"


@pytest.mark.requirement("L8")
async def test_every_refusal_is_in_the_log(live: Kernel) -> None:
    await live.switches.pause("all", actor="ada", reason="lunch")
    await refusal(live, contact())
    assert (await kinds(live))[-1] == "effect.refused"


async def test_a_conflict_is_in_the_log_too_and_leaves_the_row_alone(live: Kernel) -> None:
    await live.gate.submit(contact(), Vendor())
    with pytest.raises(Conflict):
        await live.gate.submit(contact(content={}), Vendor())
    assert (await kinds(live))[-1] == "effect.refused"
    assert (await row(live, contact())).status == "applied"


# ── safe mode ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("S4")
async def test_safe_mode_simulates_and_spends_nothing(settings_for: Make) -> None:
    async with opened(settings_for()) as kernel:
        approval = await approve(kernel, enrolment())
        paid = enrolment(approval=approval, cost=5)
        outcome = await kernel.gate.submit(paid, vendor := Vendor())
        assert (outcome.status, outcome.reason, vendor.performed) == ("simulated", "safe_mode", [])
        used = await kernel.store.read(lambda c: c.execute(sa.select(approval_item.c.used_by)).scalar_one())
        spent = await kernel.store.read(lambda c: c.execute(sa.select(sa.func.count(spend.c.name))).scalar())
        assert (used, spent) == ("", 0)


@pytest.mark.requirement("S4")
async def test_safe_mode_still_says_what_would_have_been_refused(settings_for: Make) -> None:
    settings = settings_for()
    caps = settings.safety.caps.model_copy(update={"effects_per_day": {"ghl.create_contact": 0}})
    async with opened(stricter(settings, caps=caps)) as kernel:
        assert await refusal(kernel, contact()) == "limit"
        assert await refusal(kernel, enrolment()) == "needs_approval"


async def test_what_was_simulated_is_done_once_safe_mode_is_off(settings_for: Make) -> None:
    async with opened(settings_for()) as kernel:
        assert (await kernel.gate.submit(contact(), Vendor())).status == "simulated"
    async with opened(settings_for(SAFE_MODE="false")) as kernel:
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"


@pytest.mark.requirement("S2")
async def test_safe_mode_in_the_database_holds_for_a_process_that_was_started_without(live: Kernel) -> None:
    await live.switches.engage_safe_mode(actor="agent", reason="unsure")
    assert (await live.gate.submit(contact(), Vendor())).status == "simulated"


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("D1")
async def test_a_lost_answer_is_in_doubt_and_is_never_sent_again_blindly(live: Kernel) -> None:
    vendor = Vendor([InDoubt("lost", code="answer_lost")])
    assert (await live.gate.submit(contact(), vendor)).status == "in_doubt"
    again = await live.gate.submit(contact(), vendor)
    assert (again.status, again.reason, len(vendor.performed)) == ("in_doubt", "answer_lost", 1)


@pytest.mark.requirement("D2")
async def test_a_vendor_that_shows_it_settles_the_doubt(live: Kernel) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    outcome = await live.gate.submit(contact(), vendor, Shown(Receipt("found")))
    assert (outcome.status, outcome.reference, len(vendor.performed)) == ("replayed", "found", 1)


@pytest.mark.requirement("D2")
async def test_a_vendor_that_certainly_lacks_it_lets_it_be_tried_again(
    live: Kernel, clock: HandClock
) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    outcome = await live.gate.submit(contact(), vendor, shown := Shown(None))
    assert (outcome.status, len(vendor.performed), shown.looks) == ("applied", 2, 2)
    assert clock.slept[0] == pytest.approx(live.settings.safety.settle_seconds, abs=0.1)


async def test_a_vendor_that_shows_writes_late_is_believed_late(settings_for: Make, clock: HandClock) -> None:
    settings = settings_for(SAFE_MODE="false", GHL_API_KEY="pit-12345678")
    assert settings.vendor("ghl").settle_seconds == 60
    async with opened(settings, clock) as kernel:
        vendor = Vendor([InDoubt("lost")])
        await kernel.gate.submit(contact(), vendor)
        clock.move(30)
        early = await kernel.gate.submit(contact(), vendor, shown := Shown(None))
        assert (early.status, len(vendor.performed), shown.looks, clock.slept) == ("in_doubt", 1, 1, [])
        clock.move(40)
        assert (await kernel.gate.submit(contact(), vendor, shown)).status == "applied"
        assert len(vendor.performed) == 2


async def test_an_old_doubt_needs_no_second_look(live: Kernel, clock: HandClock) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    clock.move(3600)
    await live.gate.submit(contact(), vendor, shown := Shown(None))
    assert (shown.looks, clock.slept) == (1, [])


@pytest.mark.requirement("D2", "F7")
async def test_a_wall_clock_that_jumps_makes_no_doubt_older(live: Kernel, clock: HandClock) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    clock.jump(7 * 86_400)
    outcome = await live.gate.submit(contact(), vendor, shown := Shown(None))
    assert (outcome.status, shown.looks) == ("applied", 2)
    assert clock.slept == [pytest.approx(live.settings.safety.settle_seconds)]


@pytest.mark.requirement("D2")
async def test_a_process_that_starts_looks_twice_however_old_a_doubt_says_it_is(
    live: Kernel, settings_for: Make, clock: HandClock
) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    clock.jump(7 * 86_400)
    async with opened(settings_for(SAFE_MODE="false"), clock) as other:
        outcome = await other.gate.submit(contact(), vendor, shown := Shown(None))
    assert (outcome.status, shown.looks) == ("applied", 2)
    assert clock.slept == [pytest.approx(live.settings.safety.settle_seconds)]


async def test_the_time_that_a_vendor_could_not_be_asked_counts_too(live: Kernel, clock: HandClock) -> None:
    await leave_claimed(live, contact())
    await live.gate.submit(contact(), vendor := Vendor(), Shown(Retryable("down")))
    clock.move(live.settings.safety.settle_seconds + live.settings.safety.call_deadline_seconds)
    outcome = await live.gate.submit(contact(), vendor, shown := Shown(None))
    assert (outcome.status, shown.looks, clock.slept) == ("applied", 1, [])


def test_a_doubt_that_was_forgotten_is_waited_for_anew(clock: HandClock) -> None:
    sightings = Sightings(clock, most=2)
    assert [sightings.age(key, 1) for key in "abc"] == [0, 0, 0]
    clock.move(5)
    assert [sightings.age(key, 1) for key in "bca"] == [5, 5, 0]
    assert sightings.age("b", 2) == 0, "another attempt is another doubt"


@pytest.mark.parametrize("trouble", [Retryable("down"), Fatal("no scope"), Unavailable("x"), KeyError("bug")])
@pytest.mark.requirement("D3")
async def test_a_look_that_tells_nothing_leaves_the_doubt(live: Kernel, trouble: Exception) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    outcome = await live.gate.submit(contact(), vendor, Shown(trouble))
    assert (outcome.status, len(vendor.performed)) == ("in_doubt", 1)


@pytest.mark.requirement("D5")
async def test_what_may_be_repeated_is_sent_again_without_a_look(live: Kernel) -> None:
    vendor = Vendor([InDoubt("lost")])
    effect = contact(repeatable=True)
    await live.gate.submit(effect, vendor)
    outcome = await live.gate.submit(effect, vendor, shown := Shown(None))
    assert (outcome.status, len(vendor.performed), shown.looks) == ("applied", 2, 0)


@pytest.mark.requirement("D4")
async def test_a_claim_of_a_dead_process_is_in_doubt_at_once(live: Kernel) -> None:
    await leave_claimed(live, contact())
    outcome = await live.gate.submit(contact(), vendor := Vendor())
    assert (outcome.status, vendor.performed) == ("in_doubt", [])
    assert (await row(live, contact())).reason == "process_gone"


@pytest.mark.requirement("D4")
async def test_a_claim_of_a_dead_process_is_settled_by_what_the_vendor_shows(live: Kernel) -> None:
    await leave_claimed(live, contact())
    outcome = await live.gate.submit(contact(), vendor := Vendor(), Shown(Receipt("theirs")))
    assert (outcome.status, outcome.reference, vendor.performed) == ("replayed", "theirs", [])


async def test_a_fresh_claim_of_a_dead_process_is_looked_at_twice(live: Kernel, clock: HandClock) -> None:
    await leave_claimed(live, contact())
    await let_its_time_run_out(live, contact(), clock)
    outcome = await live.gate.submit(contact(), vendor := Vendor(), shown := Shown(None))
    assert (outcome.status, len(vendor.performed), shown.looks) == ("applied", 1, 2)


@pytest.mark.requirement("D2", "D4")
async def test_who_may_only_have_lost_its_session_may_still_be_sending(
    live: Kernel, clock: HandClock
) -> None:
    await leave_claimed(live, contact())
    first = await live.gate.submit(contact(), vendor := Vendor(), Shown(None))
    surely_dead = live.store.path is not None  # a server only knows that a session has ended
    assert (first.status, len(vendor.performed)) == (("applied", 1) if surely_dead else ("in_doubt", 0))
    clock.move(live.settings.safety.call_deadline_seconds - 1)
    second = await live.gate.submit(contact(), vendor, Shown(None))
    assert second.status == ("replayed" if surely_dead else "in_doubt")
    clock.move(1)
    assert (await live.gate.submit(contact(), vendor, Shown(None))).done
    assert len(vendor.performed) == 1


@pytest.mark.requirement("D4", "G4")
async def test_a_claim_of_another_living_process_is_under_way(live: Kernel, settings_for: Make) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false")) as other:
        await leave_claimed(live, contact(), other.presence.id)
        outcome = await live.gate.submit(contact(), vendor := Vendor(), Shown(None))
        assert (outcome.reason, vendor.performed) == ("in_flight", [])
        assert (await live.gate.look(await row(live, contact()), Shown(None))).reason == "in_flight"


async def test_a_look_settles_only_the_attempt_it_looked_at(live: Kernel) -> None:
    vendor = Vendor([InDoubt("lost")])
    await live.gate.submit(contact(), vendor)
    stale = await row(live, contact())
    await live.gate.submit(contact(), vendor, Shown(None))
    assert (await live.gate.look(stale, Shown(None))).status == "applied"
    assert (await row(live, contact())).status == "applied"
    assert (await kinds(live))[-1] == "effect.late"


@pytest.mark.requirement("F5")
async def test_doubts_of_a_batch_are_looked_at_before_any_of_it_is_sent(
    live: Kernel, clock: HandClock
) -> None:
    doubtful, fresh = contact("a@corp.example"), contact("b@corp.example")
    await leave_claimed(live, doubtful)
    await let_its_time_run_out(live, doubtful, clock)
    sent: list[list[str]] = []

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        sent.append(sorted(permits))
        return {key: Receipt("r") for key in permits}

    outcomes = await live.gate.submit_batch([doubtful, fresh], many, Shown(None))
    assert [outcome.status for outcome in outcomes] == ["applied", "applied"]
    assert sent == [sorted([doubtful.key, fresh.key])]


@pytest.mark.requirement("D4")
async def test_all_that_one_dead_process_left_is_in_doubt_at_once(live: Kernel) -> None:
    left = [contact("a@corp.example"), contact("b@corp.example")]
    for one in left:
        await leave_claimed(live, one)
    outcomes = await live.gate.submit_batch(left, _all_done)
    assert [(one.status, one.reason) for one in outcomes] == [("in_doubt", "process_gone")] * 2


# ── a person's word ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("D3")
@pytest.mark.parametrize(("applied", "status"), [(True, "applied"), (False, "failed")])
async def test_what_nobody_could_tell_is_settled_by_a_named_persons_word(
    live: Kernel, applied: bool, status: str
) -> None:
    await live.gate.submit(contact(), Vendor([InDoubt("lost", code="answer_lost")]))
    said = await live.gate.resolve(contact().key, applied=applied, actor="Ada", reason="I looked")
    assert (said.status, said.reason, said.message) == (status, "by_hand", "I looked")
    assert (await row(live, contact())).status == status
    told, settled = await live.audit.tail(2)
    assert (told["kind"], told["actor"], settled["kind"]) == ("effect.resolved", "Ada", f"effect.{status}")
    assert told["payload"] == {"as": status, "key": contact().key, "reason": "I looked", "was": "answer_lost"}


async def test_nobodys_word_is_asked_for_what_is_unknown_or_settled(live: Kernel) -> None:
    with pytest.raises(Invalid, match="no effect of this key"):
        await live.gate.resolve("unknown", applied=True, actor="Ada", reason="I looked")
    await live.gate.submit(contact(), Vendor())
    with pytest.raises(Conflict, match="isn't in doubt"):
        await live.gate.resolve(contact().key, applied=False, actor="Ada", reason="I looked")


@pytest.mark.requirement("D4")
async def test_nobodys_word_counts_while_somebody_may_still_be_at_it(
    live: Kernel, clock: HandClock, settings_for: Make
) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false")) as other:
        await leave_claimed(live, contact(), other.presence.id)
        with pytest.raises(Conflict, match="still at it"):
            await live.gate.resolve(contact().key, applied=False, actor="Ada", reason="I looked")
    if live.store.path is None:  # its session is gone; it may not be
        with pytest.raises(Conflict, match="still at it"):
            await live.gate.resolve(contact().key, applied=False, actor="Ada", reason="I looked")
        clock.move(live.settings.safety.call_deadline_seconds)
    said = await live.gate.resolve(contact().key, applied=False, actor="Ada", reason="I looked")
    assert said.status == "failed"


# ── what perform does ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (Invalid("bad", code="rejected"), "failed", "rejected"),
        (Fatal("key refused"), "failed", "fatal"),
        (NotSent("no route"), "failed", "retry_later"),
        (InDoubt("lost"), "in_doubt", "in_doubt"),
        (KeyError("a bug"), "in_doubt", "unknown"),
        (TimeoutError(), "in_doubt", "deadline"),
    ],
)
async def test_how_perform_ends_is_how_the_effect_ends(
    live: Kernel, error: Exception, status: str, reason: str
) -> None:
    outcome = await live.gate.submit(contact(), Vendor([error]))
    assert (outcome.status, outcome.reason) == (status, reason)
    assert (await row(live, contact())).status == status


@pytest.mark.requirement("F6", "K2")
async def test_a_perform_that_takes_too_long_is_in_doubt(settings_for: Make) -> None:
    settings = stricter(settings_for(SAFE_MODE="false"), call_deadline_seconds=0.05)

    async def never(permit: Permit) -> Receipt:
        await anyio.sleep_forever()
        raise AssertionError

    async with open_kernel(settings) as kernel:
        assert (await kernel.gate.submit(contact(), never)).reason == "deadline"


@pytest.mark.parametrize("times", [1, 2])
async def test_a_cancelled_submission_is_settled_in_doubt(live: Kernel, times: int) -> None:
    entered = anyio.Event()

    async def stuck(permit: Permit) -> Receipt:
        entered.set()
        await anyio.sleep_forever()
        raise AssertionError

    task = asyncio.create_task(live.gate.submit(contact(), stuck))
    await entered.wait()
    for _ in range(times):
        task.cancel()
        await anyio.lowlevel.checkpoint()
    with pytest.raises(asyncio.CancelledError):
        await task
    await live.store.write(lambda c: None)
    assert (await row(live, contact())).status == "in_doubt"


async def test_one_cancelled_before_it_was_sent_has_failed_for_sure(live: Kernel) -> None:
    task = asyncio.create_task(live.gate.submit(contact(), vendor := Vendor()))
    await anyio.lowlevel.checkpoint()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await live.store.write(lambda c: None)
    assert vendor.performed == []
    found = await live.ledger.get(contact().key)
    assert found is None or (found.status, found.reason) == ("failed", "cancelled")
    assert await live.store.read(lambda c: c.execute(sa.select(sa.func.count(lease.c.id))).scalar()) == 0
    assert (await live.gate.submit(contact(), vendor)).status == "applied"


@pytest.mark.parametrize("answer", [None, "text", 7])
@pytest.mark.requirement("D6")
async def test_an_answer_that_is_no_receipt_is_in_doubt(live: Kernel, answer: object) -> None:
    async def confused(permits: Mapping[str, Permit]) -> object:
        return answer

    outcomes = await live.gate.submit_batch([contact()], confused)  # type: ignore[arg-type]
    assert outcomes[0].status == "in_doubt"
    outcomes = await live.gate.submit_batch(
        [contact("b@corp.example")], lambda permits: _wrong(permits, answer)
    )
    assert outcomes[0].status == "in_doubt"


async def _wrong(permits: Mapping[str, Permit], answer: object) -> dict[str, object]:
    return dict.fromkeys(permits, answer)


async def test_a_receipt_that_cannot_be_written_down_is_still_a_receipt(live: Kernel) -> None:
    outcome = await live.gate.submit(contact(), Vendor([Receipt("\ud800", {"x": object()})]))
    assert (outcome.status, outcome.reference, outcome.detail) == ("applied", "?", {})


# ── batches ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G6")
async def test_a_batch_gives_each_its_own_outcome(live: Kernel) -> None:
    names = ["good", "bad", "silent", "suppressed", "known", "clash"]
    effects = {name: contact(f"{name}@corp.example") for name in names}
    await live.suppression.add("suppressed@corp.example", reason="opt_out", source="reply")
    await live.gate.submit(effects["known"], Vendor())
    await live.gate.submit(effects["clash"], Vendor())
    effects["clash"] = contact("clash@corp.example", content={"email": "clash@corp.example", "n": 1})

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        assert set(permits) == {effects[name].key for name in ("good", "bad", "silent")}
        return {effects["good"].key: Receipt("r"), effects["bad"].key: Invalid("no", code="rejected")}

    outcomes = await live.gate.submit_batch([effects[name] for name in names], many)
    told = {name: (o.status, o.reason) for name, o in zip(names, outcomes, strict=True)}
    assert told == {
        "good": ("applied", ""),
        "bad": ("failed", "rejected"),
        "silent": ("in_doubt", "unknown"),
        "suppressed": ("refused", "suppressed"),
        "known": ("replayed", ""),
        "clash": ("refused", "conflict"),
    }


@pytest.mark.requirement("A3")
async def test_one_yes_covers_one_of_two_equal_effects_in_a_batch(live: Kernel) -> None:
    approval = await approve(live, enrolment())
    twins = [enrolment(approval=approval), enrolment(approval=approval, intent="once more")]
    outcomes = await live.gate.submit_batch(twins, _all_done)
    assert [outcome.reason for outcome in outcomes] == ["", "approval_mismatch"]


async def _all_done(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
    return {key: Receipt("r") for key in permits}


async def test_a_cap_is_counted_within_a_batch(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    caps = settings.safety.caps.model_copy(update={"effects_per_day": {"ghl.create_contact": 2}})
    async with opened(stricter(settings, caps=caps)) as kernel:
        effects = [contact(f"p{n}@corp.example") for n in range(4)]
        outcomes = await kernel.gate.submit_batch(effects, _all_done)
        assert [outcome.reason for outcome in outcomes] == ["", "", "limit", "limit"]


@pytest.mark.requirement("G6")
async def test_a_thousand_effects_are_admitted_in_one_transaction(live: Kernel) -> None:
    effects = [contact(f"p{n}@corp.example") for n in range(MAX_BATCH)]
    outcomes = await live.gate.submit_batch(effects, _all_done)
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert (await live.audit.verify()).ok


@pytest.mark.parametrize(
    "effects",
    [
        [contact(), contact()],
        [contact(), contact("b@corp.example", vendor="instantly")],
        [contact(f"p{n}@corp.example") for n in range(MAX_BATCH + 1)],
    ],
)
async def test_a_batch_of_another_shape_is_the_callers_mistake(live: Kernel, effects: list[Effect]) -> None:
    with pytest.raises(Invalid):
        await live.gate.submit_batch(effects, _all_done)


async def test_an_empty_batch_does_nothing(live: Kernel) -> None:
    assert await live.gate.submit_batch([], _all_done) == []


# ── permits ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G5")
async def test_a_permit_allows_one_write(live: Kernel) -> None:
    sent = []

    async def twice(permit: Permit) -> Receipt:
        for number in (1, 2):
            async with permit.sending():
                sent.append(number)
        return Receipt("r")

    assert (await live.gate.submit(contact(), twice)).status == "in_doubt"
    assert sent == [1]


@pytest.mark.requirement("G5")
async def test_a_permit_kept_for_later_is_worth_nothing(live: Kernel) -> None:
    kept: list[Permit] = []

    async def keep(permit: Permit) -> Receipt:
        kept.append(permit)
        return Receipt("r")

    await live.gate.submit(contact(), keep)
    with pytest.raises(RuntimeError):
        async with kept[0].sending():
            raise AssertionError
    with pytest.raises(RuntimeError):
        await kept[0].again()


@pytest.mark.parametrize("stop", ["kill", "pause", "suppress", "safe", "revoke"])
@pytest.mark.requirement("I3", "F15")
async def test_a_stop_half_way_leaves_the_rest_undone_and_in_doubt(live: Kernel, stop: str) -> None:
    approval = await approve(live, enrolment())
    effect = enrolment(approval=approval)
    second = []

    async def two_steps(permit: Permit) -> Receipt:
        async with permit.sending():
            await _stop(live, stop, approval)
        second.append(await permit.again())
        return Receipt("r")

    outcome = await live.gate.submit(effect, two_steps)
    assert (outcome.status, outcome.reason, second) == ("in_doubt", "stopped", [])


async def _stop(kernel: Kernel, how: str, approval: str) -> None:
    if how == "kill":
        await kernel.switches.kill(actor="ada", reason="now")
    elif how == "pause":
        await kernel.switches.pause("campaign:c1", actor="ada", reason="now")
    elif how == "suppress":
        await kernel.suppression.add("jane@corp.example", reason="opt_out", source="reply")
    elif how == "safe":
        await kernel.switches.engage_safe_mode(actor="agent", reason="now")
    else:
        await kernel.store.write(
            lambda c: kernel.approvals.revoke_in(c, approval, actor=AE.name, reason="changed my mind")
        )


async def test_without_a_stop_an_effect_goes_on(live: Kernel) -> None:
    async def two_steps(permit: Permit) -> Receipt:
        async with permit.sending():
            pass
        async with (await permit.again()).sending():
            pass
        return Receipt("r")

    assert (await live.gate.submit(contact(), two_steps)).status == "applied"


@pytest.mark.parametrize(
    ("after_it", "status"),
    [
        (Invalid("the body says no"), "failed"),
        (Unavailable("ours"), "in_doubt"),
        (Fatal("not sending"), "in_doubt"),
    ],
)
async def test_an_error_after_a_write_that_landed_is_no_failure(
    live: Kernel, after_it: SwarmError, status: str
) -> None:
    async def perform(permit: Permit) -> Receipt:
        async with permit.sending():
            pass
        raise after_it

    assert (await live.gate.submit(contact(), perform)).status == status


async def test_a_second_write_that_fails_does_not_undo_the_first(live: Kernel) -> None:
    async def perform(permit: Permit) -> Receipt:
        async with permit.sending():
            pass
        async with (await permit.again()).sending():
            raise Invalid("the tag is refused")
        return Receipt("r")

    outcome = await live.gate.submit(contact(), perform)
    assert (outcome.status, outcome.reason) == ("in_doubt", "partly_done")


async def test_a_doubt_that_perform_swallowed_is_remembered(live: Kernel) -> None:
    async def perform(permit: Permit) -> Receipt:
        try:
            async with permit.sending():
                fail(InDoubt("lost"))
        except InDoubt:
            raise Invalid("never mind") from None
        return Receipt("r")

    assert (await live.gate.submit(contact(), perform)).status == "in_doubt"


async def test_a_bug_while_sending_is_remembered(live: Kernel) -> None:
    async def perform(permit: Permit) -> Receipt:
        try:
            async with permit.sending():
                fail(KeyError("a bug"))
        except KeyError:
            raise Invalid("never mind") from None
        return Receipt("r")

    assert (await live.gate.submit(contact(), perform)).status == "in_doubt"


async def test_a_database_that_fails_while_looking_refuses_and_sends_nothing(live: Kernel) -> None:
    await leave_claimed(live, contact())

    async def closing(effect: Effect, /) -> Receipt | None:
        await asyncio.to_thread(live.store.close)
        return Receipt("r")

    outcome = await live.gate.submit(contact(), vendor := Vendor(), closing)
    assert (outcome.status, outcome.reason, vendor.performed) == ("refused", "log_unavailable", [])


async def test_of_two_who_look_the_first_to_tell_is_believed(live: Kernel, clock: HandClock) -> None:
    await leave_claimed(live, contact())
    await let_its_time_run_out(live, contact(), clock)
    doubtful = await row(live, contact())
    assert (await live.gate.look(doubtful, Shown(Receipt("found")))).reference == "found"
    assert (await live.gate.look(doubtful, Shown(None))).status == "applied"


async def test_a_refused_first_write_and_a_refused_second_one_are_a_failure(live: Kernel) -> None:
    async def perform(permit: Permit) -> Receipt:
        try:
            async with permit.sending():
                fail(Invalid("there already"))
        except Invalid:
            async with (await permit.again()).sending():
                raise Invalid("and not like this") from None
        return Receipt("r")

    assert (await live.gate.submit(contact(), perform)).status == "failed"


@pytest.mark.requirement("F5")
async def test_a_batch_that_raises_after_it_sent_something_is_in_doubt_as_a_whole(live: Kernel) -> None:
    effects = [contact(f"p{n}@corp.example") for n in range(3)]

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        async with permits[effects[0].key].sending():
            pass
        raise NotSent("the second part could not be sent")

    outcomes = await live.gate.submit_batch(effects, many)
    assert {outcome.status for outcome in outcomes} == {"in_doubt"}


async def test_the_requests_of_one_submission_go_one_after_the_other(live: Kernel) -> None:
    out, most = 0, 0
    effects = [contact(f"p{n}@corp.example") for n in range(5)]

    async def send(permit: Permit, paced: list[bool]) -> None:
        nonlocal out, most
        async with permit.sending() as ready:
            paced.append(ready)
            out += 1
            most = max(most, out)
            await anyio.lowlevel.checkpoint()
            out -= 1

    async def many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        paced: list[bool] = []
        async with anyio.create_task_group() as tasks:
            for permit in permits.values():
                tasks.start_soon(send, permit, paced)
        assert sorted(paced) == [False] * 4 + [True]
        return {key: Receipt("r") for key in permits}

    assert {o.status for o in await live.gate.submit_batch(effects, many)} == {"applied"}
    assert most == 1


# ── leases and pacing ────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G7", "K2")
async def test_never_more_than_w_calls_are_out(settings_for: Make) -> None:
    out, most = 0, 0
    full = anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        nonlocal out, most
        out += 1
        most = max(most, out)
        if out == 3:
            full.set()
        await full.wait()
        out -= 1
        return Receipt("r")

    async with open_kernel(stricter(settings_for(SAFE_MODE="false"), concurrent_calls=3)) as kernel:
        effects = [contact(f"p{n}@corp.example") for n in range(30)]
        outcomes = await asyncio.gather(*(kernel.gate.submit(effect, slow) for effect in effects))
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert most == 3


@pytest.mark.requirement("G7", "K2")
async def test_never_more_than_w_calls_are_out_of_all_processes(settings_for: Make) -> None:
    """Three processes with a store and a presence each; the calls stay out until each has asked for a place often."""
    out, most = 0, 0
    leave = anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        nonlocal out, most
        out += 1
        most = max(most, out)
        await leave.wait()
        out -= 1
        return Receipt("r")

    settings = stricter(settings_for(SAFE_MODE="false"), concurrent_calls=2)
    clocks = [HandClock() for _ in range(3)]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        kernels = [await stack.enter_async_context(opened(settings, clock)) for clock in clocks]
        sent = [
            tasks.create_task(kernel.gate.submit(contact(f"p{n}-{m}@corp.example"), slow))
            for m, kernel in enumerate(kernels)
            for n in range(3)
        ]
        with anyio.fail_after(20):
            while min(len(clock.slept) for clock in clocks) < 5:
                await anyio.lowlevel.checkpoint()
        assert out == 2
        leave.set()
        outcomes = await asyncio.gather(*sent)
    assert {outcome.status for outcome in outcomes} == {"applied"}
    assert most == 2


async def test_a_stop_does_not_wait_for_other_calls(settings_for: Make) -> None:
    entered, leave = anyio.Event(), anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        entered.set()
        await leave.wait()
        return Receipt("r")

    async with open_kernel(stricter(settings_for(SAFE_MODE="false"), concurrent_calls=1)) as kernel:
        first = asyncio.create_task(kernel.gate.submit(contact("a@corp.example"), slow))
        await entered.wait()
        stop = await kernel.gate.submit(contact("b@corp.example", stops=True), Vendor())
        leave.set()
        await first
    assert stop.status == "applied"


@pytest.mark.requirement("K1", "F23")
async def test_what_waits_for_its_turn_is_refused_when_killed_meanwhile(settings_for: Make) -> None:
    entered, leave = anyio.Event(), anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        entered.set()
        await leave.wait()
        return Receipt("r")

    async with open_kernel(stricter(settings_for(SAFE_MODE="false"), concurrent_calls=1)) as kernel:
        first = asyncio.create_task(kernel.gate.submit(contact("a@corp.example"), slow))
        await entered.wait()
        vendor = Vendor()
        waiting = [
            asyncio.create_task(kernel.gate.submit(contact(f"p{n}@corp.example"), vendor)) for n in range(20)
        ]
        await kernel.switches.kill(actor="ada", reason="now")
        leave.set()
        outcomes = await asyncio.gather(*waiting)
        assert (await first).status == "applied"
    assert {outcome.reason for outcome in outcomes} == {"kill_switch"}
    assert vendor.performed == []


async def test_an_effect_waits_for_its_place_in_the_rate_limit(live: Kernel, clock: HandClock) -> None:
    began = clock.now()
    limit = live.settings.vendor("ghl").file.limits[0]
    for n in range(limit.calls + 1):
        await live.gate.submit(contact(f"p{n}@corp.example"), Vendor())
    assert (clock.now() - began).total_seconds() >= limit.seconds


async def test_a_place_that_is_too_far_off_is_refused_and_not_taken(live: Kernel, clock: HandClock) -> None:
    await live.limits.pace("ghl")
    await live.limits.block("ghl", 3_000)
    assert await refusal(live, contact()) == "limit"
    clock.move(3_001)
    assert (await live.gate.submit(contact(), Vendor())).status == "applied"


@pytest.mark.requirement("R3")
async def test_after_a_429_those_who_wait_wait_longer(live: Kernel, clock: HandClock) -> None:
    await live.limits.pace("ghl")
    await live.limits.block("ghl", 100)
    began = clock.now()
    await live.gate.submit(contact(), Vendor())
    assert (clock.now() - began).total_seconds() >= 100


async def test_a_429_of_a_vendor_without_limits_holds_nobody_up(live: Kernel, clock: HandClock) -> None:
    began = clock.now()
    await live.limits.block("nobody", 100)
    await live.limits.pace("nobody")
    assert clock.now() == began


# ── when the database fails ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G8", "F16")
async def test_without_the_database_nothing_is_sent(live: Kernel, settings_for: Make) -> None:
    live.store.close()
    outcome = await live.gate.submit(contact(), vendor := Vendor())
    assert (outcome.status, outcome.reason, vendor.performed) == ("refused", "log_unavailable", [])


@pytest.mark.requirement("G8", "F16")
async def test_a_permit_that_can_no_longer_be_checked_sends_nothing(live: Kernel) -> None:
    told = []

    async def perform(permit: Permit) -> Receipt:
        await asyncio.to_thread(live.store.close)
        try:
            await permit.clear_to_send()
            told.append("cleared")
        except NotSent as error:
            told.append(error.code)
            raise
        return Receipt("r")

    await live.gate.submit(contact(), perform)
    assert told == ["log_unavailable"]


@pytest.mark.requirement("G8", "F8")
async def test_an_end_that_cannot_be_written_is_in_doubt_and_written_before_anything_begins(
    settings_for: Make,
) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false"), patience=0.1) as kernel:
        somebody = Somebody(kernel.settings.database_url)

        async def cut_off(permit: Permit) -> Receipt:
            somebody.begin()
            return Receipt("r")

        first = await kernel.gate.submit(contact(), cut_off)
        assert (first.status, first.reason) == ("in_doubt", "log_unavailable")
        refused = await kernel.gate.submit(contact("b@corp.example"), vendor := Vendor())
        assert (refused.reason, vendor.performed) == ("log_unavailable", [])
        assert (await row(kernel, contact())).status == "claimed"
        somebody.end()
        assert (await kernel.gate.submit(contact("b@corp.example"), vendor)).status == "applied"
        assert (await row(kernel, contact())).status == "applied"
        somebody.close()


@pytest.mark.requirement("G8", "F8")
async def test_what_its_caller_gave_up_is_owed_too_while_the_database_is_away(settings_for: Make) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false"), patience=0.1) as kernel:
        somebody = Somebody(kernel.settings.database_url)

        async def given_up(permit: Permit) -> Receipt:
            somebody.begin()
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

        with anyio.CancelScope() as scope:
            await kernel.gate.submit(contact(), given_up)
        assert scope.cancelled_caught
        assert (await kernel.gate.submit(contact("b@corp.example"), Vendor())).reason == "log_unavailable"
        assert (await row(kernel, contact())).status == "claimed"
        somebody.end()
        assert (await kernel.gate.submit(contact("b@corp.example"), Vendor())).status == "applied"
        assert (await row(kernel, contact())).status == "in_doubt"
        somebody.close()


async def test_the_outcome_carries_the_correlation_id_of_its_log_entries(live: Kernel) -> None:
    outcome = await live.gate.submit(contact(), Vendor())
    assert {entry["cid"] for entry in await live.audit.tail(2)} == {outcome.correlation_id}


async def test_a_claim_names_its_moment_and_process(live: Kernel, clock: HandClock) -> None:
    await live.gate.submit(contact(), Vendor())
    found = await row(live, contact())
    assert (found.claimed_at, found.process) == (iso(clock.now()), live.presence.id)


async def test_a_claim_says_which_attempt_it_is(live: Kernel) -> None:
    known = await live.ledger.get(contact().key)
    assert Proposal(contact(), known, "claimed").attempts == 1


def test_an_outcome_is_done_when_the_vendor_holds_it() -> None:
    assert [Outcome(status).done for status in ("applied", "replayed", "simulated", "failed")] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_doubt_that_a_living_process_left_is_looked_at_by_another(
    live: Kernel, settings_for: Make
) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false")) as other:
        await other.gate.submit(contact(), vendor := Vendor([InDoubt("lost")]))
        outcome = await live.gate.submit(contact(), vendor, Shown(Receipt("found")))
        assert (outcome.status, outcome.reference, len(vendor.performed)) == ("replayed", "found", 1)


async def test_nothing_of_a_batch_is_claimed_while_a_doubt_of_it_is_looked_at(
    live: Kernel, clock: HandClock
) -> None:
    doubtful, fresh = contact("a@corp.example"), contact("b@corp.example")
    await leave_claimed(live, doubtful)
    await let_its_time_run_out(live, doubtful, clock)
    seen: list[ledger.Row | None] = []

    async def look(effect: Effect, /) -> Receipt | None:
        seen.append(await live.ledger.get(fresh.key))
        return None

    await live.gate.submit_batch([doubtful, fresh], _all_done, look)
    assert seen == [None, None]


class Interrupted(HandClock):
    """Once, something happens while somebody sleeps."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def sleep(self, seconds: float) -> None:
        happens, self.meanwhile = self.meanwhile, None
        await super().sleep(seconds)
        if happens is not None:
            await happens()


async def test_a_429_while_somebody_waits_for_their_place_holds_them_back_too(settings_for: Make) -> None:
    clock = Interrupted()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        await kernel.limits.block("ghl", 10)
        clock.meanwhile = lambda: kernel.limits.block("ghl", 100)
        began = clock.now()
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"
        assert (clock.now() - began).total_seconds() >= 110


@pytest.mark.requirement("K2", "F7")
async def test_a_permit_is_good_until_its_call_must_be_over(live: Kernel, clock: HandClock) -> None:
    async def perform(permit: Permit) -> Receipt:
        clock.move(permit.seconds_left)
        await permit.clear_to_send()
        clock.move(0.001)
        with pytest.raises(NotSent) as found:
            await permit.clear_to_send()
        assert found.value.code == "too_late"
        return Receipt("r")

    assert (await live.gate.submit(contact(), perform)).status == "applied"


async def test_a_place_that_somebody_slept_past_is_not_used(settings_for: Make) -> None:
    clock = Interrupted()

    async def oversleep() -> None:
        clock.move(60)

    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        await kernel.limits.block("ghl", 10)
        clock.meanwhile = oversleep
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"
        places = await kernel.store.read(lambda c: c.execute(sa.select(rate.c.last)).scalars().all())
        assert max(places) == pytest.approx(clock.now().timestamp(), abs=1)


async def test_calls_whose_time_is_over_hold_nobody_up(live: Kernel, clock: HandClock) -> None:
    over = clock.now().timestamp() - 1
    calls = [
        {"id": f"gone/{n}", "process": "gone", "what": "ghl.create_contact", "until": over}
        for n in range(live.settings.safety.concurrent_calls)
    ]
    await live.store.write(lambda c: c.execute(sa.insert(lease), calls).rowcount)
    with anyio.fail_after(10):
        assert (await live.gate.submit(contact(), Vendor())).status == "applied"
