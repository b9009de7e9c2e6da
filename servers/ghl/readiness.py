"""Whether the location is set up for us, and making what is missing: fields, tags, pipeline.

missing field, tag, pipeline ─ created through the gate ─▶ applied
                             ─ the token lacks the scope ─▶ failed, with the steps for a person
missing stage, duplicates allowed ─▶ failed, "by_hand": changing a pipeline would replace all of its stages
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace

from servers.ghl.account import Ghl, duplicate_policy, field_keys, our_pipeline, resolve_fields
from servers.ghl.contacts import CUSTOM, NUMBERS
from servers.ghl.dialect import Raw
from servers.ghl.dnd import DNC_TAG
from servers.ghl.effects import outcome_of
from servers.ghl.finding import bound
from shared.clock import iso
from shared.effect import Effect, Json, Outcome, Receipt
from shared.errors import Fatal, SwarmError
from shared.gate import Permit
from shared.ports import BatchOutcome, Check

TAGS = (
    "alpha-swarm",
    "tier_1",
    "tier_2",
    "tier_3",
    "tier_4",
    "contacted",
    "replied",
    "meeting_booked",
    DNC_TAG,
)
# The vendor's type of each of our fields.
NAMES: tuple[str, ...] = CUSTOM
KINDS = dict.fromkeys(NAMES, "TEXT") | {
    "icp_score": "NUMERICAL",
    "enriched_at": "DATE",
    "contacted_at": "DATE",
}
BY_HAND = "by_hand"
DUPLICATES = (
    "in Settings → Business Profile, switch off “Allow Duplicate Contact” and “Allow Duplicate Opportunity”"
)


# ── checking ─────────────────────────────────────────────────────────────────────────────────────────────
async def check(ghl: Ghl) -> tuple[Check, ...]:
    """Every check, read anew; one that fails does not hide the others."""
    ghl.location.forget()
    asked: tuple[tuple[str, Callable[[Ghl], Awaitable[Check]]], ...] = (
        ("location", _location),
        ("custom_fields", _fields),
        ("pipeline", _pipeline),
        ("tags", _tags),
        ("replies", _replies),
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
    return Check("location", ok=False, message=f"reached; duplicates are allowed: {DUPLICATES}")


async def _fields(ghl: Ghl) -> Check:
    missing, wrong = await _missing_fields(ghl)
    if missing:
        message = f"missing, ghl_ensure_setup makes them: {', '.join(missing)}"
        return Check("custom_fields", ok=False, message=message)
    if wrong:
        return Check("custom_fields", ok=False, message=f"these fields must be numbers: {', '.join(wrong)}")
    return Check("custom_fields", ok=True, message=f"all {len(CUSTOM)} are there")


async def _missing_fields(ghl: Ghl) -> tuple[list[str], list[str]]:
    """Keys of the fields that the location lacks, and of those that have the wrong type."""
    keys = field_keys(ghl.options)
    found = resolve_fields(await ghl.api.custom_fields(), keys)
    numeric = [name for name, kind in KINDS.items() if kind in NUMBERS and name in found]
    missing = [keys[name] for name in CUSTOM if name not in found]
    return missing, [keys[name] for name in numeric if found[name].data_type not in NUMBERS]


async def _pipeline(ghl: Ghl) -> Check:
    pipeline = our_pipeline(await ghl.api.pipelines(), ghl.options.pipeline)
    there = {stage.name.strip().casefold() for stage in pipeline.stages}
    missing = [stage for stage in ghl.options.stages if stage.casefold() not in there]
    if missing:
        message = f"add these stages under Opportunities → Pipelines: {', '.join(missing)}"
        return Check("pipeline", ok=False, message=message)
    return Check("pipeline", ok=True, message=f"{pipeline.name} has its {len(ghl.options.stages)} stages")


async def _tags(ghl: Ghl) -> Check:
    if missing := missing_tags(await ghl.api.location_tags()):
        message = f"not there yet, made with their first use or by ghl_ensure_setup: {', '.join(missing)}"
        return Check("tags", ok=True, message=message)
    return Check("tags", ok=True, message="all are there")


def missing_tags(listed: Sequence[Raw]) -> list[str]:
    """Those of ours that aren't listed."""
    there = {str(tag.get("name") or "").strip().casefold() for tag in listed}
    return [tag for tag in TAGS if tag not in there]


async def _replies(ghl: Ghl) -> Check:
    await ghl.api.export_messages(iso(ghl.clock.now()), "", 10)
    return Check("replies", ok=True, message="missed replies can be found again")


def _webhooks(ghl: Ghl) -> Check:
    if ghl.settings.secrets.get("webhook_secret"):
        return Check("webhooks", ok=True, message="signed ones and those with the shared secret are accepted")
    message = "set GHL_WEBHOOK_SECRET to take a workflow's webhooks; only signed ones are accepted now"
    return Check("webhooks", ok=bool(ghl.options.webhook_keys), message=message)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something of the location that isn't there: custom_field, tag or pipeline; a field's type."""

    what: str
    name: str
    kind: str = ""


# ── making ───────────────────────────────────────────────────────────────────────────────────────────────
async def ensure(ghl: Ghl, key: str) -> BatchOutcome:
    """One outcome for each thing that was missing, with what to do where it could not be made."""
    parts = (_ensure_location, _ensure_fields, _ensure_tags, _ensure_pipeline)
    outcomes = [one for part in parts for one in await _each(ghl, part, key)]
    ghl.location.forget()
    return BatchOutcome.of(outcomes)


Part = Callable[[Ghl, str], Awaitable[list[Outcome]]]


async def _each(ghl: Ghl, part: Part, key: str) -> list[Outcome]:
    """One part; what can't even be read is told and hides no other."""
    try:
        return await part(ghl, key)
    except SwarmError as error:
        what = part.__name__.removeprefix("_ensure_")
        return [Outcome("failed", reason=error.code or error.kind, message=f"{what}: {error.message}")]


