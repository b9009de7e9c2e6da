"""Several real processes on one database, killed with SIGKILL at random instants, and people who stop things meanwhile.

The vendor lives in the process that judges, behind real HTTP: its log survives every kill. Requests are cut, late,
refused and answered with nonsense by dice. At the end everything is healed, and the checker of histories (`history.py`)
says what was lost, doubled, unauthorised or done after a stop.
"""

import asyncio
import json
import random
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml

from shared.approval import Item
from shared.clock import SystemClock, iso
from shared.effect import Effect
from shared.kernel import Kernel, open_kernel
from shared.sandbox import serve
from shared.schema import approval
from shared.settings import Settings, load_settings
from tests.conftest import CONFIG
from tests.shared.world import AE
from tests.simulation.history import Act, Checker, Found, Op, Yes
from tests.simulation.installation import entries_after, statuses_in, wanted
from tests.simulation.vendor import Moments, Request, Vendor

ROOT = Path(__file__).parent.parent.parent
LONGEST_PAUSE = 120.0  # seconds in which nothing more was done, though nothing is in its way
PEOPLE = tuple(f"person{number}@corp.example" for number in range(40))
KINDS = ("contact", "enrol", "contact", "stop")
DEADLINE = 5  # seconds of a call; on PostgreSQL, whoever was killed counts as sending for so long
W = 8  # calls on the wire at once, as safety.yaml ships it
FAULTS = ("", "", "", "", "", "slow", "cut_before", "cut_after", "late", "429", "500", "nonsense")


def planned(number: int, given: str = "") -> Effect:
    """Piece `number` of the work."""
    return wanted(KINDS[number % len(KINDS)], PEOPLE[number % len(PEOPLE)], number, approval=given)


def operation_of(number: int) -> Op:
    effect = planned(number)
    needs_yes = effect.action == "add_lead"
    return Op(
        effect.key, effect.intent, effect.target, effect.vendor, effect.campaign, needs_yes, effect.stops,
        effect.repeatable,
    )  # fmt: skip


# How long one that fails is left alone is no matter here, and would be most of the time that this takes.
UNRESTING = {
    "breaker": {"percent": 100, "least_calls": 10_000, "open_seconds": 1},
    "retry": {"attempts_seconds": 1, "unanswered_seconds": 1},
}


async def wanted_of(kernel: Kernel, number: int) -> Effect:
    """The same with the approval that stands for it, if it needs one."""
    effect = planned(number)
    if effect.action != "add_lead":
        return effect
    newest = sa.select(approval.c.id).where(approval.c.subject == effect.key).order_by(approval.c.at.desc())
    given = await kernel.store.read(lambda c: c.execute(newest.limit(1)).scalar())
    return planned(number, given or "")


def fleet_settings(home: Path, database: str, vendor: str) -> Settings:
    """The shipped rules, with a vendor that is asked as fast as it goes and believed soon."""
    config = home.parent / "config"
    if not config.exists():
        shutil.copytree(CONFIG, config)
        _change(config / "safety.yaml", settle_seconds=1, call_deadline_seconds=DEADLINE, caps={})
        for name in ("ghl", "instantly"):
            _change(config / "vendors" / f"{name}.yaml", settle_seconds=1, limits=[], **UNRESTING)
    urls = {f"{name}_BASE_URL": vendor for name in ("GHL", "INSTANTLY")}
    environ = {"SWARM_HOME": str(home), "SAFE_MODE": "false", **urls}
    return load_settings(config, environ | ({"DATABASE_URL": database} if database else {}))


def _change(path: Path, **values: object) -> None:
    """Other values in a file of the configuration."""
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**known, **values}), encoding="utf-8")


# ── the vendor, behind real HTTP ─────────────────────────────────────────────────────────────────────────
@dataclass
class Outside:
    """The vendor as an HTTP server that now and then misbehaves."""

    vendor: Vendor
    dice: random.Random
    clock: SystemClock = field(default_factory=SystemClock)
    healed: bool = False
    busy: int = 0
    most: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.vendor.arrive()
        if scope["method"] == "GET":
            await self.vendor(scope, receive, send)
            return
        told = await _body(receive)
        request = Request(
            tuple((one["key"], one["content"]) for one in told["items"]), self.vendor.moments.next()
        )
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await self._befall("" if self.healed else self.dice.choice(FAULTS), request, send)
        finally:
            self.busy -= 1

    async def _befall(self, fault: str, request: Request, send: Any) -> None:
        ids = {"ids": [f"id-{key[:8]}" for key, _ in request.items]}
        if fault in {"429", "500"}:
            await _answer(send, int(fault), {"error": "injected"}, {b"retry-after": b"0"})
            return
        if fault == "late":
            self.vendor.on_their_way.append((self.clock.monotonic() + 0.3, request))
        elif fault != "cut_before":
            if fault == "slow":
                await self.clock.sleep(self.dice.uniform(0, 0.3))
            self.vendor.commit(request)
        if fault in {"cut_before", "cut_after", "late"}:
            await _cut(send)
        else:
            await _answer(send, 200, {"error": "injected"} if fault == "nonsense" else ids)


