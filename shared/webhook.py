"""The only way in: how a server knows its vendor's webhooks, and the caps a body passes before it is parsed."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.clock import parse as moment
from shared.errors import Invalid
from shared.event import Event
from shared.settings import VendorSettings

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_KEYS = 2_000
# Longer than any vendor tries again or lets a person send again; ids are remembered for longer than this.
STALE_AFTER = timedelta(days=30)
OPENING, CLOSING = frozenset({b"{", b"["}), frozenset({b"}", b"]"})
# A whole text, closed or not, or a bracket. It never looks back, whatever the bytes are.
_MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)

# Under this name, which no header can have, a secret reaches `verify` that stood in the address.
IN_ADDRESS = "?secret"

Verify = Callable[[Mapping[str, str], bytes, VendorSettings], bool]
Parse = Callable[[Mapping[str, Any]], Event]
Sent = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """How to tell a vendor's webhook from a forged one, and what it says. Header names are lower-cased.

    `sent`: when it was sent, ISO 8601, where a signature covers that; what was caught then can't be sent again later.
    """

    verify: Verify
    parse: Parse
    sent: Sent | None = None

    def stale(self, payload: Mapping[str, Any], now: datetime) -> bool:
        """Whether it was sent so long ago that nobody delivers it any more; what can't be told isn't."""
        try:
            return self.sent is not None and moment(self.sent(payload)) < now - STALE_AFTER
        except (ValueError, OverflowError):
            return False


def decode(raw: bytes) -> Mapping[str, Any]:
    """A JSON object within the caps; duplicate keys, depth, size and other shapes are `Invalid`."""
    if len(raw) > MAX_BYTES:
        raise Invalid(f"a webhook may have {MAX_BYTES} bytes", code="too_large")
    seen = 0

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal seen
        seen += len(pairs)
        keys = {key for key, _ in pairs}
        if len(keys) != len(pairs):
            raise Invalid("a webhook repeats a key", code="duplicate_key")
        if seen > MAX_KEYS:
            raise Invalid(f"a webhook may have {MAX_KEYS} keys", code="too_many_keys")
        return dict(pairs)

    if _depth(raw) > MAX_DEPTH:
        raise Invalid(f"a webhook may nest {MAX_DEPTH} deep", code="too_deep")
    try:
        # UTF-8 only: in another encoding, quotes and brackets aren't the bytes that were just counted.
        body = json.loads(raw.decode(), object_pairs_hook=once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Invalid("a webhook must be a JSON object", code="not_json") from error
    if not isinstance(body, dict):
        raise Invalid("a webhook must be a JSON object", code="not_json")
    return body


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number in JSON")


def _depth(raw: bytes) -> int:
    """The deepest nesting, counted before parsing; brackets inside of texts are none."""
    deepest = depth = 0
    for found in _MARKS.finditer(raw):
        mark = found[0]
        if mark in OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif mark in CLOSING:
            depth -= 1
    return deepest


def same_secret(given: str, expected: str) -> bool:
    """Constant-time comparison; an empty expected secret never matches."""
    ours, theirs = (text.encode("utf-8", "surrogatepass") for text in (expected, given))
    return bool(ours) and hmac.compare_digest(theirs, ours)


def composed_id(*parts: object) -> str:
    """An event id for vendors that send none: SHA-256 over the fields that make the event what it is."""
    listed = json.dumps(["" if part is None else str(part) for part in parts])
    return hashlib.sha256(listed.encode()).hexdigest()[:40]
