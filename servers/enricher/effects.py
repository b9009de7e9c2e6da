"""What the enricher spends: look-ups and verifications, each an Effect through the gate.

No vendor here knows idempotency keys, and none lists what was asked of it: an answer that is lost leaves a
look-up in doubt, because asking again would be paid again, until the run that carries it is heard of.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from servers.enricher.account import Enricher
from servers.enricher.api import OPTED_OUT, Item
from servers.enricher.fields import enrichment, verdict
from shared.address import read_address
from shared.clock import iso, parse
from shared.effect import Effect, Json, Outcome, Receipt
from shared.errors import Invalid, Retryable, SwarmError
from shared.gate import Permit
from shared.ports import BatchOutcome, Enrichment, EnrichmentPage, EnrichRequest

MAX_ID = 64  # characters of an item's id at Clay: our lead id travels there and back
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
PAID = frozenset({"applied", "claimed", "in_doubt"})


async def look_up(
    enricher: Enricher, requests: Sequence[EnrichRequest], idempotency_key: str
) -> BatchOutcome:
    """Start look-ups in one run; a person looked up within `fresh_days` gets the earlier receipt, unpaid."""
    if not enricher.routine:
        raise Invalid("set CLAY_ROUTINE_ID to the routine's id", field="requests", code="not_configured")
    effects = [await _effect(enricher, request, idempotency_key) for request in requests]
    if len({effect.key for effect in effects}) != len(effects):
        raise Invalid("a lead is named twice", field="requests", code="duplicate")
    inputs = {effect.key: item_of(enricher, one) for effect, one in zip(effects, requests, strict=True)}

    async def perform_many(permits: Mapping[str, Permit]) -> Mapping[str, Receipt | SwarmError]:
        items = [inputs[key] for key in permits]
        run = await enricher.clay.run(
            next(iter(permits.values())), enricher.routine, items, enricher.webhook_id
        )
        return {key: Receipt(f"clay:{run}:{inputs[key]['id']}") for key in permits}

    lookup = partial(find_run, enricher)
    return BatchOutcome.of(await enricher.kernel.gate.submit_batch(effects, perform_many, lookup))


def item_of(enricher: Enricher, request: EnrichRequest) -> Mapping[str, object]:
    """One item of a run: our lead id, and the inputs that the routine takes and we know."""
    known = {ours: str(getattr(request, ours)) for ours in enricher.options.inputs}
    return {
        "id": request.lead_id,
        "inputs": {theirs: known[ours] for ours, theirs in enricher.options.inputs.items() if known[ours]},
    }


async def _effect(enricher: Enricher, request: EnrichRequest, idempotency_key: str) -> Effect:
    """The look-up of one person, under the key of an earlier one that is still fresh if there is one."""
    person = request.linkedin_url or request.email.lower()
    if not person:
        raise Invalid("each request needs a linkedin_url or an email", field="requests")
    if not request.lead_id or len(request.lead_id) > MAX_ID:
        raise Invalid(f"a lead_id has 1 to {MAX_ID} characters", field="requests")
    days = enricher.options.fresh_days
    period = (enricher.kernel.clock.now() - EPOCH).days // days
    current = _of_period(enricher, request, person, period, idempotency_key)
    earlier = _of_period(enricher, request, person, period - 1, idempotency_key)
    return earlier if await _fresh(enricher, earlier) else current


def _of_period(
    enricher: Enricher, request: EnrichRequest, person: str, period: int, idempotency_key: str
) -> Effect:
    return Effect(
        vendor="clay",
        action="enrich",
        target=request.lead_id,
        intent=f"enrich:{person}:{period}",
        # Only what the key depends on: a company spelt otherwise is no other look-up.
        content={"person": person},
        recipients=(request.email,) if request.email else (),
        cost=enricher.options.credits_per_lead,
        idempotency_key=idempotency_key,
    )


async def _fresh(enricher: Enricher, effect: Effect) -> bool:
    """Whether it was paid for within `fresh_days`: periods begin at fixed dates."""
    row = await enricher.kernel.ledger.get(effect.key)
    if row is None or row.status not in PAID or not row.claimed_at:
        return False
    age = enricher.kernel.clock.now() - parse(row.claimed_at)
    return age < timedelta(days=enricher.options.fresh_days)


async def find_run(enricher: Enricher, effect: Effect) -> Receipt | None:
    """The run that carries a look-up whose answer was lost, by Clay's end-of-run webhooks.

    Clay lists neither runs nor items, but tells every run that ends; its items carry our lead ids. Raises
    `Retryable` while no such run has ended: it may still come.
    """
    for run in await enricher.kernel.events.references("clay", "job_finished"):
        items = await _results(enricher, run)
        if items is not None and effect.target in items:
            return Receipt(f"clay:{run}:{effect.target}")
    raise Retryable("no ended run at Clay holds this look-up yet", code="cant_tell")


async def collect(enricher: Enricher, references: Sequence[str]) -> EnrichmentPage:
    """Results of look-ups, each run asked once."""
    runs: dict[str, list[str]] = {}
    for reference in references:
        run, lead_id = read_reference(reference)
        runs.setdefault(run, []).append(lead_id)
    results: list[Enrichment] = []
    pending: list[str] = []
    for run, lead_ids in runs.items():
        items = await _results(enricher, run)
        if items is None:
            pending += [f"clay:{run}:{lead_id}" for lead_id in lead_ids]
        else:
            results += [_result(enricher, lead_id, items.get(lead_id)) for lead_id in lead_ids]
    return EnrichmentPage(tuple(results), tuple(pending))


def read_reference(reference: str) -> tuple[str, str]:
    """A look-up's run and lead id; `Invalid` when it isn't one of ours."""
    vendor, run, lead_id, *_ = (*reference.split(":", 2), "", "", "")
    if vendor != "clay" or not run or not lead_id:
        raise Invalid("expected clay:<run>:<lead>, as enrich_leads answered", field="references")
    return run, lead_id


async def _results(enricher: Enricher, run: str) -> Mapping[str, Item] | None:
    """A run's items; none at all when Clay has forgotten it, which it does after about a day."""
    try:
        return await enricher.clay.results(run)
    except Invalid as error:
        if error.status != 404:
            raise
        return {}


