"""How people answered our campaigns before, by campaign type and tier: the basis of what a plan predicts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from orchestrator.findings import Track
from orchestrator.outreach_rules import Planning
from shared.clock import iso
from shared.pipeline_schema import campaign, event, reply, run

Counts = dict[tuple[str, str], int]
EVENTS: Mapping[str, tuple[str, ...]] = {
    "people": ("sent",),
    "bounced": ("bounced",),
    "unsubscribed": ("unsubscribed",),
    "complained": ("complained",),
}


def track_record(
    connection: sa.Connection, rules: Planning, automatic: Sequence[str], now: datetime
) -> tuple[Track, ...]:
    """Live campaigns made within `history_days`, each person counted once. `automatic` answers don't count."""
    since = iso(now - timedelta(days=rules.history_days))
    found = {name: _of_events(connection, types, since) for name, types in EVENTS.items()}
    human = reply.c["class"].not_in(tuple(automatic))
    found["replied"] = _of_replies(connection, human, since)
    found["positive"] = _of_replies(connection, reply.c["class"].in_(rules.positive), since)
    keys = sorted(found["people"])
    return tuple(
        Track(type=key[0], tier=key[1], **{name: counts.get(key, 0) for name, counts in found.items()})  # type: ignore[arg-type]  # columns hold only these words
        for key in keys
    )


def _of_events(connection: sa.Connection, types: Sequence[str], since: str) -> Counts:
    people = sa.func.count(sa.distinct(event.c.lead_id))
    query = sa.select(campaign.c.type, campaign.c.tier, people).join(
        event, event.c.campaign_id == campaign.c.id
    )
    return _counted(connection, query.where(event.c.type.in_(types)), since)


def _of_replies(connection: sa.Connection, which: sa.ColumnElement[bool], since: str) -> Counts:
    people = sa.func.count(sa.distinct(reply.c.lead_id))
    query = sa.select(campaign.c.type, campaign.c.tier, people).join(
        reply, reply.c.campaign_id == campaign.c.id
    )
    return _counted(connection, query.where(which), since)


def _counted(connection: sa.Connection, query: sa.Select[Any], since: str) -> Counts:
    """Only what was really sent: rehearsals say nothing."""
    real = (
        query.join(run, run.c.id == campaign.c.run_id)
        .where(run.c.mode == "live", campaign.c.created_at >= since)
        .group_by(campaign.c.type, campaign.c.tier)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(real)}
