"""The one webhook subscription at Instantly: all events to our address, with our secret in a header.

Found again by its address, corrected where it differs, and switched on again where Instantly disabled it after
failed deliveries. The secret stands in the request alone: in no effect, no receipt and no log line.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from servers.instantly.account import Instantly
from servers.instantly.api import InstantlyApi, every
from servers.instantly.effects import VENDOR
from servers.instantly.events import SECRET_HEADER
from servers.instantly.views import number_of, text_of
from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Fatal, Invalid
from shared.gate import Permit

WEBHOOK_PATH = "/webhooks/instantly"
WEBHOOK_NAME = "swarm"
DISABLED = -1
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


async def ensure_webhooks(instantly: Instantly, base_url: str, idempotency_key: str) -> Outcome:
    """One subscription to all events at our address, carrying our secret; found again by its address."""
    _check_address(base_url, sandbox=instantly.sandbox)
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
        held = await find_webhooks(instantly.api, url)
        if not held:
            made = await instantly.api.create_webhook(permit, wanted)
            return Receipt(text_of(made, "id"), {"change": "created"})
        change = await _corrected(instantly.api, permit, held[0], wanted)
        # Another one at the same address only delivers everything twice; events are told apart by what they say.
        spare = {"duplicates": len(held) - 1} if len(held) > 1 else {}
        return Receipt(text_of(held[0], "id"), {"change": change, **spare})

    async def lookup(doubtful: Effect) -> Receipt | None:
        return await find_subscribed(instantly, doubtful)

    return await instantly.gate.submit(effect, perform, lookup)


def _check_address(base_url: str, *, sandbox: bool) -> None:
    """`Invalid` for what is no address of a Gatekeeper, or would have our secret travel in the clear."""
    try:
        parts = urlsplit(base_url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.fragment:
        raise Invalid("must be an http(s) address, such as https://gatekeeper.example", field="base_url")
    if parts.scheme == "http" and not sandbox and parts.hostname not in LOOPBACK:
        raise Invalid("must be https: the secret travels in a header", field="base_url", code="not_https")


async def _corrected(
    api: InstantlyApi, permit: Permit, held: Mapping[str, Any], wanted: Mapping[str, Any]
) -> str:
    """Change what differs, and switch it on again if the vendor disabled it. Returns which of it was done."""
    ref, change = text_of(held, "id"), "none"
    if changes := {name: value for name, value in wanted.items() if held.get(name) != value}:
        await api.update_webhook(permit, ref, changes)
        permit, change = await permit.again(), "updated"
    if number_of(held, "status", 0) == DISABLED:
        await api.resume_webhook(permit, ref)
        change = "resumed"
    return change


async def find_webhooks(api: InstantlyApi, url: str) -> list[Mapping[str, Any]]:
    """Our subscriptions, by their address; there should be one."""
    return [
        webhook
        async for webhook in every(api.webhooks)
        if webhook.get("target_hook_url") == url and not webhook.get("campaign")
    ]


async def find_subscribed(instantly: Instantly, effect: Effect) -> Receipt | None:
    """Whether a subscription is there, with our secret."""
    for held in await find_webhooks(instantly.api, str(effect.content["url"])):
        if (held.get("headers") or {}).get(SECRET_HEADER) == instantly.webhook_secret:
            return Receipt(text_of(held, "id"), {"change": "none"})
    return None
