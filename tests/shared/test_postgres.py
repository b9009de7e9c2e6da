"""PostgreSQL as the kernel's database: what a server, a network or another machine can do to it."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
import sqlalchemy as sa

from orchestrator.engine import OnServer, open_engine
from shared import sql
from shared.audit import Entry
from shared.clock import SystemClock
from shared.effect import Receipt
from shared.errors import ConfigError
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.postgres import BEGIN_WRITING
from shared.schema import spend
from shared.settings import Settings
from shared.store import Store, Unavailable, open_store
from tests.postgres import Server, name_in, running
from tests.relay import relayed
from tests.shared.test_migrations import migrate
from tests.shared.world import HandClock, Shown, Somebody, Vendor, contact, opened

ROOT = Path(__file__).parents[2]
Make = Callable[..., Settings]
EMPTY = (
    "DO $$ DECLARE name text; BEGIN FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
    "LOOP EXECUTE format('DROP TABLE %I CASCADE', name); END LOOP; END $$; DROP FUNCTION append_only()"
)
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    with postgres.lent() as lent:
        yield lent


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    async with open_store(url, patience=0.5) as opened:
        yield opened


def put(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.insert(spend).values(name=name, day="d", amount=1))


def names(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(spend.c.name).order_by(spend.c.name)).scalars())


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(20):
        while not await look():
            await SystemClock().sleep(0.05)


# ── what is promised ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G9")
async def test_commits_wait_for_the_disk_whatever_the_role_was_told(postgres: Server, url: str) -> None:
    postgres.run(f"ALTER DATABASE {name_in(url)} SET synchronous_commit = off")
    async with open_store(url) as store:
        for ask in (store.read, store.write):
            assert await ask(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar()) == "on"
    postgres.run(f"ALTER DATABASE {name_in(url)} SET synchronous_commit = remote_apply")
    async with open_store(url) as store:
        assert (
            await store.write(lambda c: c.exec_driver_sql("SHOW synchronous_commit").scalar())
            == "remote_apply"
        )
    postgres.run(f"ALTER DATABASE {name_in(url)} RESET ALL")


@pytest.mark.requirement("G9")
async def test_a_server_that_does_not_wait_for_its_disk_is_refused() -> None:
    with running("fsync=off") as server, pytest.raises(ConfigError, match="fsync=off"):
        async with open_store(server.url("postgres")):
            raise AssertionError


async def test_an_address_that_is_none_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigError) as told:
        async with open_store("postgresql://ada:hunter2@[host/db"):
            raise AssertionError
    assert "hunter2" not in repr(told.value)


async def test_a_server_that_does_not_answer_is_unavailable(postgres: Server) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        async with open_store(f"postgresql://ada:hunter2@/db?host={postgres.folder}/nowhere"):
            raise AssertionError


async def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    postgres.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(ConfigError, match="UTF8"):
        async with open_store(postgres.url("latin")):
            raise AssertionError


@pytest.mark.requirement("K1", "G4")
async def test_who_waited_to_write_sees_what_the_last_writer_wrote(url: str, postgres: Server) -> None:
    async with open_store(url, patience=20.0) as store:
        await store.write(names)  # its session is there
        with psycopg.connect(url, autocommit=True) as other:
            other.execute(BEGIN_WRITING)
            waiting = asyncio.create_task(store.write(names))
            await until(lambda: waits(postgres, url))
            other.execute("INSERT INTO spend (name, day, amount) VALUES ('a', 'd', 1)")
            other.execute("COMMIT")
            assert await waiting == ["a"]


async def waits(server: Server, url: str) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return bool(server.run(waiting, name_in(url))[0][0])


# ── what fails ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_connection_that_broke_while_it_rested_is_replaced(
    store: Store, postgres: Server, url: str
) -> None:
    await store.write(lambda c: put(c, "a"))
    await store.read(names)
    postgres.run(f"SELECT pg_terminate_backend(pid) {OTHERS}", name_in(url))
    await store.write(lambda c: put(c, "b"))
    assert await store.read(names) == ["a", "b"]


@pytest.mark.requirement("I8", "G8")
async def test_no_effect_is_lost_to_a_session_that_the_server_ended_while_it_rested(
    settings_for: Make, postgres: Server, url: str
) -> None:
    settings = settings_for(DATABASE_URL=url, SAFE_MODE="false")
    async with open_kernel(settings, clock=HandClock(), patience=60.0) as kernel:
        await kernel.gate.submit(contact("a@corp.example"), vendor := Vendor())
        ending = f"SELECT pg_terminate_backend(pid) {OTHERS}"
        postgres.run(ending, name_in(url))
        outcomes = [await kernel.gate.submit(contact(f"{n}@corp.example"), vendor) for n in "abc"]
        assert [one.status for one in outcomes] == ["replayed", "applied", "applied"]
        assert len(vendor.performed) == 3


@pytest.mark.requirement("I8", "D1")
async def test_a_session_that_ends_while_its_call_is_out_leaves_the_effect_as_it_went(
    settings_for: Make, postgres: Server, url: str
) -> None:
    settings = settings_for(DATABASE_URL=url, SAFE_MODE="false")
    async with open_kernel(settings, clock=HandClock(), patience=60.0) as kernel:

        async def perform(_: Permit) -> Receipt:
            postgres.run(f"SELECT pg_terminate_backend(pid) {OTHERS}", name_in(url))
            return Receipt("done")

        outcome = await kernel.gate.submit(contact(), perform)
        assert (outcome.status, outcome.reference) == ("applied", "done")
        assert (await kernel.gate.submit(contact(), vendor := Vendor())).status == "replayed"
        assert vendor.performed == []


async def test_a_connection_that_breaks_under_a_change_keeps_nothing_of_its_group(store: Store) -> None:
    def cut_off(connection: sa.Connection) -> None:
        put(connection, "lost")
        connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    ended = await asyncio.gather(
        store.write(lambda c: put(c, "a")), store.write(cut_off), store.write(lambda c: put(c, "b")),
        return_exceptions=True,
    )  # fmt: skip
    kept = [name for name, one in zip("axb", ended, strict=True) if not isinstance(one, Exception)]
    assert {type(one) for one in ended if one is not None} == {Unavailable}
    assert await store.read(names) == kept
    await store.write(lambda c: put(c, "z"))


async def test_a_reader_whose_connection_breaks_is_unavailable_and_the_next_is_not(store: Store) -> None:
    with pytest.raises(Unavailable):
        await store.read(lambda c: c.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert await store.read(names) == []


@pytest.mark.parametrize(
    "code",
    ["53100", "53200", "53300", "57P01", "58030", "XX000", "XX001", "40001", "40P01", "08006", "55P03"],
)
async def test_what_the_server_can_not_do_for_anybody_is_unavailable(store: Store, code: str) -> None:
    def fail(connection: sa.Connection) -> None:
        put(connection, "lost")
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")

    with pytest.raises(Unavailable):
        await store.write(fail)
    with pytest.raises(Unavailable):
        await store.read(
            lambda c: c.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE='{code}'; END $$")
        )
    await store.write(lambda c: put(c, "after"))
    assert await store.read(names) == ["after"]


async def test_a_statement_that_takes_too_long_is_unavailable(
    store: Store, postgres: Server, url: str
) -> None:
    slow = asyncio.create_task(store.write(lambda c: c.exec_driver_sql("SELECT pg_sleep(60)")))

    async def cancelled() -> bool:
        return bool(
            postgres.run(f"SELECT pg_cancel_backend(pid) {OTHERS} AND query LIKE '%pg_sleep%'", name_in(url))
        )

    await until(cancelled)
    with pytest.raises(Unavailable):
        await slow
    await store.write(lambda c: put(c, "after"))


async def test_who_holds_up_everybody_and_says_nothing_is_thrown_out(url: str) -> None:
    asleep, awake = threading.Event(), threading.Event()

    def sleeps(connection: sa.Connection) -> None:
        put(connection, "lost")
        asleep.set()
        awake.wait(40)

    async with open_store(url, patience=1.0) as hung, open_store(url, patience=30.0) as other:
        stuck = asyncio.create_task(hung.write(sleeps))
        await asyncio.to_thread(asleep.wait, 20)
        await other.write(lambda c: put(c, "other"))
        awake.set()
        with pytest.raises(Unavailable):
            await stuck
        assert await other.read(names) == ["other"]
        await hung.write(lambda c: put(c, "again"))


async def test_a_change_that_goes_on_after_an_error_is_undone(store: Store) -> None:
    def swallows(connection: sa.Connection) -> None:
        put(connection, "lost")
        try:
            connection.exec_driver_sql("SELECT nothing")
        except sa.exc.ProgrammingError:
            return

    ended = await asyncio.gather(
        store.write(lambda c: put(c, "a")), store.write(swallows), store.write(lambda c: put(c, "b")),
        return_exceptions=True,
    )  # fmt: skip
    assert [type(one) for one in ended] == [type(None), RuntimeError, type(None)]
    with pytest.raises(RuntimeError):
        await store.write(swallows)
    assert await store.read(names) == ["a", "b"]


async def test_what_was_prepared_before_a_migration_fails_once_and_is_prepared_anew(
    store: Store, postgres: Server, url: str
) -> None:
    def look(connection: sa.Connection) -> int:
        return len(sql.one(connection, "SELECT * FROM spend WHERE name=?", "a"))

    await store.write(lambda c: put(c, "a"))
    for _ in range(10):
        assert await store.write(look) == 3
    postgres.run("ALTER TABLE spend ADD COLUMN more text", name_in(url))
    with pytest.raises(Unavailable):
        await store.write(look)
    assert await store.write(look) == 4
    postgres.run("ALTER TABLE spend DROP COLUMN more", name_in(url))


# ── a network in between ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("G9", "F1")
async def test_a_commit_whose_answer_was_lost_counts_as_what_it_was(postgres: Server, url: str) -> None:
    with relayed(postgres, url) as (relay, address):
        async with open_store(address, patience=5.0) as store:
            relay.lose = "answer"
            await store.write(lambda c: put(c, "kept"))
            relay.lose = "request"
            with pytest.raises(Unavailable):
                await store.write(lambda c: put(c, "lost"))
            assert await store.read(names) == ["kept"]


@pytest.mark.requirement("G8", "D1")
async def test_a_claim_that_nobody_can_tell_of_sends_nothing_and_is_looked_into(
    settings_for: Make, postgres: Server, url: str
) -> None:
    clock = HandClock()
    with relayed(postgres, url) as (relay, address):
        async with open_kernel(
            settings_for(DATABASE_URL=address, SAFE_MODE="false"), clock=clock, patience=0.5
        ) as kernel:
            relay.lose = "everything"
            outcome = await kernel.gate.submit(contact(), vendor := Vendor())
            assert (outcome.reason, vendor.performed) == ("log_unavailable", [])
            relay.heard.set()
            assert (await kernel.ledger.list())[0].status == "claimed"  # it was committed all the same
            again = await kernel.gate.submit(contact(), vendor, Shown(None))
            assert (again.status, vendor.performed) == ("in_doubt", [])
            clock.move(kernel.settings.safety.call_deadline_seconds)
            assert (await kernel.gate.submit(contact(), vendor, Shown(None))).status == "applied"
            assert len(vendor.performed) == 1


async def test_a_server_that_hangs_is_given_up(postgres: Server, url: str) -> None:
    with relayed(postgres, url) as (relay, address):
        async with open_store(address, patience=0.5) as store:
            await store.read(names)
            relay.heard.clear()
            with anyio.fail_after(30), pytest.raises(Unavailable):
                await store.read(names)
            relay.heard.set()
            assert await store.read(names) == []


async def test_a_pooler_in_between_is_refused(postgres: Server, url: str) -> None:
    with relayed(postgres, url) as (relay, address):
        relay.pools = True
        with pytest.raises(ConfigError, match="pooler"):
            async with open_store(address):
                raise AssertionError


# ── what is said ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("I7")
async def test_no_error_repeats_a_value(store: Store) -> None:
    await store.write(lambda c: put(c, "jane@corp.example"))
    insert = sql.insertion("spend", ("name", "day", "amount"))
    tries: list[Callable[[sa.Connection], Any]] = [
        lambda c: put(c, "jane@corp.example"),
        lambda c: sql.run(c, insert, "jane@corp.example", "d", 1),
        lambda c: sql.run_many(c, insert, [("jane@corp.example", "d", 1)]),
        lambda c: sql.run(c, "SELECT * FROM spend WHERE amount=?", "jane@corp.example"),
    ]
    for change in tries:
        with pytest.raises((sa.exc.DBAPIError, psycopg.Error)) as told:
            await store.write(change)
        assert (
            "jane" not in f"{told.value} {told.value!r} {told.value.__cause__!r} {told.value.__context__!r}"
        )


async def test_a_text_may_hold_what_postgresql_has_no_place_for(store: Store) -> None:
    insert = sql.insertion("spend", ("name", "day", "amount"))
    await store.write(lambda c: sql.run(c, insert, "a\x00b", "d", 1) and None)
    await store.write(lambda c: sql.run_many(c, insert, [("c\x00d", "d", 1)]))
    await store.write(lambda c: put(c, "e\x00f"))
    assert await store.read(names) == ["a\ufffdb", "c\ufffdd", "e\ufffdf"]
    found = await store.read(
        lambda c: list(sql.among(c, "SELECT name FROM spend WHERE name IN", ["a\x00b", "x"]))
    )
    assert [row["name"] for row in found] == ["a\ufffdb"]


async def test_texts_are_ordered_by_their_bytes_whatever_the_databases_language(
    postgres: Server, url: str
) -> None:
    texts = "FROM information_schema.columns WHERE table_schema = 'public' AND data_type = 'text'"
    assert postgres.run(f"SELECT count(*) > 50 {texts}", name_in(url)) == [(True,)]
    assert (
        postgres.run(f"SELECT table_name, column_name {texts} AND collation_name IS NULL", name_in(url)) == []
    )
    assert (
        postgres.run(f"SELECT DISTINCT collation_name {texts} AND collation_name <> 'C'", name_in(url)) == []
    )


@pytest.mark.requirement("L1")
async def test_the_log_can_not_be_emptied_by_a_slip(settings_for: Make, url: str) -> None:
    async with opened(settings_for(DATABASE_URL=url)) as kernel:
        await kernel.audit.record(Entry("test", "x", {}))
        for statement in ("TRUNCATE audit_leaf", "UPDATE audit_leaf SET seq=seq+1", "DELETE FROM audit_leaf"):
            with pytest.raises(sa.exc.DBAPIError, match="RaiseException"):
                await kernel.store.write(lambda c, s=statement: c.exec_driver_sql(s))
        assert (await kernel.audit.verify()).size == 1


# ── who is alive ─────────────────────────────────────────────────────────────────────────────────────────
async def alive(kernel: Kernel, other: str) -> bool:
    return await kernel.store.read(lambda c: kernel.presence.alive(c, other))


@pytest.mark.requirement("D4")
async def test_who_lost_its_session_is_gone_until_it_has_one_again(
    settings_for: Make, postgres: Server, url: str, tmp_path: Path
) -> None:
    mine = settings_for(DATABASE_URL=url, SAFE_MODE="false")
    theirs = settings_for(DATABASE_URL=url, SAFE_MODE="false", SWARM_HOME=str(tmp_path / "home"))
    async with open_kernel(mine, patience=60.0) as one, open_kernel(theirs, patience=0.3) as other:
        assert await alive(one, other.presence.id)
        lost = f"SELECT pg_terminate_backend(pid) {OTHERS}"
        postgres.run(lost, name_in(url))
        assert not await alive(other, one.presence.id)
        # One rests long before it notices; its next write goes through a session that holds the lock again.
        await one.audit.record(Entry("test", "x", {}))
        assert await alive(other, one.presence.id)
        # The other one, which looks after its session more often, comes back by itself.
        await until(lambda: alive(one, other.presence.id))


async def test_a_row_that_was_cleared_away_comes_back_with_the_session(
    settings_for: Make, postgres: Server, url: str
) -> None:
    async with open_kernel(settings_for(DATABASE_URL=url), patience=60.0) as one:
        postgres.run(f"SELECT pg_terminate_backend(pid) {OTHERS}", name_in(url))
        async with open_kernel(settings_for(DATABASE_URL=url)):
            assert len(postgres.run("SELECT id FROM process", name_in(url))) == 1
            await one.audit.record(Entry("test", "x", {}))
            assert len(postgres.run("SELECT id FROM process", name_in(url))) == 2


CLAIMS = """
import asyncio, os, sys
from pathlib import Path
from shared.effect import Effect, Receipt
from shared.kernel import open_kernel
from shared.settings import load_settings

