"""Bad rows kept for a person: a file per import, a physical line per row, nothing a spreadsheet would run."""

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_RAW = 2_000  # characters kept of a bad row
TAIL = 16 * 1024  # bytes read back to see which row was written last; more than one row can be
MAX_NAME = 100
HEADER = ("line", "reason", "row")
RUNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be used: its line from 1, why, and its text (of its first line)."""

    line: int
    reason: str
    raw: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", self.raw[: MAX_RAW + 1])  # a megabyte of it helps nobody


def keep_bad_rows(folder: Path, name: str, identity: str, rows: Sequence[BadRow], *, first: bool) -> str:
    """Append `rows` to the import's file and return its path, "" when there is nothing to keep.

    A page that is read again, after a crash, adds nothing twice; the first page starts the file anew.
    """
    path = folder / f"{name[:MAX_NAME]}-{identity}.csv"
    if first and not rows:
        path.unlink(missing_ok=True)
    if not rows:
        return str(path) if path.exists() else ""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    last = 0 if first else _last_line(path)
    fresh = [row for row in rows if row.line > last]
    _append(path, fresh, anew=first or not path.exists())
    return str(path)


def _append(path: Path, rows: Sequence[BadRow], *, anew: bool) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
    if anew:
        writer.writerow(HEADER)
    writer.writerows((row.line, row.reason, _harmless(row.raw)) for row in rows)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if anew else os.O_APPEND) | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(text.getvalue().encode("utf-8", "replace"))


def _harmless(raw: str) -> str:
    """The row on one line, cut, without control characters, and as text even if it looks like a formula."""
    cut = raw[:MAX_RAW] + ("…" if len(raw) > MAX_RAW else "")
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in cut)
    return f"'{shown}" if raw.lstrip(" ").startswith(RUNS) else shown


def _last_line(path: Path) -> int:
    """The line number of the last row in the file, 0 when there is none."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        last = file.read().rstrip(b"\n").rsplit(b"\n", 1)[-1]
    number = last.split(b",", 1)[0].strip(b'"')
    return int(number) if number.isdigit() else 0
