"""What every test may ask for: settings on a temporary home, an open kernel, vendor emulators on loopback."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shared.kernel import Kernel, open_kernel
from shared.sandbox import serve
from shared.settings import Settings, load_settings
from shared.suite import load_server
from tests.copies import Copies, FileCopies, ServerCopies
from tests.postgres import THROWAWAY, Server, migrated, name_in, running

CONFIG = Path(__file__).parent.parent / "config"
CONTRACTS = Path(__file__).parent.parent.parent / "shared" / "contracts"
MEMORY = Path("/dev/shm")
ROOM = 2 * 2**30
LONG = (
    "tests/simulation",
    "tests/journeys",
    "tests/scenarios",
    "tests/servers/test_instantly_once",
    "tests/web",
)


def pytest_configure() -> None:
    """Let temporary homes lie in memory: a durable commit waits for the disk, and the tests make thousands.

    What a crash of the machine would lose no test can tell; those that kill a process need no disk.
    """
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that none of them begins when the other core has nothing left to do."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is marked `both_databases` runs on SQLite and on PostgreSQL."""
    if "database" in metafunc.fixturenames and metafunc.definition.get_closest_marker("both_databases"):
        metafunc.parametrize("database", ("sqlite", "postgresql"), indirect=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server."""
    with running(*THROWAWAY) as server:
        yield server


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Mapping[str, str]]:
    """What the environment says of the database: nothing for SQLite, a fresh one of the server's else."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield {}
        return
    server: Server = request.getfixturevalue("postgres")
    with server.lent() as url:
        yield {"DATABASE_URL": url}


@pytest.fixture
def copies(request: pytest.FixtureRequest, database: Mapping[str, str], tmp_path: Path) -> Copies:
    """Copies of the database of `settings_for`."""
    if not database:
        return FileCopies(tmp_path / "home" / "swarm.db", tmp_path / "copy.db")
    return ServerCopies(request.getfixturevalue("postgres"), name_in(database["DATABASE_URL"]))


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our tables with nothing in them: copying the file is quicker than making them, which costs 0.08 s of a core."""
    path = tmp_path_factory.mktemp("empty") / "swarm.db"
    with ThreadPoolExecutor(1) as elsewhere:  # whoever asks may have a running loop
        elsewhere.submit(asyncio.run, migrated(f"sqlite:///{path}")).result()
    return path


@pytest.fixture
def settings_for(
    tmp_path: Path, database: Mapping[str, str], empty_database: Path
) -> Callable[..., Settings]:
    """`settings_for(SAFE_MODE="false", GHL_BASE_URL=…)`: the shipped configuration on a temporary home."""

    def make(**environ: str) -> Settings:
        settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path / "home"), **database, **environ})
        path = Path(settings.database_url.removeprefix("sqlite:///"))
        if path == settings.home / "swarm.db" and not settings.home.exists():
            settings.home.mkdir(mode=0o700)
            shutil.copy(empty_database, path)
        return settings

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
