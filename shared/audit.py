"""The audit log: an append-only Merkle tree (RFC 6962) in the same database as what it tells of.

    leaf data   canonical JSON: seq, time, kind, actor, correlation id, and keyed commitments to subject and payload
    detail      the subject, the payload and their salt: erasable, and every proof still verifies
    head        size and the right edge of the tree, so that an append costs O(log n)
    checkpoint  "log id, size, root" signed with Ed25519, kept here and appended to files elsewhere

What is cut off the end after the last checkpoint that somebody else holds can't be noticed: `Head.exposed` counts it.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anyio.to_thread
import sqlalchemy as sa
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.clock import Clock, iso
from shared.effect import Json, canonical
from shared.errors import Fatal
from shared.keys import Keys
from shared.schema import audit_checkpoint, audit_detail, audit_head, audit_leaf
from shared.store import Store
from shared.telemetry import correlation

ORIGIN = "alpha-swarm/audit"
EMPTY_ROOT = hashlib.sha256(b"").digest()


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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; `problems` is empty when all is well."""

    size: int
    checkpoints: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Nothing was changed, removed or reordered, as far as checkpoints reach."""
        return not self.problems


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
        self.hashes = [packed[i : i + 32] for i in range(0, len(packed), 32)]

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


def append(connection: sa.Connection, entries: Sequence[Entry], now: datetime) -> int:
    """Append inside the caller's transaction; returns the new size. What fails here undoes the caller's change too."""
    if not entries:
        return 0
    row = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
    edge = Edge(row.size, row.frontier) if row else Edge()
    leaves, details = [], []
    for entry in entries:
        salt = secrets.token_bytes(16)
        data = _leaf_data(edge.size, entry, salt, iso(now), correlation())
        leaves.append({"seq": edge.size, "hash": leaf_hash(data), "data": data.decode()})
        payload = canonical(entry.payload).decode()
        details.append({"seq": edge.size, "salt": salt, "subject": entry.subject, "payload": payload})
        edge.append(leaves[-1]["hash"])  # type: ignore[arg-type]  # the dictionary also holds text
    connection.execute(sa.insert(audit_leaf), leaves)
    connection.execute(sa.insert(audit_detail), details)
    head = {"size": edge.size, "frontier": edge.packed}
    if row:
        connection.execute(sa.update(audit_head).values(head))
    else:
        connection.execute(sa.insert(audit_head).values(id=1, **head))
    return edge.size


def _leaf_data(seq: int, entry: Entry, salt: bytes, at: str, cid: str) -> bytes:
    return canonical(
        {
            "seq": seq,
            "at": at,
            "kind": entry.kind,
            "actor": _commit(salt, entry.actor) if "@" in entry.actor else entry.actor,
            "cid": cid,
            "subject": _commit(salt, entry.subject),
            "payload": _commit(salt, canonical(entry.payload).decode()),
        }
    )


def _commit(salt: bytes, text: str) -> str:
    return hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()


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


class Audit:
    """The log as a whole: append, checkpoint, verify."""

    def __init__(self, store: Store, clock: Clock, keys: Keys, files: Sequence[Path], every: int) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._files = tuple(files)
        self._every = every

    async def record(self, *entries: Entry) -> int:
        """Append in a transaction of its own; for what changes nothing else."""
        return await self._store.write(lambda c: append(c, entries, self._clock.now()))

    async def head(self) -> Head:
        """Size, root, and what no checkpoint covers yet."""
        return await self._store.read(_head)

    async def checkpoint(self, why: str) -> Head:
        """Sign the head, keep it, and append it to every file that is published to."""
        now = iso(self._clock.now())

        def change(connection: sa.Connection) -> tuple[Head, str]:
            row = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
            edge = Edge(row.size, row.frontier) if row else Edge()
            text = note(self._keys, edge.size, edge.root)
            known = sa.select(audit_checkpoint.c.size).where(audit_checkpoint.c.size == edge.size)
            if connection.execute(known).one_or_none() is None:
                connection.execute(
                    sa.insert(audit_checkpoint).values(size=edge.size, note=text, at=now, why=why)
                )
            return _head(connection), text

        head, text = await self._store.write(change)
        await anyio.to_thread.run_sync(self._publish, text)
        return head

    async def checkpoint_if_due(self) -> None:
        """Sign when enough entries came since the last time."""
        head = await self.head()
        if head.exposed >= self._every:
            await self.checkpoint("size")

    def _publish(self, text: str) -> None:
        for path in self._files:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"note": text}) + "\n")
                file.flush()
                os.fsync(file.fileno())

    async def verify(self) -> Verdict:
        """Recompute every leaf and every checkpoint, those in the published files included."""
        held = await anyio.to_thread.run_sync(self._held)
        return await self._store.read(lambda c: _verify(c, self._keys.audit_public, held))

    def _held(self) -> dict[str, list[str]]:
        return {str(path): _notes(path) for path in self._files if path.exists()}

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
        """Stop when a published checkpoint knows more entries than this database: an old copy was put back."""
        held = await anyio.to_thread.run_sync(self._held)
        sizes = [_size(text, self._keys.audit_public) for notes in held.values() for text in notes[-1:]]
        head = await self.head()
        if sizes and max(sizes) > head.size:
            raise Fatal(
                f"the audit log has {head.size} entries, but a published checkpoint covers {max(sizes)}: "
                "this database is older than what was done with it. Restore the newest copy.",
                code="rolled_back",
            )


def _shown(data: str, subject: str | None, payload: str | None) -> dict[str, Json]:
    leaf = json.loads(data)
    shown: dict[str, Json] = {key: leaf[key] for key in ("seq", "at", "kind", "actor", "cid")}
    return {**shown, "subject": subject or "(erased)", "payload": json.loads(payload) if payload else {}}


def _notes(path: Path) -> list[str]:
    """The checkpoints in a published file; a line cut off by a crash at the very end is left out."""
    notes = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            notes.append(str(json.loads(line)["note"]))
        except (ValueError, KeyError):
            continue
    return notes


def _size(text: str, public: bytes) -> int:
    try:
        return read_note(text, public)[0]
    except ValueError:
        return 0


def _head(connection: sa.Connection) -> Head:
    row = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
    edge = Edge(row.size, row.frontier) if row else Edge()
    last = connection.execute(sa.select(sa.func.max(audit_checkpoint.c.size))).scalar() or 0
    return Head(edge.size, edge.root.hex(), last, edge.size - last)


def _leaves(connection: sa.Connection) -> Iterator[tuple[int, bytes, str]]:
    query = sa.select(audit_leaf.c.seq, audit_leaf.c.hash, audit_leaf.c.data).order_by(audit_leaf.c.seq)
    for row in connection.execution_options(yield_per=5_000).execute(query):
        yield row.seq, row.hash, row.data


def _verify(connection: sa.Connection, public: bytes, held: Mapping[str, list[str]]) -> Verdict:
    problems: list[str] = []
    claims = _claims(connection, public, held, problems)
    edge = Edge()
    for seq, stored, data in _leaves(connection):
        if seq != edge.size or json.loads(data)["seq"] != seq:
            problems.append(f"entry {edge.size} is missing or out of order")
            break
        if leaf_hash(data.encode()) != stored:
            problems.append(f"entry {seq} was changed")
        edge.append(stored)
        for where, root in claims.pop(edge.size, []):
            if root != edge.root:
                problems.append(f"the checkpoint over {edge.size} entries in {where} doesn't match")
    for size, places in sorted(claims.items()):
        problems += [f"{where} covers {size} entries, but {edge.size} are here" for where, _ in places if size]
    problems += _head_problems(connection, edge)
    count = connection.execute(sa.select(sa.func.count()).select_from(audit_checkpoint)).scalar() or 0
    return Verdict(edge.size, count, tuple(problems))


def _claims(
    connection: sa.Connection, public: bytes, held: Mapping[str, list[str]], problems: list[str]
) -> dict[int, list[tuple[str, bytes]]]:
    """By size: who says which root. A checkpoint that isn't ours is a problem of its own."""
    own = connection.execute(sa.select(audit_checkpoint.c.note)).scalars().all()
    claims: dict[int, list[tuple[str, bytes]]] = {}
    for where, texts in {"the database": own, **held}.items():
        for text in texts:
            try:
                size, root = read_note(text, public)
            except ValueError as error:
                problems.append(f"a checkpoint in {where} can't be trusted: {error}")
                continue
            claims.setdefault(size, []).append((where, root))
    return claims


def _head_problems(connection: sa.Connection, edge: Edge) -> list[str]:
    head = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
    if head is None:
        return ["the stored head is gone"] if edge.size else []
    if head.size != edge.size or Edge(head.size, head.frontier).root != edge.root:
        return ["the stored head doesn't match the entries"]
    return []
