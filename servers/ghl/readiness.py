"""Whether the location is set up for us: token, duplicate policy, fields, tags, pipeline, webhooks."""

from collections.abc import Awaitable, Callable

from servers.ghl.account import Ghl, duplicate_policy, our_pipeline, resolve_fields
from servers.ghl.contacts import CUSTOM, DNC_TAG, NUMBERS
from shared.errors import SwarmError
from shared.ports import Check

TAGS = ("alpha-swarm", "contacted", "replied", "meeting_booked")
NUMERIC = {"icp_score"}


async def check(ghl: Ghl) -> tuple[Check, ...]:
    """Every check, read anew; one that fails does not hide the others."""
    ghl.location.forget()
    asked: tuple[tuple[str, Callable[[Ghl], Awaitable[Check]]], ...] = (
        ("location", _location),
        ("custom_fields", _fields),
        ("pipeline", _pipeline),
        ("tags", _tags),
    )
    return (*[await _ask(ghl, name, one) for name, one in asked], _webhooks(ghl))


async def _ask(ghl: Ghl, name: str, one: Callable[[Ghl], Awaitable[Check]]) -> Check:
    try:
        return await one(ghl)
    except SwarmError as error:
        return Check(name, ok=False, message=error.message)


async def _location(ghl: Ghl) -> Check:
    policy = duplicate_policy(await ghl.api.location())
    if policy.forbids_contacts and policy.forbids_opportunities:
        return Check("location", ok=True, message="reached; the vendor refuses duplicates")
    message = "reached; duplicate contacts or opportunities are allowed: switch that off in its settings"
    return Check("location", ok=False, message=message)


async def _fields(ghl: Ghl) -> Check:
    keys: dict[str, str] = {name: ghl.options.fields.get(name, name) for name in CUSTOM}
    found = resolve_fields(await ghl.api.custom_fields(), keys)
    missing = [keys[name] for name in CUSTOM if name not in found]
    textual = [keys[name] for name in NUMERIC if name in found and found[name].data_type not in NUMBERS]
    if missing:
        message = f"make these contact fields under Settings → Custom Fields: {', '.join(missing)}"
        return Check("custom_fields", ok=False, message=message)
    if textual:
        return Check("custom_fields", ok=False, message=f"these fields must be numbers: {', '.join(textual)}")
    return Check("custom_fields", ok=True, message=f"all {len(found)} are there")


async def _pipeline(ghl: Ghl) -> Check:
    pipeline = our_pipeline(await ghl.api.pipelines(), ghl.options.pipeline)
    there = {stage.name.strip().casefold() for stage in pipeline.stages}
    missing = [stage for stage in ghl.options.stages if stage.casefold() not in there]
    if missing:
        message = f"add these stages under Opportunities → Pipelines: {', '.join(missing)}"
        return Check("pipeline", ok=False, message=message)
    return Check("pipeline", ok=True, message=f"{pipeline.name} has its {len(ghl.options.stages)} stages")


async def _tags(ghl: Ghl) -> Check:
    there = {str(tag.get("name") or "").strip().casefold() for tag in await ghl.api.location_tags()}
    missing = [tag for tag in (*TAGS, DNC_TAG) if tag not in there]
    if missing:
        return Check("tags", ok=True, message=f"not used yet: {', '.join(missing)}")
    return Check("tags", ok=True, message="all are there")


def _webhooks(ghl: Ghl) -> Check:
    if ghl.settings.secrets.get("webhook_secret"):
        return Check("webhooks", ok=True, message="signed ones and those with the shared secret are accepted")
    message = "set GHL_WEBHOOK_SECRET to take a workflow's webhooks; only signed ones are accepted now"
    return Check("webhooks", ok=bool(ghl.options.webhook_keys), message=message)
