"""The audit log: an append-only Merkle tree (RFC 6962) in the same database as what it tells of.

    leaf data   canonical JSON: seq, time, kind, actor, correlation id, commitments to subject and payload
    detail      the subject, the payload and their salt: erasable, and every proof still verifies
    head        size and the right edge of the tree, so that an append costs O(log n)
    checkpoint  "log id, size, root" signed with Ed25519, kept here and appended to files elsewhere

What is cut off the end after the last checkpoint that somebody else holds can't be noticed: `Head.window`
counts it.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple

import anyio
import anyio.to_thread
import sqlalchemy as sa

from shared import places
from shared.beginnings import beginning, is_ours, newest
from shared.checkpoint import Checkpoint, note
from shared.checkpoint_rules import Checkpoints
from shared.clock import Clock, iso
from shared.commitment import commit, commit_all
from shared.effect import Json, canonical_text
from shared.errors import Fatal, SwarmError
from shared.keys import Keys
from shared.merkle import Edge, leaf_hash
from shared.places import Place
from shared.published import Files, short
from shared.schema import audit_checkpoint, audit_detail, audit_head, audit_leaf
from shared.sql import insertion, one, run, run_many
from shared.store import Store, Unavailable
from shared.telemetry import correlation, logger
from shared.verification import Verdict, Verification
from shared.witnesses import Witnesses

__all__ = ["Audit", "Entry", "Head", "Verdict", "append"]

log = logger("audit")
SALT_BYTES = 16
GOOD_FOR = 3_600.0  # seconds that a verification of this process's own is built upon
# What a witness is told at once; the rest can wait for the worker's next round.
URGENT = frozenset({"start", "stop", "kill", "approval", "by hand", "restored"})
LEAF = insertion("audit_leaf", ("seq", "hash", "data"))
DETAIL = insertion("audit_detail", ("seq", "salt", "subject", "payload"))
HEAD = (
    "INSERT INTO audit_head (id, size, frontier) VALUES (1, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET size = excluded.size, frontier = excluded.frontier"
)


class Entry(NamedTuple):
    """One thing to be remembered. `subject` and `payload` may hold personal data: they are committed to, not shown."""

    kind: str
    subject: str
    payload: Mapping[str, Json] | str  # as canonical JSON, where that is known already
    actor: str = "system"


@dataclass(frozen=True, slots=True)
class Head:
    """Where the log stands. `exposed` entries are not yet covered by a checkpoint.

    `window` entries at the end could be cut off unnoticed: nobody outside holds a checkpoint over them.
    """

    size: int
    root: str
    checkpoint: int
    exposed: int
    window: int


def append(connection: sa.Connection, entries: Sequence[Entry], now: datetime) -> int:
    """Append inside the caller's transaction; returns the new size. What fails here undoes the caller's change too."""
    if not entries:
        return 0
    edge = _edge(connection)
    salts = secrets.token_bytes(SALT_BYTES * len(entries))
    at, cid = canonical_text(iso(now)), canonical_text(correlation())
    hashes: list[bytes] = []
    leaves: list[tuple[int, bytes, str]] = []
    details: list[tuple[int, bytes, str, str]] = []
    for seq, entry in enumerate(entries, edge.size):
        start = len(hashes) * SALT_BYTES
        salt = salts[start : start + SALT_BYTES]
        kind, subject, said, actor = entry
        payload = said if isinstance(said, str) else canonical_text(said)
        who, what = commit_all(salt, (subject.encode(), payload.encode()))
        by = commit(salt, actor) if "@" in actor else actor
        # Canonical JSON: its names stand in their order, and hashes need no quoting.
        data = (
            f'{{"actor":{canonical_text(by)},"at":{at},"cid":{cid},"kind":{canonical_text(kind)},'
            f'"payload":"{what}","seq":{seq},"subject":"{who}"}}'
        )
        leaf = leaf_hash(data.encode())
        hashes.append(leaf)
        leaves.append((seq, leaf, data))
        details.append((seq, salt, subject, payload))
    edge.extend(hashes)
    run_many(connection, LEAF, leaves)
    run_many(connection, DETAIL, details)
    run(connection, HEAD, edge.size, edge.packed)
    return edge.size


class Audit:
    """The log as a whole: append, checkpoint, verify."""

    def __init__(
        self, store: Store, clock: Clock, keys: Keys, files: Files, witnesses: Witnesses, rules: Checkpoints
    ) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._files = files
        self._witnesses = witnesses
        self._every = rules.every_leaves
        self._seconds = rules.every_seconds
        self._looked_at = clock.monotonic()
        self._covered = 0  # entries under the newest checkpoint this process knows of
        self._seen: Verification | None = None
        self._seen_at = 0.0
        self._one_look = anyio.Lock()  # a look that is gone on with can't be gone on with twice at once

    async def record(self, *entries: Entry) -> int:
        """Append in a transaction of its own; for what changes nothing else."""
        return await self._store.write(lambda c: append(c, entries, self._clock.now()))

    async def head(self) -> Head:
        """Size, root, what no checkpoint covers yet, and what nobody outside holds a checkpoint over."""
        return await self._store.read(_head)

    async def places(self) -> list[Place]:
        """Where checkpoints are given to, and how far each is."""
        known = await self._store.read(places.all_places)
        return list(known.values())

    async def checkpoint(self, why: str) -> Head:
        """Sign the head, keep it, and give it away: to files at once, to witnesses too where it can't wait.

        A place that doesn't take it is noted: what was done stays done, and the next checkpoint covers it.
        Raises `Fatal` if the log is shorter than this process has seen it.
        """
        now = self._clock.now()

        def change(connection: sa.Connection) -> tuple[Head, str]:
            edge = _edge(connection)
            self.refuse_shrunk(edge.size)
            text = note(self._keys.audit, edge.size, edge.root, beginning(connection))
            known = sa.select(audit_checkpoint.c.size).where(audit_checkpoint.c.size == edge.size)
            if connection.execute(known).one_or_none() is None:
                values = {
                    "size": edge.size,
                    "note": text,
                    "at": iso(now),
                    "why": why,
                    "frontier": edge.packed,
                }
                connection.execute(sa.insert(audit_checkpoint).values(**values))
            return _head(connection), text

        head, text = await self._store.write(change)
        self._covered = head.checkpoint
        self._looked_at = self._clock.monotonic()
        await self._give(head.size, text)
        if why in URGENT and len(self._witnesses):
            await self._witnesses.give()
        return await self.head()

    async def _give(self, size: int, text: str) -> None:
        """Append it to every file, and note which took it."""
        problems = await anyio.to_thread.run_sync(self._files.append, text)
        now = self._clock.now()

        def change(connection: sa.Connection) -> None:
            for file, problem in problems.items():
                outside = file in self._files.outside
                if problem:
                    places.failed(connection, short(file), problem, now, outside=outside)
                else:
                    places.given(connection, short(file), size, now, outside=outside)

        await self._store.write(change)

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
        self._covered, self._looked_at = max(self._covered, head.checkpoint), self._clock.monotonic()
        if head.exposed >= self._every or (head.exposed and why == "time"):
            await self.checkpoint(why)

    async def close(self) -> None:
        """Sign what no checkpoint covers yet: a process leaves nothing behind that could be cut off unnoticed."""
        try:
            exposed = (await self.head()).exposed
        except SwarmError:
            log.exception("audit.not_signed", why="stop")
        else:
            if exposed:
                await self.try_checkpoint("stop")

    async def try_checkpoint(self, why: str) -> None:
        """As `checkpoint`, after something that stands whether or not it can be signed now."""
        try:
            await self.checkpoint(why)
        except SwarmError:
            log.exception("audit.not_signed", why=why)

    def refuse_shrunk(self, size: int) -> None:
        """Stop if the log is shorter than it was: the database was put back under a running process."""
        if size < self._covered:
            raise rolled_back(self._covered, size)

    async def verify(self, held: Mapping[str, Sequence[str]] | None = None) -> Verdict:
        """Recompute every leaf and every checkpoint, those in files and of witnesses, and `held` ones, included."""
        look = Verification(self._keys.audit_public, {**await self._held(), **(held or {})})
        await self._look_through(look)
        self._seen, self._seen_at = look, self._clock.monotonic()
        return look.verdict

    async def verify_lately(self) -> Verdict:
        """As `verify`, but what this process went through within the last hour isn't gone through again.

        For who asks often: it costs what was appended since. Who asks meanwhile waits, and gets an answer of their own.
        """
        async with self._one_look:
            if self._seen is None or self._clock.monotonic() - self._seen_at > GOOD_FOR:
                return await self.verify()
            look = self._seen  # `verify` may put another one in its place meanwhile
            await self._look_through(look)
            return look.verdict

    async def _look_through(self, look: Verification) -> None:
        try:
            await self._store.read(look.begin)
            while await self._store.read(look.go_on):
                pass
        except sa.exc.DBAPIError:
            log.exception("audit.unreadable")
            look.unreadable()

    async def verify_own(self) -> Verdict:
        """As `verify`, by what this database holds itself alone: a copy may be whole, and older."""
        look = Verification(self._keys.audit_public, {})
        await self._look_through(look)
        return look.verdict

    async def _held(self, *, newest_only: bool = False) -> dict[str, list[str]]:
        """Every checkpoint that a file or a witness has, by where; or the newest of them."""
        in_files = await anyio.to_thread.run_sync(self._files.read_ends if newest_only else self._files.read)
        return {**in_files, **await self._witnesses.last()}

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
        """Stop when somebody holds a checkpoint over entries that this database has not: an old copy was put back.

        Every checkpoint was kept here before it was given away. So the newest one must be here, to the letter: also
        a copy that has grown since, with other entries, is found out.
        """
        last = await self._store.read(_last_note)
        if last and not newest([last], self._keys.audit_public):
            raise Fatal(
                "the audit log was signed with another key than the one under SWARM_HOME/keys. "
                "Put the old keys back.",
                code="key_changed",
            )
        for found in await self.unknown():
            raise rolled_back(found.size, (await self.head()).size)

    async def unknown(self) -> list[Checkpoint]:
        """The newest checkpoints of ours that others hold, and that this database doesn't know."""
        public, missing = self._keys.audit_public, []
        for texts in (await self._held(newest_only=True)).values():
            for found in newest(texts, public):
                if not await self._store.read(partial(is_ours, found=found)):
                    missing.append(found)
        return missing

    @staticmethod
    def size_in(connection: sa.Connection) -> int:
        """In the caller's transaction: how many entries there are."""
        return _size(connection)


def rolled_back(size: int, here: int) -> Fatal:
    """What is raised where an old copy was put back."""
    return Fatal(
        f"a checkpoint that others hold covers {size} entries of the audit log that are not in this database "
        f"({here} entries): it is older than what was done with it, or DATABASE_URL names another one than "
        'before. Restore the newest copy; if there is none, docs/RUNBOOK.md, "Backup and restore", says how to '
        "go on.",
        code="rolled_back",
    )


def _shown(data: str, subject: str | None, payload: str | None) -> dict[str, Json]:
    leaf = json.loads(data)
    shown: dict[str, Json] = {key: leaf[key] for key in ("seq", "at", "kind", "actor", "cid")}
    return {**shown, "subject": subject or "(erased)", "payload": json.loads(payload) if payload else {}}


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
    window = edge.size - min(edge.size, places.held(connection))
    return Head(edge.size, edge.root.hex(), last, edge.size - last, window)
