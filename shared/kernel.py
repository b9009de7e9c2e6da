"""Everything a server stands on, opened and closed together."""

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx

from shared.admission import Admission, admissions
from shared.approval import Approvals
from shared.audit import Audit, Entry
from shared.breaker import Breaker
from shared.budgets import Budgets
from shared.clock import Clock, SystemClock
from shared.collector import open_tracing
from shared.eventlog import EventLog
from shared.gate import Gate
from shared.halts import Halts
from shared.http import ApiClient, ErrorRow, Headers
from shared.keys import Keys, load_keys
from shared.ledger import Ledger
from shared.limits import Limits
from shared.presence import Presence, open_presence
from shared.published import files_of
from shared.settings import Settings
from shared.spool import Spool
from shared.store import PATIENCE, Store, Unavailable, open_store
from shared.suppression import Suppression
from shared.switches import Switches
from shared.telemetry import logger
from shared.tls import trusted
from shared.tracing import Tracing
from shared.vault import Vault
from shared.witnesses import Witnesses

log = logger("kernel")
Checks = tuple[Switches, Approvals, Limits, Breaker, Budgets]
CLOSING_SECONDS = 5.0  # for telling the log, and whoever holds its checkpoints, that a process ends


@dataclass(frozen=True, slots=True)
class Kernel:
    """The open kernel. One per process."""

    settings: Settings
    clock: Clock
    keys: Keys
    store: Store
    presence: Presence
    audit: Audit
    witnesses: Witnesses
    suppression: Suppression
    spool: Spool
    switches: Switches
    approvals: Approvals
    limits: Limits
    budgets: Budgets
    breaker: Breaker
    admissions: Mapping[str, Admission]  # by vendor account
    ledger: Ledger
    events: EventLog
    vault: Vault
    gate: Gate
    halts: Halts
    http: httpx.AsyncClient
    tracing: Tracing

    def client(
        self,
        vendor: str,
        rules: tuple[ErrorRow, ...] = (),
        *,
        headers: Headers | None = None,
        reading: Collection[tuple[str, str]] = (),
    ) -> ApiClient:
        """HTTP to that vendor account; `rules` come before the general table.

        `headers`: by path, on top of the account's own. `reading`: method and path of the requests that only
        read, though they aren't GETs.
        """
        settings = self.settings.vendor(vendor)
        more = {"headers": headers} if headers else {}
        admission = self.admissions[vendor]
        return ApiClient(
            settings, self.http, admission, self.clock, self.tracing, rules, reading=reading, **more
        )


@asynccontextmanager
async def open_kernel(
    settings: Settings,
    *,
    clock: Clock | None = None,
    role: str = "server",
    transport: httpx.AsyncBaseTransport | None = None,
    patience: float = PATIENCE,
    restoring: bool = False,
) -> AsyncIterator[Kernel]:
    """Open the store, migrate it, refuse a rolled-back one, and build what stands on it.

    `patience`: seconds that a write waits for other processes. `restoring`: a rolled-back one is what is looked at.

    Raises `ConfigError`, `Unavailable` (the database), or `Fatal` where an old database was put back.
    """
    clock = clock or SystemClock()
    keys = load_keys(settings.home)
    async with (
        open_tracing(settings, role) as tracing,
        open_store(settings.database_url, patience) as store,
        httpx.AsyncClient(
            transport=transport, verify=trusted(), follow_redirects=False, trust_env=False
        ) as http,
    ):
        due = settings.safety.checkpoints
        witnesses = Witnesses(store, clock, http, keys.audit_public, due.witnesses)
        audit = Audit(store, clock, keys, files_of(settings), witnesses, due)
        if not restoring:
            await audit.refuse_if_rolled_back()
        suppression = Suppression(
            store, clock, keys.pepper, settings.safety.free_mail, settings.safety.suppression
        )
        await suppression.refuse_if_key_changed()
        async with open_presence(store, clock, role) as presence:
            Spool(settings.home).set_room_aside()
            try:
                found = (audit, witnesses, suppression, presence)
                yield _assemble(settings, clock, keys, store, *found, http, tracing)
            finally:
                if not restoring:  # nobody is told of a log that is only looked at
                    with anyio.move_on_after(CLOSING_SECONDS, shield=True):
                        await audit.close()


def _assemble(
    settings: Settings,
    clock: Clock,
    keys: Keys,
    store: Store,
    audit: Audit,
    witnesses: Witnesses,
    suppression: Suppression,
    presence: Presence,
    http: httpx.AsyncClient,
    tracing: Tracing,
) -> Kernel:
    checks = _checks(settings, clock, keys, store)
    switches, approvals, limits, breaker, budgets = checks
    gate = _gate(settings, clock, store, audit, suppression, presence, checks, tracing)
    return Kernel(
        settings=settings,
        clock=clock,
        keys=keys,
        store=store,
        presence=presence,
        audit=audit,
        witnesses=witnesses,
        suppression=suppression,
        spool=Spool(settings.home),
        switches=switches,
        approvals=approvals,
        limits=limits,
        budgets=budgets,
        breaker=breaker,
        admissions=admissions(settings, store, clock, limits, breaker),
        ledger=Ledger(store),
        events=EventLog(store),
        vault=Vault(store, clock, keys.vault),
        gate=gate,
        halts=Halts(store, clock, switches, audit, settings),
        http=http,
        tracing=tracing,
    )


def _gate(
    settings: Settings,
    clock: Clock,
    store: Store,
    audit: Audit,
    suppression: Suppression,
    presence: Presence,
    checks: Checks,
    tracing: Tracing,
) -> Gate:
    switches, approvals, limits, breaker, budgets = checks
    return Gate(
        store=store,
        clock=clock,
        presence=presence,
        switches=switches,
        approvals=approvals,
        suppression=suppression,
        limits=limits,
        budgets=budgets,
        breaker=breaker,
        audit=audit,
        spool=Spool(settings.home),
        rules=settings.safety,
        vendors=settings.vendors,
        tracing=tracing,
    )


def _checks(settings: Settings, clock: Clock, keys: Keys, store: Store) -> Checks:
    """What the gate asks that stands on the store alone."""
    return (
        Switches(store, clock, settings),
        Approvals(store, clock, settings.safety.approvals),
        Limits(store, clock, settings),
        Breaker(store, clock, settings),
        Budgets(store, clock, settings, keys.pepper),
    )


@asynccontextmanager
async def running(kernel: Kernel, role: str) -> AsyncIterator[None]:
    """Tell the log that a process began, and that it ended; its head is signed both times."""
    await kernel.audit.record(Entry("process.started", kernel.presence.id, {"role": role}))
    await kernel.audit.checkpoint("start")
    try:
        yield
    finally:
        with anyio.move_on_after(CLOSING_SECONDS, shield=True):
            await _tell_the_end(kernel, role)


async def _tell_the_end(kernel: Kernel, role: str) -> None:
    """A process that can't write that it ended ends all the same."""
    try:
        await kernel.audit.record(Entry("process.stopped", kernel.presence.id, {"role": role}))
    except Unavailable:
        log.exception("process.end_not_told")
