"""One installation on a temporary folder with its emulated vendors, and people on their way through it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import httpx
import sqlalchemy as sa
import yaml
from structlog.testing import capture_logs

from orchestrator import review, runs
from orchestrator.app import App, open_app
from orchestrator.dossier import detail, queue
from orchestrator.emulators import serve_all
from orchestrator.following import follow
from orchestrator.runs import Run
from orchestrator.serving import listening
from orchestrator.summary import unfinished
from orchestrator.worker import open_worker
from servers.enricher.synthetic import facts
from servers.instantly.sandbox_tempers import REPLIES, temper
from shared.approval import Person
from shared.clock import SystemClock
from shared.effect import Json
from shared.pipeline_schema import event, stop
from shared.remote import environment
from shared.schema import inbound
from shared.settings import Settings, load_settings
from shared.witness import Witness, open_witness

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
AE = Person("ae@alpha-swarm.example", "ae")
OPERATOR = Person("operator@alpha-swarm.example", "operator")
ACCOUNTS = ("ghl", "instantly", "clay", "phantombuster", "apify")
SERVERS = ("ghl", "hunter", "enricher", "instantly", "documents")
LOOK_SECONDS = 0.05
LONGEST_WAIT = 60.0
SECRET = {"x-swarm-secret": "sandbox-instantly-secret"}
Binding = Literal["in_process", "stdio", "http"]
Row = dict[str, Any]
FoundT = TypeVar("FoundT")


# ── a person ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Prospect:
    """Somebody a provider's export names: e-mail verified, in the United States, VP of Sales, 140 employees."""

    number: int

    @property
    def email(self) -> str:
        """At their company's domain."""
        return f"dana.field{self.number}@{self.domain}"

    @property
    def domain(self) -> str:
        """One that can't be reached."""
        return f"fernhill{self.number}.example"

    @property
    def company(self) -> str:
        """Numbered as the person is."""
        return f"Fernhill {self.number}"

    @property
    def profile(self) -> str:
        """On LinkedIn."""
        return f"https://www.linkedin.com/in/dana-field-{self.number:04d}"

    def row(self, industry: str) -> dict[str, object]:
        """The export's columns and this person's cells; an empty industry has to be looked up."""
        return {
            "linkedInProfileUrl": self.profile,
            "firstName": "Dana",
            "lastName": "Field",
            "title": "VP of Sales",
            "companyName": self.company,
            "companyDomain": self.domain,
            "email": self.email,
            "emailStatus": "verified",
            "companySize": 140,
            "industry": industry,
            "revenue": 22_000_000,
            "country": "US",
            "sourceType": "event_attendee",
            "sourceName": "RevOps Summit",
            "action": "attended the RevOps Summit",
            "capturedAt": "2026-11-01T09:00:00+00:00",
        }


def who_asks_for_a_meeting() -> Prospect:
    """The first of the numbered people whose nature at the emulated vendors is to open and to want a call."""
    return next(one for one in map(Prospect, range(100_000)) if _asks(one) and _is_in_software(one))


def _asks(one: Prospect) -> bool:
    nature = temper(one.email)
    return nature.opens and nature.reply == REPLIES[0]


def _is_in_software(one: Prospect) -> bool:
    """What the emulated provider says of them, asked as the enricher asks."""
    asked = {
        "LinkedIn URL": one.profile,
        "Email": one.email,
        "Full Name": "Dana Field",
        "Company Name": one.company,
        "Company Domain": one.domain,
    }
    known = facts(asked) or {}
    return known.get("Industry") == "Software" and known.get("Email Status") == "valid"


def write_export(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A provider's CSV."""
    every = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(every[0]))
        writer.writeheader()
        writer.writerows(every)
    return path


