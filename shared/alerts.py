"""Telling our own people: each alert once while it lasts, kept in a table, sent until it was delivered.

(none) ─ raised ─▶ standing ─ sent ─▶ delivered          told once, by each channel
                     │      └ not taken ─▶ undelivered   shown with what went wrong; tried again, ever more seldom
                     └ over ─▶ cleared ─ raised again ─▶ standing, sent when the quiet period is over

An alert is no effect at a vendor: safe mode and the kill switch don't hold it. It names no person. A channel that
took it twice does less harm than one that never did, so what a crash left half sent is sent again.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import anyio
import sqlalchemy as sa

from shared import mail
from shared.clock import Clock, iso, parse
from shared.effect import canonical, digest
from shared.errors import Fatal, Retryable, SwarmError
from shared.kernel import Kernel
from shared.safety_rules import AlertRules
from shared.schema import alert as table
from shared.store import Store
from shared.telemetry import logger

log = logger("alerts")
Severity = Literal["warning", "critical"]
Send = Callable[[str, str], Awaitable[None]]  # subject, text
SEND_SECONDS = 10.0  # for one channel to take a message
FIRST_RETRY = 30.0  # seconds, doubled each time
LONGEST_RETRY = 3600.0
SHOWN_AFTER = timedelta(days=1)  # what is over stays visible so long
Row = sa.Row[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Alert:
    """Something a person should know: what was measured, over which window, against which threshold."""

    name: str
    severity: Severity
    text: str
    value: float
    threshold: float
    unit: str
    window: str = "now"
    scope: str = ""

    @property
    def id(self) -> str:
        """The same for the same name and scope."""
        return digest("alert/v1", self.name, self.scope)[:24]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one channel took it."""

    state: Literal["sending", "delivered", "undelivered"]
    attempts: int
    due_at: str = ""  # when it is tried again
    kind: str = ""  # of the error


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert as the table holds it."""

    alert: Alert
    raised_at: str
    last_sent_at: str
    cleared_at: str
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """In one word: whether somebody was told."""
        states = {delivery.state for delivery in self.deliveries.values()}
        order = ("undelivered", "sending", "delivered")
        return next((state for state in order if state in states), "not sent")

    @property
    def problems(self) -> tuple[str, ...]:
        """Channels that didn't take it, each with the kind of error."""
        return tuple(f"{name}: {one.kind}" for name, one in self.deliveries.items() if one.kind)


