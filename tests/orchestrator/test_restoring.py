"""A copy of the database is put back: the newest goes on, an older one stands still until somebody made up for it."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
import sqlalchemy as sa

from orchestrator import restoring
from orchestrator.dossier import queue
from orchestrator.restoring import Restored, recover, restore
from orchestrator.witness import create_witness
from shared import backup
from shared.approval import Person
from shared.audit import Entry
from shared.checkpoint import parse_note
from shared.clock import SystemClock
from shared.errors import Conflict, Fatal, Invalid, Retryable
from shared.kernel import Kernel, open_kernel
from shared.ports import LeadStatus
from shared.schema import approval, audit_beginning
from shared.settings import Settings
from shared.suite import Suite
from tests.orchestrator.test_witness import clock as clock
from tests.orchestrator.test_witness import folder as folder
from tests.orchestrator.test_witness import keyhash, watched
from tests.orchestrator.test_witness import opened as witnessed
from tests.orchestrator.world import World, alone, approved, launched, opened, people, say_yes, the, world
from tests.shared.test_audit_tampering import verify_alone
from tests.shared.world import HandClock, Vendor, contact, kinds
from tests.waiting import put_campaign, somebody

Make = Callable[..., Settings]
ADA = Person("ada@host", "admin")
ACCEPT = {"person": ADA, "reason": "the disk died", "accept_loss": True}
PLAIN = {"person": ADA, "reason": "", "accept_loss": False}


@pytest.fixture
def live(settings_for: Make) -> Settings:
    return settings_for(SAFE_MODE="false")


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Kernel]:
    async with open_kernel(settings) as kernel:
        yield kernel


async def fill(kernel: Kernel, count: int) -> None:
    await kernel.audit.record(*(Entry("test", f"somebody {n}", {"n": n}) for n in range(count)))


async def take(kernel: Kernel, file: Path) -> Path:
    await kernel.audit.checkpoint("backup")
    assert kernel.store.path is not None
    await anyio.to_thread.run_sync(backup.take, kernel.store.path, file)
    return file


async def an_older_copy(live: Settings, file: Path) -> Path:
    """Ten entries in it, and fifteen more were signed and published since."""
    async with running(live) as kernel:
        await fill(kernel, 10)
        await take(kernel, file)
        await fill(kernel, 15)
    return file


def names(folder: Path, pattern: str) -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


def contents(file: str) -> bytes:
    return Path(file).read_bytes()


# ── taking one ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_copy_taken_while_everything_goes_on_is_whole(live: Settings, tmp_path: Path) -> None:
    async with running(live) as kernel:
        async with anyio.create_task_group() as tasks:
            for n in range(20):
                tasks.start_soon(fill, kernel, n)
            await fill(kernel, 1)
            file = await take(kernel, tmp_path / "copy.db")
        key = kernel.keys.audit_public.hex()
    backup.check(file)
    assert verify_alone(file, key, "--held", live.home / "checkpoints.jsonl").returncode in {0, 1}
    assert verify_alone(file, key).returncode == 0
    assert file.stat().st_mode & 0o077 == 0
    assert names(tmp_path, "copy.db*") == ["copy.db"]


async def test_a_copy_never_goes_over_another_file(live: Settings, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("the last good one")
    async with running(live) as kernel:
        with pytest.raises(Invalid, match="there already"):
            await take(kernel, tmp_path / "copy.db")
        with pytest.raises(Invalid, match="can't be written"):
            await take(kernel, tmp_path / "missing" / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "the last good one"
    assert names(tmp_path, "*copy*") == ["copy.db"]


# ── putting the newest back ──────────────────────────────────────────────────────────────────────────────
async def test_the_newest_copy_goes_in_place_and_everything_goes_on(live: Settings, tmp_path: Path) -> None:
    async with running(live) as kernel:
        await fill(kernel, 10)
        file = await take(kernel, tmp_path / "copy.db")
    (live.home / "swarm.db").write_bytes(b"broken")
    (live.home / "engine.db").write_bytes(b"steps")
    found = await restore(live, file, **PLAIN)
    assert (found.entries, found.lost) == (10, 0)
    assert contents(found.aside) == b"broken"
    assert not (live.home / "engine.db").exists()
    async with running(live) as kernel:
        assert (await kernel.audit.verify()).ok
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"
    assert not list(live.home.glob("restoring*"))


async def test_nothing_is_put_in_place_while_a_process_has_it_open(live: Settings, tmp_path: Path) -> None:
    async with running(live) as kernel:
        await fill(kernel, 10)
        file = await take(kernel, tmp_path / "copy.db")
        with pytest.raises(Conflict, match="stop these processes"):
            await restore(live, file, **PLAIN)
    await restore(live, file, **PLAIN)


@pytest.mark.parametrize("what", ["no database", "damaged", "tampered", "of another key", "empty", "missing"])
async def test_what_is_no_whole_copy_is_refused_and_nothing_changes(
    live: Settings, tmp_path: Path, what: str, settings_for: Make
) -> None:
    async with running(live) as kernel:
        await fill(kernel, 200)
        file = await take(kernel, tmp_path / "copy.db")
    spoil(what, file, live)
    before = (live.home / "swarm.db").read_bytes()
    with pytest.raises((Invalid, Fatal)):
        await restore(live, file, **ACCEPT)
    assert (live.home / "swarm.db").read_bytes() == before
    assert not list(live.home.glob("*before*"))
    assert not list(live.home.glob("restoring*"))


def spoil(what: str, file: Path, settings: Settings) -> None:
    if what == "no database":
        file.write_text("nothing")
    elif what == "damaged":
        raw = bytearray(file.read_bytes())
        raw[4_096 * 3 : 4_096 * 5] = b"\xff" * 8_192
        file.write_bytes(raw)
    elif what == "tampered":
        with sqlite3.connect(file) as database:
            database.execute("DROP TRIGGER IF EXISTS audit_leaf_no_update")
            database.execute("UPDATE audit_leaf SET data=replace(data,'\"test\"','\"tost\"') WHERE seq=4")
        database.close()
    elif what == "of another key":
        shutil.rmtree(settings.home / "keys")
    elif what == "empty":
        file.unlink()
        sqlite3.connect(file).close()
    else:
        file.unlink()


# ── putting an older one back ────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F25", "L4")
async def test_an_older_copy_is_refused_and_nothing_changes(live: Settings, tmp_path: Path) -> None:
    file = await an_older_copy(live, tmp_path / "copy.db")
    before = (live.home / "swarm.db").read_bytes()
    with pytest.raises(Fatal, match="15 more") as refused:
        await restore(live, file, **PLAIN)
    assert refused.value.code == "older"
    assert (live.home / "swarm.db").read_bytes() == before
    with pytest.raises(Invalid, match="reason"):
        await restore(live, file, person=ADA, reason=" ", accept_loss=True)


@pytest.mark.requirement("F25", "L4")
async def test_an_older_copy_that_was_put_there_by_hand_does_not_open(live: Settings, tmp_path: Path) -> None:
    file = await an_older_copy(live, tmp_path / "copy.db")
    put_by_hand(file, live)
    with pytest.raises(Fatal, match="older than what was done"):
        async with running(live):
            raise AssertionError
    with pytest.raises(Fatal, match="older than what was done"):
        await restore(live, None, **PLAIN)
    assert (await restore(live, None, **ACCEPT)).lost == 15
    async with running(live) as kernel:
        assert (await kernel.gate.submit(contact(), Vendor())).reason == "halted"


def put_by_hand(file: Path, settings: Settings) -> None:
    for old in settings.home.glob("swarm.db*"):
        old.unlink()
    shutil.copy(file, settings.home / "swarm.db")


@pytest.mark.requirement("F25", "L4", "I5", "R2")
async def test_an_older_copy_that_is_accepted_stands_still(live: Settings, tmp_path: Path) -> None:
    async with running(live) as kernel:
        app = alone(kernel)
        await put_campaign(kernel, app.rules, [somebody(1)])
    async with running(live) as kernel:
        await say_yes(alone(kernel), (await queue_of(kernel))[0])
    file = await an_older_copy(live, tmp_path / "copy.db")
    found = await restore(live, file, **ACCEPT)
    assert found.lost == 15
    assert contents(found.aside)
    async with running(live) as kernel:
        safety = await kernel.switches.now()
        assert [(one.scope, one.kind, one.reason) for one in safety.pauses] == [
            ("all", "halt", restoring.WHY)
        ]
        vendor = Vendor()
        assert (await kernel.gate.submit(contact(), vendor)).reason == "halted"
        stopping = await kernel.gate.submit(contact(action="set_dnc", stops=True, repeatable=True), vendor)
        assert (stopping.status, len(vendor.performed)) == ("applied", 1), "stopping people goes on"
        states = await kernel.store.read(lambda c: set(c.execute(sa.select(approval.c.state)).scalars()))
        assert states == {"revoked"}
        assert (await the(alone(kernel), (await queue_of(kernel))[0])).state == "pending_review"
        await kernel.switches.resume("all", actor="Ada", reason="to see the caps")
        capped = contact(vendor="instantly", action="add_lead", stops=False)
        spent = await kernel.store.write(lambda c: kernel.budgets.spend(c, [capped], lambda _: False))
        assert set(spent.values()) == {"limit"}


async def queue_of(kernel: Kernel) -> list[str]:
    return [one.id for one in await queue(kernel)]


@pytest.mark.requirement("F25", "L3", "L7")
async def test_a_log_that_began_anew_is_whole_and_says_what_was_given_up(
    live: Settings, tmp_path: Path
) -> None:
    file = await an_older_copy(live, tmp_path / "copy.db")
    await restore(live, file, **ACCEPT)
    held = live.home / "checkpoints.jsonl"
    async with running(live) as kernel:
        await fill(kernel, 30)
        await kernel.audit.checkpoint("test")
        verdict = await kernel.audit.verify()
        assert (verdict.ok, verdict.lost) == (True, 15), verdict
        assert "log.restored" in await kinds(kernel)
        key, database = kernel.keys.audit_public.hex(), kernel.store.path
    assert database is not None
    checked = verify_alone(database, key, "--held", held)
    assert checked.returncode == 0, checked.stdout
    assert "beginning 2 goes on from entry 10" in checked.stdout
    newest = parse_note(json.loads(held.read_text().splitlines()[-1])["note"])
    assert newest.beginning == 2


@pytest.mark.requirement("F25", "L2", "L3")
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_beginning",
        "UPDATE audit_beginning SET size=5",
        "UPDATE audit_beginning SET number=3",
        "INSERT INTO audit_beginning (number, size, held) SELECT 3, size, held FROM audit_beginning",
    ],
)
async def test_what_is_said_of_restored_copies_can_not_be_changed(
    live: Settings, tmp_path: Path, statement: str
) -> None:
    """Nobody cuts the log and calls it a restored copy, or forgets that it is one."""
    await restore(live, await an_older_copy(live, tmp_path / "copy.db"), **ACCEPT)
    with sqlite3.connect(live.home / "swarm.db") as database:
        database.execute(statement)
    database.close()
    checked = verify_alone(
        live.home / "swarm.db", public_key(live), "--held", live.home / "checkpoints.jsonl"
    )
    assert checked.returncode == 1, checked.stdout
    async with open_kernel(live, restoring=True) as kernel:
        assert not (await kernel.audit.verify()).ok


def public_key(settings: Settings) -> str:
    return (settings.home / "keys" / "audit.pub").read_text().strip()


@pytest.mark.requirement("F25")
async def test_an_older_copy_may_be_restored_again(live: Settings, tmp_path: Path) -> None:
    file = await an_older_copy(live, tmp_path / "copy.db")
    await restore(live, file, **ACCEPT)
    async with running(live) as kernel:
        again = await take(kernel, tmp_path / "again.db")
        await fill(kernel, 40)
    assert (await restore(live, again, **ACCEPT)).lost > 0
    with pytest.raises(Fatal):
        await restore(live, file, **PLAIN)
    async with running(live) as kernel:
        verdict = await kernel.audit.verify()
        assert verdict.ok, verdict
        known = await kernel.store.read(
            lambda c: list(c.execute(sa.select(audit_beginning.c.number)).scalars())
        )
        assert known == [2, 3]


@pytest.mark.requirement("F25", "L3")
async def test_a_log_that_began_anew_is_witnessed_once_the_witness_s_operator_agrees(
    settings_for: Make, folder: object, clock: HandClock, tmp_path: Path
) -> None:
    settings = watched(settings_for(SAFE_MODE="false"), folder)  # type: ignore[arg-type]  # the fixture's own type
    async with witnessed(settings, folder, clock) as kernel:  # type: ignore[arg-type]  # as above
        await fill(kernel, 10)
        file = await take(kernel, tmp_path / "copy.db")
        await fill(kernel, 15)
        public = kernel.keys.audit_public
    put_by_hand(file, settings)
    (settings.home / "checkpoints.jsonl").unlink()
    with pytest.raises(Fatal, match="older than what was done"):
        async with witnessed(settings, folder, clock):  # type: ignore[arg-type]  # as above
            raise AssertionError
    async with witnessed_anyway(settings, folder, clock) as kernel:
        unknown = await kernel.audit.unknown()
        await kernel.store.write(
            lambda c: restoring._begin_anew(kernel, c, unknown[0], ADA, "only the witness knew")
        )
        await kernel.audit.refuse_if_rolled_back()
        assert (await kernel.audit.checkpoint("restored")).window > 0, (
            "the witness doesn't know this beginning"
        )
    folder._folder.joinpath("logs").write_text(f"{public.hex()} 2\n")  # type: ignore[attr-defined]  # its operator
    clock.move(60)
    async with witnessed(settings, folder, clock) as kernel:  # type: ignore[arg-type]  # as above
        assert (await kernel.audit.checkpoint("by hand")).window == 0
        assert (await kernel.audit.verify()).ok
        assert parse_note(folder.newest(keyhash(public))).beginning == 2  # type: ignore[attr-defined]  # as above


@asynccontextmanager
async def witnessed_anyway(settings: Settings, folder: object, clock: HandClock) -> AsyncIterator[Kernel]:
    transport = httpx.ASGITransport(create_witness(folder))  # type: ignore[arg-type]  # the fixture's own type
    async with open_kernel(settings, clock=clock, transport=transport, restoring=True) as kernel:
        yield kernel


# ── the way back ─────────────────────────────────────────────────────────────────────────────────────────
class Sequencer:
    """The sequencer's end of the port: knows how people stand there."""

    def __init__(self, **status: str) -> None:
        self.status = status
        self.asked: list[str] = []

    async def get_lead_status(self, email: str) -> LeadStatus:
        self.asked.append(email)
        word = self.status.get(email.split("@")[0], "active")
        return LeadStatus(email, found=True, status=word)


