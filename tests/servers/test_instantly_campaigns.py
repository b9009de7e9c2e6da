"""Instantly's campaigns through the gate, against the emulator over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from servers.instantly import SERVER, tools
from servers.instantly.effects import _started
from shared.effect import Outcome
from shared.errors import Conflict, Invalid
from shared.ports import CampaignDraft, SendingWindow
from shared.settings import Settings
from tests.servers.instantly_world import DRAFT, World, open_world, people


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


async def create(world: World, draft: CampaignDraft = DRAFT) -> Outcome:
    """The tool, called in process."""
    outcome: Outcome = await tools.create_campaign.function(world.instantly, draft)
    return outcome


async def test_a_campaign_is_created_as_a_draft_with_the_mailboxes_the_vendor_first_ignored(
    world: World,
) -> None:
    outcome = await create(world)
    held = (await world.ask("GET", f"/campaigns/{outcome.reference}")).json()
    assert outcome.status == "applied"
    assert held["status"] == 0
    assert held["email_list"] == list(DRAFT.mailboxes)


async def test_a_campaign_holds_only_variables_and_the_unsubscribe_link(world: World) -> None:
    held = (await world.ask("GET", f"/campaigns/{await world.drafted()}")).json()
    steps = held["sequences"][0]["steps"]
    assert [step["delay"] for step in steps] == [3, 4, 0]
    assert [step["variants"][0]["subject"] for step in steps] == [
        "{{subject_1}}",
        "{{subject_2}}",
        "{{subject_3}}",
    ]
    assert all('<a href="{unsubscribe_link}">' in step["variants"][0]["body"] for step in steps)
    assert held["insert_unsubscribe_header"] is True
    assert held["stop_on_reply"] is True


async def test_weekdays_begin_with_sunday_at_the_vendor(world: World) -> None:
    window = SendingWindow(timezone="Europe/London", weekdays=(0, 6))
    ref = await world.drafted(replace(DRAFT, window=window))
    one = (await world.ask("GET", f"/campaigns/{ref}")).json()["campaign_schedule"]["schedules"][0]
    assert [day for day, on in one["days"].items() if on] == ["0", "1"]
    assert one["timezone"] == "Europe/Isle_of_Man"


async def test_a_zone_without_an_equal_is_told_in_the_outcome(world: World) -> None:
    outcome = await create(world, replace(DRAFT, window=SendingWindow(timezone="America/Los_Angeles")))
    assert outcome.detail["timezone"] == "America/Anchorage"
    assert "no time zone with the clock of America/Los_Angeles" in str(outcome.detail["warning"])


@pytest.mark.parametrize("zone", ["America/New_York", "America/Los_Angeles", "Europe/London"])
async def test_mail_leaves_in_the_zone_asked_for_in_winter_and_in_summer(world: World, zone: str) -> None:
    draft = replace(DRAFT, window=SendingWindow(timezone=zone, start="09:00", end="17:00"))
    ref = await world.drafted(draft)
    await world.enrolled(ref, people(8))
    await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve(draft=draft))
    for day in (datetime(2026, 1, 14), datetime(2026, 7, 15)):
        for clock, leaves in (("08:59", False), ("17:00", False), ("09:00", True)):
            hour, minute = map(int, clock.split(":"))
            at = day.replace(hour=hour, minute=minute, tzinfo=ZoneInfo(zone))
            done = await world.act("run", campaign=ref, at=at.isoformat())
            assert (done["sent"] > 0) is leaves, at


async def test_creating_the_same_campaign_again_calls_nobody(world: World) -> None:
    first, second = await create(world), await create(world)
    assert (second.status, second.reference) == ("replayed", first.reference)
    assert len(await world.requests("POST", "/campaigns")) == 1


async def test_a_create_whose_answer_is_lost_is_found_again_and_never_repeated(world: World) -> None:
    await world.fault(kind="drop_after", method="POST", path="/campaigns$")
    assert (await create(world)).status == "in_doubt"
    outcome = await create(world)
    assert outcome.status == "applied"
    assert len(await world.log("create_campaign")) == 1


async def test_a_create_answered_with_an_error_body_is_in_doubt(world: World) -> None:
    await world.fault(kind="error_body", method="POST", path="/campaigns$")
    assert (await create(world)).status == "in_doubt"


async def test_a_half_made_draft_is_adopted_and_completed(world: World) -> None:
    await world.fault(kind="status", method="PATCH", path="/campaigns/", status=400)
    assert (await create(world)).status == "in_doubt"
    outcome = await create(world)
    held = (await world.ask("GET", f"/campaigns/{outcome.reference}")).json()
    assert outcome.status == "applied"
    assert held["email_list"] == list(DRAFT.mailboxes)
    assert len(await world.log("create_campaign")) == 1


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("draft.day_offsets", {"day_offsets": (0, 3, 3)}),
        ("draft.day_offsets", {"day_offsets": (1, 3)}),
        ("draft.mailboxes", {"mailboxes": ()}),
        ("window.timezone", {"window": SendingWindow(timezone="Mars/Olympus")}),
    ],
)
async def test_an_impossible_draft_is_refused_by_field(
    world: World, field: str, changes: dict[str, object]
) -> None:
    with pytest.raises(Invalid) as caught:
        await create(world, replace(DRAFT, **changes))  # type: ignore[arg-type]  # several fields by name
    assert caught.value.field == field
    assert await world.log() == []


async def test_safe_mode_asks_the_vendor_nothing(settings_for: Callable[..., Settings]) -> None:
    async with open_world(settings_for, SAFE_MODE="true") as world:
        assert (await create(world)).status == "simulated"
        assert (await world.http.get("/_control/requests")).json() == []


async def test_starting_needs_an_approval(world: World) -> None:
    ref = await world.drafted()
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1")
    assert (outcome.status, outcome.reason) == ("refused", "needs_approval")
    assert await world.log("activate_campaign") == []


async def test_an_approved_campaign_starts(world: World) -> None:
    await world.live(people(1))
    assert len(await world.log("activate_campaign")) == 1


async def test_a_campaign_whose_words_were_changed_at_the_vendor_is_not_started(world: World) -> None:
    ref = await world.drafted()
    held = (await world.ask("GET", f"/campaigns/{ref}")).json()
    held["sequences"][0]["steps"][1]["variants"][0]["body"] = "<div>Buy now!</div>"
    await world.ask("PATCH", f"/campaigns/{ref}", {"sequences": held["sequences"]})
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve())
    assert (outcome.status, outcome.reason) == ("failed", "changed_at_vendor")
    assert await world.log("activate_campaign") == []


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("stop_on_reply", {"stop_on_reply": False}),
        ("insert_unsubscribe_header", {"insert_unsubscribe_header": False}),
        ("disable_bounce_protect", {"disable_bounce_protect": True}),
        ("allow_risky_contacts", {"allow_risky_contacts": True}),
        ("email_list", {"email_list": ["ae@outreach.example"]}),
        ("daily_limit", {"daily_limit": 900}),
        ("bcc_list", {"bcc_list": ["someone@elsewhere.example"]}),
        ("first_email_text_only", {"first_email_text_only": True}),
        ("open_tracking", {"open_tracking": False}),
        ("name", {"name": "Other · swarm-c-1"}),
    ],
)
async def test_a_campaign_changed_at_the_vendor_is_not_started_and_the_field_is_named(
    world: World, field: str, changed: dict[str, object]
) -> None:
    ref = await world.drafted()
    await world.ask("PATCH", f"/campaigns/{ref}", changed)
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve())
    assert (outcome.status, outcome.reason) == ("failed", "changed_at_vendor")
    assert field in outcome.message
    assert await world.log("activate_campaign") == []


async def test_hours_and_rhythm_changed_at_the_vendor_are_named(world: World) -> None:
    ref = await world.drafted()
    held = (await world.ask("GET", f"/campaigns/{ref}")).json()
    held["campaign_schedule"]["schedules"][0]["timing"]["to"] = "23:00"
    held["sequences"][0]["steps"][0]["delay"] = 1
    changed = {key: held[key] for key in ("campaign_schedule", "sequences")}
    await world.ask("PATCH", f"/campaigns/{ref}", changed)
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve())
    assert "campaign_schedule, sequences" in outcome.message


async def test_a_yes_to_one_draft_does_not_start_another(world: World) -> None:
    ref, approval = await world.drafted(), await world.approve()
    later = replace(DRAFT, window=SendingWindow(timezone="America/New_York", start="06:00", end="22:00"))
    changed = await tools.update_campaign.function(world.instantly, ref, later)
    refused = await tools.activate_campaign.function(world.instantly, ref, "c-1", approval)
    started = await tools.activate_campaign.function(
        world.instantly, ref, "c-1", await world.approve(draft=later)
    )
    assert (changed.status, refused.reason) == ("applied", "approval_mismatch")
    assert started.status == "applied"


async def test_a_campaign_is_told_in_our_words_with_what_was_changed_there(world: World) -> None:
    ref = await world.drafted()
    made = await tools.get_campaign.function(world.instantly, ref)
    assert (made.status, made.campaign_id, made.timezone, made.start, made.end) == (
        *("draft", "c-1", "America/Detroit"),
        *("09:00", "17:00"),
    )
    assert (made.weekdays, made.day_offsets, made.mailboxes, made.daily_limit) == (
        (0, 1, 2, 3, 4),
        DRAFT.day_offsets,
        DRAFT.mailboxes,
        30,
    )
    assert made.changed == ()
    await world.ask("PATCH", f"/campaigns/{ref}", {"daily_limit": 900, "stop_on_reply": False})
    changed = (await tools.get_campaign.function(world.instantly, ref)).changed
    assert set(changed) == {"daily_limit", "stop_on_reply"}
    held = (await world.ask("GET", f"/campaigns/{ref}")).json()
    fields = {"name": "By hand", "campaign_schedule": held["campaign_schedule"]}
    theirs = (await world.ask("POST", "/campaigns", fields)).json()["id"]
    by_hand = await tools.get_campaign.function(world.instantly, theirs)
    assert (by_hand.campaign_id, by_hand.changed) == ("", ())


async def test_another_draft_under_the_same_id_is_told_how_to_change_it(world: World) -> None:
    await world.drafted()
    with pytest.raises(Conflict) as caught:
        await create(world, replace(DRAFT, daily_limit=10))
    assert "instantly_update_campaign" in caught.value.message


async def test_a_campaign_drafted_elsewhere_is_not_started(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        await tools.activate_campaign.function(world.instantly, "ref", "c-9", await world.approve())
    assert (caught.value.field, caught.value.code) == ("campaign_id", "not_drafted")


@pytest.mark.parametrize("setting", [False, None])
async def test_nothing_starts_while_the_workspace_forgets_unsubscribes(
    world: World, setting: bool | None
) -> None:
    ref = await world.drafted()
    await world.act("workspace", add_unsub_to_block=setting)
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve())
    assert (outcome.status, outcome.reason) == ("failed", "unsubscribes_not_blocked")
    assert "switch it on in Instantly's settings" in outcome.message
    assert await world.log("activate_campaign") == []
    await world.act("workspace", add_unsub_to_block=True)
    outcome = await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve())
    assert outcome.status == "applied"


async def test_a_paused_campaign_is_changed_and_one_that_sends_is_not(world: World) -> None:
    ref = await world.live(people(1))
    later = replace(DRAFT, daily_limit=50, mailboxes=("sam@outreach.example",))
    refused = await tools.update_campaign.function(world.instantly, ref, later)
    await tools.pause_campaign.function(world.instantly, ref, "to change it")
    changed = await tools.update_campaign.function(world.instantly, ref, later)
    held = (await world.ask("GET", f"/campaigns/{ref}")).json()
    assert (refused.status, refused.reason) == ("failed", "wrong_status")
    assert (changed.status, held["daily_limit"], held["email_list"]) == ("applied", 50, list(later.mailboxes))
    resumed = await tools.resume_campaign.function(
        world.instantly, ref, "c-1", await world.approve(draft=later)
    )
    assert resumed.status == "applied"


async def test_a_change_asked_for_twice_is_carried_out_twice(world: World) -> None:
    ref = await world.drafted()
    for limit in (50, 40, 50):
        changed = await tools.update_campaign.function(
            world.instantly, ref, replace(DRAFT, daily_limit=limit)
        )
        assert changed.status == "applied"
    assert (await world.ask("GET", f"/campaigns/{ref}")).json()["daily_limit"] == 50


@pytest.mark.parametrize(
    ("reason", "changes"),
    [("steps_fixed", {"day_offsets": (0, 3)}), ("wrong_campaign", {"campaign_id": "c-2"})],
)
async def test_a_change_that_people_s_messages_would_not_fit_is_refused(
    world: World, reason: str, changes: dict[str, object]
) -> None:
    later = replace(DRAFT, **changes)  # type: ignore[arg-type]  # several fields by name
    outcome = await tools.update_campaign.function(world.instantly, await world.drafted(), later)
    assert (outcome.status, outcome.reason) == ("failed", reason)


async def test_another_key_does_not_make_another_campaign(world: World) -> None:
    first = await tools.create_campaign.function(world.instantly, DRAFT, "one")
    second = await tools.create_campaign.function(world.instantly, DRAFT, "two")
    assert (second.status, second.reference) == ("replayed", first.reference)
    assert len(await world.log("create_campaign")) == 1


async def test_a_copy_of_a_campaign_is_told_apart_by_a_person(world: World) -> None:
    ref = await world.drafted()
    held = (await world.ask("GET", f"/campaigns/{ref}")).json()
    copied = {key: held[key] for key in ("campaign_schedule", "sequences")}
    await world.ask("POST", "/campaigns", {**copied, "name": f"Copy of {held['name']}"})
    find = SERVER.lookups[("instantly", "create_campaign")]
    row = await world.kernel.ledger.list(actions=("create_campaign",))
    with pytest.raises(Invalid) as caught:
        await find(world.instantly, row[0].effect)
    assert caught.value.code == "ambiguous_name"


async def test_an_approval_of_one_campaign_starts_no_other(world: World) -> None:
    await world.drafted()
    other = await world.drafted(replace(DRAFT, campaign_id="c-2"))
    outcome = await tools.activate_campaign.function(world.instantly, other, "c-1", await world.approve())
    assert (outcome.status, outcome.reason) == ("failed", "wrong_campaign")


async def test_a_start_whose_answer_is_lost_is_looked_up_by_the_campaigns_name(world: World) -> None:
    ref, approval = await world.drafted(), await world.approve()
    await world.fault(kind="drop_after", method="POST", path="/activate$")
    first = await tools.activate_campaign.function(world.instantly, ref, "c-1", approval)
    again = await tools.activate_campaign.function(world.instantly, ref, "c-1", approval)
    assert (first.status, again.status) == ("in_doubt", "replayed")
    assert len(await world.log("activate_campaign")) == 1


async def test_pausing_is_allowed_while_killed_and_confirmed(world: World) -> None:
    ref = await world.live(people(1))
    await world.kernel.switches.kill(actor="Ada", reason="test")
    outcome = await tools.pause_campaign.function(world.instantly, ref, "test")
    assert (outcome.status, outcome.detail["status"]) == ("applied", "paused")
    assert (await world.ask("GET", f"/campaigns/{ref}")).json()["status"] == 2


async def test_pausing_works_every_time_it_is_asked_for(world: World) -> None:
    ref = await world.live(people(1))
    for _ in range(2):
        assert (await tools.pause_campaign.function(world.instantly, ref, "test")).status == "applied"
        resumed = await tools.resume_campaign.function(world.instantly, ref, "c-1", await world.approve())
        assert resumed.status == "applied"
    assert len(await world.log("pause_campaign")) == 2
    assert len(await world.log("activate_campaign")) == 3


async def test_a_pause_whose_answer_is_lost_is_confirmed_by_the_campaign(world: World) -> None:
    ref = await world.live(people(1))
    await world.fault(kind="drop_after", method="POST", path="/pause$", times=-1)
    assert (await tools.pause_campaign.function(world.instantly, ref, "test")).status == "applied"


def test_a_start_that_the_vendor_holds_back_counts_as_started_and_says_so() -> None:
    assert _started("ref", "unhealthy").detail["status"] == "unhealthy"


async def test_a_pause_that_did_not_take_is_in_doubt(world: World) -> None:
    ref = await world.live(people(1))
    await world.fault(kind="status", method="POST", path="/pause$", status=500, times=-1)
    outcome = await tools.pause_campaign.function(world.instantly, ref, "test")
    assert outcome.status == "in_doubt"


async def test_pausing_a_draft_that_sends_nothing_is_confirmed(world: World) -> None:
    outcome = await tools.pause_campaign.function(world.instantly, await world.drafted(), "test")
    assert outcome.status == "applied"


async def test_a_simulated_campaign_is_never_asked_about(settings_for: Callable[..., Settings]) -> None:
    async with open_world(settings_for) as world:
        await world.kernel.switches.engage_safe_mode(actor="Ada", reason="a rehearsal")
        assert (await create(world)).status == "simulated"
        await world.kernel.switches.leave_safe_mode(actor="Ada", reason="it is over")
        paused = await tools.pause_campaign.function(world.instantly, "simulated:c-1", "test")
        started = await tools.activate_campaign.function(
            world.instantly, "simulated:c-1", "c-1", await world.approve()
        )
        with pytest.raises(Invalid):
            await tools.get_campaign.function(world.instantly, "simulated:c-1")
        assert (paused.status, started.reason) == ("applied", "simulated")
        assert (await world.http.get("/_control/requests")).json() == []


async def test_every_campaign_is_listed_though_the_last_page_carries_a_cursor(world: World) -> None:
    for number in range(3):
        await world.drafted(replace(DRAFT, campaign_id=f"c-{number}"))
    page = await tools.list_campaigns.function(world.instantly, search="swarm-c-1")
    assert [campaign.status for campaign in page.campaigns] == ["draft"]
    everything = await tools.list_campaigns.function(world.instantly)
    assert len(everything.campaigns) == 3
    assert (await tools.list_campaigns.function(world.instantly, everything.next_cursor)).campaigns == ()


async def test_figures_count_what_was_sent(world: World) -> None:
    ref = await world.live(people(3))
    await world.run(ref)
    figures = await tools.get_campaign_analytics.function(world.instantly, ref)
    assert (figures.leads, figures.contacted, figures.sent, figures.status) == (3, 3, 3, "active")


async def test_every_writing_action_can_be_looked_up_from_the_ledger_alone() -> None:
    actions = {action for _, action in SERVER.lookups}
    writing = {tool.name for tool in SERVER.tools if tool.writes} - {"add_leads_to_campaign"}
    assert actions == writing | {"add_lead"}
