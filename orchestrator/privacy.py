"""What people may ask of us by right: to be shown what we hold, to be corrected, to be erased.

access         ─▶ done: one document
rectification  ─ changed here ─ the CRM's contact is changed through the gate ─ handoffs for the rest ─▶ tickets ─▶ done
erasure        ─ suppressed, stops opened, handoffs for the vendors ─▶ stopping
    stopping   ─ every stop is carried out, nothing about them is in doubt ─▶ erasing
    erasing    ─ table by table, file by file, until nothing is left ─▶ scrubbing, and we don't know any more who it was
    scrubbing  ─ the database's files hold nothing of what was deleted ─▶ tickets ─ each handoff is closed ─▶ done

Each step may be repeated, so a crash costs nothing; `go_on` takes up whatever isn't done. Only a person asks for it:
no tool reaches this. What we hold at the CRM is deleted there by hand: deleting isn't in our client at all.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import by_hand, forgotten, handoffs, stopping, stops, stores, traces
from orchestrator.app import App
from orchestrator.intake import read_leads, write_lead
from orchestrator.roles import allowed
from orchestrator.subject import Subject, subject_of, unpacked
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical, digest
from shared.errors import Invalid, Retryable, SwarmError
from shared.kernel import Kernel
from shared.lead import Lead, Source
from shared.pipeline_schema import campaign_lead, handoff, privacy_request, stop
from shared.ports import ContactRecord
from shared.telemetry import logger

log = logger("privacy")
Kind = Literal["access", "erasure", "rectification"]
TRIES = 5  # rounds of stopping that whoever asks waits for; the schedule goes on
FIELDS = ("first_name", "last_name", "title", "company", "phone", "linkedin_url", "location", "country")
AT_CRM = frozenset({"first_name", "last_name", "title", "phone", "linkedin_url"})
Row = sa.Row[Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it stands. `waits_for` says what keeps it open; nothing in it names the person."""

    id: str
    kind: str
    state: str
    asked_by: str
    asked_at: str
    due_at: str
    done_at: str
    overdue: bool
    tickets: int  # handoffs that are still open
    waits_for: str


# ── asking ───────────────────────────────────────────────────────────────────────────────────────────────
async def export(app: App, who: str, *, by: Person) -> dict[str, Any]:
    """Everything we hold of a person, as one document. Raises `Invalid` where nobody is known by that."""
    subject = await _subject(app, who, by)
    home = app.kernel.settings.home
    held = await app.kernel.store.read(lambda c: stores.shown(c, subject))
    found = await anyio.to_thread.run_sync(traces.mentioning, home, subject)
    standing = {one: await _suppressed(app.kernel, one) for one in subject.addresses}
    request = await app.kernel.store.write(lambda c: _open(app, c, "access", subject, by, "done"))
    return {
        "request": request,
        "about": {
            "addresses": subject.addresses,
            "profiles": subject.profiles,
            "vendors": subject.references,
        },
        "do_not_contact": standing,
        **held,
        "files": found.changed,
        "files_not_readable": found.unreadable,
    }


async def erase(app: App, who: str, *, by: Person) -> Request:
    """Suppress a person, then remove them from everything of ours, as far as it goes now.

    Asked again, it goes on where it stands. Raises `Invalid` for who may not, and for what names nobody.
    """
    return await go_on(app, await ask_erasure(app, who, by=by))


async def ask_erasure(app: App, who: str, *, by: Person) -> str:
    """Suppress them and write the request down; what is asked already isn't asked twice. Returns its id."""
    subject = await _subject(app, who, by)

    def change(connection: sa.Connection) -> str:
        identifier = _standing_in(connection, _keys(app, subject))
        if identifier:
            return identifier
        for one in subject.addresses:
            said = {"reason": "erasure", "source": "privacy", "actor": by.name}
            lead_id = subject.lead_ids[0] if subject.lead_ids else ""
            stops.suppress_in(app.kernel, connection, one, lead_id=lead_id, **said)
        made = _open(app, connection, "erasure", subject, by, "stopping")
        forgotten.remember_in(app.kernel, connection, subject.addresses, subject.profiles)
        by_hand.hand_out_in(app, connection, made, subject, "erasure")
        return made

    return await app.kernel.store.write(change)


