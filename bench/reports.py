"""What a report of a million people costs: `python -m bench.reports` (about a minute to make the store).

    --people N    written to within the month (default 1,000,000)
    --database U  an empty PostgreSQL database instead of an SQLite file

The floor is one bare scan over the month's events, on the same database in the same run. Rows are written without the
product, since only reading is measured: half of the people opened, 4 % answered, 2 % bounced.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestrator import reporting
from orchestrator.periods import PeriodName, around
from orchestrator.rules import load_rules
from shared.clock import iso
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import campaign, campaign_lead, event, lead, reply, run, run_lead
from shared.settings import load_settings
from shared.sql import insertion, run_many, value

ROOT = Path(__file__).parent.parent
BEGINS = datetime(2026, 2, 1, tzinfo=UTC)
CAMPAIGNS, CHUNK, ROUNDS = 200, 20_000, 3
KINDS = ("event_followup", "thought_leadership", "community_outreach")
WORDS = "x" * 600  # of somebody's messages; really some thousands of characters
Row = tuple[object, ...]


def fixed(connection: sa.Connection) -> None:
    """Runs and campaigns."""
    for number in range(CAMPAIGNS):
        at = iso(BEGINS + timedelta(hours=number * 3))
        connection.execute(sa.insert(run).values(id=f"r{number}", mode="live", started_at=at))
        connection.execute(
            sa.insert(campaign).values(
                id=f"c{number}",
                run_id=f"r{number}",
                type=KINDS[number % 3],
                tier=f"tier_{number % 4 + 1}",
                state="live",
                created_at=at,
            )
        )


def rows(first: int, last: int) -> Iterator[tuple[sa.Table, Row]]:
    """Everything of some people."""
    for n in range(first, last):
        who, number = f"{n:032x}", n % CAMPAIGNS
        at = iso(BEGINS + timedelta(seconds=n * 2.4e6 / last % 2.4e6))
        yield lead, (who, f"p{n}@corp.com", '{"title": "VP Sales"}', at)
        yield run_lead, (f"r{number}", who, 0, f"tier_{number % 4 + 1}", "live", f"c{number}")
        yield campaign_lead, (f"c{number}", who, "AB"[n % 2], WORDS, "live")
        kinds = ["sent", *(["opened"] if n % 2 else []), *(["bounced"] if n % 50 == 0 else [])]
        kinds += ["replied"] if n % 25 == 0 else []
        for kind in kinds:
            yield event, (f"e{n}{kind}", kind, at, who, f"c{number}", int(kind == "sent"))
        if n % 25 == 0:
            word = ("positive_interest", "not_interested", "out_of_office")[n // 25 % 3]
            yield reply, (f"e{n}replied", who, f"c{number}", word, WORDS, at)


COLUMNS: dict[sa.Table, tuple[str, ...]] = {
    lead: ("id", "email", "data", "created_at"),
    run_lead: ("run_id", "lead_id", "batch", "tier", "state", "campaign_id"),
    campaign_lead: ("campaign_id", "lead_id", "variant", "enrollment", "state"),
    event: ("id", "type", "received_at", "lead_id", "campaign_id", "step"),
    reply: ("event_id", "lead_id", "campaign_id", "class", "text", "at"),
}


async def fill(kernel: Kernel, people: int) -> None:
    """A month of them."""
    await kernel.store.write(fixed)
    for start in range(0, people, CHUNK):
        several: dict[sa.Table, list[Row]] = {table: [] for table in COLUMNS}
        for table, row in rows(start, min(people, start + CHUNK)):
            several[table].append(row)

        def change(connection: sa.Connection, several: dict[sa.Table, list[Row]] = several) -> None:
            for table, listed in several.items():
                run_many(connection, insertion(table.name, COLUMNS[table]), listed)

        await kernel.store.write(change)


async def timed(work: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    """The best of some rounds."""
    best, found = float("inf"), None
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = await work()
        best = min(best, time.perf_counter() - began)
    return best, found


async def measure(kernel: Kernel) -> None:
    """Print the table."""
    rules = load_rules(kernel.settings.folder)
    scan = "SELECT COUNT(*) FROM event WHERE received_at >= ? AND detail <> 'none'"
    floor, events = await timed(lambda: kernel.store.read(lambda c: value(c, scan, iso(BEGINS))))
    print(f"floor: a scan over {events:,} events {floor:.2f} s")
    for name in ("daily", "weekly", "monthly"):
        period = around(_name(name), BEGINS + timedelta(days=10), rules.schedules.zone)
        took, found = await timed(lambda period=period: reporting.made(kernel, rules, period))
        people = next(one.count for one in found.funnel if one.name == "written to")
        print(f"{name:8} {people:>9,} people {took:6.2f} s, {took / floor:5.1f} x the floor")


def _name(text: str) -> PeriodName:
    return "daily" if text == "daily" else "weekly" if text == "weekly" else "monthly"


async def main() -> None:
    """Make the store, then measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--database", default="")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as home:
        environ = {"SWARM_HOME": home, **({"DATABASE_URL": asked.database} if asked.database else {})}
        async with open_kernel(load_settings(ROOT / "config", environ)) as kernel:
            began = time.perf_counter()
            await fill(kernel, asked.people)
            print(f"{asked.people:,} people made in {time.perf_counter() - began:.0f} s")
            await measure(kernel)


if __name__ == "__main__":
    asyncio.run(main())
