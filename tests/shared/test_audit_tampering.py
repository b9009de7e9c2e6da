"""What the owner of the database could try: each try is found by our own verification and by the independent one.

The independent one is `tools/verify_audit.py`, run by itself: on the database, and on an export of it.
"""

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from shared.audit import Entry, append
from shared.errors import Fatal
from shared.kernel import Kernel
from shared.merkle import Edge, leaf_hash
from shared.schema import effect
from shared.settings import Settings
from shared.sqlite import sqlite
from shared.transcript import transcript
from shared.verification import AT_ONCE, MOST, Verdict, entry_problem
from tests.shared.world import HandClock, Vendor, contact, opened

ROOT = Path(__file__).parent.parent.parent
Make = Callable[..., Settings]
SIZE = 40


@dataclass(frozen=True)
class Judged:
    """What each verification said."""

    ours: tuple[str, ...]
    script: subprocess.CompletedProcess[str]
    on_export: subprocess.CompletedProcess[str] | None

    @property
    def found(self) -> bool:
        """All of them found something."""
        also = self.on_export is None or self.on_export.returncode == 1
        return bool(self.ours) and self.script.returncode == 1 and also

    @property
    def well(self) -> bool:
        """None of them did."""
        also = self.on_export is None or self.on_export.returncode == 0
        return not self.ours and self.script.returncode == 0 and also


@pytest.fixture
async def kernel(settings_for: Make) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), HandClock()) as made:
        yield made


async def fill(kernel: Kernel, count: int = SIZE, about: str = "subject") -> None:
    entries = [Entry("test", f"{about} {n} é@example.com", {"n": n, "name": "José"}) for n in range(count)]
    await kernel.audit.record(*entries)


async def tamper(kernel: Kernel, *statements: str) -> None:
    def change(connection: sa.Connection) -> None:
        for trigger in ("audit_leaf_no_update", "audit_leaf_no_delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")
        for statement in statements:
            connection.exec_driver_sql(statement)

    await kernel.store.write(change)


def verify_alone(log: Path, key: str, *more: object) -> subprocess.CompletedProcess[str]:
    """The script by itself: no path of ours, and nothing from the environment."""
    command = [sys.executable, "-I", str(ROOT / "tools" / "verify_audit.py"), str(log), "--key", key]
    return subprocess.run([*command, *map(str, more)], capture_output=True, text=True, check=False, cwd="/")


async def judged(kernel: Kernel, held: Path | None = None) -> Judged:
    """All three, with the checkpoints of a published file."""
    key, given = kernel.keys.audit_public.hex(), ("--held", held or kernel.audit._files.beside)
    copy = kernel.settings.home / "log.jsonl"
    copy.unlink(missing_ok=True)
    try:
        with copy.open("w", encoding="utf-8") as out:
            async for lines in transcript(kernel.store, kernel.keys):
                out.writelines(lines)
        on_export = verify_alone(copy, key, *given)
    except Fatal:
        on_export = None  # it says so, and writes none
    ours = (await kernel.audit.verify()).problems
    return Judged(ours, verify_alone(kernel.store.path, key, *given), on_export)


