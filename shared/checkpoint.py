"""Checkpoints of the audit log: "whose log, how large, which root", signed; and what a witness puts its name under.

The layouts are C2SP's (tlog-checkpoint, tlog-cosignature), so that other people's tools read them. A log is known by
its origin: this program, the log's key, and, from the second on, which beginning it is. A log begins anew only when a
person restored an old copy and said so (docs/RUNBOOK.md, "Backup and restore").
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.merkle import HASH_BYTES

PROGRAM = "alpha-swarm/audit"
LOG_KEY, WITNESS_KEY = b"\x01", b"\x04"  # kinds of key that a key's id is made with
LONGEST = 4_000  # characters of a note
BODY = re.compile(r"([!-~]{1,200})\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n")
SIGNATURE = re.compile(r"— ([!-~]{1,200}) ([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A note taken apart. Nothing in it is true before a signature was checked."""

    origin: str
    size: int
    root: bytes
    body: str
    signatures: tuple[tuple[str, bytes], ...]  # name, and the key's id with what was made with it

    @property
    def text(self) -> str:
        """The note, as it was read."""
        return f"{self.body}\n" + "".join(_line(name, raw) for name, raw in self.signatures)

    @property
    def beginning(self) -> int:
        """How many times this log began; 1 unless an old copy was restored."""
        last = self.origin.rpartition("/")[2]
        return int(last) if self.origin.count("/") == PROGRAM.count("/") + 2 and last.isdecimal() else 1


def origin_of(public: bytes, beginning: int = 1) -> str:
    """The name of the log with that key."""
    name = f"{PROGRAM}/{hashlib.sha256(public).hexdigest()[:16]}"
    return name if beginning == 1 else f"{name}/{beginning}"


def note(key: Ed25519PrivateKey, size: int, root: bytes, beginning: int = 1) -> str:
    """A signed checkpoint: origin, size, root, blank line, signature line."""
    public = key.public_key().public_bytes_raw()
    origin = origin_of(public, beginning)
    body = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    return f"{body}\n{_line(origin, key_id(origin, LOG_KEY, public) + key.sign(body.encode()))}"


def parse_note(text: str) -> Checkpoint:
    """Take a checkpoint apart; `ValueError` for what isn't one, before anything is believed."""
    body, blank, rest = text.partition("\n\n") if len(text) <= LONGEST else ("", "", "")
    found = BODY.fullmatch(body + "\n")
    lines = [SIGNATURE.fullmatch(line) for line in rest.split("\n") if line]
    if not blank or found is None or not lines or None in lines:
        raise ValueError("not a checkpoint")
    root = base64.b64decode(found[3])
    signatures = tuple((one[1], base64.b64decode(one[2], validate=True)) for one in lines if one)
    if len(root) != HASH_BYTES:
        raise ValueError("not a checkpoint")
    return Checkpoint(found[1], int(found[2]), root, body + "\n", signatures)


def read_note(text: str, public: bytes) -> Checkpoint:
    """A checkpoint of the log with that key; `ValueError` unless it was signed with it."""
    found = parse_note(text)
    if found.origin != origin_of(public, found.beginning):
        raise ValueError("not a checkpoint of this log")
    known = key_id(found.origin, LOG_KEY, public)
    raws = [raw[4:] for name, raw in found.signatures if name == found.origin and raw[:4] == known]
    if not any(_is_signed(public, raw, found.body) for raw in raws):
        raise ValueError("the signature doesn't match")
    return found


# ── witnesses ────────────────────────────────────────────────────────────────────────────────────────────
def cosignature(key: Ed25519PrivateKey, name: str, body: str, seconds: int) -> str:
    """A witness's line under a checkpoint: at that time, it was the largest it had seen of this log."""
    public = key.public_key().public_bytes_raw()
    signed = key.sign(_stated(body, seconds))
    return _line(name, key_id(name, WITNESS_KEY, public) + seconds.to_bytes(8, "big") + signed)


def cosigned_at(found: Checkpoint, name: str, public: bytes) -> int | None:
    """When that witness saw this checkpoint, in seconds since 1970; None if it didn't sign it."""
    known = key_id(name, WITNESS_KEY, public)
    for who, raw in found.signatures:
        seconds = int.from_bytes(raw[4:12], "big")
        if who == name and raw[:4] == known and _verifies(public, raw[12:], _stated(found.body, seconds)):
            return seconds
    return None


def _stated(body: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{body}".encode()


def key_id(name: str, kind: bytes, public: bytes) -> bytes:
    """The first four bytes of a signature: which key it was made with."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def _line(name: str, raw: bytes) -> str:
    return f"— {name} {base64.b64encode(raw).decode()}\n"


def _is_signed(public: bytes, raw: bytes, body: str) -> bool:
    return _verifies(public, raw, body.encode())


def _verifies(public: bytes, raw: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, signed)
    except InvalidSignature:
        return False
    return True


def notes_in(text: str) -> Iterator[str]:
    """Every checkpoint in a text, wherever it stands: in a mail, in a chat's history."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.startswith(f"{PROGRAM}/") and lines[at + 3 : at + 4] == [""]:
            signed = list(_signature_lines(lines[at + 4 :]))
            if signed:
                yield "\n".join([*lines[at : at + 4], *signed, ""])


def _signature_lines(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("— "):
            return
        yield line
