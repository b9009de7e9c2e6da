"""The demo: the whole journey on emulated vendors, first simulated, then live, with the emulators' own logs as witness.

emulators start ─ files written ─ safe pass: everything simulated, zero writes ─ live pass: approved, written, answered
"""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa

from orchestrator import review, runs
from orchestrator.app import App, open_app
from orchestrator.dossier import detail, queue
from orchestrator.following import follow, follow_launch
from orchestrator.runs import Run
from orchestrator.samples import write_sample
from orchestrator.serving import listening
from orchestrator.summary import Summary, summarise, unfinished
from orchestrator.worker import open_worker
from shared.approval import Person
from shared.audit import Verdict
from shared.clock import SystemClock
from shared.effect import Json
from shared.errors import Fatal, Invalid
from shared.pipeline_schema import lead
from shared.settings import Settings, configured_database, configured_folder, load_settings
from shared.store import open_store
from shared.witness import Witness, open_witness

REVIEWER = Person("demo.operator@alpha-swarm.example", "operator")
MARKER = "made-by-swarm-demo"
POST = "https://www.linkedin.com/posts/alpha-swarm-demo_forecasting-activity-7000000000000000001"
START_SECONDS = 30.0
QUIET_ROUNDS = 5
LOOK_SECONDS = 0.1
Tell = Callable[[str], None]
Watch = Callable[[Run, dict[str, int]], None]
Decide = Callable[[App, str], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Pass:
    """How one pass went. `writes` is what the emulators say was written, by vendor."""

    run: Run
    summary: Summary
    writes: Mapping[str, int]
    sent_to: int
    waiting: int  # campaigns nobody decided
    proof: Verdict


def fresh_home(home: Path) -> Path:
    """An empty data folder for the demo; only one that the demo itself made is ever emptied."""
    if home.exists() and not (home / MARKER).exists() and any(home.iterdir()):
        raise Invalid(f"{home} holds something else; choose another SWARM_HOME", field="SWARM_HOME")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    (home / MARKER).write_text(
        "This folder belongs to `swarm demo` and is emptied at its start.\n", encoding="utf-8"
    )
    return home


@asynccontextmanager
async def emulated(home: Path, faults: Path | None = None) -> AsyncIterator[str]:
    """The vendors' emulators in a process of their own; yields their address."""
    ready, clock = anyio.Path(home / "emulators.address"), SystemClock()
    command = [sys.executable, "-m", "orchestrator.cli", "sandbox", "--port", "0", "--follow-parent"]
    command += ["--ready-file", str(ready), *(["--faults", str(faults)] if faults else [])]
    child = await anyio.open_process(
        command, stdin=None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with anyio.move_on_after(START_SECONDS):
            while not await _written(ready) and child.returncode is None:
                await clock.sleep(0.05)
        if not (address := await _written(ready)):
            raise Fatal("the vendor emulators did not start; run `swarm sandbox` to see why")
        yield address
    finally:
        with anyio.CancelScope(shield=True):
            if child.returncode is None:
                child.terminate()
            await child.wait()


async def _written(file: anyio.Path) -> str:
    return await file.read_text(encoding="utf-8") if await file.exists() else ""


def demo_settings(home: Path, address: str, *, safe: bool) -> Settings:
    """The shipped configuration on the demo's own folder, every vendor emulated whatever keys are around.

    SQLite is always the demo's own; a PostgreSQL server is the one that is configured.
    """
    environ = {"SWARM_HOME": str(home), "SWARM_SANDBOX_URL": address, "SAFE_MODE": str(safe).lower()}
    if not (database := configured_database()).startswith("sqlite:"):
        environ["DATABASE_URL"] = database
    return load_settings(configured_folder(), environ)


async def refuse_used_database(home: Path) -> None:
    """What the demo invents must not stand among real people: a server's database must be empty."""
    url = demo_settings(home, "", safe=True).database_url
    if url.startswith("sqlite:"):
        return
    async with open_store(url) as store:
        tables = [
            sa.select(sa.literal(1)).select_from(table).limit(1) for table in lead.metadata.sorted_tables
        ]
        if await store.read(lambda c: any(c.execute(query).scalar() for query in tables)):
            message = (
                "the database is in use; the demo needs an empty one: unset DATABASE_URL, or make a new one"
            )
            raise Invalid(message, field="DATABASE_URL")


async def writes(witness: Witness) -> dict[str, int]:
    """What the emulators say they were asked to change, by vendor; sends are theirs, not ours."""
    counts = {}
    for account in ("ghl", "instantly", "clay", "phantombuster", "apify"):
        counts[account] = sum(entry["action"] != "send" for entry in await witness.log(account))
    return counts


async def recipients(witness: Witness) -> int:
    """How many different people the emulated mail vendor says it wrote to."""
    return len({entry["target"] for entry in await witness.log("instantly") if entry["action"] == "send"})


async def approve_all(app: App) -> int:
    """Read and approve what the demo's operator may approve. Only ever against emulators. Returns what is left."""
    if not app.kernel.settings.all_sandbox:
        raise Invalid("approving everything is for emulated vendors only", field="approve_all")
    left = 0
    for waiting in await queue(app.kernel):
        try:
            await _read_all(app, waiting.id, waiting.version)
            await review.approve(app.kernel, waiting.id, person=REVIEWER, version=waiting.version)
        except Invalid as error:
            if error.code != "not_allowed":
                raise
            left += 1
    return left


async def _read_all(app: App, campaign_id: str, version: int) -> None:
    """Open everybody's messages, page by page, one person at a time."""
    page = pages = 1
    while page <= pages:
        shown = await detail(app.kernel, campaign_id, page=page, reader=REVIEWER.name)
        pages = shown.pages
        for person in shown.recipients:
            ids = [person.lead_id]
            await review.mark_read(app.kernel, campaign_id, ids, person=REVIEWER, version=version)
        page += 1


async def safe_pass(home: Path, address: str, leads: int, watch: Watch) -> Pass:
    """Everything simulated."""
    async with open_app(demo_settings(home, address, safe=True), role="demo") as app, open_worker(app):
        run = await _to_review(app, home, leads, watch)
        waiting = await approve_all(app)
        run = await _launched(app, run.id, watch)
        return await _ended(app, run, address, waiting)


async def live_pass(
    home: Path,
    address: str,
    leads: int,
    watch: Watch,
    *,
    decide: Decide | None,
    tell: Tell,
) -> Pass:
    """For real, as far as emulators are. `decide` waits for a person; without it the demo's operator approves."""
    settings = demo_settings(home, address, safe=False)
    async with open_app(settings, role="demo") as app, open_worker(app), listening(app) as gatekeeper:
        await _subscribe(app, address, gatekeeper)
        run = await _to_review(app, home, leads, watch)
        tell(f"Gatekeeper at {gatekeeper}")
        waiting = await approve_all(app) if decide is None else await decide(app, gatekeeper)
        run = await _launched(app, run.id, watch)
        await _answered(app)
        return await _ended(app, await runs.get(app.kernel, run.id), address, waiting)


async def _subscribe(app: App, address: str, gatekeeper: str) -> None:
    """Have the emulators send their events to us: one by its API, the others by their settings page."""
    await app.suite.sequencer.ensure_webhooks(base_url=gatekeeper)
    async with open_witness(address) as witness:
        for vendor in ("ghl", "clay"):
            await witness.send_events_to(vendor, f"{gatekeeper}/webhooks/{vendor}")


async def _to_review(app: App, home: Path, leads: int, watch: Watch) -> Run:
    """Take everyone in and get to the point where a person decides."""
    from_post = leads // 5
    sample = await anyio.to_thread.run_sync(write_sample, home / "sample", leads - from_post)
    params: dict[str, Json] = {
        "files": [str(sample.connections), str(sample.provider)],
        "posts": [{"url": POST, "kind": "commenters", "limit": from_post}] if from_post else [],
        "asked": "run",
    }
    run = await runs.create(app.kernel, params)
    run = await follow(app, run.id, watch)
    if run.state == "failed":
        raise Fatal(f"the run failed: {run.message}")
    return run


async def _launched(app: App, run_id: str, watch: Watch) -> Run:
    """Wait until everything approved is launched; what waits for another person keeps waiting."""
    stalled = await follow_launch(app, run_id, watch)
    found = await runs.get(app.kernel, run_id)
    if stalled:
        raise Fatal(f"a campaign could not be launched: {found.message}")
    return found


async def _answered(app: App) -> None:
    """Let the emulated recipients react, until nothing new comes in and everybody who said stop is stopped."""
    quiet, last = 0, -1
    while quiet < QUIET_ROUNDS:
        await app.kernel.clock.sleep(LOOK_SECONDS * 3)
        state = await unfinished(app.kernel)
        events = sum((await summarise(app.kernel, "")).events.values())
        quiet = quiet + 1 if state == 0 and events == last else 0
        last = events


async def _ended(app: App, run: Run, address: str, waiting: int) -> Pass:
    await app.kernel.audit.checkpoint("demo")
    async with open_witness(address) as witness:
        return Pass(
            run=run,
            summary=await summarise(app.kernel, run.id),
            writes=await writes(witness),
            sent_to=await recipients(witness),
            waiting=waiting,
            proof=await app.kernel.audit.verify(),
        )
