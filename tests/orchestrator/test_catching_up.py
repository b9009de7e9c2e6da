"""What the CRM's webhooks missed is found within a quarter of an hour, and what they tell is read again by id."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import catching_up, handling, inbox
from orchestrator.schedule_rules import ASKED_OFTEN, Rhythm, ScheduleRules
from servers.ghl.sandbox import sign
from shared.clock import iso, parse
from shared.errors import Retryable
from shared.event import Event
from shared.pipeline_schema import event, handoff, reply, reread, stop, watermark
from shared.settings import read_yaml
from tests.conftest import CONFIG
from tests.orchestrator.world import World, approved, launched, members, people, rows, states, world

FIRST = "person1@corp1.com"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        # The emulator's clock doesn't leap with ours.
        await made.witness.act("ghl", "set_location", search_lag=0)
        yield made


async def live(here: World, count: int = 2) -> str:
    _, campaign_id = await approved(here.app, people(count))
    assert await launched(here.app, campaign_id) == "live"
    return campaign_id


async def stranger(here: World, email: str) -> None:
    """A contact whom we never met, who opted out."""
    await here.witness.act("ghl", "enter", email=email)
    await here.witness.act("ghl", "set_dnd", email=email)


async def look(here: World, after_minutes: float = 6) -> int:
    """One round of the worker's part, so many minutes later."""
    await here.clock.sleep(after_minutes * 60)
    return await catching_up.work(here.app)


async def suppressed(here: World, email: str) -> bool:
    return await here.kernel.suppression.find(email) is not None


async def count(here: World, table: sa.Table) -> int:
    return len(await rows(here.app, sa.select(table)))


# ── opt-outs ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F14")
@pytest.mark.parametrize("how", ["set_dnd", "add_tag"])
async def test_an_opt_out_whose_webhook_was_lost_is_found_and_stops_the_person(here: World, how: str) -> None:
    campaign_id = await live(here)
    await look(here)
    await here.witness.act("ghl", how, email=FIRST, **({"tag": "dnc"} if how == "add_tag" else {}))
    assert not await suppressed(here, FIRST)
    assert await look(here) == 1
    assert await suppressed(here, FIRST)
    assert {reason for _, reason in await states(here.app, campaign_id)} >= {
        "crm_dnd" if how == "set_dnd" else "crm_dnc_tag"
    }
    assert [row.target for row in await rows(here.app, sa.select(stop))] == [FIRST]


@pytest.mark.requirement("F14")
async def test_it_is_found_within_a_quarter_of_an_hour_also_where_one_look_fails(here: World) -> None:
    await live(here)
    await look(here)
    await here.witness.act("ghl", "set_dnd", email=FIRST)
    await here.break_things("ghl", {"kind": "status", "status": 503, "path": "/contacts/search", "times": 8})
    began = here.clock.now()
    every = here.app.rules.schedules.schedules["crm_missed"].every_minutes
    assert every is not None
    with pytest.raises(Retryable):
        await look(here, every)
    await here.break_things("ghl")
    assert await look(here, every) == 1
    assert here.clock.now() - began < timedelta(minutes=15)


def test_no_configuration_makes_it_slower_than_two_looks_in_a_quarter_of_an_hour() -> None:
    rhythms = read_yaml(CONFIG / "schedules.yaml", ScheduleRules).schedules
    for name in ASKED_OFTEN:
        for rhythm in (Rhythm(every_minutes=8), Rhythm(at="06:00")):
            with pytest.raises(ValueError, match=f"{name}: every_minutes"):
                ScheduleRules(timezone="UTC", schedules={**rhythms, name: rhythm})


async def test_the_first_look_goes_through_everybody_who_is_marked(here: World) -> None:
    await stranger(here, "long.ago@corp.example")
    assert await look(here, 60 * 24 * 40) == 1
    assert await suppressed(here, "long.ago@corp.example")


async def test_somebody_whom_we_never_met_goes_on_the_list_and_no_further(here: World) -> None:
    await stranger(here, "never.met@corp.example")
    await look(here)
    assert await suppressed(here, "never.met@corp.example")
    assert (await count(here, stop), await count(here, event)) == (0, 0)


