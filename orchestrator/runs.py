"""Runs: what was asked, how far it is, and how it ended.

running ─ research ─▶ researched ─ plan asked for ─▶ running ─ plan ─▶ review ─ nothing open ─▶ finished
        └ can't go on ─▶ failed (message says why)

A run is open while a campaign of it waits for a person, for its launch, or stalled in it.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, digest
from shared.errors import Conflict, Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, run, run_lead
from shared.telemetry import correlated, correlation


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the pipeline. Times are ISO 8601."""

    id: str
    mode: str
    state: str
    stage: str
    params: Mapping[str, Json]
    message: str
    correlation_id: str
    started_at: str
    finished_at: str
    launches: str = "on_approval"
    turn: int = 1


def _run(row: sa.Row[tuple[object, ...]]) -> Run:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a row's columns
    values.pop("counts")
    return Run(**{**values, "params": json.loads(values["params"])})


RESTING = ("researched", "review", "finished")
OPEN = ("drafted", "pending_review", "approved", "launching", "stalled")  # campaigns that keep their run open


async def create(kernel: Kernel, params: Mapping[str, Json], *, key: str = "") -> Run:
    """Write down a new run; nothing begins yet. The same `key` always gives the same run, made once."""
    identifier = _of_key(key) if key else secrets.token_hex(5)
    safety = await kernel.switches.now()
    now = kernel.clock.now()
    values = {
        "id": identifier,
        "mode": "safe" if safety.safe_mode else "live",
        "state": "running",
        "stage": "waiting",
        "params": json.dumps(dict(params)),
        "correlation_id": correlation() or identifier,
        "started_at": iso(now),
        # Who asks for all phases in one go has asked for the launch of whatever is approved of them.
        "launches": "on_approval" if params.get("asked", "run") == "run" else "on_implement",
    }

    def change(connection: sa.Connection) -> None:
        if connection.execute(sa.select(run.c.id).where(run.c.id == identifier)).scalar() is None:
            connection.execute(sa.insert(run).values(**values))
            append(connection, [Entry("run.created", identifier, {"mode": values["mode"]})], now)

    with correlated(str(values["correlation_id"])):
        await kernel.store.write(change)
    return await get(kernel, identifier)


async def of_key(kernel: Kernel, key: str) -> Run | None:
    """The run that was made with this key, if there is one."""
    query = sa.select(run).where(run.c.id == _of_key(key))
    row = await kernel.store.read(lambda c: c.execute(query).one_or_none())
    return _run(row) if row and key else None


def _of_key(key: str) -> str:
    return digest("run/v1", key)[:10]


def asked(params: str) -> str:
    """Which flow a run asks for: research, plan, or run (both)."""
    return str(json.loads(params).get("asked", "run"))


async def ask(kernel: Kernel, identifier: str, flow: str) -> None:
    """Ask for the phase that follows research; the worker starts it. `Invalid` for a run that isn't there yet."""

    def change(connection: sa.Connection) -> str:
        row = connection.execute(sa.select(run).where(run.c.id == identifier)).one_or_none()
        if row is None or row.state != "researched":
            return row.state if row else "unknown"
        params = json.dumps({**json.loads(row.params), "asked": flow})
        values = {"params": params, "state": "running", "message": ""}
        connection.execute(sa.update(run).where(run.c.id == identifier).values(**values))
        return ""

    if state := await kernel.store.write(change):
        raise Invalid(
            f"this run is {state}; planning follows research", field="run_id", code="not_researched"
        )


def again_in(connection: sa.Connection, identifier: str, flow: str) -> None:
    """In the caller's transaction: have a run that rests carried on by another turn of that flow. `Conflict` else."""
    row = connection.execute(sa.select(run).where(run.c.id == identifier)).one()
    if row.state not in RESTING:
        raise Conflict(f"this run is {row.state}; wait until it rests", field="run_id", code="not_resting")
    params = json.dumps({**json.loads(row.params), "asked": flow})
    values = {"params": params, "state": "running", "message": "", "finished_at": "", "turn": row.turn + 1}
    connection.execute(sa.update(run).where(run.c.id == identifier).values(**values))


