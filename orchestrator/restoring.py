"""Putting a copy of the database back, and the way back to work when it is older than what was done with it.

copy ─ damaged, or its log isn't whole ─▶ refused
     ├ knows everything that others hold a checkpoint over ─▶ in place, and that's all
     └ is older ─ nobody accepts the loss ─▶ refused, with what would be lost
                └ a named person does ─▶ in place, and everything stands still: the log begins anew, no approval holds,
                                         today's caps count as spent
                    └ recover: opt-outs read from the vendors, doubt settled ─ a person clears the halt ─▶ goes on

An older copy doesn't know whom we wrote to since, nor who asked us not to: with it, both would be wronged.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import anyio.to_thread
import sqlalchemy as sa

from orchestrator import catching_up, missed, reconcile, relaxing, requeue, stops, syncing
from orchestrator.app import App
from orchestrator.later import Later
from shared import backup
from shared.approval import Person
from shared.audit import Entry, append
from shared.beginnings import beginning
from shared.checkpoint import Checkpoint
from shared.clock import SystemClock, iso
from shared.effect import Json
from shared.errors import Conflict, Fatal, Invalid
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import campaign_lead, watermark
from shared.ports import LeadStatus
from shared.schema import approval, audit_beginning, audit_place
from shared.settings import Settings

WHY = "an older copy of the database was restored: swarm recover"
AT_ONCE = 8  # questions to the sequencer side by side
STOPPED = frozenset({"unsubscribed", "bounced"})  # where somebody stands at the sequencer


@dataclass(frozen=True, slots=True)
class Restored:
    """How it went. `lost`: entries that others hold a checkpoint over and this copy doesn't have."""

    entries: int
    lost: int
    aside: str = ""  # where the database that was there lies now


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was made up for. `doubts`: effects whose ending nobody could tell."""

    opt_outs: int
    doubts: int
    done: bool = False


# ── putting it back ──────────────────────────────────────────────────────────────────────────────────────
async def restore(
    settings: Settings, file: Path | None, *, person: Person, reason: str, accept_loss: bool
) -> Restored:
    """Put a copy in place; without one, only accept that the database is older than what others hold.

    Raises `Conflict` while a process has it open, `Invalid` for a copy that can't be used, and `Fatal` for one that
    is older, unless its loss is accepted; then nothing was changed.
    """
    path = _path(settings)
    if file is None:
        return await _accept(settings, person, reason, "") if accept_loss else await _same(settings)
    if path is None:
        raise Invalid("this is for SQLite; put a PostgreSQL database back with its own tools", field="file")
    if held := await anyio.to_thread.run_sync(backup.in_use, path):
        raise Conflict(f"stop these processes first: {', '.join(held)}", code="in_use")
    staged = await anyio.to_thread.run_sync(backup.stage, file, path)
    try:
        found = await _look(settings, staged, accept_loss=accept_loss)
        stamp = SystemClock().now().strftime("%Y%m%dT%H%M%S")
        aside = await anyio.to_thread.run_sync(backup.put_in_place, staged, path, stamp)
        await anyio.to_thread.run_sync(_engine_aside, settings.home, stamp)
    finally:
        await anyio.to_thread.run_sync(backup.unstage, staged)
    if found.lost:
        return await _accept(settings, person, reason, str(aside))
    return replace(found, aside=str(aside))


def _path(settings: Settings) -> Path | None:
    url = settings.database_url
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


def _engine_aside(home: Path, stamp: str) -> None:
    """The engine remembers steps that this copy doesn't know; flows begin anew by the rows that ask for them."""
    for file in home.glob("engine.db*"):
        file.rename(file.with_name(f"{file.name}.before-{stamp}"))


async def _same(settings: Settings) -> Restored:
    """There is no copy, and nothing to accept: say how things stand."""
    async with _unlocked(settings) as kernel:
        await kernel.audit.refuse_if_rolled_back()
        return Restored((await kernel.audit.head()).size, 0)


async def _look(settings: Settings, staged: Path, *, accept_loss: bool) -> Restored:
    """Whether a copy may be put in place. Raises `Fatal` for one whose own log isn't whole, or that is older."""
    async with _unlocked(replace(settings, database_url=f"sqlite:///{staged}")) as kernel:
        verdict = await kernel.audit.verify_own()
        if not verdict.ok:
            raise Fatal(f"this copy's own audit log isn't whole: {verdict.problems[0]}", code="not_whole")
        newest = _newest(await kernel.audit.unknown(), verdict.size)
        lost = newest.size - verdict.size if newest else 0
        if lost and not accept_loss:
            message = (
                f"this copy has {verdict.size} entries of the audit log, others hold a checkpoint over {lost} more: "
                "who was written to and who opted out since isn't in it. Look for a newer one; if there is none, "
                "--accept-loss puts it in place and has everything stand still"
            )
            raise Fatal(message, code="older")
        return Restored(verdict.size, lost)


def _newest(unknown: Sequence[Checkpoint], size: int) -> Checkpoint | None:
    """The largest checkpoint that others hold over entries which aren't here; None if there is none.

    Raises `Fatal` where theirs isn't longer than ours: then it isn't the same log.
    """
    found = max(unknown, key=lambda one: one.size, default=None)
    if found is not None and found.size <= size:
        message = "others hold another history of this log, not a longer one: this is no copy of it"
        raise Fatal(message, code="another_log")
    return found


