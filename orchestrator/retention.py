"""What is removed by itself once it is old enough: people first, then what is only about dealing with them.

answered     their last word was so long ago               ┐
silent       written to, and nothing came back for so long │ never while something of theirs is under way:
uncontacted  collected so long ago, and never written to   ┘ a running campaign, an open stop or effect
referral     named in an answer, and nobody took them in
webhook      understood: its text goes, its id stays, so that it counts once
file         copies of what was imported, bad rows that were set aside
request      requests of people that are done              login   ended sessions, links that are over

A batch at a time, each in a transaction of its own; it may be stopped anywhere and done again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import stores
from orchestrator.app import App
from orchestrator.identity import EMAIL, PROFILE
from orchestrator.privacy_rules import Aged, Retention
from orchestrator.subject import Subject
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.kernel import Kernel
from shared.pipeline_schema import (
    campaign,
    campaign_lead,
    event,
    lead,
    lead_key,
    privacy_request,
    referral,
    stop,
)
from shared.schema import effect, inbound, login_link, session

MOST_BATCHES = 50  # of one kind in one run: what is left is due the next time
ANSWERS = ("replied", "message_received")
NOT_TAKEN = ("offered", "declined", "erased")
FOLDERS = ("imports", "quarantine")
PEOPLE: tuple[Aged, ...] = ("answered", "silent", "uncontacted")
ROWS: tuple[Aged, ...] = ("referral", "webhook", "request", "login")


@dataclass(frozen=True, slots=True)
class Due:
    """How much of a kind is over its time."""

    name: str
    days: int
    count: int
    why: str


# ── what is due ──────────────────────────────────────────────────────────────────────────────────────────
async def due(kernel: Kernel, rules: Retention) -> list[Due]:
    """Every kind with what is over its time now."""
    now = kernel.clock.now()
    before = {name: iso(now - timedelta(days=rule.days)) for name, rule in rules.rules.items()}

    def query(connection: sa.Connection) -> dict[Aged, int]:
        counted: dict[Aged, int] = {name: _count(connection, _people(name, before[name])) for name in PEOPLE}
        return counted | {
            name: sum(_count(connection, one) for one in _rows(name, before[name])) for name in ROWS
        }

    counts = await kernel.store.read(query)
    old = partial(_files, kernel.settings.home, now - timedelta(days=rules.rules["file"].days))
    counts["file"] = len(await anyio.to_thread.run_sync(lambda: list(old())))
    return [Due(name, rule.days, counts[name], rule.why) for name, rule in rules.rules.items()]


def _count(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar() or 0


def _people(name: Aged, before: str) -> sa.Select[Any]:
    """The ids of leads over their time."""
    mine = event.c.lead_id == lead.c.id
    heard = sa.exists().where(mine, event.c.type.in_(ANSWERS))
    written = sa.exists().where(campaign_lead.c.lead_id == lead.c.id, campaign_lead.c.contact_ref != "")
    kind = {"answered": heard, "silent": sa.and_(~heard, written), "uncontacted": sa.and_(~heard, ~written)}
    lately = sa.exists().where(mine, event.c.received_at >= before)
    old = lead.c.created_at < before if name == "uncontacted" else lead.c.updated_at < before
    return sa.select(lead.c.id).where(kind[name], old, ~lately, *at_rest())


def at_rest() -> Iterator[sa.ColumnElement[bool]]:
    """Nothing of theirs is under way."""
    running = sa.exists().where(
        campaign_lead.c.lead_id == lead.c.id,
        campaign.c.id == campaign_lead.c.campaign_id,
        campaign.c.state.not_in(("completed", "rejected", "superseded", "failed", "simulated")),
        campaign_lead.c.state.not_in(("stopped", "held", "refused", "failed")),
    )
    stopping = _under(stop.c.target, stop.c.state == "open")
    acting = _under(effect.c.target, effect.c.status.in_(("claimed", "in_doubt")))
    yield from (~running, ~stopping, ~acting)


def _under(target: sa.Column[str], which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Whether there is such a row under the lead's address, or under another that it was known by."""
    mine = (lead_key.c.lead_id == lead.c.id, lead_key.c.key.startswith(EMAIL))
    other = sa.exists().where(*mine, target == sa.func.substr(lead_key.c.key, len(EMAIL) + 1), which)
    return sa.or_(sa.exists().where(target == lead.c.email, which), other)