@pytest.mark.requirement("F25", "I4", "I8")
async def test_recovering_reads_opt_outs_from_the_vendors_settles_doubt_and_then_lets_things_go_on(
    tmp_path: Path,
) -> None:
    clock = SystemClock()
    async with world(tmp_path) as it:
        await it.witness.act("ghl", "set_location", search_lag=0)
        _, campaign_id = await approved(it.app, people(2))
        assert await launched(it.app, campaign_id) == "live"
        file = await take(it.kernel, tmp_path / "copy.db")
        await it.witness.act("ghl", "set_dnd", email="person1@corp1.com")
        await it.witness.act("ghl", "enter", email="stranger@other.com")
        await it.witness.act("ghl", "set_dnd", email="stranger@other.com")
        await fill(it.kernel, 15)
        settings = it.kernel.settings
        # The process that had it open is gone; the vendors' emulators go on.
        await close_for_good(it)
        await restore(settings, file, **ACCEPT)
        async with opened(settings, clock) as app:
            assert (await app.kernel.gate.submit(contact(), Vendor())).reason == "halted"
            assert not await app.kernel.suppression.refused(["person1@corp1.com"])
            found = await recover(app, person=ADA, reason="read again")
            assert (found.doubts, found.done) == (0, True)
            assert found.opt_outs >= 2
            refused = await app.kernel.suppression.refused(["person1@corp1.com", "stranger@other.com"])
            assert set(refused.values()) == {"suppressed"}
            assert not (await app.kernel.switches.now()).pauses
            assert (await app.kernel.gate.submit(contact("joe@corp.example"), Vendor())).status == "applied"
            with pytest.raises(Invalid, match="no older copy"):
                await recover(app, person=ADA, reason="again")


