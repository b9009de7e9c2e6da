"""What a dry run of all phases costs, and whether that is linear: `python -m bench.dry_run --leads 10000,100000`.

    --leads N,M    how many people, from the fewest to the most (default 1,000 and 10,000)

For each number a process of its own, with a home of its own, takes a file in, researches, plans, has everything read
and approved as the demo's operator does, tells what would follow (`implement --dry-run`), and implements in safe mode,
through the durable engine. Vendors are the emulators, in a process beside it: safe mode asks them what it only reads.
People are eight to a company; every second one has to be looked up, which safe mode only simulates.

Printed are seconds and the peak of the memory that process held. The floor puts the rows that the run left behind into
an empty database of the same tables and indexes, with the bare driver, 500 to a transaction, at the same durability.

Measured on two cores that others used as well: 100,000 people took 443.7 s, 10.1 times as long as 10,000 (43.8 s), 10.6
times by the processor, and 1.09 times the memory, 182 MB.
"""

import argparse
import asyncio
import csv
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from orchestrator import implementing, plan_review, plans, review, runs
from orchestrator.app import App, open_app
from orchestrator.demo import REVIEWER, demo_settings, emulated
from orchestrator.following import follow, follow_launch
from orchestrator.intake import import_path
from orchestrator.samples import COMPANIES, COUNTRIES, FIRST, LAST, SOURCES, TITLES
from orchestrator.worker import open_worker
from shared.sqlite import sqlite
from shared.telemetry import configure

PAGE = 500  # rows of a transaction of the floor
PER_COMPANY = 8
COLUMNS = (
    "linkedInProfileUrl", "firstName", "lastName", "title", "companyName", "companyDomain", "email", "emailStatus",
    "companySize", "industry", "revenue", "country", "sourceType", "sourceName", "action", "capturedAt",
)  # fmt: skip


# ── one run, in a process of its own ─────────────────────────────────────────────────────────────────────
@dataclass
class Times:
    """Seconds by stage, by the clock and of the processor, and MB held at most by the end of each."""

    seconds: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    @asynccontextmanager
    async def of(self, stage: str) -> AsyncIterator[None]:
        """Note what this stage took."""
        began, busy = time.perf_counter(), time.process_time()
        yield
        self.seconds[stage] = time.perf_counter() - began
        self.processor[stage] = time.process_time() - busy
        self.memory[stage] = peak()


def peak() -> float:
    """MB that this process has held at most; what it was before it became this program isn't counted."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def write_people(file: Path, leads: int) -> None:
    """A provider's export: everybody by profile, every second one without the rest."""
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(COLUMNS)
        rows.writerows(_person(number) for number in range(leads))


