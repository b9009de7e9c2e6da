"""A run of the real pipeline in a child process that is killed with SIGKILL at random instants and started again.

The emulators live in a process of their own, so that their log survives every kill: it is the truth that the
counts are made of. The Gatekeeper runs in the child as well; vendors retry their webhooks while it is down.
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
from dataclasses import asdict, dataclass
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
    restart: float  # seconds from the start after the last kill until it is ready

    @property
    def story(self) -> dict[str, object]:
        """What must not depend on when the process was killed."""
        values = asdict(self.summary)
        return {name: values[name] for name in ("funnel", "campaigns", "people", "replies", "suppressed")}

    @property
    def repeated(self) -> dict[tuple[str, str, str], int]:
        """Effects that the vendors say happened more than once."""
        return {what: count for what, count in self.writes.items() if count > 1 and what[1] not in REPEATABLE}


def settings_at(home: Path, address: str) -> Settings:
    """Live against the emulators."""
    environ = {"SWARM_HOME": str(home), "SWARM_SANDBOX_URL": address, "SAFE_MODE": "false"}
    return load_settings(ROOT / "config", environ)


def free_port() -> int:
    """A loopback port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def start_worker(home: Path, address: str, port: int) -> subprocess.Popen[bytes]:
    """The product as an operator runs it: Gatekeeper and worker in one process."""
    environ = {**os.environ, "SWARM_HOME": str(home), "SWARM_SANDBOX_URL": address, "SAFE_MODE": "false"}
    command = [sys.executable, "-m", "orchestrator.cli", "gatekeeper", "--port", str(port)]
    with (home / "worker.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)


async def killed_run(home: Path, *, leads: int, kills: int, seed: int, longest: float = 1.5) -> Ended:
    """Run `leads` people through everything, killing the process `kills` times on the way."""
    clock, dice, port = SystemClock(), random.Random(seed), free_port()
    began = clock.monotonic()
    await anyio.Path(home).mkdir(parents=True, exist_ok=True)
    async with demo.emulated(home) as address, open_witness(address) as witness:
        run_id = await _prepare(home, address, leads, port, witness)
        done = 0
        child = start_worker(home, address, port)
        try:
            while not await _rests(home, address, run_id):
                await clock.sleep(dice.uniform(0.05, longest))
                if done < kills:
                    child.send_signal(signal.SIGKILL)
                    await asyncio.to_thread(child.wait)
                    child = start_worker(home, address, port)
                    done += 1
            took = clock.monotonic() - began
            child.send_signal(signal.SIGKILL)
            await asyncio.to_thread(child.wait)
            child = start_worker(home, address, port)
            restart = await _until_ready(port, clock)
        finally:
            child.kill()
            await asyncio.to_thread(child.wait)
        return await _ended(home, address, run_id, witness, done, took, restart)


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


async def _prepare(home: Path, address: str, leads: int, port: int, witness: Witness) -> str:
    """Files, webhooks and the run's row; nothing has begun yet."""
    for vendor in ("ghl", "clay"):
        await witness.send_events_to(vendor, f"http://127.0.0.1:{port}/webhooks/{vendor}")
    sample = write_sample(home / "sample", leads - leads // 5)
    async with open_app(settings_at(home, address), role="test") as app:
        await app.suite.sequencer.ensure_webhooks(base_url=f"http://127.0.0.1:{port}")
        files = [str(sample.connections), str(sample.provider)]
        posts = [{"url": demo.POST, "kind": "commenters", "limit": leads // 5}]
        run = await runs.create(app.kernel, {"files": files, "posts": posts, "asked": "run"})
        return run.id


async def _rests(home: Path, address: str, run_id: str) -> bool:
    """Whether everything is done; approves what waits, as people would in between."""
    async with open_app(settings_at(home, address), role="test", ports=()) as app:
        await _approve(app)
        run = await runs.get(app.kernel, run_id)
        if run.state == "failed":
            raise AssertionError(f"the run failed: {run.message}")
        if run.state != "finished" or await unfinished(app.kernel):
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
        if await unfinished(app.kernel):
            return False
    return True


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


async def _ended(
    home: Path, address: str, run_id: str, witness: Witness, kills: int, seconds: float, restart: float
) -> Ended:
    writes: Counter[tuple[str, str, str]] = Counter()
    sends: Counter[str] = Counter()
    for vendor in ("ghl", "instantly", "clay", "phantombuster"):
        for entry in await witness.log(vendor):
            if entry["action"] in NOT_OURS:
                sends[entry["target"]] += entry["detail"].get("step") == 1
            else:
                writes[vendor, entry["action"], entry["target"]] += 1
    async with open_app(settings_at(home, address), role="test", ports=()) as app:
        counts = await app.kernel.ledger.counts()
        return Ended(
            kills=kills,
            seconds=seconds,
            summary=await summarise(app.kernel, run_id),
            writes=writes,
            sends=sends,
            in_doubt=counts.get("in_doubt", 0) + counts.get("claimed", 0),
            audit_ok=(await app.kernel.audit.verify()).ok,
            restart=restart,
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
