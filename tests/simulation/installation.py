"""Two processes of the product on one database, a vendor behind a wire, a clock moved by hand, people who act.

What is simulated is the death of a process, not of its machine: so the database lies in memory where the system
has a file system there, and a commit costs no disk. Everything else is the product as it ships.
"""

import atexit
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from itertools import product
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from shared.approval import Item
from shared.clock import iso
from shared.effect import Effect, Json, Outcome, Receipt
from shared.errors import Conflict, InDoubt, Invalid, SwarmError
from shared.gate import Permit
from shared.http import Answer, ApiClient
from shared.kernel import Kernel, open_kernel
from shared.schema import approval_item, audit_detail, audit_leaf
from shared.schema import effect as ledger_table
from shared.sending_rules import Caps
from shared.settings import Settings, VendorSettings, load_settings
from tests.conftest import CONFIG
from tests.shared.world import AE, HandClock, stricter
from tests.simulation.history import Act, Checker, Entry, Op, Yes
from tests.simulation.vendor import Moments, Vendor, Wire

SHM = Path("/dev/shm")
PEOPLE = ("ann@corp.example", "bob@corp.example", "cyd@firm.example")
SPELLINGS = ("{0}@{1}", "{0}@{1}.", "<{0}@{1}>", " {0}@{1}\r\n", "mailto:{0}@{1}", "{0}+news@{1}")
KINDS = ("contact", "enrol", "tag", "stop")
TIMES = (1, 2, 3)  # the same thing is wanted again, for another reason


def where() -> Path:
    """A new folder for one simulation."""
    return Path(tempfile.mkdtemp(prefix="simulated-", dir=SHM if SHM.is_dir() else None))


def wanted(kind: str, person: str, time: int = 1, version: int = 1, approval: str = "") -> Effect:
    """One thing to be done about one person; `time` makes it another one, `version` changes only its content."""
    why = f"{kind}:{person}:{time}"
    content: Mapping[str, Json] = {"email": person, "words": f"version {version}"}
    if kind == "enrol":
        return Effect(
            "instantly", "add_lead", person, why, content, (person,), campaign="c1", approval=approval
        )  # fmt: skip
    if kind == "stop":
        return Effect("instantly", "remove_lead", person, why, content, (person,), True, True, "c1")
    return Effect("ghl", f"{kind}_it", person, why, content, (person,), repeatable=kind == "tag")


def operation(kind: str, person: str, time: int) -> Op:
    """What the checker needs to know about it."""
    effect = wanted(kind, person, time)
    return Op(
        effect.key, effect.intent, person, effect.vendor, effect.campaign, kind == "enrol", effect.stops,
        effect.repeatable,
    )  # fmt: skip


OPS = {one: operation(*one) for one in product(KINDS, PEOPLE, TIMES)}


def spelled(person: str, spelling: str) -> str:
    """One of the ways to write an address."""
    return spelling.format(*person.split("@"))


SPELLED = {spelled(person, spelling): person for person in PEOPLE for spelling in SPELLINGS}


@cache
def _template() -> Path:
    """A home with its keys and an empty database: making one costs more than a whole history."""
    folder = where()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@dataclass
class Process:
    """One process of the product, and its wire."""

    kernel: Kernel
    wire: Wire
    stack: AsyncExitStack
    clients: Mapping[str, ApiClient]

    async def die(self) -> None:
        """From here on nothing it does is kept: as if it had been killed."""
        await anyio.to_thread.run_sync(self.kernel.store.close)


