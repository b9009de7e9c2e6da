"""PhantomBuster's webhook at a run's end: unsigned, with a secret of ours; a hint to fetch the run, never its result.

PhantomBuster sends no headers of ours (2026-08): the secret stands in the address that it calls. Where something in
front of us puts it into the header instead, that is taken as well.
"""

from collections.abc import Mapping
from typing import Any

from shared.event import Event
from shared.settings import VendorSettings
from shared.webhook import IN_ADDRESS, WebhookSource, composed_id, same_secret

SECRET_HEADER = "x-swarm-secret"  # noqa: S105 - the header's name, not a secret
FIELDS = ("agentId", "containerId", "exitCode")


def verify(headers: Mapping[str, str], _raw: bytes, vendor: VendorSettings) -> bool:
    """Whether header or address carries our secret; without a configured one nothing is believed."""
    expected = vendor.secrets.get("webhook_secret", "")
    given, stood_in_address = headers.get(SECRET_HEADER, ""), headers.get(IN_ADDRESS, "")
    return same_secret(given, expected) or same_secret(stood_in_address, expected)


def parse(payload: Mapping[str, Any]) -> Event:
    """A run has ended; one that names no run stays unknown. One event per run."""
    agent, run, code = (_plain(payload.get(name)) for name in FIELDS)
    return Event(
        id=composed_id("phantombuster", agent, run, code),
        vendor="phantombuster",
        type="job_finished" if run else "unknown",
        occurred_at="",
        reference=run,
        detail={"agent": agent, "exit_code": code},
    )


def _plain(value: object) -> str:
    return str(value)[:100] if isinstance(value, str | int) else ""


SOURCE = WebhookSource(verify, parse)
