"""A run researched anew, or cancelled: what was planned of it and hasn't begun is taken back.

rests ─ research anew ─▶ running: the same people as they are known by now, then findings, then a new plan
      ─ cancel ────────▶ cancelled: nothing of it begins any more; what is live runs on, and is paused by itself
"""

from collections.abc import Sequence

import sqlalchemy as sa

from orchestrator import runs
from orchestrator.plan_review import revoke
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json
from shared.errors import Conflict
from shared.kernel import Kernel
from shared.pipeline_schema import artefact, campaign, run, run_lead

NOT_BEGUN = ("drafted", "pending_review", "approved", "failed")
LAUNCHING = ("launching", "stalled")
UNDECIDED = ("scored", "held", "in_review", "disqualified", "suppressed")
OVER = ("finished", "failed", "cancelled")


async def research_anew(kernel: Kernel, run_id: str, *, actor: str) -> None:
    """Have everybody of a run who isn't written to scored once more; nothing is bought. Raises `Conflict`."""

    def change(connection: sa.Connection) -> None:
        found = connection.execute(sa.select(run).where(run.c.id == run_id)).one()
        if busy := _campaigns(connection, run_id, LAUNCHING):
            message = f"{len(busy)} campaigns of this run are being launched; wait until that is over"
            raise Conflict(message, field="run_id", code="launching")
        _take_back(kernel, connection, run_id, "superseded", actor, "researched anew")
        mine = (run_lead.c.run_id == run_id, run_lead.c.state.in_(UNDECIDED))
        free = {"state": "enriched", "reason": "", "campaign_id": ""}
        connection.execute(sa.update(run_lead).where(*mine).values(**free))
        runs.again_in(connection, run_id, "run" if found.launches == "on_approval" else "research")
        append(connection, [Entry("run.researched_anew", run_id, {}, actor)], kernel.clock.now())

    await runs.get(kernel, run_id)
    await kernel.store.write(change)


async def cancel(kernel: Kernel, run_id: str, *, actor: str, reason: str) -> tuple[bool, list[str]]:
    """Stop a run. True if this did it; and the campaigns of it that are being launched, which are paused.

    Raises `Invalid` for an unknown run.
    """
    await runs.get(kernel, run_id)

    def change(connection: sa.Connection) -> tuple[bool, list[str]]:
        found = connection.execute(sa.select(run).where(run.c.id == run_id)).one()
        if found.state in OVER:
            return False, []
        _take_back(kernel, connection, run_id, "rejected", actor, f"cancelled: {reason}")
        now = kernel.clock.now()
        ended = {"state": "cancelled", "stage": "cancelled", "message": reason, "finished_at": iso(now)}
        connection.execute(sa.update(run).where(run.c.id == run_id).values(**ended))
        payload: dict[str, Json] = {"reason": reason}
        append(connection, [Entry("run.cancelled", run_id, payload, actor)], now)
        return True, _campaigns(connection, run_id, LAUNCHING)

    done, launching = await kernel.store.write(change)
    for campaign_id in launching:
        await kernel.switches.pause(f"campaign:{campaign_id}", actor=actor, reason=f"run cancelled: {reason}")
    return done, launching


def _campaigns(connection: sa.Connection, run_id: str, states: Sequence[str]) -> list[str]:
    query = sa.select(campaign.c.id).where(campaign.c.run_id == run_id, campaign.c.state.in_(states))
    return list(connection.execute(query.order_by(campaign.c.id)).scalars())


def _take_back(
    kernel: Kernel, connection: sa.Connection, run_id: str, state: str, actor: str, why: str
) -> None:
    """Campaigns that haven't begun end here, with the yes to their words; so does the plan they were part of."""
    ids = _campaigns(connection, run_id, NOT_BEGUN)
    for campaign_id in ids:
        revoke(kernel, connection, campaign_id, actor, why)
    now = iso(kernel.clock.now())
    ended = {"state": state, "updated_at": now}
    connection.execute(sa.update(campaign).where(campaign.c.id.in_(ids)).values(**ended))
    people = (run_lead.c.campaign_id.in_(ids), run_lead.c.state == "in_review")
    connection.execute(sa.update(run_lead).where(*people).values(state="held", reason=why))
    plan = (
        artefact.c.run_id == run_id,
        artefact.c.phase == "plan",
        artefact.c.state.in_(("drafting", "pending_review", "approved", "saved")),
    )
    connection.execute(sa.update(artefact).where(*plan).values(state="superseded", reason=why))
