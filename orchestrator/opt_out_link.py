"""Our own unsubscribe links: which person and campaign one stands for, opaque, never expiring, the same each time.

The address holds nothing but ciphertext (AES-SIV under a key of its own, made from the pepper, which never changes):
nobody can read it or make one up, and it can be read without a database. Being the same each time it is written, it
leaves the fingerprint alone that a person approved.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from shared.event import Event
from shared.webhook import WebhookSource, composed_id

NAME = "one_click"  # what it is called among those who tell us things
PATH = "/u/"
LONGEST = 1_000  # characters of a token
_PURPOSE = b"unsubscribe link/v1"
_BLOCK = 32  # the length of an address isn't to be seen in its token
_BETWEEN = "\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a link belongs to, and which campaign it came with."""

    email: str
    campaign_id: str


class Links:
    """The links of one installation. `base`: its public address; without one there are none to write."""

    def __init__(self, pepper: bytes, base: str = "") -> None:
        self._cipher = AESSIV(hmac.new(pepper, _PURPOSE, hashlib.sha512).digest())
        self._base = base

    def of(self, email: str, campaign_id: str) -> str:
        """The link for this person and campaign, or "" where none can be written."""
        return f"{self._base}{PATH}{self.token(email, campaign_id)}" if self._base and email else ""

    def token(self, email: str, campaign_id: str) -> str:
        """What stands in the link."""
        plain = f"{email}{_BETWEEN}{campaign_id}{_BETWEEN}".encode()
        padded = plain + b" " * (-len(plain) % _BLOCK)
        return base64.urlsafe_b64encode(self._cipher.encrypt(padded, [_PURPOSE])).decode().rstrip("=")

    def read(self, token: str) -> Wish | None:
        """Whom it stands for; nobody where we never wrote it."""
        if not token.isascii() or len(token) > LONGEST:
            return None
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            email, campaign_id, _ = self._cipher.decrypt(sealed, [_PURPOSE]).decode().split(_BETWEEN)
        except (binascii.Error, InvalidTag, ValueError):
            return None
        return Wish(email, campaign_id)


def told(wish: Wish, at: str) -> dict[str, str]:
    """What is kept of a click, as of a webhook."""
    return {"email": wish.email, "campaign_id": wish.campaign_id, "at": at}


def parse(payload: Mapping[str, Any]) -> Event:
    """A click as an event: one for each person and campaign, however often."""
    email, campaign_id = str(payload["email"]), str(payload["campaign_id"])
    return Event(
        id=composed_id(NAME, email, campaign_id),
        vendor=NAME,
        type="unsubscribed",
        occurred_at=str(payload["at"]),
        email=email,
        campaign_ref=campaign_id,
        stops_contact=True,
        reason="unsubscribed",
    )


# No webhook is believed under this name: only a link of ours opens it.
SOURCE = WebhookSource(lambda *_: False, parse)
