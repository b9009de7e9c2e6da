"""The sixteen traps: the emulator lays each, can take each away, and none of them catches us."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly import tools
from servers.instantly.events import parse
from servers.instantly.sandbox_traps import TRAPS
from shared.errors import Fatal, SwarmError
from shared.ports import ReplyMessage, SendingWindow
from shared.sandbox import serve
from shared.settings import Settings
from tests.orchestrator.world import Leaping
from tests.servers.instantly_world import DRAFT, World, open_world, people, person

MONDAY = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("America/New_York"))


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it; whoever waits arrives at once."""
    async with open_world(settings_for, clock=Leaping()) as opened:
        yield opened


async def without(world: World, trap: str) -> None:
    """Take that trap away."""
    assert (await world.act("traps", **{trap: False}))[trap] is False


async def sent_at(world: World, ref: str, at: datetime) -> int:
    """How many messages leave at that moment."""
    return int((await world.act("run", campaign=ref, at=at.isoformat()))["sent"])


def bodies(answer: httpx.Response) -> Any:
    """An answer's JSON."""
    return answer.json()


async def test_page_over_100_is_empty(world: World) -> None:
    values = [f"kim{number}@acme.example" for number in range(120)]
    await tools.add_to_blocklist.function(world.instantly, values, "asked")
    assert bodies(await world.ask("GET", "/block-lists-entries", limit=500)) == {"items": []}
    first = await tools.list_blocklist.function(world.instantly)
    second = await tools.list_blocklist.function(world.instantly, first.next_cursor)
    assert [entry.value for entry in (*first.entries, *second.entries)] == values
    await without(world, "page_over_100_is_empty")
    assert (await world.ask("GET", "/block-lists-entries", limit=500)).status_code == 400


async def test_cursor_on_last_page(world: World) -> None:
    refs = [await world.drafted(replace(DRAFT, campaign_id=f"c-{number}")) for number in range(3)]
    page = bodies(await world.ask("GET", "/campaigns"))
    assert page["next_starting_after"] == refs[-1]
    again = await tools.create_campaign.function(world.instantly, replace(DRAFT, campaign_id="c-9"))
    assert again.status == "applied"  # looked for among all of them, and the search came to an end
    await without(world, "cursor_on_last_page")
    assert "next_starting_after" not in bodies(await world.ask("GET", "/campaigns"))


async def test_success_that_is_none(world: World) -> None:
    ref = await world.drafted()
    await world.ask("POST", "/block-lists-entries", {"bl_value": "acme1.example"})
    outcome = await world.enrolled(ref, people(3))
    assert [one.status for one in outcome.outcomes] == ["applied", "failed", "applied"]
    assert bodies(await world.ask("POST", "/emails/test", {"eaccount": "x@y.example"})) == {
        "error": "ACC_NOT_FOUND"
    }
    await without(world, "success_that_is_none")
    refused = await world.ask("POST", "/leads/add", {"campaign_id": ref, "leads": [{"email": "nonsense"}]})
    assert refused.status_code == 400


async def test_accepted_is_not_applied(world: World) -> None:
    ref = await world.live([person("kim@acme.example")])
    change = {"lead_email": "kim@acme.example", "interest_value": -1}

    async def held() -> Any:
        return bodies(await world.ask("POST", "/leads/list", {}))["items"][0].get("lt_interest_status")

    first = await world.ask("POST", "/leads/update-interest-status", change)
    at_once = await held()
    await world.run(ref)
    assert (first.status_code, at_once, await held()) == (202, None, -1)
    await without(world, "accepted_is_not_applied")
    await world.ask("POST", "/leads/update-interest-status", {**change, "interest_value": -3})
    assert await held() == -3
    unknown = await world.ask(
        "POST", "/leads/update-interest-status", {**change, "lead_email": "x@y.example"}
    )
    assert (unknown.status_code, bodies(unknown)) == (400, {"error": "Invalid lead email"})


async def test_campaign_or_campaign_id(world: World) -> None:
    other = await world.drafted(replace(DRAFT, campaign_id="c-2"))
    await world.ask("POST", "/leads", {"campaign": other, "email": "lee@acme.example"})
    ref = await world.live(people(2))
    everybody = bodies(await world.ask("POST", "/leads/list", {"campaign_id": ref}))["items"]
    ours = bodies(await world.ask("POST", "/leads/list", {"campaign": ref}))["items"]
    assert (len(everybody), len(ours)) == (3, 2)
    assert (
        await world.ask("POST", "/leads", {"campaign_id": ref, "email": "x@y.example"})
    ).status_code == 400
    await world.fault(kind="drop_after", method="POST", path="/leads/add$")
    await world.enrolled(ref, people(3))
    await world.enrolled(ref, people(3))
    asked = [one["json"] for one in await world.requests("POST", "/leads/list") if "contacts" in one["json"]]
    assert asked
    assert all(one["campaign"] == ref and "campaign_id" not in one for one in asked)
    await without(world, "campaign_or_campaign_id")
    assert (await world.ask("POST", "/leads/list", {"campaign_id": ref})).status_code == 400