async def rectify(app: App, who: str, changes: Mapping[str, str], *, by: Person, why: str) -> Request:
    """Change what we know of a person, noting where the new value is from, and have the vendors follow.

    Raises `Invalid` for a field that can't be changed so, and for somebody who isn't known.
    """
    subject = await _subject(app, who, by)
    if unknown := set(changes) - set(FIELDS):
        raise Invalid(f"one of {', '.join(FIELDS)}", field=min(unknown), code="unknown_field")
    if not subject.lead_ids or not changes:
        raise Invalid("nothing to change: nobody is known by that, or no field is given", field="who")

    def change(connection: sa.Connection) -> str:
        made = _open(app, connection, "rectification", subject, by, "tickets")
        for found in read_leads(connection, subject.lead_ids).values():
            _correct(app, connection, found, changes, made, by, why)
        at_vendors = replace(subject, references={k: v for k, v in subject.references.items() if k != "ghl"})
        rest = at_vendors if set(changes) <= AT_CRM else subject
        by_hand.hand_out_in(app, connection, made, rest, "rectification")
        return made

    made = await app.kernel.store.write(change)
    await _tell_crm(app, subject, {name: text for name, text in changes.items() if name in AT_CRM}, made)
    return await go_on(app, made)


async def _subject(app: App, who: str, by: Person) -> Subject:
    _refuse_unless_allowed(by)
    return await app.kernel.store.read(lambda c: subject_of(c, who))


def _refuse_unless_allowed(by: Person) -> None:
    if not allowed(by.role, "privacy"):
        raise Invalid("an operator or an admin does this", field="role", code="role")


async def _suppressed(kernel: Kernel, address: str) -> dict[str, str]:
    found = await kernel.suppression.find(address)
    return {"reason": found.reason, "source": found.source, "since": found.at} if found else {}


def _keys(app: App, subject: Subject) -> str:
    """Keyed hashes of their addresses; of our ids where there is no address."""
    hashed = {key for one in subject.addresses for key in app.kernel.suppression.keys_for(one)}
    hashed |= set() if hashed else {app.kernel.suppression.key(b"l", one) for one in subject.lead_ids}
    return " ".join(sorted(key.hex() for key in hashed))


def _standing_in(connection: sa.Connection, keys: str) -> str:
    """The erasure of the same person that is under way, or ""."""
    mine = (privacy_request.c.kind == "erasure", privacy_request.c.hashes == keys)
    under_way = privacy_request.c.state.in_(("stopping", "erasing"))
    return connection.execute(sa.select(privacy_request.c.id).where(*mine, under_way)).scalar() or ""


def _open(app: App, connection: sa.Connection, kind: Kind, subject: Subject, by: Person, state: str) -> str:
    """Write the request down, and into the audit log, which names nobody. Returns its id."""
    now, keys, rules = app.kernel.clock.now(), _keys(app, subject), app.rules.privacy.deadlines
    due = {
        "access": timedelta(days=rules.access_days),
        "erasure": timedelta(hours=rules.erasure_hours),
        "rectification": timedelta(hours=rules.rectification_hours),
    }[kind]
    identifier = digest("privacy/v1", kind, keys, iso(now))[:16]
    values = {"kind": kind, "state": state, "hashes": keys, "asked_by": by.name, "asked_at": iso(now)}
    values |= {"due_at": iso(now + due), "done_at": iso(now) if state == "done" else ""}
    values |= {"subject": subject.packed if kind == "erasure" else "{}"}
    connection.execute(sa.insert(privacy_request).values(id=identifier, **values))
    append(connection, [Entry(f"privacy.{kind}", identifier, {"keys": keys}, by.name)], now)
    return identifier


