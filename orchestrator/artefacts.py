"""What the phases leave behind: findings, plans, implementations; each in versions that stay.

    research ─ saved              plan ─ drafting ─ pending_review ─ approved | rejected      implement ─ running ─ done
                                       └ a newer version ─▶ superseded

A version never changes what it says once it is out of `drafting`; who made it, when and why stand beside it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical, digest
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import artefact

Phase = Literal["research", "plan", "implement"]
PHASES: tuple[Phase, ...] = get_args(Phase)
OPEN = ("drafting", "pending_review", "approved")  # plans that a newer version takes the place of
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Artefact:
    """One version of what a phase of a run made. Times are ISO 8601; `covers` is what a plan's yes was to."""

    id: str
    run_id: str
    phase: str
    version: int
    state: str
    data: Mapping[str, Json]
    covers: Mapping[str, Json]
    made_by: str
    why: str
    made_at: str
    decided_by: str
    decided_at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """One line of the list: a version without what it says."""

    id: str
    phase: str
    version: int
    state: str
    made_by: str
    why: str
    made_at: str
    decided_by: str
    decided_at: str
    reason: str


def put_in(
    connection: sa.Connection,
    run_id: str,
    phase: Phase,
    data: Mapping[str, Json],
    *,
    state: str,
    by: str,
    why: str,
    now: datetime,
) -> int:
    """In the caller's transaction: the next version. An open plan before it is superseded."""
    mine = (artefact.c.run_id == run_id, artefact.c.phase == phase)
    last = connection.execute(sa.select(sa.func.max(artefact.c.version)).where(*mine)).scalar() or 0
    older = sa.update(artefact).where(*mine, artefact.c.state.in_(OPEN))
    connection.execute(older.values(state="superseded"))
    version = int(last) + 1
    text = canonical(data).decode()
    values = {"state": state, "data": text, "made_by": by, "why": why, "made_at": iso(now)}
    identifier = f"{run_id}:{phase}:{version}"
    row = {"id": identifier, "run_id": run_id, "phase": phase, "version": version, **values}
    connection.execute(sa.insert(artefact).values(**row))
    payload: dict[str, Json] = {"version": version, "data": digest("artefact/v1", text), "why": why}
    append(connection, [Entry(f"{phase}.saved", run_id, payload, by)], now)
    return version


def newest_in(connection: sa.Connection, run_id: str, phase: Phase, version: int = 0) -> Artefact | None:
    """That version, or without a number the newest one; None if there is none."""
    query = sa.select(artefact).where(artefact.c.run_id == run_id, artefact.c.phase == phase)
    if version:
        query = query.where(artefact.c.version == version)
    row = connection.execute(query.order_by(artefact.c.version.desc()).limit(1)).one_or_none()
    return _artefact(row) if row else None


async def get(kernel: Kernel, run_id: str, phase: Phase, version: int = 0) -> Artefact:
    """As `newest_in`; `Invalid` (code `not_found`) if there is none."""
    found = await kernel.store.read(lambda c: newest_in(c, run_id, phase, version))
    if found is None:
        which = f"version {version} of its {phase}" if version else f"{phase} yet"
        raise Invalid(f"this run has no {which}", field="run_id", code="not_found")
    return found


async def kept(kernel: Kernel, run_id: str) -> list[Kept]:
    """Every version of a run's phases, in order."""
    columns = [artefact.c[name] for name in Kept.__dataclass_fields__]
    query = sa.select(*columns).where(artefact.c.run_id == run_id)
    rows = await kernel.store.read(lambda c: c.execute(query).all())
    found = [Kept(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's way to a row's columns
    return sorted(found, key=lambda one: (PHASES.index(one.phase), one.version))


def _artefact(row: Row) -> Artefact:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's way to a row's columns
    return Artefact(**{**values, "data": json.loads(values["data"]), "covers": json.loads(values["covers"])})
