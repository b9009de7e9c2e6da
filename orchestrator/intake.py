"""People come in: normalised, merged with what is known of them, and kept with where they were found.

sourced row ─ to_lead ─ known by profile or e-mail? ─ no  ─▶ new lead
                                                   ─ yes ─▶ merged: new source added, filled fields win over empty
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import forgotten, stops
from orchestrator.app import App
from orchestrator.identity import EMAIL, PROFILE, lead_named
from orchestrator.normalise import merge, to_lead
from shared.clock import iso
from shared.lead import Lead
from shared.pipeline_schema import import_file, lead, lead_key, run_lead
from shared.ports import LeadPage, SourcedLead

LEAD = TypeAdapter(Lead)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of some rows: `lead_ids` of everyone in them, in order, each once."""

    lead_ids: tuple[str, ...]
    created: int
    merged: int
    skipped: int  # rows that name nobody


@dataclass(frozen=True, slots=True)
class Imported:
    """A file, read to its end."""

    path: str
    good: int
    bad: int
    created: int
    merged: int
    quarantine_file: str
    problems: tuple[str, ...]  # the first few, as "line 7: …"


def read_lead(connection: sa.Connection, identifier: str) -> Lead | None:
    """A lead by our id."""
    data = connection.execute(sa.select(lead.c.data).where(lead.c.id == identifier)).scalar()
    return LEAD.validate_json(data) if data else None


def read_leads(connection: sa.Connection, identifiers: Sequence[str]) -> dict[str, Lead]:
    """Leads by our ids."""
    query = sa.select(lead.c.id, lead.c.data).where(lead.c.id.in_(identifiers))
    return {row.id: LEAD.validate_json(row.data) for row in connection.execute(query)}


def find_lead(connection: sa.Connection, email_or_id: str) -> Lead | None:
    """A lead by our id, an e-mail address or a profile URL, however these are spelled."""
    return read_lead(connection, lead_named(connection, email_or_id) or email_or_id.strip())


def write_lead(connection: sa.Connection, found: Lead, now: str, status: str = "") -> None:
    """Insert or replace a lead, with the keys it is known by."""
    values = {
        "email": found.email,
        "linkedin_url": found.linkedin_url,
        "data": LEAD.dump_json(found).decode(),
        "updated_at": now,
    }
    if status:
        values["status"] = status
    if found.enriched_at:
        values["looked_up_at"] = iso(found.enriched_at)
    changed = connection.execute(sa.update(lead).where(lead.c.id == found.id).values(**values))
    if changed.rowcount == 0:
        connection.execute(sa.insert(lead).values(id=found.id, created_at=now, **values))
    know_as(connection, found.id, _keys(found))


def know_as(connection: sa.Connection, lead_id: str, keys: Sequence[str]) -> None:
    """The lead goes by these keys as well, where they are nobody else's."""
    for key in keys:
        known = connection.execute(sa.select(lead_key.c.lead_id).where(lead_key.c.key == key)).scalar()
        if known is None:
            connection.execute(sa.insert(lead_key).values(key=key, lead_id=lead_id))


def _keys(found: Lead) -> list[str]:
    keys = [f"{PROFILE}{found.linkedin_url}"] if found.linkedin_url else []
    return [*keys, f"{EMAIL}{found.email}"] if found.email else keys


def take_in(
    connection: sa.Connection, rows: Iterable[SourcedLead], *, now: str, batch: str, data_source: str
) -> Taken:
    """In the caller's transaction: rows become leads, each person once."""
    ids: dict[str, None] = {}
    created = merged = skipped = 0
    for row in rows:
        new = to_lead(row, batch=batch, collected_at=now, data_source=data_source)
        if not new.linkedin_url and not new.email:
            skipped += 1
            continue
        known = _known(connection, new)
        if known is None:
            write_lead(connection, new, now, "sourced")
            created += 1
        else:
            write_lead(connection, merge(known, new), now)
            know_as(connection, known.id, _keys(new))  # their other address stops them as well
            merged += 1
        ids[known.id if known else new.id] = None
    return Taken(tuple(ids), created, merged, skipped)


def _known(connection: sa.Connection, new: Lead) -> Lead | None:
    """Who this is already: by profile first, then by e-mail."""
    for key in _keys(new):
        found = connection.execute(sa.select(lead_key.c.lead_id).where(lead_key.c.key == key)).scalar()
        if found:
            return read_lead(connection, found)
    return None


def join_run(connection: sa.Connection, run_id: str, ids: Sequence[str], batch_size: int) -> int:
    """In the caller's transaction: these leads take part in the run, in batches. Returns how many are new to it."""
    known = set(
        connection.execute(
            sa.select(run_lead.c.lead_id).where(run_lead.c.run_id == run_id, run_lead.c.lead_id.in_(ids))
        ).scalars()
    )
    fresh = [identifier for identifier in ids if identifier not in known]
    already = _joined(connection, run_id, batch_size)
    rows = [
        {"run_id": run_id, "lead_id": identifier, "batch": (already + n) // batch_size, "state": "sourced"}
        for n, identifier in enumerate(fresh)
    ]
    if rows:
        connection.execute(sa.insert(run_lead), rows)
    return len(rows)


def _joined(connection: sa.Connection, run_id: str, batch_size: int) -> int:
    """How many are in the run, counting only its last batch: every other one is full."""
    mine = run_lead.c.run_id == run_id
    last = connection.execute(sa.select(sa.func.max(run_lead.c.batch)).where(mine)).scalar()
    if last is None:
        return 0
    of_last = sa.select(sa.func.count()).where(mine, run_lead.c.batch == last)
    return int(last) * batch_size + (connection.execute(of_last).scalar() or 0)


async def import_path(app: App, path: str, *, run_id: str = "", batch_size: int = 100) -> Imported:
    """Read a file to its end, a page at a time; memory doesn't grow with it. Bad rows are quarantined."""
    total = Imported(path, 0, 0, 0, 0, "", ())
    cursor = ""
    while True:
        page = await app.suite.source.import_file(path=path, cursor=cursor)
        now = iso(app.kernel.clock.now())

        def change(connection: sa.Connection, page: LeadPage = page, now: str = now) -> Taken:
            rows = forgotten.without_in(app.kernel, connection, page.leads)
            taken = take_in(connection, rows, now=now, batch=path, data_source="file_import")
            stops.follow_in(app.kernel, connection, taken.lead_ids)
            if run_id:
                join_run(connection, run_id, taken.lead_ids, batch_size)
            return taken

        total = _added(total, page, await app.kernel.store.write(change))
        cursor = page.next_cursor
        if not cursor:
            break
    await _remember(app, total)
    return total


def _added(total: Imported, page: LeadPage, taken: Taken) -> Imported:
    problems = [f"line {row.line}: {row.reason}" for row in page.quarantined]
    return replace(
        total,
        good=total.good + len(page.leads),
        bad=total.bad + len(page.quarantined),
        created=total.created + taken.created,
        merged=total.merged + taken.merged,
        quarantine_file=page.quarantine_file or total.quarantine_file,
        problems=(*total.problems, *problems)[:20],
    )


async def _remember(app: App, done: Imported) -> None:
    values = {
        "path": done.path,
        "good": done.good,
        "bad": done.bad,
        "quarantine_file": done.quarantine_file,
        "at": iso(app.kernel.clock.now()),
    }
    await app.kernel.store.write(lambda c: c.execute(sa.insert(import_file).values(**values)))
