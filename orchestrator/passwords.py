"""Passwords: what a new one must be, how it is kept, and how long no try counts after wrong ones."""

import unicodedata

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.errors import Invalid

FREE_TRIES = 5
LONGEST_LOCK = 900  # seconds
SHORTEST_PASSWORD, ADVISED_PASSWORD, LONGEST_PASSWORD = 12, 15, 256
HASHES_AT_ONCE = 2  # each takes 19 MiB
# Long enough to pass the length rule, and on every list of passwords that are tried first.
GUESSED_FIRST = frozenset(
    {"password1234", "123456789012", "1234567890123", "qwertyuiop123", "passwordpassword", "administrator",
     "letmeinletmein", "iloveyou1234", "qwerty123456", "welcome12345", "adminadminadmin", "changemechangeme"}
)  # fmt: skip


def lock_seconds(failures: int) -> int:
    """How long no try counts after so many failures in a row: none below 5, then doubling to 15 minutes."""
    over = failures - FREE_TRIES
    return 0 if over < 0 else min(LONGEST_LOCK, 2 ** min(over, 20))


def check_new_password(password: str, email: str) -> str:
    """The password in the form that is hashed; `Invalid` where it is too short or would be guessed first."""
    plain = unicodedata.normalize("NFKC", password)
    if not SHORTEST_PASSWORD <= len(plain) <= LONGEST_PASSWORD:
        raise Invalid(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters; "
            f"{ADVISED_PASSWORD} or more are better",
            field="password",
            code="password_length",
        )
    if plain.casefold() in GUESSED_FIRST | {email.casefold()} or len(set(plain)) < 4:
        raise Invalid("this password would be guessed first", field="password", code="password_weak")
    return plain


class Passwords:
    """Hashes and compares them as argon2id, off the event loop and only a few at once."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
        self._at_once = anyio.CapacityLimiter(HASHES_AT_ONCE)

    def hashed(self, password: str) -> str:
        """As it is stored; takes tens of milliseconds."""
        return self._hasher.hash(password)

    async def store(self, password: str, email: str) -> str:
        """What is stored of a new password. Raises `Invalid` where it won't do."""
        plain = check_new_password(password, email)
        return await anyio.to_thread.run_sync(self.hashed, plain, limiter=self._at_once)

    async def is_right(self, stored: str, password: str) -> bool:
        """Whether it is the one that was stored."""
        plain = unicodedata.normalize("NFKC", password[: LONGEST_PASSWORD * 4])
        return await anyio.to_thread.run_sync(self._matches, stored, plain, limiter=self._at_once)

    def _matches(self, stored: str, plain: str) -> bool:
        try:
            return self._hasher.verify(stored, plain)
        except (VerificationError, InvalidHashError):
            return False