class Alerts:
    """The table of alerts, and the channels they go out by. Any number may be open on one database."""

    def __init__(self, store: Store, clock: Clock, rules: AlertRules, channels: Mapping[str, Send]) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._channels = channels
        self._cried: dict[str, float] = {}  # name → when, for what no database could remember

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the channels that are configured."""
        return tuple(self._channels)

    async def see(self, found: Sequence[Alert], watched: Collection[str]) -> None:
        """Raise what was found; what stands under a `watched` name and was not found is over."""
        now = self._clock.now()
        await self._store.write(lambda c: _see(c, found, watched, now))

    async def shown(self) -> list[Raised]:
        """What stands, newest first, and then what was over within a day."""
        since = iso(self._clock.now() - SHOWN_AFTER)
        lasting = sa.or_(table.c.cleared_at == "", table.c.cleared_at > since)
        order = (table.c.cleared_at != "", table.c.raised_at.desc(), table.c.id)
        query = sa.select(table).where(lasting).order_by(*order)
        return await self._store.read(lambda c: [read(row) for row in c.execute(query)])

    async def deliver(self) -> int:
        """Send what is due, one message a channel, side by side. Returns how many channels took theirs."""
        taken = await self._store.write(self._take)
        took: list[str] = []

        async def one(channel: str, rows: Sequence[Raised]) -> None:
            problem = await self._send(channel, [row.alert for row in rows])
            await self._store.write(lambda c: self._note(c, channel, rows, problem))
            if not problem:
                took.append(channel)

        async with anyio.create_task_group() as tasks:
            for channel, rows in taken.items():
                tasks.start_soon(one, channel, rows)
        return len(took)

    async def cry(self, alert: Alert) -> None:
        """Send without the table, for when it can't be written; at most once in a quiet period."""
        now = self._clock.monotonic()
        if now - self._cried.get(alert.id, float("-inf")) < self._rules.quiet_minutes * 60:
            return
        problems = [await self._send(channel, [alert]) for channel in self._channels]
        if "" in problems:
            self._cried[alert.id] = now

    def _take(self, connection: sa.Connection) -> dict[str, list[Raised]]:
        """What is due by channel; noted before it is sent, so that two processes don't both send it."""
        now = self._clock.now()
        quiet = timedelta(minutes=self._rules.quiet_minutes)
        taken: dict[str, list[Raised]] = {}
        for row in connection.execute(sa.select(table).where(table.c.cleared_at == "")).all():
            raised = read(row)
            channels = [name for name in self._channels if due(raised, name, now, quiet)]
            for channel in channels:
                taken.setdefault(channel, []).append(raised)
            if channels:
                _keep(connection, row.id, raised.deliveries, {c: begun(raised, c, now) for c in channels})
        return taken

    async def _send(self, channel: str, alerts: Sequence[Alert]) -> str:
        """The kind of error, empty where the channel took it."""
        try:
            with anyio.fail_after(SEND_SECONDS):
                await self._channels[channel](subject(alerts), message(alerts, self._rules.runbook))
        except Exception as error:  # noqa: BLE001 - whatever a channel does wrong is shown on the alert
            kind = error.code or error.kind if isinstance(error, SwarmError) else type(error).__name__
            log.error("alert.undelivered", channel=channel, kind=kind, alerts=[a.name for a in alerts])  # noqa: TRY400 - its text may hold an address
            return kind
        return ""

    def _note(self, connection: sa.Connection, channel: str, rows: Sequence[Raised], problem: str) -> None:
        """How the channel took it, for alerts that nobody raised anew meanwhile."""
        now = self._clock.now()
        for raised in rows:
            same = (table.c.id == raised.alert.id, table.c.raised_at == raised.raised_at)
            row = connection.execute(sa.select(table).where(*same)).one_or_none()
            if row is None:
                continue
            after = read(row).deliveries
            _keep(connection, row.id, after, {channel: ended(after.get(channel), problem)})
            if not problem:
                told = sa.update(table).where(table.c.id == row.id)
                connection.execute(told.values(last_sent_at=iso(now)))


# ── deciding ─────────────────────────────────────────────────────────────────────────────────────────────
def due(raised: Raised, channel: str, now: datetime, quiet: timedelta) -> bool:
    """Whether this channel is to be told now."""
    earlier = raised.last_sent_at if raised.last_sent_at < raised.raised_at else ""
    if earlier and now < parse(earlier) + quiet:
        return False
    known = raised.deliveries.get(channel)
    return known is None or (known.state != "delivered" and known.due_at <= iso(now))


def begun(raised: Raised, channel: str, now: datetime) -> Delivery:
    """Another try begins; if nobody says how it ended, the next one is due later."""
    known = raised.deliveries.get(channel)
    attempts = (known.attempts if known else 0) + 1
    pause = min(LONGEST_RETRY, FIRST_RETRY * 2.0 ** min(attempts - 1, 20))
    return Delivery("sending", attempts, iso(now + timedelta(seconds=pause)), known.kind if known else "")


def ended(known: Delivery | None, problem: str) -> Delivery:
    """How a try ended."""
    attempts = known.attempts if known else 1
    if not problem:
        return Delivery("delivered", attempts)
    return Delivery("undelivered", attempts, known.due_at if known else "", problem)


def subject(alerts: Sequence[Alert]) -> str:
    """One line: how serious, and what."""
    worst = "critical" if any(one.severity == "critical" for one in alerts) else "warning"
    return f"[alpha-swarm] {worst}: {', '.join(dict.fromkeys(one.name for one in alerts))}"


def message(alerts: Sequence[Alert], runbook: str) -> str:
    """Each alert with its number, window, threshold and where to read what to do."""
    return "\n\n".join(_told(one, runbook) for one in alerts)


def _told(alert: Alert, runbook: str) -> str:
    where = f" ({alert.scope})" if alert.scope else ""
    return (
        f"{alert.severity.upper()} {alert.name}{where}: {alert.text}\n"
        f"Measured {alert.value:g} {alert.unit}, {alert.window}; threshold {alert.threshold:g} {alert.unit}.\n"
        f"What to do: {link(runbook, alert.name)}"
    )


