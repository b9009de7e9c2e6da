"""Every change to a campaign at Instantly, each an Effect handed to the gate.

    create ──▶ draft ──activate (approved)──▶ active ⇄ paused (pause: always; resume: approved)
               update: a draft or a paused campaign, never one that sends

Instantly has no idempotency key, so the ledger's row is reserved before the call and a create is found again by the
campaign's unique name; every write is confirmed by reading back. What was drafted last stands in the ledger: a
campaign is started only if Instantly holds exactly that, and a person approved exactly that. Stopping is never
answered from memory: each call gets a key of its own and is repeated until the vendor says it stopped.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servers.instantly import drafts
from servers.instantly.account import SIMULATED, Instantly, refuse_simulated
from servers.instantly.api import InstantlyApi, every
from servers.instantly.views import CampaignStatus, campaign_status, text_of
from shared.clock import iso
from shared.effect import Effect, Json, Outcome, Receipt, canonical
from shared.errors import Conflict, InDoubt, Invalid, SwarmError
from shared.gate import Lookup, Perform, Permit
from shared.ports import CampaignDraft

VENDOR = "instantly"
CREATE, UPDATE = "create_campaign", "update_campaign"
SENDING: frozenset[CampaignStatus] = frozenset({"active", "unknown"})
NOT_STARTED: frozenset[CampaignStatus] = frozenset({"draft", "paused", "unknown"})
CHANGEABLE: frozenset[CampaignStatus] = frozenset({"draft", "paused"})
# Rows of the ledger that tell what Instantly may hold; one that was only simulated counts where there is no other.
MAY_BE_HELD = frozenset({"applied", "in_doubt", "claimed"})


# ── drafting ─────────────────────────────────────────────────────────────────────────────────────────────
async def create_campaign(instantly: Instantly, draft: CampaignDraft) -> Outcome:
    """A draft as wanted: adopted if an earlier attempt made it, completed where a field was ignored.

    The campaign's id is the operation's identity, whatever key a caller gives: two callers with two keys must
    not make two campaigns.
    """
    content = _content(instantly, draft)
    effect = Effect(
        vendor=VENDOR,
        action=CREATE,
        target=draft.campaign_id,
        intent=f"campaign:{draft.campaign_id}:create",
        content=content,
        campaign=draft.campaign_id,
    )
    body, warning = _body(content), str(content["warning"])

    async def perform(permit: Permit) -> Receipt:
        held = await find_campaign(instantly.api, draft.campaign_id)
        if held is None:
            created = await instantly.api.create_campaign(permit, body)
            permit = await permit.again()
            held = await instantly.api.campaign(text_of(created, "id"))
        return await _complete(instantly.api, permit, held, body, warning)

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_created(instantly, wanted)

    told = "this campaign was drafted otherwise before; change it with instantly_update_campaign"
    return await submitted(instantly, effect, perform, lookup, Conflict(told, field="draft", code="conflict"))


async def submitted(
    instantly: Instantly, effect: Effect, perform: Perform, lookup: Lookup, otherwise: Conflict
) -> Outcome:
    """Hand it to the gate. `otherwise` is raised where the same was done with other content, and no key helps."""
    try:
        return await instantly.gate.submit(effect, perform, lookup)
    except Conflict as error:
        raise otherwise from error


def _content(instantly: Instantly, draft: CampaignDraft) -> dict[str, Json]:
    """What the ledger keeps of a draft: as it was asked for, and as it is written for Instantly."""
    options = instantly.options
    body, warning = drafts.campaign_body(
        draft,
        instantly.clock.now().date(),
        open_tracking=options.open_tracking,
        stop_for_company=options.stop_for_company,
        unsubscribe_text=options.unsubscribe_text,
    )
    plain: dict[str, Json] = json.loads(canonical(draft))
    return {"campaign_id": draft.campaign_id, "draft": plain, "body": body, "warning": warning}


def _body(content: Mapping[str, Json]) -> Mapping[str, Any]:
    body = content["body"]
    return body if isinstance(body, Mapping) else {}


async def _complete(
    api: InstantlyApi, permit: Permit, held: Mapping[str, Any], body: Mapping[str, Any], warning: str
) -> Receipt:
    """Patch what the vendor didn't take, and believe only what it then shows; never one that was started."""
    if campaign_status(held) != "draft":
        raise Invalid(
            "a campaign of this name was started already", field="draft.campaign_id", code="not_a_draft"
        )
    return await _brought_to(api, permit, held, body, warning)


async def _brought_to(
    api: InstantlyApi, permit: Permit, held: Mapping[str, Any], body: Mapping[str, Any], warning: str
) -> Receipt:
    """Patch the fields that differ, read back, and name what Instantly did not take."""
    ref = text_of(held, "id")
    if missing := drafts.differences(body, held):
        await api.update_campaign(permit, ref, {name: body[name] for name in missing})
        held = await api.campaign(ref)
    if missing := drafts.differences(body, held):
        raise Invalid(f"Instantly did not take {', '.join(missing)}", field=missing[0], code="not_as_drafted")
    return _drafted(ref, body, warning)


