"""What the sequencer's webhooks missed is found within a quarter of an hour, and counts once however it was told."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import inbox, missed, syncing
from shared.errors import Retryable
from shared.pipeline_schema import campaign, event, reply
from shared.schema import inbound
from tests.orchestrator.world import World, approved, launched, people, rows, world

FIRST, SECOND = "person1@corp1.com", "person2@corp2.com"
SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    """A campaign whose first messages were sent, of which no webhook arrived."""
    async with world(tmp_path) as made:
        await made.witness.act("instantly", "pace", seconds=0)
        _, campaign_id = await approved(made.app, people(2))
        assert await launched(made.app, campaign_id) == "live"
        await made.witness.send_events_to("instantly", "http://127.0.0.1:9/webhooks/instantly")
        await made.break_things("instantly", {"kind": "lose", "times": 1_000})
        (row,) = await rows(made.app, sa.select(campaign.c.vendor_ref))
        assert (await made.witness.act("instantly", "run", campaign=row.vendor_ref))["sent"] == 2
        yield made


async def look(here: World, after_minutes: float = 6) -> int:
    await here.clock.sleep(after_minutes * 60)
    return await missed.work(here.app)


async def told(here: World, *types: str) -> list[str]:
    await inbox.drain(here.app)
    found = await rows(here.app, sa.select(event).where(event.c.type.in_(types)))
    return sorted(row.type for row in found)


async def deliver(here: World, payload: dict[str, Any]) -> int:
    return await inbox.receive(here.app, "instantly", SECRET, json.dumps(payload).encode())


@pytest.mark.requirement("F14", "I4")
async def test_an_opt_out_that_no_webhook_brought_is_on_the_list_with_the_first_look(here: World) -> None:
    await here.witness.act("instantly", "happen", lead=FIRST, event="lead_unsubscribed")
    assert not await here.kernel.suppression.find(FIRST)
    assert await look(here) > 0
    assert await here.kernel.suppression.find(FIRST), "before it is understood"
    assert await told(here, "sent", "unsubscribed") == ["sent", "sent", "unsubscribed"]


@pytest.mark.requirement("F14")
async def test_it_is_found_within_a_quarter_of_an_hour_also_where_one_look_fails(here: World) -> None:
    await look(here)
    await here.witness.act("instantly", "happen", lead=FIRST, event="lead_unsubscribed")
    lose = {"kind": "lose", "times": 1_000}
    began = here.clock.now()
    await here.break_things(
        "instantly", lose, {"kind": "status", "status": 503, "path": "/webhook-events", "times": 8}
    )
    with pytest.raises(Retryable):
        await look(here)
    await here.break_things("instantly", lose)
    assert await look(here) == 1
    assert (here.clock.now() - began).total_seconds() <= 15 * 60
    assert await here.kernel.suppression.find(FIRST)


@pytest.mark.requirement("F14", "W2", "F11")
async def test_what_was_found_and_is_delivered_after_all_counts_once(here: World) -> None:
    await here.witness.act("instantly", "happen", lead=FIRST, event="lead_unsubscribed")
    await look(here)
    found = len(await rows(here.app, sa.select(inbound)))
    events = await told(here, "sent", "unsubscribed")
    deliveries = [json.loads(bytes(row.raw)) for row in await rows(here.app, sa.select(inbound))]
    assert {await deliver(here, {**one, "email_html": "<p>more</p>"}) for one in deliveries} == {200}
    assert await look(here) == 0
    assert len(await rows(here.app, sa.select(inbound))) == found
    assert await told(here, "sent", "unsubscribed") == events


@pytest.mark.requirement("U4", "W2")
async def test_whom_a_person_let_in_again_is_not_stopped_by_an_old_delivery(here: World) -> None:
    await here.witness.act("instantly", "happen", lead=FIRST, event="lead_unsubscribed")
    await look(here)
    await inbox.drain(here.app)
    await here.kernel.suppression.lift(FIRST, actor="ada@corp.com", reason="asked back in")
    (row,) = await rows(here.app, sa.select(inbound).where(inbound.c.raw.contains(b"lead_unsubscribed")))
    await look(here)
    assert await deliver(here, json.loads(bytes(row.raw))) == 200
    assert not await here.kernel.suppression.find(FIRST)


@pytest.mark.requirement("F14", "C5")
async def test_a_reply_that_no_delivery_was_tried_of_is_found_by_its_message(here: World) -> None:
    sent = {"lead": SECOND, "subject": "Re: hello", "text": "Please remove me from your list."}
    await look(here)
    await here.witness.send_events_to("instantly", "")  # as after the vendor disabled the webhook
    await here.witness.act("instantly", "receive", **sent)
    assert await look(here) == 1
    assert await here.kernel.suppression.find(SECOND)
    await inbox.drain(here.app)
    (one,) = await rows(here.app, sa.select(reply))
    assert one._mapping["class"] == "unsubscribe"
    assert await look(here) == 0


@pytest.mark.requirement("F14", "W2")
async def test_a_reply_whose_webhook_comes_late_is_answered_once(here: World) -> None:
    await here.witness.act(
        "instantly", "receive", lead=SECOND, subject="Re: hello", text="What does it cost?"
    )
    assert await look(here) > 0
    await inbox.drain(here.app)
    assert len(await rows(here.app, sa.select(reply))) == 1


@pytest.mark.requirement("F14")
async def test_an_unsubscribe_of_which_no_delivery_was_tried_is_on_the_block_list(here: World) -> None:
    await here.witness.act("instantly", "block", values=[FIRST])
    assert not await here.kernel.suppression.find(FIRST)
    await syncing.sync(here.app)
    assert await here.kernel.suppression.find(FIRST)
