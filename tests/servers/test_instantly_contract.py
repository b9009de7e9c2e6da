"""What we send to Instantly and what its emulator answers, against the vendor's published API document."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from servers.instantly import tools
from servers.instantly.sandbox_requests import stamp
from servers.instantly.timezones import ACCEPTED
from shared.clock import SystemClock
from shared.ports import ReplyMessage
from shared.settings import Settings
from tests.contract.openapi import Spec, load, validate_query, validate_request, validate_response
from tests.servers.instantly_world import ALL_EVENTS, DRAFT, Recorder, World, open_world, people

DOCUMENT = Path(__file__).parents[3] / "shared/contracts/instantly/openapi-needed.json"
LIVE_CALLS = {
    ("POST", "/campaigns"),
    ("GET", "/campaigns"),
    ("PATCH", "/campaigns/{id}"),
    ("POST", "/campaigns/{id}/activate"),
    ("POST", "/campaigns/{id}/pause"),
    ("GET", "/campaigns/analytics"),
    ("POST", "/leads/add"),
    ("POST", "/leads/list"),
    ("DELETE", "/leads/{id}"),
    ("POST", "/block-lists-entries/bulk-create"),
    ("GET", "/block-lists-entries"),
    ("GET", "/emails"),
    ("GET", "/accounts"),
    ("GET", "/accounts/{email}"),
    ("POST", "/accounts/{email}/pause"),
    ("POST", "/accounts/{email}/resume"),
    ("GET", "/webhooks"),
    ("POST", "/webhooks"),
    ("PATCH", "/webhooks/{id}"),
    ("POST", "/webhooks/{id}/resume"),
    ("GET", "/workspaces/current"),
    ("GET", "/emails/{id}"),
    ("GET", "/webhook-events"),
    ("POST", "/emails/reply"),
    ("GET", "/accounts/analytics/daily"),
    ("POST", "/accounts/warmup-analytics"),
}


@pytest.fixture(scope="module")
def spec() -> Spec:
    """The vendor's document, where it is at hand."""
    if not DOCUMENT.exists():
        pytest.skip("the vendor's published documents are not on this machine")
    return load(DOCUMENT)


async def journey(world: World) -> None:
    """Every tool once, and a campaign sent."""
    instantly, everyone = world.instantly, people(30)
    made = await tools.ensure_webhooks.function(instantly, "http://127.0.0.1:9")
    await world.ask("PATCH", f"/webhooks/{made.reference}", {"event_type": "email_sent"})
    await world.act("disable_webhook", id=made.reference)
    await tools.ensure_webhooks.function(instantly, "http://127.0.0.1:9")
    await tools.check_setup.function(instantly)
    await world.ask("DELETE", f"/webhooks/{(await world.ask('GET', '/webhooks')).json()['items'][0]['id']}")
    ref = await world.live(everyone)
    await world.enrolled(ref, [*everyone[:1], *people(32)[30:]])
    await world.run(ref)
    await tools.list_campaigns.function(instantly, search="swarm")
    await tools.get_campaign_analytics.function(instantly, ref)
    await tools.get_replies.function(
        instantly, ref, since=stamp(SystemClock().now()).replace("20", "19", 1), unread_only=True
    )
    await tools.list_mailboxes.function(instantly)
    for kind in ("undelivered", "replies"):
        await tools.list_missed_events.function(instantly, kind, stamp(SystemClock().now()))
    await answer_somebody(world, everyone[0].email)
    await tools.pause_campaign.function(instantly, ref, "done")
    later = replace(DRAFT, daily_limit=20)
    await tools.update_campaign.function(instantly, ref, later)
    await tools.resume_campaign.function(instantly, ref, "c-1", await world.approve(draft=later))
    await tools.pause_campaign.function(instantly, ref, "done")
    box = DRAFT.mailboxes[0]
    await tools.pause_mailbox.function(instantly, box, "done")
    await tools.resume_mailbox.function(instantly, box, await world.approve(mailboxes=[box]))
    await tools.remove_lead.function(instantly, everyone[0].email, "asked")
    await tools.add_to_blocklist.function(instantly, [everyone[0].email, "other.example"], "asked")
    await tools.list_blocklist.function(instantly, search="other")


