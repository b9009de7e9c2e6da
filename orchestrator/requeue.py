"""What waited through a kill: approved before it, and too long ago to go on by itself when it is released.

approved · launching · stalled ─ released, the yes older than `stale_minutes` and than the kill ─▶ pending_review
"""

import json
from collections.abc import Sequence
from datetime import timedelta

import sqlalchemy as sa

from orchestrator.dossier import PENDING, decision
from shared.audit import Entry, append
from shared.clock import iso
from shared.kernel import Kernel
from shared.pipeline_schema import campaign, campaign_lead
from shared.schema import approval
from shared.switches import Safety

QUEUED = ("approved", "launching", "stalled")
WHY = "it waited through a kill: look again whether it is still right"
TO_DO = ("failed", "refused")


def back_to_review_in(
    kernel: Kernel, connection: sa.Connection, safety: Safety, *, actor: str
) -> Sequence[str]:
    """In the transaction of a release: take back the old approvals of what hasn't gone out; returns the campaigns."""
    now = kernel.clock.now()
    too_old = iso(now - timedelta(minutes=kernel.settings.safety.relaxing.stale_minutes))
    before = min(too_old, safety.killed_at or too_old)
    query = (
        sa.select(campaign)
        .join(approval, approval.c.id == campaign.c.approval_id)
        .where(campaign.c.state.in_(QUEUED), approval.c.state == "approved", approval.c.at < before)
        .order_by(campaign.c.id)
    )
    rows = connection.execute(query).all()
    for row in rows:
        _back(kernel, connection, row, actor, WHY)
    return [str(row.id) for row in rows]


def all_back_in(kernel: Kernel, connection: sa.Connection, *, actor: str, reason: str) -> Sequence[str]:
    """In the caller's transaction: everything that hasn't gone out goes back to review; returns the campaigns."""
    query = sa.select(campaign).where(campaign.c.state.in_(QUEUED)).order_by(campaign.c.id)
    rows = connection.execute(query).all()
    for row in rows:
        _back(kernel, connection, row, actor, reason)
    return [str(row.id) for row in rows]


def _back(
    kernel: Kernel, connection: sa.Connection, row: sa.Row[tuple[object, ...]], actor: str, reason: str
) -> None:
    """Without its approval nothing of it passes the gate, whatever a launch that is still running asks for."""
    kernel.approvals.revoke_in(connection, row.approval_id, actor=actor, reason=reason)
    now = kernel.clock.now()
    values = {
        "state": PENDING,
        "approval_id": "",
        "decided_by": "",
        "version": row.version + 1,
        "decision": json.dumps({**decision(row), "reason": reason}),
        "updated_at": iso(now),
    }
    connection.execute(sa.update(campaign).where(campaign.c.id == row.id).values(**values))
    to_do = (campaign_lead.c.campaign_id == row.id, campaign_lead.c.state.in_(TO_DO))
    connection.execute(sa.update(campaign_lead).where(*to_do).values(state="drafted", reason=""))
    append(connection, [Entry("review.taken_up_again", row.id, {"reason": reason}, actor)], now)
