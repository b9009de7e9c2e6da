"""Pausing a mailbox at Instantly, and letting it send again: over real HTTP, against the emulator."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from servers.instantly import tools
from servers.instantly.resting import find_paused
from shared.effect import Outcome
from shared.errors import Invalid
from shared.ports import ReplyMessage
from shared.settings import Settings
from tests.orchestrator.world import Leaping
from tests.servers.instantly_world import DRAFT, World, open_world, people

BOX, OTHER = DRAFT.mailboxes


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it; whoever waits arrives at once."""
    async with open_world(settings_for, clock=Leaping()) as opened:
        yield opened


async def pause(world: World, box: str = BOX) -> Outcome:
    outcome: Outcome = await tools.pause_mailbox.function(world.instantly, box, "a complaint")
    return outcome


async def resume(world: World, approval: str | None = None) -> Outcome:
    given = await world.approve(mailboxes=[BOX]) if approval is None else approval
    outcome: Outcome = await tools.resume_mailbox.function(world.instantly, BOX, given)
    return outcome


async def status(world: World, box: str = BOX) -> int:
    return int((await world.ask("GET", f"/accounts/{box}")).json()["status"])


async def writers(world: World, ref: str) -> set[str]:
    mails: list[dict[str, Any]] = (await world.ask("GET", "/emails", limit=100)).json()["items"]
    return {mail["eaccount"] for mail in mails if mail["campaign_id"] == ref}


async def test_a_paused_mailbox_shows_it_and_the_others_write(world: World) -> None:
    ref = await world.live(people(6))
    outcome = await pause(world, f" {BOX.upper()} ")
    assert (outcome.status, outcome.reference, outcome.detail) == ("applied", BOX, {"status": "paused"})
    assert (await status(world), await status(world, OTHER)) == (2, 1)
    assert await world.run(ref, steps=2) > 6
    assert await writers(world, ref) == {OTHER}


async def test_where_all_are_paused_nothing_is_written_until_one_is_resumed(world: World) -> None:
    ref = await world.live(people(6))
    for box in DRAFT.mailboxes:
        assert (await pause(world, box)).status == "applied"
    assert await world.run(ref) == 0
    assert (await resume(world)).detail == {"status": "active"}
    assert await world.run(ref) == 6
    assert await writers(world, ref) == {BOX}


@pytest.mark.requirement("K7", "D5")
async def test_a_pause_goes_out_while_everything_is_stopped_and_a_resume_does_not(world: World) -> None:
    await world.kernel.switches.kill(actor="ada", reason="stop")
    assert (await pause(world)).status == "applied"
    assert (await resume(world)).reason == "kill_switch"
    assert await status(world) == 2


async def test_a_pause_that_the_account_does_not_show_is_not_believed(world: World) -> None:
    await world.fault(kind="drop_before", method="POST", path="/pause$", times=-1)
    assert (await pause(world)).status == "in_doubt"
    assert await status(world) == 1


async def test_a_lost_answer_is_looked_up_at_the_account(world: World) -> None:
    await world.fault(kind="drop_after", method="POST", path="/pause$", times=-1)
    assert (await pause(world)).status == "applied"
    (row,) = await world.kernel.ledger.list(actions=["pause_mailbox"])
    assert (row.effect.target, row.effect.content["was"]) == (f"accounts/{BOX}", "active")
    assert await find_paused(world.instantly, row.effect) is not None


async def test_a_mailbox_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(Invalid):
        await pause(world, "nobody@ours.example")


# ── resuming ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A5")
async def test_nothing_is_resumed_without_a_persons_yes_to_this_mailbox(world: World) -> None:
    await pause(world)
    for approval in ("", "made-up", await world.approve(mailboxes=[OTHER])):
        assert (await resume(world, approval)).status == "refused"
    assert await status(world) == 2
    assert await world.log("resume_account") == []


@pytest.mark.requirement("K7")
async def test_nothing_is_resumed_while_it_stands_still_here(world: World) -> None:
    await pause(world)
    given = await world.approve(mailboxes=[BOX])
    await world.kernel.switches.pause(f"mailbox:{BOX}", actor="rule:complaint", reason="1", kind="halt")
    assert (await resume(world, given)).reason == "halted"
    await world.kernel.switches.resume(f"mailbox:{BOX}", actor="ada", reason="looked at")
    assert (await resume(world, given)).status == "applied"
    assert await status(world) == 1


async def test_what_somebody_had_paused_there_before_is_left_paused(world: World) -> None:
    await world.ask("POST", f"/accounts/{BOX}/pause")
    assert (await pause(world)).status == "applied"
    assert (await resume(world)).reason == "not_ours"
    assert await status(world) == 2


async def test_what_was_paused_here_and_resumed_is_not_resumed_for_somebody_who_paused_it_since(
    world: World,
) -> None:
    await pause(world)
    assert (await resume(world)).status == "applied"
    await world.ask("POST", f"/accounts/{BOX}/pause")
    assert (await resume(world)).reason == "not_ours"
    await pause(world)
    assert (await resume(world)).reason == "not_ours"
    assert await status(world) == 2


async def test_a_pause_in_doubt_counts_as_ours(world: World) -> None:
    """Its second attempt finds it paused, by the first."""
    await world.http.put(
        "/_control/faults",
        json=[
            {"kind": "drop_after", "method": "POST", "path": "/pause$", "times": -1},
            {"kind": "drop_before", "method": "GET", "path": "/accounts/", "times": -1, "skip": 1},
        ],
    )
    assert (await pause(world)).status == "in_doubt"
    await world.http.put("/_control/faults", json=[])
    await world.kernel.clock.sleep(601)
    assert (await pause(world)).status == "applied"
    assert (await resume(world)).status == "applied"
    assert await status(world) == 1


@pytest.mark.requirement("H2")
async def test_no_answer_is_sent_from_a_mailbox_that_stands_still(world: World) -> None:
    ref = await world.live(people(1))
    await world.run(ref)
    lead = people(1)[0].email
    message = (await world.act("receive", lead=lead, text="What does it cost?"))["id"]
    box = (await world.ask("GET", f"/emails/{message}")).json()["eaccount"]
    reply = ReplyMessage(message, lead, box, "Re: A question", "Nothing.")
    given = await world.approve(replies=[reply])
    await world.kernel.switches.pause(f"mailbox:{box}", actor="rule:complaint", reason="1", kind="halt")
    assert (await tools.send_reply.function(world.instantly, reply, given)).reason == "halted"
    await world.kernel.switches.resume(f"mailbox:{box}", actor="ada", reason="looked at")
    assert (await tools.send_reply.function(world.instantly, reply, given)).status == "applied"


async def test_a_campaign_is_started_with_one_mailbox_left_and_not_with_none(world: World) -> None:
    ref = await world.drafted()
    await world.enrolled(ref, people(2))
    for box in DRAFT.mailboxes:
        await world.kernel.switches.pause(f"mailbox:{box}", actor="rule:complaint", reason="1", kind="halt")
    start = tools.activate_campaign.function
    given = await world.approve()
    assert (await start(world.instantly, ref, "c-1", given)).reason == "halted"
    await world.kernel.switches.resume(f"mailbox:{BOX}", actor="ada", reason="looked at")
    assert (await start(world.instantly, ref, "c-1", given)).status == "applied"
