"""What an event means: who must not be written to is on the list before anything else, and it means it once."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import absences, handling
from orchestrator.app import App
from orchestrator.intake import take_in
from orchestrator.research import standing_of
from shared.clock import iso
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, event, handoff, reply, stop
from shared.ports import SourcedLead
from tests.orchestrator.world import alone, people, planned, put, rows, states, the

FIRST = "person1@corp1.com"


@pytest.fixture
def app(live_kernel: Kernel) -> App:
    return alone(live_kernel)


async def _happens(app: App, kind: Any, email: str = FIRST, **more: Any) -> None:
    made = Event(
        **{"id": f"{kind}-1", "vendor": "instantly", "occurred_at": "", **more, "type": kind, "email": email}
    )
    await handling.handle(app, made)


async def _suppressed(app: App, *addresses: str) -> list[bool]:
    return [await app.kernel.suppression.find(address) is not None for address in addresses]


async def _stopped(app: App) -> list[str]:
    return sorted(row.target for row in await rows(app, sa.select(stop)))


async def _in_campaign(app: App, **values: Any) -> str:
    """The first person in a live campaign that the vendor calls ref-1."""
    _, (campaign_id,) = await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="live", vendor_ref="ref-1"))
    await put(app, sa.update(campaign_lead).values(**{"state": "live", "contact_ref": "crm-1", **values}))
    return campaign_id


# ── opt-outs ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("kind", "more"), [("unsubscribed", {}), ("complained", {}), ("bounced", {"bounce": "hard"})]
)
@pytest.mark.requirement("U10", "I4")
async def test_what_ends_contact_suppresses_and_stops(app: App, kind: str, more: dict[str, Any]) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, kind, stops_contact=True, **more)
    assert await _suppressed(app, FIRST) == [True]
    assert await _stopped(app) == [FIRST]
    assert (await states(app, campaign_id))[0][0] == "stopped"


@pytest.mark.requirement("U8", "U10")
async def test_an_opt_out_of_somebody_unknown_counts_all_the_same(app: App) -> None:
    await _happens(app, "unsubscribed", "who@nowhere.com", stops_contact=True)
    assert await _suppressed(app, "who@nowhere.com") == [True]
    assert await _stopped(app) == ["who@nowhere.com"]


async def test_a_mark_in_the_crm_without_an_address_is_understood_by_the_contact(app: App) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "dnd_changed", "", vendor="ghl", contact_ref="crm-1", stops_contact=True)
    assert await _suppressed(app, FIRST) == [True]
    assert (await states(app, campaign_id))[0][0] == "stopped"


async def test_an_opt_out_under_another_spelling_stops_the_address_that_is_written_to(app: App) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "unsubscribed", "Person1+Lists@Corp1.COM", stops_contact=True)
    assert await _suppressed(app, FIRST, "person1+lists@corp1.com") == [True, True]
    assert FIRST in await _stopped(app)
    assert (await states(app, campaign_id))[0][0] == "stopped"


async def test_an_opt_out_by_somebodys_other_address_stops_the_person(app: App) -> None:
    campaign_id = await _in_campaign(app)
    seen = SourcedLead(linkedin_url="https://www.linkedin.com/in/person-1", email="p1@private.org")
    await app.kernel.store.write(lambda c: take_in(c, [seen], now="2026", batch="b", data_source="d"))
    await _happens(app, "unsubscribed", "p1@private.org", stops_contact=True)
    assert await _suppressed(app, "p1@private.org", FIRST) == [True, True]
    assert (await states(app, campaign_id))[0][0] == "stopped"


async def test_a_bounce_says_nothing_about_the_persons_other_addresses(app: App) -> None:
    await _in_campaign(app)
    seen = SourcedLead(linkedin_url="https://www.linkedin.com/in/person-1", email="p1@private.org")
    await app.kernel.store.write(lambda c: take_in(c, [seen], now="2026", batch="b", data_source="d"))
    await _happens(app, "bounced", "p1@private.org", bounce="hard")
    assert await _suppressed(app, "p1@private.org", FIRST) == [True, False]


@pytest.mark.parametrize("kind", ["unknown", ""])
async def test_a_bounce_that_nobody_explains_stops_the_sequence_and_suppresses_nobody(
    app: App, kind: str
) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "bounced", bounce=kind)
    assert await _suppressed(app, FIRST) == [False]
    assert (await states(app, campaign_id))[0] == ("stopped", "bounced")
    assert [row.kind for row in await rows(app, sa.select(stop))] == ["sequence"]
    assert [row.bounce for row in await rows(app, sa.select(event))] == ["unknown"]


async def test_a_full_mailbox_is_noted_and_stops_nothing(app: App) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "bounced", bounce="soft")
    assert await _suppressed(app, FIRST) == [False]
    assert (await states(app, campaign_id))[0][0] == "live"
    assert await rows(app, sa.select(stop)) == []


REPORT = """Your message could not be delivered.

