"""Commitments and keyed hashes: they say nothing about a text, and nobody finds another text for one."""

import hashlib
import hmac

BLOCK_BYTES = 64  # of SHA-256


def commit(salt: bytes, text: str) -> str:
    """HMAC-SHA256 of the text, in hex. When the salt goes with the text, nothing of it is left."""
    return hmac.digest(salt, text.encode(), "sha256").hex()


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) under one key, begun once: where thousands are made, half of the time goes into that."""

    def __init__(self, key: bytes) -> None:
        block = (hashlib.sha256(key).digest() if len(key) > BLOCK_BYTES else key).ljust(BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def of(self, data: bytes) -> bytes:
        """The 32 bytes of the hash."""
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()
