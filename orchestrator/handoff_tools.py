"""Handoffs and numbers as tools: what waits for people, what a person has taken, how things stand in figures."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from orchestrator import handoffs, touches
from orchestrator.app import App
from orchestrator.paging import FewLimit, Id, Key, Reason, short
from orchestrator.views import Count, MetricsView, TaskList, TaskView
from shared.effect import Outcome
from shared.metrics import Queue, measure
from shared.telemetry import correlation
from shared.tool import reads, writes

Email = Annotated[str, Field(min_length=3, max_length=320, description="of somebody who can log in")]


@writes("A person took a handoff", open_world=False)
async def acknowledge_handoff(
    app: App,
    handoff_id: Id,
    taken_by: Email,
    idempotency_key: Key = "",  # noqa: ARG001 - taken is taken
) -> Outcome:
    """Record that a person has taken a handoff, once they said so. `taken_by` names them; an agent takes none."""
    new = await handoffs.acknowledge(app.kernel, handoff_id, by=taken_by, told_by=handoffs.AGENT)
    return _told("Taken." if new else "Somebody had taken it before.", new, handoff_id)


@writes("A person is done with a handoff", open_world=False)
async def close_handoff(
    app: App,
    handoff_id: Id,
    taken_by: Email,
    note: Reason,
    idempotency_key: Key = "",  # noqa: ARG001 - closed is closed
) -> Outcome:
    """Record that a person is done with a handoff. Legal threats, anger and unclear opt-outs they close themselves."""
    new = await handoffs.close(
        app.kernel, app.rules, handoff_id, by=taken_by, note=note, told_by=handoffs.AGENT
    )
    return _told("Closed." if new else "It was closed before.", new, handoff_id)


def _told(message: str, new: bool, reference: str) -> Outcome:
    status = "applied" if new else "replayed"
    return Outcome(status, "", message, reference, correlation_id=correlation())  # type: ignore[arg-type]  # one of the statuses


@reads("LinkedIn by hand", open_world=False)
async def list_tasks(app: App, limit: FewLimit = 25) -> TaskList:
    """Touches on LinkedIn that people do by hand, as many as an account bears today. Nothing automates them."""
    found = await touches.tasks(app.kernel, app.rules.outreach.linkedin, limit)
    views = [
        TaskView(one.id, one.lead_id, short(one.name), one.day, one.what, one.due, one.overdue)
        for one in found.due
    ]
    return TaskList(tuple(views), found.done_today, found.a_day, found.held_back, found.later)


@reads("Numbers", open_world=False)
async def get_metrics(app: App) -> MetricsView:
    """Everything counted since the beginning, what waits and for how long, and what stands as an alert."""
    found = await measure(app.kernel)
    standing = found.standing
    waiting = {
        "effects in doubt": standing.in_doubt,
        "stops not confirmed": standing.stops,
        "opt-outs not confirmed": standing.suppression_sync,
        "webhooks not understood yet": standing.inbox,
        "reviews": standing.reviews,
        "handoffs": standing.handoffs,
        "handoffs overdue": standing.handoffs_overdue,
    }
    effects = {f"{vendor} {status}": n for vendor, by in found.effects.items() for status, n in by.items()}
    return MetricsView(
        events=_counts(found.events),
        replies=_counts(found.replies),
        effects=_counts(effects),
        waiting=tuple(Count(name, queue.count) for name, queue in waiting.items()),
        oldest_minutes=tuple(Count(name, _minutes(queue)) for name, queue in waiting.items() if queue.count),
        alerts=tuple(f"{name}: {severity}" for name, severity in found.alerts.items()),
        webhooks_failed=standing.inbox_failed,
        audit_unsigned=standing.audit_exposed,
    )


def _counts(found: Mapping[str, int]) -> tuple[Count, ...]:
    return tuple(Count(name, count) for name, count in found.items())


def _minutes(queue: Queue) -> int:
    return int(queue.oldest_seconds // 60)
