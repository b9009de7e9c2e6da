"""Pages of people out of a CSV of any origin: bad rows are quarantined, good ones go on, memory is bounded.

    cursor ("offset:line") ──▶ lines ──▶ records ──▶ layout ──▶ leads
                                            └─ malformed: its first line is quarantined, the next one is tried

A quote that is never closed would swallow the rest of the file: so a record may span `MAX_LINES` lines or
`MAX_LINE` bytes, and one that doesn't fit the header costs only its first line. No file is ever read whole.
"""

import csv
import hashlib
import os
import stat
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from servers.hunter.columns import EXPECTED, Layout, Origin, layout_of, lead_of, plain
from servers.hunter.dialect import DELIMITERS, MAX_LINE, SAMPLE, Encoding, Line, Lines, cells_of, detect
from servers.hunter.quarantine import BadRow, keep_bad_rows
from servers.hunter.room import Room
from shared.errors import Invalid
from shared.ports import LeadPage, Quarantined, SourcedLead

MAX_LINES = 50  # physical lines of one record
MAX_COLUMNS = 1_000
MAX_CELL = 131_072  # characters; the csv module's own bound
HEADER_WITHIN = 50  # lines: LinkedIn puts notes before the header
MAX_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Form:
    """What a file's beginning tells: encoding, delimiter, columns, where rows begin, and an identity."""

    encoding: Encoding
    delimiter: str
    layout: Layout
    offset: int
    line: int
    identity: str


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its cells, or the reason why it has none."""

    line: Line
    end: int  # byte offset of what follows
    next_line: int
    cells: tuple[str, ...] = ()
    reason: str = ""


def read_page(path: Path, cursor: str, limit: int, quarantine_dir: Path) -> LeadPage:
    """Up to `limit` rows from `cursor` on, good and bad together; blocks on the disk.

    `Invalid` for a file that is no table of people, or a cursor that isn't one of ours. A symbolic link is
    refused: resolve it first. Bad rows are appended to the import's file in `quarantine_dir`.
    """
    with open_regular(path) as file:
        form = sniff(file)
        offset, line = _position(cursor, form, os.fstat(file.fileno()).st_size)
        records = Records(file, form, offset, line)
        leads, bad, end = _collect(records, form, min(max(limit, 1), MAX_PAGE))
        more = records.more()
    kept = keep_bad_rows(quarantine_dir, path.name, form.identity, bad, first=not cursor)
    empty = not cursor and not leads and not bad
    return LeadPage(
        status="finished",
        leads=tuple(leads),
        quarantined=tuple(Quarantined(row.line, row.reason) for row in bad),
        next_cursor=end if more else "",
        message="The file has a header and no rows." if empty else "",
        quarantine_file=kept,
    )


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a link, a directory, a pipe or a device is `Invalid`."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise Invalid("the file can't be opened", field="path", code="unreadable") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Invalid("not a regular file", field="path", code="not_a_file")
    return os.fdopen(descriptor, "rb")


def sniff(file: BinaryIO) -> Form:
    """Encoding, delimiter and header of an open file; where there is none, `Invalid` says what it needs."""
    sample = file.read(SAMPLE)
    size = os.fstat(file.fileno()).st_size
    identity = hashlib.sha256(sample + str(size).encode()).hexdigest()[:12]
    encoding = detect(sample)
    for line in Lines(file, encoding, encoding.bom, 1):
        if line.number > HEADER_WITHIN or line.oversize:
            break
        text = encoding.decode(line.raw)
        found = _header(text) if text else None
        if found:
            return Form(encoding, *found, line.end, line.number + 1, identity)
    raise Invalid(f"no header found; expected {EXPECTED}", field="path", code="no_header")


def _header(text: str) -> tuple[str, Layout] | None:
    """The delimiter and columns by which a line reads best as a header, if it does at all."""
    readings = [(delimiter, layout_of(cells_of(text, delimiter))) for delimiter in DELIMITERS]
    delimiter, layout = max(readings, key=lambda reading: len(reading[1].columns))
    if len(layout.names) > MAX_COLUMNS:
        raise Invalid(f"the header has more than {MAX_COLUMNS:,} columns", field="path", code="too_wide")
    return (delimiter, layout) if layout.identifies else None


def _position(cursor: str, form: Form, size: int) -> tuple[int, int]:
    if not cursor:
        return form.offset, form.line
    offset, _, line = cursor.partition(":")
    if not (_is_count(offset) and _is_count(line)):
        raise Invalid("expected the next_cursor of an earlier page", field="cursor")
    if not form.offset <= int(offset) <= size or (int(offset) - form.encoding.bom) % form.encoding.width:
        raise Invalid("the cursor is not from this file, or the file has changed", field="cursor")
    return int(offset), int(line)


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


class Records:
    """The records of a file; a malformed one gives back all its lines but the first."""

    def __init__(self, file: BinaryIO, form: Form, offset: int, line: int) -> None:
        self._encoding = form.encoding
        self._delimiter = form.delimiter
        self._width = len(form.layout.names)
        self._lines = Lines(file, form.encoding, offset, line)
        self._waiting: deque[Line] = deque()

    def __iter__(self) -> Iterator[Record]:
        while (line := self._take()) is not None:
            text = "" if line.oversize else self._encoding.decode(line.raw)
            if text is None or line.oversize or "\0" in text:
                yield _bad(line, _unreadable(line, text))
            elif text.strip():
                yield self._record(line, text)

    def more(self) -> bool:
        """Whether anything follows what was read."""
        line = self._take()
        if line is not None:
            self._waiting.appendleft(line)
        return line is not None

    def give_back(self, record: Record) -> None:
        """Leave a record to the next page."""
        self._waiting.appendleft(record.line)

    def _take(self) -> Line | None:
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def _record(self, first: Line, text: str) -> Record:
        used = [first]
        reader = csv.reader(self._feed(text, used), delimiter=self._delimiter, strict=True)
        try:
            cells = next(reader, [])
        except csv.Error:
            return self._give_back(used, _malformed(text, used))
        if not self._fits(cells):
            return self._give_back(used, f"{len(cells)} columns where the header has {self._width}")
        return Record(first, used[-1].end, used[-1].number + 1, tuple(cells))

    def _feed(self, text: str, used: list[Line]) -> Iterator[str]:
        """The record's lines, as long as the csv reader asks for more and the bounds allow it."""
        yield text + "\n"
        size = len(text)
        while len(used) < MAX_LINES and size <= MAX_LINE and (line := self._take()) is not None:
            used.append(line)
            more = None if line.oversize else self._encoding.decode(line.raw)
            if more is None or "\0" in more:
                return
            size += len(more)
            yield more + "\n"

    def _fits(self, cells: list[str]) -> bool:
        """As many cells as the header, or more that are all empty."""
        return len(cells) >= self._width and not any(cell.strip() for cell in cells[self._width :])

    def _give_back(self, used: list[Line], reason: str) -> Record:
        self._waiting.extendleft(reversed(used[1:]))
        return _bad(used[0], reason)


