"""What a model may ask of the hunter: audiences of LinkedIn posts through providers, and files."""

from typing import Annotated

import anyio.to_thread
from pydantic import Field

from servers.hunter.account import PROVIDERS, Hunter
from servers.hunter.effects import start_job, stop_job
from servers.hunter.files import read_page
from servers.hunter.jobs import Kind, apify_page, phantombuster_page, read_reference
from servers.hunter.restriction import heed, restrict
from shared.effect import Outcome
from shared.errors import SwarmError
from shared.ports import Check, Key, LeadPage, SourceInfo, Text
from shared.switches import standing
from shared.tool import reads, writes

KINDS: tuple[Kind, ...] = ("likers", "commenters")
Path_ = Annotated[str, Field(min_length=1, max_length=1000)]
Rows = Annotated[int, Field(ge=1, le=1000)]
People = Annotated[int, Field(ge=1, le=2500)]


@reads("List sources", open_world=False)
async def list_sources(hunter: Hunter) -> tuple[SourceInfo, ...]:
    """What can be sourced, through whom, and what is missing or paused."""
    safety = await hunter.kernel.switches.now()
    found = [SourceInfo("file", "import", True, "CSV: LinkedIn connections, provider exports, your own")]
    for kind in KINDS:
        provider = next((name for name in PROVIDERS if kind in _serves(hunter, name)), "")
        if not provider:
            found.append(SourceInfo(f"post_{kind}", "provider", False, "no provider is configured"))
            continue
        agent = hunter.agents.get(kind, "") if provider == "phantombuster" else ""
        pause = standing(safety, provider, "", agent)
        why = hunter.missing(kind) or (
            f"paused until {pause.until or 'a person resumes it'}" if pause else ""
        )
        found.append(SourceInfo(f"post_{kind}", provider, not why, why))
    return tuple(found)


def _serves(hunter: Hunter, provider: str) -> tuple[Kind, ...]:
    return hunter.options.serves if provider == "phantombuster" else hunter.apify_options.serves


@reads("Sourcing status")
async def get_status(hunter: Hunter) -> tuple[Check, ...]:
    """Whether the configured providers answer, their agents exist, and how much of the plan is left."""
    checks: list[Check] = []
    if hunter.options.serves:
        checks.append(await _plan(hunter))
        checks += [await _agent(hunter, kind) for kind in hunter.options.serves]
    for kind in hunter.apify_options.serves:
        missing = hunter.missing(kind)
        checks.append(Check(f"apify {kind}", not missing, missing or "an actor is named"))
    return tuple(checks) or (Check("providers", False, "neither PhantomBuster nor Apify serves an audience"),)


async def _plan(hunter: Hunter) -> Check:
    try:
        left = await hunter.phantombuster.resources()
    except SwarmError as error:
        return Check("phantombuster", False, error.message)
    minutes = left.get("monthlyExecutionTime")
    enough = not isinstance(minutes, int | float) or minutes > 0
    return Check("phantombuster", enough, f"execution time left this month: {minutes if enough else 'none'}")


async def _agent(hunter: Hunter, kind: Kind) -> Check:
    name = f"phantombuster agent for {kind}"
    missing = hunter.missing(kind)
    if missing:
        return Check(name, False, missing)
    try:
        await hunter.phantombuster.agent(hunter.agents[kind])
    except SwarmError as error:
        return Check(name, False, error.message)
    return Check(name, True)


@reads("Get a sourcing job")
async def get_job(hunter: Hunter, job_id: Key, cursor: Text = "") -> LeadPage:
    """A run's people as far as they are there, a page at a time; `status` is running until the run has ended.

    Rows that can't be used are named by number and reason. `partial` means the run broke off.
    """
    provider, reference = read_reference(job_id)
    if provider == "apify":
        page = await apify_page(hunter.apify, reference, cursor)
    else:
        page = await phantombuster_page(hunter.phantombuster, reference, cursor)
    await heed(hunter, provider, reference, page)
    return page


@writes("Source people who engaged with a post")
async def scrape_posts(
    hunter: Hunter, post_url: Text, kind: Kind, limit: People = 500, idempotency_key: Key = ""
) -> Outcome:
    """Start a provider's run for the likers or commenters of one LinkedIn post; it spends provider time.

    `reference` of the outcome is the job for get_job. The same post is started once a day unless another
    idempotency key is given. LinkedIn shows at most about 1,200 likers of a post.
    """
    return await start_job(hunter, post_url, kind, limit, idempotency_key)


@writes("Import people from a file", open_world=False)
async def import_file(hunter: Hunter, path: Path_, cursor: Text = "", limit: Rows = 500) -> LeadPage:
    """People out of a local CSV, a page at a time: pass `next_cursor` on until it is empty.

    Takes LinkedIn's Connections.csv, Sales-Navigator-like provider exports, and any CSV with a column of
    LinkedIn profiles or e-mail addresses. Bad rows are named by line and kept in
    `quarantine_file`; the good ones go on.
    """
    real = hunter.readable(path)
    folder = hunter.kernel.settings.home / "quarantine"
    return await anyio.to_thread.run_sync(read_page, real, cursor, limit, folder)


@writes("Report a LinkedIn restriction", open_world=False, stops=True)
async def report_restriction(
    hunter: Hunter, reason: Annotated[str, Field(min_length=3, max_length=500)]
) -> Outcome:
    """Stop all sourcing for 72 hours after any warning by LinkedIn, and retire every session. A person ends it.

    What a run itself tells is heeded without this.
    """
    everybody = tuple(sorted({agent for agent in hunter.agents.values() if agent}))
    until = await restrict(hunter, f"reported: {reason}", everybody)
    return Outcome("applied", message=f"All sourcing stands still until {until}; every session is retired.")


@writes("Cancel a sourcing job", stops=True)
async def cancel_job(hunter: Hunter, job_id: Key) -> Outcome:
    """End a provider's run; what it found by then stays."""
    return await stop_job(hunter, job_id)


TOOLS = (list_sources, get_status, get_job, scrape_posts, import_file, report_restriction, cancel_job)
