"""GoHighLevel opened against its emulator: asked for by name, in every test file about it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from shared.settings import Settings
from tests.servers import ghl_world
from tests.servers.ghl_world import Bench, check_contract


@pytest.fixture
async def opened(settings_for: Callable[..., Settings]) -> AsyncIterator[Callable[..., Any]]:
    async with AsyncExitStack() as stack:

        async def open_bench(**environ: str) -> Bench:
            return await stack.enter_async_context(ghl_world.opened(settings_for, **environ))

        yield open_bench


@pytest.fixture
async def bench(opened: Callable[..., Any]) -> AsyncIterator[Bench]:
    """Live against the emulator; afterwards all traffic is checked against the contract, where at hand."""
    made = await opened()
    yield made
    check_contract(made)
