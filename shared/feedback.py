"""Complaints that mailbox providers send as mail: feedback reports (ARF, RFC 5965 and 6650), read within bounds.

    complaint     somebody called it spam, fraud or a virus; also a word we don't know
    unsubscribed  the report asks to take somebody off a list
    nothing       "not spam", or a report about signatures

As a MIME message, or as its fields stand in plain text. Everything in it is from outside: it chooses a row of a table
and names whom it is about, and is kept nowhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from email.utils import parseaddr
from typing import Literal

from shared.bounce import MOST, MOST_PARTS, message_of

Meaning = Literal["complaint", "unsubscribed", "nothing"]
# Types of RFC 5965, RFC 6430, RFC 6591 and the registry.
TYPES: Mapping[str, Meaning] = {
    "abuse": "complaint",
    "fraud": "complaint",
    "virus": "complaint",
    "other": "complaint",
    "opt-out": "unsubscribed",
    "opt-out-list": "unsubscribed",
    "not-spam": "nothing",
    "auth-failure": "nothing",
}
FIELDS = re.compile(r"^feedback-type[ \t]*:", re.IGNORECASE | re.MULTILINE)
BLANK = re.compile(r"\r?\n[ \t]*\r?\n")
# Who complained, the surest first; a provider may leave all of them out.
RECIPIENTS = ("original-rcpt-to", "removal-recipient")
RETURNED = ("message/rfc822", "text/rfc822-headers")
MOST_ADDRESSES = 10


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a report says, and whom it may be about, the surest first; nobody where it was left out."""

    meaning: Meaning
    recipients: tuple[str, ...] = ()


def read_feedback(text: str) -> Feedback | None:
    """A feedback report, or None for mail that is none. Never raises."""
    read = text[:MOST].replace("\x00", "")
    if not FIELDS.search(read):
        return None
    message = message_of(read)
    parts = list(_parts(message)) if message else []
    fields = next((one for one in map(_fields_of, parts) if one), None) or _plain(read)
    if "feedback-type" not in fields:
        return None
    named = [fields[name] for name in RECIPIENTS if name in fields]
    named += [header for part in parts for header in _returned(part)]
    found = (parseaddr(one.rpartition(";")[2].strip())[1].lower()[:320] for one in named)
    recipients = tuple(dict.fromkeys(one for one in found if "@" in one))[:MOST_ADDRESSES]
    kind = fields["feedback-type"].strip().lower()
    return Feedback(TYPES.get(kind, "complaint"), recipients)


def _parts(message: Message) -> Iterator[Message]:
    """The report's own parts; a mail inside is a part, and what it holds is not."""
    waiting, looked = [message], 0
    while waiting and looked < MOST_PARTS:
        part, looked = waiting.pop(0), looked + 1
        inner = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inner, list):
            waiting += [one for one in inner if isinstance(one, Message)]
        else:
            yield part


def _inside(part: Message) -> Message | None:
    """What stands in a part: a message of its own, or fields as text."""
    inner = part.get_payload()
    if isinstance(inner, list):
        return next((one for one in inner if isinstance(one, Message)), None)
    return HeaderParser().parsestr(inner.lstrip()) if isinstance(inner, str) else None


def _fields_of(part: Message) -> dict[str, str]:
    if part.get_content_type() != "message/feedback-report":
        return {}
    inside = _inside(part)
    # A parser that knows nothing of this type takes the fields for headers, or for text.
    return _fields(inside) if inside else {}


def _returned(part: Message) -> list[str]:
    """To whom the mail went that is complained of."""
    inside = _inside(part) if part.get_content_type() in RETURNED else None
    return [str(one) for one in inside.get_all("to", [])] if inside else []


def _plain(text: str) -> dict[str, str]:
    """The fields as they stand in a text."""
    block = next((one for one in BLANK.split(text) if FIELDS.search(one)), "")
    first = FIELDS.search(block)
    return _fields(HeaderParser().parsestr(block[first.start() :])) if first else {}


def _fields(block: Message) -> dict[str, str]:
    """Field names in lower case; of a repeated one, the first."""
    fields: dict[str, str] = {}
    for name, value in block.items():
        fields.setdefault(name.lower(), " ".join(str(value).split())[:2_000])
    return fields
