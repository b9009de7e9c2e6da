"""Launch: an approved campaign reaches the CRM and the sequencer, each person once.

approved ─ begun ─▶ launching ─ CRM ─ campaign draft ─ people added ─ activated ─▶ live · simulated
                                                                    ├ can't go on ─▶ stalled (message says why)
                                                                    └ nobody is left ─▶ failed
stalled ─ `swarm implement` ─▶ approved, or pending_review once more if the yes has run out

Every stage may be repeated: what is done is replayed by the ledger, what is in doubt is looked up first.
"""

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import mailboxes, runs, touches
from orchestrator.app import App
from orchestrator.dossier import decision
from orchestrator.drift import hold_moved
from orchestrator.enrolment import Launch, launch_of, left_behind, starts_in
from orchestrator.occupied import hold_enrolled
from orchestrator.passing import waits
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Outcome
from shared.errors import Retryable
from shared.pipeline_schema import campaign, campaign_lead, run
from shared.ports import CampaignDraft
from shared.schema import approval
from shared.switches import Safety, silenced
from shared.telemetry import logger

log = logger("outreach")
DRAFT = TypeAdapter(CampaignDraft)
BEGINNING = ("approved", "launching")
MADE_SAFE = "made in safe mode, so never launched for real: start a new run"
NO_MAILBOX = (
    "no mailbox is left to send from: each stands still until a person clears it, then `swarm implement`"
)


async def begin(app: App, campaign_id: str, version: int) -> dict[str, list[str]]:
    """Take the campaign up, if it still is the version that was approved.

    Returns the lead id that each batch begins with; none if there is nothing to launch.
    """
    safety = await app.kernel.switches.now()

    def change(connection: sa.Connection) -> tuple[list[str], str]:
        query = sa.select(campaign, run.c.mode, cleared().label("may")).join(
            run, run.c.id == campaign.c.run_id
        )
        row = connection.execute(query.where(campaign.c.id == campaign_id)).one()
        if row.state not in BEGINNING or row.version != version or not row.may:
            return [], ""
        hold_enrolled(connection, campaign_id)
        hold_moved(connection, row.run_id, campaign_id)
        real = row.mode == "safe" and not safety.safe_mode
        why = MADE_SAFE if real else NO_MAILBOX if _none_left(safety, row.draft) else ""
        starts = [] if why else starts_in(connection, campaign_id)
        state = "launching" if starts else "stalled" if why == NO_MAILBOX else "failed"
        _set_in(app, connection, campaign_id, state=state)
        if why:
            connection.execute(sa.update(run).where(run.c.id == row.run_id).values(message=why))
        return starts, str(row.run_id)

    starts, run_id = await app.kernel.store.write(change)
    if run_id and not starts:
        await runs.finish_if_done(app.kernel, run_id)
    return {"starts": starts}


def _none_left(safety: Safety, draft: str) -> bool:
    """Whether every mailbox of a campaign stands still. One that is left is enough: the vendor sends from that."""
    silent = silenced(safety)
    return bool(silent) and {box.lower() for box in DRAFT.validate_json(draft).mailboxes} <= silent.keys()


def cleared() -> sa.ColumnElement[bool]:
    """Whether a campaign may be launched: its run launches on approval, or implement was asked for this version."""
    return sa.or_(run.c.launches == "on_approval", campaign.c.cleared == campaign.c.version)


async def create(app: App, campaign_id: str) -> dict[str, str]:
    """The campaign as a draft at the vendor. Raises `Retryable` while it isn't known whether it is there."""
    launch = await launch_of(app, campaign_id)
    outcome = await app.suite.sequencer.create_campaign(draft=DRAFT.validate_json(launch.draft))
    _wait(outcome, "the campaign draft isn't confirmed at the vendor yet")
    reference = outcome.reference if outcome.done else ""
    if outcome.status == "simulated" and launch.safe:
        reference = f"simulated:{campaign_id}"
    if reference:
        await _set(app, campaign_id, vendor_ref=reference)
    return {"status": outcome.status, "reference": reference, "reason": outcome.reason}


async def activate(app: App, campaign_id: str) -> dict[str, str]:
    """Start sending, if anybody is in it. Raises `Retryable` while it isn't known whether the vendor has started."""
    launch = await launch_of(app, campaign_id)
    people = await left_behind(app, campaign_id)
    if not launch.vendor_ref:
        return await _ended(app, launch, "stalled", "the campaign could not be created at the vendor")
    if not any(people.get(state) for state in ("live", "simulated", "in_doubt")):
        state = "stalled" if people.get("open") else "failed"
        return await _ended(app, launch, state, "nobody could be added to the campaign")
    await _wait_for_mailboxes(app, launch)
    outcome = await app.suite.sequencer.activate_campaign(
        campaign_ref=launch.vendor_ref, campaign_id=campaign_id, approval=launch.approval
    )
    _wait(outcome, "the start of the campaign isn't confirmed at the vendor yet")
    log.info("campaign.activated", campaign=campaign_id, status=outcome.status, reason=outcome.reason)
    if outcome.done:
        return await _ended(app, launch, "live", "")
    if launch.seen(outcome)[0] == "simulated":
        return await _ended(app, launch, "simulated", "")
    return await _ended(app, launch, "stalled", outcome.message or outcome.reason)