def _result(enricher: Enricher, lead_id: str, item: Item | None) -> Enrichment:
    now = iso(enricher.kernel.clock.now())
    if item is None or item.failed:
        return Enrichment(lead_id, "failed", provider="clay", collected_at=now)
    return enrichment(lead_id, item.result, now, enricher.options.credits_per_lead)


async def verify(enricher: Enricher, email: str, idempotency_key: str) -> Outcome:
    """Have an address checked; `detail.verdict` is in our vocabulary. Paid once per `fresh_days`."""
    address = read_address(email).exact
    period = (enricher.kernel.clock.now() - EPOCH).days // enricher.verifier_options.fresh_days
    effect = Effect(
        vendor="hunterio",
        action="verify_email",
        target=address,
        intent=f"verify:{period}",
        content={"email": address},
        recipients=(address,),
        cost=1,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        try:
            data = await enricher.hunterio.verify(permit, address)
        except Invalid as error:
            if error.status != OPTED_OUT:
                raise
            return Receipt(f"hunterio:{effect.key[:16]}", {"verdict": "never_send", "opted_out": True})
        score = data.get("score")
        detail: dict[str, Json] = {
            "verdict": verdict(data.get("status")),
            "score": score if isinstance(score, int) else 0,
        }
        return Receipt(f"hunterio:{effect.key[:16]}", detail)

    return await enricher.kernel.gate.submit(effect, perform, partial(nothing_kept, enricher))


async def nothing_kept(_enricher: Enricher, _effect: Effect) -> Receipt | None:
    """A verification changes nothing at Hunter.io: a lost answer may be asked for again, for a credit."""
    return None
