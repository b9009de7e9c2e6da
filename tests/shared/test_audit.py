"""The audit log: nothing is changed, removed, reordered or rolled back unnoticed."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from shared.audit import Entry, append
from shared.checkpoint import note, origin_of, read_note
from shared.checkpoint_rules import WitnessAt
from shared.effect import canonical
from shared.errors import Fatal
from shared.kernel import Kernel
from shared.keys import load_keys
from shared.merkle import Edge, leaf_hash, node_hash
from shared.schema import audit_detail, audit_leaf, spend
from shared.settings import Settings
from shared.sql import run
from shared.store import Unavailable
from tests.copies import Copies
from tests.shared.world import HandClock, Vendor, contact, kinds, opened, stricter, unguard

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def kernel(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as made:
        yield made


async def fill(kernel: Kernel, count: int = 10) -> None:
    entries = [Entry("test", f"subject {n}", {"n": n}) for n in range(count)]
    await kernel.audit.record(*entries)


async def test_leaves_and_payloads_are_canonical_json(kernel: Kernel) -> None:
    await kernel.audit.record(
        Entry('té"st', "s", {"b": 1, "a": "ü\n"}, 'O"Hara'), Entry("x", "s", {}, "a@b.example")
    )
    await kernel.gate.submit(contact(), Vendor())
    query = sa.select(audit_leaf.c.data, audit_detail.c.payload).join(
        audit_detail, audit_detail.c.seq == audit_leaf.c.seq
    )
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    assert len(rows) == 4
    for text in (text for row in rows for text in row):
        assert canonical(json.loads(text)).decode() == text


async def tamper(kernel: Kernel, *statements: str) -> None:
    def change(connection: sa.Connection) -> None:
        unguard(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)

    await kernel.store.write(change)


async def problems(kernel: Kernel) -> tuple[str, ...]:
    return (await kernel.audit.verify()).problems


def root_of(leaves: list[bytes]) -> bytes:
    """RFC 6962's own recursive definition."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


@given(st.integers(1, 300))
def test_the_edge_gives_the_root_that_the_standard_defines(count: int) -> None:
    leaves = [leaf_hash(str(n).encode()) for n in range(count)]
    edge = Edge()
    for leaf in leaves:
        edge = Edge(edge.size, edge.packed)
        edge.append(leaf)
    assert edge.root == root_of(leaves)


async def test_a_log_that_nobody_touched_is_whole(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    verdict = await kernel.audit.verify()
    assert (verdict.ok, verdict.size, verdict.checkpoints) == (True, 10, 1)


async def test_an_empty_log_is_whole(kernel: Kernel) -> None:
    await kernel.audit.checkpoint("start")
    assert (await kernel.audit.verify()).ok


async def test_the_log_cannot_be_changed_by_a_slip(kernel: Kernel) -> None:
    await fill(kernel)
    for statement in ("UPDATE audit_leaf SET data='{}'", "DELETE FROM audit_leaf"):
        with pytest.raises(sa.exc.DBAPIError):
            await kernel.store.write(lambda c, s=statement: c.exec_driver_sql(s))
    assert (await kernel.audit.verify()).ok


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE audit_leaf SET data=replace(data,'\"test\"','\"tost\"') WHERE seq=4", "entry 4 was changed"),
        ("UPDATE audit_leaf SET data='not json' WHERE seq=4", "entry 4 was changed"),
        (
            "UPDATE audit_leaf SET hash=(SELECT hash FROM audit_leaf WHERE seq=5) WHERE seq=4",
            "entry 4 was changed",
        ),
        ("DELETE FROM audit_leaf WHERE seq=4", "entry 4 is missing"),
        ("DELETE FROM audit_leaf WHERE seq=0", "entry 0 is missing"),
        ("DELETE FROM audit_leaf WHERE seq=9", "covers 10 entries, 9 are here"),
        ("UPDATE audit_detail SET payload='{\"n\":99}' WHERE seq=4", "the detail of entry 4 was changed"),
        ("UPDATE audit_detail SET subject='somebody else' WHERE seq=4", "the detail of entry 4 was changed"),
        ("UPDATE audit_head SET size=9", "head doesn't match"),
        ("DELETE FROM audit_head", "head is gone"),
        ("UPDATE audit_checkpoint SET note=replace(note,'10','11')", "can't be trusted"),
    ],
)
@pytest.mark.requirement("L2", "I6")
async def test_every_change_is_noticed(kernel: Kernel, statement: str, said: str) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await tamper(kernel, statement)
    assert any(said in problem for problem in await problems(kernel))


