"""What every test may ask for: settings on a temporary home, an open kernel, vendor emulators on loopback."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.kernel import Kernel, open_kernel
from shared.sandbox import serve
from shared.settings import Settings, load_settings
from shared.suite import load_server

CONFIG = Path(__file__).parent.parent / "config"
CONTRACTS = Path(__file__).parent.parent.parent / "shared" / "contracts"


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """`settings_for(SAFE_MODE="false", GHL_BASE_URL=…)`: the shipped configuration on a temporary home."""

    def make(**environ: str) -> Settings:
        return load_settings(CONFIG, {"SWARM_HOME": str(tmp_path / "home"), **environ})

    return make


@pytest.fixture
async def sandbox() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """`await sandbox("ghl")` starts that vendor's emulator on a free port and returns its base URL."""
    async with AsyncExitStack() as stack:

        async def start(account: str) -> str:
            modules = load_settings(CONFIG, {}).suite.servers
            for name in [name for name in modules if name != "orchestrator"]:
                factory = load_server(name, modules).sandboxes.get(account)
                if factory is not None:
                    return await stack.enter_async_context(serve(factory(None)))
            raise LookupError(account)

        yield start


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings]) -> AsyncIterator[Kernel]:
    """A kernel in safe mode."""
    async with open_kernel(settings_for()) as opened:
        yield opened


@pytest.fixture
async def live_kernel(settings_for: Callable[..., Settings]) -> AsyncIterator[Kernel]:
    """A kernel that really acts."""
    async with open_kernel(settings_for(SAFE_MODE="false")) as opened:
        yield opened