async def test_a_log_that_nobody_touched_is_whole_for_everybody(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await fill(kernel, 3)
    found = await judged(kernel)
    assert found.well, found
    assert f"{SIZE + 3} entries" in found.script.stdout
    assert "3 entries at the end could be cut off" in found.script.stdout


@pytest.mark.parametrize(
    ("what", "statements"),
    [
        ("a changed entry", ["UPDATE audit_leaf SET data=replace(data,'\"test\"','\"tost\"') WHERE seq=14"]),
        ("no JSON", ["UPDATE audit_leaf SET data='not json' WHERE seq=14"]),
        ("a changed hash", ["UPDATE audit_leaf SET hash=zeroblob(32) WHERE seq=14"]),
        ("a deleted entry", ["DELETE FROM audit_leaf WHERE seq=14"]),
        ("the first entry deleted", ["DELETE FROM audit_leaf WHERE seq=0"]),
        ("the last entry deleted", [f"DELETE FROM audit_leaf WHERE seq={SIZE - 1}"]),
        (
            "two entries that changed places",
            [
                "UPDATE audit_leaf SET seq=-1 WHERE seq=3",
                "UPDATE audit_leaf SET seq=3 WHERE seq=4",
                "UPDATE audit_leaf SET seq=4 WHERE seq=-1",
            ],
        ),
        (
            "an entry twice",
            ["INSERT INTO audit_leaf SELECT 40, hash, data FROM audit_leaf WHERE seq=14"],
        ),
        (
            "a number twice",  # its primary key forbids that; whoever owns the database makes the table anew
            [
                "CREATE TABLE copied AS SELECT * FROM audit_leaf",
                "INSERT INTO copied SELECT * FROM audit_leaf WHERE seq=14",
                "DROP TABLE audit_leaf",
                "ALTER TABLE copied RENAME TO audit_leaf",
            ],
        ),
        ("an entry before the first", ["INSERT INTO audit_leaf VALUES (-5, zeroblob(32), '{}')"]),
        ("a changed payload", ["UPDATE audit_detail SET payload='{\"n\":99}' WHERE seq=14"]),
        ("a changed subject", ["UPDATE audit_detail SET subject='somebody else' WHERE seq=14"]),
        ("a changed salt", ["UPDATE audit_detail SET salt=zeroblob(16) WHERE seq=14"]),
        (
            "the same letters in another Unicode form",
            ["UPDATE audit_detail SET payload=replace(payload,'é','e\u0301') WHERE seq=14"],
        ),
        ("a key twice in a payload", ['UPDATE audit_detail SET payload=\'{"n":14,"n":14}\' WHERE seq=14']),
        ("a detail of no entry", ["INSERT INTO audit_detail VALUES (99, zeroblob(16), 'x', '{}')"]),
        ("a smaller head", ["UPDATE audit_head SET size=39"]),
        ("another edge", ["UPDATE audit_head SET frontier=zeroblob(length(frontier))"]),
        ("no head", ["DELETE FROM audit_head"]),
        ("a changed checkpoint", ["UPDATE audit_checkpoint SET note=replace(note,'40','41')"]),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
@pytest.mark.requirement("L2", "L7", "I6")
async def test_every_change_is_found_by_everybody(kernel: Kernel, what: str, statements: list[str]) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await tamper(kernel, *statements)
    found = await judged(kernel)
    # An export has what the head covers, so what lies beyond it isn't in it.
    beyond = what in {"an entry twice", "an entry before the first", "a detail of no entry"}
    assert bool(found.ours), found
    assert found.script.returncode == 1, found
    assert beyond or found.on_export is None or found.on_export.returncode == 1, found


async def test_every_flipped_byte_of_an_entry_is_found(kernel: Kernel) -> None:
    """Byte by byte: also where what is left is no text any more, and no JSON."""
    await fill(kernel, 3)
    await kernel.audit.checkpoint("test")
    data = await kernel.store.read(
        lambda c: c.exec_driver_sql("SELECT CAST(data AS BLOB) FROM audit_leaf WHERE seq=1").scalar_one()
    )
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 0x80 if at % 2 else 0x01
        await tamper(kernel, f"UPDATE audit_leaf SET data=CAST(x'{changed.hex()}' AS TEXT) WHERE seq=1")
        assert (await kernel.audit.verify()).problems
    found = await judged(kernel)
    assert found.found, found


async def cut(kernel: Kernel, keep: int, more: int = 0) -> None:
    """The owner's best try: the end cut off, newer checkpoints forgotten, the log grown anew."""

    def change(connection: sa.Connection) -> None:
        leaves = connection.exec_driver_sql("SELECT hash FROM audit_leaf ORDER BY seq").scalars().all()
        edge = Edge()
        for leaf in leaves[:keep]:
            edge.append(leaf)
        connection.exec_driver_sql("UPDATE audit_head SET size=?, frontier=?", (edge.size, edge.packed))
        for table, column in (("leaf", "seq"), ("detail", "seq")):
            connection.exec_driver_sql(f"DELETE FROM audit_{table} WHERE {column}>={keep}")
        connection.exec_driver_sql(f"DELETE FROM audit_checkpoint WHERE size>{keep}")
        append(connection, [Entry("forged", "x", {"n": n}) for n in range(more)], kernel.clock.now())

    await tamper(kernel)
    await kernel.store.write(change)


@pytest.mark.parametrize("more", [0, 500, 1_000, 1_500])
@pytest.mark.requirement("L3")
async def test_a_thousand_entries_cut_off_and_signed_anew_with_the_stolen_key_are_found(
    kernel: Kernel, more: int
) -> None:
    """The thief has the database, the key and our program, but not the file that was published to."""
    await fill(kernel, 1_200)
    await kernel.audit.checkpoint("test")
    elsewhere = kernel.settings.home / "elsewhere.jsonl"
    elsewhere.write_text(kernel.audit._files.beside.read_text())
    await cut(kernel, 200, more)
    if more < 1_000:
        with pytest.raises(Fatal):  # whoever saw it longer goes no further with it
            await kernel.audit.checkpoint("test")
    kernel.audit._covered = 0  # the thief's own process never did
    kernel.audit._files.beside.unlink()
    await kernel.audit.checkpoint("forged")
    alone = await judged(kernel)
    assert alone.well, "without what others hold, nobody can tell"
    kernel.audit._files.beside.write_text(elsewhere.read_text())
    found = await judged(kernel, elsewhere)
    assert found.found, found
    with pytest.raises(Fatal, match="older than what was done"):
        await kernel.audit.refuse_if_rolled_back()


async def test_nothing_is_done_outside_once_the_log_is_shorter_than_it_was(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await cut(kernel, 10)
    vendor = Vendor()
    with pytest.raises(Fatal, match="older than what was done"):
        await kernel.gate.submit(contact(), vendor)
    assert not vendor.performed
    assert await kernel.store.read(lambda c: c.execute(sa.select(sa.func.count(effect.c.id))).scalar()) == 0


@pytest.mark.requirement("L3")
async def test_two_copies_that_went_on_differently_are_found(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await fill(kernel, 10, "one")
    await kernel.audit.checkpoint("test")
    elsewhere = kernel.settings.home / "elsewhere.jsonl"
    elsewhere.write_text(kernel.audit._files.beside.read_text())
    await cut(kernel, SIZE)
    await fill(kernel, 10, "two")
    await kernel.audit.checkpoint("test")
    found = await judged(kernel, elsewhere)
    assert found.script.returncode == 1
    assert "50 entries in elsewhere.jsonl doesn't match" in found.script.stdout
    kernel.audit._files.beside.write_text(elsewhere.read_text())
    assert (await judged(kernel)).found


@pytest.mark.requirement("L1")
async def test_a_crash_between_an_entry_and_the_tree_leaves_neither(kernel: Kernel) -> None:
    """The entry is written, the process dies before the head is: the transaction leaves nothing of it."""
    await fill(kernel)
    other = sqlite.connect(kernel.store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute(f"INSERT INTO audit_leaf VALUES ({SIZE}, zeroblob(32), '{{}}')")
    other.close()  # as its death would
    await fill(kernel, 2)
    await kernel.audit.checkpoint("test")
    assert (await judged(kernel)).well


async def test_an_entry_without_the_tree_is_found(kernel: Kernel) -> None:
    """Were it ever written by halves, by another program: the head tells."""
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    other = sqlite.connect(kernel.store.path, isolation_level=None)
    other.execute(f"INSERT INTO audit_leaf SELECT {SIZE}, hash, data FROM audit_leaf WHERE seq=1")
    other.close()
    found = await judged(kernel)
    assert found.ours
    assert found.script.returncode == 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "\ud800", {1: "a", "b": 1}, {"deep": object()}])
async def test_what_has_no_single_spelling_is_not_written_down(kernel: Kernel, bad: object) -> None:
    await fill(kernel, 2)
    with pytest.raises((ValueError, TypeError)):
        await kernel.audit.record(Entry("test", "x", {"n": bad}))  # type: ignore[dict-item]  # that is the point
    assert (await kernel.audit.head()).size == 2
    assert (await kernel.audit.verify()).ok


async def test_erasing_is_seen_and_breaks_nothing(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await tamper(kernel, "DELETE FROM audit_detail WHERE seq IN (4, 5)")
    found = await judged(kernel)
    assert found.well
    assert (await kernel.audit.verify()).erased == 2
    assert "2 details erased" in found.script.stdout


async def test_an_export_that_was_cut_or_added_to_is_found(kernel: Kernel, tmp_path: Path) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await judged(kernel)
    whole = (kernel.settings.home / "log.jsonl").read_text().splitlines(keepends=True)
    key = kernel.keys.audit_public.hex()
    tries = {
        "cut off": whole[:-5],
        "without the end": whole[:-1],
        "one line more": [*whole, whole[5]],
        "one line twice": [*whole[:9], whole[8], *whole[9:]],
        "another line": [*whole[:-1], '{"type": "entry", "seq": 40}\n', whole[-1]],
    }
    for what, lines in tries.items():
        copy = tmp_path / "copy.jsonl"
        copy.write_text("".join(lines))
        assert verify_alone(copy, key).returncode != 0, what
    copy.write_text("".join(whole))
    assert verify_alone(copy, key).returncode == 0


async def test_an_export_without_details_shows_nobody_and_verifies(kernel: Kernel, tmp_path: Path) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    copy = tmp_path / "copy.jsonl"
    with copy.open("w", encoding="utf-8") as out:
        async for lines in transcript(kernel.store, kernel.keys, details=False):
            out.writelines(lines)
    assert "example.com" not in copy.read_text()
    checked = verify_alone(copy, kernel.keys.audit_public.hex(), "--held", kernel.audit._files.beside)
    assert checked.returncode == 0
    assert f"{SIZE} details erased" in checked.stdout


async def test_the_script_wants_the_right_key_and_a_log(kernel: Kernel, tmp_path: Path) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    foreign = verify_alone(kernel.store.path, "ab" * 32)
    assert (foreign.returncode, "another log" in foreign.stdout) == (1, True)
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("nonsense")
    empty = tmp_path / "empty.db"
    sqlite3.connect(empty).close()
    for log in (nonsense, empty, tmp_path / "missing"):
        assert verify_alone(log, "ab" * 32).returncode == 2
    assert verify_alone(kernel.store.path, "abc").returncode == 2


async def test_a_long_log_is_verified_piece_by_piece(kernel: Kernel) -> None:
    """Longer than one piece; and what is appended between two pieces is looked at as well."""
    await fill(kernel, 9_000)
    verdict = await kernel.audit.verify()
    assert (verdict.size, verdict.ok) == (9_000, True)
    await tamper(kernel, "DELETE FROM audit_leaf WHERE seq BETWEEN 3000 AND 8000")
    assert "entry 3000 is missing or out of order" in (await kernel.audit.verify()).problems


async def test_who_asks_often_has_only_what_is_new_gone_through(settings_for: Make) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("test")
        assert (await kernel.audit.verify_lately()).size == SIZE
        await fill(kernel, 5)
        await kernel.audit.checkpoint("test")
        verdict = await kernel.audit.verify_lately()
        assert (verdict.size, verdict.ok) == (SIZE + 5, True), verdict
        await tamper(kernel, f"DELETE FROM audit_leaf WHERE seq>={SIZE + 2}")
        assert not (await kernel.audit.verify_lately()).ok


async def test_any_number_may_ask_at_once_whether_the_log_is_whole(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.verify_lately()
    await fill(kernel, AT_ONCE + 1)
    found: list[Verdict] = []

    async def ask() -> None:
        found.append(await kernel.audit.verify_lately())

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(ask)
    assert [(one.size, one.problems) for one in found] == [(SIZE + AT_ONCE + 1, ())] * 4


async def test_an_old_entry_that_was_changed_is_found_within_the_hour(settings_for: Make) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        await fill(kernel)
        assert (await kernel.audit.verify_lately()).ok
        await tamper(kernel, "UPDATE audit_leaf SET data='{}' WHERE seq=3")
        assert (await kernel.audit.verify_lately()).ok, "that is what it doesn't look at"
        clock.move(3_601)
        assert not (await kernel.audit.verify_lately()).ok


@dataclass(frozen=True)
class Row:
    """An entry whose hash fits its data, whatever that is."""

    data: str
    seq: int = 3
    salt: bytes | None = None
    subject: str | None = None
    payload: str | None = None

    @property
    def hash(self) -> bytes:
        return leaf_hash(self.data.encode())


@pytest.mark.requirement("L2")
@pytest.mark.parametrize(
    "data",
    ["nonsense", "[3]", '{"seq":3,"n":NaN}', '{"n":1, "seq":3}', '{"seq":4}', "[" * 100_000, '{"a":' * 9_000],
)
def test_an_entry_that_was_never_written_like_this_is_found_though_its_hash_fits(data: str) -> None:
    assert entry_problem(Row(data)) == "entry 3 says that it is another one"
    assert entry_problem(Row('{"n":1,"seq":3}')) == ""


async def test_a_copy_that_nobody_put_back_is_not_believed_in(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.record(Entry("log.restored", "x", {}))
    assert (await kernel.audit.verify()).problems == (
        "what is said of restored copies doesn't match the entries",
    )


async def test_of_many_problems_the_first_are_told(kernel: Kernel) -> None:
    await fill(kernel, MOST + 20)
    await tamper(kernel, "UPDATE audit_leaf SET data='{}'")
    found = (await kernel.audit.verify()).problems
    assert (len(found), found[-1]) == (MOST, f"entry {MOST - 1} was changed")


async def test_what_is_no_text_any_more_is_found(kernel: Kernel) -> None:
    await fill(kernel)
    assert (await kernel.audit.verify_own()).ok
    await tamper(kernel, "UPDATE audit_leaf SET data=CAST(x'ff' AS TEXT) WHERE seq=3")
    assert not (await kernel.audit.verify_own()).ok
