"""What the hunter changes outside: a provider's run started or stopped, each an Effect through the gate."""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from servers.hunter.account import Hunter
from servers.hunter.jobs import APIFY_STATUS, PHANTOMBUSTER_STATUS, Kind, read_reference
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Invalid, Retryable
from shared.gate import Permit

POST = re.compile(r"^https://([a-z]{2,3}\.)?linkedin\.com/(posts|feed/update|pulse)/[^\s<>\"]{3,400}$")
KEY = "swarm_key"  # under which a container carries our effect's key


async def start_job(
    hunter: Hunter, post_url: str, kind: Kind, limit: int, idempotency_key: str = ""
) -> Outcome:
    """Start a run for one post; the same post, audience and size is started once a day."""
    if not POST.match(post_url):
        raise Invalid(
            "expected the address of a LinkedIn post (https://www.linkedin.com/posts/…)", field="post_url"
        )
    missing = hunter.missing(kind)
    if missing:
        raise Invalid(missing, field="kind", code="not_configured")
    if hunter.provider(kind) == "apify":
        return await _start_run(hunter, post_url, kind, limit, idempotency_key)
    return await _launch_agent(hunter, post_url, kind, limit, idempotency_key)


async def _launch_agent(
    hunter: Hunter, post_url: str, kind: Kind, limit: int, idempotency_key: str
) -> Outcome:
    agent = hunter.agents[kind]
    effect = Effect(
        vendor="phantombuster",
        action="launch_agent",
        target=post_url,
        intent=_intent(hunter, kind, limit),
        content={"agent": agent, "kind": kind, "post_url": post_url, "limit": limit},
        session=agent,
        idempotency_key=idempotency_key,
    )
    argument: dict[str, object] = {
        "postUrl": post_url,
        "numberOfPostsPerLaunch": hunter.options.posts_per_launch,
    }
    if kind == "commenters":
        argument["numberOfCommentsPerPost"] = limit
    metadata = {KEY: effect.key, "kind": kind, "post_url": post_url}

    async def perform(permit: Permit) -> Receipt:
        container = await hunter.phantombuster.launch(permit, agent, argument, metadata)
        return Receipt(f"phantombuster:{container}")

    return await hunter.kernel.gate.submit(effect, perform, partial(find_launch, hunter))


async def _start_run(hunter: Hunter, post_url: str, kind: Kind, limit: int, idempotency_key: str) -> Outcome:
    actor = hunter.apify_options.actors[kind]
    charge = hunter.apify_options.max_charge_usd
    effect = Effect(
        vendor="apify",
        action="start_run",
        target=post_url,
        intent=_intent(hunter, kind, limit),
        content={
            "actor": actor,
            "kind": kind,
            "post_url": post_url,
            "limit": limit,
            "max_charge_usd": charge,
        },
        idempotency_key=idempotency_key,
    )
    given = {"posts": [post_url], "maxItems": limit, "profileScraperMode": "short"}

    async def perform(permit: Permit) -> Receipt:
        return Receipt(f"apify:{await hunter.apify.start(permit, actor, given, charge)}")

    return await hunter.kernel.gate.submit(effect, perform)


def _intent(hunter: Hunter, kind: Kind, limit: int) -> str:
    return f"post:{kind}:{limit}:{hunter.kernel.clock.now():%Y-%m-%d}"


async def find_launch(hunter: Hunter, effect: Effect) -> Receipt | None:
    """The container that carries the effect's key, among the runs of its agent."""
    containers, cut = await hunter.phantombuster.containers(str(effect.content["agent"]))
    for container in containers:
        metadata = container.get("userCustomMetadata")
        if isinstance(metadata, dict) and metadata.get(KEY) == effect.key:
            return Receipt(f"phantombuster:{container['id']}")
    if cut:
        raise Retryable("the run may be beyond the listed ones", code="list_cut")
    return None


async def stop_job(hunter: Hunter, job_id: str) -> Outcome:
    """End a run and keep its rows; allowed while everything else is stopped, and repeated until confirmed."""
    provider, reference = read_reference(job_id)

    async def stop_agent(permit: Permit) -> None:
        await hunter.phantombuster.stop(permit, await _agent_of(hunter, reference))

    async def abort_run(permit: Permit) -> None:
        await hunter.apify.abort(permit, reference)

    if provider == "apify":
        return await _stop(hunter, "apify", "abort_run", job_id, abort_run)
    return await _stop(hunter, "phantombuster", "stop_agent", job_id, stop_agent)


async def _stop(
    hunter: Hunter, vendor: str, action: str, job_id: str, end: Callable[[Permit], Awaitable[None]]
) -> Outcome:
    effect = Effect(
        vendor=vendor,
        action=action,
        target=job_id,
        intent="stop",
        content={"job": job_id},
        repeatable=True,
        stops=True,
    )

    async def perform(permit: Permit) -> Receipt:
        await end(permit)
        return Receipt(job_id)

    return await hunter.kernel.gate.submit(effect, perform, partial(find_stopped, hunter))


async def find_stopped(hunter: Hunter, effect: Effect) -> Receipt | None:
    """Whether a run whose end was asked for has ended, by that or by itself."""
    provider, reference = read_reference(effect.target)
    if provider == "apify":
        shown, known = str((await hunter.apify.run(reference)).get("status")), APIFY_STATUS
    else:
        shown, known = (
            str((await hunter.phantombuster.container(reference)).get("status")),
            PHANTOMBUSTER_STATUS,
        )
    if shown not in known:
        raise Retryable("the provider shows a status that isn't known", code="cant_tell")
    return None if known[shown] == "running" else Receipt(effect.target, {"status": known[shown]})


async def _agent_of(hunter: Hunter, container: str) -> str:
    """The agent a running container belongs to: only an agent can be stopped."""
    for agent in {agent for agent in hunter.agents.values() if agent}:
        listed, _ = await hunter.phantombuster.containers(agent)
        found = next((run for run in listed if run.get("id") == container), None)
        if found is not None and found.get("status") in {"starting", "running"}:
            return agent
    raise Invalid("no configured agent is running this job", field="job_id", code="not_running")
