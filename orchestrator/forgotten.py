"""Who was erased and isn't taken in again, by keyed hashes of their addresses and profiles: a file is imported twice.

Whoever is no longer on the do-not-contact list may be taken in again by their address: a person lifted it.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from orchestrator.normalise import linkedin_url
from shared.address import read_address
from shared.clock import iso
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.pipeline_schema import erased
from shared.ports import SourcedLead

KIND = b"r"
AT_ONCE = 500  # hashes in one question


def remember_in(
    kernel: Kernel, connection: sa.Connection, addresses: Sequence[str], profiles: Sequence[str]
) -> None:
    """In the caller's transaction: these names of theirs are known as erased."""
    named = [*(f"email:{_broad(one)}" for one in addresses), *(f"profile:{one}" for one in profiles)]
    new = {_hash(kernel, name) for name in named} - _known(
        connection, [_hash(kernel, name) for name in named]
    )
    if new:
        at = iso(kernel.clock.now())
        connection.execute(sa.insert(erased), [{"hash": one, "at": at} for one in sorted(new)])


def without_in(kernel: Kernel, connection: sa.Connection, rows: Sequence[SourcedLead]) -> list[SourcedLead]:
    """In the caller's transaction: the rows of people who weren't erased."""
    names = {id(row): [_hash(kernel, name) for name in _names(row)] for row in rows}
    known = _known(connection, [one for theirs in names.values() for one in theirs])
    if not known:
        return list(rows)
    stopped = kernel.suppression.check(connection, [row.email for row in rows if row.email])
    return [
        row for row in rows if known.isdisjoint(names[id(row)]) or (row.email and row.email not in stopped)
    ]


def _names(row: SourcedLead) -> list[str]:
    profile = linkedin_url(row.linkedin_url)
    named = [f"email:{_broad(row.email)}"] if row.email else []
    return [*named, f"profile:{profile.removeprefix('https://').removeprefix('www.')}"] if profile else named


def _broad(address: str) -> str:
    try:
        return read_address(address).broad
    except Invalid:
        return address.lower()


def _hash(kernel: Kernel, name: str) -> bytes:
    return kernel.suppression.key(KIND, name)


def _known(connection: sa.Connection, hashes: Sequence[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for part in _parts(hashes):
        found |= set(connection.execute(sa.select(erased.c.hash).where(erased.c.hash.in_(part))).scalars())
    return found


def _parts(hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [hashes[start : start + AT_ONCE] for start in range(0, len(hashes), AT_ONCE)]