Final-Recipient: rfc822; {address}
Action: failed
Status: {status}
Diagnostic-Code: smtp; 550 {status} no
"""


@pytest.mark.parametrize(
    ("status", "suppressed", "state", "kind"),
    [
        ("5.1.1", True, "stopped", "hard"),
        ("5.7.1", False, "stopped", "unknown"),
        ("4.2.2", False, "live", "soft"),
    ],
)
async def test_a_report_that_comes_as_mail_acts_by_its_code(
    app: App, status: str, suppressed: bool, state: str, kind: str
) -> None:
    campaign_id = await _in_campaign(app)
    text = REPORT.format(address=FIRST, status=status)
    await _happens(app, "replied", subject="Undeliverable: A question", text=text)
    assert await _suppressed(app, FIRST) == [suppressed]
    assert (await states(app, campaign_id))[0][0] == state
    assert [row.bounce for row in await rows(app, sa.select(event))] == [kind]


async def test_a_report_from_a_machine_is_about_whom_it_names(app: App) -> None:
    campaign_id = await _in_campaign(app)
    daemon, text = "mailer-daemon@mx.corp1.com", REPORT.format(address=FIRST, status="5.1.1")
    await _happens(app, "message_received", daemon, vendor="ghl", subject="Undeliverable: hi", text=text)
    assert await _suppressed(app, FIRST, daemon) == [True, False]
    assert [row.campaign_id for row in await rows(app, sa.select(event))] == [campaign_id]


async def test_what_bounced_softly_says_nothing_of_a_person_at_the_next_run(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "bounced", bounce="soft")
    (row,) = await rows(app, sa.select(campaign_lead))
    standing = await app.kernel.store.read(
        lambda c: standing_of(app, c, {row.lead_id: people(1)[0]}, app.kernel.clock.now())
    )
    assert not standing[row.lead_id].bounced
    await _happens(app, "bounced", bounce="unknown", id="bounced-2")
    standing = await app.kernel.store.read(
        lambda c: standing_of(app, c, {row.lead_id: people(1)[0]}, app.kernel.clock.now())
    )
    assert standing[row.lead_id].bounced


@pytest.mark.requirement("F12", "F15")
async def test_mail_that_leaves_after_a_stop_stops_the_person_once_more(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "unsubscribed", stops_contact=True)
    await put(app, sa.update(stop).values(state="confirmed"))
    await _happens(app, "sent")
    assert [row.state for row in await rows(app, sa.select(stop))] == ["open"]


async def test_mail_that_we_were_told_of_before_the_stop_stops_nobody_once_more(app: App) -> None:
    """Its webhook waited while the opt-out behind it was counted at once; one at the very instant is doubted."""
    await _in_campaign(app)
    asked = app.kernel.clock.now()
    await _happens(app, "unsubscribed", stops_contact=True)
    await put(app, sa.update(stop).values(state="confirmed"))
    since = await app.kernel.suppression.find(FIRST)
    assert since is not None
    await _happens(app, "sent", told_at=iso(asked - timedelta(seconds=1)))
    assert [row.state for row in await rows(app, sa.select(stop))] == ["confirmed"]
    await _happens(app, "sent", id="sent-2", told_at=since.at)
    assert [row.state for row in await rows(app, sa.select(stop))] == ["open"]


async def test_half_a_surrogate_pair_costs_no_opt_out(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "replied", subject="Re: hello \ud83d", text="unsubscribe \ud83d")
    assert await _suppressed(app, FIRST) == [True]


async def test_an_address_that_cannot_be_read_stops_nothing_else(app: App) -> None:
    await _happens(app, "unsubscribed", "not an address", stops_contact=True)
    assert len(await rows(app, sa.select(event))) == 1
    assert await _stopped(app) == []


# ── once ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("W2", "F11")
async def test_the_same_event_twice_is_one_event_one_reply_and_one_handoff(app: App) -> None:
    await _in_campaign(app)
    for _ in range(2):
        await _happens(app, "replied", text="What does it cost?", campaign_ref="ref-1")
    for table in (event, reply, handoff):
        assert len(await rows(app, sa.select(table))) == 1, table.name


async def test_an_event_told_again_leaves_a_stop_that_was_confirmed(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "unsubscribed", stops_contact=True)
    await put(app, sa.update(stop).values(state="confirmed"))
    await _happens(app, "unsubscribed", stops_contact=True)
    assert [row.state for row in await rows(app, sa.select(stop))] == ["confirmed"]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_an_answer_by_a_person_stops_the_sequence_and_suppresses_nobody(app: App) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "replied", text="What does it cost?", campaign_ref="ref-1")
    assert await _suppressed(app, FIRST) == [False]
    assert [row.kind for row in await rows(app, sa.select(stop))] == ["sequence"]
    assert (await states(app, campaign_id))[0][0] == "stopped"


async def test_an_absence_pauses_and_a_person_goes_on_with_them_once_after_the_return(app: App) -> None:
    campaign_id = await _in_campaign(app)
    back = app.kernel.clock.now().date() - timedelta(days=1)
    text = f"I am out of the office until {back + timedelta(days=3)}."
    await _happens(app, "auto_replied", subject="Out of office", text=text)
    assert (await states(app, campaign_id))[0] == ("stopped", "out_of_office")
    assert [row.kind for row in await rows(app, sa.select(stop))] == ["sequence"]
    assert await absences.work(app) == 0
    await put(app, sa.update(reply).values(resume_on=back.isoformat()))
    assert [await absences.work(app), await absences.work(app)] == [1, 0]
    assert [row.trigger for row in await rows(app, sa.select(handoff))] == ["returned"]


async def test_who_opted_out_meanwhile_is_not_gone_on_with(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "auto_replied", subject="Out of office", text="Away.")
    await put(app, sa.update(reply).values(resume_on="2026-01-01"))
    await _happens(app, "unsubscribed", stops_contact=True)
    assert await absences.work(app) == 0
    assert await rows(app, sa.select(handoff)) == []


async def test_an_answer_to_a_campaign_reaches_a_person_though_its_sender_is_unknown(app: App) -> None:
    await _happens(app, "replied", "who@nowhere.com", text="What does it cost?")
    (one,) = await rows(app, sa.select(handoff))
    assert one.lead_id == ""


async def test_other_mail_in_the_crm_calls_nobody(app: App) -> None:
    await _happens(app, "message_received", "who@nowhere.com", vendor="ghl", text="What does it cost?")
    assert await rows(app, sa.select(handoff)) == []


async def test_an_event_of_a_foreign_campaign_is_not_counted_for_ours(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "opened", campaign_ref="somebody-elses")
    (one,) = await rows(app, sa.select(event))
    assert (one.campaign_id, one.lead_id) == ("", people(1)[0].id)


async def test_an_event_that_names_no_campaign_belongs_to_the_newest_one(app: App) -> None:
    first = await _in_campaign(app)
    await put(app, sa.update(campaign).values(state="completed"))
    _, (second,) = await planned(app, people(1))
    await _happens(app, "opened")
    (one,) = await rows(app, sa.select(event))
    assert one.campaign_id == second != first


async def test_a_campaign_that_the_vendor_completed_is_over(app: App) -> None:
    campaign_id = await _in_campaign(app)
    await _happens(app, "campaign_completed", "", campaign_ref="ref-1")
    assert (await the(app, campaign_id)).state == "completed"


async def test_a_first_message_and_an_answer_are_to_be_told_to_the_crm(app: App) -> None:
    await _in_campaign(app)
    await _happens(app, "sent", campaign_ref="ref-1")
    assert [row.told for row in await rows(app, sa.select(campaign_lead))] == ["contacted_due"]
    await _happens(app, "replied", text="Hm.", campaign_ref="ref-1")
    assert [row.told for row in await rows(app, sa.select(campaign_lead))] == ["replied_due"]
    await _happens(app, "sent", id="sent-2", campaign_ref="ref-1")
    assert [row.told for row in await rows(app, sa.select(campaign_lead))] == ["replied_due"]