@dataclass
class Installation:
    """Everything that is in the world of one history."""

    home: Path
    settings: Settings
    clock: HandClock = field(default_factory=HandClock)
    moments: Moments = field(default_factory=Moments)
    processes: list[Process] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    seen: int = 0  # entries of the audit log that the checker has
    shown: int = 0  # commits that the checker has
    on_the_wire: int = 0

    def __post_init__(self) -> None:
        self.vendor = Vendor(self.clock, self.moments)
        self.checker = Checker(OPS.values(), SPELLED, on_the_wire=self.on_the_wire)

    # ── processes ────────────────────────────────────────────────────────────────────────────────────────
    async def start(self) -> Process:
        """Open the kernel as a process does."""
        stack, wire = AsyncExitStack(), Wire(self.vendor)
        kernel = await stack.enter_async_context(open_kernel(self.settings, clock=self.clock, transport=wire))
        clients = {name: kernel.client(name) for name in ("ghl", "instantly")}
        process = Process(kernel, wire, stack, clients)
        wire.die = process.die
        return process

    async def restart(self, number: int) -> None:
        """End that process, however it stands, and begin it anew."""
        await self.processes[number].stack.aclose()
        self.processes[number] = await self.start()

    # ── what the product is asked to do ──────────────────────────────────────────────────────────────────
    async def submit(self, number: int, effect: Effect, *, looks: bool = True) -> Outcome:
        """As a server does, in that process."""
        process = self.processes[number]
        return await submit(process.kernel, process.clients, effect, looks=looks)

    async def submit_together(
        self, number: int, effects: Sequence[Effect], *, looks: bool = True
    ) -> list[Outcome]:
        """One request for many."""

        async def perform(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
            sent = [effect for effect in effects if effect.key in permits]
            client = self.processes[number].clients[sent[0].vendor]
            answer = await client.write(permits[sent[0].key], "POST", "/write", json=_asked(sent))
            return _receipts(answer, sent)

        look = Look(self.processes[number].clients) if looks else None
        return await self.processes[number].kernel.gate.submit_batch(effects, perform, look)

    async def reconcile(self, number: int) -> None:
        """Look at the vendor for everything that is open, as the reconciler does."""
        kernel = self.processes[number].kernel
        for status in ("claimed", "in_doubt"):
            for row in await kernel.ledger.list(status=status):
                await kernel.gate.look(row, Look(self.processes[number].clients))

    # ── what people do ───────────────────────────────────────────────────────────────────────────────────
    @asynccontextmanager
    async def act(self, kind: str, person: str = "") -> AsyncIterator[None]:
        """Somebody does something, from being asked for until it has returned."""
        asked = self.moments.next()
        yield
        self.acts.append(Act(kind, asked, self.moments.next(), person))  # type: ignore[arg-type]  # one of the kinds

    async def kill(self, number: int) -> None:
        async with self.act("kill"):
            await self.processes[number].kernel.switches.kill(actor="ada", reason="now")

    async def release(self, number: int) -> None:
        async with self.act("release"):
            await self.processes[number].kernel.switches.release(actor="root", reason="looked at")

    async def suppress(self, number: int, person: str, spelling: str = SPELLINGS[0]) -> None:
        async with self.act("suppress", person):
            suppression = self.processes[number].kernel.suppression
            await suppression.add(spelled(person, spelling), reason="opt_out", source="reply")

    async def lift(self, number: int, person: str) -> None:
        async with self.act("lift", person):
            await self.processes[number].kernel.suppression.lift(person, actor="root", reason="asked to")

    async def approve(self, number: int, *effects: Effect) -> str:
        """A person's yes; returns its id."""
        kernel = self.processes[number].kernel
        items = [Item(effect.vendor_action, effect.fingerprint) for effect in effects]
        given = await kernel.store.write(
            lambda c: kernel.approvals.give_in(c, "campaign:c1", items, person=AE, fingerprint="f")
        )
        hours = self.settings.safety.approvals.expires_hours
        expires = self.later(hours * 3600)
        self.checker.approved(given, Yes(frozenset(item.fingerprint for item in items), expires))
        return given

    async def revoke(self, number: int, approval: str) -> None:
        kernel = self.processes[number].kernel
        await kernel.store.write(
            lambda c: kernel.approvals.revoke_in(c, approval, actor=AE.name, reason="changed my mind")
        )

    def later(self, seconds: float) -> str:
        """So many seconds from now, as the product writes times."""
        return iso(self.clock.now() + timedelta(seconds=seconds))

    # ── what is looked at after each step ────────────────────────────────────────────────────────────────
    async def check(self, asked: Sequence[str] = ()) -> tuple[dict[str, str], set[str], dict[str, str]]:
        """Show the checker what is new.

        Returns the ledger, key → status; who of `asked` is on the list; and approval → key that used it.
        """
        kernel = self.processes[0].kernel
        self.vendor.arrive()
        entries, statuses, refused, used = await kernel.store.read(
            lambda c: (
                entries_after(c, self.seen),
                statuses_in(c),
                kernel.suppression.check(c, asked),
                uses_in(c),
            )
        )
        self.seen += len(entries)
        self.checker.entries(entries)
        self.checker.commits(self.vendor.log[self.shown :], self.acts)
        self.shown = len(self.vendor.log)
        self.checker.statuses(statuses, self.vendor.coming)
        return statuses, set(refused), used


@dataclass(frozen=True)
class Look:
    """Asks the vendor about an effect."""

    clients: Mapping[str, ApiClient]

    async def __call__(self, effect: Effect, /) -> Receipt | None:
        try:
            answer = await self.clients[effect.vendor].read("GET", "/look", params={"key": effect.key})
        except Invalid as error:
            if error.code == "not_found":
                return None
            raise
        return _receipts(answer, [effect])[effect.key]


async def submit(
    kernel: Kernel, clients: Mapping[str, ApiClient], effect: Effect, *, looks: bool = True
) -> Outcome:
    """As a server does: one request for one effect; `looks`: the vendor can be asked about it."""

    async def perform(permit: Permit) -> Receipt:
        answer = await clients[effect.vendor].write(permit, "POST", "/write", json=_asked([effect]))
        return _receipts(answer, [effect])[effect.key]

    try:
        return await kernel.gate.submit(effect, perform, Look(clients) if looks else None)
    except Conflict:
        return Outcome("refused", "conflict", key=effect.key)


def _asked(effects: Sequence[Effect]) -> dict[str, Json]:
    return {"items": [{"key": effect.key, "content": effect.content} for effect in effects]}


def _receipts(answer: Answer, effects: Sequence[Effect]) -> dict[str, Receipt]:
    """A receipt for each; an answer of another shape tells nothing."""
    ids = answer.data.get("ids") if isinstance(answer.data, dict) else None
    if not isinstance(ids, list) or len(ids) != len(effects):
        raise InDoubt("an answer of another shape", code="unreadable")
    return {effect.key: Receipt(str(given)) for effect, given in zip(effects, ids, strict=True)}


def entries_after(connection: sa.Connection, after: int) -> list[Entry]:
    """What the audit log has from that place on."""
    query = (
        sa.select(audit_leaf.c.data, audit_detail.c.subject, audit_detail.c.payload)
        .join(audit_detail, audit_detail.c.seq == audit_leaf.c.seq)
        .where(audit_leaf.c.seq >= after)
        .order_by(audit_leaf.c.seq)
    )
    rows = connection.execute(query).all()
    leaves = [(json.loads(row.data), row.subject, json.loads(row.payload)) for row in rows]
    return [Entry(leaf["kind"], subject, leaf["at"], payload) for leaf, subject, payload in leaves]


def statuses_in(connection: sa.Connection) -> dict[str, str]:
    return {
        row.key: row.status
        for row in connection.execute(sa.select(ledger_table.c.key, ledger_table.c.status))
    }


def uses_in(connection: sa.Connection) -> dict[str, str]:
    """Approval → key of the effect that used it; each covers one effect in here."""
    items = connection.execute(sa.select(approval_item.c.approval_id, approval_item.c.used_by))
    return {row.approval_id: row.used_by for row in items}


@asynccontextmanager
async def installed(processes: int = 2, on_the_wire: int = 0) -> AsyncIterator[Installation]:
    """An installation with so many processes, on a folder of its own that is gone afterwards.

    `on_the_wire`: how many calls may leave after a stop, because they were decided before it.
    """
    folder = where()
    home = folder / "home"
    try:
        if not (_template() / "swarm.db").exists():
            async with open_kernel(_settings(_template()), clock=HandClock()):
                pass
        shutil.copytree(_template(), home)
        world = Installation(home, _settings(home), on_the_wire=on_the_wire)
        for _ in range(processes):
            world.processes.append(await world.start())
        try:
            yield world
        finally:
            for process in world.processes:
                await process.stack.aclose()
    finally:
        shutil.rmtree(folder)


@cache
def _shipped() -> Settings:
    return load_settings(CONFIG, {"SWARM_HOME": "unused", "SAFE_MODE": "false"})


def tireless(vendor: VendorSettings) -> VendorSettings:
    """The same account, which nobody ever leaves alone."""
    retry = vendor.file.retry.model_copy(update={"attempts": 10**6, "budget_least": 10**6})
    breaker = vendor.file.breaker.model_copy(update={"least_calls": 10**6})
    return replace(vendor, file=vendor.file.model_copy(update={"retry": retry, "breaker": breaker}))


def _settings(home: Path) -> Settings:
    """The shipped configuration on that home; caps by the day and patience with a vendor have tests of their own."""
    open_ended = stricter(_shipped(), caps=Caps())
    vendors = {name: tireless(vendor) for name, vendor in open_ended.vendors.items()}
    open_ended = replace(open_ended, vendors=vendors)
    return replace(open_ended, home=home, database_url=f"sqlite:///{home / 'swarm.db'}")