async def close_for_good(it: World) -> None:
    """The world's own kernel lets go of its database: as if its process had ended."""
    await it.kernel.audit.close()
    it.kernel.store.close()
    for lock in (it.kernel.settings.home / "processes").glob("*.lock"):
        lock.unlink()


@pytest.mark.requirement("F25", "I4")
async def test_who_opted_out_at_the_sequencer_is_on_the_list_again(kernel: Kernel) -> None:
    app = alone(kernel)
    await put_campaign(kernel, app.rules, [somebody(n) for n in range(1, 5)])
    sequencer = Sequencer(person1="unsubscribed", person2="bounced", person3="completed")
    asked = replace(app, suite=Suite({"sequencer": sequencer}, {}))
    assert await restoring._ask_sequencer(asked) == 2
    assert len(sequencer.asked) == 4
    people_ = [f"person{n}@corp{n}.com" for n in range(1, 5)]
    assert list(await kernel.suppression.refused(people_)) == people_[:2]


@pytest.mark.requirement("F25")
async def test_what_is_in_doubt_or_a_vendor_that_is_down_keeps_everything_standing_still(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        await it.kernel.store.write(lambda c: _as_restored(c, it.kernel))
        await it.break_things("ghl", {"kind": "status", "status": 503, "times": -1})
        with pytest.raises(Retryable):
            await recover(it.app, person=ADA, reason="x")
        assert (await it.kernel.switches.now()).pauses
        await it.break_things("ghl")


def _as_restored(connection: sa.Connection, kernel: Kernel) -> None:
    values = {"number": 2, "size": 0, "held": "", "actor": "Ada", "reason": "x", "at": "", "finished_at": ""}
    connection.execute(sa.insert(audit_beginning).values(**values))
    kernel.switches.pause_in(connection, "all", actor="Ada", reason=restoring.WHY, kind="halt")


# ── as commands ──────────────────────────────────────────────────────────────────────────────────────────
def test_the_commands_say_what_they_did(live: Settings, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    env = {"PATH": os.environ["PATH"], "SWARM_HOME": str(live.home), "SWARM_CONFIG": str(root / "config")}

    def swarm(*args: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestrator.cli", *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root, env=env)

    swarm("suppress", "jane@corp.com")
    file = str(tmp_path / "copy.db")
    assert swarm("backup", file, "--json").returncode == 0
    assert swarm("backup", file).returncode == 2
    swarm("suppress", "joe@corp.com")
    refused = swarm("restore", file, "--yes")
    assert (refused.returncode, "--accept-loss" in refused.stderr) == (1, True)
    assert swarm("restore", file).returncode == 2, "nobody to ask"
    done = swarm("restore", file, "--accept-loss", "--reason", "the disk died", "--yes")
    assert (done.returncode, "swarm recover" in done.stdout) == (0, True), done.stderr
    assert "halt" in swarm("status").stdout
    assert swarm("audit", "verify").returncode == 0


def test_a_summary_says_what_is_to_be_done() -> None:
    assert "swarm recover" in restoring.summary(Restored(10, 5, "x"))
    assert "swarm recover" not in restoring.summary(Restored(10, 0))
