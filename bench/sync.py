"""What comparing the do-not-contact lists costs when they are long: `python -m bench.sync --entries 1000000`.

    --entries N    of the vendor's block list (default 50,000; beyond that they are on our list before)

The vendor answers from memory, so that the time is ours. The floor pages through the same list and asks or fills a bare
table of keys with the bare driver, a page a commit, at the same durability and in the same run. What a vendor's own
pages cost comes on top of both.
"""

import argparse
import asyncio
import hashlib
import resource
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from orchestrator import owing, syncing, walks
from orchestrator.app import App
from orchestrator.rules import load_rules
from shared.effect import Outcome
from shared.kernel import open_kernel
from shared.owed import note_in
from shared.ports import BlocklistEntry, BlocklistPage, ContactPage
from shared.settings import load_settings
from shared.sqlite import sqlite
from shared.suite import Suite

ROOT = Path(__file__).parent.parent
PAGE = 100
MEGABYTE = 1024.0
NEWS = 10
MOST_NEW = 50_000  # entries that are taken in one by one; the rest of a long list is there before
FILL = (
    "INSERT INTO suppression (key, reason, source, actor, at) "
    "VALUES (?, 'blocked', 'bench', 'bench', '2026-03-02T09:00:00.000000+00:00') ON CONFLICT DO NOTHING"
)


@dataclass
class Vendor:
    """Both vendors: a block list in memory, which counts the pages asked for, and a CRM without contacts."""

    values: list[str]
    asked: int = 0
    told: int = 0

    async def list_blocklist(self, cursor: str = "", search: str = "") -> BlocklistPage:
        """A page, the oldest first."""
        del search
        self.asked += 1
        start = int(cursor) if cursor else 0
        shown = self.values[start : start + PAGE]
        return BlocklistPage(
            tuple(BlocklistEntry(one, False) for one in shown), str(start + PAGE) if shown else ""
        )

    async def find_contacts(self, **_: object) -> ContactPage:
        """Nobody."""
        return ContactPage(())

    list_dnc = find_contacts

    async def add_to_blocklist(self, values: Sequence[str], reason: str) -> Outcome:
        """As many as are given."""
        del reason
        self.told += len(values)
        return Outcome("applied")

    async def set_dnc(self, email: str, reason: str) -> Outcome:
        """There is no such contact."""
        del email, reason
        return Outcome("failed", "not_found")


async def bare(vendor: Vendor, file: Path, *, fill: bool) -> float:
    """Seconds that the floor takes: each page's keys asked for, or put into a table, with the bare driver."""
    db = sqlite.connect(file, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(
        "CREATE TABLE IF NOT EXISTS suppression (key BLOB PRIMARY KEY, reason TEXT, at TEXT) WITHOUT ROWID"
    )
    began, cursor = time.perf_counter(), ""
    while (page := await vendor.list_blocklist(cursor)).entries:
        keys = [
            hashlib.sha256(kind + one.value.encode()).digest()[:16]
            for one in page.entries
            for kind in (b"e", b"b")
        ]
        if fill:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT OR IGNORE INTO suppression VALUES (?, 'blocked', '2026-03-02')", [(k,) for k in keys]
            )
            db.execute("COMMIT")
        else:
            marks = ",".join("?" * len(keys))
            db.execute(f"SELECT key FROM suppression WHERE key IN ({marks})", keys).fetchall()
        cursor = page.next_cursor
    took = time.perf_counter() - began
    db.close()
    return took


async def timed(app: App, *, whole: bool) -> tuple[float, syncing.Synced]:
    """One comparison."""
    began = time.perf_counter()
    found = await syncing.sync(app, whole=whole)
    return time.perf_counter() - began, found


def peak() -> float:
    """MB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MEGABYTE


async def measure(entries: int) -> None:
    """A part of the list that is new; all of it, known; then what is new in a list of that length."""
    everybody = [f"person{n}@company{n % 50_000}.example" for n in range(entries)]
    vendor = Vendor(everybody[:MOST_NEW])
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings(ROOT / "config", {"SWARM_HOME": folder, "SAFE_MODE": "false"})
        async with open_kernel(settings) as kernel:
            app = App(
                kernel, Suite({"sequencer": vendor, "crm": vendor}, {}), load_rules(settings.folder), {}
            )
            before = peak()
            await compared(app, vendor, "new", Path(folder) / "floor.db")
            vendor.values += everybody[MOST_NEW:]
            await asyncio.to_thread(fill, app, everybody[MOST_NEW:], Path(folder))
            await compared(app, vendor, "known", Path(folder) / "floor.db")
            print(f"  memory: {peak() - before:+.0f} MB at the peak, of which this vendor's list is a part")
            await news(app, vendor)
            await told(app, min(entries, MOST_NEW), vendor)


async def compared(app: App, vendor: Vendor, word: str, file: Path) -> None:
    """From end to end of the vendor's list, and the floor beside it."""
    floor = await bare(vendor, file, fill=word == "new")
    ours, _ = await timed(app, whole=True)
    count = len(vendor.values)
    rate = f"{ours:8.1f} s, {count / ours:10,.0f} entries/s; ÷ the floor: {ours / floor:.2f}"
    print(f"  {count:10,} entries, {word:6}{rate}")


def fill(app: App, values: Sequence[str], folder: Path) -> None:
    """Put these on our list at once, in the order of their keys: that is how a list is made quickly."""
    ours = sqlite.connect(folder / "swarm.db", isolation_level=None)
    ours.execute("PRAGMA synchronous=OFF")
    keys = sorted(key for one in values for key in app.kernel.suppression.keys_for(one))
    ours.execute("BEGIN IMMEDIATE")
    ours.executemany(FILL, ((key,) for key in keys))
    ours.execute("COMMIT")
    ours.close()


async def news(app: App, vendor: Vendor) -> None:
    """A look as the schedule has it, with and without news."""
    for count in (0, NEWS):
        vendor.values += [f"new{count}-{n}@news{n}.example" for n in range(count)]
        vendor.asked = 0
        took, found = await timed(app, whole=False)
        print(f"  a look with {count:2} new: {vendor.asked} pages, {took * 1e3:6.1f} ms, {found.new} found")


async def told(app: App, count: int, vendor: Vendor) -> None:
    """Entries that the vendor has still to be told."""
    now = app.kernel.clock.now() - timedelta(seconds=1)
    values = [f"owed{n}@company{n}.example" for n in range(count)]
    for start in range(0, count, 1_000):
        part = values[start : start + 1_000]
        await app.kernel.store.write(lambda c, part=part: note_in(c, "sequencer", part, "asked", now))  # type: ignore[misc]  # mypy can't infer it
    vendor.told, began = 0, time.perf_counter()
    await owing.settle(app)
    took = time.perf_counter() - began
    print(f"  {vendor.told:,} entries told in {took:.1f} s, {vendor.told / took:,.0f} entries/s")
    stand = await walks.standing(app.kernel, syncing.BLOCKLIST)
    print(f"  the walk rests, {'whole' if stand.at and not stand.began else 'under way'}")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--entries", type=int, default=50_000)
    given, _ = parser.parse_known_args()
    asyncio.run(measure(given.entries))


if __name__ == "__main__":
    main()