async def main(name):
    async with open_kernel(load_settings(Path("config"), dict(os.environ))) as kernel:
        calls = []
        async def perform(permit):
            calls.append(permit.effect.key)
            return Receipt(name)
        print("ready", flush=True)
        sys.stdin.readline()
        for n in range(40):
            to = f"p{n}@corp.example"
            effect = Effect("ghl", "create_contact", to, f"contact:{to}", {"email": to}, (to,))
            while (await kernel.gate.submit(effect, perform)).status == "refused":
                pass
        print(" ".join(calls), flush=True)

asyncio.run(main(sys.argv[1]))
"""


@asynccontextmanager
async def process(code: str, name: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    environ = {"PATH": os.environ["PATH"], "SAFE_MODE": "false", **environ}
    made = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, name, stdin=pipe, stdout=pipe, cwd=ROOT, env=environ
    )
    try:
        assert made.stdout is not None
        assert await made.stdout.readline() == b"ready\n"
        yield made
    finally:
        if made.returncode is None:
            made.send_signal(signal.SIGKILL)
        await made.wait()


@pytest.mark.requirement("I2", "G4", "F9")
async def test_processes_that_claim_the_same_effects_make_each_call_once(
    settings_for: Make, url: str, tmp_path: Path
) -> None:
    home = settings_for().home
    async with opened(settings_for(DATABASE_URL=url)):
        pass  # the keys are made
    environ = {"DATABASE_URL": url, "SWARM_HOME": str(home)}
    async with process(CLAIMS, "a", **environ) as a, process(CLAIMS, "b", **environ) as b:
        told = await asyncio.gather(a.communicate(b"\n"), b.communicate(b"\n"))
    calls = [key for out, _ in told for key in out.decode().split()]
    assert len(calls) == len(set(calls)) == 40


# ── migrating ────────────────────────────────────────────────────────────────────────────────────────────
async def test_processes_that_start_at_once_migrate_once(postgres: Server) -> None:
    url = postgres.url(postgres.make())

    async def start(n: int) -> None:
        async with open_store(url) as store:
            await store.write(lambda c: put(c, f"{n}"))

    await asyncio.gather(*(start(n) for n in range(5)))
    async with open_store(url) as store:
        assert len(await store.read(names)) == 5


async def test_a_migration_waits_for_nobodys_patience(postgres: Server) -> None:
    url = postgres.url(postgres.make())
    with closing(Somebody(url)) as somebody:
        somebody.begin()
        with pytest.raises(Unavailable):
            async with open_store(url, patience=0.2):
                raise AssertionError
        somebody.end()
    async with open_store(url, patience=0.2) as store:
        assert await store.read(names) == []


@pytest.mark.requirement("G9")
async def test_a_migration_whose_commits_answer_was_lost_counts_as_what_it_was(postgres: Server) -> None:
    url = postgres.url(postgres.make())
    with relayed(postgres, url) as (relay, address):
        relay.lose = "request"
        with pytest.raises(Unavailable):
            async with open_store(address, patience=5.0):
                raise AssertionError
        assert postgres.run("SELECT to_regclass('effect') IS NULL", name_in(url)) == [(True,)]
        relay.lose = "answer"
        async with open_store(address, patience=5.0) as store:
            assert await store.read(names) == []


# ── least rights ─────────────────────────────────────────────────────────────────────────────────────────
def runbook() -> list[str]:
    """What the runbook has a superuser run: before the tables are there, and after."""
    text = (ROOT / "docs" / "RUNBOOK.md").read_text(encoding="utf-8")
    section = text.split("\n## PostgreSQL\n")[1].split("\n## ")[0]
    return [block.split("```")[0] for block in section.split("```sql\n")[1:3]]


@pytest.fixture
def roles(postgres: Server) -> Iterator[Mapping[str, str]]:
    """The addresses of owner and working role on a database that was set up by the runbook."""
    before, after = runbook()
    outside, inside = before.split("\\connect swarm\n")
    for statement in filter(str.strip, outside.split(";")):
        postgres.run(statement)
    postgres.run(inside, "swarm")

    async def init() -> None:
        async with open_store(postgres.url("swarm", "swarm_owner")):
            pass

    asyncio.run(init())
    postgres.run(after.removeprefix("\\connect swarm\n"), "swarm")
    yield {name: postgres.url("swarm", name) for name in ("swarm", "swarm_owner")}
    postgres.run("DROP DATABASE swarm WITH (FORCE)")
    postgres.run("DROP ROLE swarm; DROP ROLE swarm_owner")


@pytest.mark.requirement("L1")
async def test_the_working_role_of_the_runbook_can_do_its_work_and_not_touch_the_log(
    settings_for: Make, roles: Mapping[str, str], tmp_path: Path
) -> None:
    settings = settings_for(DATABASE_URL=roles["swarm"], SAFE_MODE="false")
    async with opened(settings) as kernel, open_engine(tmp_path, {}, OnServer(roles["swarm"], "me")):
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"
        assert await kernel.suppression.add("jane@corp.example", reason="asked", source="test")
        await kernel.switches.kill(actor="ada", reason="now")
        assert (await kernel.audit.verify()).ok
        for statement in (
            "UPDATE audit_leaf SET data = ''",
            "DELETE FROM audit_leaf",
            "TRUNCATE audit_leaf",
            "ALTER TABLE audit_leaf DISABLE TRIGGER USER",
            "DROP TRIGGER audit_leaf_no_update ON audit_leaf",
            "DROP TABLE audit_leaf",
            "UPDATE alembic_version SET version_num = '0001'",
            "CREATE TABLE mine (x int)",
        ):
            with pytest.raises(sa.exc.ProgrammingError, match="42501"):
                await kernel.store.write(lambda c, s=statement: c.exec_driver_sql(s))


async def test_the_working_role_is_told_that_the_owner_must_migrate(
    postgres: Server, roles: Mapping[str, str]
) -> None:
    postgres.run(EMPTY, "swarm")
    migrate(roles["swarm_owner"], "0001")
    postgres.run(runbook()[1].removeprefix("\\connect swarm\n"), "swarm")
    with pytest.raises(ConfigError, match="owner"):
        async with open_store(roles["swarm"]):
            raise AssertionError
    async with open_store(roles["swarm_owner"]), open_store(roles["swarm"]):
        pass


async def test_why_it_can_not_be_opened_is_said(postgres: Server) -> None:
    for url, why in (
        (postgres.url("nowhere"), "no such database"),
        (postgres.url("postgres", "nobody"), "no such database or role"),
        ("postgresql://ada:hunter2@127.0.0.1:9/db", "nothing listens"),
    ):
        with pytest.raises(Unavailable, match=why) as told:
            async with open_store(url):
                raise AssertionError
        assert "hunter2" not in str(told.value)


async def test_health_says_which_server_and_what_a_commit_waits_for(store: Store) -> None:
    health = await store.health()
    assert not health.durable  # the tests' own server doesn't wait for its disk
    assert "synchronous_commit=on" in health.text
    with running() as durable:
        async with open_store(durable.url("postgres")) as other:
            assert (await other.health()).durable
