"""The watch: reads how things stand, decides what a person must be told, and has it told.

look ─▶ facts ─ decide (pure) ─▶ alerts ─ raised or cleared in the table ─ delivered
     └ the database can't be read or written ─▶ told without it
"""

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import mailboxes, schedules, standstill
from shared import published
from shared.alerts import Alert, Alerts, Severity, read
from shared.clock import iso
from shared.kernel import Kernel
from shared.metrics import Queue, Standing, age, standing
from shared.pipeline_schema import handoff, privacy_request
from shared.places import all_places
from shared.safety_rules import AlertRules
from shared.schema import alert as alert_table
from shared.schema import audit_checkpoint, relaxation
from shared.settings import Settings
from shared.store import Unavailable
from shared.switches import Safety
from shared.vault import lost_in
from shared.vendor_standing import VendorStanding, vendors

MEGABYTE = 1_000_000
CHANNEL = "alert_channel"
A_DAY = timedelta(days=1)
MOST_BREACHED = 20  # handoffs with an alert of their own
FORKED = "forked"  # what a place's problem says then
# Everything that `decide` may raise: what it doesn't raise any more is over.
WATCHED = frozenset(
    {
        "privacy",
        *("kill_switch", "alone", "halt", "in_doubt", "suppression_sync", "stops", "vendor_pause", "inbox"),
        *("inbox_failed", "reviews", "handoffs", "sla", "audit_exposed", "audit_window", "audit_forked"),
        *("checkpoint", "worker_part", "credentials", "disk", "spool", "schedule"),
        *("breaker", "clock_skew", CHANNEL),
    }
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What alerts are decided by. Ages in seconds."""

    standing: Standing
    privacy: Queue = field(default_factory=Queue)  # requests of people past their deadline
    kill_sources: tuple[str, ...] = ()
    kill_age: float = 0.0
    halts: tuple[str, ...] = ()  # what stands still by a rule
    alone: tuple[str, ...] = ()  # what one person let go on in the last day, though it takes two
    vendor_pause: Queue = field(default_factory=Queue)
    # File or witness → age of the first checkpoint that it lacks.
    unpublished: Mapping[str, float] = field(default_factory=dict)
    forked: tuple[str, ...] = ()  # witnesses that hold another history of the audit log
    watched_over: bool = False  # somebody outside is to hold checkpoints
    free_mb: float = 0.0
    spooled: float = 0.0  # since the last opt-out that the database couldn't take; 0 if none waits
    broken: Mapping[str, str] = field(default_factory=dict)  # part of the worker → kind of error
    lost: Mapping[str, str] = field(
        default_factory=dict
    )  # vendor account without valid credentials → since when
    breached: tuple[tuple[str, str], ...] = ()  # handoffs whose promised time is over: id and priority
    late: tuple[schedules.Standing, ...] = ()  # what is done again and again, and lags
    vendors: Mapping[str, VendorStanding] = field(default_factory=dict)
    # Channel of alerts → age of the oldest that it doesn't take.
    channels: Mapping[str, float] = field(default_factory=dict)


async def work(
    kernel: Kernel, alerts: Alerts, broken: Mapping[str, str], late: Sequence[schedules.Standing] = ()
) -> int:
    """One look, and everything that follows from it. Returns how many alerts stand.

    `broken`: parts of the worker that failed the last time, with the kind of error; `late`: schedules that lag.
    Raises `Unavailable`, told.
    """
    try:
        facts = replace(await look(kernel, broken), late=tuple(late))
        found = decide(facts, kernel.settings.safety.alerts)
        await alerts.see(found, WATCHED)
        await alerts.deliver()
    except Unavailable:
        await alerts.cry(NO_DATABASE)
        raise
    return len(found)


NO_DATABASE = Alert(
    "database",
    "critical",
    "the database can't be read or written; nothing is done outside meanwhile",
    value=1,
    threshold=0,
    unit="failures",
)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────
async def look(kernel: Kernel, broken: Mapping[str, str]) -> Facts:
    """How things stand: one consistent read of the database, the published files and the disk."""
    covered, free = await anyio.to_thread.run_sync(_disk, kernel.settings)
    now, since = kernel.clock.now(), await anyio.to_thread.run_sync(kernel.spool.since)

    def query(connection: sa.Connection) -> Facts:
        safety, known = kernel.switches.state(connection), all_places(connection)
        seen = {name: known[name].size if name in known else 0 for name in kernel.witnesses.names}
        return Facts(
            standing=standing(connection, safety, now),
            privacy=_overdue(connection, now),
            kill_sources=safety.kill_sources,
            kill_age=_aged(_killed_at(connection, safety), now),
            halts=tuple(pause.scope for pause in safety.pauses if pause.kind == "halt"),
            alone=_alone(connection, now),
            vendor_pause=_unconfirmed(connection, safety, now),
            unpublished=_unpublished(connection, {**covered, **seen}, now),
            forked=tuple(name for name in seen if name in known and known[name].problem == FORKED),
            watched_over=bool(seen) or len(covered) > 1,
            free_mb=free / MEGABYTE,
            spooled=max(0.0, now.timestamp() - since) if since else 0.0,
            broken=dict(broken),
            lost=lost_in(connection),
            vendors=vendors(connection, kernel.settings.vendors, now),
            channels=_silent(connection, now),
            breached=_breached(connection),
        )

    return await kernel.store.read(query)


def _disk(settings: Settings) -> tuple[dict[str, int], int]:
    """What each published file covers, and the free bytes."""
    files = published.files_of(settings).all
    free = shutil.disk_usage(settings.home).free
    return {published.short(path): published.covered(path) for path in files}, free


def _aged(moment: str, now: datetime) -> float:
    return age(moment, now) if moment else 0.0


def _killed_at(connection: sa.Connection, safety: Safety) -> str:
    """Since when; a variable doesn't say, so it is when the watch saw it first."""
    if not safety.killed or safety.killed_at:
        return safety.killed_at
    mine = (alert_table.c.name == "kill_switch", alert_table.c.cleared_at == "")
    return connection.execute(sa.select(alert_table.c.raised_at).where(*mine)).scalar() or ""


def _breached(connection: sa.Connection) -> tuple[tuple[str, str], ...]:
    """The longest broken promises; more of them are one alert, `handoffs`."""
    late = sa.select(handoff.c.id, handoff.c.priority).where(
        handoff.c.state == "pending", handoff.c.breached_at != ""
    )
    rows = connection.execute(late.order_by(handoff.c.due_at).limit(MOST_BREACHED))
    return tuple((row.id, row.priority) for row in rows)


def _overdue(connection: sa.Connection, now: datetime) -> Queue:
    """Requests of people that should be done here; what is left to do by hand has due times of its own."""
    here = privacy_request.c.state.not_in(("tickets", "done"))
    due = sa.select(privacy_request.c.due_at).where(here, privacy_request.c.due_at < iso(now))
    ages = [age(moment, now) for moment in connection.execute(due).scalars()]
    return Queue(len(ages), max(ages, default=0.0))


def _alone(connection: sa.Connection, now: datetime) -> tuple[str, ...]:
    lately = (relaxation.c.state == "alone", relaxation.c.at > iso(now - A_DAY))
    rows = connection.execute(sa.select(relaxation.c.what, relaxation.c.scope).where(*lately).distinct())
    return tuple(sorted(f"{row.what} {row.scope}".strip() for row in rows))


def _unconfirmed(connection: sa.Connection, safety: Safety, now: datetime) -> Queue:
    """Campaigns and mailboxes that stand still here and not, as far as we know, at their vendor."""
    killed = _killed_at(connection, safety)
    parts = (standstill.progress(connection, safety), mailboxes.progress(connection, safety))
    ages = [_aged(one.since or killed, now) for part in parts for one in part.open]
    return Queue(len(ages), max(ages, default=0.0))


def _unpublished(connection: sa.Connection, covered: Mapping[str, int], now: datetime) -> dict[str, float]:
    """Files and witnesses that lack a checkpoint, and for how long."""
    ages: dict[str, float] = {}
    for place, size in covered.items():
        missing = sa.select(sa.func.min(audit_checkpoint.c.at)).where(audit_checkpoint.c.size > size)
        if since := connection.execute(missing).scalar():
            ages[place] = age(since, now)
    return ages


def _silent(connection: sa.Connection, now: datetime) -> dict[str, float]:
    """Channels that don't take alerts, and for how long: those about channels don't count, or one would keep itself."""
    standing_ones = sa.select(alert_table).where(
        alert_table.c.cleared_at == "", alert_table.c.name != CHANNEL
    )
    ages: dict[str, float] = {}
    for raised in map(read, connection.execute(standing_ones)):
        for channel, delivery in raised.deliveries.items():
            if delivery.state == "undelivered":
                ages[channel] = max(ages.get(channel, 0.0), age(raised.raised_at, now))
    return ages


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def decide(facts: Facts, rules: AlertRules) -> list[Alert]:
    """Everything that a person must be told of, as things stand."""
    parts = (_waiting, _too_many, _broken, _unheard, _vendors)
    here = (alert for part in parts for alert in part(facts, rules))
    return [*_stopped(facts), *here, *_behind(facts)]


def _stopped(facts: Facts) -> Iterator[Alert]:
    if facts.standing.killed:
        text = f"the kill switch is on, by {', '.join(facts.kill_sources)}: no effect begins"
        yield Alert("kill_switch", "critical", text, 1, 0, "switches", f"for {_span(facts.kill_age)}")
    for what in facts.alone:
        text = "one person at the host let this go on, though it takes two admins"
        yield Alert("alone", "warning", text, 1, 0, "persons", "last 24 hours", what)
    for scope in facts.halts:
        text = "a rule stopped this; a named person clears it"
        yield Alert("halt", "critical", text, 1, 0, "halts", scope=scope)


def _waiting(facts: Facts, rules: AlertRules) -> Iterator[Alert]:
    """What may last some minutes, and lasts longer."""
    now = facts.standing
    yield from _late("in_doubt", "critical", now.in_doubt, rules.in_doubt_minutes, "effects are in doubt")
    text = "opt-outs are not confirmed by every vendor; enter them there by hand"
    yield from _late("suppression_sync", "critical", now.suppression_sync, rules.suppression_minutes, text)
    text = "stops are not confirmed by every vendor"
    yield from _late("stops", "warning", now.stops, rules.stop_minutes, text)
    text = "campaigns or mailboxes stand still here, and the vendor may still be sending"
    yield from _late("vendor_pause", "critical", facts.vendor_pause, rules.vendor_pause_minutes, text)
    yield from _late("inbox", "warning", now.inbox, rules.inbox_minutes, "webhooks wait to be understood")
    yield from _late("reviews", "warning", now.reviews, rules.review_minutes, "campaigns wait for a review")
    text = "requests of people by right are past their deadline"
    yield from _late("privacy", "critical", facts.privacy, 0, text)
    for name, priority in facts.breached:
        text = "nobody took this handoff within the promised time"
        severity: Severity = "critical" if priority == "critical" else "warning"
        yield Alert("sla", severity, text, 1, 0, "handoffs", "since it was due", name)
    text = "handoffs are past their due time"
    yield from _late("handoffs", "warning", now.handoffs_overdue, rules.handoff_late_minutes, text)


def _late(name: str, severity: Severity, queue: Queue, minutes: float, text: str) -> Iterator[Alert]:
    """One alert if the oldest of a queue waits longer than that."""
    if queue.count and queue.oldest_seconds > minutes * 60:
        waited = _minutes(queue.oldest_seconds)
        yield Alert(name, severity, f"{queue.count} {text}", waited, minutes, "minutes", "age of the oldest")


def _too_many(facts: Facts, rules: AlertRules) -> Iterator[Alert]:
    failed, exposed = facts.standing.inbox_failed, facts.standing.audit_exposed
    if failed > rules.inbox_failed:
        text = "webhooks couldn't be understood, and wait for a person"
        yield Alert("inbox_failed", "warning", text, failed, rules.inbox_failed, "webhooks")
    if exposed > rules.audit_exposed:
        text = "audit entries are covered by no checkpoint"
        yield Alert("audit_exposed", "critical", text, exposed, rules.audit_exposed, "entries")
    window = facts.standing.audit_window
    if facts.watched_over and window > rules.audit_exposed:
        text = "audit entries could be cut off without anybody outside noticing"
        yield Alert("audit_window", "critical", text, window, rules.audit_exposed, "entries")


def _broken(facts: Facts, rules: AlertRules) -> Iterator[Alert]:
    """What doesn't work on this machine."""
    for name in facts.forked:
        text = (
            "this witness holds another history of the audit log: it was rewritten, or an old copy put back"
        )
        yield Alert("audit_forked", "critical", text, 1, 0, "histories", scope=name)
    for file, seconds in facts.unpublished.items():
        if seconds > rules.checkpoint_minutes * 60:
            text = "checkpoints of the audit log don't get there"
            waited, limit = _minutes(seconds), rules.checkpoint_minutes
            window = "age of the first it lacks"
            yield Alert("checkpoint", "critical", text, waited, limit, "minutes", window, file)
    for part, kind in facts.broken.items():
        text = f"a part of the worker fails ({kind}) and is tried again"
        yield Alert("worker_part", "critical", text, 1, 0, "failures", "last round", part)
    for account, since in facts.lost.items():
        text = "this account's credentials are lost, and nothing reaches the vendor: a person must grant access anew"
        yield Alert("credentials", "critical", text, 1, 0, "accounts", f"since {since}", account)
    if facts.spooled > rules.spool_minutes * 60:
        text = "opt-outs wait in the spool and can't be taken in; nothing is sent before"
        waited = _minutes(facts.spooled)
        yield Alert("spool", "critical", text, waited, rules.spool_minutes, "minutes", "age of the newest")
    if facts.free_mb < rules.disk_free_mb:
        text = "the disk that holds the data is nearly full"
        yield Alert("disk", "critical", text, round(facts.free_mb), rules.disk_free_mb, "MB free")


def _behind(facts: Facts) -> Iterator[Alert]:
    """What is done again and again, and wasn't."""
    for one in facts.late:
        text = f"this is done again and again, and is behind ({one.message or 'it never ended'})"
        waited, limit = _minutes(one.lag_seconds), one.late_after_seconds / 60
        yield Alert("schedule", "warning", text, waited, limit, "minutes", "since it was due", one.name)


def _unheard(facts: Facts, rules: AlertRules) -> Iterator[Alert]:
    """Channels by which nobody hears."""
    for channel, seconds in facts.channels.items():
        if seconds > rules.channel_minutes * 60:
            text = "alerts don't get through by this channel"
            waited, limit = _minutes(seconds), rules.channel_minutes
            yield Alert(CHANNEL, "critical", text, waited, limit, "minutes", "age of the oldest", channel)


def _vendors(facts: Facts, rules: AlertRules) -> Iterator[Alert]:
    """What is wrong at vendors, and between us and them."""
    for name, one in facts.vendors.items():
        if one.open_seconds > rules.breaker_minutes * 60:
            text = "this vendor keeps failing and is left alone; what needs it waits"
            waited, limit = _minutes(one.open_seconds), rules.breaker_minutes
            yield Alert("breaker", "critical", text, waited, limit, "minutes", "since it opened", name)
        apart = round(abs(one.clock_ahead_seconds))
        if apart > rules.clock_skew_seconds:
            text = "our clock and this vendor's differ; if several say so, it is ours"
            limit = rules.clock_skew_seconds
            yield Alert("clock_skew", "critical", text, apart, limit, "seconds", "its last answers", name)


def _minutes(seconds: float) -> float:
    """Rounded up to a tenth, so that what is over a threshold also reads so."""
    return math.ceil(seconds / 6) / 10


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes"
