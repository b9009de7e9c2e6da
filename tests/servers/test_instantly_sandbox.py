"""The emulator of Instantly: its traps, and what it does by itself."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from servers.instantly import tools
from servers.instantly.events import parse
from servers.instantly.sandbox import build
from servers.instantly.sandbox_tempers import temper
from shared.sandbox import serve
from shared.settings import Settings
from tests.servers.instantly_world import World, open_world, people

WEEKDAYS = {"name": "w", "timing": {"from": "09:00", "to": "17:00"}, "days": {"1": True}}
CAMPAIGN = {
    "name": "c",
    "campaign_schedule": {"schedules": [{**WEEKDAYS, "timezone": "America/Chicago"}]},
    "email_list": ["me@outreach.example"],
}

STEPS = {
    "sequences": [
        {"steps": [{"type": "email", "delay": 0, "variants": [{"subject": "Hi", "body": "Words"}]}]}
    ]
}


@asynccontextmanager
async def emulator(state: Path, pace: float) -> AsyncIterator[httpx.AsyncClient]:
    """An emulator with a state file, and a client with a key."""
    headers = {"authorization": "Bearer x"}
    async with (
        serve(build(state, pace=pace)) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as http,
    ):
        yield http


@pytest.fixture
async def world(settings_for: Callable[..., Settings]) -> AsyncIterator[World]:
    """A live kernel with the emulator behind it."""
    async with open_world(settings_for) as opened:
        yield opened


async def received(world: World, campaign: str, steps: int = 1) -> list[dict[str, Any]]:
    """Run the campaign with a receiver subscribed; the payloads that arrived, with their headers."""
    arrived: list[dict[str, Any]] = []

    async def take(request: Request) -> Response:
        arrived.append({"headers": dict(request.headers), **(await request.json())})
        return JSONResponse({})

    async with serve(Starlette(routes=[Route("/webhooks/instantly", take, methods=["POST"])])) as url:
        await tools.ensure_webhooks.function(world.instantly, url)
        await world.run(campaign, steps)
    return arrived


async def test_a_request_without_a_key_is_refused(world: World) -> None:
    answer = await world.http.get("/api/v2/campaigns")
    assert (answer.status_code, answer.json()["error"]) == (401, "Unauthorized")


async def test_a_declared_type_without_a_body_is_refused(world: World) -> None:
    headers = {"authorization": "Bearer x", "content-type": "application/json"}
    assert (await world.http.delete("/api/v2/leads/x", headers=headers)).status_code == 400


async def test_a_zone_outside_the_closed_list_is_refused_by_its_path(world: World) -> None:
    schedule = {"schedules": [{**WEEKDAYS, "timezone": "America/New_York"}]}
    answer = await world.ask("POST", "/campaigns", {**CAMPAIGN, "campaign_schedule": schedule})
    assert answer.json() == {
        "statusCode": 400,
        "error": "Bad Request",
        "message": "body/campaign_schedule/schedules/0/timezone must be equal to one of the allowed values",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": 1}, "body must NOT have additional properties"),
        ({"daily_limit": "30"}, "body/daily_limit must be number,null"),
        (
            {"campaign_schedule": {"schedules": []}},
            "body/campaign_schedule/schedules must NOT have fewer than 1 items",
        ),
        (
            {"sequences": [{"steps": [{"type": "email", "variants": []}]}]},
            "body/sequences/0/steps/0 must have required property 'delay'",
        ),
    ],
)
async def test_a_campaign_of_another_shape_is_refused(
    world: World, changes: dict[str, Any], message: str
) -> None:
    answer = await world.ask("POST", "/campaigns", {**CAMPAIGN, **changes})
    assert (answer.status_code, answer.json()["message"]) == (400, message)


async def test_more_than_a_hundred_per_page_answers_nothing(world: World) -> None:
    await world.ask("POST", "/campaigns", CAMPAIGN)
    assert (await world.ask("GET", "/campaigns", limit=101)).json() == {"items": []}
    assert len((await world.ask("GET", "/campaigns", limit=100)).json()["items"]) == 1


async def test_the_twenty_first_read_of_mail_in_a_minute_is_refused(world: World) -> None:
    answers = [(await world.ask("GET", "/emails")).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]


async def test_an_import_answers_200_and_counts_whom_it_skipped(world: World) -> None:
    ref = (await world.ask("POST", "/campaigns", CAMPAIGN)).json()["id"]
    await world.ask("POST", "/block-lists-entries", {"bl_value": "blocked.example"})
    emails = ["a@acme.example", "A@acme.example", "b@blocked.example", "nonsense", ""]
    body = {"campaign_id": ref, "leads": [{"email": email} for email in emails]}
    first = (await world.ask("POST", "/leads/add", body)).json()
    second = (await world.ask("POST", "/leads/add", body)).json()
    assert (first["leads_uploaded"], first["in_blocklist"], first["invalid_email_count"]) == (1, 1, 2)
    assert first["duplicate_email_count"] == 1
    assert (second["leads_uploaded"], second["duplicated_leads"]) == (0, 1)


async def test_deleting_the_collection_deletes_everyone_in_the_campaign(world: World) -> None:
    ref = await world.live(people(3))
    answer = await world.ask("DELETE", "/leads", {"campaign_id": ref, "delete_list": ["x"]})
    assert answer.json() == {"count": 3}


async def test_webhooks_carry_our_header_and_neither_id_nor_signature(world: World) -> None:
    ref = await world.live(people(30))
    arrived = await received(world, ref)
    assert all(one["headers"]["x-swarm-secret"] == world.instantly.webhook_secret for one in arrived)
    assert not any("id" in one or "x-signature" in one["headers"] for one in arrived)
    assert sum(one["event_type"] == "email_sent" for one in arrived) == 30
    assert len({parse(one).id for one in arrived}) == len(arrived)


async def test_webhooks_keep_their_own_fields_beside_the_leads_variables(world: World) -> None:
    ref = await world.live(people(1))
    event = parse((await received(world, ref))[0])
    assert (event.campaign_ref, event.detail["campaign_id"], event.variant) == (ref, "c-1", "A")


async def test_what_people_do_follows_from_their_address(world: World) -> None:
    ref = await world.live(people(60))
    arrived = await received(world, ref)
    by_kind: dict[str, set[str]] = {}
    for one in arrived:
        by_kind.setdefault(one["event_type"], set()).add(one["lead_email"])
    tempers = {one.email: temper(one.email) for one in people(60)}
    assert by_kind.get("email_bounced", set()) == {
        email for email, nature in tempers.items() if nature.bounces
    }
    assert by_kind.get("lead_unsubscribed", set()) == {
        email for email, nature in tempers.items() if nature.unsubscribes
    }


def test_shares_of_what_people_do_are_as_configured() -> None:
    tempers = [temper(f"someone{number}@company{number}.example") for number in range(5_000)]
    shares = [
        sum(nature.bounces for nature in tempers),
        sum(nature.unsubscribes for nature in tempers),
        sum(nature.reply is not None for nature in tempers),
        sum(nature.opens for nature in tempers),
    ]
    assert [round(share / 5_000, 2) for share in shares] == pytest.approx([0.04, 0.03, 0.20, 0.40], abs=0.02)
    assert len({nature.reply for nature in tempers}) == 8


async def test_a_second_run_sends_the_next_step_and_never_the_same_twice(world: World) -> None:
    ref = await world.live(people(5))
    await world.run(ref, steps=5)
    sent = [(entry["target"], entry["detail"]["step"]) for entry in await world.log("send")]
    assert len(sent) == len(set(sent))
    assert {step for _, step in sent} == {1, 2, 3}


async def test_nothing_is_sent_while_paused_or_to_the_blocked(world: World) -> None:
    ref = await world.live(people(3))
    await tools.pause_campaign.function(world.instantly, ref, "test")
    assert await world.run(ref) == 0
    await tools.add_to_blocklist.function(world.instantly, ["acme0.example"], "asked")
    await tools.resume_campaign.function(world.instantly, ref, "c-1", await world.approve())
    await world.run(ref)
    assert {entry["target"] for entry in await world.log("send")} == {
        "kim1@acme1.example",
        "kim2@acme2.example",
    }


async def test_an_activated_campaign_sends_by_itself_and_a_restart_goes_on(tmp_path: Path) -> None:
    state, arrived = tmp_path / "instantly.json", anyio.Semaphore(0)

    async def take(_: Request) -> Response:
        arrived.release()
        return JSONResponse({})

    async with serve(Starlette(routes=[Route("/", take, methods=["POST"])])) as receiver:
        async with emulator(state, pace=0) as http:
            ref = (await http.post("/api/v2/campaigns", json={**CAMPAIGN, **STEPS})).json()["id"]
            await http.patch(f"/api/v2/campaigns/{ref}", json={"email_list": CAMPAIGN["email_list"]})
            leads = [{"email": f"a{number}@acme.example"} for number in range(3)]
            await http.post("/api/v2/leads/add", json={"campaign_id": ref, "leads": leads})
            await http.post(
                "/api/v2/webhooks", json={"target_hook_url": receiver, "event_type": "email_sent"}
            )
            await http.post(f"/api/v2/campaigns/{ref}/activate")
        async with emulator(state, pace=0.001) as http:
            await http.get("/_control/log")
            with anyio.fail_after(5):
                for _ in range(3):
                    await arrived.acquire()
