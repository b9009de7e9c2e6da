"""Who is alive: told by a lock that death lets go."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
import sqlalchemy as sa

from shared.kernel import Kernel
from shared.presence import ByFile
from shared.schema import lease, process
from shared.settings import Settings
from tests.shared.world import opened

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]


@pytest.fixture
async def kernel(settings_for: Make) -> AsyncIterator[Kernel]:
    async with opened(settings_for()) as made:
        yield made


async def alive(kernel: Kernel, other: str) -> bool:
    return await kernel.store.read(lambda c: kernel.presence.alive(c, other))


async def processes(kernel: Kernel) -> list[str]:
    return await kernel.store.read(lambda c: list(c.execute(sa.select(process.c.id)).scalars()))


async def test_a_process_knows_itself_and_others_alive(kernel: Kernel, settings_for: Make) -> None:
    async with opened(settings_for()) as other:
        assert await alive(kernel, kernel.presence.id)
        assert await alive(kernel, other.presence.id)
        gone = other.presence.id
    assert not await alive(kernel, gone)
    assert not await alive(kernel, "never was")


async def test_a_process_that_leaves_takes_its_row_along(kernel: Kernel, settings_for: Make) -> None:
    async with opened(settings_for()):
        assert len(await processes(kernel)) == 2
    assert await processes(kernel) == [kernel.presence.id]


KILLED = """
import asyncio, os, signal
from pathlib import Path
from shared.kernel import open_kernel
from shared.settings import load_settings

async def main():
    async with open_kernel(load_settings(Path("config"), dict(os.environ))) as kernel:
        print(kernel.presence.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.requirement("D4", "F10")
async def test_a_killed_process_is_dead_at_once_and_cleared_away(kernel: Kernel, settings_for: Make) -> None:
    environ = {
        "SWARM_HOME": str(kernel.settings.home),
        "DATABASE_URL": kernel.settings.database_url,
        "PATH": "",
    }
    root = Path(__file__).parents[2]
    run = await anyio.run_process([sys.executable, "-c", KILLED], env=environ, cwd=root, check=False)
    killed = run.stdout.decode().strip()
    assert killed in await processes(kernel)
    with anyio.fail_after(10):  # a server has to notice the end of a session first
        while not kernel.presence.certain and await alive(kernel, killed):
            await anyio.lowlevel.checkpoint()
    assert not await alive(kernel, killed)
    left = {"id": f"{killed}/1", "process": killed, "what": "x", "until": 9e9}
    await kernel.store.write(lambda c: c.execute(sa.insert(lease).values(**left)) and None)
    async with opened(settings_for()):
        assert killed not in await processes(kernel)
        # One that may only have lost its session keeps its leases until they end: its calls may still be out.
        kept = await kernel.store.read(lambda c: c.execute(sa.select(lease.c.process)).scalars().all())
        assert kept == ([] if kernel.presence.certain else [killed])


async def test_asking_whether_somebody_is_alive_does_not_hold_a_lock(kernel: Kernel) -> None:
    if isinstance(kernel.presence, ByFile):
        (kernel.presence.folder / "77-dead.lock").touch()
    assert [await alive(kernel, "77-dead") for _ in range(3)] == [False] * 3


async def test_whoever_shares_a_database_sees_who_is_alive(settings_for: Make, tmp_path: Path) -> None:
    shared = f"sqlite:///{tmp_path}/shared/swarm.db"
    one = settings_for(DATABASE_URL=shared, SWARM_HOME=str(tmp_path / "one"))
    async with opened(one) as first:
        assert first.presence.folder == tmp_path / "shared" / "processes"