async def _body(receive: Any) -> Any:
    parts, more = b"", True
    while more:
        message = await receive()
        parts += message.get("body", b"")
        more = message.get("more_body", False)
    return json.loads(parts)


async def _answer(
    send: Any, status: int, data: Mapping[str, Any], headers: Mapping[bytes, bytes] | None = None
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list((headers or {}).items())})
    await send({"type": "http.response.body", "body": json.dumps(data).encode()})


async def _cut(send: Any) -> None:
    """The connection ends in the middle of an answer."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"999")]})


# ── the workers ──────────────────────────────────────────────────────────────────────────────────────────
@dataclass
class Workers:
    """Real processes, each killed and started again and again, `kills` times in all."""

    arguments: Sequence[str]
    dice: random.Random
    kills: int
    longest: float  # seconds that one lives at most, once it is ready
    clock: SystemClock = field(default_factory=SystemClock)
    killed: int = 0
    restarts: list[float] = field(default_factory=list)  # seconds from start to ready

    async def run(self, count: int, healed: asyncio.Event) -> None:
        """So many at once; when all kills are done, they live on until everything is healed."""
        await asyncio.gather(*(self._lives(healed) for _ in range(count)))

    async def _lives(self, healed: asyncio.Event) -> None:
        while self.killed < self.kills:
            self.killed += 1
            process = await self._start()
            await self.clock.sleep(self.dice.uniform(0, self.longest))
            await _kill(process)
        process = await self._start()
        await healed.wait()
        await _kill(process)

    async def _start(self) -> Process:
        """One more; returns when it is ready."""
        began = self.clock.monotonic()
        seed = str(self.dice.randrange(2**31))
        command = (sys.executable, "-m", "tests.simulation.laborer", *self.arguments, seed)
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=PIPE, stderr=DEVNULL)
        assert process.stdout is not None
        line = await process.stdout.readline()
        assert line == b"ready\n", f"a worker did not start: {line!r}"
        self.restarts.append(self.clock.monotonic() - began)
        return process


async def _kill(process: Process) -> None:
    """SIGKILL, whatever it is doing."""
    process.send_signal(signal.SIGKILL)
    await process.wait()


# ── who judges ───────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Ended:
    """What a fleet came to."""

    kills: int
    seconds: float
    found: Found
    commits: int
    stops: int  # kills of the switch and suppressions
    most_after_a_stop: int  # calls that were decided before it and arrived after it
    most_at_once: int
    usual_restart: float  # seconds, the median
    slowest_restart: float
    statuses: Mapping[str, int]
    audit_entries: int
    audit_ok: bool

    def report(self) -> str:
        """One line."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "found"}
        return json.dumps(told | self.found.counts())


