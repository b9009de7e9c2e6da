"""What we intend outside, how it is identified, and how it ended.

    proposed ─ refused              a check said no; nothing was called; may be proposed again
             ─ simulated            safe mode: would have been sent
             ─ claimed ─ applied    the vendor confirmed
                       ─ failed     the vendor certainly did not do it
                       ─ in_doubt ─ applied | failed     after a look at the vendor, or by a person
    proposed again after `applied` ─ replayed             the first receipt, no second call
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Literal

from typing_extensions import TypeAliasType

# A named alias: pydantic follows a recursive type only by its name.
Json = TypeAliasType(
    "Json", "None | bool | int | float | str | list[Json] | tuple[Json, ...] | Mapping[str, Json]"
)
Status = Literal["applied", "replayed", "simulated", "refused", "in_doubt", "failed"]


def canonical(value: object) -> bytes:
    """Sorted, compact UTF-8 JSON: the same bytes for the same content, in every process."""
    plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    return json.dumps(
        plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def digest(*parts: object) -> str:
    """SHA-256 over length-prefixed canonical parts, in hex; no two different lists of parts collide by joining."""
    whole = hashlib.sha256()
    for part in parts:
        data = canonical(part)
        whole.update(len(data).to_bytes(8, "big"))
        whole.update(data)
    return whole.hexdigest()


def fingerprint(content: object) -> str:
    """What an approval binds to: SHA-256 of the canonical content (a mapping or a frozen dataclass)."""
    return digest("content/v1", content)


@dataclass(frozen=True, slots=True)
class Effect:
    """One intended change outside.

    `intent` says why it should happen once: "campaign:42:lead:7:enrol". The key derives from it and from
    the target, so a crash, a redelivered webhook or a second process arrive at the same key.
    `recipients` are the e-mail addresses that would be reached or written about; the gate checks each.
    """

    vendor: str
    action: str
    target: str
    intent: str
    content: Mapping[str, Json]
    recipients: tuple[str, ...] = ()
    repeatable: bool = False  # the vendor ends in the same state however often it is sent
    stops: bool = False  # stops a person or a campaign: allowed while killed, checked by no approval
    campaign: str = ""  # our campaign id, for pauses and caps
    approval: str = ""  # id of the approval that covers it, where policy asks for one
    cost: int = 0  # credits it spends
    idempotency_key: str = ""  # given by the caller, instead of the derived intent

    @property
    def key(self) -> str:
        """The operation's identity, 64 hex characters."""
        return digest(
            "effect/v1", self.vendor, self.action, self.target, self.idempotency_key or self.intent
        )

    @property
    def fingerprint(self) -> str:
        """The content's identity: same key with another fingerprint is an error."""
        return fingerprint(self.content)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the vendor answered, in our words: its id for the object, and what is worth keeping."""

    reference: str
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one effect ended. `reason` is a stable code (see `REASONS`), `message` a sentence for a person."""

    status: Status
    reason: str = ""
    message: str = ""
    reference: str = ""
    detail: Mapping[str, Json] = field(default_factory=dict)
    key: str = ""
    correlation_id: str = ""

    @property
    def done(self) -> bool:
        """The vendor holds the effect, now or since an earlier call."""
        return self.status in {"applied", "replayed"}


# Why an effect was refused, most serious first: where several apply, the first is reported.
REASONS: Mapping[str, str] = {
    "log_unavailable": "The audit log or the database can't be written; nothing may happen unrecorded.",
    "kill_switch": "The kill switch is on. Only an admin releases it.",
    "halted": "An automatic halt is in force; a named person must clear it.",
    "read_only": "This process runs read-only.",
    "paused": "This campaign, or all of them, is paused.",
    "suppressed": "A recipient opted out, complained or bounced.",
    "look_alike": "An address mixes scripts and looks like another one; a person must check it.",
    "needs_approval": "No person has approved this.",
    "approval_expired": "The approval is older than it may be.",
    "approval_mismatch": "What would be sent is not what was approved.",
    "budget": "The credit budget is spent.",
    "limit": "A sending cap is reached.",
    "in_flight": "The same effect is being carried out right now.",
}
