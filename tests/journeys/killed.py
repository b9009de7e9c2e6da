"""A run of the real pipeline in a child process that is killed with SIGKILL at random instants and started again.

The emulators live in a process of their own, so that their log survives every kill: it is the truth that the
counts are made of. The Gatekeeper runs in the child as well; vendors retry their webhooks while it is down. On
PostgreSQL more workers run beside it, and any of them may be the one that is killed.
"""

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import anyio
import httpx

from orchestrator import demo, review, runs
from orchestrator.app import App, open_app
from orchestrator.dossier import detail, queue
from orchestrator.samples import write_sample
from orchestrator.summary import Summary, summarise, unfinished
from shared.approval import Person
from shared.clock import SystemClock
from shared.settings import Settings, load_settings
from shared.witness import Witness, open_witness

ROOT = Path(__file__).parent.parent.parent
AE = Person("ae@alpha-swarm.example", "ae")
OPERATOR = Person("operator@alpha-swarm.example", "operator")
# What the vendor did by itself, and what may be said again without harm: stopping somebody is repeated on purpose.
NOT_OURS = {"send"}
REPEATABLE = {
    "remove_lead", "delete_lead", "block", "add_block", "set_dnd", "add_tags", "update_contact", "move_opportunity",
    "update_opportunity", "pause_campaign", "remove_tags",
}  # fmt: skip
QUIET = 8
LONGEST_RESTART = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """What a killed run came to."""

    kills: int
    seconds: float
    summary: Summary
    writes: Mapping[tuple[str, str, str], int]  # vendor, action, target → how often
    sends: Mapping[str, int]  # first messages by address
    in_doubt: int
    audit_ok: bool
    restart: float = 0.0  # seconds from a start after one more kill until it is ready

    @property
    def story(self) -> dict[str, object]:
        """What must not depend on when the process was killed."""
        values = asdict(self.summary)
        return {name: values[name] for name in ("funnel", "campaigns", "people", "replies", "suppressed")}

    @property
    def repeated(self) -> dict[tuple[str, str, str], int]:
        """Effects that the vendors say happened more than once."""
        return {what: count for what, count in self.writes.items() if count > 1 and what[1] not in REPEATABLE}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run takes place: data folder, emulators, the Gatekeeper's port; a database's address unless SQLite."""

    home: Path
    emulators: str
    port: int
    database: str = ""

    @property
    def environ(self) -> dict[str, str]:
        """Live against the emulators."""
        theirs = {"SWARM_SANDBOX_URL": self.emulators, "DATABASE_URL": self.database}
        return {"SWARM_HOME": str(self.home), "SAFE_MODE": "false", **theirs}

    @property
    def settings(self) -> Settings:
        """As the processes have them."""
        return load_settings(ROOT / "config", self.environ)

    def start(self, number: int) -> subprocess.Popen[bytes]:
        """The product as an operator runs it: Gatekeeper and worker in one process, then more workers."""
        does = ["gatekeeper", "--port", str(self.port)] if number == 0 else ["worker"]
        command = [sys.executable, "-m", "orchestrator.cli", *does]
        with (self.home / "worker.log").open("ab") as log:
            environ = {**os.environ, **self.environ}
            return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)


def free_port() -> int:
    """A loopback port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


async def killed_run(
    home: Path,
    *,
    leads: int,
    kills: int,
    seed: int,
    longest: float = 1.5,
    database: str = "",
    workers: int = 1,
) -> Ended:
    """Run `leads` people through everything, killing a process `kills` times on the way."""
    clock, dice = SystemClock(), random.Random(seed)
    began = clock.monotonic()
    await anyio.Path(home).mkdir(parents=True, exist_ok=True)
    async with demo.emulated(home) as address, open_witness(address) as witness:
        place = Place(home, address, free_port(), database)
        run_id = await _prepare(place, leads, witness)
        done = 0
        children = [place.start(number) for number in range(workers)]
        try:
            while not await _rests(place, run_id):
                await clock.sleep(dice.uniform(0.05, longest))
                if done < kills:
                    number = dice.randrange(workers)
                    await _end(children[number])
                    children[number] = place.start(number)
                    done += 1
            # Before the next kill: what a process has just begun after that one stays open, as nobody goes on.
            ended = await _ended(place, run_id, witness, done, clock.monotonic() - began)
            await _end(children[0])
            children[0] = place.start(0)
            return replace(ended, restart=await _until_ready(place.port, clock))
        finally:
            for child in children:
                await _end(child)


async def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGKILL)
    await asyncio.to_thread(child.wait)


