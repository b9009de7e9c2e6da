"""A process that takes webhooks in, for tests that kill it: `python -m tests.orchestrator.receiver HOME`."""

import asyncio
import sys

from orchestrator.serving import listening
from shared.kernel import open_kernel
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import alone


async def serve(home: str) -> None:
    """Take them in until killed; says its address first."""
    settings = load_settings(CONFIG, {"SWARM_HOME": home, "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel, listening(alone(kernel)) as address:
        sys.stdout.write(f"{address}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
