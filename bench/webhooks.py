"""How many webhooks a second are taken in, durably, as a ratio to floors: `python -m bench.webhooks [--short]`.

Two floors in the same run, taking turns with ours, so that a busy machine slows all: the same server with an
application that answers 204 and does nothing, and the same rows put into the same table with bare SQLite calls, as
many to a commit as ours has. Ours adds, for each: Host and caps, the secret, parsing, the event's id, and the answer
only once its commit is on the disk. Then thousands unsubscribe, each on the list before its answer. Receiver and
sender have a process each: two cores.
"""

import asyncio
import json
import math
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvicorn
from starlette.types import Receive, Scope, Send

from orchestrator.app import App, webhook_sources
from orchestrator.rules import load_rules
from orchestrator.serving import listening
from shared.http_server import configured
from shared.kernel import open_kernel
from shared.settings import load_settings
from shared.sockets import listen
from shared.suite import Suite

CONFIG = Path("config")
CONNECTIONS = 128
GROUP = 100  # rows to a commit of the floor, about as many as ours share
SECRET = "sandbox-instantly-secret"
GOAL = 2_000  # events a second on two idle cores
ANSWERED, MINUTE = 1.0, 60.0  # seconds, for 99 of 100 opt-outs, and for all of them


@dataclass(frozen=True, slots=True)
class Size:
    """How much is sent."""

    events: int
    opt_outs: int
    rounds: int


WHOLE, SHORT = Size(20_000, 5_000, 3), Size(1_000, 300, 1)


@dataclass(frozen=True, slots=True)
class Turn:
    """One way of taking them in."""

    seconds: float
    count: int
    waits: list[float]
    cpu: float = 0.0  # seconds of the receiver's, on all cores; 0 where that can't be told

    @property
    def rate(self) -> float:
        """Webhooks a second."""
        return self.count / self.seconds

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 answers took at most."""
        return sorted(self.waits)[math.ceil(0.99 * len(self.waits)) - 1] if self.waits else 0.0


def body(kind: str, number: int) -> bytes:
    """A webhook of an ordinary length."""
    said = {
        "event_type": kind,
        "lead_email": f"p{number}@corp{number % 900}.example",
        "timestamp": f"2026-11-01T09:00:00.{number:06}Z",
        "workspace": "019ffad2-8d52-7649-baa5-000000000001",
        "campaign_id": "019ffad2-8d52-7649-baa5-000000000002",
        "email_subject": "A question about your team",
        "email_text": "Growing sales teams often tell us that admin work grows faster than revenue. " * 12,
    }
    return json.dumps(said).encode()


# ── receivers, in a process of their own ─────────────────────────────────────────────────────────────────
async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """The floor: read the body, answer 204."""
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def serve_nothing() -> None:
    """Serve it as the Gatekeeper is served."""
    with listen("127.0.0.1", 0) as bound:
        say(f"http://127.0.0.1:{bound.getsockname()[1]}")
        await uvicorn.Server(configured(nothing)).serve([bound])


async def serve_ours(home: str) -> None:
    """The Gatekeeper on a home of its own."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    settings = load_settings(CONFIG, {"SWARM_HOME": home, "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel:
        # No vendor's server is needed for webhooks.
        app = App(kernel, Suite({}, {}), load_rules(CONFIG), webhook_sources(settings))
        async with listening(app) as url:
            say(url)
            await asyncio.Event().wait()


def say(text: str) -> None:
    """To the process that started this one."""
    print(text, flush=True)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A process that takes webhooks in."""

    url: str
    pid: int

    @property
    def cpu(self) -> float:
        """Seconds it has computed so far; Linux tells."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def receiver(*arguments: str) -> AsyncIterator[Receiver]:
    """A receiver in a process of its own."""
    command = (sys.executable, "-m", "bench.webhooks", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        url = (await process.stdout.readline()).decode().strip()
        yield Receiver(url, process.pid)
    finally:
        process.terminate()
        await process.wait()


# ── the sender ───────────────────────────────────────────────────────────────────────────────────────────
async def sent(to: Receiver, bodies: list[bytes]) -> Turn:
    """All of them over connections that stay open; each waits for its answer. Bare sockets: the sender costs too."""
    host, _, port = to.url.removeprefix("http://").partition(":")
    head = f"POST /webhooks/instantly HTTP/1.1\r\nhost: {host}:{port}\r\nx-swarm-secret: {SECRET}\r\ncontent-length: "
    requests = iter([f"{head}{len(raw)}\r\n\r\n".encode() + raw for raw in bodies])
    waits: list[float] = []
    began, computed = time.perf_counter(), to.cpu
    await asyncio.gather(*(_connection(host, int(port), requests, waits) for _ in range(CONNECTIONS)))
    return Turn(time.perf_counter() - began, len(bodies), waits, to.cpu - computed)


async def _connection(host: str, port: int, requests: Iterator[bytes], waits: list[float]) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    for request in requests:
        began = time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 204")), answer[:40]
        if length := answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]:
            await reader.readexactly(int(length))
        waits.append(time.perf_counter() - began)
    writer.close()
    await writer.wait_closed()


