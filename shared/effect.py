"""What we intend outside, how it is identified, and how it ended.

proposed ─ refused              a check said no; nothing was called; may be proposed again
         ─ simulated            safe mode: would have been sent
         ─ claimed ─ applied    the vendor confirmed
                   ─ failed     the vendor certainly did not do it
                   ─ in_doubt ─ applied | failed     after a look at the vendor, or by a person
proposed again after `applied` ─ replayed             the first receipt, no second call
"""

import functools
import hashlib
import json.encoder
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Literal

from typing_extensions import TypeAliasType

from shared.errors import Invalid

# A named alias: pydantic follows a recursive type only by its name.
Json = TypeAliasType(
    "Json", "bool | int | float | str | list[Json] | tuple[Json, ...] | Mapping[str, Json] | None"
)
Status = Literal["applied", "replayed", "simulated", "refused", "in_doubt", "failed"]


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
# What `JSONEncoder` makes anew for each call, which takes longer than to use it. Cycles end in a RecursionError.
_quoted: Callable[[str], str] = json.encoder.encode_basestring
_encoded = json.encoder.c_make_encoder(  # type: ignore[attr-defined]  # nor this one
    None, _ENCODER.default, _quoted, None, ":", ",", True, False, False
)


def canonical(value: object) -> bytes:
    """Sorted, compact UTF-8 JSON: the same bytes for the same content, in every process."""
    return canonical_text(value).encode()


def canonical_text(value: object) -> str:
    """As `canonical`, as text. It may hold what can't be encoded."""
    if isinstance(value, str):
        return _quoted(value)
    if not isinstance(value, dict) and is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return "".join(_encoded(value, 0))


def digest(*parts: object) -> str:
    """SHA-256 over length-prefixed canonical parts, in hex: no two lists of parts collide by joining."""
    return hashlib.sha256(b"".join(map(_prefixed, map(canonical, parts)))).hexdigest()


def _prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data


def fingerprint(content: object) -> str:
    """What an approval binds to: SHA-256 of the canonical content (a mapping or a frozen dataclass)."""
    return digest("content/v1", content)


@dataclass(frozen=True, slots=True)
class Effect:
    """One intended change outside.

    `intent` says why it should happen once: "campaign:42:lead:7:enrol". The key derives from it and from
    the target, so a crash, a redelivered webhook or a second process arrive at the same key.
    `recipients` are the e-mail addresses that would be reached or written about; the gate checks each, and
    the target and the content's "email" as well, so that one who was forgotten here is checked all the same.
    Key and fingerprint are those of the moment they were first asked for: a later change of the mapping
    changes nothing.
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
    session: str = ""  # at the vendor, under whose name it acts, for pauses; nothing of its identity
    approval: str = ""  # id of the approval that covers it, where policy asks for one
    cost: int = 0  # credits it spends
    idempotency_key: str = ""  # given by the caller, instead of the derived intent
    _key: str = field(default="", init=False, repr=False, compare=False)
    _fingerprint: str = field(default="", init=False, repr=False, compare=False)
    _written: str = field(default="", init=False, repr=False, compare=False)
    _told: str = field(default="", init=False, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The operation's identity, 64 hex characters. Raises `Invalid` for text that isn't Unicode."""
        if not self._key:
            what = (self.vendor, self.action, self.target, self.idempotency_key or self.intent)
            object.__setattr__(self, "_key", _checked(_key_of, *what))
        return self._key

    @property
    def fingerprint(self) -> str:
        """The content's identity: same key, other fingerprint is an error. Raises `Invalid` if not JSON."""
        if not self._fingerprint:
            object.__setattr__(self, "_fingerprint", _checked(_fingerprint_of, self.written))
        return self._fingerprint

    @property
    def written(self) -> str:
        """The content as canonical JSON, of the same moment as the fingerprint. Raises `Invalid` if it isn't JSON."""
        if not self._written:
            object.__setattr__(self, "_written", _checked(canonical_text, self.content))
        return self._written

    def told(self, **more: str) -> str:
        """Canonical JSON of what the audit log keeps of it, with `more`: in order, and between "key" and "vendor"."""
        if not self._told:
            what, campaign, approval = map(_quoted, (self.action, self.campaign, self.approval))
            fixed = (
                f'{{"action":{what},"approval":{approval},"campaign":{campaign},'
                f'"fingerprint":"{self.fingerprint}","key":"{self.key}"'
            )
            object.__setattr__(self, "_told", fixed)
        said = "".join([f',"{name}":{_quoted(value)}' for name, value in more.items()])
        return f'{self._told}{said},"vendor":{_quoted(self.vendor)}}}'

    def check(self) -> None:
        """Raises `Invalid` unless every part of it can be written down, so that nothing fails half-way."""
        named = (self.key, self.fingerprint, self.campaign, self.approval, self.intent)
        _checked(_joined, (*named, *self.recipients))

    @property
    def vendor_action(self) -> str:
        """What is done where: "ghl.create_contact"."""
        return f"{self.vendor}.{self.action}"

    @property
    def mailboxes(self) -> tuple[str, ...]:
        """Mailboxes of ours that it would have write, as far as its content names them: one is enough for it."""
        one, several = self.content.get("mailbox"), self.content.get("mailboxes")
        named = (one, *several) if isinstance(several, list | tuple) else (one,)
        return tuple(box for box in named if isinstance(box, str) and box)

    @property
    def people(self) -> tuple[str, ...]:
        """Every address this effect reaches or writes about, whether or not `recipients` names it."""
        named = self.content.get("email")
        also = (self.target, named if isinstance(named, str) else "")
        found = (address for address in also if "@" in address and "/" not in address)
        return tuple(dict.fromkeys((*self.recipients, *found)))


def _key_of(vendor: str, action: str, target: str, intent: str) -> str:
    """The digest of "effect/v1" and these four."""
    whom, why = _quoted(target).encode(), _quoted(intent).encode()
    return hashlib.sha256(_kind(vendor, action) + _prefixed(whom) + _prefixed(why)).hexdigest()


@functools.lru_cache(256)
def _kind(vendor: str, action: str) -> bytes:
    """What the keys of all effects of one kind begin with, before they are hashed."""
    return b"".join(_prefixed(canonical(part)) for part in ("effect/v1", vendor, action))


def _fingerprint_of(written: str) -> str:
    """As `fingerprint`, of content that is canonical JSON already."""
    return hashlib.sha256(_CONTENT + _prefixed(written.encode())).hexdigest()


_CONTENT = _prefixed(canonical("content/v1"))


def _joined(parts: tuple[str, ...]) -> str:
    """All of it, which raises where it isn't text, or can't be encoded."""
    return "".join(parts).encode().decode()


def _checked(make: Callable[..., str], *parts: object) -> str:
    try:
        return make(*parts)
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid("an effect's content must be plain JSON", field="content", code="not_json") from error


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
    "unclear_opt_out": "A recipient may have asked to be left alone; a person must read what they wrote.",
    "look_alike": "An address mixes scripts and looks like another one; a person must check it.",
    "needs_approval": "No person has approved this.",
    "approval_expired": "The approval is older than it may be.",
    "approval_mismatch": "What would be sent is not what was approved.",
    "conflict": "This was done or tried before with other content; use a new intent or idempotency key.",
    "budget": "The credit budget is spent.",
    "limit": "A sending cap is reached.",
    "breaker_open": "This vendor keeps failing and is left alone for a while.",
    "in_flight": "The same effect is being carried out right now.",
}