async def _until_ready(port: int, clock: SystemClock) -> float:
    """Seconds until the process that was just started says that it can work."""
    began = clock.monotonic()
    async with httpx.AsyncClient(trust_env=False) as http:
        while clock.monotonic() - began < LONGEST_RESTART:
            try:
                if (await http.get(f"http://127.0.0.1:{port}/readyz")).is_success:
                    break
            except httpx.TransportError:
                await clock.sleep(0.05)
    return clock.monotonic() - began


async def _prepare(place: Place, leads: int, witness: Witness) -> str:
    """Files, webhooks and the run's row; nothing has begun yet."""
    for vendor in ("ghl", "clay"):
        await witness.send_events_to(vendor, f"http://127.0.0.1:{place.port}/webhooks/{vendor}")
    sample = write_sample(place.home / "sample", leads - leads // 5)
    async with open_app(place.settings, role="test") as app:
        await app.suite.sequencer.ensure_webhooks(base_url=f"http://127.0.0.1:{place.port}")
        files = [str(sample.connections), str(sample.provider)]
        posts = [{"url": demo.POST, "kind": "commenters", "limit": leads // 5}]
        run = await runs.create(app.kernel, {"files": files, "posts": posts, "asked": "run"})
        return run.id


async def _rests(place: Place, run_id: str) -> bool:
    """Whether everything is done; approves what waits, as people would in between."""
    async with open_app(place.settings, role="test", ports=()) as app:
        await _approve(app)
        run = await runs.get(app.kernel, run_id)
        if run.state == "failed":
            raise AssertionError(f"the run failed: {run.message}")
        if run.state != "finished" or await unfinished(app.kernel) or await _open(app):
            return False
        summary = await summarise(app.kernel, run_id)
        return await _quiet(app, run_id, summary)


async def _quiet(app: App, run_id: str, before: Summary) -> bool:
    """Nothing new for a while."""
    for _ in range(QUIET):
        await app.kernel.clock.sleep(0.25)
        now = await summarise(app.kernel, run_id)
        if (now.people, now.events, now.replies) != (before.people, before.events, before.replies):
            return False
        if await unfinished(app.kernel) or await _open(app):
            return False
    return True


async def _open(app: App) -> int:
    """Effects of which nobody knows yet how they ended: a process that started looks at the vendor twice first."""
    counts = await app.kernel.ledger.counts()
    return counts.get("in_doubt", 0) + counts.get("claimed", 0)


async def _approve(app: App) -> None:
    """Read and approve everything; what is not for an AE, as the operator."""
    for waiting in await queue(app.kernel):
        pages = page = 1
        while page <= pages:
            shown = await detail(app.kernel, waiting.id, page=page, reader=OPERATOR.name)
            pages, page = shown.pages, page + 1
            for person in shown.recipients:
                ids = [person.lead_id]
                await review.mark_read(app.kernel, waiting.id, ids, person=OPERATOR, version=waiting.version)
        await review.approve(app.kernel, waiting.id, person=OPERATOR, version=waiting.version)


async def _ended(place: Place, run_id: str, witness: Witness, kills: int, seconds: float) -> Ended:
    writes: Counter[tuple[str, str, str]] = Counter()
    sends: Counter[str] = Counter()
    for vendor in ("ghl", "instantly", "clay", "phantombuster"):
        for entry in await witness.log(vendor):
            if entry["action"] in NOT_OURS:
                sends[entry["target"]] += entry["detail"].get("step") == 1
            else:
                writes[vendor, entry["action"], entry["target"]] += 1
    async with open_app(place.settings, role="test", ports=()) as app:
        return Ended(
            kills=kills,
            seconds=seconds,
            summary=await summarise(app.kernel, run_id),
            writes=writes,
            sends=sends,
            in_doubt=await _open(app),
            audit_ok=(await app.kernel.audit.verify()).ok,
        )


def report(ended: Ended) -> str:
    """One JSON line for a log."""
    values = {
        "kills": ended.kills,
        "seconds": round(ended.seconds, 1),
        "writes": sum(ended.writes.values()),
        "mailed": len(ended.sends),
        "repeated": [list(key) for key in ended.repeated],
        "mailed_twice": [who for who, count in ended.sends.items() if count > 1],
        "in_doubt": ended.in_doubt,
        "audit_ok": ended.audit_ok,
        "restart_seconds": round(ended.restart, 2),
        "funnel": asdict(ended.summary)["funnel"],
        "people": ended.summary.people,
        "outcomes": ended.summary.outcomes,
    }
    return json.dumps(values)
