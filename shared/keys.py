"""Keys of this installation: made on first use under SWARM_HOME/keys, readable by their owner only.

pepper       keys the suppression hashes and the masks in the log; without it the list matches nobody
audit        Ed25519, signs checkpoints of the audit log
vault        encrypts credentials that change by themselves
"""

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from shared.errors import ConfigError

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Keys:
    """The installation's secrets."""

    pepper: bytes = field(repr=False)
    audit: Ed25519PrivateKey = field(repr=False)
    vault: bytes = field(repr=False)

    @property
    def audit_public(self) -> bytes:
        """32 bytes: what a verifier needs."""
        return self.audit.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def load_keys(home: Path) -> Keys:
    """Read the keys, making what is missing; `ConfigError` if others may read them."""
    folder = home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pepper = secret_in(folder / "pepper", secrets.token_bytes(KEY_BYTES))
    fresh = Ed25519PrivateKey.generate().private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    audit = Ed25519PrivateKey.from_private_bytes(secret_in(folder / "audit", fresh))
    public = folder / "audit.pub"
    keys = Keys(pepper, audit, secret_in(folder / "vault", secrets.token_bytes(KEY_BYTES)))
    if not public.exists():
        public.write_text(keys.audit_public.hex() + "\n", encoding="utf-8")
    return keys


def secret_in(path: Path, fresh: bytes) -> bytes:
    """The 32 bytes in `path`; written with `fresh` if absent, whoever is first, whole or not at all."""
    if not path.exists():
        partial = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh.hex())
            file.flush()
            os.fsync(file.fileno())
        _place(partial, path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigError(f"{path}: others may read this key; run chmod 600 on it")
    try:
        value = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        value = b""
    if len(value) != KEY_BYTES:
        raise ConfigError(f"{path}: expected 64 hexadecimal characters")
    return value


def _place(partial: Path, path: Path) -> None:
    """Put `partial` at `path` unless another process was first; a link never overwrites."""
    try:
        os.link(partial, path)
    except FileExistsError:
        return
    finally:
        partial.unlink()
