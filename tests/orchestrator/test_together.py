"""Many webhooks, one commit: each is answered once it is on the disk, and none is another one's problem."""

import asyncio
import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa

from orchestrator.together import MOST, Together
from shared.kernel import Kernel
from shared.schema import inbound
from shared.sql import run_many
from shared.sqlite import sqlite
from shared.store import Unavailable

ROOT = Path(__file__).parent.parent.parent
KEEP = "INSERT INTO watermark (name, at) VALUES (?, ?)"
SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}


def keep(connection: sa.Connection, those: Sequence[str]) -> None:
    run_many(connection, KEEP, [(one, "") for one in those])
    if "bad" in those:
        raise LookupError("a bug")


async def names(kernel: Kernel) -> list[str]:
    query = sa.text("SELECT name FROM watermark ORDER BY name")
    return await kernel.store.read(lambda c: list(c.execute(query).scalars()))


async def test_what_comes_while_one_commit_is_written_shares_the_next(kernel: Kernel) -> None:
    together, sizes = Together(), list[int]()

    def counted(connection: sa.Connection, those: Sequence[str]) -> None:
        sizes.append(len(those))
        keep(connection, those)

    await asyncio.gather(*(together.write(kernel.store, f"{n:03}", counted) for n in range(200)))
    assert await names(kernel) == [f"{n:03}" for n in range(200)]
    assert (sum(sizes), len(sizes)) == (200, 1)


async def test_a_commit_holds_so_much_and_no_more(kernel: Kernel) -> None:
    together, sizes = Together(), list[int]()

    def counted(connection: sa.Connection, those: Sequence[str]) -> None:
        sizes.append(len(those))
        keep(connection, those)

    heavy = (together.write(kernel.store, f"{n:03}", counted, MOST // 5) for n in range(12))
    await asyncio.gather(*heavy)
    assert sizes == [5, 5, 2]


@pytest.mark.requirement("W3", "W5")
async def test_one_that_cannot_be_written_is_nobody_elses_problem(kernel: Kernel) -> None:
    together = Together()
    those = ("a", "bad", "b")
    ended = await asyncio.gather(
        *(together.write(kernel.store, one, keep) for one in those), return_exceptions=True
    )
    assert [type(one) for one in ended] == [type(None), LookupError, type(None)]
    assert await names(kernel) == ["a", "b"]


async def test_who_hangs_up_takes_nobodys_commit_along(kernel: Kernel) -> None:
    together = Together()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(together.write, kernel.store, "first", keep)
        tasks.start_soon(together.write, kernel.store, "second", keep)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    await together.write(kernel.store, "third", keep)
    assert await names(kernel) == ["first", "second", "third"]


@pytest.mark.requirement("W3", "F16")
async def test_a_database_that_is_away_is_told_to_each(kernel: Kernel) -> None:
    together = Together()

    def away(_: sa.Connection, __: Sequence[str]) -> None:
        error = sqlite.OperationalError("disk I/O error")
        error.sqlite_errorcode = 10
        raise error

    ended = await asyncio.gather(
        *(together.write(kernel.store, one, away) for one in "ab"), return_exceptions=True
    )
    assert [type(one) for one in ended] == [Unavailable, Unavailable]


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────────────
def webhook(number: int) -> bytes:
    kind = "lead_unsubscribed" if number % 10 == 0 else "email_opened"
    said = {"event_type": kind, "lead_email": f"p{number}@corp.example", "timestamp": f"t{number}"}
    return json.dumps(said).encode()


@pytest.mark.requirement("W3", "W5", "F10", "I4")
async def test_of_what_was_answered_nothing_is_lost_by_kill_9(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "tests.orchestrator.receiver", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    answered, numbers = set[int](), itertools.count()
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=url, trust_env=False, headers=SECRET) as http:

            async def send() -> None:
                for number in numbers:
                    try:
                        answer = await http.post("/webhooks/instantly", content=webhook(number))
                    except httpx.TransportError:
                        return
                    assert answer.status_code == 200
                    answered.add(number)
                    if len(answered) == 300:
                        process.kill()

            await asyncio.gather(*(send() for _ in range(24)))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    held = await anyio.to_thread.run_sync(_held, tmp_path / "swarm.db")
    assert len(answered) >= 300
    assert answered <= {number for number, _ in held}
    # Whoever unsubscribed was on the list before the answer: both are in the commit.
    stops = sum(number % 10 == 0 for number, _ in held)
    assert stops == _suppressed(tmp_path / "swarm.db") > 0


def _held(path: Path) -> list[tuple[int, str]]:
    with sqlite.connect(path) as database:
        rows = database.execute(f"SELECT raw, state FROM {inbound.name}").fetchall()
    return [(int(json.loads(raw)["timestamp"][1:]), state) for raw, state in rows]


def _suppressed(path: Path) -> int:
    with sqlite.connect(path) as database:
        found = database.execute("SELECT count(*) FROM suppression WHERE substr(key, 1, 1) = x'65'")
        return int(found.fetchone()[0])
