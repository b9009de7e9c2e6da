"""F23: the kill switch with a thousand queued. Seconds are scaled a thousandfold: T is 30 ms here, and 30 s outside."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import structlog

from shared.clock import SystemClock
from shared.effect import Receipt
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings, load_settings
from tests.conftest import CONFIG
from tests.shared.world import contact, stricter

QUEUED, W = 1_000, 8
T = 0.03  # seconds, the deadline of a call
SLOWEST = 0.04  # seconds, the slowest answer of the vendor: beyond the deadline
LATE = 0.5  # seconds that a busy machine may take to notice that a call is over
CI, SOAK = 2, 200


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@dataclass
class Slow:
    """A vendor that answers when it likes, and notes when each request came and ended."""

    dice: random.Random
    clock: SystemClock = field(default_factory=SystemClock)
    began: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)

    async def __call__(self, permit: Permit) -> Receipt:
        async with permit.sending():
            key = permit.effect.key
            self.requests[key] += 1
            self.began[key] = self.clock.monotonic()
            try:
                await self.clock.sleep(self.dice.uniform(0, SLOWEST))
            finally:
                self.ended[key] = self.clock.monotonic()
        return Receipt("r")


async def kill_in_the_middle(home: Path, seed: int) -> int:
    """Queue a thousand, kill at a random instant, check the bound. Returns how many ended after the kill."""
    dice = random.Random(seed)
    vendor, clock = Slow(dice), SystemClock()
    settings = load_settings(CONFIG, {"SWARM_HOME": str(home), "SAFE_MODE": "false"})
    fast = stricter(settings, concurrent_calls=W, call_deadline_seconds=T, settle_seconds=0)
    async with open_kernel(_unlimited(fast)) as kernel:
        effects = [contact(f"p{seed}-{number}@corp.example") for number in range(QUEUED)]
        queued = [asyncio.create_task(kernel.gate.submit(effect, vendor)) for effect in effects]
        await clock.sleep(dice.uniform(0.05, 1.0))
        await kernel.switches.kill(actor="ada", reason="now")
        killed = clock.monotonic()
        outcomes = await asyncio.gather(*queued)
        after = [key for key, ended in vendor.ended.items() if ended > killed]
        statuses = Counter(outcome.reason or outcome.status for outcome in outcomes)
        told = f"seed {seed}: {len(after)} after the kill, {statuses}"
        assert len(after) <= W, told
        assert max((vendor.ended[key] for key in after), default=killed) <= killed + T + LATE, told
        assert set(vendor.requests.values()) <= {1}, told
        assert statuses["kill_switch"] == QUEUED - len(vendor.requests), told
        assert statuses["kill_switch"] > 0, told
        await _every_one_is_accounted_for(kernel, vendor)
    async with open_kernel(_unlimited(fast)) as again:
        assert (await again.switches.now()).killed
    return len(after)


def _unlimited(settings: Settings) -> Settings:
    """Without a rate limit: the bound alone is to hold them back."""
    vendors = dict(settings.vendors)
    ghl = vendors["ghl"]
    vendors["ghl"] = replace(ghl, file=ghl.file.model_copy(update={"limits": ()}))
    return replace(settings, vendors=vendors)


async def _every_one_is_accounted_for(kernel: Kernel, vendor: Slow) -> None:
    """The log holds the claim and the end of each that went out, and a claim of none after the kill."""
    entries = list(reversed(await kernel.audit.tail(10_000)))
    kinds = [str(entry["kind"]) for entry in entries]
    at = kinds.index("switch.kill")
    assert kinds[:at].count("effect.claimed") == len(vendor.requests)
    assert "effect.claimed" not in kinds[at:]
    ends = sum(kinds.count(f"effect.{status}") for status in ("applied", "in_doubt", "failed"))
    assert ends == len(vendor.requests)
    assert (await kernel.audit.verify()).ok


@pytest.mark.requirement("F23", "K1", "K2", "G7")
async def test_with_a_thousand_queued_no_more_than_w_end_after_a_kill(tmp_path: Path) -> None:
    for seed in range(CI):
        await kill_in_the_middle(tmp_path / str(seed), seed)


@pytest.mark.requirement("F23")
@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_with_a_thousand_queued_two_hundred_times_no_more_than_w_end_after_a_kill(
    tmp_path: Path,
) -> None:
    after = [await kill_in_the_middle(tmp_path / str(seed), seed) for seed in range(SOAK)]
    print(f"{SOAK} kills with {QUEUED} queued: at most {max(after)} calls ended afterwards, W is {W}")  # noqa: T201