async def get(kernel: Kernel, identifier: str) -> Run:
    """The run of that id, or `Invalid`."""
    query = sa.select(run).where(run.c.id == identifier)
    row = await kernel.store.read(lambda c: c.execute(query).one_or_none())
    if row is None:
        raise Invalid(f"no run is called {identifier[:40]}; see swarm runs", field="run_id")
    return _run(row)


async def newest(kernel: Kernel, limit: int = 20, offset: int = 0) -> list[Run]:
    """The latest runs, newest first."""
    query = sa.select(run).order_by(run.c.started_at.desc(), run.c.id).limit(limit).offset(offset)
    return await kernel.store.read(lambda c: [_run(row) for row in c.execute(query)])


async def count(kernel: Kernel) -> int:
    """How many runs there were."""
    query = sa.select(sa.func.count()).select_from(run)
    return await kernel.store.read(lambda c: c.execute(query).scalar() or 0)


async def mark(
    kernel: Kernel, identifier: str, *, stage: str = "", state: str = "", message: str = ""
) -> None:
    """Note how far a run is that is being worked on; what is empty stays as it was."""
    values = {key: v for key, v in {"stage": stage, "state": state, "message": message}.items() if v}
    where = (run.c.id == identifier, run.c.state == "running")
    await kernel.store.write(lambda c: c.execute(sa.update(run).where(*where).values(**values)))


async def batches(kernel: Kernel, identifier: str) -> int:
    """How many batches of leads a run has."""
    query = sa.select(sa.func.max(run_lead.c.batch)).where(run_lead.c.run_id == identifier)
    last = await kernel.store.read(lambda c: c.execute(query).scalar())
    return 0 if last is None else last + 1


async def progress(kernel: Kernel, identifier: str) -> dict[str, int]:
    """Leads of a run by state."""
    query = (
        sa.select(run_lead.c.state, sa.func.count())
        .where(run_lead.c.run_id == identifier)
        .group_by(run_lead.c.state)
    )
    return await kernel.store.read(lambda c: {row[0]: row[1] for row in c.execute(query)})


async def fail(kernel: Kernel, identifier: str, message: str) -> None:
    """A run that was being worked on can't go on, and why; one that got further meanwhile stays as it is."""
    now = iso(kernel.clock.now())
    values = {"state": "failed", "message": message, "finished_at": now}
    where = (run.c.id == identifier, run.c.state == "running")
    await kernel.store.write(lambda c: c.execute(sa.update(run).where(*where).values(**values)))


async def finish_if_done(kernel: Kernel, identifier: str) -> None:
    """A run is finished once none of its campaigns waits for a person or for its launch."""
    await kernel.store.write(lambda c: _finish(c, identifier, iso(kernel.clock.now())))


async def rest_in_review(kernel: Kernel, identifier: str) -> None:
    """The plan is complete: the run waits for a person, or is finished at once where there is nothing to decide.

    One transaction, so that whoever follows the run never sees it wait for nobody.
    """

    def change(connection: sa.Connection) -> None:
        waits = {"state": "review", "stage": "review"}
        working = (run.c.id == identifier, run.c.state == "running")
        connection.execute(sa.update(run).where(*working).values(**waits))
        _finish(connection, identifier, iso(kernel.clock.now()))

    await kernel.store.write(change)


def _finish(connection: sa.Connection, identifier: str, now: str) -> None:
    waiting = sa.select(campaign.c.id).where(campaign.c.run_id == identifier, campaign.c.state.in_(OPEN))
    if connection.execute(waiting.limit(1)).scalar() is None:
        ended = {"state": "finished", "stage": "done", "finished_at": now}
        reviewed = (run.c.id == identifier, run.c.state == "review")
        connection.execute(sa.update(run).where(*reviewed).values(**ended))


async def launches_open(kernel: Kernel, identifier: str) -> dict[str, int]:
    """Campaigns of a run that are being launched, or stalled in it, by state."""
    query = (
        sa.select(campaign.c.state, sa.func.count())
        .where(campaign.c.run_id == identifier, campaign.c.state.in_(("approved", "launching", "stalled")))
        .group_by(campaign.c.state)
    )
    return await kernel.store.read(lambda c: {row[0]: row[1] for row in c.execute(query)})