@dataclass
class Director:
    """People at work while processes die: approve, suppress, kill, release."""

    kernel: Kernel
    vendor: Vendor
    checker: Checker
    dice: random.Random
    work: int
    acts: list[Act] = field(default_factory=list)
    suppressed: set[str] = field(default_factory=set)
    seen: int = 0
    shown: int = 0

    @asynccontextmanager
    async def act(self, kind: Any, person: str = "") -> AsyncIterator[None]:
        asked = self.vendor.moments.next()
        yield
        self.acts.append(Act(kind, asked, self.vendor.moments.next(), person))

    async def approve(self) -> None:
        """A yes to everything that needs one."""
        for number in range(self.work):
            effect = planned(number)
            if effect.action == "add_lead":
                given = await self.kernel.store.write(lambda c, effect=effect: self._give(c, effect))  # type: ignore[misc]  # bound at once
                hours = self.kernel.settings.safety.approvals.expires_hours
                expires = iso(self.kernel.clock.now() + timedelta(hours=hours))
                self.checker.approved(given, Yes(frozenset({effect.fingerprint}), expires))

    def _give(self, connection: sa.Connection, effect: Effect) -> str:
        item = Item(effect.vendor_action, effect.fingerprint)
        return self.kernel.approvals.give_in(connection, effect.key, [item], person=AE, fingerprint="f")

    async def suppress(self, person: str) -> None:
        async with self.act("suppress", person):
            await self.kernel.suppression.add(person, reason="opt_out", source="reply")
        self.suppressed.add(person)

    async def stop_and_go(self, seconds: float) -> None:
        """The kill switch, and its release a little later."""
        async with self.act("kill"):
            await self.kernel.switches.kill(actor="ada", reason="now")
        await self.kernel.clock.sleep(seconds)
        async with self.act("release"):
            await self.kernel.switches.release(actor="root", reason="looked at")

    async def interfere(self) -> None:
        """Somebody opts out, somebody stops everything for a moment; and the checker looks."""
        chance = self.dice.random()
        if chance < 0.1 and len(self.suppressed) < len(PEOPLE) // 2:
            await self.suppress(self.dice.choice(PEOPLE))
        elif chance < 0.2:
            await self.stop_and_go(self.dice.uniform(0, 0.5))
        await self.check()
        assert self.checker.found.nothing, self.checker.found

    def happy(self) -> list[str]:
        """What has nothing against it: all of it must happen."""
        wanted = [operation_of(number) for number in range(self.work)]
        return [op.key for op in wanted if op.stops or op.person not in self.suppressed]

    async def until_done(self, running: "asyncio.Task[None]") -> dict[str, str]:
        """Until everything has happened that has nothing against it, and nothing is open."""
        happy = set(self.happy())
        clock = self.kernel.clock
        done, moved = -1, clock.monotonic()
        while True:
            statuses = await self.check()
            before, done = done, sum(statuses.get(key) == "applied" for key in happy)
            moved = clock.monotonic() if done > before else moved
            whole = done == len(happy) and not {"claimed", "in_doubt"} & set(statuses.values())
            if whole or clock.monotonic() - moved > LONGEST_PAUSE:
                return statuses
            if running.done():
                await running
            await clock.sleep(0.3)

    async def check(self) -> dict[str, str]:
        """Show the checker what is new."""
        # The log first: what was committed at the vendor before now was claimed before now.
        commits = self.vendor.log[self.shown :]
        entries, statuses = await self.kernel.store.read(
            lambda c: (entries_after(c, self.seen), statuses_in(c))
        )
        self.seen += len(entries)
        self.shown += len(commits)
        self.checker.entries(entries)
        self.checker.commits(commits, self.acts)
        return statuses


async def run_fleet(
    home: Path, database: str, *, processes: int, kills: int, work: int, seed: int, longest: float = 0.8
) -> Ended:
    """Let `work` effects be done under fire, heal, and judge."""
    clock, dice = SystemClock(), random.Random(seed)
    began = clock.monotonic()
    vendor = Vendor(clock, Moments())
    outside = Outside(vendor, dice)
    async with (
        serve(outside) as address,
        open_kernel(fleet_settings(home, database, address), role="director") as kernel,
    ):
        checker = Checker(map(operation_of, range(work)), {one: one for one in PEOPLE}, on_the_wire=W)
        director = Director(kernel, vendor, checker, dice, work)
        await director.approve()
        workers = Workers((str(home), database, address, str(work)), dice, kills, longest)
        healed = asyncio.Event()
        running = asyncio.create_task(workers.run(processes, healed))
        while workers.killed < kills and not running.done():
            await clock.sleep(dice.uniform(0.1, 1.0))
            await director.interfere()
        outside.healed = True
        statuses = await director.until_done(running)
        healed.set()
        await running
        return await _ended(director, outside, workers, statuses, clock.monotonic() - began)


async def _ended(
    director: Director, outside: Outside, workers: Workers, statuses: Mapping[str, str], seconds: float
) -> Ended:
    verdict = await director.kernel.audit.verify()
    director.checker.statuses(statuses)
    director.checker.wanted(director.happy())
    return Ended(
        kills=workers.killed,
        seconds=round(seconds, 1),
        found=director.checker.found,
        commits=len(director.vendor.log),
        stops=len([act for act in director.acts if act.kind in {"kill", "suppress"}]),
        most_after_a_stop=director.checker.most_late,
        most_at_once=outside.most,
        usual_restart=round(sorted(workers.restarts)[len(workers.restarts) // 2], 2),
        slowest_restart=round(max(workers.restarts), 2),
        statuses=Counter(statuses.values()),
        audit_entries=verdict.size,
        audit_ok=verdict.ok,
    )
