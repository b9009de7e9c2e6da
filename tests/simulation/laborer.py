"""One worker process of the fleet: takes up effects in an order of its own, over and over, until it is killed.

    python -m tests.simulation.laborer HOME DATABASE_URL VENDOR_URL WORK SEED

Prints `ready` once its kernel is open. What it is to do stands in `fleet.py`, which it shares with who judges.
"""

import asyncio
import random
import sys
from pathlib import Path

from shared.errors import SwarmError
from shared.kernel import open_kernel
from tests.simulation.fleet import fleet_settings, wanted_of
from tests.simulation.installation import submit


async def labour(home: Path, database: str, vendor: str, work: int, seed: int) -> None:
    """Until killed."""
    dice = random.Random(seed)
    async with open_kernel(fleet_settings(home, database, vendor), role="worker") as kernel:
        clients = {name: kernel.client(name) for name in ("ghl", "instantly")}
        print("ready", flush=True)  # noqa: T201 - told to who started us
        while True:
            for number in dice.sample(range(work), work):
                try:
                    effect = await wanted_of(kernel, number)
                    await submit(kernel, clients, effect)
                except SwarmError:
                    continue  # the database is locked, or the vendor can't be asked: the next one, please


if __name__ == "__main__":
    asyncio.run(labour(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
