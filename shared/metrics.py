"""Numbers for whoever watches: counted in the database when asked for, in the words of Prometheus or as JSON.

`standing` is cheap, and is what alerts are decided by; `measure` adds totals over everything that ever happened.
No number names a person: labels are vendors, states and our own words.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from shared.alerts import read
from shared.clock import iso, parse
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, event, handoff, owed, reply, stop, watermark
from shared.places import held
from shared.schema import alert, audit_checkpoint, audit_head, effect, inbound
from shared.switches import Safety
from shared.vendor_standing import VendorStanding, vendors

CONTENT_TYPE = CONTENT_TYPE_LATEST
MOST_MEASURED = 10_000  # stops that a lag is taken of
# What is counted of events; others are there, and nobody watches them.
COUNTED: Mapping[str, str] = {
    "sent": "sends",
    "opened": "opens",
    "replied": "replies",
    "bounced": "bounces",
    "complained": "complaints",
    "unsubscribed": "unsubscribes",
}


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits: how many, and how old the oldest is in seconds; 0 where nothing waits."""

    count: int = 0
    oldest_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How long it took from an opt-out to every vendor's word for it, in seconds, over the last day."""

    count: int = 0
    median: float = 0.0
    p99: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How things stand at this instant."""

    killed: bool
    safe_mode: bool
    read_only: bool
    pauses: int
    in_doubt: Queue
    stops: Queue
    suppression_sync: Queue
    inbox: Queue
    inbox_failed: int
    reviews: Queue
    handoffs: Queue
    handoffs_overdue: Queue  # its age: since it was due
    audit_entries: int
    audit_exposed: int
    audit_window: int = 0  # entries that nobody outside holds a checkpoint over
    suppression_lag: Lag = field(default_factory=Lag)
    suppression_looked: float = (
        0.0  # seconds since the list was compared with the vendors'; 0 if it never was
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """Everything that is counted."""

    standing: Standing
    events: Mapping[str, int]  # sends, opens, replies, …
    replies: Mapping[str, int]  # by class
    effects: Mapping[str, Mapping[str, int]]  # vendor → status → how many
    crm_writes: int
    alerts: Mapping[str, str]  # what stands: name → severity
    alerts_undelivered: int
    vendors: Mapping[str, VendorStanding]


async def measure(kernel: Kernel) -> Metrics:
    """All numbers, in one consistent read."""
    now, crm = kernel.clock.now(), kernel.settings.suite.ports["crm"].server

    def query(connection: sa.Connection) -> Metrics:
        standing_now = standing(connection, kernel.switches.state(connection), now)
        accounts = vendors(connection, kernel.settings.vendors, now)
        return _metrics(connection, standing_now, crm, accounts)

    return await kernel.store.read(query)


def standing(connection: sa.Connection, safety: Safety, now: datetime) -> Standing:
    """How things stand; every count is found by an index."""
    size = connection.execute(sa.select(audit_head.c.size)).scalar() or 0
    covered = connection.execute(sa.select(sa.func.max(audit_checkpoint.c.size))).scalar() or 0
    waiting = handoff.c.state == "pending"
    overdue = (waiting, handoff.c.due_at != "", handoff.c.due_at < iso(now))

    def queue(column: sa.Column[str], *where: sa.ColumnElement[bool]) -> Queue:
        return _queue(connection, now, column, *where)

    return Standing(
        killed=safety.killed,
        safe_mode=safety.safe_mode,
        read_only=safety.read_only,
        pauses=len(safety.pauses),
        in_doubt=doubtful(connection, now),
        stops=queue(stop.c.at, stop.c.state == "open"),
        suppression_sync=_both(
            queue(stop.c.at, stop.c.state == "open", stop.c.kind.in_(("person", "domain"))),
            queue(owed.c.at, owed.c.state == "open"),
        ),
        suppression_lag=lag(connection, now),
        suppression_looked=_since(connection, "suppression.sync", now),
        inbox=queue(inbound.c.received_at, inbound.c.state == "new"),
        inbox_failed=queue(inbound.c.received_at, inbound.c.state == "failed").count,
        reviews=queue(campaign.c.created_at, campaign.c.state == "pending_review"),
        handoffs=queue(handoff.c.created_at, waiting),
        handoffs_overdue=queue(handoff.c.due_at, *overdue),
        audit_entries=size,
        audit_exposed=size - covered,
        audit_window=size - min(size, held(connection)),
    )


def doubtful(connection: sa.Connection, now: datetime) -> Queue:
    """Effects whose answer was lost and that nobody has settled; aged by when they were last tried."""
    return _queue(connection, now, effect.c.claimed_at, effect.c.status == "in_doubt")


def _queue(
    connection: sa.Connection, now: datetime, column: sa.Column[str], *where: sa.ColumnElement[bool]
) -> Queue:
    counted = sa.select(sa.func.count(), sa.func.min(sa.func.nullif(column, ""))).where(*where)
    count, oldest = connection.execute(counted).one()
    return Queue(count, age(oldest, now) if oldest else 0.0)


def _both(one: Queue, other: Queue) -> Queue:
    return Queue(one.count + other.count, max(one.oldest_seconds, other.oldest_seconds))


def lag(connection: sa.Connection, now: datetime) -> Lag:
    """Of the newest stops that were confirmed within a day; a domain's and a person's, not a sequence's."""
    lately = (stop.c.state == "confirmed", stop.c.confirmed_at > iso(now - timedelta(days=1)))
    query = sa.select(stop.c.at, stop.c.confirmed_at).where(*lately, stop.c.kind.in_(("person", "domain")))
    rows = connection.execute(query.order_by(stop.c.confirmed_at.desc()).limit(MOST_MEASURED))
    took = sorted(age(row.at, parse(row.confirmed_at)) for row in rows)
    if not took:
        return Lag()
    return Lag(len(took), took[len(took) // 2], took[len(took) * 99 // 100], took[-1])


def _since(connection: sa.Connection, name: str, now: datetime) -> float:
    """Seconds since the last look of this name began; 0 where there was none."""
    at = connection.execute(sa.select(watermark.c.at).where(watermark.c.name == name)).scalar()
    return age(at, now) if at else 0.0


def age(moment: str, now: datetime) -> float:
    """Seconds since a moment of our own; 0 for one that a clock put into the future."""
    return max(0.0, (now - parse(moment)).total_seconds())


def _metrics(
    connection: sa.Connection, now: Standing, crm: str, accounts: Mapping[str, VendorStanding]
) -> Metrics:
    found = dict(_groups(connection, event.c.type))
    statuses: dict[str, dict[str, int]] = {}
    for vendor, status, count in _groups(connection, effect.c.vendor, effect.c.status):
        statuses.setdefault(vendor, {})[status] = count
    rows = connection.execute(sa.select(alert).where(alert.c.cleared_at == ""))
    raised = [read(row) for row in rows]
    return Metrics(
        standing=now,
        events={name: found.get(word, 0) for word, name in COUNTED.items()},
        replies=dict(_groups(connection, reply.c["class"])),
        effects=statuses,
        crm_writes=statuses.get(crm, {}).get("applied", 0),
        alerts={one.alert.name: one.alert.severity for one in raised},
        alerts_undelivered=sum(one.state == "undelivered" for one in raised),
        vendors=accounts,
    )


def _groups(connection: sa.Connection, *columns: sa.Column[str]) -> Iterator[Any]:
    """Each combination of values with its count, in order."""
    query = sa.select(*columns, sa.func.count()).group_by(*columns).order_by(*columns)
    return (tuple(row) for row in connection.execute(query))


def as_json(metrics: Metrics) -> dict[str, Any]:
    """As one document."""
    return asdict(metrics)


# ── Prometheus ───────────────────────────────────────────────────────────────────────────────────────────
class _Measured(Collector):
    """Hands over what was measured already."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from _totals(self._metrics)
        yield from _gauges(self._metrics.standing)
        yield from _labelled(self._metrics)
        yield from _of_vendors(self._metrics.vendors)


def exposition(metrics: Metrics) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Measured(metrics))
    return generate_latest(registry)


def _totals(metrics: Metrics) -> Iterator[Metric]:
    for name, count in metrics.events.items():
        yield CounterMetricFamily(f"swarm_{name}", f"{name.title()} that vendors told of.", count)
    yield CounterMetricFamily("swarm_crm_writes", "Writes that the CRM confirmed.", metrics.crm_writes)


def _gauges(now: Standing) -> Iterator[Metric]:
    for name, help_text, value in (
        ("kill_switch", "1 while no effect may begin.", now.killed),
        ("safe_mode", "1 while effects are simulated.", now.safe_mode),
        ("read_only", "1 while nothing may be changed.", now.read_only),
        ("pauses", "Pauses and halts in force.", now.pauses),
        ("inbox_failed", "Webhooks that nobody could understand.", now.inbox_failed),
        ("audit_entries", "Entries of the audit log.", now.audit_entries),
        ("audit_exposed", "Audit entries that no checkpoint covers yet.", now.audit_exposed),
        (
            "audit_window",
            "Audit entries that could be cut off without anybody outside noticing.",
            now.audit_window,
        ),
    ):
        yield GaugeMetricFamily(f"swarm_{name}", help_text, value)
    for name, what, queue in (
        ("in_doubt", "Effects whose answer was lost", now.in_doubt),
        ("stops", "Stops that a vendor hasn't confirmed", now.stops),
        ("suppression_sync", "Suppressions that a vendor hasn't confirmed", now.suppression_sync),
        ("inbox", "Webhooks that wait to be understood", now.inbox),
        ("reviews", "Campaigns that wait for a review", now.reviews),
        ("handoffs", "Handoffs that nobody acknowledged", now.handoffs),
        ("handoffs_overdue", "Handoffs past their due time", now.handoffs_overdue),
    ):
        yield GaugeMetricFamily(f"swarm_{name}", f"{what}.", queue.count)
        yield GaugeMetricFamily(
            f"swarm_{name}_oldest_seconds", f"{what}: age of the oldest.", queue.oldest_seconds
        )
    yield from _lags(now)


def _lags(now: Standing) -> Iterator[Metric]:
    text = "From an opt-out to every vendor's word for it, over the last day."
    took = GaugeMetricFamily("swarm_suppression_lag_seconds", text, labels=("quantile",))
    measured = now.suppression_lag
    for quantile, seconds in (("0.5", measured.median), ("0.99", measured.p99), ("1", measured.longest)):
        took.add_metric((quantile,), seconds)
    yield took
    text = "Since our list was last compared with the vendors'."
    yield GaugeMetricFamily("swarm_suppression_looked_seconds", text, now.suppression_looked)


def _labelled(metrics: Metrics) -> Iterator[Metric]:
    effects = GaugeMetricFamily(
        "swarm_effects", "Effects by vendor and how they stand.", labels=("vendor", "status")
    )
    for vendor, statuses in metrics.effects.items():
        for status, count in statuses.items():
            effects.add_metric((vendor, status), count)
    yield effects
    replies = GaugeMetricFamily("swarm_replies_by_class", "Replies by class.", labels=("class",))
    for name, count in metrics.replies.items():
        replies.add_metric((name,), count)
    yield replies
    alerts = GaugeMetricFamily("swarm_alert", "1 for each alert that stands.", labels=("name", "severity"))
    for name, severity in metrics.alerts.items():
        alerts.add_metric((name, severity), 1)
    yield alerts
    undelivered = "Alerts that a channel didn't take."
    yield GaugeMetricFamily("swarm_alerts_undelivered", undelivered, metrics.alerts_undelivered)


def _of_vendors(accounts: Mapping[str, VendorStanding]) -> Iterator[Metric]:
    """One family for each number of an account."""
    totals: tuple[tuple[str, str, Callable[[VendorStanding], float]], ...] = (
        ("calls", "Calls to a vendor that went out, retries included.", lambda one: one.calls),
        ("call_retries", "Calls that were tried again.", lambda one: one.retries),
        ("call_failures", "Calls that failed: no answer, 429, 5xx.", lambda one: one.failures),
        ("limiter_wait_seconds", "Time that calls waited for their turn.", lambda one: one.waited_seconds),
    )
    gauges: tuple[tuple[str, str, Callable[[VendorStanding], float]], ...] = (
        ("breaker_open", "1 while a vendor is left alone or probed.", lambda one: one.breaker != "closed"),
        ("breaker_open_seconds", "Since when it is.", lambda one: one.open_seconds),
        ("retry_percent", "Retries of the calls of the last minutes.", lambda one: one.retry_percent),
        ("rate_cut", "Share of the allowed rate that isn't used since a 429.", lambda one: 1 - one.rate),
        (
            "clock_ahead_seconds",
            "A vendor's clock against ours, if noted.",
            lambda one: one.clock_ahead_seconds,
        ),
    )
    for name, text, number in totals:
        total = CounterMetricFamily(f"swarm_{name}", text, labels=("vendor",))
        for vendor, one in accounts.items():
            total.add_metric((vendor,), number(one))
        yield total
    for name, text, number in gauges:
        gauge = GaugeMetricFamily(f"swarm_{name}", text, labels=("vendor",))
        for vendor, one in accounts.items():
            gauge.add_metric((vendor,), float(number(one)))
        yield gauge