def inserted(path: Path, bodies: list[bytes]) -> Turn:
    """The floor of the disk: the same rows, so many to a durable commit."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(
        "CREATE TABLE inbound (id INTEGER PRIMARY KEY, vendor TEXT, event_id TEXT, raw BLOB, at TEXT, cid TEXT, "
        "state TEXT DEFAULT 'new', UNIQUE (vendor, event_id))"
    )
    rows = [("instantly", f"{n:040}", raw, "2026-11-01", "c") for n, raw in enumerate(bodies)]
    began = time.perf_counter()
    for start in range(0, len(rows), GROUP):
        database.execute("BEGIN IMMEDIATE")
        insert = "INSERT INTO inbound (vendor, event_id, raw, at, cid) VALUES (?, ?, ?, ?, ?)"
        database.executemany(insert, rows[start : start + GROUP])
        database.execute("COMMIT")
    took = time.perf_counter() - began
    database.close()
    return Turn(took, len(rows), [])


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────────
def line(title: str, turn: Turn) -> str:
    """One measurement."""
    wait = f"{turn.p99 * 1000:.0f}" if turn.waits else "–"
    cpu = f"{turn.cpu / turn.count * 1e6:.0f}" if turn.cpu else "–"
    return f"{title:34}{turn.rate:>10.0f}{wait:>12}{cpu:>12}"


async def measure(folder: Path, size: Size) -> None:
    """All ways in turns, then the opt-outs; a line for each."""
    print(f"{'':34}{'a second':>10}{'p99, ms':>12}{'CPU, µs':>12}")
    bare, raw, mine = list[Turn](), list[Turn](), list[Turn]()
    async with receiver("nothing") as floor, receiver("ours", str(folder / "home")) as ours:
        for turn in range(size.rounds):
            bodies = [body("email_opened", turn * size.events + n) for n in range(size.events)]
            bare.append(await sent(floor, bodies))
            raw.append(inserted(folder / f"raw{turn}.db", bodies))
            mine.append(await sent(ours, bodies))
            print(line("answered with nothing", bare[-1]))
            print(line(f"inserted raw, {GROUP} to a commit", raw[-1]))
            print(line("taken in", mine[-1]))
        out = await sent(ours, [body("lead_unsubscribed", n) for n in range(size.opt_outs)])
        print(line(f"{size.opt_outs} unsubscribed", out))
    check(folder / "home" / "swarm.db", size)
    rate = statistics.median(turn.rate for turn in mine)
    print(
        f"taken in ÷ answered with nothing: {ratio(mine, bare):.2f}; ÷ inserted raw: {ratio(mine, raw):.2f}"
    )
    print(
        f"{rate:.0f} events a second; the goal on two idle cores is {GOAL}: {'met' if rate >= GOAL else 'not met'}"
    )
    met = out.seconds <= MINUTE and out.p99 <= ANSWERED
    print(
        f"{size.opt_outs} opt-outs in {out.seconds:.1f} s: {'met' if met else 'not met'}; nobody is missing"
    )


def ratio(mine: list[Turn], floor: list[Turn]) -> float:
    """The median over the rounds."""
    return statistics.median(ours.rate / theirs.rate for ours, theirs in zip(mine, floor, strict=True))


def check(path: Path, size: Size) -> None:
    """Everything that was answered is there, and whoever unsubscribed is on the list."""
    database = sqlite3.connect(path)
    held = database.execute("SELECT count(*) FROM inbound").fetchone()[0]
    listed = database.execute(
        "SELECT count(*) FROM suppression WHERE substr(key, 1, 1) = x'65' AND lifted_at = ''"
    ).fetchone()[0]
    database.close()
    assert held == size.events * size.rounds + size.opt_outs, held
    assert listed == size.opt_outs, listed


async def main(size: Size) -> None:
    """Measure on a temporary home."""
    with tempfile.TemporaryDirectory() as folder:
        await measure(Path(folder), size)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["nothing"]:
        asyncio.run(serve_nothing())
    elif arguments[:1] == ["ours"]:
        asyncio.run(serve_ours(arguments[1]))
    else:
        asyncio.run(main(SHORT if "--short" in arguments else WHOLE))