async def test_closed_time_zones(world: World) -> None:
    held = bodies(await world.ask("GET", f"/campaigns/{await world.drafted()}"))
    (hours,) = held["campaign_schedule"]["schedules"]
    assert (DRAFT.window.timezone, hours["timezone"]) == ("America/New_York", "America/Detroit")
    asked = {"name": "x", "campaign_schedule": {"schedules": [{**hours, "timezone": "America/New_York"}]}}
    assert (await world.ask("POST", "/campaigns", asked)).status_code == 400
    await without(world, "closed_time_zones")
    assert (await world.ask("POST", "/campaigns", asked)).status_code == 200


async def test_days_from_sunday(world: World) -> None:
    ref = await world.live(people(40))
    sunday, friday = MONDAY - timedelta(days=1), MONDAY + timedelta(days=4)
    assert [await sent_at(world, ref, at) for at in (sunday, sunday - timedelta(days=1))] == [0, 0]
    assert await sent_at(world, ref, friday) == 40
    await without(world, "days_from_sunday")
    # By Monday as day 0 the same schedule would be open on Saturday, and closed on Monday.
    week = timedelta(days=7)
    assert await sent_at(world, ref, MONDAY + week) == 0
    assert await sent_at(world, ref, MONDAY + week + timedelta(days=5)) > 0


async def test_delay_is_the_gap_after(world: World) -> None:
    window = SendingWindow(timezone="America/New_York", weekdays=(0, 1, 2, 3, 4, 5, 6))
    draft = replace(DRAFT, window=window, day_offsets=(0, 2, 9))
    ref = await world.drafted(draft)
    await world.enrolled(ref, people(20))
    await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve(draft=draft))
    steps: dict[int, list[int]] = {}
    for day in range(12):
        before = len(await world.log("send"))
        await sent_at(world, ref, MONDAY + timedelta(days=day))
        for entry in (await world.log("send"))[before:]:
            steps.setdefault(entry["detail"]["step"], []).append(day)
    assert {step: set(days) for step, days in steps.items()} == {1: {0}, 2: {2}, 3: {9}}


async def test_delay_is_the_gap_after_when_taken_away_belongs_to_its_own_step(world: World) -> None:
    await without(world, "delay_is_the_gap_after")
    window = SendingWindow(timezone="America/New_York", weekdays=(0, 1, 2, 3, 4, 5, 6))
    draft = replace(DRAFT, window=window, day_offsets=(0, 2, 9))
    ref = await world.drafted(draft)
    await world.enrolled(ref, people(20))
    await tools.activate_campaign.function(world.instantly, ref, "c-1", await world.approve(draft=draft))
    await sent_at(world, ref, MONDAY)
    assert await sent_at(world, ref, MONDAY + timedelta(days=2)) == 0  # the second step's own seven days


async def test_delete_takes_all(world: World) -> None:
    ref = await world.live(people(3))
    await tools.remove_lead.function(world.instantly, "kim0@acme0.example", "asked")
    assert len(bodies(await world.ask("POST", "/leads/list", {"campaign": ref}))["items"]) == 2
    assert await world.requests("DELETE", "/leads") == []
    await without(world, "delete_takes_all")
    assert (await world.ask("DELETE", "/leads", {"campaign_id": ref})).status_code == 400
    assert (await world.ask("DELETE", "/block-lists-entries")).status_code == 400
    await world.act("traps", delete_takes_all=True)
    assert bodies(await world.ask("DELETE", "/leads", {"campaign_id": ref})) == {"count": 2}


async def test_webhook_names_differ(world: World) -> None:
    arrived: list[dict[str, Any]] = []

    async def take(request: Request) -> Response:
        arrived.append(await request.json())
        return JSONResponse({})

    ref = await world.live([person("kim@acme.example")])
    async with serve(Starlette(routes=[Route("/webhooks/instantly", take, methods=["POST"])])) as url:
        await tools.ensure_webhooks.function(world.instantly, url)
        await world.run(ref)
        for taken_away in (False, True):
            if taken_away:
                await without(world, "webhook_names_differ")
            await world.act("happen", lead="kim@acme.example", event="link_clicked")
            await world.act("receive", lead="kim@acme.example", text="I am away.", automatic=True)
    told = [one for one in arrived if one["event_type"] not in {"email_sent", "email_opened"}]
    assert [one["event_type"] for one in told] == [
        "link_clicked",
        "auto_reply_received",
        "email_link_clicked",
        "reply_received",
    ]
    assert [parse(one).type for one in told] == ["clicked", "auto_replied", "clicked", "replied"]


async def test_automatic_replies_apart(world: World) -> None:
    ref = await world.live([person("kim@acme.example")])
    await world.run(ref)
    before = await tools.get_campaign_analytics.function(world.instantly, ref)
    await world.act("receive", lead="kim@acme.example", text="I am away.", automatic=True)
    after = await tools.get_campaign_analytics.function(world.instantly, ref)
    assert (after.replies - before.replies, after.auto_replies - before.auto_replies) == (0, 1)
    await without(world, "automatic_replies_apart")
    assert (await tools.get_campaign_analytics.function(world.instantly, ref)).replies == after.replies + 1