async def test_every_address_of_a_marked_contact_is_on_the_list(here: World) -> None:
    await live(here, 1)
    await here.witness.act("ghl", "add_address", email=FIRST, second="at.home@home.example")
    await here.witness.act("ghl", "set_dnd", email=FIRST)
    await look(here)
    assert await suppressed(here, FIRST)
    assert await suppressed(here, "at.home@home.example")


async def test_what_is_on_the_list_already_is_not_handled_again(here: World) -> None:
    await live(here)
    await here.witness.act("ghl", "set_dnd", email=FIRST)
    assert await look(here) == 1
    events = await count(here, event)
    assert [await look(here) for _ in range(3)] == [0, 0, 0]
    assert await count(here, event) == events


async def test_a_look_begins_before_the_last_one_since_search_is_behind(here: World) -> None:
    await look(here)
    [row] = [one for one in await rows(here.app, sa.select(watermark)) if one.name == catching_up.MARKS]
    await look(here)
    searches = [r["json"] for r in await here.witness.requests("ghl") if r["path"] == "/contacts/search"]
    asked = searches[-1]["filters"][1]["value"]["gte"]
    overlap = here.app.rules.routing.catching_up.overlap_minutes
    assert parse(row.at) - parse(asked) == timedelta(minutes=overlap)


async def test_marks_that_were_asked_for_just_now_are_not_asked_for_again(here: World) -> None:
    await look(here)
    before = len(await searches(here))
    await look(here, 0.5)
    assert len(await searches(here)) == before
    await look(here, 5)
    assert len(await searches(here)) > before


async def searches(here: World) -> list[str]:
    return [one["path"] for one in await here.witness.requests("ghl") if one["path"] == "/contacts/search"]


async def test_a_look_that_failed_is_not_taken_for_one(here: World) -> None:
    await here.break_things("ghl", {"kind": "status", "status": 503, "path": "/contacts/search", "times": 8})
    with pytest.raises(Retryable):
        await look(here)
    assert await count(here, watermark) == 0


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F14", "C5")
async def test_a_reply_whose_webhook_was_lost_is_found_and_acts(here: World) -> None:
    await live(here)
    await look(here)
    await here.witness.act(
        "ghl", "inbound_message", email=FIRST, subject="Re: hi", body="Please unsubscribe me."
    )
    assert await look(here) == 1
    assert await suppressed(here, FIRST)
    [row] = await rows(here.app, sa.select(reply))
    assert row.subject == "Re: hi"


@pytest.mark.requirement("F11")
@pytest.mark.parametrize("first", ["webhook", "look"])
async def test_the_same_reply_by_webhook_and_by_asking_counts_once(here: World, first: str) -> None:
    await live(here)
    await look(here)
    words = {"subject": "Re: hi", "body": "Can we talk about pricing on Tuesday?"}
    await here.witness.act("ghl", "inbound_message", email=FIRST, **words)
    [message] = (
        await here.app.suite.crm.list_replies(since=iso(here.clock.now() - timedelta(hours=1)))
    ).messages
    told = Event(
        "hook1",
        "ghl",
        "message_received",
        "",
        FIRST,
        contact_ref=message.contact_id,
        reference=message.id,
        **hook(words),
    )
    if first == "webhook":
        await handling.handle(here.app, told)
        assert await look(here) == 0
    else:
        assert await look(here) == 1
        await handling.handle(here.app, told)
    assert (await count(here, reply), await count(here, handoff)) == (1, 1)


def hook(words: dict[str, str]) -> dict[str, Any]:
    return {"subject": words["subject"], "text": words["body"]}


@pytest.mark.requirement("F14")
async def test_a_message_too_large_for_its_webhook_is_asked_for(here: World) -> None:
    await live(here)
    await look(here)
    await here.witness.act(
        "ghl", "inbound_message", email=FIRST, subject="Re: hi", body="Please unsubscribe me."
    )
    [message] = (
        await here.app.suite.crm.list_replies(since=iso(here.clock.now() - timedelta(hours=1)))
    ).messages
    cut = {"type": "InboundMessage", "payloadTooLarge": True, "emailMessageId": message.id, "webhookId": "w1"}
    assert await webhook(here, cut) == 200
    assert await look(here) == 1
    assert await suppressed(here, FIRST)


async def webhook(here: World, body: dict[str, Any]) -> int:
    """A signed one, received and understood."""
    raw = json.dumps({"locationId": "sandbox-location", **body}).encode()
    status = await inbox.receive(here.app, "ghl", {"X-GHL-Signature": sign(raw)}, raw)
    await inbox.drain(here.app)
    return status