@pytest.mark.requirement("L2")
async def test_two_entries_that_changed_places_are_noticed(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await tamper(
        kernel,
        "UPDATE audit_leaf SET seq=-1 WHERE seq=3",
        "UPDATE audit_leaf SET seq=3 WHERE seq=4",
        "UPDATE audit_leaf SET seq=4 WHERE seq=-1",
    )
    assert await problems(kernel)


async def rewrite(kernel: Kernel, keep: int, more: int = 0) -> None:
    """What an owner of the database can do: cut the end off, forget checkpoints, and grow the log anew."""

    def change(connection: sa.Connection) -> None:
        leaves = connection.exec_driver_sql("SELECT hash FROM audit_leaf ORDER BY seq").scalars().all()
        edge = Edge()
        for leaf in leaves[:keep]:
            edge.append(leaf)
        run(connection, "UPDATE audit_head SET size=?, frontier=?", edge.size, edge.packed)
        entries = [Entry("forged", "x", {"n": n}) for n in range(more)]
        append(connection, entries, kernel.clock.now())

    await tamper(
        kernel,
        f"DELETE FROM audit_leaf WHERE seq>={keep}",
        f"DELETE FROM audit_detail WHERE seq>={keep}",
        f"DELETE FROM audit_checkpoint WHERE size>{keep}",
    )
    await kernel.store.write(change)


@pytest.mark.requirement("L3")
async def test_a_tail_cut_off_is_noticed_by_a_checkpoint_that_was_published(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await rewrite(kernel, keep=6)
    assert any("covers 10 entries" in problem for problem in await problems(kernel))
    with pytest.raises(Fatal, match="older than what was done"):
        await kernel.audit.refuse_if_rolled_back()


@pytest.mark.requirement("L3")
async def test_a_log_that_was_cut_and_grew_again_is_noticed(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await rewrite(kernel, keep=6, more=20)
    assert await problems(kernel)
    with pytest.raises(Fatal):
        await kernel.audit.refuse_if_rolled_back()


@pytest.mark.requirement("L3")
async def test_what_no_checkpoint_covers_is_counted(kernel: Kernel) -> None:
    await fill(kernel, 3)
    await kernel.audit.checkpoint("test")
    await fill(kernel, 4)
    head = await kernel.audit.head()
    assert (head.size, head.checkpoint, head.exposed) == (7, 3, 4)


@pytest.mark.requirement("L4", "F25")
async def test_yesterdays_copy_does_not_start(settings_for: Make, copies: Copies, tmp_path: Path) -> None:
    settings = settings_for(SAFE_MODE="false")
    elsewhere = tmp_path / "elsewhere" / "held.jsonl"
    due = settings.safety.checkpoints.model_copy(update={"publish_to": (str(elsewhere),)})
    settings = stricter(settings, checkpoints=due)
    async with opened(settings) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    copies.take()
    async with opened(settings) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    copies.put_back()
    (settings.home / "checkpoints.jsonl").unlink()
    with pytest.raises(Fatal):
        async with opened(settings):
            raise AssertionError


async def test_a_checkpoint_signed_with_another_key_proves_nothing(kernel: Kernel, tmp_path: Path) -> None:
    foreign = load_keys(tmp_path / "foreign")
    text = note(foreign.audit, 5, b"r" * 32)
    read = read_note(text, foreign.audit_public)
    assert (read.size, read.root, read.beginning) == (5, b"r" * 32, 1)
    with pytest.raises(ValueError, match="not a checkpoint of this log"):
        read_note(text, kernel.keys.audit_public)
    ours = origin_of(kernel.keys.audit_public)
    with pytest.raises(ValueError, match="signature"):
        read_note(text.replace(read.origin, ours), kernel.keys.audit_public)


@pytest.mark.parametrize(
    "text", ["", "x", "alpha-swarm/audit\n\n", "alpha-swarm/audit\n5\nAA==\n\n— x !!!\n"]
)
def test_text_that_is_no_checkpoint_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        read_note(text, load_keys(tmp_path).audit_public)


@pytest.mark.requirement("F24")
async def test_other_keys_are_noticed_at_the_start(settings_for: Make) -> None:
    settings = settings_for()
    async with opened(settings) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    (settings.home / "keys" / "audit").unlink()
    with pytest.raises(Fatal, match="another key"):
        async with opened(settings):
            raise AssertionError


@pytest.mark.requirement("L1")
async def test_an_append_in_a_transaction_that_fails_leaves_nothing(kernel: Kernel) -> None:
    def change(connection: sa.Connection) -> None:
        append(connection, [Entry("test", "x", {})], kernel.clock.now())
        raise KeyError("afterwards")

    with pytest.raises(KeyError):
        await kernel.store.write(change)
    assert (await kernel.audit.head()).size == 0
    await fill(kernel, 2)
    assert (await kernel.audit.verify()).ok


@pytest.mark.requirement("L1", "F24")
async def test_a_change_whose_entry_cannot_be_written_is_not_made(kernel: Kernel) -> None:
    def change(connection: sa.Connection) -> None:
        connection.execute(sa.insert(spend).values(name="x", day="d", amount=1))
        append(connection, [Entry("test", "x", {"n": float("nan")})], kernel.clock.now())

    with pytest.raises(ValueError):
        await kernel.store.write(change)
    assert await kernel.store.read(lambda c: c.execute(sa.select(sa.func.count(spend.c.name))).scalar()) == 0


@pytest.mark.requirement("L5")
async def test_erasing_a_detail_breaks_no_proof(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    await tamper(kernel, "DELETE FROM audit_detail WHERE seq=4")
    assert (await kernel.audit.verify()).ok
    assert [entry["subject"] for entry in await kernel.audit.tail(10)][5] == "(erased)"


@pytest.mark.requirement("L5")
async def test_a_leaf_shows_nobody(kernel: Kernel) -> None:
    await kernel.audit.record(
        Entry("test", "jane@corp.example", {"to": "jane@corp.example"}, "ae@corp.example")
    )
    data = await kernel.store.read(lambda c: c.exec_driver_sql("SELECT data FROM audit_leaf").scalar())
    assert "corp.example" not in str(data)


@pytest.mark.requirement("L6")
async def test_a_checkpoint_comes_after_so_many_entries(settings_for: Make) -> None:
    due = settings_for().safety.checkpoints.model_copy(update={"every_leaves": 4})
    async with opened(stricter(settings_for(SAFE_MODE="false"), checkpoints=due)) as kernel:
        for n in range(3):
            await kernel.gate.submit(contact(f"p{n}@corp.example"), Vendor())
        head = await kernel.audit.head()
        assert (head.size, head.checkpoint, head.exposed) == (6, 4, 2)


@pytest.mark.requirement("L6")
async def test_a_checkpoint_comes_after_so_many_seconds(kernel: Kernel, clock: HandClock) -> None:
    await kernel.gate.submit(contact(), Vendor())
    assert (await kernel.audit.head()).exposed == 2
    clock.move(61)
    await kernel.gate.submit(contact(), Vendor())
    assert (await kernel.audit.head()).exposed == 0


async def test_what_cannot_be_published_does_not_undo_what_was_done(kernel: Kernel) -> None:
    for file in kernel.audit._files.all:
        file.unlink(missing_ok=True)
        file.mkdir()
    await fill(kernel)
    assert (await kernel.audit.checkpoint("test")).checkpoint == 10
    with pytest.raises(Fatal):
        await kernel.audit.refuse_if_rolled_back()


async def test_a_line_that_a_crash_cut_off_hides_no_other(kernel: Kernel) -> None:
    file = kernel.audit._files.beside
    await fill(kernel)
    await kernel.audit.checkpoint("one")
    file.write_bytes(file.read_bytes() + b'{"note": "alpha-sw\xff')
    await fill(kernel)
    await kernel.audit.checkpoint("two")
    assert len(file.read_text(errors="replace").splitlines()) == 3
    assert (await kernel.audit.verify()).ok


@pytest.mark.requirement("F8")
async def test_a_full_disk_at_a_checkpoint_leaves_the_outcome_as_it_was(kernel: Kernel) -> None:
    kernel.store.close()
    await kernel.audit.checkpoint_if_due()
    with pytest.raises(Unavailable):
        await kernel.audit.checkpoint("test")


async def test_the_notes_that_are_published_can_be_checked_without_us(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    line = kernel.audit._files.beside.read_text().splitlines()[-1]
    head = await kernel.audit.head()
    read = read_note(json.loads(line)["note"], kernel.keys.audit_public)
    assert (read.size, read.root.hex()) == (10, head.root)


async def test_two_processes_write_one_log(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    async with opened(settings) as one, opened(replace(settings)) as two:
        for n in range(5):
            await one.gate.submit(contact(f"a{n}@corp.example"), Vendor())
            await two.gate.submit(contact(f"b{n}@corp.example"), Vendor())
        assert (await one.audit.verify()).size == 20
        assert (await two.audit.verify()).ok
        assert set(await kinds(one)) == {"effect.claimed", "effect.applied"}


@pytest.mark.requirement("L4", "F25")
async def test_a_home_without_its_database_but_with_its_checkpoints_does_not_start(
    settings_for: Make, copies: Copies
) -> None:
    settings = settings_for()
    async with opened(settings) as kernel:
        await fill(kernel)
        await kernel.audit.checkpoint("stop")
    copies.remove_database()
    with pytest.raises(Fatal):
        async with opened(settings):
            raise AssertionError
    rmtree(settings.home)
    copies.remove_database()
    async with opened(settings) as fresh:
        assert (await fresh.audit.head()).size == 0


@pytest.mark.requirement("L4", "F25")
async def test_a_copy_that_grew_to_the_same_size_and_was_signed_does_not_start(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    held = {file: file.read_text() for file in kernel.audit._files.all}
    await rewrite(kernel, keep=6, more=4)
    await kernel.audit.checkpoint("test")
    for file, text in held.items():
        file.write_text(text)
    with pytest.raises(Fatal, match="older than what was done"):
        await kernel.audit.refuse_if_rolled_back()


async def test_a_changed_edge_of_the_tree_is_noticed(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.store.write(lambda c: run(c, "UPDATE audit_head SET frontier=?", bytes(64)) and None)
    assert await problems(kernel) == ("the stored head doesn't match the entries",)


async def test_the_same_head_signed_twice_is_one_checkpoint(kernel: Kernel) -> None:
    await fill(kernel)
    first, second = await kernel.audit.checkpoint("one"), await kernel.audit.checkpoint("two")
    assert first == second
    assert (await kernel.audit.verify()).checkpoints == 1


async def test_who_leaves_signs_what_no_checkpoint_covers_and_nothing_else(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.close()
    await kernel.audit.close()
    lines = kernel.audit._files.beside.read_text().splitlines()
    assert [json.loads(line)["note"].splitlines()[1] for line in lines] == ["10"]


async def test_where_checkpoints_are_and_how_far_each_place_is_can_be_asked(kernel: Kernel) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint("test")
    found = {(place.size, place.problem) for place in await kernel.audit.places()}
    assert found == {(10, "")}


async def test_the_size_can_be_asked_in_somebodys_transaction(kernel: Kernel) -> None:
    await fill(kernel, 3)
    assert await kernel.store.read(kernel.audit.size_in) == 3


@pytest.mark.requirement("L6")
async def test_a_checkpoint_that_is_due_is_made_without_being_told_the_size(
    kernel: Kernel, clock: HandClock
) -> None:
    await fill(kernel)
    await kernel.audit.checkpoint_if_due()
    assert (await kernel.audit.head()).checkpoint == 0
    clock.move(61)
    await kernel.audit.checkpoint_if_due()
    assert (await kernel.audit.head()).checkpoint == 10


async def test_what_another_process_signed_meanwhile_is_not_signed_again(
    kernel: Kernel, settings_for: Make, clock: HandClock
) -> None:
    await fill(kernel)
    clock.move(61)
    async with opened(settings_for(SAFE_MODE="false"), clock) as other:
        await other.audit.checkpoint("theirs")
    await kernel.audit.checkpoint_if_due()
    assert len(kernel.audit._files.beside.read_text().splitlines()) == 1


@pytest.mark.requirement("L6")
async def test_a_witness_is_told_at_once_of_what_cannot_wait_and_of_nothing_else(settings_for: Make) -> None:
    asked: list[str] = []

    def down(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(503)

    witness = WitnessAt(name="w", url="http://127.0.0.1:9", public_key="ab" * 32)
    settings = settings_for(SAFE_MODE="false")
    due = settings.safety.checkpoints.model_copy(update={"witnesses": (witness,)})
    async with opened(stricter(settings, checkpoints=due), answer=down) as kernel:
        asked.clear()
        await fill(kernel)
        await kernel.audit.checkpoint("time")
        assert asked == []
        await kernel.audit.checkpoint("kill")
        assert asked != []
        (place,) = [one for one in await kernel.audit.places() if one.name == "w"]
        assert (place.size, place.problem != "") == (0, True)
