"""A file's encoding, line ends and delimiter, and its physical lines one at a time, never the file whole."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 64 * 1024  # bytes read at once; even, so that UTF-16 stays aligned
SAMPLE = 256 * 1024  # bytes looked at to tell encoding and line ends
MAX_LINE = 1_000_000  # bytes of one line, and of one record
DELIMITERS = (",", ";", "\t", "|")
BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """How bytes become text: encoding, the bytes that end a line, and the length of the byte-order mark."""

    name: str
    newline: bytes
    bom: int = 0
    fallback: str = ""  # for lines that aren't UTF-8 where nothing so far was

    @property
    def width(self) -> int:
        """Bytes of a line end; what line ends are aligned to."""
        return len(self.newline)

    def decode(self, raw: bytes) -> str | None:
        """A line's text without its end, or None when it isn't in this encoding."""
        for name in (self.name, self.fallback):
            try:
                return raw.decode(name).rstrip("\r") if name else None
            except UnicodeDecodeError:
                continue
        return None


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line: where it and the next one begin, its number from 1, its bytes without the end."""

    offset: int
    end: int
    number: int
    raw: bytes
    oversize: bool = False  # `raw` is only the beginning


def detect(sample: bytes) -> Encoding:
    """Encoding and line ends from the first bytes: a byte-order mark, else the look of the bytes."""
    for mark, name in BOMS:
        if sample.startswith(mark):
            return Encoding(name, _newline(sample, name), len(mark))
    wide = _wide(sample)
    if wide:
        return Encoding(wide, _newline(sample, wide))
    name, fallback = _narrow(sample)
    return Encoding(name, _newline(sample, name), fallback=fallback)


def _wide(sample: bytes) -> str:
    """UTF-16 without a mark: mostly Latin text has a zero in every second byte."""
    head = sample[:1024]
    if len(head) < 8 or len(head) % 2:
        head = head[: len(head) - len(head) % 2]
    half = len(head) // 2 or 1
    if head[1::2].count(0) > half * 0.6 and head[::2].count(0) < half * 0.1:
        return "utf-16-le"
    if head[::2].count(0) > half * 0.6 and head[1::2].count(0) < half * 0.1:
        return "utf-16-be"
    return ""


def _narrow(sample: bytes) -> tuple[str, str]:
    """UTF-8 or Windows-1252, by majority of the lines that are not plain ASCII; with none, both are tried."""
    lines = [line for line in sample.split(b"\n") if not line.isascii()]
    if not lines:
        return "utf-8", "cp1252"
    good = sum(_is_utf8(line) for line in lines)
    return ("utf-8", "") if good * 2 >= len(lines) else ("cp1252", "")


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _newline(sample: bytes, name: str) -> bytes:
    """A line feed, or a lone carriage return in files that have no line feed at all."""
    feed, back = "\n".encode(name), "\r".encode(name)
    return back if feed not in sample and back in sample else feed


class Lines:
    """The lines of an open file from a byte offset on; a line beyond `MAX_LINE` is cut, its rest skipped."""

    def __init__(self, file: BinaryIO, encoding: Encoding, offset: int, number: int) -> None:
        file.seek(offset)
        self._file = file
        self._encoding = encoding
        self._buffer = b""
        self._base = offset  # of the buffer's first byte
        self._at = 0
        self._number = number

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        start = self._base + self._at
        kept, length = b"", 0
        while (end := self._find()) < 0:
            rest = self._buffer[self._at :]
            length += len(rest)
            kept += rest if len(kept) <= MAX_LINE else b""
            if not self._refill():
                if not length:
                    raise StopIteration
                return self._line(start, kept, length)
        piece = self._buffer[self._at : end]
        self._at = end + self._encoding.width
        return self._line(start, kept + piece, length + len(piece))

    def _line(self, start: int, kept: bytes, length: int) -> Line:
        number = self._number
        self._number += 1
        oversize = length > MAX_LINE
        return Line(start, self._base + self._at, number, kept[:MAX_LINE], oversize)

    def _find(self) -> int:
        """Where the next line end is in the buffer, aligned; -1 when it isn't there."""
        newline = self._encoding.newline
        at = self._buffer.find(newline, self._at)
        while at >= 0 and at % len(newline):
            at = self._buffer.find(newline, at + 1)
        return at

    def _refill(self) -> bool:
        self._base += len(self._buffer)
        self._buffer = self._file.read(CHUNK)
        self._at = 0
        return bool(self._buffer)


def cells_of(text: str, delimiter: str) -> list[str]:
    """One line's cells; a line that isn't whole by itself has none."""
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
