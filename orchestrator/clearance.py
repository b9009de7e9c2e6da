"""Right before people are added to a campaign: what the CRM says of each at this moment, read by id.

blocked ─▶ refused; on our list and stopped, as after an opt-out     gone from the CRM ─▶ refused, not suppressed
the CRM can't be asked ─▶ nobody is added: it raises
"""

from collections.abc import Sequence

import sqlalchemy as sa

from orchestrator.app import App
from orchestrator.catching_up import GONE, stop_all
from shared.effect import Outcome
from shared.telemetry import logger

log = logger("clearance")
SIMULATED = "simulated:"
Row = sa.Row[tuple[object, ...]]


async def refused(app: App, people: Sequence[Row]) -> dict[str, Outcome]:
    """Lead id → why nobody may write to them, for those of these people whom the CRM blocks."""
    refs = {str(row.contact_ref): str(row.lead_id) for row in people}
    asked = sorted(ref for ref in refs if ref and not ref.startswith(SIMULATED))
    if not asked:
        return {}
    blocked = (await app.suite.crm.list_blocked(contact_ids=asked)).contacts
    await stop_all(app, [one for one in blocked if one.blocked != GONE])
    if blocked:
        log.warning("clearance.refused", people=len(blocked))
    message = "the CRM says that this person may not be written to, or has them no more"
    return {refs[one.id]: Outcome("refused", one.blocked, message) for one in blocked if one.id in refs}