def link(runbook: str, name: str) -> str:
    """The place in the runbook."""
    return f"{runbook}#alert-{name.replace('_', '-')}"


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────
NUMBERS = ("value", "threshold", "unit", "window")
WORDS = ("name", "scope", "severity", "text")


def read(row: Any) -> Raised:
    """An alert from its row."""
    words = {name: getattr(row, name) for name in WORDS}
    deliveries = {name: Delivery(**one) for name, one in json.loads(row.deliveries).items()}
    alert = Alert(**words, **json.loads(row.numbers))
    return Raised(alert, row.raised_at, row.last_sent_at, row.cleared_at, deliveries)


def _see(connection: sa.Connection, found: Sequence[Alert], watched: Collection[str], now: datetime) -> None:
    known = {row.id: row for row in connection.execute(sa.select(table))}
    for alert in found:
        _raise(connection, alert, known.get(alert.id), now)
    here = {alert.id for alert in found}
    over = [i for i, row in known.items() if not row.cleared_at and row.name in watched and i not in here]
    if over:
        connection.execute(sa.update(table).where(table.c.id.in_(over)).values(cleared_at=iso(now)))


def _raise(connection: sa.Connection, alert: Alert, known: Row | None, now: datetime) -> None:
    """A new row, the numbers of one that stands, or one that was over and begins anew."""
    whole = asdict(alert)
    values = {name: whole[name] for name in WORDS}
    values["numbers"] = canonical({name: whole[name] for name in NUMBERS}).decode()
    fresh = {"raised_at": iso(now), "cleared_at": "", "deliveries": "{}"}
    if known is None:
        connection.execute(sa.insert(table).values(id=alert.id, **values, **fresh))
    else:
        anew = fresh if known.cleared_at else {}
        connection.execute(sa.update(table).where(table.c.id == alert.id).values(**values, **anew))


def _keep(
    connection: sa.Connection, identifier: str, known: Mapping[str, Delivery], new: Mapping[str, Delivery]
) -> None:
    whole = {name: asdict(one) for name, one in {**known, **new}.items()}
    values = {"deliveries": canonical(whole).decode()}
    connection.execute(sa.update(table).where(table.c.id == identifier).values(**values))


# ── channels ─────────────────────────────────────────────────────────────────────────────────────────────
class Answered(Protocol):
    """What is read of an HTTP answer."""

    @property
    def status_code(self) -> int:
        """The status."""
        ...


class Poster(Protocol):
    """What is needed of an HTTP client; it is passed in, for the library belongs to other modules."""

    async def post(self, url: str, *, json: Any) -> Answered:
        """Send JSON."""
        ...


async def post_slack(http: Poster, url: str, text: str) -> None:
    """Give a text to a Slack incoming webhook. The address is a secret and stands in no message.

    Raises `Fatal` for an address that can't be one, `Retryable` where it wasn't taken, or the client's errors.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in mail.LOOPBACK:
        raise Fatal("SLACK_WEBHOOK_URL must begin with https://", code="bad_address")
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    answer = await http.post(url, json={"text": plain})
    if answer.status_code != 200:
        raise Retryable("Slack didn't take it", code=f"http_{answer.status_code}")


def channels(variables: Mapping[str, str], rules: AlertRules, http: Poster) -> dict[str, Send]:
    """The channels that are configured, by name."""
    found: dict[str, Send] = {}
    if slack_url := variables.get("SLACK_WEBHOOK_URL", ""):

        async def slack(head: str, text: str) -> None:
            await post_slack(http, slack_url, f"*{head}*\n{text}")

        found["slack"] = slack
    if smtp_url := variables.get("SMTP_URL", ""):

        async def smtp(head: str, text: str) -> None:
            await mail.send(smtp_url, rules.mail_from, rules.mail_to, head, text)

        found["mail"] = smtp
    return found


def open_alerts(kernel: Kernel) -> Alerts:
    """The alerts of an open kernel."""
    rules = kernel.settings.safety.alerts
    out = channels(kernel.settings.variables, rules, kernel.http)
    return Alerts(kernel.store, kernel.clock, rules, out)
