"""A webhook is answered once it is stored, understood later, and lost never."""

import hmac
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import inbox
from orchestrator.app import App
from shared.clock import iso
from shared.event import Event
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import event, stop
from shared.schema import inbound
from shared.settings import load_settings
from shared.sqlite import sqlite
from shared.store import Unavailable
from shared.webhook import MAX_BYTES, WebhookSource
from tests.conftest import CONFIG
from tests.orchestrator.world import alone, put, rows

SECRET = {"X-Swarm-Secret": "sandbox-instantly-secret"}


def _body(**more: Any) -> bytes:
    said = {"event_type": "lead_unsubscribed", "lead_email": "person1@corp1.com", "timestamp": "2026-11-01"}
    return json.dumps({**said, **more}).encode()


async def _receive(
    app: App, raw: bytes, headers: dict[str, str] | None = None, vendor: str = "instantly"
) -> int:
    return await inbox.receive(app, vendor, SECRET if headers is None else headers, raw)


async def _inbound(app: App) -> list[tuple[str, int]]:
    return [(row.state, row.attempts) for row in await rows(app, sa.select(inbound).order_by(inbound.c.id))]


def _parse(payload: Any) -> Event:
    """A vendor whose parser has a bug for one payload."""
    if payload.get("poison"):
        raise IndexError("a bug")
    return Event(
        id=str(payload["id"]), vendor="odd", type="unsubscribed", occurred_at="", email=payload["email"]
    )


def _odd(app: App) -> App:
    return replace(app, webhooks={"instantly": WebhookSource(lambda *_: True, _parse)})


# ── taking in ────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_webhook_is_stored_and_answered_and_then_understood(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    assert await _receive(app, _body()) == 200
    assert await _inbound(app) == [("new", 0)]
    assert await inbox.drain(app) == 1
    assert await _inbound(app) == [("done", 0)]
    assert await live_kernel.suppression.find("person1@corp1.com")