def _drafted(ref: str, body: Mapping[str, Any], warning: str) -> Receipt:
    zone = body["campaign_schedule"]["schedules"][0]["timezone"]
    return Receipt(ref, {"timezone": zone, **({"warning": warning} if warning else {})})


async def find_created(instantly: Instantly, effect: Effect) -> Receipt | None:
    """The finished draft of a create or an update whose answer was lost.

    A half-made one counts as not there: trying again adopts and completes it.
    """
    held = await find_campaign(instantly.api, str(effect.content["campaign_id"]))
    body = _body(effect.content)
    if held is None or drafts.differences(body, held):
        return None
    return _drafted(text_of(held, "id"), body, str(effect.content["warning"]))


async def find_campaign(api: InstantlyApi, campaign_id: str) -> Mapping[str, Any] | None:
    """The campaign made for our campaign id, or None. Raises `Invalid` where two bear its mark.

    A copy made in Instantly's own app keeps the name's end; which of the two is ours is for a person to say.
    """
    search = drafts.search_mark(campaign_id)
    found = [
        campaign
        async for campaign in every(lambda cursor: api.campaigns(cursor, search))
        if drafts.is_ours(campaign, campaign_id)
    ]
    if len(found) > 1:
        message = "two campaigns at Instantly end with this campaign's mark; rename or delete the copy there"
        raise Invalid(message, field="campaign_id", code="ambiguous_name")
    return found[0] if found else None


