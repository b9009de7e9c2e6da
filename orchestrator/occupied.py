"""Who is in a campaign already: nobody is written to by two of them at once.

A campaign holds its people from the moment their words are written until it is over, by our id of the person and
by their address, since two leads may turn out to be one person. What is only simulated holds nobody.
"""

import sqlalchemy as sa

from shared.pipeline_schema import campaign, campaign_lead, lead, run, run_lead

# A person in one of these is being written to, or may be.
BUSY = ("live", "in_doubt", "drafted")
OVER = ("rejected", "superseded", "completed", "failed")
WHY = "already in another campaign"


def elsewhere(
    lead_id: sa.ColumnElement[str], email: sa.ColumnElement[str], campaign_id: str
) -> sa.ColumnElement[bool]:
    """Whether that person is in another campaign than this one."""
    other = campaign_lead.alias("other")
    return sa.exists().where(
        sa.or_(other.c.lead_id == lead_id, sa.and_(other.c.email == email, other.c.email != "")),
        other.c.campaign_id != campaign_id,
        other.c.state.in_(BUSY),
        campaign.c.id == other.c.campaign_id,
        campaign.c.state.not_in(OVER),
        run.c.id == campaign.c.run_id,
        run.c.mode == "live",
    )


def taken(connection: sa.Connection, lead_ids: list[str], campaign_id: str) -> set[str]:
    """Those of these leads who are in another campaign."""
    query = sa.select(lead.c.id).where(
        lead.c.id.in_(lead_ids), elsewhere(lead.c.id, lead.c.email, campaign_id)
    )
    return set(connection.execute(query).scalars())


def hold_scored(connection: sa.Connection, run_id: str) -> int:
    """In the caller's transaction: hold the scored leads of a run who are in a campaign. Returns how many."""
    query = (
        sa.select(run_lead.c.lead_id)
        .join(lead, lead.c.id == run_lead.c.lead_id)
        .where(
            run_lead.c.run_id == run_id,
            run_lead.c.state == "scored",
            elsewhere(lead.c.id, lead.c.email, ""),
        )
    )
    held = (run_lead.c.run_id == run_id, run_lead.c.lead_id.in_(query))
    return connection.execute(sa.update(run_lead).where(*held).values(state="held", reason=WHY)).rowcount


def hold_enrolled(connection: sa.Connection, campaign_id: str) -> int:
    """In the caller's transaction: hold people of a campaign whom another one took meanwhile. Returns how many."""
    column = campaign_lead.c
    query = sa.select(column.lead_id).where(
        column.campaign_id == campaign_id,
        column.state.in_(("drafted", "failed", "refused")),
        elsewhere(column.lead_id, column.email, campaign_id),
    )
    ids = list(connection.execute(query).scalars())
    values = {"state": "held", "reason": WHY}
    for lead_id in ids:
        here = (column.campaign_id == campaign_id, column.lead_id == lead_id)
        connection.execute(sa.update(campaign_lead).where(*here).values(**values))
        there = (run_lead.c.campaign_id == campaign_id, run_lead.c.lead_id == lead_id)
        connection.execute(sa.update(run_lead).where(*there).values(**values))
    return len(ids)
