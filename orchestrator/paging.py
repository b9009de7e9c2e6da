"""Pages of a list that a tool answers with: where one begins, and what is said of the rest. Arguments of many tools."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import Field

from shared.errors import Invalid

Cursor = Annotated[
    str, Field(max_length=40, pattern=r"^[0-9]*$", description="next_cursor of the page before")
]
Limit = Annotated[int, Field(ge=1, le=50)]
FewLimit = Annotated[int, Field(ge=1, le=40)]  # of what carries texts from outside
Id = Annotated[str, Field(min_length=1, max_length=200)]
Key = Annotated[str, Field(max_length=200)]
Reason = Annotated[str, Field(min_length=3, max_length=500)]
ItemT = TypeVar("ItemT")
FURTHEST = 10_000_000
LONGEST = 100  # characters of a text in a list: a whole page of them fits an answer


def short(text: str) -> str:
    """A text as a list shows it."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def offset_of(cursor: str, furthest: int = FURTHEST) -> int:
    """Where the page begins; `Invalid` beyond the furthest that can be asked for."""
    offset = int(cursor) if cursor.isdecimal() else 0
    if offset > furthest:
        raise Invalid(f"no page begins after {furthest:,}", field="cursor", code="bad_cursor")
    return offset


def following(offset: int, shown: int, total: int) -> tuple[str, int]:
    """The cursor of the next page, empty on the last one, and how many are left out after this one."""
    end = offset + shown
    left = max(0, total - end)
    return (str(end) if left and shown else ""), left


def cut(items: Sequence[ItemT], cursor: str, limit: int) -> tuple[Sequence[ItemT], str, int]:
    """A page of what is in memory anyway, with the next cursor and the number left out."""
    offset = offset_of(cursor)
    shown = items[offset : offset + limit]
    return shown, *following(offset, len(shown), len(items))
