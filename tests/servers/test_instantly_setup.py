"""Whether Instantly is ready, and how its mailboxes are: against the emulator over HTTP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from servers.instantly import tools
from shared.errors import Invalid
from shared.settings import Settings
from tests.servers.instantly_world import World, open_world, people

NAMES = ["unsubscribes", "campaigns", "leads", "mail", "block list", "mailboxes", "webhooks"]


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


async def checks(world: World) -> dict[str, tuple[bool, str]]:
    """What the tool says, by name."""
    return {one.name: (one.ok, one.message) for one in await tools.check_setup.function(world.instantly)}


async def test_a_workspace_that_is_ready_has_a_tick_on_every_line(world: World) -> None:
    await tools.ensure_webhooks.function(world.instantly, "http://127.0.0.1:9")
    found = await checks(world)
    assert list(found) == NAMES
    assert all(ok for ok, _ in found.values()), found


async def test_a_workspace_that_forgets_unsubscribes_is_told_where_to_switch_it_on(world: World) -> None:
    await world.act("workspace", add_unsub_to_block=None)
    ok, message = (await checks(world))["unsubscribes"]
    assert not ok
    assert "Instantly's settings" in message


async def test_webhooks_are_missing_disabled_or_carry_an_old_secret(world: World) -> None:
    assert (await checks(world))["webhooks"] == (
        False,
        "none leads to us; call instantly_ensure_webhooks",
    )
    made = await tools.ensure_webhooks.function(world.instantly, "http://127.0.0.1:9")
    await world.act("disable_webhook", id=made.reference)
    assert "disabled" in (await checks(world))["webhooks"][1]
    again = await tools.ensure_webhooks.function(world.instantly, "http://127.0.0.1:9")
    assert again.detail["change"] == "resumed"
    assert (await checks(world))["webhooks"][0]
    await world.ask("PATCH", f"/webhooks/{made.reference}", {"headers": {"x-swarm-secret": "old"}})
    assert "secret" in (await checks(world))["webhooks"][1]


async def test_a_missing_scope_is_a_line_and_the_others_are_told_all_the_same(world: World) -> None:
    await world.fault(kind="status", path="/block-lists-entries", status=403, times=-1)
    found = await checks(world)
    assert [name for name, (ok, _) in found.items() if not ok] == ["block list", "webhooks"]
    assert "lacks a scope" in found["block list"][1]


async def test_without_a_plan_every_line_says_so(world: World) -> None:
    await world.act("traps", no_plan=True)
    assert all("no active paid plan" in message for _, message in (await checks(world)).values())


async def test_sick_mailboxes_are_counted_by_what_they_lack(world: World) -> None:
    await world.act("workspace", mailbox="ae@outreach.example", status=-1)
    assert (await checks(world))["mailboxes"] == (True, "1 of 2 send; the others: connection_error")
    await world.act("workspace", mailbox="sam@outreach.example", status=-3)
    assert (await checks(world))["mailboxes"][0] is False


async def test_mailboxes_are_listed_with_their_health_and_what_bounced(world: World) -> None:
    ref = await world.live(people(60))
    await world.run(ref)
    page = await tools.list_mailboxes.function(world.instantly)
    sent, bounced = (
        len(await world.log("send")),
        sum(
            lead["status"] == -1
            for lead in (await world.ask("POST", "/leads/list", {"limit": 100})).json()["items"]
        ),
    )
    assert [(box.status, box.warmup, box.daily_limit, box.health_score) for box in page.mailboxes] == [
        ("active", "active", 30, 97)
    ] * 2
    assert sum(box.sent_lately for box in page.mailboxes) == sent == 60
    assert sum(box.bounced_lately for box in page.mailboxes) == bounced > 0
    assert page.missing == ""


async def test_mailboxes_are_listed_though_their_figures_can_not_be_had(world: World) -> None:
    await world.fault(kind="status", path="/accounts/(analytics|warmup)", status=403, times=-1)
    page = await tools.list_mailboxes.function(world.instantly)
    assert [(box.status, box.health_score, box.sent_lately) for box in page.mailboxes] == [
        ("active", -1, -1)
    ] * 2
    assert page.missing == "health_score: scope; sent_lately, bounced_lately: scope"


async def test_a_question_about_too_many_mailboxes_is_asked_in_halves(world: World) -> None:
    for number in range(6):
        await world.act("workspace", mailbox=f"m{number}@outreach.example", status=1)
    await world.fault(kind="status", path="/accounts/analytics/daily", status=413, times=2)
    page = await tools.list_mailboxes.function(world.instantly)
    asked = await world.requests("GET", "/accounts/analytics/daily")
    assert [one["query"].count("emails=") for one in asked] == [8, 4, 2, 2, 4]
    assert [box.sent_lately for box in page.mailboxes] == [0] * 8


@pytest.mark.parametrize(
    "address",
    ["gatekeeper.example", "ftp://gatekeeper.example", "https://", "https://x/?a=1", "https://[x", "http://"],
)
async def test_what_is_no_address_of_a_gatekeeper_is_refused(world: World, address: str) -> None:
    with pytest.raises(Invalid) as caught:
        await tools.ensure_webhooks.function(world.instantly, address)
    assert caught.value.field == "base_url"


async def test_the_secret_never_travels_in_the_clear_but_on_this_machine(world: World) -> None:
    real = replace(world.instantly, sandbox=False)
    with pytest.raises(Invalid) as caught:
        await tools.ensure_webhooks.function(real, "http://gatekeeper.example")
    assert caught.value.code == "not_https"
    assert await world.log() == []
    for address in ("http://127.0.0.1:9", "https://gatekeeper.example"):
        assert (await tools.ensure_webhooks.function(real, address)).status == "applied"
