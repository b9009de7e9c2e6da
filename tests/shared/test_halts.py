"""Rules that stop something by themselves: measured in the database, sticky until cleared, and not blind after it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from shared import ledger
from shared.clock import iso
from shared.effect import Effect
from shared.errors import InDoubt, Retryable
from shared.halt_rules import HaltRules
from shared.kernel import Kernel, open_kernel
from shared.ledger import Ending, Proposal
from shared.observed import Seen, observe
from shared.pipeline_schema import campaign, campaign_lead, event, lead, reply, run, stop
from shared.schema import approval, halt
from shared.settings import Settings
from shared.store import Unavailable
from tests.shared.world import (
    HandClock,
    Vendor,
    contact,
    enrolment,
    kinds,
    opened,
    stricter,
    written_by_somebody,
)

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]
HOUR = 3_600.0
SENDING = "vendor:instantly"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def kernel(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as made:
        yield made


@pytest.fixture
async def careful(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    """Judges by evidence."""
    settings = stricter(settings_for(SAFE_MODE="false"), halts=HaltRules(policy="evidence"))
    async with opened(settings, clock) as made:
        yield made


async def told(
    kernel: Kernel,
    kind: str,
    *people: str,
    campaign_id: str = "c1",
    said: str = "",
    bounce: str = "",
    box: str = "",
) -> None:
    """Vendors tell of an event for each of these people; `said`: the class of their answer; `box`: ours."""
    at = iso(kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        before = connection.execute(sa.select(sa.func.count()).select_from(event)).scalar()
        for number, person in enumerate(people):
            values = {
                "id": f"{kind}-{before}-{number}",
                "type": kind,
                "vendor": "instantly",
                "received_at": at,
                "bounce": bounce,
                "detail": json.dumps({"mailbox": box} if box else {}),
            }
            where = {"lead_id": person, "campaign_id": campaign_id}
            connection.execute(sa.insert(event).values(**values, **where))
            if said:
                answer = {"event_id": values["id"], "class": said, "at": at, **where}
                connection.execute(sa.insert(reply).values(answer))

    await kernel.store.write(change)


def crowd(count: int, first: int = 0) -> list[str]:
    return [f"p{number}" for number in range(first, first + count)]


async def scopes(kernel: Kernel) -> list[str]:
    return [pause.scope for pause in (await kernel.switches.now()).pauses]


async def rows(kernel: Kernel) -> list[Any]:
    return await kernel.store.read(lambda c: c.execute(sa.select(halt).order_by(halt.c.id)).all())


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_bounces_stop_all_sending_while_the_crm_and_opt_outs_go_on(kernel: Kernel) -> None:
    await told(kernel, "sent", *crowd(50))
    await told(kernel, "bounced", *crowd(2))
    assert await kernel.halts.look() == []
    await told(kernel, "bounced", *crowd(2, 1))
    (found,) = await kernel.halts.look()
    assert (found.bad, found.total) == (3, 50)
    (pause,) = (await kernel.switches.now()).pauses
    assert (pause.scope, pause.kind, pause.actor, pause.until) == (SENDING, "halt", "rule:bounces", "")
    assert pause.reason == found.reason
    assert "3 of 50" in pause.reason
    vendor = Vendor()
    assert (await kernel.gate.submit(enrolment(), vendor)).reason == "halted"
    assert (await kernel.gate.submit(contact(), vendor)).status == "applied"
    stopping = Effect("instantly", "remove_lead", "x@corp.example", "stop", {}, stops=True)
    assert (await kernel.gate.submit(stopping, vendor)).status == "applied"


@pytest.mark.parametrize(
    ("kind", "said", "bounce", "halts"),
    [
        ("bounced", "", "hard", True),
        ("bounced", "", "unknown", True),
        ("bounced", "", "", True),
        ("bounced", "", "soft", False),
        ("replied", "bounce", "hard", True),
        ("replied", "bounce", "soft", False),
    ],
)
async def test_only_full_mailboxes_say_nothing_of_a_list(
    kernel: Kernel, kind: str, said: str, bounce: str, halts: bool
) -> None:
    await told(kernel, "sent", *crowd(20))
    await told(kernel, kind, *crowd(5), said=said, bounce=bounce)
    found = {verdict.rule for verdict in await kernel.halts.look()}
    assert ("bounces" in found) is halts


@pytest.mark.requirement("H3")
async def test_a_halt_is_written_down_with_its_numbers_and_in_the_audit_log(kernel: Kernel) -> None:
    await told(kernel, "sent", *crowd(20))
    await told(kernel, "bounced", *crowd(3))
    await kernel.halts.look()
    (row,) = await rows(kernel)
    numbers = json.loads(row.numbers)
    assert (row.rule, row.scope, row.action, row.cleared_at) == ("bounces", SENDING, "halt", "")
    assert (numbers["bad"], numbers["total"], numbers["rate"], numbers["threshold"]) == (3, 20, 0.15, 5)
    assert (numbers["window"], numbers["policy"]) == ("24 h", "literal")
    assert {"rule.halt", "halt.set"} <= set(await kinds(kernel))
    assert [one.reason for one in await kernel.halts.standing()] == [numbers["reason"]]


async def test_what_stands_is_not_written_down_again(kernel: Kernel) -> None:
    await told(kernel, "sent", *crowd(20))
    await told(kernel, "bounced", *crowd(3))
    await kernel.halts.look()
    before = await kinds(kernel)
    await told(kernel, "bounced", *crowd(6))
    assert await kernel.halts.look() == []
    assert await kinds(kernel) == before


@pytest.mark.requirement("H4")
async def test_what_is_older_than_the_window_is_not_counted_and_the_halt_stays(
    kernel: Kernel, clock: HandClock
) -> None:
    await told(kernel, "sent", *crowd(20))
    await told(kernel, "bounced", *crowd(3))
    await kernel.halts.look()
    clock.move(25 * HOUR)
    assert await kernel.halts.look() == []
    assert await scopes(kernel) == [SENDING]


async def test_a_late_bounce_is_counted_when_we_learn_of_it(kernel: Kernel, clock: HandClock) -> None:
    await told(kernel, "sent", *crowd(10))
    clock.move(30 * HOUR)
    await told(kernel, "bounced", *crowd(2))
    assert [one.scope for one in await kernel.halts.look()] == [SENDING]


async def test_a_bounce_that_arrives_as_mail_counts_once_with_the_event(kernel: Kernel) -> None:
    await told(kernel, "sent", *crowd(50))
    await told(kernel, "bounced", *crowd(2))
    await told(kernel, "replied", *crowd(2), said="bounce")
    assert await kernel.halts.look() == []
    await told(kernel, "replied", "p7", said="bounce")
    assert (await kernel.halts.look())[0].bad == 3


async def test_mail_that_is_none_of_ours_is_not_counted(kernel: Kernel) -> None:
    await told(kernel, "bounced", *[""] * 9, campaign_id="")
    assert await kernel.halts.look() == []
    await told(kernel, "sent", *[""] * 90)
    await told(kernel, "bounced", "", "")
    (found,) = await kernel.halts.look()
    assert (found.bad, found.total) == (2, 2)


@pytest.mark.requirement("H1")
async def test_the_first_complaint_kills(kernel: Kernel) -> None:
    await told(kernel, "sent", *crowd(900))
    await told(kernel, "complained", "p1")
    await kernel.halts.look()
    safety = await kernel.switches.now()
    assert (await kernel.audit.head()).exposed == 0
    assert safety.killed
    assert safety.kill_reason.startswith("complaints: 1 of 900 people mailed complained: 0.111 %")
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "kill_switch"


async def test_a_complaint_that_arrives_as_a_report_kills_also_without_a_name(kernel: Kernel) -> None:
    await told(kernel, "message_received", "", campaign_id="", said="complaint")
    await kernel.halts.look()
    assert (await kernel.switches.now()).killed


@pytest.mark.requirement("K3")
async def test_a_complaint_kills_while_the_database_is_locked(settings_for: Make) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false"), clock=HandClock(), patience=0.1) as kernel:
        await told(kernel, "complained", "p1")
        with written_by_somebody(kernel):
            with pytest.raises(Unavailable):
                await kernel.halts.look()
            assert (await kernel.switches.now()).kill_sources == ("flag file",)
        await kernel.halts.look()
        assert (await kernel.switches.now()).kill_sources == ("database", "flag file")


async def test_a_halt_other_than_a_kill_waits_for_the_database(settings_for: Make) -> None:
    async with open_kernel(settings_for(SAFE_MODE="false"), clock=HandClock(), patience=0.1) as kernel:
        await told(kernel, "bounced", *crowd(3))
        with written_by_somebody(kernel), pytest.raises(Unavailable):
            await kernel.halts.look()
        assert not (await kernel.switches.now()).killed
        await kernel.halts.look()
        assert await scopes(kernel) == [SENDING]


@pytest.mark.requirement("H2")
async def test_with_evidence_a_first_complaint_stops_only_its_campaign(careful: Kernel) -> None:
    await told(careful, "sent", *crowd(100))
    await told(careful, "complained", "p1")
    await careful.halts.look()
    assert await scopes(careful) == ["campaign:c1"]
    assert not (await careful.switches.now()).killed


BOX, OTHER = "alex@sender.example", "sam@sender.example"


@pytest.mark.requirement("H2", "H5")
async def test_with_evidence_the_mailbox_that_wrote_last_stops_too_and_again_after_a_clear(
    careful: Kernel, clock: HandClock
) -> None:
    await told(careful, "sent", *crowd(100), box=OTHER)
    clock.move(1)
    await told(careful, "sent", *crowd(3), box=BOX)
    await told(careful, "sent", "p1", campaign_id="c2", box=OTHER)
    await told(careful, "complained", "p1")
    await careful.halts.look()
    (_, pause) = (await careful.switches.now()).pauses
    assert (pause.scope, pause.kind, pause.actor) == (f"mailbox:{BOX}", "halt", "rule:complaint")
    clock.move(60)
    await careful.switches.resume(f"mailbox:{BOX}", actor="root", reason="list thrown away")
    assert await careful.halts.look() == []
    clock.move(60)
    await told(careful, "complained", "p2", campaign_id="c3", said="complaint", box=BOX)
    assert f"mailbox:{BOX}" in {one.scope for one in await careful.halts.look()}
    assert f"mailbox:{BOX}" in await scopes(careful)


@pytest.mark.parametrize(("kind", "stops"), [("replied", OTHER), ("auto_replied", BOX)])
async def test_who_answers_names_the_mailbox_and_a_report_may_come_to_any(
    careful: Kernel, kind: str, stops: str
) -> None:
    await told(careful, "sent", *crowd(100), box=BOX)
    await told(careful, kind, "p1", said="complaint", box=OTHER)
    await careful.halts.look()
    assert await scopes(careful) == ["campaign:c1", f"mailbox:{stops}"]


async def test_a_report_about_nobody_we_know_stops_the_mailbox_that_it_names(careful: Kernel) -> None:
    await told(careful, "auto_replied", "", said="complaint", box=BOX)
    await careful.halts.look()
    assert await scopes(careful) == ["campaign:c1", f"mailbox:{BOX}"]


async def test_negative_answers_stop_their_campaign_and_automatic_ones_are_none(kernel: Kernel) -> None:
    await told(kernel, "auto_replied", *crowd(50), said="out_of_office")
    await told(kernel, "replied", *crowd(4), said="need_more_info")
    await told(kernel, "replied", "p5", said="not_interested")
    assert await kernel.halts.look() == []
    await told(kernel, "replied", "p6", said="hostile")
    (found,) = await kernel.halts.look()
    assert (found.scope, found.bad, found.total) == ("campaign:c1", 2, 6)


async def test_lost_answers_and_failing_vendors_stop_all_writes(kernel: Kernel) -> None:
    for number in range(7):
        await kernel.gate.submit(contact(f"a{number}@corp.example"), Vendor())
    failures = [InDoubt("lost", code="answer_lost"), Retryable("down", code="server_error")]
    for number, failure in enumerate((*failures, Retryable("busy", code="rate_limited"))):
        await kernel.gate.submit(contact(f"b{number}@corp.example"), Vendor([failure]))
    assert await kernel.halts.look() == []
    await kernel.gate.submit(contact("c@corp.example"), Vendor([InDoubt("lost", code="deadline")]))
    (found,) = await kernel.halts.look()
    assert (found.scope, found.bad, found.total) == ("all", 3, 10)


async def test_a_receipt_and_a_later_success_take_errors_back(kernel: Kernel) -> None:
    for number in range(5):
        vendor = Vendor([Retryable("down", code="server_error")])
        await kernel.gate.submit(contact(f"a{number}@corp.example"), vendor)
        await kernel.gate.submit(contact(f"a{number}@corp.example"), vendor)
    assert await kernel.halts.look() == []


async def test_late_opt_outs_are_told_until_they_are_confirmed(kernel: Kernel, clock: HandClock) -> None:
    values = {"id": "s1", "kind": "person", "target": "x@corp.example", "at": iso(clock.now())}
    sequence = {**values, "id": "s2", "kind": "sequence"}
    await kernel.store.write(lambda c: c.execute(sa.insert(stop), [values, sequence]))
    clock.move(HOUR - 1)
    assert await kernel.halts.look() == []
    clock.move(2)
    assert [(one.rule, one.bad) for one in await kernel.halts.look()] == [("opt_outs", 1)]
    assert await kernel.halts.look() == []
    assert (await scopes(kernel), len(await kernel.halts.standing())) == ([], 1)
    await kernel.store.write(lambda c: c.execute(sa.update(stop).values(state="confirmed")))
    await kernel.halts.look()
    assert await kernel.halts.standing() == []
    assert (await rows(kernel))[0].cleared_by == "over"
    assert {"rule.alert", "rule.over"} <= set(await kinds(kernel))


# ── what is about to be sent, and what the CRM holds ─────────────────────────────────────────────────────
async def test_what_the_gate_refuses_as_not_approved_stops_the_campaign(kernel: Kernel) -> None:
    refused = [
        Proposal(enrolment(campaign="c2"), None, "refused", "approval_mismatch"),
        Proposal(enrolment("b@corp.example", campaign="c3"), None, "refused", "suppressed"),
        Proposal(contact("c@corp.example"), None, "refused", "look_alike"),
    ]
    await kernel.store.write(lambda c: ledger.put(c, refused, kernel.clock.now()))
    assert [one.scope for one in await kernel.halts.look()] == ["campaign:c2"]


async def approved(kernel: Kernel, state: str, findings: str, person: str = "drafted") -> None:
    """A campaign with one person in it, as a person approved it."""
    now = iso(kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        connection.execute(sa.insert(run).values(id="r"))
        connection.execute(sa.insert(lead).values(id="l"))
        connection.execute(sa.insert(approval).values(id="a", at=now))
        connection.execute(sa.insert(campaign).values(id="c9", run_id="r", state=state, approval_id="a"))
        member = {"campaign_id": "c9", "lead_id": "l", "state": person, "findings": findings}
        connection.execute(sa.insert(campaign_lead).values(**member))

    await kernel.store.write(change)


@pytest.mark.parametrize(
    ("state", "severity", "person", "stops"),
    [
        ("approved", "block", "drafted", True),
        ("launching", "block", "failed", True),
        ("approved", "warn", "drafted", False),
        ("approved", "block", "held", False),
        ("pending_review", "block", "drafted", False),
    ],
)
async def test_a_blocked_message_about_to_be_sent_stops_its_campaign(
    kernel: Kernel, state: str, severity: str, person: str, *, stops: bool
) -> None:
    await approved(kernel, state, json.dumps([{"code": "x", "severity": severity}]), person)
    assert [one.scope for one in await kernel.halts.look()] == (["campaign:c9"] if stops else [])


async def test_more_than_ten_second_contacts_stop_writing_to_the_crm(kernel: Kernel) -> None:
    async def made(*references: str, number: int) -> None:
        for reference in references:
            one = contact(f"a{number}@corp.example", intent=reference)
            ending = Ending(one.key, 1, "applied", reference=reference)
            now = kernel.clock.now()

            def change(c: sa.Connection, one: Effect = one, ending: Ending = ending, now: Any = now) -> None:
                ledger.put(c, [Proposal(one, None, "claimed", process="x")], now)
                ledger.settle(c, [ending], now)

            await kernel.store.write(change)

    for number in range(10):
        await made(f"first {number}", f"second {number}", number=number)
    await made("only one", number=99)
    assert await kernel.halts.look() == []
    await made("first", "second", number=10)
    assert [(one.scope, one.bad) for one in await kernel.halts.look()] == [("vendor:ghl", 11)]


# ── clearing ─────────────────────────────────────────────────────────────────────────────────────────────
async def halted(kernel: Kernel, clock: HandClock) -> None:
    """Six of fifty bounced, and somebody cleared it."""
    await told(kernel, "sent", *crowd(50))
    await told(kernel, "bounced", *crowd(6))
    await kernel.halts.look()
    clock.move(60)
    assert await kernel.switches.resume(SENDING, actor="ada", reason="list cleaned")
    clock.move(60)


async def test_clearing_is_remembered_with_who_and_when(kernel: Kernel, clock: HandClock) -> None:
    await halted(kernel, clock)
    (row,) = await rows(kernel)
    assert row.cleared_by == "ada"
    assert row.at < row.cleared_at < iso(clock.now())


@pytest.mark.requirement("H5")
async def test_the_same_evidence_does_not_stop_again(kernel: Kernel, clock: HandClock) -> None:
    await halted(kernel, clock)
    await told(kernel, "sent", *crowd(40))
    await told(kernel, "bounced", *crowd(6))
    assert await kernel.halts.look() == []
    assert await scopes(kernel) == []


async def test_one_more_bounce_of_many_does_not_stop_again_and_more_do(
    kernel: Kernel, clock: HandClock
) -> None:
    await halted(kernel, clock)
    await told(kernel, "bounced", "p10", "p11")
    assert await kernel.halts.look() == []
    await told(kernel, "bounced", "p12")
    assert [(one.bad, one.total) for one in await kernel.halts.look()] == [(3, 50)]
    assert await scopes(kernel) == [SENDING]


@pytest.mark.requirement("H5")
async def test_a_bad_list_after_the_clear_is_not_hidden_by_the_good_mail_before_it(
    kernel: Kernel, clock: HandClock
) -> None:
    await halted(kernel, clock)
    await told(kernel, "sent", *crowd(10, 100))
    await told(kernel, "bounced", *crowd(2, 100))
    assert [(one.bad, one.total) for one in await kernel.halts.look()] == [(2, 10)]


@pytest.mark.requirement("H5")
async def test_a_released_kill_does_not_come_back_and_the_next_complaint_kills(
    kernel: Kernel, clock: HandClock
) -> None:
    await told(kernel, "sent", *crowd(50))
    await told(kernel, "complained", "p1")
    await kernel.halts.look()
    clock.move(60)
    await kernel.switches.release(actor="root", reason="talked to them")
    assert await kernel.halts.look() == []
    assert not (await kernel.switches.now()).killed
    clock.move(60)
    await told(kernel, "complained", "p2")
    await kernel.halts.look()
    assert (await kernel.switches.now()).killed
    assert [row.cleared_by for row in await rows(kernel)] == ["root", ""]


async def test_a_kill_that_a_person_releases_was_not_a_rules_clear(kernel: Kernel) -> None:
    await told(kernel, "bounced", *crowd(3))
    await kernel.halts.look()
    await kernel.switches.kill(actor="ada", reason="odd")
    await kernel.switches.release(actor="ada", reason="fine")
    assert await scopes(kernel) == [SENDING]
    assert (await rows(kernel))[0].cleared_at == ""


async def test_what_was_written_down_before_a_crash_is_carried_out_at_the_next_look(kernel: Kernel) -> None:
    numbers = json.dumps({"reason": "bounces: many"})
    values = {"rule": "bounces", "scope": SENDING, "action": "halt", "numbers": numbers, "at": "x"}
    await kernel.store.write(lambda c: c.execute(sa.insert(halt).values(**values)))
    await kernel.halts.look()
    assert [(p.scope, p.reason) for p in (await kernel.switches.now()).pauses] == [(SENDING, "bounces: many")]


async def test_a_pause_by_a_person_becomes_a_halt_when_a_rule_says_so(kernel: Kernel) -> None:
    await kernel.switches.pause(SENDING, actor="ada", reason="lunch")
    await told(kernel, "bounced", *crowd(3))
    await kernel.halts.look()
    assert [pause.kind for pause in (await kernel.switches.now()).pauses] == ["halt"]


async def test_two_processes_that_look_at_once_write_it_down_once(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    async with opened(settings) as one, opened(settings) as two:
        await told(one, "bounced", *crowd(3))
        found = await asyncio.gather(one.halts.look(), two.halts.look(), one.halts.look())
        assert sorted(len(verdicts) for verdicts in found) == [0, 0, 1]
        assert len(await rows(two)) == 1


async def test_without_a_bound_sequencer_bounces_stop_everything(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    without = settings.suite.model_copy(update={"ports": {}})
    async with opened(replace(settings, suite=without)) as kernel:
        await told(kernel, "bounced", *crowd(3))
        await kernel.halts.look()
        assert await scopes(kernel) == ["all"]


async def test_an_unknown_person_is_one_of_their_own(kernel: Kernel) -> None:
    await told(kernel, "bounced", "", "p1")
    seen = await kernel.store.read(lambda c: observe(c, HaltRules(), "ghl", "", ""))
    assert seen.bounced == (
        Seen("event bounced-0-0", "c1", iso(kernel.clock.now())),
        Seen("p1", "c1", iso(kernel.clock.now())),
    )
