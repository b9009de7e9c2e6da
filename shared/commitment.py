"""A commitment: says nothing about a text, and nobody finds another text for it. The salt goes when the text goes."""

import hmac


def commit(salt: bytes, text: str) -> str:
    """HMAC-SHA256 of the text, in hex."""
    return hmac.digest(salt, text.encode(), "sha256").hex()
