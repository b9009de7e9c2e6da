"""A webhook is answered once it is stored, understood later, and lost never."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from orchestrator import inbox
from orchestrator.app import App
from shared.event import Event
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import event
from shared.schema import inbound
from shared.settings import load_settings
from shared.store import Unavailable, sqlite
from shared.webhook import MAX_BYTES, WebhookSource
from tests.conftest import CONFIG
from tests.orchestrator.world import alone, rows

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