@pytest.mark.requirement("F11", "W2")
async def test_a_webhook_that_comes_again_after_a_month_counts_once(here: World) -> None:
    opted_out = {"type": "ContactDndUpdate", "id": "c1", "email": FIRST, "dnd": True, "webhookId": "w1"}
    assert await webhook(here, opted_out) == 200
    assert await suppressed(here, FIRST)
    await here.kernel.suppression.lift(FIRST, actor="Ada", reason="asked to be written to again")
    await here.clock.sleep(31 * 86_400)
    assert await webhook(here, opted_out) == 200
    assert not await suppressed(here, FIRST)


@pytest.mark.requirement("F12")
async def test_webhooks_in_any_order_end_alike(here: World) -> None:
    off = {"type": "ContactDndUpdate", "id": "c1", "email": FIRST, "dnd": False, "webhookId": "w1"}
    on = {"type": "ContactDndUpdate", "id": "c2", "email": FIRST, "dnd": True, "webhookId": "w2"}
    for one in (on, off, on):
        await webhook(here, one)
    assert await suppressed(here, FIRST)


# ── changes that a webhook told of ───────────────────────────────────────────────────────────────────────
async def tell(here: World, kind: str, contact: str) -> None:
    told = Event(f"{kind}-{contact}", "ghl", kind, "", contact_ref=contact)  # type: ignore[arg-type]
    await handling.handle(here.app, told)


@pytest.mark.parametrize("kind", ["contact_updated", "tags_changed", "dnd_changed"])
async def test_a_webhook_that_leaves_the_marks_out_has_the_contact_read_by_id(here: World, kind: str) -> None:
    campaign_id = await live(here)
    await look(here)
    await here.witness.act("ghl", "set_dnd", email=FIRST, dnd=False, channels={"email": "permanent"})
    contact = next(row.contact_ref for row in await members(here.app, campaign_id) if row.email == FIRST)
    await tell(here, kind, contact)
    assert await look(here, 0.5) == 1
    assert await suppressed(here, FIRST)
    assert await count(here, reread) == 0


async def test_many_webhooks_about_one_contact_are_one_look(here: World) -> None:
    campaign_id = await live(here)
    await look(here)
    contact = (await members(here.app, campaign_id))[0].contact_ref
    for number in range(5):
        told = Event(f"w{number}", "ghl", "contact_updated", "", contact_ref=contact)
        await handling.handle(here.app, told)
    before = len(await here.witness.requests("ghl"))
    await here.clock.sleep(30)
    await catching_up.changes(here.app)
    assert len(await here.witness.requests("ghl")) == before + 1


async def test_a_webhook_about_somebody_we_do_not_know_is_not_looked_into(here: World) -> None:
    await tell(here, "contact_updated", "somebody-else")
    assert await count(here, reread) == 0


async def test_an_old_webhook_that_says_nothing_lifts_nothing(here: World) -> None:
    campaign_id = await live(here)
    await here.witness.act("ghl", "set_dnd", email=FIRST)
    await look(here)
    contact = (await members(here.app, campaign_id))[0].contact_ref
    await tell(here, "dnd_changed", contact)
    await look(here, 0.5)
    assert await suppressed(here, FIRST)


async def test_whoever_is_deleted_in_the_crm_gets_nothing_further_and_is_not_suppressed(here: World) -> None:
    campaign_id = await live(here)
    await look(here)
    contact = next(row.contact_ref for row in await members(here.app, campaign_id) if row.email == FIRST)
    await here.witness.act("ghl", "delete", email=FIRST)
    await tell(here, "contact_deleted", contact)
    await look(here, 0.5)
    assert ("stopped", "crm_gone") in await states(here.app, campaign_id)
    assert [row.kind for row in await rows(here.app, sa.select(stop))] == ["sequence"]
    assert not await suppressed(here, FIRST)


async def test_a_contact_that_could_not_be_read_is_read_later(here: World) -> None:
    campaign_id = await live(here)
    await look(here)
    await tell(here, "contact_updated", (await members(here.app, campaign_id))[0].contact_ref)
    await here.break_things("ghl", {"kind": "status", "status": 503, "path": "/contacts/", "times": 8})
    with pytest.raises(Retryable):
        await look(here, 0.5)
    assert await count(here, reread) == 1
