"""Do-not-contact lists in and out: line by line, so that memory doesn't grow with them.

file ─ lines ─ rows ─ a thousand at a time ─▶ on the list, with one entry in the audit log
                    └ what can't be taken ──▶ the quarantine file, with line and reason; the rest goes on
list ─ pages ─▶ CSV: keyed hashes with reason, source and time; the first row proves the key they were made with

Taking the same file in twice changes nothing. Afterwards whoever is on the list is taken out of running campaigns, and
the vendors are told (`owing.py`); of a list of hashes only the CRM is, since nobody can read an address out of it.
"""

import codecs
import csv
import hashlib
import io
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import stops, syncing, walks
from orchestrator.list_rows import HEADER, LONGEST_LINE, Problem, Reading, safe
from shared.kernel import Kernel
from shared.owed import note_in
from shared.schema import suppression as table
from shared.suppression import KINDS, PROOF, Listed

AT_ONCE = 1_000  # rows in one transaction
PAGE = 5_000  # entries of an export read together
SHOWN = 20  # problems told
MOST_KEPT = 1_000_000  # lines in a quarantine file
NAMES = {kind: name for name, kind in KINDS.items()}
BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(slots=True)
class Taken:
    """How an import went. `problems`: the first of them."""

    lines: int = 0
    new: int = 0
    known: int = 0
    bad: int = 0
    stopped: int = 0  # people who ran in a campaign
    quarantine_file: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of entries that say nothing themselves, and who takes them in."""

    reason: str
    source: str
    actor: str


Progress = Callable[[int], None]  # bytes read so far


# ── in ───────────────────────────────────────────────────────────────────────────────────────────────────
async def take_in(
    kernel: Kernel, file: BinaryIO, name: str, said: Said, progress: Progress | None = None
) -> Taken:
    """Put everybody in the file on the list. Raises what reading it or the database raises; what is done stays."""
    taken, quarantine = Taken(), Quarantine(kernel.settings.home / "quarantine", name)
    suppression = kernel.suppression
    reading = Reading(said.reason, said.source, kernel.clock.now(), suppression.proof, suppression.keys_for)
    rows = _rows(lines(file), reading)
    try:
        while batch := await anyio.to_thread.run_sync(_next, rows):
            await _keep(kernel, batch, taken, quarantine, name, said.actor)
            if progress is not None:
                progress(file.tell())
    finally:
        quarantine.close()
    taken.quarantine_file = str(quarantine.path) if taken.bad else ""
    taken.stopped = await stops.sweep(kernel)
    return taken


def _rows(numbered: Iterable[tuple[int, str | None]], reading: Reading) -> Iterator[Listed | Problem]:
    for number, line in numbered:
        row = Problem(number, "it is no text", "") if line is None else reading.row(number, line)
        if row is not None:
            yield row


def _next(rows: Iterator[Listed | Problem]) -> list[Listed | Problem]:
    return [row for _, row in zip(range(AT_ONCE), rows, strict=False)]


async def _keep(
    kernel: Kernel,
    batch: list[Listed | Problem],
    taken: Taken,
    quarantine: "Quarantine",
    name: str,
    actor: str,
) -> None:
    good = [row for row in batch if isinstance(row, Listed)]
    bad = [row for row in batch if isinstance(row, Problem)]
    new = await kernel.store.write(lambda c: _list(kernel, c, good, name, actor))
    if bad:
        await anyio.to_thread.run_sync(quarantine.write, bad)
    taken.lines += len(batch)
    taken.new, taken.known, taken.bad = taken.new + new, taken.known + len(good) - new, taken.bad + len(bad)
    taken.problems += [f"line {one.line}: {one.why}" for one in bad][: SHOWN - len(taken.problems)]


def _list(kernel: Kernel, connection: sa.Connection, good: list[Listed], name: str, actor: str) -> int:
    """In one transaction: on our list, and owed to the sequencer's block list; the CRM's contacts are gone through."""
    new = kernel.suppression.lacking(connection, [one.target for one in good if one.target])
    note_in(connection, "sequencer", new, f"imported: {name}"[:200], kernel.clock.now())
    if good:
        walks.anew_in(connection, syncing.CONTACTS)
    return kernel.suppression.add_many_in(connection, good, about=name, actor=actor)


def lines(file: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Numbered lines, None for one that is no text. What a line has beyond its cap is passed over."""
    start = file.read(4)
    encoding, skip = next(((name, len(bom)) for bom, name in BOMS if start.startswith(bom)), ("", 0))
    file.seek(skip)
    if encoding.startswith("utf-16"):
        yield from enumerate(_wide(file, encoding), 1)
        return
    for number, raw in enumerate(_capped(file), 1):
        yield number, _decoded(raw)


