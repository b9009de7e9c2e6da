"""Whether people are still as they were when they were scored: what is planned for somebody is for who they were.

`run_lead.seen` holds the fingerprint that scoring saw. Being stopped or suppressed since is no drift: the gate
sees to that, and it only ever makes less happen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta

import sqlalchemy as sa

from orchestrator.intake import LEAD
from shared.effect import digest
from shared.lead import Lead
from shared.pipeline_schema import campaign_lead, lead, run_lead

MARGIN = timedelta(minutes=5)  # by which another machine's clock may be behind
WHY = "what we know of them changed since research"


def lead_fingerprint(found: Lead) -> str:
    """What scoring, words and checks go by. When it was looked up says nothing of the person."""
    known = asdict(found)
    known.pop("enriched_at")
    return digest("lead/v1", known)


def moved_in(
    connection: sa.Connection, run_id: str, campaign_ids: Sequence[str], since: str = ""
) -> Iterator[tuple[str, str]]:
    """Campaign and lead of everybody in these campaigns who would be written to and has changed.

    With `since`, only those whose record was written from then on are compared: quick enough for a write transaction.
    """
    here = campaign_lead.c
    for campaign_id in campaign_ids:
        query = (
            sa.select(here.lead_id, lead.c.data, run_lead.c.seen)
            .join(lead, lead.c.id == here.lead_id)
            .join(run_lead, sa.and_(run_lead.c.lead_id == here.lead_id, run_lead.c.run_id == run_id))
            .where(here.campaign_id == campaign_id, here.state == "drafted", lead.c.updated_at >= since)
            .order_by(here.lead_id)
        )
        for row in connection.execute(query):
            # Runs that were scored by an older version know no fingerprint.
            if row.seen and row.seen != lead_fingerprint(LEAD.validate_json(row.data)):
                yield campaign_id, row.lead_id


def hold_moved(connection: sa.Connection, run_id: str, campaign_id: str) -> int:
    """In the caller's transaction: hold who has changed, in the campaign and in the run. Returns how many."""
    ids = [lead_id for _, lead_id in moved_in(connection, run_id, [campaign_id])]
    for lead_id in ids:
        here = (campaign_lead.c.campaign_id == campaign_id, campaign_lead.c.lead_id == lead_id)
        connection.execute(sa.update(campaign_lead).where(*here).values(state="held", reason=WHY))
        there = (run_lead.c.run_id == run_id, run_lead.c.lead_id == lead_id)
        connection.execute(sa.update(run_lead).where(*there).values(state="held", reason=WHY))
    return len(ids)
