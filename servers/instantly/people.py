"""People in campaigns at Instantly, each enrolment an Effect of its own: with exactly the words a person approved.

    up to 1,000 people ─ one request ─▶ created: told by index, and believed if the address fits
                                    ├ not created ─ looked up, a hundred at a time ─▶ there with our words: enrolled
                                    │                                              └▶ not there, or with others: why
                                    └ answer lost ─ in doubt ─ looked up the same way when asked for again

An import answers 200 and counts what it skipped, without saying who. Nobody is imported who is in any campaign.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from servers.instantly import drafts
from servers.instantly.account import Instantly, refuse_simulated
from servers.instantly.api import Page, every
from servers.instantly.effects import VENDOR, find_campaign
from servers.instantly.views import campaign_status, number_of, text_of
from shared.effect import Effect, Outcome, Receipt, canonical
from shared.errors import InDoubt, Invalid, SwarmError
from shared.gate import MAX_BATCH, Ended, Permit
from shared.ports import BatchOutcome, Enrollment, Message

PAGE = 100
TOO_LARGE = 413
GATHER = 0.05  # seconds in which look-ups gather for one request
# The counts of an import's answer, and what each means for those who were not created.
SKIPPED: Mapping[str, tuple[str, str]] = {
    "in_blocklist": ("blocklisted", "the address is on Instantly's block list"),
    "invalid_email_count": ("invalid_email", "Instantly takes the address for invalid"),
    "duplicated_leads": ("already_enrolled", "the person is in this campaign already, with other words"),
    "skipped_count": ("in_another_campaign", "the person is in another campaign already"),
    "duplicate_email_count": ("duplicate_email", "the address stands twice in one import"),
    "incomplete_count": ("incomplete", "Instantly takes the person for incomplete"),
}
NOT_ADDED = ("not_added", "Instantly skipped the person and did not say why")
PLAN_FULL = ("plan_full", "the workspace's plan at Instantly has no room for more people")
ItemT = TypeVar("ItemT")
Leads = Mapping[str, Mapping[str, Any]]


# ── looking people up ────────────────────────────────────────────────────────────────────────────────────
@dataclass(slots=True)
class _Round:
    """Those who are looked up together, and what was found of each."""

    emails: list[str]
    answers: dict[str, Mapping[str, Any] | SwarmError | None] = field(default_factory=dict)
    over: anyio.Event = field(default_factory=anyio.Event)


class Search:
    """The people of one campaign by address: whoever asks within a moment goes into the same requests.

    A thousand people in doubt are ten requests, not a thousand.
    """

    def __init__(self, instantly: Instantly, campaign_ref: str) -> None:
        self._instantly = instantly
        self._ref = campaign_ref
        self._next: _Round | None = None

    async def find(self, email: str) -> Mapping[str, Any] | None:
        """The campaign's lead with this address, or None. Raises what the request raised."""
        mine = self._next
        if mine is None:
            mine = self._next = _Round([email])
            await self._gather(mine)
        else:
            mine.emails.append(email)
            await mine.over.wait()
        answer = mine.answers.get(email, InDoubt("the look-up was given up", code="cancelled"))
        if isinstance(answer, SwarmError):
            raise answer
        return answer

    async def _gather(self, mine: _Round) -> None:
        """Wait for others to join, then ask for all of them."""
        try:
            await self._instantly.clock.sleep(GATHER)
            self._next = None
            for part in _parts(mine.emails, PAGE):
                await self._ask(mine, part)
        finally:
            self._next = None if self._next is mine else self._next
            mine.over.set()

    async def _ask(self, mine: _Round, emails: Sequence[str]) -> None:
        try:
            held = await leads_in(self._instantly, self._ref, emails)
        except SwarmError as error:
            mine.answers |= dict.fromkeys(emails, error)
            return
        mine.answers |= {email: held.get(email.lower()) for email in emails}