def _rows(name: Aged, before: str) -> list[sa.Select[Any]]:
    """What is over its time, by primary key."""
    return {
        "referral": [sa.select(referral.c.id).where(referral.c.state.in_(NOT_TAKEN), referral.c.at < before)],
        "webhook": [
            sa.select(inbound.c.id).where(
                inbound.c.received_at < before, inbound.c.state == "done", sa.func.length(inbound.c.raw) > 0
            )
        ],
        "request": [
            sa.select(privacy_request.c.id).where(
                privacy_request.c.state == "done", privacy_request.c.done_at < before
            )
        ],
        "login": [
            sa.select(session.c.token).where(session.c.seen_at < before),
            sa.select(login_link.c.token).where(login_link.c.expires_at < before),
        ],
    }[name]


def _files(home: Path, before: datetime) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((home / folder).glob("*")):
            if path.is_file() and path.stat().st_mtime < before.timestamp():
                yield path


# ── doing it ─────────────────────────────────────────────────────────────────────────────────────────────
async def apply(app: App) -> dict[str, int]:
    """Remove what is over its time. Returns how many of each kind; what is left then is due the next time."""
    kernel, rules = app.kernel, app.rules.privacy.retention
    now = kernel.clock.now()
    done: dict[str, int] = {}
    for name, rule in rules.rules.items():
        before = now - timedelta(days=rule.days)
        if name == "file":
            done[name] = await anyio.to_thread.run_sync(_unlink, kernel.settings.home, before)
            continue
        remove: Callable[[sa.Connection], int] = partial(
            _forget if name in PEOPLE else _clear, name=name, before=iso(before), most=rules.batch, now=now
        )
        done[name] = 0
        for _ in range(MOST_BATCHES):
            removed = await kernel.store.write(remove)
            done[name] += removed
            if removed < rules.batch:
                break
    return {name: count for name, count in done.items() if count}


def _unlink(home: Path, before: datetime) -> int:
    found = list(_files(home, before))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _clear(connection: sa.Connection, *, name: Aged, before: str, most: int, now: datetime) -> int:
    """Delete rows, or empty a webhook: its id makes sure that it counts once."""
    removed = 0
    for query in _rows(name, before):
        keys = list(connection.execute(query.limit(most)).scalars())
        (column,) = query.selected_columns
        table = column.table
        here = column.in_(keys)
        change = (
            sa.update(table).where(here).values(raw=b"") if table is inbound else sa.delete(table).where(here)
        )
        removed += connection.execute(change).rowcount if keys else 0
    _note(connection, name, removed, now)
    return removed


def _forget(connection: sa.Connection, *, name: Aged, before: str, most: int, now: datetime) -> int:
    """Everything of these people, wherever a row is theirs. Where many are spoken of, our id of them stays."""
    ids = tuple(connection.execute(_people(name, before).limit(most)).scalars())
    if not ids:
        return 0
    subject = _together(connection, ids)
    for table in stores.tables():
        stores.erase_rows(connection, table, subject)
    _note(connection, name, len(ids), now)
    return len(ids)


def _together(connection: sa.Connection, ids: tuple[str, ...]) -> Subject:
    """A batch of people as one: for rows that are theirs it doesn't matter whose."""
    known = list(connection.execute(sa.select(lead.c.email, lead.c.linkedin_url).where(lead.c.id.in_(ids))))
    mine = sa.select(campaign_lead.c.email, campaign_lead.c.contact_ref).where(
        campaign_lead.c.lead_id.in_(ids)
    )
    enrolled = list(connection.execute(mine))
    names = connection.execute(sa.select(lead_key.c.key).where(lead_key.c.lead_id.in_(ids))).scalars().all()
    addresses = [row.email for row in (*known, *enrolled)] + _of_kind(names, EMAIL)
    profiles = [row.linkedin_url for row in known] + _of_kind(names, PROFILE)
    paths = [one.removeprefix("https://").removeprefix("www.") for one in profiles]
    contacts = _once([row.contact_ref for row in enrolled])
    return Subject(ids, _once(addresses), _once(paths), references={"crm": contacts} if contacts else {})


def _of_kind(names: Sequence[str], kind: str) -> list[str]:
    return [name.removeprefix(kind) for name in names if name.startswith(kind)]


def _once(found: Iterable[str]) -> tuple[str, ...]:
    """Each once, in their order, without the empty one."""
    return tuple(dict.fromkeys(filter(None, found)))


def _note(connection: sa.Connection, name: Aged, count: int, now: datetime) -> None:
    if count:
        payload: Mapping[str, Json] = {"removed": count}
        append(connection, [Entry("retention.applied", name, payload)], now)
