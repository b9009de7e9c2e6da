"""The audit log: an append-only Merkle tree (RFC 6962) in the same database as what it tells of.

    leaf data   canonical JSON: seq, time, kind, actor, correlation id, commitments to subject and payload
    detail      the subject, the payload and their salt: erasable, and every proof still verifies
    head        size and the right edge of the tree, so that an append costs O(log n)
    checkpoint  "log id, size, root" signed with Ed25519, kept here and appended to files elsewhere

What is cut off the end after the last checkpoint that somebody else holds can't be noticed: `Head.exposed`
counts it.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa

from shared import published
from shared.checkpoint import Checkpoint, note, read_note
from shared.clock import Clock, iso
from shared.commitment import commit
from shared.effect import Json, canonical
from shared.errors import Fatal
from shared.keys import Keys
from shared.merkle import Edge, leaf_hash
from shared.schema import audit_checkpoint, audit_detail, audit_head, audit_leaf
from shared.sql import insertion, one, run, run_many
from shared.store import Store, Unavailable
from shared.telemetry import correlation, logger
from shared.verification import Verdict, Verification

__all__ = ["Audit", "Entry", "Head", "Verdict", "append"]

log = logger("audit")
SALT_BYTES = 16
LEAF = insertion("audit_leaf", ("seq", "hash", "data"))
DETAIL = insertion("audit_detail", ("seq", "salt", "subject", "payload"))
HEAD = (
    "INSERT INTO audit_head (id, size, frontier) VALUES (1, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET size = excluded.size, frontier = excluded.frontier"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be remembered. `subject` and `payload` may hold personal data: they are committed to, not shown."""

    kind: str
    subject: str
    payload: Mapping[str, Json]
    actor: str = "system"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands. `exposed` entries are not yet covered by a checkpoint."""

    size: int
    root: str
    checkpoint: int
    exposed: int


def append(connection: sa.Connection, entries: Sequence[Entry], now: datetime) -> int:
    """Append inside the caller's transaction; returns the new size. What fails here undoes the caller's change too."""
    if not entries:
        return 0
    edge = _edge(connection)
    leaves: list[tuple[object, ...]] = []
    details: list[tuple[object, ...]] = []
    fixed = {"at": iso(now), "cid": correlation()}
    for entry in entries:
        salt = secrets.token_bytes(SALT_BYTES)
        payload = canonical(entry.payload).decode()
        data = canonical({**fixed, "seq": edge.size, **_committed(entry, salt, payload)})
        leaf = leaf_hash(data)
        leaves.append((edge.size, leaf, data.decode()))
        details.append((edge.size, salt, entry.subject, payload))
        edge.append(leaf)
    run_many(connection, LEAF, leaves)
    run_many(connection, DETAIL, details)
    run(connection, HEAD, edge.size, edge.packed)
    return edge.size


def _committed(entry: Entry, salt: bytes, payload: str) -> dict[str, str]:
    """What a leaf says of an entry: what kind, by whom, and commitments to the rest."""
    return {
        "kind": entry.kind,
        "actor": commit(salt, entry.actor) if "@" in entry.actor else entry.actor,
        "subject": commit(salt, entry.subject),
        "payload": commit(salt, payload),
    }


class Audit:
    """The log as a whole: append, checkpoint, verify."""

    def __init__(
        self, store: Store, clock: Clock, keys: Keys, files: Sequence[Path], every: int, seconds: float = 60
    ) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._files = tuple(files)
        self._every = every
        self._seconds = seconds
        self._looked_at = clock.monotonic()
        self._covered = 0  # entries under the newest checkpoint this process knows of

    async def record(self, *entries: Entry) -> int:
        """Append in a transaction of its own; for what changes nothing else."""
        return await self._store.write(lambda c: append(c, entries, self._clock.now()))

    async def head(self) -> Head:
        """Size, root, and what no checkpoint covers yet."""
        return await self._store.read(_head)

    async def checkpoint(self, why: str) -> Head:
        """Sign the head, keep it, and append it to every file that is published to.

        A file that can't be written is logged: what was done stays done, and the next checkpoint covers it.
        """
        now = iso(self._clock.now())

        def change(connection: sa.Connection) -> tuple[Head, str]:
            edge = _edge(connection)
            text = note(self._keys.audit, edge.size, edge.root)
            known = sa.select(audit_checkpoint.c.size).where(audit_checkpoint.c.size == edge.size)
            if connection.execute(known).one_or_none() is None:
                values = {"size": edge.size, "note": text, "at": now, "why": why, "frontier": edge.packed}
                connection.execute(sa.insert(audit_checkpoint).values(**values))
            return _head(connection), text

        head, text = await self._store.write(change)
        self._covered = head.checkpoint
        self._looked_at = self._clock.monotonic()
        await anyio.to_thread.run_sync(published.append, self._files, text)
        return head

    async def checkpoint_if_due(self, size: int | None = None) -> None:
        """Sign when enough entries or enough time came since the last one. Never raises for the database.

        `size`: of the log, where the caller knows it already.
        """
        waited = self._clock.monotonic() - self._looked_at
        try:
            size = await self._store.read(_size) if size is None else size
            exposed = size - self._covered
            if exposed >= self._every or (exposed and waited >= self._seconds):
                await self._sign_unless_covered("size" if exposed >= self._every else "time")
        except Unavailable:
            log.exception("audit.checkpoint_failed")

    async def _sign_unless_covered(self, why: str) -> None:
        """Another process may have signed meanwhile."""
        head = await self.head()
        self._covered, self._looked_at = head.checkpoint, self._clock.monotonic()
        if head.exposed >= self._every or (head.exposed and why == "time"):
            await self.checkpoint(why)

    async def verify(self) -> Verdict:
        """Recompute every leaf and every checkpoint, those in the published files included."""
        held = await anyio.to_thread.run_sync(published.read, self._files)
        look = Verification(self._keys.audit_public, held)
        try:
            await self._store.read(look.begin)
            while await self._store.read(look.go_on):
                pass
        except sa.exc.DBAPIError:
            log.exception("audit.unreadable")
            look.unreadable()
        return look.verdict

    async def tail(self, limit: int = 20) -> list[dict[str, Json]]:
        """The newest entries with their details, newest first."""
        query = (
            sa.select(audit_leaf.c.seq, audit_leaf.c.data, audit_detail.c.subject, audit_detail.c.payload)
            .outerjoin(audit_detail, audit_detail.c.seq == audit_leaf.c.seq)
            .order_by(audit_leaf.c.seq.desc())
            .limit(limit)
        )
        rows = await self._store.read(lambda c: c.execute(query).all())
        return [_shown(row.data, row.subject, row.payload) for row in rows]

    async def refuse_if_rolled_back(self) -> None:
        """Stop when a published checkpoint tells of entries that this database has not: an old copy was put back.

        Every published checkpoint was kept here first. So the newest one must be here, to the letter: also a copy
        that has grown since, with other entries, is found out.
        """
        last = await self._store.read(_last_note)
        if last and _newest([last], self._keys.audit_public) is None:
            raise Fatal(
                "the audit log was signed with another key than the one under SWARM_HOME/keys. "
                "Put the old keys back.",
                code="key_changed",
            )
        held = await anyio.to_thread.run_sync(published.read, self._files)
        newest = [trusted for texts in held.values() if (trusted := _newest(texts, self._keys.audit_public))]
        for last_held in newest:
            own = await self._store.read(partial(_own, size=last_held.size))
            if own is None or read_note(own, self._keys.audit_public).body != last_held.body:
                here = (await self.head()).size
                raise Fatal(
                    f"a published checkpoint covers {last_held.size} entries of the audit log that are not in this "
                    f"database ({here} entries): it is older than what was done with it. Restore the newest copy.",
                    code="rolled_back",
                )


def _shown(data: str, subject: str | None, payload: str | None) -> dict[str, Json]:
    leaf = json.loads(data)
    shown: dict[str, Json] = {key: leaf[key] for key in ("seq", "at", "kind", "actor", "cid")}
    return {**shown, "subject": subject or "(erased)", "payload": json.loads(payload) if payload else {}}


def _newest(texts: Sequence[str], public: bytes) -> Checkpoint | None:
    """The largest checkpoint that we signed."""
    for text in sorted(texts, key=_said_size, reverse=True):
        try:
            return read_note(text, public)
        except ValueError:
            continue
    return None


def _said_size(text: str) -> int:
    size = text.split("\n", 2)[1:2]
    return int(size[0]) if size and size[0].isascii() and size[0].isdecimal() else -1


def _own(connection: sa.Connection, size: int) -> str | None:
    query = sa.select(audit_checkpoint.c.note).where(audit_checkpoint.c.size == size)
    return connection.execute(query).scalar()


def _last_note(connection: sa.Connection) -> str | None:
    query = sa.select(audit_checkpoint.c.note).order_by(audit_checkpoint.c.size.desc())
    return connection.execute(query.limit(1)).scalar()


def _edge(connection: sa.Connection) -> Edge:
    row = one(connection, "SELECT size, frontier FROM audit_head")
    return Edge(*row) if row else Edge()


def _size(connection: sa.Connection) -> int:
    return connection.execute(sa.select(audit_head.c.size)).scalar() or 0


def _head(connection: sa.Connection) -> Head:
    edge = _edge(connection)
    last = connection.execute(sa.select(sa.func.max(audit_checkpoint.c.size))).scalar() or 0
    return Head(edge.size, edge.root.hex(), last, edge.size - last)