async def _ensure_location(ghl: Ghl, _key: str) -> list[Outcome]:
    policy = duplicate_policy(await ghl.api.location())
    if policy.forbids_contacts and policy.forbids_opportunities:
        return []
    return [Outcome("failed", reason=BY_HAND, message=f"location: {DUPLICATES}")]


async def _ensure_fields(ghl: Ghl, key: str) -> list[Outcome]:
    missing, wrong = await _missing_fields(ghl)
    ours = {theirs: name for name, theirs in field_keys(ghl.options).items()}
    listed = await ghl.api.custom_fields()
    made = [
        await _make(ghl, Wanted("custom_field", field, KINDS[ours[field]]), listed, key) for field in missing
    ]
    by_hand = [
        f"field {field}: its type must be a number; make it anew under Settings → Custom Fields"
        for field in wrong
    ]
    return made + [Outcome("failed", reason=BY_HAND, message=message) for message in by_hand]


async def _ensure_tags(ghl: Ghl, key: str) -> list[Outcome]:
    listed = await ghl.api.location_tags()
    return [await _make(ghl, Wanted("tag", tag), listed, key) for tag in missing_tags(listed)]


async def _ensure_pipeline(ghl: Ghl, key: str) -> list[Outcome]:
    listed = await ghl.api.pipelines()
    try:
        our_pipeline(listed, ghl.options.pipeline)
    except Fatal:
        return [await _make(ghl, Wanted("pipeline", ghl.options.pipeline), listed, key)]
    found = await _pipeline(ghl)
    return [] if found.ok else [Outcome("failed", reason=BY_HAND, message=f"pipeline: {found.message}")]


async def _make(ghl: Ghl, wanted: Wanted, listed: Sequence[Raw], key: str) -> Outcome:
    """Create one thing of the location; where the scope is missing, say how a person does it."""
    there = {str(raw.get("id")) for raw in listed}
    made = await _submit(ghl, wanted, "", key)
    if made.status == "replayed" and made.reference not in there:
        # What was made once and deleted since is wanted anew.
        made = await _submit(ghl, wanted, made.reference, key)
    told = {"applied": "created", "replayed": "created before", "simulated": "would be created"}
    said = told.get(made.status) or f"{made.message}. By hand: {_steps(ghl, wanted)}"
    return replace(made, message=f"{wanted.what.replace('_', ' ')} {wanted.name}: {said}")


async def _submit(ghl: Ghl, wanted: Wanted, instead_of: str, key: str) -> Outcome:
    what, name = wanted.what, wanted.name
    effect = Effect(
        vendor="ghl",
        action=f"create_{what}",
        target=f"location:{ghl.api.location_id}",
        intent=f"setup:{what}:{name}:{instead_of}",
        content={**asdict(wanted), "stages": list[Json](ghl.options.stages)},
        idempotency_key=f"{key}:{what}:{name}:{instead_of}" if key else "",
    )

    async def perform(permit: Permit) -> Receipt:
        made = await _create(ghl, wanted, permit)
        return Receipt(str(made["id"]), {"what": what, "name": name})

    return await outcome_of(ghl.gate.submit(effect, perform, bound(ghl, find_made)))


async def _create(ghl: Ghl, wanted: Wanted, permit: Permit) -> Raw:
    if wanted.what == "custom_field":
        return await ghl.api.create_custom_field(permit, display_name(wanted.name), wanted.kind)
    if wanted.what == "tag":
        return await ghl.api.create_tag(permit, wanted.name)
    if not ghl.api.dialect.creates_pipelines:
        raise Fatal("pipelines can be created with version v3 only", code="old_version")
    return await ghl.api.create_pipeline(permit, wanted.name, ghl.options.stages)


def display_name(key: str) -> str:
    """What makes the vendor give the field this key: `icp_score` comes of "Icp Score"."""
    return key.replace("_", " ").title()


def _steps(ghl: Ghl, wanted: Wanted) -> str:
    name, kind = wanted.name, wanted.kind
    steps = {
        "custom_field": f"Settings → Custom Fields → Add Field for contacts, type {kind}, name “{display_name(name)}”",
        "tag": f"Settings → Tags → New Tag “{name}”",
        "pipeline": (
            f"Opportunities → Pipelines → Create Pipeline “{name}” with the stages {', '.join(ghl.options.stages)} "
            "in this order (by API it needs the scope pipelines.create)"
        ),
    }
    return steps[wanted.what]


async def find_made(ghl: Ghl, effect: Effect) -> Receipt | None:
    """A thing of the location is there when it is listed."""
    what, name = str(effect.content["what"]), str(effect.content["name"])
    if what == "custom_field":
        found = resolve_fields(await ghl.api.custom_fields(), {"it": name})
        return Receipt(found["it"].id, {"found": True}) if found else None
    listed = await (ghl.api.location_tags() if what == "tag" else ghl.api.pipelines())
    named = [raw for raw in listed if str(raw.get("name") or "").strip().casefold() == name.casefold()]
    return Receipt(str(named[0].get("id")), {"found": True}) if named else None
