"""What a bounce says: hard, soft or unknown, by the codes in it; and reports that come as mail, read within bounds.

    hard      this address doesn't exist, or never takes mail again: it goes on the suppression list
    soft      full, busy, too big: this message didn't arrive, the next one may
    unknown   refused, and not for the address (policy, reputation), or nobody says why

Codes are those of RFC 3463 and its registry; a report is RFC 3464, as a MIME message or as its fields stand in plain
text. Everything in a report is from outside: it chooses a row of a table, and is kept nowhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_string
from email.errors import MessageError
from email.message import Message
from email.parser import HeaderParser
from email.utils import parseaddr
from typing import Literal

BounceKind = Literal["hard", "soft", "unknown"]

# Enhanced status codes of class 5, by subject and detail; the rest of a subject stands under "5.N".
PERMANENT: Mapping[str, BounceKind] = {
    "5.1.1": "hard",  # no such mailbox
    "5.1.2": "hard",  # no such domain
    "5.1.3": "hard",  # no address at all
    "5.1.6": "hard",  # moved, and nobody knows where to
    "5.1.9": "hard",  # the name in front of the @ can't be relayed
    "5.1.10": "hard",  # the domain takes no mail (RFC 7505); Exchange: no such recipient
    "5.2.1": "hard",  # mailbox disabled
    "5.2.2": "soft",  # mailbox full
    "5.2.3": "soft",  # message too long for it
    "5.3": "soft",  # the other system: full, closed, too big
    "5.3.0": "unknown",  # "other"
    "5.3.3": "unknown",
    "5.4.4": "hard",  # the domain leads nowhere
    "5.4.7": "soft",  # tried until the time was over
    "5.6": "soft",  # its content could not be converted
}
# What servers say beside a code that says too little. A refusal for policy is never taken for a missing mailbox.
NOBODY = re.compile(
    r"\b(?:no such (?:user|mailbox|recipient|address|person)|(?:user|recipient|mailbox|address|account|e-?mail)"
    r"(?: \S{1,80})? (?:unknown|not found|(?:does not|doesn't) exist|no longer (?:exists|valid)|is (?:disabled"
    r"|inactive|invalid))|unknown (?:user|recipient|mailbox|address|local[- ]part)|invalid (?:recipient|mailbox"
    r"|address|user)|(?:does not|doesn't) have (?:a|an) \S{1,60} account|couldn't be found"
    r"|recipientnotfound|host (?:or domain name )?not found|domain (?:does not exist|not found)|nxdomain)\b",
    re.IGNORECASE,
)
FULL = re.compile(
    r"\b(?:mailbox|quota|inbox|storage)\b.{0,40}\b(?:full|exceeded|over)\b|\bover ?quota\b", re.IGNORECASE
)
POLICY = re.compile(
    r"\b(?:spam|blocked|black-?list\w*|blocklist\w*|policy|reputation|spf|dkim|dmarc|banned|rejected due to)\b",
    re.IGNORECASE,
)
ENHANCED = re.compile(r"(?<![\w.])([245]\.\d{1,3}\.\d{1,3})(?![\w.]*\.\d|\w)")
WITH_REPLY = re.compile(r"(?<![\w.])([245]\d\d)[ -]#?([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
REPLY = re.compile(r"(?<![\w.#-])([45][0-5]\d)(?=[ -]\S)")
FIELD = re.compile(
    r"^(?:final-recipient|original-recipient|diagnostic-code|action|status)[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
BLANK = re.compile(r"\r?\n[ \t]*\r?\n")
FAILED = frozenset({"failed", ""})  # an action of `delayed` is soft; the others are no bounce
MOST = 256 * 1024  # characters that are read
MOST_WORDS = 3_000  # of a report in words alone: the mail that came back stands below them
MOST_PARTS = 30
MOST_RECIPIENTS = 50


@dataclass(frozen=True, slots=True)
class Bounce:
    """One recipient's fate. `recipient` and `status` are empty where the report doesn't name them."""

    kind: BounceKind
    status: str = ""
    recipient: str = ""


def kind_of(status: str, words: str = "") -> BounceKind:
    """A bounce's kind by its enhanced status code, and by the words beside it where the code says too little."""
    if status.startswith("4."):
        return "soft"
    subject = ".".join(status.split(".")[:2])
    told = PERMANENT.get(status) or PERMANENT.get(subject)
    if told and told != "unknown":
        return told
    return "unknown" if subject == "5.7" else _by_words(words)


