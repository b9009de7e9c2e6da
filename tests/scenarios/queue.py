"""A real process with effects queued: submits all at once to a vendor behind real HTTP, and prints how they ended.

    python -m tests.scenarios.queue HOME DATABASE_URL VENDOR_URL NAME COUNT

Prints `ready` once everything is queued, and at the end one JSON document: reason or status → how many.
`python -m tests.scenarios.queue HOME DATABASE_URL VENDOR_URL --press` presses the kill switch instead, and kills
itself with SIGKILL in the very next instruction.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

from shared.effect import Effect, Receipt
from shared.gate import Permit
from shared.kernel import open_kernel
from shared.settings import Settings
from shared.telemetry import configure
from tests.shared.world import contact
from tests.simulation.fleet import fleet_settings


async def queue(settings: Settings, name: str, count: int) -> None:
    """Submit `count` effects at once."""
    async with open_kernel(settings, role="worker") as kernel:
        client = kernel.client("ghl")

        async def one(effect: Effect) -> str:
            async def perform(permit: Permit) -> Receipt:
                answer = await client.write(permit, "POST", "/contacts/", json={"key": effect.key})
                return Receipt(str(answer.data["id"]))

            outcome = await kernel.gate.submit(effect, perform)
            return outcome.reason or outcome.status

        effects = [contact(f"{name}{number}@corp.example") for number in range(count)]
        queued = [asyncio.create_task(one(effect)) for effect in effects]
        print("ready", flush=True)  # noqa: T201 - told to who started us
        print(json.dumps(Counter(await asyncio.gather(*queued))), flush=True)  # noqa: T201 - as above


async def press(settings: Settings) -> None:
    """Press, and be gone."""
    async with open_kernel(settings, role="command") as kernel:
        await kernel.switches.kill(actor="ada", reason="now")
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    configure("CRITICAL", bytes(32))
    found = fleet_settings(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
    asyncio.run(press(found) if sys.argv[4] == "--press" else queue(found, sys.argv[4], int(sys.argv[5])))
