"""An installation on a temporary folder for tests of the acting parts: real store, real servers, emulated vendors."""

import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import anyio.lowlevel
import sqlalchemy as sa

from orchestrator import crm, enrolment, outreach, planning, review, runs
from orchestrator.app import App, webhook_sources
from orchestrator.dossier import queue
from orchestrator.emulators import serve_all
from orchestrator.intake import join_run, write_lead
from orchestrator.rules import Rules, load_rules
from shared.approval import Person
from shared.clock import SystemClock, iso
from shared.kernel import Kernel, open_kernel
from shared.lead import Lead, Tier
from shared.pipeline_schema import campaign, campaign_lead, run, run_lead
from shared.settings import Settings, load_settings
from shared.suite import Suite, open_suite
from shared.witness import Witness, open_witness
from tests.conftest import CONFIG
from tests.waiting import somebody

OPERATOR = Person("operator@alpha-swarm.example", "operator")
Row = sa.Row[Any]


class Leaping(SystemClock):
    """Whoever sleeps arrives at once: the clock leaps ahead instead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=max(0.0, seconds))
        await anyio.lowlevel.checkpoint()


@dataclass(frozen=True)
class World:
    """The application, and whoever saw what the vendors were asked."""

    app: App
    witness: Witness
    clock: SystemClock

    @property
    def kernel(self) -> Kernel:
        return self.app.kernel

    async def wrote(self, account: str, action: str) -> list[str]:
        """Whom or what that vendor says it did this to."""
        return [entry["target"] for entry in await self.witness.log(account) if entry["action"] == action]

    async def break_things(self, account: str, *faults: dict[str, Any]) -> None:
        await self.witness.break_things(account, faults)


@asynccontextmanager
async def world(
    folder: Path, *, safe: bool = False, clock: SystemClock | None = None
) -> AsyncIterator[World]:
    """Everything but a worker; the clock leaps unless another one is given."""
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    text = (config / "safety.yaml").read_text(encoding="utf-8")
    (config / "safety.yaml").write_text(
        text.replace("settle_seconds: 3", "settle_seconds: 0"), encoding="utf-8"
    )
    used = clock or Leaping()
    async with serve_all(load_settings(config, {})) as address, open_witness(address) as witness:
        environ = {"SWARM_HOME": str(folder / "home"), "SWARM_SANDBOX_URL": address, "SAFE_MODE": "false"}
        async with opened(load_settings(config, environ), used) as app:
            if safe:
                await app.kernel.switches.engage_safe_mode(actor="test", reason="a rehearsal")
            yield World(app, witness, used)


@asynccontextmanager
async def opened(settings: Settings, clock: SystemClock) -> AsyncIterator[App]:
    """The application on these settings."""
    async with open_kernel(settings, role="test", clock=clock) as kernel, open_suite(kernel) as suite:
        yield App(kernel, suite, load_rules(settings.folder), webhook_sources(settings))


@cache
def shipped_rules() -> Rules:
    """The shipped rules; reading them takes longer than many a test."""
    return load_rules(CONFIG)


def alone(kernel: Kernel) -> App:
    """The application without any vendor: for what only the database is asked."""
    return App(kernel, Suite({}, {}), shipped_rules(), webhook_sources(kernel.settings))


# ── people on their way ──────────────────────────────────────────────────────────────────────────────────
def people(count: int, start: int = 1, **more: Any) -> list[Lead]:
    """People whom nothing speaks against."""
    return [somebody(number, **more) for number in range(start, start + count)]


async def a_run(app: App, leads: Iterable[Lead], *, state: str = "scored", tier: Tier = "tier_3") -> str:
    """A run that these people are in, as research leaves it."""
    made = await runs.create(app.kernel, {"stored": True})
    listed = list(leads)
    now = iso(app.kernel.clock.now())

    def change(connection: sa.Connection) -> None:
        for one in listed:
            write_lead(connection, one, now, "enriched")
        join_run(connection, made.id, [one.id for one in listed], 100)
        mine = run_lead.c.run_id == made.id
        connection.execute(sa.update(run_lead).where(mine).values(state=state, tier=tier, score=60))

    await app.kernel.store.write(change)
    return made.id


async def planned(app: App, leads: Iterable[Lead], *, tier: Tier = "tier_3") -> tuple[str, list[str]]:
    """A run whose campaigns wait for a person, and their ids."""
    run_id = await a_run(app, leads, tier=tier)
    ids = (await planning.group(app, run_id))["campaigns"]
    for campaign_id in ids:
        await planning.write_words(app, run_id, campaign_id)
    await planning.to_review(app, run_id)
    return run_id, ids


async def approved(app: App, leads: Iterable[Lead], *, tier: Tier = "tier_3") -> tuple[str, str]:
    """A run with one approved campaign, and its id."""
    run_id, (campaign_id,) = await planned(app, leads, tier=tier)
    await say_yes(app, campaign_id)
    return run_id, campaign_id


async def say_yes(app: App, campaign_id: str) -> None:
    """Read everything and approve."""
    version = next(one.version for one in await queue(app.kernel) if one.id == campaign_id)
    for row in await members(app, campaign_id):
        ids = [row.lead_id]
        await review.mark_read(app.kernel, campaign_id, ids, person=OPERATOR, version=version)
    await review.approve(app.kernel, campaign_id, person=OPERATOR, version=version)


async def launched(app: App, campaign_id: str) -> str:
    """Every stage of a launch, one after the other; returns the campaign's state."""
    starts = (await outreach.begin(app, campaign_id, (await the(app, campaign_id)).version))["starts"]
    for start in starts:
        await crm.write_crm(app, campaign_id, start)
    if starts:
        await outreach.create(app, campaign_id)
    for start in starts:
        await enrolment.enrol(app, campaign_id, start)
    if starts:
        await outreach.activate(app, campaign_id)
    return str((await the(app, campaign_id)).state)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
async def rows(app: App, query: sa.Select[Any]) -> list[Row]:
    return await app.kernel.store.read(lambda c: list(c.execute(query)))


async def the(app: App, campaign_id: str) -> Row:
    """The campaign as it stands."""
    return (await rows(app, sa.select(campaign).where(campaign.c.id == campaign_id)))[0]


async def members(app: App, campaign_id: str) -> list[Row]:
    """Its people, by id."""
    query = sa.select(campaign_lead).where(campaign_lead.c.campaign_id == campaign_id)
    return await rows(app, query.order_by(campaign_lead.c.lead_id))


async def states(app: App, campaign_id: str) -> list[tuple[str, str]]:
    """How its people stand, and why."""
    return [(row.state, row.reason) for row in await members(app, campaign_id)]


async def run_state(app: App, run_id: str) -> str:
    return (await runs.get(app.kernel, run_id)).state


async def in_run(app: App, run_id: str) -> list[Row]:
    """The people of a run, by id."""
    return await rows(
        app, sa.select(run_lead).where(run_lead.c.run_id == run_id).order_by(run_lead.c.lead_id)
    )


async def put(app: App, statement: Any) -> None:
    """Change a row, as time or another process would."""
    await app.kernel.store.write(lambda c: c.execute(statement))


async def mode_of(app: App, run_id: str) -> str:
    return str((await rows(app, sa.select(run.c.mode).where(run.c.id == run_id)))[0].mode)
