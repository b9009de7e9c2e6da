"""What became of the people written to, counted in the database: by campaign type, tier, variant and campaign.

A cohort is everybody whose first message left within a span of time; what they did since counts, whenever they did
it. People are counted once per campaign; rehearsals don't count. Pure SQL aggregates: rows don't come here one by one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

import sqlalchemy as sa

from orchestrator.outreach_rules import CampaignType
from shared.lead import Tier
from shared.sql import run

# One pass over what happened since the span began: each person of each campaign once, with what they did.
COHORT = """
SELECT c.id, c.type, c.tier, {by} AS variant, COUNT(*) AS people, SUM(w.bounced) AS bounced, SUM(w.opened) AS opened,
       SUM(w.replied) AS replied, SUM(w.positive) AS positive, SUM(w.unsubscribed) AS unsubscribed,
       SUM(w.complained) AS complained
  FROM (SELECT campaign_id, lead_id, MIN(CASE WHEN what = 'sent' AND step <= 1 THEN at END) AS first_at,
               MAX(CASE WHEN what = 'sent' AND step <= 1 AND at < ? THEN 1 ELSE 0 END) AS written_to,
               MAX(CASE WHEN what = 'bounced' THEN 1 ELSE 0 END) AS bounced,
               MAX(CASE WHEN what = 'opened' THEN 1 ELSE 0 END) AS opened,
               MAX(CASE WHEN what IN ('answered', 'in favour') THEN 1 ELSE 0 END) AS replied,
               MAX(CASE WHEN what = 'in favour' THEN 1 ELSE 0 END) AS positive,
               MAX(CASE WHEN what = 'unsubscribed' THEN 1 ELSE 0 END) AS unsubscribed,
               MAX(CASE WHEN what = 'complained' THEN 1 ELSE 0 END) AS complained
          FROM (SELECT campaign_id, lead_id, type AS what, received_at AS at, step FROM event
                 WHERE type IN ('sent', 'bounced', 'opened', 'unsubscribed', 'complained')
                   AND received_at >= ? AND lead_id <> ''
                 UNION ALL
                SELECT campaign_id, lead_id, CASE WHEN class IN ({positive}) THEN 'in favour' ELSE 'answered' END,
                       at, 0
                  FROM reply WHERE at >= ? AND lead_id <> '' AND class NOT IN ({automatic})) happened
         GROUP BY campaign_id, lead_id) w
  JOIN campaign c ON c.id = w.campaign_id
  JOIN run r ON r.id = c.run_id AND r.mode = 'live'
  {join}
 WHERE w.written_to = 1
 GROUP BY c.id, c.type, c.tier, {by}
"""
MESSAGES = "LEFT JOIN campaign_lead l ON l.campaign_id = w.campaign_id AND l.lead_id = w.lead_id"
PEOPLE = "JOIN lead p ON p.id = w.lead_id"
TITLE = {"sqlite": "json_extract(p.data, '$.title')", "postgresql": "(CAST(p.data AS json) ->> 'title')"}
By = Literal["variant", "title", "hour"]


@dataclass(frozen=True, slots=True)
class Cell:
    """People of one campaign and variant, and what became of them. `variant` may hold a title or an hour instead."""

    campaign_id: str = ""
    type: CampaignType = "community_outreach"
    tier: Tier = "tier_4"
    variant: str = ""
    people: int = 0
    bounced: int = 0
    opened: int = 0
    replied: int = 0  # people, not machines
    positive: int = 0
    unsubscribed: int = 0
    complained: int = 0


NONE = ("",)  # no class is called so
COUNTS = tuple(one.name for one in fields(Cell) if one.type is int)


def cohort(
    connection: sa.Connection,
    begins: str,
    ends: str,
    *,
    positive: Sequence[str],
    automatic: Sequence[str],
    by: By = "variant",
) -> list[Cell]:
    """Everybody first written to from `begins` up to `ends`. `automatic` classes of answers are no replies.

    `by`: what tells people of one campaign apart; an hour is `2026-03-02T09`, in UTC.
    """
    column, join = _told_apart(connection, by)
    sql = COHORT.format(positive=_marks(positive), automatic=_marks(automatic), by=column, join=join)
    rows = run(connection, sql, ends, begins, *(positive or NONE), begins, *(automatic or NONE))
    return sorted((_cell(row) for row in rows), key=lambda cell: (cell.campaign_id, cell.variant))


def _told_apart(connection: sa.Connection, by: By) -> tuple[str, str]:
    if by == "title":
        return TITLE[connection.dialect.name], PEOPLE
    return ("substr(w.first_at, 1, 13)", "") if by == "hour" else ("l.variant", MESSAGES)


def _marks(words: Sequence[str]) -> str:
    return ",".join("?" * len(words or NONE))


def _cell(row: Any) -> Cell:
    counts = {name: int(row[name]) for name in COUNTS}
    kind, tier = cast("CampaignType", row["type"]), cast("Tier", row["tier"])
    return Cell(str(row["id"]), kind, tier, str(row["variant"] or ""), **counts)


def total(cells: Iterable[Cell]) -> Cell:
    """All of them together."""
    several = list(cells)
    return Cell(**{name: sum(getattr(one, name) for one in several) for name in COUNTS})
