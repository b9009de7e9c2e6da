"""What the kernel costs, as a ratio to a floor measured in the same run, on the same disk: `python -m bench.kernel`.

The floor writes the rows of claim and settlement with the bare driver at the same durability (WAL and synchronous=FULL,
or synchronous_commit=on), in as many transactions, into tables with the same indexes: the row of each effect under a
key of 64 characters, with its own address, claimed and then applied; a leaf and its detail for either; the head of the
log, the lease, and the day's count. It makes those rows while it is timed, but computes no hash: keys are given. It
reads nothing, checks nothing, and signs no checkpoint; the kernel does, within its own time.

Runs of both take turns, so that a busy machine slows both; the median of the ratios is printed, by the clock and by the
processor's time. `python -m bench.kernel postgresql` measures the same on a PostgreSQL server of its own, which waits
for its disk; what the server computes is in neither processor time.

A last line says how much of the difference nobody can save who keeps the same log and list: the hashes of one effect
(key, fingerprint, three keys of the do-not-contact list; for either entry two commitments, a leaf and a node), made
with the standard library alone.
"""

import asyncio
import hashlib
import hmac
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from shared.effect import Effect, Receipt
from shared.errors import SwarmError
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.schema import spend
from shared.settings import Settings, load_settings
from shared.sqlite import sqlite
from shared.store import open_store
from tests.postgres import running

ROUNDS = 7
SHORT, LONG = (
    b"s" * 16,
    b"a line of the log, as long as most of them are" * 6,
)  # a salt or an address; a leaf or more
SINGLE, BATCH, GROUP = 60, 1_000, 500
TABLES = ("effect", "lease", "spend", "audit_leaf", "audit_detail", "audit_head")


def effect(email: str) -> Effect:
    """One without a rate limit, so that nothing but the kernel takes time."""
    return Effect("bench", "create_contact", email, f"contact:{email}", {"email": email}, (email,))


async def single(kernel: Kernel, names: list[str]) -> None:
    """One effect after the other."""

    async def perform(_: Permit) -> Receipt:
        return Receipt("r")

    for name in names:
        assert (await kernel.gate.submit(effect(name), perform)).status == "applied"


