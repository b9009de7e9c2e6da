"""What is promised within a time (`response_times` of routing.yaml), and how often it was kept."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from statistics import median
from typing import Any

import sqlalchemy as sa

from orchestrator.report_data import Punctuality
from orchestrator.rules import Span
from shared.clock import parse
from shared.sql import run

Pair = tuple[str, str]  # when it began, and when it was done; "" while it isn't
# Which promise a handoff is under; others are general.
PROMISES: Mapping[str, str] = {
    "buying_signal": "positive_reply",
    "meeting_request": "meeting_request",
    "demo_request": "meeting_request",
    "technical_question": "technical",
    "integration": "technical",
    "security": "technical",
    "negative_reply": "negative",
    "legal_threat": "negative",
    "opt_out_to_confirm": "negative",
}
HANDOFFS = """SELECT "trigger" AS what, created_at AS a, acknowledged_at AS b FROM handoff
 WHERE created_at >= ? AND created_at < ?"""
REVIEWS = """SELECT 'review' AS what, c.created_at AS a, COALESCE(p.at, '') AS b FROM campaign c
  LEFT JOIN approval p ON p.id = c.approval_id AND c.approval_id <> ''
 WHERE (p.id IS NOT NULL OR c.state = 'pending_review') AND c.created_at >= ? AND c.created_at < ?"""
LAUNCHES = """SELECT 'launch' AS what, p.at AS a, COALESCE(MIN(e.settled_at), '') AS b FROM campaign c
  JOIN approval p ON p.id = c.approval_id
  LEFT JOIN effect e ON e.campaign = c.id AND e.action = 'activate_campaign' AND e.status = 'applied'
 WHERE c.approval_id <> '' AND p.at >= ? AND p.at < ?
   AND c.state IN ('approved', 'launching', 'stalled', 'live', 'paused', 'completed')
 GROUP BY c.id, p.at"""
OPT_OUTS = """SELECT 'unsubscribe' AS what, at AS a, confirmed_at AS b FROM stop
 WHERE kind IN ('person', 'domain') AND state IN ('open', 'confirmed') AND at >= ? AND at < ?"""
QUESTIONS = (HANDOFFS, REVIEWS, LAUNCHES, OPT_OUTS)


def punctuality(
    connection: sa.Connection, promises: Mapping[str, Span], begins: str, ends: str, now: datetime
) -> Iterator[Punctuality]:
    """Each promise under which something began within the span of time."""
    found: dict[str, list[Pair]] = {}
    for question in QUESTIONS:
        for row in run(connection, question, begins, ends):
            found.setdefault(_promise(row), []).append((str(row["a"]), str(row["b"] or "")))
    for name, span in promises.items():
        if name in found:
            yield kept(name, span, found[name], now)


def _promise(row: Any) -> str:
    what = str(row["what"])
    return what if what in {"review", "launch", "unsubscribe"} else PROMISES.get(what, "general")


def kept(name: str, span: Span, pairs: Iterable[Pair], now: datetime) -> Punctuality:
    """How often, and what waits."""
    done: list[float] = []
    waiting: list[float] = []
    for began, ended in pairs:
        minutes = ((parse(ended) if ended else now) - parse(began)).total_seconds() / 60
        (done if ended else waiting).append(max(0.0, minutes))
    # What is to happen at once has a minute: nobody is asked to be faster than the clock of the vendor.
    return Punctuality(
        name=name,
        target_minutes=span.target_minutes,
        maximum_minutes=span.maximum_minutes,
        done=len(done),
        within_target=sum(one <= max(1, span.target_minutes) for one in done),
        within_maximum=sum(one <= span.maximum_minutes for one in done),
        waiting=len(waiting),
        overdue=sum(one > span.maximum_minutes for one in waiting),
        median=round(median(done), 1) if done else -1.0,
    )
