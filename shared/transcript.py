"""The audit log as JSON lines: a copy from which somebody without this program, or this database, verifies it.

{"type": "log", …}          first: format, origin, public key, size and root at the moment of writing
{"type": "beginning", …}    each time an older copy was put back
{"type": "checkpoint", …}   each signed checkpoint
{"type": "entry", …}        each entry: seq, hash, data as it was hashed, and its detail unless that was erased
{"type": "end", …}          last, with the counts: a copy that was cut off doesn't have it

`tools/verify_audit.py` reads it. Details hold personal data; without them the copy may be given to anybody.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import sqlalchemy as sa

from shared.checkpoint import origin_of
from shared.effect import Json, canonical
from shared.errors import Fatal
from shared.keys import Keys
from shared.merkle import Edge
from shared.schema import audit_beginning, audit_checkpoint, audit_head
from shared.store import Store
from shared.verification import entries

FORMAT = "alpha-swarm/audit-export/1"
AT_ONCE = 2_000  # entries, and so many lines in memory


async def transcript(store: Store, keys: Keys, *, details: bool = True) -> AsyncIterator[list[str]]:
    """The lines in order, some thousand at a time; what is appended meanwhile isn't in it.

    Raises `Fatal` where an entry can't be read any more.
    """
    size, root = await store.read(_standing)
    public = keys.audit_public
    said: dict[str, Json] = {
        "origin": origin_of(public),
        "public_key": public.hex(),
        "size": size,
        "root": root,
    }
    notes = await store.read(partial(_checkpoints, size=size))
    again = await store.read(_beginnings)
    yield [_line("log", format=FORMAT, **said), *again, *notes]
    for start in range(0, size, AT_ONCE):
        part = partial(_entries, start=start, stop=min(size, start + AT_ONCE), details=details)
        try:
            yield await store.read(part)
        except sa.exc.DBAPIError as error:
            raise Fatal("an entry of the audit log can't be read; see swarm audit verify") from error
    yield [_line("end", entries=size, checkpoints=len(notes))]


def _standing(connection: sa.Connection) -> tuple[int, str]:
    head = connection.execute(sa.select(audit_head.c.size, audit_head.c.frontier)).one_or_none()
    edge = Edge(head.size, bytes(head.frontier)) if head else Edge()
    return edge.size, edge.root.hex()


def _beginnings(connection: sa.Connection) -> list[str]:
    query = sa.select(audit_beginning).order_by(audit_beginning.c.number)
    return [
        _line("beginning", number=row.number, size=row.size, held=row.held)
        for row in connection.execute(query)
    ]


def _entries(connection: sa.Connection, start: int, stop: int, *, details: bool) -> list[str]:
    return [_entry(row, details=details) for row in entries(connection, start, stop)]


def _entry(row: Any, *, details: bool) -> str:
    detail: dict[str, Json] = dict.fromkeys(("salt", "subject", "payload"))
    if details and row.salt is not None:
        detail = {"salt": row.salt.hex(), "subject": row.subject, "payload": row.payload}
    return _line("entry", seq=row.seq, hash=row.hash.hex(), data=row.data, **detail)


def _checkpoints(connection: sa.Connection, size: int) -> list[str]:
    query = (
        sa.select(audit_checkpoint).where(audit_checkpoint.c.size <= size).order_by(audit_checkpoint.c.size)
    )
    return [_line("checkpoint", note=row.note, at=row.at, why=row.why) for row in connection.execute(query)]


def _line(what: str, **values: Json) -> str:
    return canonical({"type": what, **values}).decode() + "\n"
