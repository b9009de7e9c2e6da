"""Whether the audit log is whole: every entry, every detail, every checkpoint recomputed and compared.

It goes through the log a few thousand entries at a time, so that a long log keeps no reader waiting. What is appended
meanwhile is looked at too: it ends where nothing more is there.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from shared.beginnings import Beginning, beginnings, is_given_up
from shared.checkpoint import read_note
from shared.commitment import commit_all
from shared.effect import canonical
from shared.merkle import Edge, leaf_hash
from shared.schema import audit_checkpoint, audit_detail, audit_head, audit_leaf

AT_ONCE = 4_000  # entries looked at in one read
MOST = 100  # problems told in full
RESTORED = '"kind":"log.restored"'  # in an entry's data, which nobody else can put there: quotes are escaped


def entries(connection: sa.Connection, start: int, stop: int) -> Sequence[Any]:
    """Entries from `start` to before `stop`, in order: seq, hash, data, and salt, subject, payload or None."""
    leaf, detail = audit_leaf.c, audit_detail.c
    both = audit_leaf.outerjoin(audit_detail, detail.seq == leaf.seq)
    chosen = (leaf.seq, leaf.hash, leaf.data, detail.salt, detail.subject, detail.payload)
    query = sa.select(*chosen).select_from(both).where(leaf.seq >= start, leaf.seq < stop)
    return connection.execute(query.order_by(leaf.seq)).all()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found; `problems` is empty when all is well. `erased`: entries without their detail."""

    size: int
    checkpoints: int
    problems: tuple[str, ...]
    erased: int = 0
    root: str = ""
    lost: int = 0  # entries that a named person gave up by putting an older copy back

    @property
    def ok(self) -> bool:
        """Nothing was changed, removed or reordered, as far as checkpoints reach."""
        return not self.problems


class Verification:
    """One pass over the log. `held`: the checkpoints that somebody else keeps, by where."""

    def __init__(self, public: bytes, held: Mapping[str, Sequence[str]]) -> None:
        self._public = public
        self._held = held
        self._edge = Edge()
        self._claims: dict[int, list[tuple[str, bytes]]] = {}  # by size: who says which root
        self._beginnings: list[Beginning] = []
        self._restored: list[int] = []  # entries that say an older copy was put back
        self._problems: list[str] = []
        self._erased = 0
        self._checkpoints = 0

    def begin(self, connection: sa.Connection) -> None:
        """Read every checkpoint; those that aren't ours are problems of their own.

        Done again, it goes on behind what was looked at already.
        """
        self._claims.clear()
        self._beginnings = beginnings(connection)
        own = connection.execute(sa.select(audit_checkpoint.c.note)).scalars().all()
        self._checkpoints = len(own)
        for where, texts in {"the database": own, **self._held}.items():
            self._hear(where, texts)

    def _hear(self, where: str, texts: Iterable[str]) -> None:
        for text in texts:
            try:
                found = read_note(text, self._public)
            except ValueError as error:
                self._tell(f"a checkpoint in {where} can't be trusted: {error}")
                continue
            if found.size > self._edge.size and not is_given_up(found, self._beginnings):
                self._claims.setdefault(found.size, []).append((where, found.root))

    def go_on(self, connection: sa.Connection) -> bool:
        """Look at the next entries. False once there are none; then the end was looked at too."""
        start = self._edge.size
        rows = entries(connection, start, start + AT_ONCE)
        for row in rows:
            if row.seq != self._edge.size:
                break
            self._take(row)
        if self._edge.size == start + len(rows) and rows:
            return True
        self._end(connection, gap=self._gap(connection))
        return False

    def _gap(self, connection: sa.Connection) -> bool:
        """Whether entries are left behind one that is missing."""
        stray = sa.or_(audit_leaf.c.seq >= self._edge.size, audit_leaf.c.seq < 0)
        return connection.execute(sa.select(audit_leaf.c.seq).where(stray).limit(1)).first() is not None

    def _take(self, row: Any) -> None:
        if problem := entry_problem(row):
            self._tell(problem)
        if RESTORED in row.data:
            self._restored.append(row.seq)
        self._erased += row.salt is None
        self._edge.append(row.hash)
        for where, root in self._claims.pop(self._edge.size, ()):
            if root != self._edge.root:
                self._tell(f"the checkpoint over {self._edge.size} entries in {where} doesn't match")

    def _end(self, connection: sa.Connection, *, gap: bool) -> None:
        size = self._edge.size
        last = sa.select(audit_leaf.c.seq).where(audit_leaf.c.seq == size - 1)
        if size and connection.execute(last).first() is None:
            self._tell(f"entry {size - 1} was here, and is gone")
        if gap:
            self._tell(f"entry {size} is missing or out of order")
        for claimed, places in sorted(self._claims.items()):
            for where, _ in places:
                self._tell(f"{where} covers {claimed} entries, {size} are here")
        if not gap and self._restored != [one.kept for one in self._beginnings]:
            self._tell("what is said of restored copies doesn't match the entries")
        stray = sa.or_(audit_detail.c.seq >= size, audit_detail.c.seq < 0)
        if not gap and connection.execute(sa.select(audit_detail.c.seq).where(stray).limit(1)).first():
            self._tell("there are details that belong to no entry")
        self._look_at_head(connection)

    def _look_at_head(self, connection: sa.Connection) -> None:
        head = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
        if head is None and self._edge.size:
            self._tell("the stored head is gone")
        elif head is not None and (head.size, bytes(head.frontier)) != (self._edge.size, self._edge.packed):
            self._tell("the stored head doesn't match the entries")

    def unreadable(self) -> None:
        """The database can't read an entry: what stands there is no text any more."""
        self._tell(f"entry {self._edge.size} or one soon after it can't be read")

    def _tell(self, problem: str) -> None:
        if len(self._problems) < MOST:
            self._problems.append(problem)

    @property
    def verdict(self) -> Verdict:
        """What was found so far."""
        found, root = tuple(self._problems), self._edge.root.hex()
        lost = sum(one.lost for one in self._beginnings)
        return Verdict(self._edge.size, self._checkpoints, found, self._erased, root, lost)


def entry_problem(row: Any) -> str:
    """An entry that doesn't match its hash, or a detail that isn't what the entry commits to. Erased is well."""
    data = row.data.encode()
    if leaf_hash(data) != row.hash:
        return f"entry {row.seq} was changed"
    leaf = _parsed(row.data)
    # Another spelling of the same (a key twice, another order) could be read as something else by somebody else.
    if leaf.get("seq") != row.seq or not _is_canonical(leaf, data):
        return f"entry {row.seq} says that it is another one"
    if row.salt is None:
        return ""
    subject, payload = commit_all(row.salt, (row.subject.encode(), row.payload.encode()))
    if (subject, payload) == (leaf.get("subject"), leaf.get("payload")):
        return ""
    return f"the detail of entry {row.seq} was changed"


def _is_canonical(leaf: dict[str, object], data: bytes) -> bool:
    try:
        return canonical(leaf) == data
    except (ValueError, RecursionError):
        return False


def _parsed(data: str) -> dict[str, object]:
    try:
        leaf = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return leaf if isinstance(leaf, dict) else {}
