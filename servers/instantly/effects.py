"""Every change to a campaign or a webhook at Instantly, each an Effect handed to the gate.

    create ──▶ draft ──activate (approved)──▶ active ⇄ paused (pause: always; resume: approved)

Instantly has no idempotency key, so a create is found again by the campaign's unique name, and every write
is confirmed by reading back. Stopping is never answered from memory: each call gets a key of its own and is
repeated until the vendor says it stopped.
"""

from collections.abc import Mapping
from typing import Any

from servers.instantly import drafts
from servers.instantly.account import SIMULATED, Instantly, refuse_simulated
from servers.instantly.api import InstantlyApi, every
from servers.instantly.events import SECRET_HEADER
from servers.instantly.views import CampaignStatus, campaign_status, text_of
from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Fatal, InDoubt, Invalid, SwarmError
from shared.gate import Permit
from shared.ports import CampaignDraft

VENDOR = "instantly"
SENDING: frozenset[CampaignStatus] = frozenset({"active", "unknown"})
NOT_STARTED: frozenset[CampaignStatus] = frozenset({"draft", "paused", "unknown"})
WEBHOOK_PATH = "/webhooks/instantly"
WEBHOOK_NAME = "swarm"


async def create_campaign(instantly: Instantly, draft: CampaignDraft, idempotency_key: str) -> Outcome:
    """A draft as wanted: adopted if an earlier attempt made it, completed where a field was ignored."""
    body, warning = drafts.campaign_body(
        draft,
        open_tracking=instantly.options.open_tracking,
        stop_for_company=instantly.options.stop_for_company,
        unsubscribe_text=instantly.options.unsubscribe_text,
    )
    effect = Effect(
        vendor=VENDOR,
        action="create_campaign",
        target=draft.campaign_id,
        intent=f"campaign:{draft.campaign_id}:create",
        content={"campaign_id": draft.campaign_id, "body": body, "warning": warning},
        campaign=draft.campaign_id,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        held = await find_campaign(instantly.api, draft.campaign_id)
        if held is None:
            created = await instantly.api.create_campaign(permit, body)
            permit = await permit.again()
            held = await instantly.api.campaign(text_of(created, "id"))
        ref = text_of(held, "id")
        return await _complete(instantly.api, permit, ref, held, body, warning)

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_created(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


async def _complete(
    api: InstantlyApi,
    permit: Permit,
    ref: str,
    held: Mapping[str, Any],
    body: Mapping[str, Any],
    warning: str,
) -> Receipt:
    """Patch what the vendor didn't take, and believe only what it then shows; never one that was started."""
    if campaign_status(held) != "draft":
        raise Invalid(
            "a campaign of this name was started already", field="draft.campaign_id", code="not_a_draft"
        )
    if missing := drafts.differences(body, held):
        await api.update_campaign(permit, ref, {name: body[name] for name in missing})
        held = await api.campaign(ref)
    if missing := drafts.differences(body, held):
        raise Invalid(f"Instantly did not take {', '.join(missing)}", field=missing[0], code="not_as_drafted")
    return _created(ref, body, warning)


def _created(ref: str, body: Mapping[str, Any], warning: str) -> Receipt:
    zone = body["campaign_schedule"]["schedules"][0]["timezone"]
    return Receipt(ref, {"timezone": zone, **({"warning": warning} if warning else {})})


async def find_created(instantly: Instantly, effect: Effect) -> Receipt | None:
    """The finished draft of a create whose answer was lost. A half-made one counts as not there: trying
    again adopts and completes it."""
    held = await find_campaign(instantly.api, str(effect.content["campaign_id"]))
    body = effect.content["body"]
    if held is None or not isinstance(body, Mapping) or drafts.differences(body, held):
        return None
    return _created(text_of(held, "id"), body, str(effect.content["warning"]))


async def find_campaign(api: InstantlyApi, campaign_id: str) -> Mapping[str, Any] | None:
    """The campaign made for our campaign id, or None."""
    search = drafts.search_mark(campaign_id)
    async for campaign in every(lambda cursor: api.campaigns(cursor, search)):
        if drafts.is_ours(campaign, campaign_id):
            return campaign
    return None


async def start_campaign(
    instantly: Instantly,
    campaign_ref: str,
    campaign_id: str,
    *,
    action: str,
    startable: frozenset[CampaignStatus],
    approval: str,
    idempotency_key: str,
) -> Outcome:
    """Start or resume sending, after reading the campaign back and finding in it only what we put there."""
    # Started once, resumed as often as somebody approves it: an approval is good for one time.
    once = "" if action == "activate_campaign" else f":{approval or iso(instantly.clock.now())}"
    effect = Effect(
        vendor=VENDOR,
        action=action,
        target=campaign_ref,
        intent=f"campaign:{campaign_id}:{action}{once}",
        content={"campaign_id": campaign_id},
        campaign=campaign_id,
        approval=approval,
        idempotency_key=idempotency_key,
    )

    async def perform(permit: Permit) -> Receipt:
        refuse_simulated(campaign_ref)
        held = await instantly.api.campaign(campaign_ref)
        status = _startable(instantly, held, campaign_id, startable)
        if status != "active":
            await instantly.api.activate_campaign(permit, campaign_ref)
            status = campaign_status(await instantly.api.campaign(campaign_ref))
        return _started(campaign_ref, status)

    async def lookup(wanted: Effect) -> Receipt | None:
        return await find_started(instantly, wanted)

    return await instantly.gate.submit(effect, perform, lookup)


def _startable(
    instantly: Instantly, held: Mapping[str, Any], campaign_id: str, startable: frozenset[CampaignStatus]
) -> CampaignStatus:
    """The status it has now; `Invalid` where it may not be started."""
    status = campaign_status(held)
    if not drafts.is_ours(held, campaign_id):
        raise Invalid("this is another campaign", field="campaign_ref", code="wrong_campaign")
    if problem := drafts.unsafe(held, instantly.options.unsubscribe_text):
        raise Invalid(f"the campaign may not be started: {problem}", code="changed_at_vendor")
    if status not in startable | {"active"}:
        raise Invalid(f"a campaign that is {status} can't be started this way", code="wrong_status")
    return status


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


async def ensure_webhooks(instantly: Instantly, base_url: str, idempotency_key: str) -> Outcome:
    """One subscription to all events at our address, carrying our secret; found again by its address."""
    if not base_url.startswith(("https://", "http://")):
        raise Invalid("must be an http(s) address", field="base_url")
    if not instantly.webhook_secret:
        raise Fatal("INSTANTLY_WEBHOOK_SECRET is not set; webhooks could not be told from forged ones")
    url = base_url.rstrip("/") + WEBHOOK_PATH
    effect = Effect(
        vendor=VENDOR,
        action="ensure_webhooks",
        target=url,
        intent=f"webhooks:{iso(instantly.clock.now())}",
        content={"url": url, "event_type": "all_events"},
        idempotency_key=idempotency_key,
    )
    wanted = {
        "target_hook_url": url,
        "event_type": "all_events",
        "name": WEBHOOK_NAME,
        "headers": {SECRET_HEADER: instantly.webhook_secret},
    }

    async def perform(permit: Permit) -> Receipt:
        held = await find_webhook(instantly.api, url)
        if held is None:
            made = await instantly.api.create_webhook(permit, wanted)
            return Receipt(text_of(made, "id"), {"change": "created"})
        return await _corrected(instantly.api, permit, held, wanted)

    async def lookup(doubtful: Effect) -> Receipt | None:
        return await find_subscribed(instantly, doubtful)

    return await instantly.gate.submit(effect, perform, lookup)


async def _corrected(
    api: InstantlyApi, permit: Permit, held: Mapping[str, Any], wanted: Mapping[str, Any]
) -> Receipt:
    """Change what differs, and switch it on again if the vendor disabled it."""
    ref, change = text_of(held, "id"), "none"
    if changes := {name: value for name, value in wanted.items() if held.get(name) != value}:
        await api.update_webhook(permit, ref, changes)
        permit, change = await permit.again(), "updated"
    if held.get("status") == -1:
        await api.resume_webhook(permit, ref)
        change = "resumed"
    return Receipt(ref, {"change": change})


async def find_webhook(api: InstantlyApi, url: str) -> Mapping[str, Any] | None:
    """Our subscription, by its address."""
    async for webhook in every(api.webhooks):
        if webhook.get("target_hook_url") == url and not webhook.get("campaign"):
            return webhook
    return None


async def find_subscribed(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether the subscription is there, with our secret."""
    held = await find_webhook(instantly.api, str(effect.content["url"]))
    if held is None or (held.get("headers") or {}).get(SECRET_HEADER) != instantly.webhook_secret:
        return None
    return Receipt(text_of(held, "id"), {"change": "none"})
