"""Going through a vendor's long list a few pages at a time: where a walk stands is kept, so none begins from the front.

rest ─ due ─▶ under way ─ so many pages a look ─▶ under way ─ no page is left ─▶ rest
  └ tail: what the vendor put behind the end since      └ the entry it stood at is gone ─▶ once more from the front

A cursor names an entry, and entries may be deleted: so a walk goes on with the page it saw last, which isn't empty
unless that has happened.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from shared.clock import iso, parse
from shared.kernel import Kernel
from shared.pipeline_schema import watermark
from shared.sql import run

KEEP = (
    "INSERT INTO watermark (name, at, began, cursor) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
    "at = excluded.at, began = excluded.began, cursor = excluded.cursor"
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a look at one page found: how many entries, how many of them were news, and where the next one begins."""

    entries: int
    new: int
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class Walked:
    """How far a walk came."""

    pages: int = 0
    entries: int = 0
    new: int = 0

    def __add__(self, other: "Walked") -> "Walked":
        return Walked(self.pages + other.pages, self.entries + other.entries, self.new + other.new)


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a walk is: when the last whole one began, when the one under way did, and the cursor of its newest page."""

    at: str = ""
    began: str = ""
    cursor: str = ""


Look = Callable[[str], Awaitable[Page]]


async def standing(kernel: Kernel, name: str) -> Stand:
    """Where the walk of this name is."""
    query = sa.select(watermark.c.at, watermark.c.began, watermark.c.cursor).where(watermark.c.name == name)
    row = await kernel.store.read(lambda c: c.execute(query).one_or_none())
    return Stand(*row) if row else Stand()


def anew_in(connection: sa.Connection, name: str) -> None:
    """In the caller's transaction: a whole walk is due now; one that is under way begins once more."""
    run(connection, KEEP, name, "", "", "")


async def keep(kernel: Kernel, name: str, stand: Stand) -> None:
    """Note where the walk is, durably."""
    await kernel.store.write(lambda c: run(c, KEEP, name, stand.at, stand.began, stand.cursor) and None)


async def onwards(kernel: Kernel, name: str, every: timedelta, look: Look, most: int) -> Walked:
    """Up to so many pages, if a walk is under way or due. Raises what looking raises; what was seen counts."""
    stand, now = await standing(kernel, name), kernel.clock.now()
    if not stand.began and stand.at and now - parse(stand.at) < every:
        return Walked()
    start = Stand(stand.at, stand.began or iso(now), stand.cursor if stand.began else "")
    return await _from(kernel, name, start, look, most)


async def tail(kernel: Kernel, name: str, look: Look, most: int) -> Walked:
    """What a vendor that lists the oldest first has put behind the end since the walk got there."""
    stand = await standing(kernel, name)
    if stand.began or not stand.at:  # on its way there, or about to be
        return Walked()
    return await _from(kernel, name, stand, look, most)


async def head(look: Look, most: int) -> Walked:
    """What a vendor that lists the newest first has put in front: pages until one holds nothing new."""
    done, cursor = Walked(), ""
    while done.pages < most:
        page = await look(cursor)
        done += Walked(1, page.entries, page.new)
        cursor = page.next_cursor
        if not (page.new and cursor):
            break
    return done


async def _from(kernel: Kernel, name: str, stand: Stand, look: Look, most: int) -> Walked:
    """Go on with the page at `stand.cursor`, and note each that was seen."""
    cursor, page = stand.cursor, await look(stand.cursor)
    if cursor and not page.entries:
        stand = Stand(stand.at, stand.began or iso(kernel.clock.now()))
        cursor, page = "", await look("")
    done = Walked(1, page.entries, page.new)
    while page.next_cursor:
        following = page.next_cursor
        if done.pages >= most:
            await keep(kernel, name, Stand(stand.at, stand.began, cursor))
            return done
        page = await look(following)
        done += Walked(1, page.entries, page.new)
        if page.entries:
            cursor = following
            await keep(kernel, name, Stand(stand.at, stand.began, cursor))
    await keep(kernel, name, Stand(stand.began or stand.at, "", cursor))
    return done