async def test_too_large(world: World) -> None:
    assert (await world.ask("GET", "/accounts/analytics/daily")).status_code == 413
    page = await tools.list_mailboxes.function(world.instantly)
    assert page.missing == ""
    assert [box.sent_lately for box in page.mailboxes] == [0, 0]
    await without(world, "too_large")
    assert (await world.ask("GET", "/accounts/analytics/daily")).status_code == 200


async def test_mail_has_its_own_limit(world: World) -> None:
    for _ in range(45):
        await tools.get_replies.function(world.instantly)
    reads = await world.requests("GET", "/emails")
    assert [one["status"] for one in reads] == [200] * 45
    assert [(await world.ask("GET", "/emails")).status_code for _ in range(21)][-1] == 429
    await without(world, "mail_has_its_own_limit")
    assert (await world.ask("GET", "/emails")).status_code == 200


async def test_mail_has_its_own_limit_and_retries_are_in_it(world: World) -> None:
    begun = world.instantly.clock.monotonic()
    every_sixth = [
        {"kind": "status", "path": "/emails$", "status": 503, "skip": 6 * number} for number in range(10)
    ]
    await world.http.put("/_control/faults", json=every_sixth)
    for _ in range(50):
        await tools.get_replies.function(world.instantly)
    reads = await world.requests("GET", "/emails")
    assert len(reads) == 60
    assert "429" not in json.dumps([one["status"] for one in reads])
    assert world.instantly.clock.monotonic() - begun > 120  # sixty reads, twenty a minute


async def test_mail_has_its_own_limit_and_holds_back_nobody_who_stops(world: World) -> None:
    ref = await world.live(people(1))
    await world.fault(kind="status", path="/emails$", status=429, retry_after="300", times=-1)
    with pytest.raises(SwarmError):
        await tools.get_replies.function(world.instantly)
    begun = world.instantly.clock.monotonic()
    paused = await tools.pause_campaign.function(world.instantly, ref, "asked")
    removed = await tools.remove_lead.function(world.instantly, people(1)[0].email, "asked")
    assert (paused.status, removed.status) == ("applied", "applied")
    assert world.instantly.clock.monotonic() - begun < 30


async def test_checking_costs(world: World) -> None:
    ref = await world.live(people(5))
    await world.run(ref)
    await tools.check_setup.function(world.instantly)
    assert await world.log("spend_credits") == []
    lead = {"email": "x@y.example"}
    await world.ask(
        "POST", "/leads/add", {"campaign_id": ref, "leads": [lead], "verify_leads_on_import": True}
    )
    await world.ask("POST", "/email-verification", lead)
    assert [entry["detail"]["credits"] for entry in await world.log("spend_credits")] == [1, 1]
    await without(world, "checking_costs")
    assert bodies(await world.ask("POST", "/email-verification", lead))["credits_used"] == 0


async def test_no_plan(world: World) -> None:
    ref = await world.drafted()
    await world.act("traps", no_plan=True)
    refused = await world.ask("GET", "/campaigns")
    assert (refused.status_code, bodies(refused)["error"]) == (402, "Payment Required")
    before = len(await world.requests("GET", f"/campaigns/{ref}"))
    with pytest.raises(Fatal) as caught:
        await tools.get_campaign.function(world.instantly, ref)
    assert caught.value.code == "no_plan"
    assert len(await world.requests("GET", f"/campaigns/{ref}")) == before + 1  # no use trying again
    outcome = await world.enrolled(ref, people(2))
    assert [(one.status, one.reason) for one in outcome.outcomes] == [("failed", "no_plan")] * 2


async def test_misspelt_in_the_document(world: World) -> None:
    await world.run(await world.live([person("kim@acme.example")]))
    message = (await world.act("receive", lead="kim@acme.example", text="Yes?"))["id"]
    box = bodies(await world.ask("GET", f"/emails/{message}"))["eaccount"]
    asked = {"reyply_to_uuid": message, "eaccount": box, "subject": "Re: x", "body": {"text": "y"}}
    refused = await world.ask("POST", "/emails/reply", asked)
    assert bodies(refused)["message"] == "body must have required property 'reply_to_uuid'"
    reply = ReplyMessage(message, "kim@acme.example", box, "Re: A question", "Gladly.")
    approval = await world.approve(replies=[reply])
    assert (await tools.send_reply.function(world.instantly, reply, approval)).status == "applied"
    await without(world, "misspelt_in_the_document")
    assert (await world.ask("POST", "/emails/reply", asked)).status_code == 200


def test_each_of_the_sixteen_has_a_test_by_its_name() -> None:
    assert len(TRAPS) == 16
    assert all(f"test_{name}" in globals() for name in TRAPS)


async def test_a_trap_that_is_none_is_told(world: World) -> None:
    assert "no such trap: nonsense" in (await world.act("traps", nonsense=True))["error"]
