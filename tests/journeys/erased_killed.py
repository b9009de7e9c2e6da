"""People who stand in every store are erased one after the other by `swarm privacy erase`, killed at one instant each.

The emulators live in a process of their own: their log is the truth that vendors are counted by. What was begun is
gone on with by the same command, as an operator would type it again.
"""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from orchestrator import demo, handling, privacy, reconcile
from orchestrator.app import App
from orchestrator.later import Later
from shared.clock import SystemClock
from shared.event import Event
from shared.lead import Lead
from shared.pipeline_schema import artefact, lead, privacy_request, run
from shared.schema import inbound
from shared.settings import Settings, load_settings
from shared.witness import Witness, open_witness
from tests.orchestrator.world import Leaping, approved, launched, opened, people, put, rows

ROOT = Path(__file__).parent.parent.parent
VENDORS = ("ghl", "instantly", "clay")
TRIES = 5
OVER = ("tickets", "done")  # nothing of theirs is left here


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of one person."""

    killed_at: str  # as `killing_itself` is told
    ended_by: int  # how the first process ended
    state: str
    cells: Sequence[str]  # "table.column" that hold something of theirs
    files: Sequence[str]
    refused: str
    writes: Mapping[tuple[str, str], int]  # vendor and action → how often, by the vendors' logs


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of all of them."""

    people: Sequence[Erased]
    others: Sequence[str]  # leads that are left
    unfinished: int  # requests that still have to go on
    audit_ok: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where it takes place."""

    home: Path
    witness: Witness
    environ: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """As the processes have them."""
        return load_settings(ROOT / "config", dict(self.environ))

    async def command(self, *args: str) -> tuple[int, str]:
        """Run a module of Python in a process of its own; how it ended, and what it said."""
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *args, cwd=ROOT, env={**os.environ, **self.environ},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await made.communicate()
        assert made.returncode in {0, -signal.SIGKILL}, err.decode()[-2_000:]
        return made.returncode, out.decode()


async def killed_erasures(home: Path, instants: Sequence[str]) -> Ended:
    """Erase somebody at each of these instants, the first of which is "never"; one more stays."""
    async with demo.emulated(home) as address, open_witness(address) as witness:
        environ = {"SWARM_HOME": str(home), "SWARM_SANDBOX_URL": address, "SAFE_MODE": "false"}
        place = Place(home, witness, environ)
        *listed, other = people(len(instants) + 1)
        async with opened(place.settings, SystemClock()) as app:
            await _everywhere(app, home, [*listed, other])
        erased = [await _erase(place, one, at) for one, at in zip(listed, instants, strict=True)]
        async with opened(place.settings, Leaping()) as app:
            return Ended(
                erased,
                [row.email for row in await rows(app, sa.select(lead.c.email))],
                sum(one.state not in OVER for one in await privacy.listed(app.kernel)),
                (await app.kernel.audit.verify()).ok,
            )


async def _everywhere(app: App, home: Path, listed: Sequence[Lead]) -> None:
    """In a campaign at the vendors, with an answer, webhooks, findings and files."""
    _, campaign_id = await approved(app, listed)
    assert await launched(app, campaign_id) == "live"
    for number, one in enumerate(listed):
        text = f"What does it cost? {one.name}, {one.linkedin_url}"
        told = Event(f"r-{one.id}", "instantly", "replied", "", email=one.email, text=text, reference=one.id)
        await handling.handle(app, told)
        raw = json.dumps({"lead_email": one.email, "id": one.id}).encode()
        await put(app, sa.insert(inbound).values(vendor="x", event_id=one.id, raw=raw, state="done"))
        (home / f"notes-{number}.txt").write_text(f"Call {one.name}, {one.email.upper()}\n", encoding="utf-8")
    (home / "imports").mkdir(exist_ok=True)
    table = "".join(f'{one.email},"{one.last_name}, {one.first_name}"\n' for one in listed)
    (home / "imports" / "all.csv").write_text(f"email,name\n{table}", encoding="utf-8")
    found = json.dumps({"people": [one.id for one in listed], "sample": [one.name for one in listed]})
    (row,) = await rows(app, sa.select(run.c.id))
    await put(app, sa.insert(artefact).values(id="a", run_id=row.id, phase="research", version=1, data=found))


async def _erase(place: Place, one: Lead, at: str) -> Erased:
    """Killed at that instant, begun again, and looked for."""
    command = ("privacy", "erase", one.email, "--yes", "--json")
    ended_by, _ = await place.command("tests.journeys.killing_itself", at, *command)
    _, out = await place.command("orchestrator.cli", *command)
    request = json.loads(out)
    async with opened(place.settings, Leaping()) as app:
        await _go_on(app)
        made = sa.select(privacy_request.c.state).where(privacy_request.c.id == request["id"])
        (row,) = await rows(app, made)
        pattern = traces(one)
        cells = await app.kernel.store.read(lambda c: _cells(c, pattern))
        refused = (await app.kernel.suppression.refused([one.email])).get(one.email, "")
    files = await asyncio.to_thread(_files, place.home, pattern)
    writes = await _writes(place.witness, one)
    return Erased(at, ended_by, str(row.state), cells, files, refused, writes)


async def _go_on(app: App) -> None:
    """What a worker does in the meantime: settles doubt, and takes up the requests that had to wait."""
    later = Later(app.kernel.clock, 0.0, 0.0)
    for _ in range(TRIES):
        await reconcile.settle(app, later)
        await privacy.work(app)
        if all(one.state in OVER for one in await privacy.listed(app.kernel)):
            return
        await app.kernel.clock.sleep(60)


def traces(one: Lead) -> re.Pattern[str]:
    """Address, profile, name and our id, however they are written down; written apart from what erases."""
    slug = one.linkedin_url.rsplit("/", 1)[-1]
    first, last = one.first_name, one.last_name
    mail = re.escape(one.email)
    return re.compile(
        rf"\b{mail}|{slug}\b|{one.id}(?![0-9a-f])|{first}[\s,\"]+{last}\b|\b{last}[\s,\"]+{first}",
        re.IGNORECASE,
    )


def _cells(connection: sa.Connection, found: re.Pattern[str]) -> list[str]:
    hits = []
    for name in sa.inspect(connection).get_table_names():
        for row in connection.execute(sa.text(f'SELECT * FROM "{name}"')).mappings():
            for key, value in row.items():
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                hits += [f"{name}.{key}"] if found.search(text) else []
    return hits


def _files(home: Path, found: re.Pattern[str]) -> list[str]:
    every = [path for path in home.rglob("*") if path.is_file()]
    return [path.name for path in every if found.search(path.name + path.read_bytes().decode("latin-1"))]


async def _writes(witness: Witness, one: Lead) -> Mapping[tuple[str, str], int]:
    counted: Counter[tuple[str, str]] = Counter()
    for vendor in VENDORS:
        counted.update((vendor, e["action"]) for e in await witness.log(vendor) if e["target"] == one.email)
    return counted
