"""What a run came to: funnel, outcomes, suppressed, handoffs. All of it from the database, nothing remembered."""

from dataclasses import dataclass

import sqlalchemy as sa

from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead, event, handoff, reply, run_lead, stop
from shared.schema import effect, inbound, suppression
from shared.suppression import DOMAIN, EXACT

ANSWERED = ("known", "found")  # run_lead.enrichment of people we know enough about, or were told of


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of one run; effects, events and suppression are those of the whole installation."""

    funnel: dict[str, int]
    campaigns: dict[str, int]
    people: dict[str, int]
    outcomes: dict[str, int]
    events: dict[str, int]
    replies: dict[str, int]
    suppressed: int
    stops_open: int
    handoffs: int


async def summarise(kernel: Kernel, run_id: str) -> Summary:
    """Everything in one consistent read."""
    return await kernel.store.read(lambda c: _summary(c, run_id))


async def unfinished(kernel: Kernel) -> int:
    """Webhooks not understood yet, and people not stopped everywhere yet."""
    waiting = sa.select(sa.func.count()).select_from(inbound).where(inbound.c.state == "new")
    stopping = sa.select(sa.func.count()).select_from(stop).where(stop.c.state == "open")
    return await kernel.store.read(
        lambda c: (c.execute(waiting).scalar() or 0) + (c.execute(stopping).scalar() or 0)
    )


def _count(connection: sa.Connection, query: sa.Select[str, int]) -> dict[str, int]:
    return {str(row[0]): int(row[1]) for row in connection.execute(query)}


def _by(column: sa.Column[str], *where: sa.ColumnElement[bool]) -> sa.Select[str, int]:
    return sa.select(column, sa.func.count()).where(*where).group_by(column)


def _summary(connection: sa.Connection, run_id: str) -> Summary:
    mine = campaign.c.run_id == run_id
    people = (
        sa.select(campaign_lead.c.state, sa.func.count())
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .where(mine)
        .group_by(campaign_lead.c.state)
    )
    listed = sa.select(sa.func.count()).where(
        suppression.c.lifted_at == "", sa.func.substr(suppression.c.key, 1, 1).in_((EXACT, DOMAIN))
    )
    waiting = sa.select(sa.func.count()).where(stop.c.state == "open")
    return Summary(
        funnel=_funnel(connection, run_id),
        campaigns=_count(connection, _by(campaign.c.state, mine)),
        people=_count(connection, people),
        outcomes=_count(connection, _by(effect.c.status)),
        events=_count(connection, _by(event.c.type)),
        replies=_count(connection, _by(reply.c["class"])),
        suppressed=connection.execute(listed).scalar() or 0,
        stops_open=connection.execute(waiting).scalar() or 0,
        handoffs=connection.execute(sa.select(sa.func.count()).select_from(handoff)).scalar() or 0,
    )


def _funnel(connection: sa.Connection, run_id: str) -> dict[str, int]:
    in_run = run_lead.c.run_id == run_id
    states = _count(connection, _by(run_lead.c.state, in_run))
    total = sum(states.values())
    enriched = sa.select(sa.func.count()).where(in_run, run_lead.c.enrichment.in_(ANSWERED))
    tiers = _count(connection, _by(run_lead.c.tier, in_run, run_lead.c.tier.not_in(("", "disqualified"))))
    return {
        "sourced": total,
        "known or enriched": connection.execute(enriched).scalar() or 0,
        "qualified": sum(tiers.values()),
        **{tier.replace("_", " "): tiers.get(tier, 0) for tier in ("tier_1", "tier_2", "tier_3", "tier_4")},
        "held for a person": states.get("held", 0),
        "written to": states.get("live", 0),
        "simulated": states.get("simulated", 0),
    }
