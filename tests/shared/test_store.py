"""The database: what is acknowledged is written, what fails undoes only itself, and nobody waits for ever."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from shared.errors import ConfigError
from shared.schema import spend
from shared.store import Store, Unavailable, open_store
from shared.telemetry import correlated, correlation
from tests.shared.world import Somebody

pytestmark = pytest.mark.both_databases

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kernel.db"


@pytest.fixture
def url(database: Mapping[str, str], file: Path) -> str:
    return database.get("DATABASE_URL") or f"sqlite:///{file}"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url, patience=0.2) as opened:
        yield opened


@pytest.fixture
async def file_store(file: Path) -> AsyncIterator[Store]:
    async with open_store(f"sqlite:///{file}", patience=0.2) as opened:
        yield opened


def put(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.insert(spend).values(name=name, day="d", amount=1))


def names(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(spend.c.name).order_by(spend.c.name)).scalars())


class BugError(BaseException):
    """What nobody expects."""


async def test_what_was_written_is_read(store: Store) -> None:
    await store.write(lambda c: put(c, "a"))
    assert await store.read(names) == ["a"]


@pytest.mark.requirement("G9")
async def test_every_commit_is_synchronous(file_store: Store) -> None:
    assert await file_store.read(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2
    assert await file_store.write(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2
    assert await file_store.read(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"


async def test_a_change_that_raises_undoes_itself(store: Store) -> None:
    def change(connection: sa.Connection) -> None:
        put(connection, "a")
        raise KeyError("no")

    with pytest.raises(KeyError):
        await store.write(change)
    assert await store.read(names) == []


async def test_one_that_raises_in_a_group_undoes_only_itself(store: Store) -> None:
    def bad(connection: sa.Connection) -> None:
        put(connection, "bad")
        put(connection, "bad")

    changes = [lambda c, n=n: put(c, f"{n:02}") for n in range(40)]
    ended = await asyncio.gather(
        *(store.write(change) for change in [*changes[:20], bad, *changes[20:]]), return_exceptions=True
    )
    assert [type(one) for one in ended if one is not None] == [sa.exc.IntegrityError]
    assert await store.read(names) == [f"{n:02}" for n in range(40)]


async def test_bad_sql_is_its_authors_problem_only(store: Store) -> None:
    ended = await asyncio.gather(
        store.write(lambda c: c.exec_driver_sql("SELECT * FROM nowhere")),
        store.write(lambda c: put(c, "a")),
        return_exceptions=True,
    )
    assert isinstance(ended[0], sa.exc.DBAPIError)
    assert await store.read(names) == ["a"]


@pytest.mark.parametrize("error", [BugError(), SystemExit(1), KeyboardInterrupt(), MemoryError()])
async def test_whatever_is_raised_reaches_its_caller_and_the_writer_lives_on(
    store: Store, error: BaseException
) -> None:
    def change(connection: sa.Connection) -> None:
        put(connection, "lost")
        raise error

    with pytest.raises((Unavailable, MemoryError)):
        await asyncio.wait_for(store.write(change), 5)
    await store.write(lambda c: put(c, "after"))
    assert await store.read(names) == ["after"]


async def test_a_change_that_ends_the_transaction_is_refused(store: Store) -> None:
    with pytest.raises(Unavailable):
        await store.write(lambda c: c.exec_driver_sql("COMMIT") and None)
    await store.write(lambda c: put(c, "after"))
    assert await store.read(names) == ["after"]


@pytest.mark.requirement("F16")
async def test_a_database_that_another_holds_is_unavailable_after_its_patience(
    store: Store, url: str
) -> None:
    with closing(Somebody(url)) as somebody:
        somebody.begin()
        with pytest.raises(Unavailable):
            await store.write(lambda c: put(c, "a"))
        assert await store.read(names) == []
        somebody.end()
    await store.write(lambda c: put(c, "b"))
    assert await store.read(names) == ["b"]


@pytest.mark.requirement("F8")
async def test_a_full_disk_fails_every_write_of_the_group_and_keeps_none(file_store: Store) -> None:
    def fill(connection: sa.Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        connection.exec_driver_sql("CREATE TABLE big AS SELECT randomblob(100000) AS x")

    ended = await asyncio.gather(
        file_store.write(lambda c: put(c, "a")),
        file_store.write(fill),
        file_store.write(lambda c: put(c, "b")),
        return_exceptions=True,
    )
    assert {type(one) for one in ended} == {Unavailable}
    await file_store.write(lambda c: put(c, "after"))
    assert await file_store.read(names) == ["after"]


async def test_reading_sees_no_half_of_a_write(store: Store) -> None:
    def pair(connection: sa.Connection, n: int) -> None:
        put(connection, f"{n}-left")
        put(connection, f"{n}-right")

    async def look() -> None:
        for _ in range(50):
            assert len(await store.read(names)) % 2 == 0

    writes = (store.write(lambda c, n=n: pair(c, n)) for n in range(50))
    await asyncio.gather(look(), look(), *writes)


async def test_a_read_can_not_write(store: Store) -> None:
    with suppress(Unavailable):  # PostgreSQL says so; SQLite forgets it
        await store.read(lambda c: put(c, "a"))
    assert await store.read(names) == []


async def test_a_reader_survives_a_query_that_raises(store: Store) -> None:
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await store.read(lambda c: 1 / 0)
        with pytest.raises(sa.exc.DBAPIError):
            await store.read(lambda c: c.exec_driver_sql("SELECT nothing"))
    assert await store.read(names) == []


async def test_closing_finishes_what_waits_and_refuses_the_rest(url: str) -> None:
    async with open_store(url) as store:
        waiting = [asyncio.create_task(store.write(lambda c, n=n: put(c, f"{n:03}"))) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        await asyncio.gather(*waiting)
        with pytest.raises(Unavailable):
            await store.write(lambda c: put(c, "late"))
        with pytest.raises(Unavailable):
            await store.read(names)
    async with open_store(url) as again:
        assert len(await again.read(names)) == 200


async def test_a_change_is_made_though_its_caller_was_cancelled(store: Store) -> None:
    task = asyncio.create_task(store.write(lambda c: put(c, "a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.write(lambda c: put(c, "b"))
    assert await store.read(names) == ["a", "b"]


async def test_writes_are_made_in_the_order_they_were_asked_for(store: Store) -> None:
    seen: list[int] = []
    await asyncio.gather(*(store.write(lambda c, n=n: seen.append(n)) for n in range(300)))
    assert seen == list(range(300))


async def test_the_writer_knows_the_callers_correlation_id(store: Store) -> None:
    with correlated("abc"):
        assert await store.write(lambda c: correlation()) == "abc"


async def test_a_fork_is_told_that_it_has_no_writer(store: Store) -> None:
    child = os.fork()
    if child == 0:
        try:
            asyncio.new_event_loop().run_until_complete(store.write(names))
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 7


@pytest.mark.requirement("F16")
async def test_a_file_that_is_no_database_is_unavailable(file: Path) -> None:
    await anyio.Path(file).write_bytes(b"this is not a database, and it is long enough to have a header" * 20)
    with pytest.raises(Unavailable):
        async with open_store(f"sqlite:///{file}"):
            raise AssertionError


async def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "taken").write_text("a file")
    with pytest.raises(Unavailable):
        async with open_store(f"sqlite:///{tmp_path}/taken/kernel.db"):
            raise AssertionError


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    async with open_store(url) as store:
        await store.write(
            lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num='9999'") and None
        )
    with pytest.raises(ConfigError):
        async with open_store(url):
            raise AssertionError


async def test_an_error_of_the_database_does_not_tell_what_it_was_about(store: Store) -> None:
    await store.write(lambda c: put(c, "jane@corp.example"))
    with pytest.raises(sa.exc.IntegrityError) as told:
        await store.write(lambda c: put(c, "jane@corp.example"))
    assert "jane" not in str(told.value)


async def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(ConfigError):
        async with open_store("mysql://somewhere"):
            raise AssertionError


WRITER = """
import asyncio, sys
import sqlalchemy as sa
from shared.schema import spend
from shared.store import open_store

async def main(url, name):
    async with open_store(url) as store:
        for n in range(100):
            await store.write(lambda c: c.execute(sa.insert(spend).values(name=name, day=str(n), amount=1)) and None)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.requirement("F9")
async def test_processes_that_write_at_once_lose_nothing_and_take_turns(store: Store, url: str) -> None:
    command = [sys.executable, "-c", WRITER, url]
    writers = (anyio.run_process([*command, f"p{n}"], cwd=ROOT) for n in range(3))
    assert [done.returncode for done in await asyncio.gather(*writers)] == [0, 0, 0]
    counted = await store.read(lambda c: c.execute(sa.select(sa.func.count(spend.c.name))).scalar())
    assert counted == 300
