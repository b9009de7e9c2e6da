"""A warning of LinkedIn: all sourcing stands still for some days, and the session that got it is retired.

seen in a run, or reported ─▶ halt of every provider, `linkedin.pause_hours` long
                           └▶ halt of session:phantombuster:<agent> ─▶ a named person, who gave it a fresh session

Sessions live at PhantomBuster, one to an agent, so an agent is what is retired here: it isn't launched any more.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from servers.hunter.account import PROVIDERS, Hunter
from servers.hunter.jobs import RESTRICTED
from shared.clock import iso
from shared.errors import SwarmError
from shared.ports import LeadPage
from shared.telemetry import logger

log = logger("hunter")
ACTOR = "rule:linkedin"


async def heed(hunter: Hunter, provider: str, reference: str, page: LeadPage) -> None:
    """Stop if a page of this run tells of a warning; once for each run, and not for one that ended long ago."""
    if page.message != RESTRICTED:
        return
    job = f"{provider}:{reference}"
    safety = await hunter.kernel.switches.now()
    if any(job in pause.reason for pause in safety.pauses):
        return
    agents, ended = await _of_run(hunter, reference) if provider == "phantombuster" else ((), None)
    if ended is None or hunter.kernel.clock.now() - ended < _length(hunter):
        await restrict(hunter, f"a run of {job}", agents)


async def _of_run(hunter: Hunter, container: str) -> tuple[Sequence[str], datetime | None]:
    """Whose session a run used, and when it ended; every agent's where that can't be told."""
    everybody = tuple(sorted({agent for agent in hunter.agents.values() if agent}))
    try:
        run = await hunter.phantombuster.container(container)
    except SwarmError as error:
        log.warning("hunter.run_not_shown", code=error.code)
        return everybody, None
    metadata, ended = run.get("userCustomMetadata"), run.get("endedAt")
    kind = str(metadata.get("kind")) if isinstance(metadata, dict) else ""
    mine = next((agent for name, agent in hunter.agents.items() if name == kind and agent), "")
    when = datetime.fromtimestamp(ended / 1000, UTC) if isinstance(ended, int | float) else None
    return ((mine,) if mine else everybody), when


async def restrict(hunter: Hunter, what: str, agents: Sequence[str]) -> str:
    """Stop all sourcing for so long, and retire these agents' sessions. Returns until when."""
    until = iso(hunter.kernel.clock.now() + _length(hunter))
    hours = f"{_length(hunter) / timedelta(hours=1):g} h"
    reason = f"linkedin: 1 warning, more than 0, {what}; sourcing stands still for {hours}"
    pause = hunter.kernel.switches.pause
    for provider in PROVIDERS:
        await pause(f"vendor:{provider}", actor=ACTOR, reason=reason, kind="halt", until=until)
    for agent in agents:
        retired = f"linkedin: 1 warning, more than 0, {what}; give this agent a fresh session first"
        await pause(f"session:phantombuster:{agent}", actor=ACTOR, reason=retired, kind="halt")
    log.warning("hunter.restricted", agents=len(agents))
    return until


def _length(hunter: Hunter) -> timedelta:
    return timedelta(hours=hunter.kernel.settings.safety.halts.linkedin.pause_hours)
