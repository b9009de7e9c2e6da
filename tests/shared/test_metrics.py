"""Numbers: what is counted, from what, and that none names a person."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from shared.alerts import Alert, Alerts
from shared.audit import Entry
from shared.clock import iso
from shared.kernel import Kernel
from shared.metrics import Queue, age, as_json, exposition, measure
from shared.pipeline_schema import campaign, event, handoff, reply, run, stop
from shared.safety_rules import AlertRules
from shared.schema import effect, inbound
from shared.settings import Settings
from tests.shared.world import HandClock, opened

PERSON = "jane@corp.example"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings], clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as opened_one:
        yield opened_one


async def put(kernel: Kernel, table: sa.Table, *rows: Mapping[str, object]) -> None:
    await kernel.store.write(lambda c: [c.execute(sa.insert(table).values(**row)) for row in rows])


async def samples(kernel: Kernel) -> dict[str, float]:
    """Every sample as `name{label,label}`, labels by name, read back by Prometheus' own parser."""
    text = exposition(await measure(kernel)).decode()
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = f"{{{','.join(sample.labels.values())}}}" if sample.labels else ""
            found[f"{sample.name}{labels}"] = sample.value
    return found


async def test_a_new_installation_shows_every_number_at_zero(kernel: Kernel) -> None:
    found = await samples(kernel)
    wanted = ("sends", "opens", "replies", "bounces", "complaints", "crm_writes")
    assert {f"swarm_{name}_total" for name in wanted} <= found.keys()
    assert set(found.values()) == {0.0}


async def test_events_are_counted_by_what_they_are(kernel: Kernel) -> None:
    kinds = ["sent", "sent", "sent", "opened", "replied", "bounced", "bounced", "complained", "unsubscribed"]
    await put(kernel, event, *({"id": str(n), "type": kind} for n, kind in enumerate([*kinds, "clicked"])))
    assert (await measure(kernel)).events == {
        "sends": 3, "opens": 1, "replies": 1, "bounces": 2, "complaints": 1, "unsubscribes": 1,
    }  # fmt: skip


async def test_effects_are_counted_by_vendor_and_status(kernel: Kernel) -> None:
    rows = [("ghl", "applied"), ("ghl", "applied"), ("ghl", "refused"), ("instantly", "applied")]
    await put(kernel, effect, *({"key": str(n), "vendor": v, "status": s} for n, (v, s) in enumerate(rows)))
    measured = await measure(kernel)
    assert measured.effects == {"ghl": {"applied": 2, "refused": 1}, "instantly": {"applied": 1}}
    assert measured.crm_writes == 2
    assert (await samples(kernel))["swarm_effects{applied,ghl}"] == 2


async def test_replies_are_counted_by_class(kernel: Kernel) -> None:
    await put(kernel, reply, *({"event_id": str(n), "class": "positive_interest"} for n in range(2)))
    assert (await samples(kernel))["swarm_replies_by_class{positive_interest}"] == 2


async def test_what_waits_is_counted_and_its_oldest_has_an_age(kernel: Kernel, clock: HandClock) -> None:
    old = iso(clock.now())
    clock.move(100)
    new = iso(clock.now())
    clock.move(20)
    await put(kernel, run, {"id": "r"})
    waiting = {"run_id": "r", "state": "pending_review"}
    await put(
        kernel, campaign, {"id": "1", "created_at": new, **waiting}, {"id": "2", "created_at": old, **waiting}
    )
    doubtful = {"vendor": "ghl", "status": "in_doubt"}
    await put(kernel, effect, {"key": "1", "claimed_at": new, **doubtful})
    await put(
        kernel, stop, {"id": "1", "kind": "person", "at": old}, {"id": "2", "kind": "sequence", "at": old}
    )
    raw = {"vendor": "ghl", "raw": b"{}"}
    await put(kernel, inbound, {"event_id": "1", "received_at": new, **raw})
    await put(kernel, handoff, {"id": "1", "created_at": old, "due_at": new})
    found = (await measure(kernel)).standing
    assert found.reviews == Queue(2, 120)
    assert found.in_doubt == Queue(1, 20)
    assert (found.stops, found.suppression_sync) == (Queue(2, 120), Queue(1, 120))
    assert found.inbox == Queue(1, 20)
    assert (found.handoffs, found.handoffs_overdue) == (Queue(1, 120), Queue(1, 20))


