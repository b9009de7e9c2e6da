"""F22: thousands opt out within a minute; and a vendor's storm of events does not keep one of them waiting."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from orchestrator import inbox
from orchestrator.app import App
from shared.clock import SystemClock
from shared.kernel import Kernel, open_kernel
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import alone
from tests.shared.world import Vendor, contact

SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}
MINUTE = 60.0
ANSWERED = 1.0  # seconds, for 99 of 100


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def address(number: int) -> str:
    return f"person{number}@corp{number % 7}.example"


async def opt_out(app: App, number: int, took: list[float]) -> int:
    """One webhook; how long its answer took is noted."""
    clock = SystemClock()
    began = clock.monotonic()
    said = {"event_type": "lead_unsubscribed", "lead_email": address(number), "timestamp": "2026-03-02"}
    status = await inbox.receive(app, "instantly", SECRET, json.dumps(said).encode())
    took.append(clock.monotonic() - began)
    return status


async def all_opt_out(kernel: Kernel, count: int) -> None:
    """Fifty at a time, each twice; scanners ask in between; and everybody is on the list afterwards."""
    app, clock = alone(kernel), SystemClock()
    began, took = clock.monotonic(), list[float]()
    for first in range(0, count, 50):
        batch = [opt_out(app, number, took) for number in range(first, min(first + 50, count)) for _ in "12"]
        assert set(await asyncio.gather(*batch)) == {200}
    while await inbox.drain(app):
        pass
    everybody = [address(number) for number in range(count)]
    assert len(await kernel.suppression.refused(everybody)) == count
    refused = await kernel.gate.submit(contact(everybody[-1]), vendor := Vendor())
    assert (refused.reason, vendor.performed) == ("suppressed", [])
    assert sorted(took)[len(took) * 99 // 100] <= ANSWERED
    assert clock.monotonic() - began <= MINUTE


async def run(home: Path, count: int) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(home), "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel:
        await all_opt_out(kernel, count)


@pytest.mark.requirement("F22", "I4", "U10", "W2")
async def test_of_hundreds_of_opt_outs_at_once_none_is_lost(tmp_path: Path) -> None:
    await run(tmp_path / "home", 300)


@pytest.mark.requirement("F22", "I4")
@pytest.mark.soak
@pytest.mark.timeout(600)
async def test_of_five_thousand_opt_outs_in_a_minute_none_is_lost(tmp_path: Path) -> None:
    await run(tmp_path / "home", 5_000)


@pytest.mark.requirement("F22", "U10", "U11", "S4")
@pytest.mark.parametrize("how", ["killed", "in safe mode", "halted"])
async def test_an_opt_out_counts_whatever_stands_still(tmp_path: Path, how: str) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path / "home"), "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel:
        if how == "killed":
            await kernel.switches.kill(actor="ada", reason="now")
        elif how == "in safe mode":
            await kernel.switches.engage_safe_mode(actor="ada", reason="now")
        else:
            await kernel.switches.pause("all", actor="rule", reason="now", kind="halt")
        app = alone(kernel)
        assert await opt_out(app, 1, []) == 200
        await inbox.drain(app)
        assert await kernel.suppression.find(address(1))
