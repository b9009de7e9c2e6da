"""How many rows one answer may hold: pages end before an answer would be cut, so that no row is lost."""

from dataclasses import astuple

from shared.ports import SourcedLead

MAX_CHARACTERS = 20_000  # of a page as JSON; an answer is cut at 24,000
FRAME = 420  # characters of field names and punctuation of one lead
BAD_FRAME = 24


class Room:
    """What is left of one page."""

    def __init__(self, characters: int = MAX_CHARACTERS) -> None:
        self._left = characters
        self._first = True

    def takes(self, row: SourcedLead | str) -> bool:
        """Whether the row still fits, taking its place if so; a page's first row always does."""
        size = BAD_FRAME + len(row) if isinstance(row, str) else FRAME + _size(row)
        fits = self._first or size <= self._left
        self._first = False
        self._left -= size
        return fits


def _size(lead: SourcedLead) -> int:
    return sum(len(value) if isinstance(value, str) else 8 for value in astuple(lead))
