"""What a model may ask of the enricher: paid look-ups of people, and what became of them."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from servers.enricher.account import Enricher
from servers.enricher.effects import collect, look_up, verify
from shared.effect import Outcome
from shared.errors import SwarmError
from shared.ports import BatchOutcome, Budget, Check, Email, EnrichmentPage, EnrichRequest, Key, Text
from shared.tool import reads, writes

References = Annotated[Sequence[Text], Field(min_length=1, max_length=1000)]
Requests = Annotated[Sequence[EnrichRequest], Field(min_length=1, max_length=100)]


@writes("Look a person up")
async def enrich_lead(enricher: Enricher, request: EnrichRequest, idempotency_key: Key = "") -> Outcome:
    """Start a paid look-up of one person by LinkedIn profile, or by e-mail with name and company.

    `reference` of the outcome is what get_result takes. Within 45 days the same person is not paid twice.
    """
    return (await look_up(enricher, [request], idempotency_key)).outcomes[0]


@writes("Look people up")
async def enrich_leads(enricher: Enricher, requests: Requests, idempotency_key: Key = "") -> BatchOutcome:
    """Start paid look-ups of up to 100 people in one run; one outcome per person, in order.

    `reference` of each is what get_result takes. Within 45 days the same person is not paid twice.
    """
    return await look_up(enricher, requests, idempotency_key)


@reads("Get look-up results")
async def get_result(enricher: Enricher, references: References) -> EnrichmentPage:
    """What came back for the given references; `pending` are those still being looked up."""
    return await collect(enricher, references)


@reads("Get the credit budget", open_world=False)
async def get_budget(enricher: Enricher) -> Budget:
    """Credits that look-ups may spend today and have spent; limit -1 means none is set."""
    state = await enricher.kernel.budgets.credits("clay")
    return Budget(state.limit, state.spent, state.day)


@reads("Enrichment status")
async def get_status(enricher: Enricher) -> tuple[Check, ...]:
    """Whether Clay takes the key, and whether a routine is named."""
    named = bool(enricher.routine)
    routine = Check("clay routine", named, "" if named else "set CLAY_ROUTINE_ID to the routine's id")
    try:
        await enricher.clay.me()
    except SwarmError as error:
        return (Check("clay", False, error.message), routine)
    return (Check("clay", True, "the key is accepted"), routine)


@writes("Verify an e-mail address")
async def verify_email(enricher: Enricher, email: Email, idempotency_key: Key = "") -> Outcome:
    """Have a mailbox checked by Hunter.io, which spends a verification.

    `detail.verdict` is deliverable, accept_all, undeliverable, never_send or unknown.
    """
    return await verify(enricher, email, idempotency_key)


TOOLS = (enrich_lead, enrich_leads, get_result, get_budget, get_status, verify_email)