def _bad(line: Line, reason: str) -> Record:
    return Record(line, line.end, line.number + 1, reason=reason)


def _unreadable(line: Line, text: str | None) -> str:
    if line.oversize:
        return f"longer than {MAX_LINE:,} bytes"
    return "not in the file's encoding" if text is None else "holds NUL bytes"


def _malformed(text: str, used: list[Line]) -> str:
    if len(text) > MAX_CELL and len(used) == 1:
        return f"a cell is longer than {MAX_CELL:,} characters, or its quotes don't match"
    return "a quote is never closed, or stands inside a cell"


def _collect(records: Records, form: Form, limit: int) -> tuple[list[SourcedLead], list[BadRow], str]:
    """Up to `limit` rows, good and bad, and the cursor after the last."""
    leads: list[SourcedLead] = []
    bad: list[BadRow] = []
    room = Room()
    end = f"{form.offset}:{form.line}"
    for record in records:
        lead = record.reason or _lead(form.layout, record)
        if not room.takes(lead):
            records.give_back(record)
            break
        if isinstance(lead, str):
            raw = form.encoding.decode(record.line.raw) or record.line.raw.decode("latin-1")
            bad.append(BadRow(record.line.number, lead, raw))
        else:
            leads.append(lead)
        end = f"{record.end}:{record.next_line}"
        if len(leads) + len(bad) >= limit:
            break
    return leads, bad, end


def _lead(layout: Layout, record: Record) -> SourcedLead | str:
    if tuple(plain(cell) for cell in record.cells[: len(layout.names)]) == layout.names:
        return "the header again"
    return lead_of(layout, record.cells, record.line.number, Origin())
