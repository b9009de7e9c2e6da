"""Touches on LinkedIn: tasks for people, listed when a campaign goes live. Nothing here opens LinkedIn.

    campaign live ─▶ open, due on its day ─ done | skipped     (by a named person)

One whose person was stopped, or whose campaign isn't live any more, is not shown and can't be done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from orchestrator.accounts import need
from orchestrator.intake import read_leads
from orchestrator.outreach_rules import LinkedIn, Window
from orchestrator.rules import Rules
from shared.approval import Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, digest
from shared.errors import Conflict, Invalid
from shared.foreign import clean
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, touch

Ended = Literal["done", "skipped"]
RUNNING = ("live", "completed")
LONGEST_NOTE = 500


@dataclass(frozen=True, slots=True)
class Task:
    """One touch for somebody to do by hand. Name, title and company come from outside."""

    id: str
    lead_id: str
    campaign_id: str
    name: str
    title: str
    company: str
    profile: str
    day: int
    what: str
    due: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Tasks:
    """What is due, as many as one LinkedIn account bears in a day, and how many more there are."""

    due: tuple[Task, ...]
    done_today: int
    a_day: int
    held_back: int  # due too, but more than LinkedIn bears today
    later: int


# ── making them ──────────────────────────────────────────────────────────────────────────────────────────
def add_in(
    connection: sa.Connection, rules: Rules, campaign_id: str, days: Sequence[int], now: datetime
) -> int:
    """In the transaction that makes a campaign live: a task for each of its people and days. Returns how many."""
    live = sa.select(campaign_lead.c.lead_id).where(
        campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.state == "live"
    )
    known = set(connection.execute(sa.select(touch.c.id).where(touch.c.campaign_id == campaign_id)).scalars())
    rows = [
        {"id": identity, "campaign_id": campaign_id, "lead_id": lead_id, "day": day, "due_at": iso(due)}
        for lead_id in connection.execute(live.order_by(campaign_lead.c.lead_id)).scalars()
        for day, due in _dates(days, rules.outreach.window, now)
        if (identity := digest("touch/v1", campaign_id, lead_id, day)[:16]) not in known
    ]
    if rows:
        connection.execute(sa.insert(touch), rows)
    return len(rows)


def _dates(days: Sequence[int], window: Window, start: datetime) -> list[tuple[int, datetime]]:
    """Each day after the start, on the next one that people work, at the hour they begin."""
    zone = ZoneInfo(window.timezone)
    hour = time.fromisoformat(window.start)
    found = []
    for day in days:
        date = start.astimezone(zone).date() + timedelta(days=day)
        while date.weekday() not in window.weekdays:
            date += timedelta(days=1)
        found.append((day, datetime.combine(date, hour, zone)))
    return found


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
async def tasks(kernel: Kernel, rules: LinkedIn, limit: int = 0) -> Tasks:
    """What is due now, the oldest first; never more than one account bears in a day."""
    return await kernel.store.read(lambda c: _tasks(c, rules, kernel.clock.now(), limit))


def _tasks(connection: sa.Connection, rules: LinkedIn, now: datetime, limit: int) -> Tasks:
    since = iso(now - timedelta(days=1))
    ended = sa.select(sa.func.count()).where(touch.c.state == "done", touch.c.at >= since)
    done = connection.execute(ended).scalar() or 0
    room = max(0, rules.touches_per_day - done)
    due = _standing().where(touch.c.due_at <= iso(now)).order_by(touch.c.due_at, touch.c.id)
    waiting = _count(connection, due)
    rows = connection.execute(due.limit(min(room, limit or room))).all()
    leads = read_leads(connection, [row.lead_id for row in rows])
    late = iso(now - timedelta(days=1))
    shown = [
        Task(
            id=row.id,
            lead_id=row.lead_id,
            campaign_id=row.campaign_id,
            name=clean(leads[row.lead_id].name),
            title=clean(leads[row.lead_id].title),
            company=clean(leads[row.lead_id].company),
            profile=leads[row.lead_id].linkedin_url,
            day=row.day,
            what=rules.task(row.day),
            due=row.due_at,
            overdue=row.due_at < late,
        )
        for row in rows
        if row.lead_id in leads
    ]
    later = _count(connection, _standing().where(touch.c.due_at > iso(now)))
    return Tasks(tuple(shown), done, rules.touches_per_day, max(0, waiting - len(rows)), later)


def _standing() -> sa.Select[str, str, str, int, str]:
    """Open ones whose person is still written to, in a campaign that runs."""
    return (
        sa.select(touch.c.id, touch.c.lead_id, touch.c.campaign_id, touch.c.day, touch.c.due_at)
        .join(campaign, campaign.c.id == touch.c.campaign_id)
        .join(
            campaign_lead,
            sa.and_(
                campaign_lead.c.campaign_id == touch.c.campaign_id, campaign_lead.c.lead_id == touch.c.lead_id
            ),
        )
        .where(touch.c.state == "open", campaign.c.state.in_(RUNNING), campaign_lead.c.state == "live")
    )


def _count(connection: sa.Connection, query: sa.Select[str, str, str, int, str]) -> int:
    counted = sa.select(sa.func.count()).select_from(query.order_by(None).subquery())
    return connection.execute(counted).scalar() or 0


# ── ending one ───────────────────────────────────────────────────────────────────────────────────────────
async def end(kernel: Kernel, touch_id: str, how: Ended, *, person: Person, note: str = "") -> None:
    """A person did it, or leaves it. Raises `Invalid` for an unknown one, `Conflict` for one that stands no more."""
    need(person, "approve")
    tidy = " ".join(clean(note).split())[:LONGEST_NOTE]

    def change(connection: sa.Connection) -> None:
        row = connection.execute(sa.select(touch).where(touch.c.id == touch_id)).one_or_none()
        if row is None:
            raise Invalid("there is no such task", field="task", code="not_found")
        if row.state != "open":
            raise Conflict(f"{row.by} ended this task before: {row.state}", code="decided")
        if connection.execute(_standing().where(touch.c.id == touch_id)).one_or_none() is None:
            message = "this person is not to be touched any more: stopped, or the campaign stands still"
            raise Conflict(message, code="not_standing")
        now = kernel.clock.now()
        values = {"state": how, "by": person.name, "note": tidy, "at": iso(now)}
        connection.execute(sa.update(touch).where(touch.c.id == touch_id).values(**values))
        payload: dict[str, Json] = {"task": touch_id, "day": row.day, "note": tidy}
        append(connection, [Entry(f"linkedin.{how}", row.lead_id, payload, person.name)], now)

    await kernel.store.write(change)