async def test_mail_that_was_told_of_first_is_no_mail_after_a_stop_however_late_it_is_understood(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    await _receive(app, _body(event_type="email_sent"))
    await _receive(app, _body())  # on the list before it is answered
    await put(app, sa.update(stop).values(state="confirmed"))
    assert await inbox.drain(app) == 2
    assert [row.state for row in await rows(app, sa.select(stop))] == ["confirmed"]


@pytest.mark.requirement("W2", "F11")
async def test_the_same_webhook_twice_is_stored_once(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    assert [await _receive(app, _body()) for _ in range(2)] == [200, 200]
    assert len(await _inbound(app)) == 1


@pytest.mark.parametrize(
    ("raw", "headers", "vendor", "status"),
    [
        (_body(), {}, "instantly", 401),
        (_body(), {"x-swarm-secret": ""}, "instantly", 401),
        (_body(), None, "nobody", 404),
        (b"[]", None, "instantly", 400),
        (b'{"a":1,"a":2}', None, "instantly", 400),
        (b'{"a":"' + b"x" * MAX_BYTES + b'"}', None, "instantly", 413),
    ],
)
@pytest.mark.requirement("W1", "F13")
async def test_what_is_forged_or_unreadable_is_refused_and_not_stored(
    live_kernel: Kernel, raw: bytes, headers: dict[str, str] | None, vendor: str, status: int
) -> None:
    app = alone(live_kernel)
    assert await _receive(app, raw, headers, vendor) == status
    assert await _inbound(app) == []


@pytest.mark.requirement("W3", "F16", "F24", "I4")
async def test_a_webhook_that_cannot_be_stored_is_not_acknowledged_unless_it_stops_somebody(
    tmp_path: Path,
) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path), "SAFE_MODE": "false"})
    opened = _body().replace(b"lead_unsubscribed", b"email_opened")
    async with open_kernel(settings, patience=0.1) as kernel:
        app = alone(kernel)
        other = sqlite.connect(tmp_path / "swarm.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            assert await _receive(app, opened) == 503
            assert await _receive(app, _body()) == 200
            assert kernel.spool.waiting()
            kernel.spool.path.chmod(0o600)
            kernel.spool.path.rename(tmp_path / "aside")
            kernel.spool.path.mkdir()
            assert await _receive(app, _body()) == 503, "neither can be written"
        finally:
            other.rollback()
            other.close()
        kernel.spool.path.rmdir()
        assert await _receive(app, _body()) == 200


@pytest.mark.requirement("W5", "U10", "F15")
async def test_who_opts_out_is_on_the_list_before_the_webhook_is_answered(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    reply = {"reply_text": "Please remove me from your list.", "lead_email": "person2@corp2.com"}
    assert await _receive(app, _body()) == 200
    assert await _receive(app, _body(event_type="reply_received", **reply)) == 200
    assert await _receive(app, _body(event_type="email_opened", lead_email="person3@corp3.com")) == 200
    everybody = [f"person{n}@corp{n}.com" for n in (1, 2, 3)]
    assert set(await live_kernel.suppression.refused(everybody)) == set(everybody[:2])
    assert await _inbound(app) == [("new", 0)] * 3, "nothing was understood yet"


# Of each vendor: the secret that its emulator has, where it stands, and a body.
SECRETS: dict[str, tuple[dict[str, str], bytes]] = {
    "instantly": (SECRET, _body()),
    "ghl": ({"x-swarm-secret": "sandbox-secret"}, b'{"type": "ContactUpdate", "id": "c1"}'),
    "phantombuster": ({"?secret": "sandbox-phantombuster-secret"}, b'{"agentId": "1", "containerId": "2"}'),
    "clay": ({}, b'{"webhookId": "w", "createdAt": "", "data": {"routine_run_id": "r"}}'),
}
SECRETS["clay"][0]["x-clay-signature"] = (
    "sha256=" + hmac.new(b"sandbox-clay-secret", SECRETS["clay"][1], "sha256").hexdigest()
)


@pytest.mark.requirement("W1", "W4", "F13")
async def test_each_vendors_webhook_is_taken_and_a_forged_or_broken_one_changes_nothing(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    assert set(SECRETS) == set(app.webhooks)
    for vendor, (headers, raw) in SECRETS.items():
        for forged in (
            {},
            dict.fromkeys(headers, ""),
            {name: f"{value}x" for name, value in headers.items()},
        ):
            assert await _receive(app, raw, forged, vendor) == 401
        assert await _inbound(app) == []
    for number, (vendor, (headers, raw)) in enumerate(SECRETS.items(), 1):
        assert await _receive(app, raw, headers, vendor) == 200
        assert len(await _inbound(app)) == number


async def test_a_word_that_is_in_no_table_is_kept(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    assert await _receive(app, _body(event_type="Hot prospect")) == 200
    assert await inbox.drain(app) == 1
    assert [row.type for row in await rows(app, sa.select(event))] == ["unknown"]
    assert await _inbound(app) == [("done", 0)]


@pytest.mark.requirement("W6", "F11")
@pytest.mark.parametrize(
    ("days", "more", "status"),
    [(29, {}, 200), (31, {}, 400), (31, {"dnd": True}, 200), (-2, {}, 200)],
)
async def test_what_was_caught_long_ago_is_refused_unless_it_stops_somebody(
    live_kernel: Kernel, days: int, more: dict[str, Any], status: int
) -> None:
    app = alone(live_kernel)
    at = iso(live_kernel.clock.now() - timedelta(days=days))
    said = {"type": "ContactUpdate", "id": "c1", "email": "a@corp1.com", "timestamp": at, **more}
    headers = SECRETS["ghl"][0]
    assert await _receive(app, json.dumps(said).encode(), headers, "ghl") == status
    assert len(await _inbound(app)) == (status == 200)


@pytest.mark.requirement("W2", "F14")
async def test_a_redelivery_that_is_late_is_no_stale_one_where_nothing_is_signed(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    assert await _receive(app, _body(event_type="email_opened", timestamp="2020-01-01T00:00:00Z")) == 200


@pytest.mark.requirement("W3", "W5", "I4")
async def test_an_opt_out_that_the_list_cannot_take_is_spooled_and_others_are_asked_for_again(
    live_kernel: Kernel,
) -> None:
    app = alone(live_kernel)
    broken = replace(live_kernel, suppression=None)  # type: ignore[arg-type]  # a bug in what stops people
    odd = replace(app, kernel=broken)
    assert await _receive(odd, _body()) == 200
    assert live_kernel.spool.waiting()
    assert await _inbound(app) == []
    assert await live_kernel.spool.take_in(live_kernel.store, live_kernel.suppression, live_kernel.clock) == 1
    assert await live_kernel.suppression.find("person1@corp1.com")
    assert await _inbound(app) == [("new", 0)]


async def test_a_payload_that_surprises_the_parser_is_kept_all_the_same(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    assert await _receive(app, b'{"poison": 1}') == 200
    assert await _inbound(app) == [("new", 0)]


async def test_an_id_that_is_no_text_is_replaced(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    assert await _receive(app, b'{"id": "\\ud83d", "email": "a@corp1.com"}') == 200
    assert await inbox.drain(app) == 1
    assert await _inbound(app) == [("done", 0)]


# ── understanding ────────────────────────────────────────────────────────────────────────────────────────
async def test_one_that_cannot_be_understood_lets_those_behind_it_pass(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    await _receive(app, b'{"poison": 1}')
    await _receive(app, b'{"id": "1", "email": "a@corp1.com"}')
    await inbox.drain(app)
    assert await _inbound(app) == [("new", 1), ("done", 0)]
    assert await live_kernel.suppression.find("a@corp1.com")


async def test_many_that_cannot_be_understood_do_not_fill_the_queue(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    for number in range(inbox.AT_ONCE + 5):
        await _receive(app, json.dumps({"poison": 1, "id": number + 1}).encode())
    await _receive(app, b'{"id": "good", "email": "a@corp1.com"}')
    await inbox.drain(app)
    await inbox.drain(app)
    assert await live_kernel.suppression.find("a@corp1.com")


async def test_one_that_is_never_understood_is_kept_for_a_person(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    await _receive(app, b'{"poison": 1}')
    for _ in range(inbox.TRIES + 1):
        await inbox.drain(app)
    assert await _inbound(app) == [("failed", inbox.TRIES)]
    assert await inbox.not_understood(live_kernel) == 1


async def test_one_that_failed_and_is_delivered_again_gets_another_chance(live_kernel: Kernel) -> None:
    app = _odd(alone(live_kernel))
    await _receive(app, b'{"poison": 1}')
    for _ in range(inbox.TRIES):
        await inbox.drain(app)
    await _receive(app, b'{"poison": 1}')
    assert await _inbound(app) == [("new", 0)]


async def test_a_database_at_fault_is_no_fault_of_the_webhook(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _receive(app, _body())

    def broken(payload: Any) -> Event:
        raise Unavailable("locked")

    unlucky = replace(app, webhooks={"instantly": WebhookSource(lambda *_: True, broken)})
    with pytest.raises(Unavailable):
        await inbox.drain(unlucky)
    assert await _inbound(app) == [("new", 0)]
    assert await inbox.drain(app) == 1


async def test_that_it_is_done_is_written_with_what_it_means(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _receive(app, _body())
    await inbox.drain(app)
    assert [row.type for row in await rows(app, sa.select(event))] == ["unsubscribed"]
    assert await inbox.drain(app) == 0
