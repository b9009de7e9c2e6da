"""The only way in: how a server knows its vendor's webhooks, and the caps a body passes before it is parsed."""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.errors import Invalid
from shared.event import Event
from shared.settings import VendorSettings

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
MAX_KEYS = 2_000

Verify = Callable[[Mapping[str, str], bytes, VendorSettings], bool]
Parse = Callable[[Mapping[str, Any]], Event]


@dataclass(frozen=True, slots=True)
class WebhookSource:
    """How to tell a vendor's webhook from a forged one, and what it says. Header names are lower-cased."""

    verify: Verify
    parse: Parse


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
    """The deepest nesting, counted before parsing."""
    deepest = depth = 0
    inside = escaped = False
    for byte in raw:
        if inside:
            inside = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
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