# ── an installation ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Journey:
    """The open product with worker and Gatekeeper, the emulators as its witness, and what was logged."""

    app: App
    witness: Witness
    gatekeeper: str
    logged: list[MutableMapping[str, Any]]

    @property
    def home(self) -> Path:
        """Where its data is kept; files may be imported from here."""
        return self.app.kernel.settings.home

    async def to_review(self, *files: Path, **more: Json) -> Run:
        """Take these people in and come to the point where a person decides."""
        params: dict[str, Json] = {"files": [str(file) for file in files], "asked": "run", **more}
        made = await runs.create(self.app.kernel, params)
        with anyio.fail_after(LONGEST_WAIT):
            return await follow(self.app, made.id, lambda *_: None)

    async def approve(self, person: Person) -> None:
        """Read every message of every waiting campaign, and say yes."""
        kernel = self.app.kernel
        for waiting in await queue(kernel):
            page = pages = 1
            while page <= pages:
                shown = await detail(kernel, waiting.id, page=page, reader=person.name)
                pages, page = shown.pages, page + 1
                for one in shown.recipients:
                    ids = [one.lead_id]
                    await review.mark_read(kernel, waiting.id, ids, person=person, version=waiting.version)
            await review.approve(kernel, waiting.id, person=person, version=waiting.version)

    async def finished(self, run: Run) -> Run:
        """The run once every launch of it is over."""
        with anyio.fail_after(LONGEST_WAIT):
            return await follow(self.app, run.id, lambda *_: None, frozenset({"finished", "failed"}))

    async def rows(self, table: sa.Table) -> list[Row]:
        """Everything in one of our tables."""
        query = sa.select(table)
        return await self.app.kernel.store.read(lambda c: [dict(r._mapping) for r in c.execute(query)])

    async def some(self, table: sa.Table, **wanted: object) -> list[Row]:
        """Rows with these values, as soon as there are any."""

        async def look() -> list[Row]:
            every = await self.rows(table)
            return [row for row in every if all(row[name] == value for name, value in wanted.items())]

        return await until(look)

    async def quiet(self) -> None:
        """Wait until everybody who was added was written to, and what came back is understood and acted upon."""

        async def look() -> bool:
            log = await self.witness.log("instantly")
            done = Counter(entry["action"] for entry in log)
            at_rest = await unfinished(self.app.kernel) == 0 and done["send"] == done["add_lead"] > 0
            return at_rest and bool(await self.rows(event))

        await until(look)

    async def stopped(self, email: str) -> None:
        """Wait until everything that stops this person is carried out, or would be."""

        async def look() -> bool:
            mine = [row for row in await self.rows(stop) if (row["kind"], row["target"]) == ("person", email)]
            return bool(mine) and all(row["state"] != "open" for row in mine)

        await until(look)

    async def understood(self) -> None:
        """Wait until every webhook that came in is."""

        async def look() -> bool:
            return all(row["state"] != "new" for row in await self.rows(inbound))

        await until(look)

    async def done(self, account: str, action: str) -> None:
        """Wait until an emulator has taken a write of this kind."""

        async def look() -> bool:
            return any(entry["action"] == action for entry in await self.witness.log(account))

        await until(look)

    async def logs(self) -> dict[str, list[Row]]:
        """What each emulator holds: every write that it took."""
        return {account: await self.witness.log(account) for account in ACCOUNTS}

    async def requests(self) -> dict[str, list[Row]]:
        """What each emulator was asked, and answered."""
        return {account: await self.witness.requests(account) for account in ACCOUNTS}

    async def post_event(self, payload: Mapping[str, object]) -> int:
        """Deliver a webhook as Instantly would; returns the status answered."""
        async with httpx.AsyncClient(trust_env=False) as http:
            url = f"{self.gatekeeper}/webhooks/instantly"
            return (await http.post(url, json=dict(payload), headers=SECRET)).status_code


async def until(look: Callable[[], Awaitable[FoundT]]) -> FoundT:
    """What `look` finds, as soon as it finds anything."""
    with anyio.fail_after(LONGEST_WAIT):
        while not (found := await look()):
            await SystemClock().sleep(LOOK_SECONDS)
    return found


@asynccontextmanager
async def installed(
    folder: Path, binding: Binding = "in_process", *, safe: bool, database: str = ""
) -> AsyncIterator[Journey]:
    """Emulators, servers bound as told, product, worker and Gatekeeper; all end with the context.

    `database`: its address, where it isn't SQLite.
    """
    config = folder / "config"
    shutil.copytree(CONFIG, config)
    async with AsyncExitStack() as stack:
        logged = stack.enter_context(capture_logs())
        address = await stack.enter_async_context(serve_all(load_settings(config, {})))
        settings = _settings(folder, address, database, safe=safe)
        if binding != "in_process":
            hosts = await stack.enter_async_context(hosted(settings)) if binding == "http" else {}
            _bind(config, dict.fromkeys(SERVERS, "stdio") | hosts)
            settings = _settings(folder, address, database, safe=safe)
        app = await stack.enter_async_context(open_app(settings, role="test"))
        await stack.enter_async_context(open_worker(app))
        gatekeeper = await stack.enter_async_context(listening(app))
        witness = await stack.enter_async_context(open_witness(address))
        await app.suite.sequencer.ensure_webhooks(base_url=gatekeeper)
        for vendor in ("ghl", "clay"):
            await witness.send_events_to(vendor, f"{gatekeeper}/webhooks/{vendor}")
        yield Journey(app, witness, gatekeeper, logged)


def _settings(folder: Path, address: str, database: str, *, safe: bool) -> Settings:
    environ = {"SWARM_HOME": str(folder / "home"), "SWARM_SANDBOX_URL": address, "DATABASE_URL": database}
    return load_settings(folder / "config", {**environ, "SAFE_MODE": str(safe).lower()})


def _bind(config: Path, bindings: Mapping[str, str]) -> None:
    """Have suite.yaml say where each server runs."""
    path = config / "suite.yaml"
    suite = yaml.safe_load(path.read_text(encoding="utf-8"))
    for port in suite["ports"].values():
        port["binding"] = bindings[port["server"]]
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")


@asynccontextmanager
async def hosted(settings: Settings) -> AsyncIterator[dict[str, str]]:
    """Every server in a process of its own on a free loopback port; yields the addresses by name."""
    env = {"PATH": os.environ["PATH"], **environment(settings)}
    folder = settings.home.parent
    async with AsyncExitStack() as stack:
        for name in SERVERS:
            command = [sys.executable, "-m", "servers", name, "--http", "127.0.0.1:0", "--toolsets", "all"]
            with (folder / f"{name}.log").open("wb") as told:
                child = subprocess.Popen(command, env=env, cwd=ROOT, stderr=told)  # noqa: ASYNC220  # at once
            stack.push_async_callback(_end, child)
        yield {name: await until(partial(_listening, folder / f"{name}.log")) for name in SERVERS}


async def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    await anyio.to_thread.run_sync(child.wait, 20)


async def _listening(log: Path) -> str:
    """The address a server said it listens at, or nothing yet."""
    lines = (await anyio.Path(log).read_text(encoding="utf-8")).splitlines()
    told = [json.loads(line) for line in lines if line.startswith("{") and '"url"' in line]
    return str(told[0]["url"]) if told else ""
