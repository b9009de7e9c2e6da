"""What an agent may stop: people, campaigns, everything. Nothing here lets anything go on again."""

from dataclasses import asdict
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from orchestrator import standstill, stops, syncing
from orchestrator.app import App
from orchestrator.paging import Key, Reason
from orchestrator.situation import left_over, situation
from orchestrator.unconfirmed import unconfirmed_in
from shared.effect import Json, Outcome
from shared.errors import Invalid
from shared.pipeline_schema import campaign
from shared.telemetry import correlation
from shared.tool import writes


@writes("Never write to somebody again", stops=True, open_world=False)
async def suppress(
    app: App,
    target: Annotated[str, Field(min_length=3, max_length=320)],
    reason: Reason,
    idempotency_key: Key = "",  # noqa: ARG001 - the target is the key
) -> Outcome:
    """Put an e-mail address or a company's domain on the do-not-contact list, and stop what runs for it."""
    added = await stops.suppress(app.kernel, target, reason=reason, source="agent", actor="agent")
    return Outcome("applied" if added else "replayed", "", "On the list.", correlation_id=correlation())


@writes("Compare the do-not-contact lists", stops=True)
async def sync_suppression(
    app: App,
    idempotency_key: Key = "",  # noqa: ARG001 - comparing twice is comparing
) -> Outcome:
    """Bring our do-not-contact list, the CRM's marks and the sequencer's block list to hold the same people, now.

    Adds only, in every direction. `detail`: entries looked at, new to us, told to vendors, and still to be confirmed
    by them; what they don't confirm is tried again, and after an hour a person enters it by hand.
    """
    found = await syncing.sync(app)
    left = len(await app.kernel.store.read(lambda c: unconfirmed_in(c, app.kernel.clock.now())))
    detail: dict[str, Json] = {**asdict(found), "unconfirmed": left}
    message = f"{found.looked_at} entries looked at, {found.new} new to us, {found.told} told to vendors."
    return Outcome("applied", "", message, detail=detail, correlation_id=correlation())


@writes("Pause campaigns", stops=True, open_world=False)
async def pause_campaigns(
    app: App,
    reason: Reason,
    campaign_id: Key = "",
    idempotency_key: Key = "",  # noqa: ARG001 - pausing twice is pausing
) -> Outcome:
    """Make one campaign, or without `campaign_id` everything, stand still. A person resumes."""
    if campaign_id:
        known = sa.select(campaign.c.id).where(campaign.c.id == campaign_id)
        if await app.kernel.store.read(lambda c: c.execute(known).scalar()) is None:
            raise Invalid("no campaign has this id", field="campaign_id", code="not_found")
    scope = f"campaign:{campaign_id}" if campaign_id else "all"
    await app.kernel.switches.pause(scope, actor="agent", reason=reason)
    return await _stood_still(app, f"{scope} stands still", reason, scope)


async def _stood_still(app: App, said: str, reason: str, reference: str = "") -> Outcome:
    """Pause at the vendor what stands still here, and tell how many it confirmed; the worker goes on trying."""
    confirmed, total = await standstill.pause_at_vendor(app, await app.kernel.switches.now(), reason)
    message = f"{said}; the vendor confirmed {confirmed} of {total} campaigns that may be sending."
    left = left_over(app.kernel, await situation(app.kernel))
    detail: dict[str, Json] = {"confirmed": confirmed, "of": total, **left}
    return Outcome("applied", "", message, reference, detail, correlation_id=correlation())


@writes("Engage the kill switch", stops=True, open_world=False)
async def engage_kill_switch(app: App, reason: Reason, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - on is on
    """Stop every effect in every process, now, and pause live campaigns at the vendor. Only an admin releases it."""
    if await app.kernel.switches.kill(actor="agent", reason=reason):
        await app.kernel.audit.try_checkpoint("kill")
        return await _stood_still(app, "Stopped", reason)
    message = (
        "Stopped by the flag file; the database could not be written, so campaigns run on at the vendor."
    )
    return Outcome("applied", "", message, correlation_id=correlation())


@writes("Engage safe mode", stops=True, open_world=False)
async def engage_safe_mode(app: App, reason: Reason, idempotency_key: Key = "") -> Outcome:  # noqa: ARG001 - on is on
    """Simulate every effect from now on, and pause live campaigns at the vendor. Only an admin leaves safe mode."""
    await app.kernel.switches.engage_safe_mode(actor="agent", reason=reason)
    return await _stood_still(app, "Everything is simulated from now on", reason)
