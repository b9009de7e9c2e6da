"""What a lead costs in requests to GoHighLevel, counted by the emulator: `python -m bench.ghl [--leads N]`.

A new lead is a contact and an opportunity. The vendor allows 100 requests in 10 s, so requests are what a run waits
for: 2.2 a lead are 450 leads a minute. The same leads again cost nothing, and one that changed costs its change.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from servers.ghl.account import Ghl, open_ghl
from servers.ghl.effects import upsert_contacts
from servers.ghl.opportunities import create_opportunity
from servers.ghl.sandbox import build
from servers.ghl.tagging import Person, tag_contacts
from shared.kernel import open_kernel
from shared.ports import ContactRecord
from shared.sandbox import serve
from shared.settings import Settings, load_settings
from shared.telemetry import configure

ROOT = Path(__file__).parent.parent
LEADS = 200
MOST = 2.2  # requests for a new lead, where the location refuses duplicates


@dataclass(frozen=True)
class Counted:
    """A server, and what its emulator was asked."""

    ghl: Ghl
    control: httpx.AsyncClient

    async def requests(self) -> int:
        return len((await self.control.get("/_control/requests")).json())

    async def during(self, work: Callable[[], Awaitable[Any]]) -> int:
        """How many requests this takes."""
        before = await self.requests()
        await work()
        return await self.requests() - before


@asynccontextmanager
async def opened(*, duplicates: bool) -> AsyncIterator[Counted]:
    with tempfile.TemporaryDirectory() as home:
        async with (
            serve(build()) as url,
            httpx.AsyncClient(base_url=url, timeout=60) as control,
        ):
            # Requests are counted here, not waited for: no limit on either side.
            allowed = {"allow_duplicate_contact": duplicates, "allow_duplicate_opportunity": duplicates}
            allowed |= {"calls": 1_000_000}
            await control.post("/_control/act/set_location", json=allowed)
            environ = {"SWARM_HOME": home, "SAFE_MODE": "false", "GHL_BASE_URL": url}
            settings = unlimited(load_settings(ROOT / "config", environ))
            async with open_kernel(settings) as kernel, open_ghl(kernel) as ghl:
                yield Counted(ghl, control)


def unlimited(settings: Settings) -> Settings:
    vendor = settings.vendor("ghl")
    changed = replace(vendor, file=vendor.file.model_copy(update={"limits": ()}))
    return replace(settings, vendors={**settings.vendors, "ghl": changed})


def records(count: int) -> list[ContactRecord]:
    return [
        ContactRecord(
            f"p{n}@corp{n}.example",
            first_name="Dana",
            company=f"Corp {n}",
            title="CRO",
            icp_score=80,
            icp_tier="tier_2",
            tags=("alpha-swarm", "tier_2"),
        )
        for n in range(count)
    ]


async def contacts_and_opportunities(ghl: Ghl, wanted: list[ContactRecord]) -> None:
    """What a launch does for each lead."""
    batch = await upsert_contacts(ghl, wanted, "")
    assert {outcome.status for outcome in batch.outcomes} <= {"applied", "replayed"}, batch.counts
    for record, outcome in zip(wanted, batch.outcomes, strict=True):
        await create_opportunity(ghl, outcome.reference, record.email, record.company, "New", 0, "")


async def cost(count: int, *, duplicates: bool) -> dict[str, float]:
    """Requests for each lead, by what is done with it."""
    async with opened(duplicates=duplicates) as counted:
        ghl, wanted = counted.ghl, records(count)
        changed = [replace(one, title="CEO") for one in wanted]
        people = [Person(email=one.email) for one in wanted]
        took = {
            "new: contact and opportunity": await counted.during(
                lambda: contacts_and_opportunities(ghl, wanted)
            ),
            "the same again": await counted.during(lambda: contacts_and_opportunities(ghl, wanted)),
            "one field changed": await counted.during(lambda: upsert_contacts(ghl, changed, "")),
            "tagged, all together": await counted.during(lambda: tag_contacts(ghl, people, ["hot"], [], "")),
        }
    return {what: requests / count for what, requests in took.items()}


async def main(count: int) -> int:
    """Print both kinds of location; 1 if the recommended one costs more than it may."""
    configure("ERROR")
    worst = 0.0
    for duplicates in (False, True):
        found = await cost(count, duplicates=duplicates)
        print(
            f"\nlocation {'allows' if duplicates else 'refuses'} duplicates, {count} leads: requests a lead"
        )
        for what, each in found.items():
            print(f"  {each:5.2f}  {what}")
        if not duplicates:
            worst = found["new: contact and opportunity"]
    print(f"\na new lead: {worst:.2f} of at most {MOST}")
    return int(worst > MOST)


if __name__ == "__main__":
    chosen = int(sys.argv[sys.argv.index("--leads") + 1]) if "--leads" in sys.argv else LEADS
    sys.exit(asyncio.run(main(chosen)))
