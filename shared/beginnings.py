"""Where the log began anew: a person put an older copy back, and said so.

beginning 1 ── 0 … kept … covered        what others hold checkpoints over
                     └ beginning 2 ── log.restored …     goes on from what the older copy had

A checkpoint of an earlier beginning over more than was kept tells of entries that are lost; that is well if the one
who restored named it. Any other checkpoint has to be here, to the letter.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from shared.checkpoint import Checkpoint, parse_note, read_note
from shared.schema import audit_beginning as table
from shared.schema import audit_checkpoint


@dataclass(frozen=True, slots=True)
class Beginning:
    """A restored copy: how many entries it had, and how many others hold a checkpoint over."""

    number: int
    kept: int
    covered: int

    @property
    def lost(self) -> int:
        """Entries that were given up."""
        return max(0, self.covered - self.kept)


def beginning(connection: sa.Connection) -> int:
    """Which beginning this is; 1 as long as no older copy was put back."""
    return connection.execute(sa.select(sa.func.max(table.c.number))).scalar() or 1


def beginnings(connection: sa.Connection) -> list[Beginning]:
    """Every time an older copy was put back."""
    rows = connection.execute(sa.select(table.c.number, table.c.size, table.c.held).order_by(table.c.number))
    return [Beginning(row.number, row.size, parse_note(row.held).size if row.held else 0) for row in rows]


def is_given_up(found: Checkpoint, known: Sequence[Beginning]) -> bool:
    """Whether it covers what was lost when the next beginning was made, and no more than was named then."""
    return any(one.number == found.beginning + 1 and one.kept < found.size <= one.covered for one in known)


def is_ours(connection: sa.Connection, found: Checkpoint) -> bool:
    """Whether this checkpoint, whose signature was checked, tells of nothing that this log doesn't know."""
    own = sa.select(audit_checkpoint.c.note).where(audit_checkpoint.c.size == found.size)
    text = connection.execute(own).scalar()
    if text is not None and parse_note(text).body == found.body:
        return True
    return is_given_up(found, beginnings(connection))


def newest(texts: Sequence[str], public: bytes) -> list[Checkpoint]:
    """The largest checkpoint of each beginning that was signed with that key."""
    found: dict[int, Checkpoint] = {}
    for text in sorted(texts, key=_said_size, reverse=True):
        try:
            plain = parse_note(text)
            if plain.beginning not in found:
                found[plain.beginning] = read_note(text, public)
        except ValueError:
            continue
    return list(found.values())


def _said_size(text: str) -> int:
    size = text.split("\n", 2)[1:2]
    return int(size[0]) if size and size[0].isascii() and size[0].isdecimal() and len(size[0]) < 19 else -1
