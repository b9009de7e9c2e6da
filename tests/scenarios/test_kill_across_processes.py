"""F23 across processes: a thousand effects queued in two real processes, and the kill switch pressed in a third."""

import asyncio
import json
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from shared.clock import SystemClock
from shared.kernel import Kernel, open_kernel
from shared.sandbox import serve
from shared.wire import on_the_wire
from tests.shared.world import Vendor, contact
from tests.simulation.fleet import W, fleet_settings

ROOT = Path(__file__).parent.parent.parent
PROCESSES, EACH = 2, 500
SLOWEST = 0.04  # seconds, the slowest answer of the vendor
LATE = 1.0  # seconds that a busy machine may take to notice that a call is over
CI, SOAK = 2, 200


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@dataclass
class Slow:
    """The vendor behind real HTTP: answers when it likes, and notes when each request came and ended."""

    dice: random.Random
    clock: SystemClock = field(default_factory=SystemClock)
    came: list[tuple[float, str]] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while (part := await receive())["type"] == "http.request":
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        self.came.append((self.clock.monotonic(), json.loads(body)["key"]))
        await self.clock.sleep(self.dice.uniform(0, SLOWEST))
        self.ended.append(self.clock.monotonic())
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "x"}'})


async def _start(*args: str) -> Process:
    command = ("-m", "tests.scenarios.queue", *args)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdout=PIPE, stderr=DEVNULL
    )


@asynccontextmanager
async def _queueing(home: Path, url: str) -> AsyncIterator[list[Process]]:
    """Processes with everything queued; none outlives the test."""
    started = [await _start(str(home), "", url, f"p{n}-", str(EACH)) for n in range(PROCESSES)]
    try:
        for process in started:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _told(process: Process) -> Counter[str]:
    assert process.stdout is not None
    return Counter(json.loads(await process.stdout.readline()))


async def kill_in_the_middle(home: Path, seed: int) -> int:
    """Press at a random instant, check the bound. Returns how many requests came after the kill had returned."""
    dice = random.Random(seed)
    vendor, clock = Slow(dice), SystemClock()
    async with serve(vendor) as url:
        settings = fleet_settings(home, "", url)
        async with open_kernel(settings) as kernel, _queueing(home, url) as processes:
            await clock.sleep(dice.uniform(0.0, 2.0))
            await kernel.switches.kill(actor="ada", reason="now")
            killed = clock.monotonic()
            out = await kernel.store.read(lambda c: on_the_wire(c, clock.now()))
            outcomes = sum([await _told(process) for process in processes], Counter[str]())
            late = [key for at, key in vendor.came if at > killed]
            told = f"seed {seed}: {len(late)} came after the kill, {len(out)} listed, {outcomes}"
            assert max(len(late), len(out)) <= W, told
            assert max(vendor.ended, default=killed) <= killed + SLOWEST + LATE, told
            assert max(Counter(key for _, key in vendor.came).values(), default=1) == 1, told
            assert sum(outcomes.values()) == PROCESSES * EACH, told
            assert outcomes["kill_switch"] > 0, told
            assert set(outcomes) <= {"applied", "kill_switch", "stopped"}, told
            await _nothing_was_claimed_after_it(kernel)
    return len(late)


async def _nothing_was_claimed_after_it(kernel: Kernel) -> None:
    kinds = [str(entry["kind"]) for entry in reversed(await kernel.audit.tail(10_000))]
    at = kinds.index("switch.kill")
    assert "effect.claimed" not in kinds[at:]
    assert (await kernel.audit.verify()).ok
    assert await kernel.store.read(lambda c: on_the_wire(c, kernel.clock.now())) == []


@pytest.mark.requirement("F23", "K1", "K2", "G7")
async def test_no_effect_begins_in_any_process_after_a_kill_in_another(tmp_path: Path) -> None:
    late = [await kill_in_the_middle(tmp_path / str(seed) / "home", seed) for seed in range(CI)]
    assert max(late) <= W


@pytest.mark.requirement("F23")
@pytest.mark.soak
@pytest.mark.timeout(7_200)
async def test_no_effect_begins_in_any_process_after_any_of_two_hundred_kills(tmp_path: Path) -> None:
    late = [await kill_in_the_middle(tmp_path / str(seed) / "home", seed) for seed in range(SOAK)]
    print(f"{SOAK} kills over {PROCESSES} processes: at most {max(late)} requests came later, W is {W}")  # noqa: T201


@pytest.mark.requirement("F23", "K3")
async def test_a_process_that_dies_right_after_pressing_leaves_everything_stopped(tmp_path: Path) -> None:
    home = tmp_path / "home"
    process = await _start(str(home), "", "http://127.0.0.1:9", "--press")
    assert await process.wait() == -signal.SIGKILL
    async with open_kernel(fleet_settings(home, "", "http://127.0.0.1:9")) as kernel:
        safety = await kernel.switches.now()
        assert (safety.killed, set(safety.kill_sources)) == (True, {"database", "flag file"})
        assert (await kernel.gate.submit(contact(), vendor := Vendor())).reason == "kill_switch"
        assert vendor.performed == []
