"""Whether the audit log is whole: every entry, every detail, every checkpoint recomputed and compared."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.commitment import commit
from shared.merkle import Edge, leaf_hash, read_note
from shared.schema import audit_checkpoint, audit_detail, audit_head, audit_leaf

AT_ONCE = 5_000  # rows fetched together
MOST = 100  # problems told in full


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


Claims = dict[int, list[tuple[str, bytes]]]


def verify(connection: sa.Connection, public: bytes, held: Mapping[str, list[str]]) -> Verdict:
    """Recompute everything; `held`: the checkpoints that somebody else keeps, by where."""
    problems: list[str] = []
    claims = _claims(connection, public, held, problems)
    edge = Edge()
    for row in _entries(connection):
        if row.seq != edge.size:
            problems.append(f"entry {edge.size} is missing or out of order")
            break
        problems += _entry_problems(row)
        edge.append(bytes(row.hash))
        for where, root in claims.pop(edge.size, []):
            if root != edge.root:
                problems.append(f"the checkpoint over {edge.size} entries in {where} doesn't match")
    for size, places in sorted(claims.items()):
        problems += [f"{where} covers {size} entries, {edge.size} are here" for where, _ in places if size]
    problems += _head_problems(connection, edge)
    count = connection.execute(sa.select(sa.func.count()).select_from(audit_checkpoint)).scalar() or 0
    return Verdict(edge.size, count, tuple(problems[:MOST]))


def _entries(connection: sa.Connection) -> Iterator[Any]:
    detail = audit_detail.c
    query = (
        sa.select(
            audit_leaf.c.seq,
            audit_leaf.c.hash,
            audit_leaf.c.data,
            detail.salt,
            detail.subject,
            detail.payload,
        )
        .outerjoin(audit_detail, detail.seq == audit_leaf.c.seq)
        .order_by(audit_leaf.c.seq)
        .execution_options(yield_per=AT_ONCE)
    )
    yield from connection.execute(query)


def _entry_problems(row: Any) -> list[str]:
    """An entry that doesn't match its hash, or a detail that isn't what the entry commits to. Erased is well."""
    if leaf_hash(row.data.encode()) != row.hash:
        return [f"entry {row.seq} was changed"]
    leaf = _parsed(row.data)
    if leaf.get("seq") != row.seq:
        return [f"entry {row.seq} says that it is another one"]
    if row.salt is None:
        return []
    kept = commit(row.salt, row.subject) == leaf.get("subject")
    if kept and commit(row.salt, row.payload) == leaf.get("payload"):
        return []
    return [f"the detail of entry {row.seq} was changed"]


def _parsed(data: str) -> Mapping[str, object]:
    try:
        leaf = json.loads(data)
    except ValueError:
        return {}
    return leaf if isinstance(leaf, dict) else {}


def _claims(
    connection: sa.Connection, public: bytes, held: Mapping[str, list[str]], problems: list[str]
) -> Claims:
    """By size: who says which root. A checkpoint that isn't ours is a problem of its own."""
    own = connection.execute(sa.select(audit_checkpoint.c.note)).scalars().all()
    claims: Claims = {}
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
