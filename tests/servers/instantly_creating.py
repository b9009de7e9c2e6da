"""One process that creates the usual campaign and says how that ended: `python -m tests.servers.instantly_creating`."""

import asyncio
import json
import os
import sys
from dataclasses import asdict

from servers.instantly import tools
from servers.instantly.account import open_instantly
from shared.effect import Outcome
from shared.kernel import open_kernel
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.servers.instantly_world import DRAFT


async def main() -> None:
    """Create it, with the key that stands in the environment."""
    async with open_kernel(load_settings(CONFIG)) as kernel, open_instantly(kernel) as instantly:
        outcome: Outcome = await tools.create_campaign.function(instantly, DRAFT, os.environ.get("KEY", ""))
    sys.stdout.write(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    asyncio.run(main())