def _person(number: int) -> tuple[object, ...]:
    first, last = FIRST[number % len(FIRST)], LAST[number % len(LAST)]
    firm = number // PER_COMPANY
    name, _, industry, size, revenue = COMPANIES[firm % len(COMPANIES)]
    domain = f"firm{firm}.example"
    known = (
        f"person{number}@{domain}",
        "verified",
        size,
        industry,
        revenue,
        COUNTRIES[number // 2 % len(COUNTRIES)],
    )
    blank = ("",) * len(known)
    kind, place, action = SOURCES[number // 2 % len(SOURCES)]
    return (
        f"https://www.linkedin.com/in/person-{number}", first, last, TITLES[number // 2 % len(TITLES)],
        f"{name} {firm}", domain, *(blank if number % 2 else known), kind, place, action, "2026-11-01T09:00:00+00:00",
    )  # fmt: skip


async def journey(home: Path, leads: int, address: str) -> dict[str, object]:
    """All phases; what each took, and how many it was of."""
    file, times = home / "people.csv", Times()
    write_people(file, leads)
    configure("ERROR", b"bench")
    async with open_app(demo_settings(home, address, safe=True), role="bench") as app, open_worker(app):
        async with times.of("import"):
            await import_path(app, str(file))
        async with times.of("research"):
            run_id = await _researched(app)
        async with times.of("plan"):
            await runs.ask(app.kernel, run_id, "plan")
            await follow(app, run_id, _quiet)
        async with times.of("approve"):
            plan = await _approved(app, run_id)
        async with times.of("dry run"):
            told = await implementing.implement(app, run_id, actor=REVIEWER.name, dry_run=True)
        async with times.of("implement"):
            await implementing.implement(app, run_id, actor=REVIEWER.name, dry_run=False)
            await follow_launch(app, run_id, _quiet)
            made = await implementing.report(app.kernel, run_id)
    return {
        "seconds": times.seconds,
        "processor": times.processor,
        "memory": times.memory,
        "campaigns": len(plan.parts),
        "effects": told.detail.get("in_all", 0),
        "ended": {one.action: dict(one.ended) for one in made.compared},
    }


async def _researched(app: App) -> str:
    made = await runs.create(app.kernel, {"files": [], "posts": [], "stored": True, "asked": "research"})
    ended = await follow(app, made.id, _quiet)
    assert ended.state == "researched", ended.message
    return ended.id


async def _approved(app: App, run_id: str) -> plans.Plan:
    """Every message opened, every campaign approved, then the plan."""
    for waiting in await review.queue(app.kernel):
        await _read(app, waiting.id, waiting.version)
        await review.approve(app.kernel, waiting.id, person=REVIEWER, version=waiting.version)
    plan = await plans.plan_of(app.kernel, run_id)
    await plan_review.approve(app.kernel, run_id, person=REVIEWER, version=plan.version, content=plan.content)
    return plan


async def _read(app: App, campaign_id: str, version: int) -> None:
    """Page by page; whose messages need a yes of their own, one person at a time."""
    page = pages = 1
    while page <= pages:
        shown = await review.detail(app.kernel, campaign_id, page=page, reader=REVIEWER.name)
        pages, page = shown.pages, page + 1
        alone = [[one.lead_id] for one in shown.recipients if one.alone]
        for ids in [*alone, [one.lead_id for one in shown.recipients if not one.alone]]:
            await review.mark_read(app.kernel, campaign_id, ids, person=REVIEWER, version=version)


def _quiet(run: runs.Run, progress: dict[str, int]) -> None:
    """Nobody watches."""
    del run, progress


# ── the floor ────────────────────────────────────────────────────────────────────────────────────────────
def floor(home: Path) -> tuple[float, int]:
    """Seconds to put every row that is in the database now into an empty one, and how many rows these are."""
    with closing(sqlite.connect(home / "swarm.db")) as made, closing(_empty(made, home / "floor.db")) as bare:
        tables = [name for (name,) in made.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        seconds, count = 0.0, 0
        for table in tables:
            for rows in _pages(made, table):
                began = time.perf_counter()
                bare.execute("BEGIN IMMEDIATE")
                marks = ",".join("?" * len(rows[0]))
                bare.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
                bare.execute("COMMIT")
                seconds += time.perf_counter() - began
                count += len(rows)
        return seconds, count


def _empty(made: Any, file: Path) -> Any:
    """A database with the same tables, without rows."""
    bare = sqlite.connect(file, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=OFF"):
        bare.execute(f"PRAGMA {pragma}")
    tables = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    for (statement,) in made.execute(tables).fetchall():
        bare.execute(statement)
    return bare


def _pages(made: Any, table: str) -> Iterator[list[tuple[object, ...]]]:
    rows = made.execute(f"SELECT * FROM {table}")
    while page := rows.fetchmany(PAGE):
        yield page


# ── several, and how they compare ────────────────────────────────────────────────────────────────────────
async def one(leads: int) -> dict[str, Any]:
    """A run of so many in a process of its own, and its floor."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        async with emulated(home) as address:
            command = [sys.executable, "-m", "bench.dry_run", "--one", str(leads), str(home), address]
            child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            out, _ = await child.communicate()
        if child.returncode:
            raise SystemExit(child.returncode)
        told: dict[str, Any] = json.loads(out)
        told["floor"], told["rows"] = await asyncio.to_thread(floor, home)
        return told


def show(leads: int, told: dict[str, Any]) -> None:
    """A line for each stage."""
    seconds, busy, memory = (_with_all(told[name]) for name in ("seconds", "processor", "memory"))
    memory["all"] = max(told["memory"].values())
    print(f"{leads:,} leads: {told['campaigns']:,} campaigns, {told['effects']:,} effects foreseen")
    for stage, took in seconds.items():
        each = f"{took / leads * 1e3:8.2f} ms/lead, of the processor {busy[stage] / leads * 1e3:.2f}"
        print(f"  {stage:10}{took:9.1f} s{each}; {memory[stage]:.0f} MB at most so far")
    ratio = f"all ÷ floor: {seconds['all'] / told['floor']:.0f}"
    print(f"  {'floor':10}{told['floor']:9.1f} s for {told['rows']:,} rows; {ratio}")
    for action, ended in told["ended"].items():
        print(f"    {action}: {', '.join(f'{count:,} {status}' for status, count in sorted(ended.items()))}")


def _with_all(by_stage: dict[str, float]) -> dict[str, float]:
    return {**by_stage, "all": sum(by_stage.values())}


def compare(few: tuple[int, dict[str, Any]], many: tuple[int, dict[str, Any]]) -> None:
    """Ratios of two runs, stage by stage."""
    (leads, small), (more, large) = few, many
    print(f"{more:,} ÷ {leads:,} leads: {more / leads:g}")
    clock, busy = ((_with_all(small[name]), _with_all(large[name])) for name in ("seconds", "processor"))
    for stage in clock[0]:
        by_clock, by_processor = (after[stage] / before[stage] for before, after in (clock, busy))
        print(f"  {stage:10}time {by_clock:6.2f}, of the processor {by_processor:6.2f}")
    memory = max(large["memory"].values()) / max(small["memory"].values())
    print(f"  goal for ten times as many: time 10.5; memory {memory:.2f}, goal 1.2")


async def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--leads", default="1000,10000")
    parser.add_argument("--one", nargs=3, metavar=("LEADS", "HOME", "ADDRESS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        count, home, address = given.one
        print(json.dumps(await journey(Path(home), int(count), address)))
        return
    told: list[tuple[int, dict[str, Any]]] = []
    for leads in map(int, given.leads.split(",")):
        told.append((leads, await one(leads)))
        show(*told[-1])
    for few, many in pairwise(told):
        compare(few, many)


if __name__ == "__main__":
    asyncio.run(main())