# ── correcting ──────────────────────────────────────────────────────────────────────────────────────────
async def _tell_crm(app: App, subject: Subject, changes: Mapping[str, str], made: str) -> None:
    """Change the CRM's contact through the gate. What isn't done there now becomes a handoff."""
    steps = app.rules.privacy.by_hand["other"]
    known = await app.kernel.store.read(lambda c: _contacts(c, subject))
    for contact, email in known if changes else ():
        if not await _changed_at_crm(app, contact, replace(ContactRecord(email), **changes)):  # type: ignore[arg-type]  # text fields
            await app.kernel.store.write(partial(_hand_out_one, app, made, steps, contact))


async def _changed_at_crm(app: App, contact: str, record: ContactRecord) -> bool:
    try:
        outcome = await app.suite.crm.update_contact(contact_id=contact, contact=record)
    except SwarmError as error:
        log.warning("privacy.not_corrected_at_crm", code=error.code, kind=error.kind)
        return False
    return outcome.status in {"applied", "replayed"}


def _hand_out_one(
    app: App, made: str, steps: tuple[str, ...], reference: str, connection: sa.Connection
) -> None:
    by_hand.ticket_in(app, connection, made, "ghl", steps, reference)


def _contacts(connection: sa.Connection, subject: Subject) -> list[tuple[str, str]]:
    query = sa.select(campaign_lead.c.contact_ref, campaign_lead.c.email).where(
        campaign_lead.c.lead_id.in_(subject.lead_ids), campaign_lead.c.contact_ref != ""
    )
    return [(str(ref), str(email)) for ref, email in connection.execute(query.distinct())]


def _correct(
    app: App,
    connection: sa.Connection,
    found: Lead,
    changes: Mapping[str, str],
    made: str,
    by: Person,
    why: str,
) -> None:
    """The lead with what it was told, and where that is from. What was is in the audit log, as a commitment."""
    now = app.kernel.clock.now()
    source = Source("unknown", name="rectification", batch=made, captured_at=iso(now), text=why)
    corrected: Lead = replace(found, **changes, sources=(*found.sources, source))  # type: ignore[arg-type]  # text fields
    write_lead(connection, corrected, iso(now))
    fields: list[Json] = [*sorted(changes)]
    payload: dict[str, Json] = {"request": made, "fields": fields, "why": why}
    append(connection, [Entry("lead.rectified", found.id, payload, by.name)], now)


async def close_ticket(app: App, handoff_id: str, *, by: Person, note: str) -> Request:
    """A person has done what a handoff of a request says. Raises `Invalid` for who may not, and for another handoff."""
    _refuse_unless_allowed(by)
    query = sa.select(handoff.c.id, handoff.c.event_id).where(
        handoff.c.trigger == by_hand.TICKET, handoff.c.id.startswith(handoff_id, autoescape=True)
    )
    found = await app.kernel.store.read(lambda c: c.execute(query).all())
    if len(found) != 1:
        raise Invalid("no such handoff of a request, or several", field="handoff", code="not_found")
    await handoffs.close(app.kernel, app.rules, found[0].id, by=by.name, note=note)
    return await go_on(app, str(found[0].event_id).removeprefix("privacy:"))


# ── going on ─────────────────────────────────────────────────────────────────────────────────────────────
async def work(app: App) -> int:
    """Take up every request that isn't done. Returns how many still aren't."""
    query = sa.select(privacy_request.c.id).where(privacy_request.c.state != "done")
    waiting = await app.kernel.store.read(lambda c: list(c.execute(query).scalars()))
    still = 0
    for identifier in waiting:
        try:
            still += (await go_on(app, str(identifier))).state != "done"
        except Retryable as error:
            log.warning("privacy.waits", code=error.code)
            still += 1
    return still


async def go_on(app: App, identifier: str) -> Request:
    """As far as it goes now."""
    steps = {"stopping": _stopped, "erasing": _erased, "scrubbing": _scrubbed, "tickets": _settled}
    row = await _row(app, identifier)
    while row.state in steps and await steps[row.state](app, row):
        row = await _row(app, identifier)
    return next(one for one in await listed(app.kernel) if one.id == identifier)


async def _row(app: App, identifier: str) -> Row:
    query = sa.select(privacy_request).where(privacy_request.c.id == identifier)
    return await app.kernel.store.read(lambda c: c.execute(query).one())