@asynccontextmanager
async def _unlocked(settings: Settings) -> AsyncIterator[Kernel]:
    """A kernel that opens although its database may be older than what others hold; nothing is done with it."""
    async with open_kernel(settings, role="restore", restoring=True) as kernel:
        yield kernel


# ── beginning anew ───────────────────────────────────────────────────────────────────────────────────────
async def _accept(settings: Settings, person: Person, reason: str, aside: str) -> Restored:
    """Let the log begin anew, and everything stand still."""
    if not reason.strip():
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    async with _unlocked(settings) as kernel:
        size = (await kernel.audit.head()).size
        newest = _newest(await kernel.audit.unknown(), size)
        if newest is None:
            return Restored(size, 0, aside)
        await kernel.store.write(lambda c: _begin_anew(kernel, c, newest, person, reason))
        await kernel.audit.refuse_if_rolled_back()
        await kernel.audit.checkpoint("restored")
        return Restored(size, newest.size - size, aside)


def _begin_anew(
    kernel: Kernel, connection: sa.Connection, held: Checkpoint, person: Person, reason: str
) -> None:
    """One transaction: say so in the log, stop everything, and let nothing hold that was agreed to before."""
    now, number = kernel.clock.now(), beginning(connection) + 1
    kept = kernel.audit.size_in(connection)
    said = {"actor": person.name, "reason": reason, "at": iso(now), "finished_at": ""}
    connection.execute(sa.insert(audit_beginning).values(number=number, size=kept, held=held.text, **said))
    told: dict[str, Json] = {"kept": kept, "covered": held.size, "held": held.text, "reason": reason}
    append(connection, [Entry("log.restored", f"beginning {number}", told, person.name)], now)
    connection.execute(sa.delete(audit_place))
    kernel.switches.pause_in(connection, "all", actor=person.name, reason=WHY, kind="halt")
    kernel.budgets.count_as_spent(connection)
    requeue.all_back_in(kernel, connection, actor=person.name, reason=WHY)
    open_ones = sa.select(approval.c.id).where(approval.c.state == "approved")
    for identifier in list(connection.execute(open_ones).scalars()):
        kernel.approvals.revoke_in(connection, identifier, actor=person.name, reason=WHY)
    connection.execute(
        sa.delete(watermark)
    )  # whatever vendors told since the copy was made is asked for again


# ── the way back ─────────────────────────────────────────────────────────────────────────────────────────
async def recover(app: App, *, person: Person, reason: str, alone: bool = False) -> Recovered:
    """Make up for what the copy doesn't know, and then let things go on; stops where a vendor can't be asked.

    Raises `Invalid` where nothing was restored, and what asking the vendors raises: the halt stays then.
    """
    number = await app.kernel.store.read(_unfinished)
    if not number:
        raise Invalid("no older copy waits for this; see swarm status", code="not_restored")
    await missed.work(app)
    opt_outs = await catching_up.work(app) + await _ask_sequencer(app)
    opt_outs += (await syncing.sync(app, whole=True)).new
    await reconcile.settle(app, Later(app.kernel.clock, 0.0, 0.0))
    doubts = (await app.kernel.ledger.counts()).get("in_doubt", 0)
    if doubts:
        return Recovered(opt_outs, doubts)
    answer = await relaxing.clear(app.kernel, "all", person=person, reason=reason, alone=alone)
    if answer.done:
        await app.kernel.store.write(lambda c: _finish(app.kernel, c, number, person))
    return Recovered(opt_outs, 0, answer.done)


def _unfinished(connection: sa.Connection) -> int:
    query = sa.select(sa.func.max(audit_beginning.c.number)).where(audit_beginning.c.finished_at == "")
    return connection.execute(query).scalar() or 0


def _finish(kernel: Kernel, connection: sa.Connection, number: int, person: Person) -> None:
    now = kernel.clock.now()
    mine = audit_beginning.c.number <= number
    connection.execute(sa.update(audit_beginning).where(mine).values(finished_at=iso(now)))
    append(connection, [Entry("log.recovered", f"beginning {number}", {}, person.name)], now)


async def _ask_sequencer(app: App) -> int:
    """How everybody in a campaign stands at the sequencer: who opted out there since is on our list again."""
    query = sa.select(campaign_lead.c.email).where(campaign_lead.c.email != "").distinct()
    emails = await app.kernel.store.read(lambda c: list(c.execute(query).scalars()))
    stopped: list[str] = []
    room = anyio.CapacityLimiter(AT_ONCE)

    async def one(email: str) -> None:
        async with room:
            status: LeadStatus = await app.suite.sequencer.get_lead_status(email=email)
        why = status.status
        if why in STOPPED and await stops.suppress(app.kernel, email, reason=why, source="sequencer"):
            stopped.append(email)

    async with anyio.create_task_group() as tasks:
        for email in emails:
            tasks.start_soon(one, email)
    return len(stopped)


def summary(found: Restored) -> str:
    """In a sentence."""
    where = f" What was there before lies at {found.aside}." if found.aside else ""
    if not found.lost:
        return f"{found.entries} entries, and nobody holds a checkpoint over more.{where}"
    return (
        f"{found.entries} entries are left, {found.lost} are given up. Everything stands still: "
        f"`swarm recover` reads opt-outs from the vendors and settles what is in doubt.{where}"
    )
