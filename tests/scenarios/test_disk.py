"""F8, F16, F24: the disk is full, read-only or held by another; the database or its log is damaged."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
import structlog

from orchestrator import inbox
from shared.effect import Receipt
from shared.errors import Fatal
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings, load_settings
from shared.sqlite import sqlite
from shared.store import Unavailable
from tests.conftest import CONFIG
from tests.orchestrator.world import alone
from tests.scenarios.disk import Disk, mounted, needs_mount
from tests.shared.world import Vendor, contact

SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def settings_at(home: Path) -> Settings:
    return load_settings(CONFIG, {"SWARM_HOME": str(home), "SAFE_MODE": "false"})


@asynccontextmanager
async def on_a_disk(folder: Path) -> AsyncIterator[tuple[Kernel, Disk]]:
    """A kernel whose home is a small disk."""
    with mounted(folder / "disk") as disk:
        async with open_kernel(settings_at(disk.path / "home"), patience=0.2) as kernel:
            yield kernel, disk


def opt_out(who: str) -> bytes:
    return json.dumps(
        {"event_type": "lead_unsubscribed", "lead_email": who, "timestamp": "2026-03-02"}
    ).encode()


async def _received(kernel: Kernel, who: str, what: str = "lead_unsubscribed") -> int:
    raw = opt_out(who).replace(b"lead_unsubscribed", what.encode())
    return await inbox.receive(alone(kernel), "instantly", SECRET, raw)


# ── full ─────────────────────────────────────────────────────────────────────────────────────────────────
@needs_mount
@pytest.mark.requirement("F8", "G8", "W3")
async def test_on_a_full_disk_nothing_begins_and_opt_outs_are_taken_all_the_same(tmp_path: Path) -> None:
    async with on_a_disk(tmp_path) as (kernel, disk):
        disk.fill()
        await _until_full(kernel)
        vendor = Vendor()
        for number in range(5):
            outcome = await kernel.gate.submit(contact(f"p{number}@corp.example"), vendor)
            assert (outcome.status, outcome.reason) == ("refused", "log_unavailable")
        assert vendor.performed == []
        assert await _received(kernel, "joe@corp.example", "email_opened") == 503
        assert await _received(kernel, "jane@corp.example") == 200
        assert kernel.spool.waiting()
        disk.free()
        assert (await kernel.gate.submit(contact("jane@corp.example"), vendor)).reason == "suppressed"
        assert not kernel.spool.waiting()
        assert await inbox.drain(alone(kernel)) == 1
        assert await kernel.suppression.find("jane@corp.example")
        assert (await kernel.gate.submit(contact("p0@corp.example"), vendor)).status == "applied"
        assert (await kernel.audit.verify()).ok


async def _until_full(kernel: Kernel) -> None:
    """What the files still have room for is used up."""
    for number in range(10_000):
        try:
            await kernel.suppression.add(f"filler{number}@corp.example", reason="opt_out", source="test")
        except Unavailable:
            return
    raise AssertionError("the disk never filled up")


@needs_mount
@pytest.mark.requirement("F8", "I2")
async def test_a_disk_that_fills_up_during_a_call_leaves_it_in_doubt_and_stops_what_follows(
    tmp_path: Path,
) -> None:
    async with on_a_disk(tmp_path) as (kernel, disk):

        async def fill(permit: Permit) -> Receipt:
            disk.fill()
            await _until_full(kernel)
            return Receipt("r")

        first = await kernel.gate.submit(contact(), fill)
        assert (first.status, first.reason) == ("in_doubt", "log_unavailable")
        vendor = Vendor()
        assert (await kernel.gate.submit(contact("b@corp.example"), vendor)).reason == "log_unavailable"
        assert (await kernel.gate.submit(contact(), vendor)).status == "refused"
        assert vendor.performed == []
        disk.free()
        assert (await kernel.gate.submit(contact("b@corp.example"), vendor)).status == "applied"
        again = await kernel.gate.submit(contact(), vendor)
        assert (again.status, again.reference, len(vendor.performed)) == ("replayed", "r", 1)
        assert (await kernel.audit.verify()).ok


@needs_mount
@pytest.mark.requirement("F8", "K3")
async def test_the_kill_switch_can_be_pressed_on_a_full_disk(tmp_path: Path) -> None:
    async with on_a_disk(tmp_path) as (kernel, disk):
        disk.fill()
        await _until_full(kernel)
        assert await kernel.switches.kill(actor="ada", reason="now") is False
        disk.free()
        assert (await kernel.gate.submit(contact(), vendor := Vendor())).reason == "kill_switch"
        assert vendor.performed == []


# ── read-only ────────────────────────────────────────────────────────────────────────────────────────────
@needs_mount
@pytest.mark.requirement("F16", "G8")
async def test_on_a_read_only_disk_it_does_not_begin_and_later_goes_on(tmp_path: Path) -> None:
    vendor = Vendor()
    with mounted(tmp_path / "disk") as disk:
        settings = settings_at(disk.path / "home")
        async with open_kernel(settings) as kernel:
            await kernel.gate.submit(contact(), vendor)
        disk.turn("ro")
        with pytest.raises((Unavailable, OSError)):
            async with open_kernel(settings, patience=0.2):
                raise AssertionError("it began on a disk that takes nothing")
        disk.turn("rw")
        async with open_kernel(settings) as kernel:
            assert (await kernel.gate.submit(contact(), vendor)).status == "replayed"
            assert (await kernel.audit.verify()).ok
    assert len(vendor.performed) == 1


# ── held ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F16", "G8", "W3", "K3")
async def test_a_database_that_somebody_holds_refuses_within_its_patience_and_is_killed_by_file(
    tmp_path: Path,
) -> None:
    async with open_kernel(settings_at(tmp_path / "home"), patience=0.2) as kernel:
        holder = sqlite.connect(kernel.store.path, isolation_level=None, check_same_thread=False)
        holder.execute("BEGIN IMMEDIATE")
        outcome = await kernel.gate.submit(contact(), vendor := Vendor())
        assert (outcome.reason, vendor.performed) == ("log_unavailable", [])
        assert await _received(kernel, "jane@corp.example", "email_opened") == 503
        assert await _received(kernel, "jane@corp.example") == 200
        assert await kernel.switches.kill(actor="ada", reason="now") is False
        holder.execute("ROLLBACK")
        holder.close()
        assert (await kernel.gate.submit(contact(), vendor)).reason == "kill_switch"
        assert await kernel.suppression.find("jane@corp.example")


# ── damaged ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("F16", "F24")
async def test_a_database_with_a_damaged_page_acts_on_nothing(tmp_path: Path) -> None:
    settings = settings_at(tmp_path / "home")
    async with open_kernel(settings) as kernel:
        await kernel.gate.submit(contact("before@corp.example"), Vendor())
        path = kernel.store.path
    data = bytearray(path.read_bytes())
    data[4_096:] = bytes(len(data) - 4_096)
    path.write_bytes(data)
    vendor = Vendor()
    assert await _begun_with(settings, vendor) == "log_unavailable"
    assert vendor.performed == []


async def _begun_with(settings: Settings, vendor: Vendor) -> str:
    """Why nothing happens; not starting at all is as good."""
    try:
        async with open_kernel(settings, patience=0.2) as kernel:
            return (await kernel.gate.submit(contact(), vendor)).reason
    except (Unavailable, sa.exc.DatabaseError):
        return "log_unavailable"


@pytest.mark.requirement("F24", "L1", "G8")
@pytest.mark.parametrize("table", ["audit_leaf", "audit_detail", "audit_head"])
async def test_without_its_log_no_effect_begins_and_no_opt_out_is_half_taken(
    tmp_path: Path, table: str
) -> None:
    async with open_kernel(settings_at(tmp_path / "home")) as kernel:
        await kernel.store.write(lambda c: c.exec_driver_sql(f"ALTER TABLE {table} RENAME TO away").rowcount)
        vendor = Vendor()
        with pytest.raises(sqlite.Error):
            await kernel.suppression.add("jane@corp.example", reason="opt_out", source="reply")
        assert await kernel.suppression.find("jane@corp.example") is None
        assert await _ended(kernel, vendor) != "applied"
        assert vendor.performed == []
        await kernel.store.write(lambda c: c.exec_driver_sql(f"ALTER TABLE away RENAME TO {table}").rowcount)
        assert await _ended(kernel, vendor) == "applied"


async def _ended(kernel: Kernel, vendor: Vendor) -> str:
    try:
        return (await kernel.gate.submit(contact(), vendor)).status
    except sqlite.Error:  # what can't go on raises; what matters is that nothing was called
        return "raised"


@pytest.mark.requirement("F24", "F25")
@pytest.mark.parametrize("gone", [("audit", "audit.pub"), ("pepper",), ("audit", "audit.pub", "pepper")])
async def test_without_its_keys_it_does_not_begin(tmp_path: Path, gone: tuple[str, ...]) -> None:
    settings = settings_at(tmp_path / "home")
    async with open_kernel(settings) as kernel:
        await kernel.gate.submit(contact(), Vendor())
        await kernel.audit.checkpoint("test")
    for name in gone:
        (settings.home / "keys" / name).unlink()
    with pytest.raises(Fatal, match="Put the old keys back"):
        async with open_kernel(settings):
            raise AssertionError("it began")