async def _wait_for_mailboxes(app: App, launch: Launch) -> None:
    """Nothing is started that might write from a mailbox which stands still here and not yet at the vendor."""
    boxes, state = DRAFT.validate_json(launch.draft).mailboxes, app.kernel.switches.state
    if await app.kernel.store.read(lambda c: mailboxes.not_yet_still(c, state(c), boxes)):
        raise Retryable(mailboxes.NOT_YET, code="mailbox_not_paused")


def _wait(outcome: Outcome, message: str) -> None:
    if waits(outcome):
        raise Retryable(message, code=outcome.reason)


async def _ended(app: App, launch: Launch, state: str, why: str) -> dict[str, str]:
    """How the launch went, where people look."""
    await app.kernel.store.write(lambda c: _end_in(app, c, launch.id, state, why))
    await runs.finish_if_done(app.kernel, launch.run_id)
    return {"state": state, "why": why}


def _end_in(
    app: App, connection: sa.Connection, campaign_id: str, state: str, why: str, version: int = 0
) -> None:
    """Only what is being launched ends its launch; the run's message says why where it went wrong."""
    row = connection.execute(sa.select(campaign).where(campaign.c.id == campaign_id)).one()
    if row.state not in BEGINNING or version not in {0, row.version}:
        return
    _set_in(app, connection, campaign_id, state=state)
    if state == "live":
        plan = decision(row).get("plan", {})
        days = plan.get("linkedin_touch_days", ()) if isinstance(plan, dict) else ()
        touches.add_in(connection, app.rules, campaign_id, days, app.kernel.clock.now())
    if why:
        message = f"{row.name}: {why}"[:500]
        connection.execute(sa.update(run).where(run.c.id == row.run_id).values(message=message))


async def _set(app: App, campaign_id: str, **values: str) -> None:
    await app.kernel.store.write(lambda c: _set_in(app, c, campaign_id, **values))


def _set_in(app: App, connection: sa.Connection, campaign_id: str, **values: str) -> None:
    now = app.kernel.clock.now()
    where = campaign.c.id == campaign_id
    connection.execute(sa.update(campaign).where(where).values(updated_at=iso(now), **values))
    append(connection, [Entry("campaign.changed", campaign_id, dict(values))], now)


async def stall(app: App, campaign_id: str, why: str, version: int = 0) -> None:
    """The launch (of that version, if one is named) stopped half-way; `swarm implement` takes it up again."""
    await app.kernel.store.write(lambda c: _end_in(app, c, campaign_id, "stalled", why, version))


# ── once more ────────────────────────────────────────────────────────────────────────────────────────────
async def again(app: App, run_id: str) -> int:
    """Stalled campaigns of a run, and live ones that left somebody behind, go back to the start of their launch.

    Where the yes has run out meanwhile, they wait for a person once more. Returns how many.
    """
    query = sa.select(campaign.c.id, campaign.c.state).where(
        campaign.c.run_id == run_id, campaign.c.state.in_(("stalled", "live"))
    )
    rows = await app.kernel.store.read(lambda c: c.execute(query).all())
    taken = [row.id for row in rows if row.state == "stalled" or (await left_behind(app, row.id)).get("open")]
    forget = sa.update(run).where(run.c.id == run_id).values(message="")

    def change(connection: sa.Connection) -> int:
        count = sum(_again_in(app, connection, one) for one in taken)
        if count:
            connection.execute(forget)
        return count

    return await app.kernel.store.write(change)


def _again_in(app: App, connection: sa.Connection, campaign_id: str) -> int:
    now = iso(app.kernel.clock.now())
    stands = sa.exists().where(
        approval.c.id == campaign.c.approval_id, approval.c.state == "approved", approval.c.expires_at > now
    )
    query = sa.select(campaign.c.state, stands.label("stands")).where(campaign.c.id == campaign_id)
    row = connection.execute(query).one()
    if row.state not in {"stalled", "live"} or (row.state == "live" and not row.stands):
        return 0
    values = {"state": "approved"} if row.stands else {"state": "pending_review", "approval_id": ""}
    # What implement was asked for stays asked for, as long as the yes to the words stands.
    keeps = sa.and_(campaign.c.cleared == campaign.c.version, sa.literal(bool(row.stands)))
    next_version = {
        "version": campaign.c.version + 1,
        "cleared": sa.case((keeps, campaign.c.version + 1), else_=campaign.c.cleared),
        "updated_at": now,
    }
    where = campaign.c.id == campaign_id
    connection.execute(sa.update(campaign).where(where).values(**values, **next_version))
    if not row.stands:
        open_ones = (
            campaign_lead.c.campaign_id == campaign_id,
            campaign_lead.c.state.in_(("failed", "refused")),
        )
        drafted = sa.update(campaign_lead).where(*open_ones).values(state="drafted", reason="")
        connection.execute(drafted)
    entry = Entry("campaign.taken_up_again", campaign_id, {"state": values["state"]})
    append(connection, [entry], app.kernel.clock.now())
    return 1