async def _stopped(app: App, row: Row) -> bool:
    """Every stop of theirs is over, and nothing about them is on its way: looking it up needs whom it was about."""
    subject = unpacked(row.subject)
    for _ in range(TRIES):
        if not await app.kernel.store.read(lambda c: _still_stopping(c, subject)):
            break
        await stopping.work(app)
    waiting = await app.kernel.store.read(lambda c: _still_stopping(c, subject))
    return await app.kernel.store.write(
        lambda c: _to(app, c, row, "stopping" if waiting else "erasing", {"waits_for": waiting})
    )


def _still_stopping(connection: sa.Connection, subject: Subject) -> str:
    mine = (stop.c.target.in_(subject.addresses), stop.c.state == "open")
    if connection.execute(sa.select(sa.func.count()).where(*mine)).scalar():
        return "vendors to confirm that they are stopped"
    doubts = stores.open_effects(connection, subject)
    return f"{doubts} effects to be settled: swarm effects list" if doubts else ""


async def _erased(app: App, row: Row) -> bool:
    """Table by table, then the files; again until a look through all of it finds nothing."""
    subject, kernel = unpacked(row.subject), app.kernel
    for table in stores.tables():
        while await kernel.store.write(partial(stores.erase, table=table, subject=subject)):
            continue
    looked = await anyio.to_thread.run_sync(traces.erase, kernel.settings.home, subject)

    def change(connection: sa.Connection) -> bool:
        if stores.left(connection, subject):
            return True  # something was written meanwhile: once more
        for file in looked.unreadable:
            by_hand.ticket_in(app, connection, row.id, "files", app.rules.privacy.by_hand["files"], file)
        return _to(app, connection, row, "scrubbing", {"files": len(looked.changed)}, subject="{}")

    return await kernel.store.write(change)


async def _scrubbed(app: App, row: Row) -> bool:
    await app.kernel.store.scrub()
    return await app.kernel.store.write(lambda c: _to(app, c, row, "tickets", {}))


async def _settled(app: App, row: Row) -> bool:
    """Over once a person has done what only a person can."""

    def change(connection: sa.Connection) -> bool:
        if by_hand.open_in(connection).get(row.id, 0):
            return False
        return _to(app, connection, row, "done", {}, done_at=iso(app.kernel.clock.now()))

    return await app.kernel.store.write(change)


def _to(
    app: App, connection: sa.Connection, row: Row, state: str, detail: Mapping[str, Json], **more: str
) -> bool:
    """Note where it stands. True if it went on."""
    values = {"state": state, "detail": canonical(dict(detail)).decode(), **more}
    here = (privacy_request.c.id == row.id, privacy_request.c.state == row.state)
    moved = connection.execute(sa.update(privacy_request).where(*here).values(**values)).rowcount > 0
    if moved and state != row.state:
        append(connection, [Entry(f"privacy.{state}", row.id, {"kind": row.kind})], app.kernel.clock.now())
    return moved and state != row.state


# ── how they stand ───────────────────────────────────────────────────────────────────────────────────────
async def listed(kernel: Kernel) -> list[Request]:
    """Every request, the most urgent of those that aren't done first."""
    now = iso(kernel.clock.now())

    def query(connection: sa.Connection) -> list[Request]:
        order = (privacy_request.c.state == "done", privacy_request.c.due_at)
        rows = connection.execute(sa.select(privacy_request).order_by(*order))
        tickets = by_hand.open_in(connection)
        return [_request(row, now, tickets.get(row.id, 0)) for row in rows]

    return await kernel.store.read(query)


def _request(row: Row, now: str, tickets: int) -> Request:
    told = str(json.loads(row.detail).get("waits_for", ""))
    told_by_hand = (
        f"{tickets} handoffs: what only a person can do" if tickets and row.state == "tickets" else ""
    )
    return Request(
        id=row.id,
        kind=row.kind,
        state=row.state,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        due_at=row.due_at,
        done_at=row.done_at,
        overdue=row.state not in ("tickets", "done") and row.due_at < now,
        tickets=tickets,
        waits_for=told or told_by_hand,
    )