async def update_campaign(
    instantly: Instantly, campaign_ref: str, draft: CampaignDraft, idempotency_key: str
) -> Outcome:
    """Bring a draft or a paused campaign to another draft. What was approved for the former no longer starts it."""
    content = _content(instantly, draft)
    effect = Effect(
        vendor=VENDOR,
        action=UPDATE,
        target=campaign_ref,
        intent=f"campaign:{draft.campaign_id}:update:{iso(instantly.clock.now())}",
        content=content,
        campaign=draft.campaign_id,
        repeatable=True,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        refuse_simulated(campaign_ref)
        held = await instantly.api.campaign(campaign_ref)
        _changeable(held, draft)
        return await _brought_to(instantly.api, permit, held, _body(content), str(content["warning"]))

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_created(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


def _changeable(held: Mapping[str, Any], draft: CampaignDraft) -> None:
    """`Invalid` where it is another campaign, is sending, or people's messages would no longer fit its steps."""
    if not drafts.is_ours(held, draft.campaign_id):
        raise Invalid("this is another campaign", field="campaign_ref", code="wrong_campaign")
    status = campaign_status(held)
    if status not in CHANGEABLE:
        raise Invalid(f"a campaign that is {status} can't be changed; pause it first", code="wrong_status")
    steps = len(drafts.steps_of(held))
    if steps not in {0, len(draft.day_offsets)}:
        message = (
            f"it has {steps} steps, and people may be enrolled with as many messages: make a new campaign"
        )
        raise Invalid(message, field="draft.day_offsets", code="steps_fixed")


# ── starting ─────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Start:
    """One of the two ways to let a campaign send: from which states, and whether it may be asked for again."""

    action: str
    startable: frozenset[CampaignStatus]
    once: bool


ACTIVATE = Start("activate_campaign", frozenset({"draft", "paused"}), once=True)
RESUME = Start("resume_campaign", frozenset({"paused"}), once=False)


async def start_campaign(
    instantly: Instantly, start: Start, campaign_ref: str, campaign_id: str, approval: str, key: str
) -> Outcome:
    """Start or resume sending, after reading the campaign back and finding in it only what we put there.

    The effect's content is the draft as we last wrote it, so a yes to an earlier one is a mismatch.
    """
    drafted = await last_drafted(instantly, campaign_id)
    # Started once, resumed as often as somebody approves it: an approval is good for one time.
    again = "" if start.once else f":{approval or iso(instantly.clock.now())}"
    content = drafted.content["draft"]
    effect = Effect(
        vendor=VENDOR,
        action=start.action,
        target=campaign_ref,
        intent=f"campaign:{campaign_id}:{start.action}{again}",
        content=content if isinstance(content, Mapping) else {},
        campaign=campaign_id,
        approval=approval,
        idempotency_key=key,
    )

    async def perform(permit: Permit) -> Receipt:
        refuse_simulated(campaign_ref)
        await refuse_forgetful(instantly.api)
        held = await instantly.api.campaign(campaign_ref)
        status = _startable(instantly, held, drafted, start)
        if status != "active":
            await instantly.api.activate_campaign(permit, campaign_ref)
            status = campaign_status(await instantly.api.campaign(campaign_ref))
        return _started(campaign_ref, status)

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_started(instantly, wanted)

    told = "it was started before as another draft; pause it and use instantly_resume_campaign"
    return await submitted(
        instantly, effect, perform, lookup, Conflict(told, field="campaign_id", code="conflict")
    )


async def last_drafted(instantly: Instantly, campaign_id: str) -> Effect:
    """The newest create or update of a campaign that Instantly may hold. Raises `Invalid` where there is none."""
    rows = await instantly.ledger.list(vendor=VENDOR, campaign=campaign_id, actions=(CREATE, UPDATE))
    real = [row for row in rows if row.status in MAY_BE_HELD]
    known = real or [row for row in rows if row.status == "simulated"]
    if not known:
        raise Invalid("no campaign was drafted here under this id", field="campaign_id", code="not_drafted")
    return known[0].effect


async def refuse_forgetful(api: InstantlyApi) -> None:
    """`Invalid` unless the workspace puts unsubscribes on its block list: else a campaign forgets them with itself."""
    if (await api.workspace()).get("add_unsub_to_block") is not True:
        message = (
            "the Instantly workspace doesn't add unsubscribes to its block list, and the API can't change that: "
            "switch it on in Instantly's settings"
        )
        raise Invalid(message, code="unsubscribes_not_blocked")


def _startable(
    instantly: Instantly, held: Mapping[str, Any], drafted: Effect, start: Start
) -> CampaignStatus:
    """The status it has now; `Invalid` where it may not be started."""
    status = campaign_status(held)
    if not drafts.is_ours(held, str(drafted.content["campaign_id"])):
        raise Invalid("this is another campaign", field="campaign_ref", code="wrong_campaign")
    refuse_changed(instantly, held, drafted)
    if status not in start.startable | {"active"}:
        raise Invalid(f"a campaign that is {status} can't be started this way", code="wrong_status")
    return status


def refuse_changed(instantly: Instantly, held: Mapping[str, Any], drafted: Effect) -> None:
    """`Invalid`, naming every field, where Instantly holds something else than we drafted last."""
    changed = drafts.differences(_body(drafted.content), held)
    problem = drafts.unsafe(held, instantly.options.unsubscribe_text)
    if changed or problem:
        told = "; ".join(
            part for part in (f"changed there: {', '.join(changed)}" if changed else "", problem) if part
        )
        raise Invalid(
            f"the campaign at Instantly is not as it was drafted: {told}. Bring it back there, or update it here and "
            "have that approved",
            field=changed[0] if changed else "",
            code="changed_at_vendor",
        )


def _started(ref: str, status: CampaignStatus) -> Receipt:
    """Started is started, though the vendor may hold it back; one still shown as a draft is doubt."""
    if status in NOT_STARTED:
        message = "Instantly took the call but does not show the campaign as active"
        raise InDoubt(message, code="not_confirmed")
    return Receipt(ref, {"status": status})


async def find_started(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a campaign whose start was in doubt was started."""
    held = await find_campaign(instantly.api, str(effect.content["campaign_id"]))
    if held is None or campaign_status(held) in NOT_STARTED:
        return None
    return Receipt(text_of(held, "id"), {"status": campaign_status(held)})


# ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────
async def pause_campaign(
    instantly: Instantly, campaign_ref: str, reason: str, idempotency_key: str
) -> Outcome:
    """Stop sending, and believe it when the campaign shows it."""
    effect = Effect(
        vendor=VENDOR,
        action="pause_campaign",
        target=campaign_ref,
        intent=f"campaign:{campaign_ref}:pause:{iso(instantly.clock.now())}",
        content={"campaign_ref": campaign_ref, "reason": reason},
        repeatable=True,
        stops=True,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        if campaign_ref.startswith(SIMULATED):
            return Receipt(campaign_ref, {"status": "simulated"})
        refused = await _refused_pause(instantly.api, permit, campaign_ref)
        status = campaign_status(await instantly.api.campaign(campaign_ref))
        if status not in SENDING:
            return Receipt(campaign_ref, {"status": status})
        raise refused or InDoubt("Instantly still shows the campaign as active", code="not_confirmed")

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_paused(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


async def _refused_pause(api: InstantlyApi, permit: Permit, ref: str) -> SwarmError | None:
    """Pause; a refusal or a lost answer matters only if the campaign turns out to be sending."""
    try:
        await api.pause_campaign(permit, ref)
    except (Invalid, InDoubt) as error:
        return error
    return None


async def find_paused(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a campaign whose pause was in doubt has stopped."""
    ref = str(effect.content["campaign_ref"])
    if ref.startswith(SIMULATED):
        return Receipt(ref, {"status": "simulated"})
    status = campaign_status(await instantly.api.campaign(ref))
    return None if status in SENDING else Receipt(ref, {"status": status})
