"""Pausing and resuming one campaign: here first, then at the vendor.

    live ─ pause ─▶ paused ─ resume (a fresh yes) ─▶ live

A pause holds from the moment it is written, whatever the vendor answers. A resume that the vendor doesn't
confirm is paused again.
"""

import sqlalchemy as sa

from orchestrator import mailboxes
from orchestrator.accounts import need
from orchestrator.deciding import refuse_while_killed
from orchestrator.dossier import DRAFT, RESUME, Row, campaign_row, people_of
from orchestrator.intake import read_leads
from orchestrator.roles import Right
from orchestrator.titles import seniority
from shared.approval import Item, Person
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Outcome, fingerprint
from shared.errors import Conflict, Invalid, SwarmError
from shared.kernel import Kernel
from shared.pipeline_schema import campaign
from shared.suite import Suite


async def pause_campaign(
    kernel: Kernel, suite: Suite, campaign_id: str, *, person: Person, reason: str
) -> Outcome | None:
    """Stop a campaign here, then at the vendor. Returns how the vendor took it, None if it isn't there yet.

    What is not `done` isn't confirmed: nothing more of ours goes out, but the vendor may still be sending.
    Raises `Invalid` for an unknown campaign or role.
    """
    need(person, "stop")
    why = _reason(reason)
    row = await kernel.store.read(lambda c: campaign_row(c, campaign_id))
    await kernel.switches.pause(f"campaign:{campaign_id}", actor=person.name, reason=why)
    await _move(kernel, campaign_id, {"live": "paused"}, person, why)
    return await _at_vendor_paused(suite, str(row.vendor_ref), why)


async def _at_vendor_paused(suite: Suite, reference: str, reason: str) -> Outcome | None:
    if not reference:
        return None
    try:
        return await suite.sequencer.pause_campaign(campaign_ref=reference, reason=reason)
    except SwarmError as error:
        return Outcome("failed", error.code or error.kind, error.message)


async def resume_campaign(
    kernel: Kernel, suite: Suite, campaign_id: str, *, person: Person, reason: str
) -> Outcome | None:
    """Let a paused campaign go on, by this person's yes. Returns how the vendor took it, or None.

    Raises `Invalid` for a role that may not (C-level recipients: operator) and while a halt is in force,
    `Conflict` for a campaign that isn't paused.
    """
    why = _reason(reason)
    row, given = await kernel.store.write(lambda c: _allow(kernel, c, campaign_id, person, why))
    scope = f"campaign:{campaign_id}"
    await kernel.switches.resume(scope, actor=person.name, reason=why)
    outcome = await _at_vendor_resumed(suite, row, given)
    if outcome is None or outcome.done or outcome.status == "simulated":
        await _move(kernel, campaign_id, {"paused": "live"}, person, why)
    else:
        await kernel.switches.pause(scope, actor=person.name, reason=f"not resumed: {outcome.reason}")
    return outcome


def _allow(
    kernel: Kernel, connection: sa.Connection, campaign_id: str, person: Person, reason: str
) -> tuple[Row, str]:
    """Check who resumes what, and record the yes: an approval is good for one resume, so each has its own."""
    refuse_while_killed(kernel, connection)
    row = campaign_row(connection, campaign_id)
    scope = f"campaign:{campaign_id}"
    standing = next((p for p in kernel.switches.state(connection).pauses if p.scope == scope), None)
    if standing is None and row.state != "paused":
        raise Conflict("this campaign isn't paused", code="not_paused")
    if standing is not None and standing.kind == "halt":
        raise Invalid("a halt is in force: an admin clears it on the safety page first", code="halted")
    need(person, _right(connection, row))
    draft = DRAFT.validate_json(str(row.draft))
    if mailboxes.not_yet_still(connection, kernel.switches.state(connection), draft.mailboxes):
        raise Invalid(mailboxes.NOT_YET, code="mailbox_not_paused")
    items = [Item(RESUME, fingerprint(draft))]
    content = str(row.fingerprint)
    given = kernel.approvals.give_in(
        connection, scope, items, person=person, fingerprint=content, note=reason
    )
    return row, given


def _right(connection: sa.Connection, row: Row) -> Right:
    people = [p for p in people_of(connection, [row.id]).get(row.id, []) if p.state != "held"]
    leads = read_leads(connection, [p.lead_id for p in people])
    top = any(seniority(lead.title) == "c_level" for lead in leads.values())
    return "approve_c_level" if top else "resume"


async def _at_vendor_resumed(suite: Suite, row: Row, approval: str) -> Outcome | None:
    if not row.vendor_ref or row.state != "paused":
        return None
    try:
        return await suite.sequencer.resume_campaign(
            campaign_ref=str(row.vendor_ref), campaign_id=str(row.id), approval=approval
        )
    except SwarmError as error:
        return Outcome("failed", error.code or error.kind, error.message)


async def _move(
    kernel: Kernel, campaign_id: str, states: dict[str, str], person: Person, reason: str
) -> None:
    """Note the campaign's new state, if it is in one of those it may come from."""
    now = kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        state = states.get(str(campaign_row(connection, campaign_id).state))
        if state is None:
            return
        changed = sa.update(campaign).where(campaign.c.id == campaign_id)
        connection.execute(changed.values(state=state, updated_at=iso(now)))
        entry = Entry(f"campaign.{state}", campaign_id, {"reason": reason}, person.name)
        append(connection, [entry], now)

    await kernel.store.write(change)


def _reason(text: str) -> str:
    tidy = " ".join(text.split())[:500]
    if not tidy:
        raise Invalid("a reason is needed", field="reason", code="no_reason")
    return tidy