async def answer_somebody(world: World, email: str) -> None:
    """Somebody writes twice, and gets an answer to each; the confirmation of the second is lost and looked up."""
    for statuses in (("applied",), ("in_doubt", "replayed")):
        message = (await world.act("receive", lead=email, text="What does it cost?"))["id"]
        box = (await world.ask("GET", f"/emails/{message}")).json()["eaccount"]
        reply = ReplyMessage(message, email, box, "Re: A question", "Less than you think.")
        approval = await world.approve(replies=[reply])
        for status in statuses:
            outcome = await tools.send_reply.function(world.instantly, reply, approval)
            assert outcome.status == status
        await world.fault(kind="drop_after", method="POST", path="/emails/reply$")


async def test_every_request_and_answer_of_a_journey_is_as_published(
    settings_for: Callable[..., Settings], spec: Spec
) -> None:
    recorder = Recorder()
    async with open_world(settings_for, transport=recorder) as world:
        await journey(world)
    seen = set()
    for one in recorder.exchanges:
        validate_query(spec, one.method, one.path, one.query)
        validate_response(spec, one.method, one.path, one.status, one.answered)
        if one.sent is not None:
            validate_request(spec, one.method, one.path, one.sent)
        plain = ("{email}" if "@" in part else part for part in one.path.split("/")[3:])
        short = "/".join("{id}" if len(part) == 36 else part for part in plain)
        seen.add((one.method, f"/{short}"))
    assert seen >= LIVE_CALLS


async def test_requests_name_their_sender_and_declare_a_type_only_with_a_body(
    settings_for: Callable[..., Settings],
) -> None:
    recorder = Recorder()
    async with open_world(settings_for, transport=recorder) as world:
        await journey(world)
    for headers, one in zip(recorder.headers, recorder.exchanges, strict=True):
        assert headers["user-agent"].startswith("alpha-swarm/")
        assert headers["authorization"] == "Bearer sandbox"
        assert ("content-type" in headers) is (one.sent is not None)


async def test_what_the_emulator_answers_by_itself_is_as_published(
    settings_for: Callable[..., Settings], spec: Spec
) -> None:
    async with open_world(settings_for) as world:
        ref = await world.live(people(2))
        hook = (await world.ask("POST", "/webhooks", ALL_EVENTS)).json()["id"]
        lead = (await world.ask("POST", "/leads/list", {})).json()["items"][0]["id"]
        asked = [
            ("GET", f"/leads/{lead}", None),
            ("GET", "/campaigns/search-by-contact", None),
            ("GET", "/workspaces/current", None),
            ("PATCH", f"/webhooks/{hook}", {"name": "other"}),
            ("POST", f"/webhooks/{hook}/resume", None),
            ("DELETE", f"/webhooks/{hook}", None),
            ("POST", "/block-lists-entries", {"bl_value": "acme.example"}),
            ("DELETE", "/leads", {"campaign_id": ref}),
            ("GET", "/campaigns/00000000-0000-0000-0000-000000000000", None),
            ("POST", "/campaigns", {"name": "x"}),
            ("GET", "/accounts/analytics/daily", None),
            ("GET", "/accounts/nobody@ours.example", None),
            ("POST", "/accounts/nobody@ours.example/pause", None),
            ("POST", "/emails/test", {"eaccount": "x@y.example"}),
            ("POST", "/email-verification", {"email": "x@y.example"}),
            ("POST", "/leads/update-interest-status", {"lead_email": "x@y.example", "interest_value": 1}),
            (
                "POST",
                "/leads/update-interest-status",
                {"lead_email": people(1)[0].email, "interest_value": 1},
            ),
            ("POST", "/leads", {"campaign": ref, "email": "x@y.example"}),
            ("DELETE", "/block-lists-entries", None),
        ]
        for method, path, body in asked:
            answer = await world.ask(method, path, body)
            validate_response(spec, method, f"/api/v2{path}", answer.status_code, answer.json())


def test_the_accepted_time_zones_are_the_published_ones(spec: Spec) -> None:
    published = spec.document["components"]["schemas"]["InstantlyTimezone"]["enum"]
    assert frozenset(published) == ACCEPTED