async def batch(kernel: Kernel, names: list[str]) -> None:
    """All in one batch."""

    async def perform(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        return {key: Receipt("r") for key in permits}

    outcomes = await kernel.gate.submit_batch([effect(name) for name in names], perform)
    assert {outcome.status for outcome in outcomes} == {"applied"}


def _insertion(name: str) -> Callable[[sa.Connection], None]:
    def change(connection: sa.Connection) -> None:
        connection.execute(sa.insert(spend).values(name=name, day="d", amount=1))

    return change


async def inserts(kernel: Kernel, names: list[str]) -> None:
    """Single writes, each awaited."""
    for name in names:
        await kernel.store.write(_insertion(name))


async def group(kernel: Kernel, names: list[str]) -> None:
    """Writes that wait together."""
    await asyncio.gather(*(kernel.store.write(_insertion(name)) for name in names))


SETTLE = "UPDATE effect SET status=?, reason=?, message=?, reference=?, detail=?, settled_at=? WHERE key=?"
REACH = "INSERT INTO reached VALUES (?,?,?) ON CONFLICT DO NOTHING"
COUNT = "INSERT INTO spend VALUES (?,?,?) ON CONFLICT (name, day) DO UPDATE SET amount = spend.amount + ?"
BEGIN = {"?": "BEGIN IMMEDIATE", "%s": "BEGIN"}


class Floor:
    """The same rows by the bare driver, in a database beside the kernel's."""

    def __init__(self, db: Any, mark: str) -> None:
        self.db = db
        self._mark = mark
        self.run("INSERT INTO audit_head VALUES (1, 0, ?)", (b"",))
        self.leaves = 0

    def run(self, sql: str, values: tuple[object, ...] = ()) -> None:
        """One statement."""
        self.db.execute(sql.replace("?", self._mark), values)

    def many(self, sql: str, rows: list[tuple[object, ...]]) -> None:
        """One statement for each row."""
        self.db.cursor().executemany(sql.replace("?", self._mark), rows)

    def claim(self, names: list[str], model: dict[str, Any]) -> None:
        """One transaction that claims."""
        self.run(BEGIN[self._mark])
        columns = ",".join(model["effect"])
        marks = ",".join("?" * len(model["effect"]))
        rows = []
        for name in names:
            address = f"{name[:12]}@corp.example"
            who = {"key": name, "target": address, "intent": f"contact:{address}"}
            what = {"recipients": f'["{address}"]', "content": f'{{"email":"{address}"}}'}
            values = {**model["effect"], **who, **what}
            rows.append(tuple(values.values()))
        self.many(f"INSERT INTO effect ({columns}) VALUES ({marks})", rows)
        self.run(REACH, ("bench", "", model["at"]))
        self.run(COUNT, ("effects:bench.create_contact", model["at"][:10], len(names), len(names)))
        self.run("INSERT INTO lease VALUES (?,?,?,?)", (names[0], "p", "bench.create_contact", 1.0))
        self.log(names, model)
        self.run("COMMIT")

    def settle(self, names: list[str], model: dict[str, Any]) -> None:
        """One transaction that settles."""
        self.run(BEGIN[self._mark])
        self.run("DELETE FROM lease WHERE id=?", (names[0],))
        self.many(SETTLE, [("applied", "", "", "r", "{}", model["at"], name) for name in names])
        self.log(names, model)
        self.run("COMMIT")

    def log(self, names: list[str], model: dict[str, Any]) -> None:
        """A leaf and its detail for each, and the head."""
        start = self.leaves
        self.leaves += len(names)
        leaves = [(start + n, b"h" * 32, model["leaf"]) for n in range(len(names))]
        self.many("INSERT INTO audit_leaf VALUES (?,?,?)", leaves)
        details = [
            (start + n, b"s" * 16, f"{name[:12]}@corp.example", model["payload"])
            for n, name in enumerate(names)
        ]
        self.many("INSERT INTO audit_detail VALUES (?,?,?,?)", details)
        self.run("UPDATE audit_head SET size=?, frontier=?", (self.leaves, b"f" * 320))

    def single(self, names: list[str], model: dict[str, Any]) -> None:
        """Two transactions for each."""
        for name in names:
            self.claim([name], model)
            self.settle([name], model)

    def batch(self, names: list[str], model: dict[str, Any]) -> None:
        """Two transactions for all."""
        self.claim(names, model)
        self.settle(names, model)

    def inserts(self, names: list[str], _: dict[str, Any]) -> None:
        """A transaction for each row."""
        for name in names:
            self.run(BEGIN[self._mark])
            self.run("INSERT INTO spend VALUES (?,?,?)", (name, "d", 1))
            self.run("COMMIT")


async def model_of(kernel: Kernel) -> dict[str, Any]:
    """A row, a leaf and a payload as the kernel writes them."""
    await single(kernel, ["model@corp.example"])
    row = await kernel.store.read(lambda c: dict(c.exec_driver_sql("SELECT * FROM effect").mappings().one()))
    row.pop("id")
    at = row["settled_at"]
    row |= {"status": "claimed", "reference": "", "settled_at": ""}
    leaf = await kernel.store.read(
        lambda c: c.exec_driver_sql("SELECT data FROM audit_leaf").scalars().first()
    )
    payload = json.dumps((await kernel.audit.tail(1))[0]["payload"])
    return {"effect": row, "leaf": leaf, "payload": payload, "at": at}


Ours = Callable[[Kernel, list[str]], Awaitable[None]]
Theirs = Callable[[list[str], dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Compared:
    """Medians: microseconds for one of ours, and the floor's time as a ratio to it; by the clock and the processor."""

    clock: float
    ratio: float
    processor: float
    processor_ratio: float


async def compare(kernel: Kernel, model: dict[str, Any], ours: Ours, theirs: Theirs, count: int) -> Compared:
    """Both in turns."""
    floors, times = [], []
    for turn in range(ROUNDS):
        texts = [f"{ours.__name__}-{theirs.__name__}-{turn}-{n}" for n in range(count)]
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        names = [f"{key[:12]}@corp.example" for key in keys]
        began = time.perf_counter(), time.process_time()
        theirs(keys, model)
        middle = time.perf_counter(), time.process_time()
        await ours(kernel, names)
        ended = time.perf_counter(), time.process_time()
        floors.append([(b - a) / count * 1e6 for a, b in zip(began, middle, strict=True)])
        times.append([(b - a) / count * 1e6 for a, b in zip(middle, ended, strict=True)])
    clock, processor = (statistics.median(one[n] for one in times) for n in (0, 1))
    ratio, second = (
        statistics.median(f[n] / o[n] for f, o in zip(floors, times, strict=True)) for n in (0, 1)
    )
    return Compared(clock, ratio, processor, second)


def settings(home: Path, database: str = "") -> Settings:
    """The shipped configuration on a home of its own, really acting."""
    environ = {"SWARM_HOME": str(home), "SAFE_MODE": "false", "DATABASE_URL": database}
    return load_settings(Path("config"), environ)


@contextmanager
def file_beside(kernel: Kernel, folder: Path) -> Iterator[Floor]:
    """An SQLite file with the same tables."""
    db = sqlite.connect(folder / "floor.db", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        db.execute(f"PRAGMA {pragma}")
    with closing(sqlite.connect(kernel.store.path)) as made:
        tables = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
        for (statement,) in made.execute(tables).fetchall():
            db.execute(statement)
    with closing(db):
        yield Floor(db, "?")


@contextmanager
def database_beside(url: str) -> Iterator[Floor]:
    """A database with the same tables on the same server."""
    with psycopg.connect(url, autocommit=True) as db:
        yield Floor(db, "%s")


def hashes_of_one() -> None:
    """What one claim and one settlement have to hash, whoever does it."""
    for text in (SHORT * 8, LONG):  # key, fingerprint
        hashlib.sha256(text).hexdigest()
    for _ in range(3):
        hmac.digest(SHORT, SHORT, "sha256")
    for _ in range(2):
        for text in (SHORT, LONG):
            hmac.digest(SHORT, text, "sha256").hex()
        for text in (LONG, SHORT * 4):
            hashlib.sha256(text).digest()


def hashing(count: int = 20_000) -> float:
    """Microseconds of the processor for that; the median of some turns."""
    took = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(count):
            hashes_of_one()
        took.append((time.process_time() - began) / count * 1e6)
    return statistics.median(took)


async def measure(kernel: Kernel, floor: Floor) -> None:
    """Print a line for each thing."""
    model = await model_of(kernel)
    await kernel.audit.checkpoint("bench")
    plan: list[tuple[str, Ours, Theirs, int]] = [
        ("one insert, awaited", inserts, floor.inserts, GROUP),
        ("inserts that wait together (group commit)", group, floor.inserts, GROUP),
        ("claim + settle, single", single, floor.single, SINGLE),
        ("claim + settle, batch of 1,000", batch, floor.batch, BATCH),
    ]
    print(f"{'':45}{'ours, µs':>10}{'floor ÷ ours':>14}{'processor, µs':>15}{'floor ÷ ours':>14}")
    for title, ours, theirs, count in plan:
        found = await compare(kernel, model, ours, theirs, count)
        by_clock, by_processor = (found.clock, found.ratio), (found.processor, found.processor_ratio)
        print(
            f"{title:45}{by_clock[0]:>10.0f}{by_clock[1]:>14.2f}{by_processor[0]:>15.0f}{by_processor[1]:>14.2f}"
        )
    print(f"{'the hashes of claim + settle, bare':45}{'':24}{hashing():>15.0f}")
    began = time.perf_counter()
    verdict = await kernel.audit.verify()
    took = time.perf_counter() - began
    print(f"audit verify: {verdict.size} entries, {verdict.size / took:,.0f} a second, ok {verdict.ok}")


async def main(kind: str = "sqlite") -> None:
    """Measure on that kind of database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if kind == "sqlite":
            async with open_kernel(settings(folder)) as kernel:
                await measure(kernel, stack.enter_context(file_beside(kernel, folder)))
            return
        server = stack.enter_context(running())
        ours, theirs = (server.url(server.make()) for _ in range(2))
        async with open_store(theirs), open_kernel(settings(folder, ours)) as kernel:
            await measure(kernel, stack.enter_context(database_beside(theirs)))


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
