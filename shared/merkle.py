"""The tree under the audit log (RFC 6962), and the signed note that says how large it is and what its root is.

Pure functions: what they compute, an independent verifier computes as well.
"""

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.keys import Keys

ORIGIN = "alpha-swarm/audit"
EMPTY_ROOT = hashlib.sha256(b"").digest()
HASH_BYTES = 32


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962: SHA-256(0x00 ‖ data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Edge:
    """The right edge of the tree: one hash for each complete subtree, largest first."""

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        self.size = size
        self.hashes = [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash, merging the subtrees that it completes."""
        size, self.size = self.size, self.size + 1
        while size & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            size >>= 1
        self.hashes.append(leaf)

    @property
    def root(self) -> bytes:
        """The Merkle tree hash."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    @property
    def packed(self) -> bytes:
        """As it is stored."""
        return b"".join(self.hashes)


def note(keys: Keys, size: int, root: bytes) -> str:
    """A signed checkpoint in the C2SP layout: origin, size, root, blank line, signature line."""
    body = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n"
    signature = _key_id(keys.audit_public) + keys.audit.sign(body.encode())
    return f"{body}\n— {ORIGIN} {base64.b64encode(signature).decode()}\n"


def read_note(text: str, public: bytes) -> tuple[int, bytes]:
    """Size and root of a checkpoint; `ValueError` unless it was signed with that key."""
    body, _, signed = text.partition("\n\n")
    body += "\n"
    origin, size, root, *_ = body.split("\n")
    if origin != ORIGIN:
        raise ValueError("not a checkpoint of this log")
    raw = base64.b64decode(signed.strip().rsplit(" ", 1)[-1])
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], body.encode())
    except InvalidSignature as error:
        raise ValueError("the signature doesn't match") from error
    return int(size), base64.b64decode(root)


def _key_id(public: bytes) -> bytes:
    return hashlib.sha256(ORIGIN.encode() + b"\n\x01" + public).digest()[:4]
