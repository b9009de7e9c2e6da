"""Many at once, one durable commit: what arrives while the last one is being written goes into the next, together.

    await together.write(store, one, keep)     keep(connection, those) writes all of them; returns once they are on disk

Whoever comes first writes for those who come while it waits for its turn. If all of them can't be written together,
because of a bug in what one brings with it, each is written alone, so that one is nobody else's problem.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import sqlalchemy as sa

from shared.store import Store, Unavailable
from shared.telemetry import logger

log = logger("together")
MOST = 500  # weight in one commit, so that it holds nobody up for long
Keep = Callable[[sa.Connection, Sequence[Any]], None]


@dataclass(slots=True)
class _Group:
    """Those who wait for the same commit, and what went wrong for each, by their place."""

    those: list[Any] = field(default_factory=list)
    weight: int = 0
    problems: dict[int, BaseException] = field(default_factory=dict)
    over: anyio.Event = field(default_factory=anyio.Event)


class Together:
    """The writes of one process that share their commits."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()
        self._next: _Group | None = None

    async def write(self, store: Store, one: Any, keep: Keep, weight: int = 1) -> None:
        """Have `keep` write this one; returns once it is durable. Raises what kept it from that."""
        group = self._next
        if group is None or group.weight >= MOST:
            group = self._next = _Group()
        place = len(group.those)
        group.those.append(one)
        group.weight += weight
        if place:
            await group.over.wait()
        else:
            # Others wait for this one's commit: it is carried through, whoever hangs up.
            with anyio.CancelScope(shield=True):
                await self._commit(store, group, keep)
        if problem := group.problems.get(place):
            raise problem

    async def _commit(self, store: Store, group: _Group, keep: Keep) -> None:
        try:
            async with self._turn:
                if self._next is group:
                    self._next = None
                await _written(store, group, keep)
        finally:
            group.over.set()


async def _written(store: Store, group: _Group, keep: Keep) -> None:
    try:
        await store.write(lambda c: keep(c, group.those))
    except Unavailable as error:
        group.problems = dict.fromkeys(range(len(group.those)), error)
    except Exception:
        log.exception("together.apart", writes=len(group.those))
        for place, one in enumerate(group.those):
            await _alone(store, group, place, one, keep)


async def _alone(store: Store, group: _Group, place: int, one: Any, keep: Keep) -> None:
    try:
        await store.write(lambda c: keep(c, (one,)))
    except Exception as error:  # noqa: BLE001 - it is raised to whoever brought it
        group.problems[place] = error