async def leads_in(instantly: Instantly, campaign_ref: str, emails: Sequence[str]) -> Leads:
    """The campaign's leads with these addresses (at most 100), by address."""

    async def page(cursor: str) -> Page:
        return await instantly.api.leads(emails, campaign_ref, cursor)

    wanted, held = {email.lower() for email in emails}, {}
    async for lead in every(page):
        held[text_of(lead, "email").lower()] = lead
        if wanted <= held.keys():
            break  # a full page is followed by an empty one, which needn't be asked for
    return held


async def leads_of(instantly: Instantly, email: str) -> list[Mapping[str, Any]]:
    """The person's leads in all campaigns."""

    async def page(cursor: str) -> Page:
        return await instantly.api.leads([email], cursor=cursor)

    return [lead async for lead in every(page) if text_of(lead, "email").lower() == email.lower()]


def with_our_words(lead: Mapping[str, Any] | None, enrollment: Enrollment) -> str:
    """The lead's id, if it is there and carries exactly these words."""
    if lead is None or not drafts.holds_words(lead, drafts.custom_variables(enrollment)):
        return ""
    return text_of(lead, "id")


async def find_lead(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether the campaign, found by its unique name, holds the person with exactly these words."""
    campaign = await find_campaign(instantly.api, str(effect.content["campaign_id"]))
    if campaign is None:
        return None
    enrollment = _enrollment(effect)
    held = await leads_in(instantly, text_of(campaign, "id"), [enrollment.email])
    reference = with_our_words(held.get(enrollment.email.lower()), enrollment)
    return Receipt(reference) if reference else None


def _enrollment(effect: Effect) -> Enrollment:
    """The enrollment that an effect's content was made of."""
    content: dict[str, Any] = dict(effect.content)
    content["messages"] = tuple(Message(**message) for message in content["messages"])
    return Enrollment(**content)


# ── enrolling ────────────────────────────────────────────────────────────────────────────────────────────
async def add_leads(
    instantly: Instantly,
    campaign_ref: str,
    enrollments: Sequence[Enrollment],
    approval: str,
    idempotency_key: str,
) -> BatchOutcome:
    """Enrol each person on their own approval: one effect per person, one request per thousand."""
    effects = [_enrolment(one, approval, idempotency_key) for one in enrollments]
    unique = {effect.key: effect for effect in effects}
    if any(unique[effect.key].fingerprint != effect.fingerprint for effect in effects):
        raise Invalid("a person stands there twice with different words", field="enrollments")
    people = {effect.key: one for effect, one in zip(effects, enrollments, strict=True)}
    importing = _Import(instantly, campaign_ref, people)
    outcomes: dict[str, Outcome] = {}
    for part in _parts(list(unique.values()), MAX_BATCH):
        ended = await instantly.gate.submit_batch(part, importing.perform, importing.lookup)
        outcomes |= {effect.key: outcome for effect, outcome in zip(part, ended, strict=True)}
    return BatchOutcome.of([outcomes[effect.key] for effect in effects])


def _enrolment(enrollment: Enrollment, approval: str, idempotency_key: str) -> Effect:
    """The effect of enrolling one person; its content is what was approved, to the letter."""
    return Effect(
        vendor=VENDOR,
        action="add_lead",
        target=enrollment.email,
        intent=f"campaign:{enrollment.campaign_id}:lead:{enrollment.lead_id}",
        content=json.loads(canonical(enrollment)),
        recipients=(enrollment.email,),
        campaign=enrollment.campaign_id,
        approval=approval,
        idempotency_key=f"{idempotency_key}:{enrollment.lead_id}" if idempotency_key else "",
    )


class _Import:
    """The requests of one call: the campaign is read once, and people are looked up together."""

    def __init__(self, instantly: Instantly, ref: str, people: Mapping[str, Enrollment]) -> None:
        self._instantly = instantly
        self._ref = ref
        self._people = people
        self._search = Search(instantly, ref)
        self._campaign: Mapping[str, Any] | None = None

    async def perform(self, permits: Mapping[str, Permit]) -> Ended:
        """Check everyone against the campaign as it is, then import in parts. A part in doubt is left out."""
        refuse_simulated(self._ref)
        campaign = await self._read_once()
        ended: dict[str, Receipt | SwarmError] = {}
        fit: list[str] = []
        for key in permits:
            code, message = drafts.words_problem(self._people[key], campaign)
            if code:
                ended[key] = Invalid(message, field="enrollments", code=code)
            else:
                fit.append(key)
        for part in _parts(fit, self._instantly.options.leads_per_request):
            ended |= await self._send(part, permits[part[0]], permits)
        return ended

    async def _read_once(self) -> Mapping[str, Any]:
        """The campaign, read with the first request. `Invalid` if it runs and its words or guards were changed:
        whoever is added is sent what stands there. A draft is looked at when it starts."""
        if self._campaign is None:
            held = await self._instantly.api.campaign(self._ref)
            problem = drafts.unsafe(held, self._instantly.options.unsubscribe_text)
            if problem and campaign_status(held) != "draft":
                raise Invalid(f"nobody may be added to this campaign: {problem}", code="changed_at_vendor")
            self._campaign = held
        return self._campaign

    async def lookup(self, effect: Effect) -> Receipt | None:
        """Whether the campaign holds the person with exactly these words."""
        refuse_simulated(self._ref)
        enrollment = _enrollment(effect)
        reference = with_our_words(await self._search.find(enrollment.email), enrollment)
        return Receipt(reference) if reference else None

    async def _send(
        self, keys: Sequence[str], permit: Permit, permits: Mapping[str, Permit]
    ) -> dict[str, Receipt | SwarmError]:
        """One request for many people; in two halves where Instantly finds it too large."""
        try:
            leads = [drafts.lead_body(self._people[key]) for key in keys]
            summary = await self._instantly.api.add_leads(permit, self._ref, leads)
        except InDoubt:
            return {}
        except SwarmError as error:
            if error.status == TOO_LARGE and len(keys) > 1:
                return await self._send_halves(keys, permit, permits)
            return dict.fromkeys(keys, error)
        ended: dict[str, Receipt | SwarmError] = {
            keys[index]: Receipt(text_of(one, "id")) for index, one in self._created(keys, summary)
        }
        return ended | await self._left_out([key for key in keys if key not in ended], summary)

    async def _send_halves(
        self, keys: Sequence[str], permit: Permit, permits: Mapping[str, Permit]
    ) -> dict[str, Receipt | SwarmError]:
        middle = len(keys) // 2
        ended = await self._send(keys[:middle], await permit.again(), permits)
        return ended | await self._send(keys[middle:], permits[keys[middle]], permits)

    def _created(
        self, keys: Sequence[str], summary: Mapping[str, Any]
    ) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Who was created, by place in the request; one whose address doesn't fit the place is nobody's."""
        for one in summary["created_leads"]:
            if not isinstance(one, Mapping) or not 0 <= (index := number_of(one, "index")) < len(keys):
                continue
            email = text_of(one, "email")
            if text_of(one, "id") and email.lower() in {"", self._people[keys[index]].email.lower()}:
                yield index, one

    async def _left_out(
        self, keys: Sequence[str], summary: Mapping[str, Any]
    ) -> dict[str, Receipt | SwarmError]:
        """Those not created: enrolled already with these very words, or skipped; else in doubt."""
        code, message = _why(summary)
        skipped = Invalid(message, field="enrollments", code=code)
        ended: dict[str, Receipt | SwarmError] = {}
        for part in _parts(keys, PAGE):
            try:
                held = await leads_in(self._instantly, self._ref, [self._people[key].email for key in part])
            except SwarmError:
                continue
            for key in part:
                one = self._people[key]
                reference = with_our_words(held.get(one.email.lower()), one)
                ended[key] = Receipt(reference, {"already": True}) if reference else skipped
        return ended


def _why(summary: Mapping[str, Any]) -> tuple[str, str]:
    """The reason, if all were skipped for the same one: the answer counts reasons without naming people."""
    counted = [told for name, told in SKIPPED.items() if number_of(summary, name, 0) > 0]
    if not counted and number_of(summary, "remaining_in_plan", 1) <= 0:
        return PLAN_FULL
    return counted[0] if len(counted) == 1 else NOT_ADDED


def _parts(items: Sequence[ItemT], size: int) -> Iterator[list[ItemT]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