async def test_switches_and_the_log_are_numbers_too(kernel: Kernel) -> None:
    await kernel.audit.record(Entry("test", "1", {}), Entry("test", "2", {}))
    await kernel.audit.checkpoint("test")
    await kernel.switches.kill(actor="Ada", reason="stop")
    found = await samples(kernel)
    assert (found["swarm_kill_switch"], found["swarm_safe_mode"]) == (1, 0)
    assert (found["swarm_audit_entries"], found["swarm_audit_exposed"]) == (3, 1)


async def test_alerts_that_stand_and_those_nobody_took_are_numbers_too(
    kernel: Kernel, clock: HandClock
) -> None:
    async def broken(subject: str, text: str) -> None:
        raise OSError

    alerts = Alerts(kernel.store, clock, AlertRules(), {"slack": broken})
    halts = [
        Alert("halt", "critical", "stopped", 1, 0, "halts", scope=scope) for scope in ("all", "vendor:ghl")
    ]
    await alerts.see([*halts, Alert("stops", "warning", "2 stops", 3, 2, "minutes")], set())
    await alerts.deliver()
    await alerts.see(halts, {"stops"})
    found = await samples(kernel)
    assert found["swarm_alert{halt,critical}"] == 1
    assert "swarm_alert{stops,warning}" not in found
    assert found["swarm_alerts_undelivered"] == 2


async def test_no_number_names_a_person(kernel: Kernel, clock: HandClock) -> None:
    at = iso(clock.now())
    about = {"target": PERSON, "claimed_at": at, "reason": PERSON, "message": PERSON}
    await put(kernel, effect, {"key": "1", "vendor": "ghl", "status": "in_doubt", **about})
    await put(kernel, stop, {"id": "1", "kind": "person", "target": PERSON, "at": at})
    await put(kernel, reply, {"event_id": "1", "class": "unknown", "text": PERSON, "subject": PERSON})
    await kernel.switches.kill(actor=PERSON, reason=PERSON)
    measured = await measure(kernel)
    assert not re.search("jane|corp", exposition(measured).decode() + str(as_json(measured)))


async def test_the_document_holds_what_prometheus_gets(kernel: Kernel) -> None:
    document: dict[str, Any] = as_json(await measure(kernel))
    assert {"standing", "events", "effects", "replies", "crm_writes", "alerts"} <= document.keys()
    assert document["standing"]["in_doubt"] == {"count": 0, "oldest_seconds": 0.0}


async def test_a_clock_that_was_put_back_makes_nothing_younger_than_new(clock: HandClock) -> None:
    assert age("2030-01-01T00:00:00+00:00", clock.now()) == 0.0


# ── vendors ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_calls_waits_and_breakers_are_counted_by_vendor(kernel: Kernel, clock: HandClock) -> None:
    await kernel.limits.block("ghl", 7)
    await kernel.limits.pace("ghl")
    await kernel.limits.pace("ghl", again=True)
    for _ in range(kernel.settings.vendor("ghl").file.breaker.least_calls):
        await kernel.limits.pace("instantly")
    clock.move(10)
    for _ in range(kernel.settings.vendor("instantly").file.breaker.least_calls):
        await kernel.breaker.failed("instantly")
    clock.move(5)
    found = await samples(kernel)
    assert found["swarm_calls_total{ghl}"] == 2
    assert found["swarm_call_retries_total{ghl}"] == 1
    assert found["swarm_limiter_wait_seconds_total{ghl}"] == pytest.approx(7)
    assert 0 < found["swarm_rate_cut{ghl}"] <= 0.5
    assert found["swarm_retry_percent{ghl}"] == 50
    assert found["swarm_call_failures_total{instantly}"] == 10
    assert found["swarm_breaker_open{instantly}"] == 1
    assert found["swarm_breaker_open{ghl}"] == 0
    assert found["swarm_breaker_open_seconds{instantly}"] == 5
    shown = as_json(await measure(kernel))["vendors"]["instantly"]
    assert (shown["breaker"], shown["failures"], shown["open_seconds"]) == ("open", 10, 5)