def _by_words(words: str) -> BounceKind:
    """Without a code that tells: what else stands there."""
    if FULL.search(words):
        return "soft"
    if NOBODY.search(words) and not POLICY.search(words):
        return "hard"
    reply = REPLY.search(words)
    return "soft" if reply and reply[1].startswith("4") else "unknown"


def worst(bounces: tuple[Bounce, ...]) -> BounceKind:
    """The most lasting kind among these; `unknown` where there are none."""
    kinds = {one.kind for one in bounces}
    return next((kind for kind in ("hard", "unknown", "soft") if kind in kinds), "unknown")


def read_report(text: str) -> tuple[Bounce, ...]:
    """Who bounced and how, out of a delivery report: a MIME message, its fields in plain text, or words alone.

    At least one, so that a report nobody can read is a bounce of an unknown kind. Never raises.
    """
    read = text[:MOST].replace("\x00", "")
    fields = [block for block in _blocks(read) if block.keys() & {"status", "final-recipient", "action"}]
    told = tuple(
        _bounce(block) for block in fields if block.get("action", "").lower() in FAILED | {"delayed"}
    )
    if told or fields:
        return told[:MOST_RECIPIENTS]
    said = read[:MOST_WORDS]
    return (Bounce(kind_of(_status(said), said), _status(said)),)


def _bounce(block: Mapping[str, str]) -> Bounce:
    """One recipient's fields."""
    words = f"{block.get('diagnostic-code', '')} {block.get('status', '')}"
    # The diagnosis is the other server's own; the status is often the reporter's "5.0.0".
    status = _status(block.get("diagnostic-code", "")) or _status(block.get("status", ""))
    late = block.get("action", "").lower() == "delayed"
    address = block.get("final-recipient") or block.get("original-recipient") or ""
    return Bounce("soft" if late else kind_of(status, words), status, _address(address))


def _status(text: str) -> str:
    """The first enhanced status code; one that stands behind a reply code is preferred."""
    behind = WITH_REPLY.search(text)
    if behind:
        return behind[2]
    alone = ENHANCED.search(text)
    return alone[1] if alone else ""


def _address(field: str) -> str:
    """`rfc822;kim@acme.example` as an address."""
    return parseaddr(field.rpartition(";")[2].strip())[1].lower()[:320]


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """Fields of a report, a block for each recipient."""
    message = message_of(text)
    parts = _status_parts(message) if message else []
    if parts:
        yield from (_fields(part) for part in parts)
        return
    for paragraph in BLANK.split(text):
        if first := FIELD.search(paragraph):
            yield _fields(HeaderParser().parsestr(paragraph[first.start() :]))


def message_of(text: str) -> Message | None:
    """The text as a MIME message with parts, if it is one. Deep nesting is not followed."""
    if text[:20_000].lower().count("content-type:") == 0 or text.lower().count("boundary=") > MOST_PARTS:
        return None
    try:
        message = message_from_string(text.lstrip())
    except (MessageError, ValueError, LookupError, RecursionError):
        return None
    return message if message.is_multipart() else None


def _status_parts(message: Message) -> list[Message]:
    """The blocks of its parts of type message/delivery-status; never those of the mail that is reported on."""
    found: list[Message] = []
    waiting, looked = [message], 0
    while waiting and looked < MOST_PARTS:
        part, looked = waiting.pop(0), looked + 1
        inner = part.get_payload()
        if not isinstance(inner, list):
            continue
        inside = [one for one in inner if isinstance(one, Message)]
        if part.get_content_type() == "message/delivery-status":
            found += inside[:MOST_RECIPIENTS]
        elif part.get_content_maintype() == "multipart":
            waiting += inside
    return found


def _fields(block: Message) -> dict[str, str]:
    """Field names in lower case; of a repeated one, the first."""
    fields: dict[str, str] = {}
    for name, value in block.items():
        fields.setdefault(name.lower(), " ".join(str(value).split())[:2_000])
    return fields
