"""Clay's end-of-run webhook: signed, without a time stamp, a hint to fetch the results."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from shared.event import Event
from shared.settings import VendorSettings
from shared.webhook import WebhookSource, composed_id, same_secret

HEADER = "x-clay-signature"
PREFIX = "sha256="


def verify(headers: Mapping[str, str], raw: bytes, vendor: VendorSettings) -> bool:
    """The header is `sha256=` and the HMAC-SHA256 of the raw body; without a secret nothing is genuine."""
    secret = vendor.secrets.get("webhook_secret", "")
    given = headers.get(HEADER, "")
    if not secret or not given.startswith(PREFIX) or not given.isascii():
        return False
    expected = hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    return same_secret(given[len(PREFIX) :], expected)


def parse(payload: Mapping[str, Any]) -> Event:
    """A run has ended; Clay's own test event names no run and stays unknown. One event per run."""
    data = payload.get("data")
    run = str(data.get("routine_run_id") or "") if isinstance(data, dict) else ""
    webhook = payload.get("webhookId")
    created = str(payload.get("createdAt") or "")
    return Event(
        id=composed_id("clay", webhook, run or created),
        vendor="clay",
        type="job_finished" if run else "unknown",
        occurred_at=created,
        reference=run,
    )


def _sent(payload: Mapping[str, Any]) -> str:
    return str(payload.get("createdAt") or "")


SOURCE = WebhookSource(verify, parse, _sent)
