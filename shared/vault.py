"""Credentials that change by themselves (OAuth tokens): encrypted in the database, changed by one process at a time.

free ─ alone ─▶ held, until a deadline ─ put ─▶ the new secret, durable before anybody uses it
                                       ─ lose ─▶ lost: nobody tries again before a person puts a new one in
"""

import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.audit import Entry, append
from shared.clock import Clock, iso
from shared.errors import Fatal, Retryable
from shared.schema import vault as table
from shared.sql import run
from shared.store import Store

NONCE_BYTES = 12
ROW = "INSERT INTO vault (name, sealed) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
LOOK_AGAIN = 0.2  # seconds between looks while another process is at it
# How long a process that died with it keeps it; also how long the others wait.
HELD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Held:
    """A secret as it is now. `version` 0: there is none yet."""

    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    version: int = 0
    lost: str = ""  # why it can't be used any more


class Vault:
    """Secrets by name. The key is under SWARM_HOME/keys: the database alone gives nothing away."""

    def __init__(self, store: Store, clock: Clock, key: bytes) -> None:
        self._store = store
        self._clock = clock
        self._cipher = AESGCM(key)

    async def read(self, name: str) -> Held:
        """The secret now. Raises `Fatal` if it was encrypted with another key."""
        query = sa.select(table).where(table.c.name == name)
        row = await self._store.read(lambda c: c.execute(query).one_or_none())
        return self._opened(name, row) if row is not None else Held()

    @asynccontextmanager
    async def alone(self, name: str) -> AsyncIterator[Held]:
        """Only one process is inside for a name; yields the secret as it is then.

        Raises `Retryable` when another one doesn't come out. What a dead one left is free after a minute.
        """
        holder = secrets.token_hex(8)
        await self._enter(name, holder)
        try:
            yield await self.read(name)
        finally:
            mine = sa.update(table).where(table.c.name == name, table.c.holder == holder)
            await self._store.write(lambda c: c.execute(mine.values(holder="", until=0.0)))

    async def put(self, name: str, secret: Mapping[str, str], *, after: int) -> Held:
        """The new secret, durable on return; it isn't lost any more.

        `after`: the version that it follows. Where another one came first, that one stands and is returned.
        """
        await self._ensure(name)
        await self._store.write(lambda c: self._put(c, name, secret, after))
        return await self.read(name)

    async def lose(self, name: str, why: str) -> None:
        """It can't be used any more, and only a person can help: told once, by the watch."""
        await self._ensure(name)
        await self._store.write(lambda c: self._lose(c, name, why))

    async def _enter(self, name: str, holder: str) -> None:
        await self._ensure(name)
        patience = self._clock.monotonic() + HELD_SECONDS + 5
        while not await self._store.write(lambda c: self._take(c, name, holder)):
            if self._clock.monotonic() > patience:
                raise Retryable("another process is renewing these credentials", code="credentials_busy")
            await self._clock.sleep(LOOK_AGAIN)

    async def _ensure(self, name: str) -> None:
        """A row to hold on to."""
        await self._store.write(lambda c: run(c, ROW, name, b""))

    def _take(self, connection: sa.Connection, name: str, holder: str) -> bool:
        now = self._clock.now().timestamp()
        free = sa.or_(table.c.holder == "", table.c.until < now, table.c.until > now + HELD_SECONDS + 1)
        mine = sa.update(table).where(table.c.name == name, free)
        return connection.execute(mine.values(holder=holder, until=now + HELD_SECONDS)).rowcount > 0

    def _put(self, connection: sa.Connection, name: str, secret: Mapping[str, str], after: int) -> None:
        version, now = after + 1, self._clock.now()
        values = {
            "sealed": self._sealed(name, version, secret),
            "version": version,
            "lost": "",
            "at": iso(now),
        }
        follows = sa.update(table).where(table.c.name == name, table.c.version == after)
        if connection.execute(follows.values(**values)).rowcount:
            append(connection, [Entry("credentials.renewed", name, {"version": version})], now)

    def _lose(self, connection: sa.Connection, name: str, why: str) -> None:
        now = self._clock.now()
        fresh = sa.update(table).where(table.c.name == name, table.c.lost == "")
        if connection.execute(fresh.values(lost=why, at=iso(now))).rowcount:
            append(connection, [Entry("credentials.lost", name, {"why": why})], now)

    def _sealed(self, name: str, version: int, secret: Mapping[str, str]) -> bytes:
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, json.dumps(dict(secret)).encode(), _bound(name, version))

    def _opened(self, name: str, row: sa.Row[tuple[object, ...]]) -> Held:
        sealed = bytes(row.sealed)
        if not sealed:
            return Held(lost=str(row.lost))
        try:
            plain = self._cipher.decrypt(
                sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _bound(name, row.version)
            )
        except InvalidTag as error:
            message = "stored credentials were encrypted with another key than the one under SWARM_HOME/keys"
            raise Fatal(message, code="key_changed") from error
        return Held(json.loads(plain), row.version, str(row.lost))


def _bound(name: str, version: int) -> bytes:
    """An old row, or another account's, put in its place is not accepted."""
    return f"vault/v1:{name}:{version}".encode()


def lost_in(connection: sa.Connection) -> dict[str, str]:
    """Credentials that only a person can renew: name → since when."""
    query = sa.select(table.c.name, table.c.at).where(table.c.lost != "")
    return {row.name: row.at for row in connection.execute(query)}