def _capped(file: BinaryIO) -> Iterator[bytes]:
    """Lines, or the beginning of one that is too long: the rest of it is passed over."""
    most = LONGEST_LINE * 4 + 1
    while raw := file.readline(most):
        yield raw.rstrip(b"\r\n")
        while len(raw) == most and not raw.endswith(b"\n"):
            raw = file.readline(most)


def _decoded(raw: bytes) -> str | None:
    """UTF-8; else the encoding of Western spreadsheets. A NUL says that it is neither."""
    if b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _wide(file: BinaryIO, encoding: str) -> Iterator[str | None]:
    text = io.TextIOWrapper(
        io.BufferedReader(_Unclosed(file)), encoding=encoding, errors="replace", newline=None
    )
    while line := text.readline(LONGEST_LINE + 2):
        yield line.rstrip("\n")
        while len(line) == LONGEST_LINE + 2 and not line.endswith("\n"):
            line = text.readline(LONGEST_LINE + 2)


class _Unclosed(io.RawIOBase):
    """The file for a decoder, which must not close it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: "memoryview[int]") -> int:  # type: ignore[override]  # io's own is wider
        """Fill the buffer."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Quarantine:
    """The file of lines that couldn't be taken; made with the first of them, for the owner's eyes only."""

    def __init__(self, folder: Path, name: str) -> None:
        tail = hashlib.sha256(os.urandom(16)).hexdigest()[:8]
        self.path = folder / f"suppression-{Path(name).stem[:60]}-{tail}.csv"
        self._out: io.TextIOWrapper | None = None
        self._count = 0

    def write(self, problems: Iterable[Problem]) -> None:
        """Add lines with their number and what is wrong."""
        if self._out is None:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._out = os.fdopen(descriptor, "w", encoding="utf-8", newline="")
            csv.writer(self._out).writerow(("line", "problem", "text"))
        for one in problems:
            self._count += 1
            if self._count <= MOST_KEPT:
                csv.writer(self._out).writerow((one.line, one.why, safe(one.text)))

    def close(self) -> None:
        """Done."""
        if self._out is not None:
            self._out.close()


# ── out ──────────────────────────────────────────────────────────────────────────────────────────────────
async def export(kernel: Kernel) -> AsyncIterator[tuple[int, str]]:
    """The list as CSV, in parts with the number of their entries. The proof of the key comes first."""
    head = _line(HEADER) + _line(
        (NAMES[PROOF], kernel.suppression.proof[1:].hex(), "proof of the key", "kernel", "")
    )
    yield 0, head
    after = b""
    while rows := await kernel.store.read(lambda c, after=after: _page(c, after)):  # type: ignore[misc]  # mypy can't infer it
        yield len(rows), "".join(_line(_cells(row)) for row in rows)
        after = bytes(rows[-1].key)


def _page(connection: sa.Connection, after: bytes) -> list[sa.Row[tuple[bytes, str, str, str]]]:
    columns = (table.c.key, table.c.reason, table.c.source, table.c.at)
    beyond = (table.c.key > after, table.c.lifted_at == "", sa.func.substr(table.c.key, 1, 1) != PROOF)
    return list(connection.execute(sa.select(*columns).where(*beyond).order_by(table.c.key).limit(PAGE)))


def _cells(row: sa.Row[tuple[bytes, str, str, str]]) -> tuple[str, ...]:
    key = bytes(row.key)
    return (NAMES[key[:1]], key[1:].hex(), safe(row.reason), safe(row.source), row.at)


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()
