"""Lines of a do-not-contact list that comes in, whatever made it: plain, CSV, or our own export.

    jane@corp.com                       an address or a domain; what else stands on the line is not looked at
    E-mail;Reason;Date                  a header names columns, in many tools' words
    kind,hash,reason,source,at          our own export: keyed hashes, after a line that proves they are of our key

Pure: what to do with a line is decided here, and nothing is done. A line is one row: a quote that is never closed
costs its own line and not the file.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.clock import iso, parse
from shared.errors import Invalid
from shared.suppression import HASH_BYTES, KINDS, PROOF, Listed

LONGEST_LINE = 4_000  # characters
LONGEST_TEXT = 500  # of a reason or a source
HEADER = ("kind", "hash", "reason", "source", "at")
COLUMNS: Mapping[str, frozenset[str]] = {
    "target": frozenset(
        {
            "email",
            "emailaddress",
            "mail",
            "address",
            "contact",
            "recipient",
            "lead",
            "leademail",
            "value",
            "entry",
        }
        | {
            "domain",
            "domains",
            "emails",
            "bl_value",
            "blvalue",
            "unsubscribed",
            "emailid",
            "contactemail",
            "to",
        }
    ),
    "reason": frozenset({"reason", "type", "status", "cause", "note", "unsubscribereason"}),
    "source": frozenset({"source", "origin", "list", "campaign"}),
    "at": frozenset(
        {"at", "date", "createdat", "timestamp", "unsubscribedat", "timestampcreated", "since", "optoutdate"}
    ),
}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\0")
HEX = re.compile(rf"[0-9a-f]{{{HASH_BYTES * 2}}}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that can't be taken, and why."""

    line: int
    why: str
    text: str


@dataclass(slots=True)
class Reading:
    """What is known of the file so far: its columns, and whether its hashes are ours."""

    reason: str
    source: str
    now: datetime
    proof: bytes
    keys_for: Callable[[str], tuple[bytes, ...]]
    delimiter: str = ","
    columns: Mapping[str, int] | None = None  # None before the first line that says something
    hashed: bool = False
    proven: bool = False

    def row(self, number: int, line: str) -> Listed | Problem | None:
        """What a line says; None for one that says nothing: empty, a comment, a header."""
        if not line.strip() or (line.lstrip().startswith("#") and "@" not in line):
            return None
        if len(line) > LONGEST_LINE:
            return Problem(number, "the line is too long", line[:LONGEST_LINE])
        cells = self._cells(line)
        if self.columns is None:
            self._begin(line)
            cells = self._cells(line)
            if self._is_header(cells):
                return None
        try:
            return self._hash(cells) if self.hashed else self._target(cells)
        except Invalid as error:
            return Problem(number, error.message, line)

    # ── the beginning ────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, line: str) -> None:
        self.delimiter = max(",;\t|", key=line.count) if any(mark in line for mark in ",;\t|") else ","
        self.columns = {}

    def _is_header(self, cells: Sequence[str]) -> bool:
        names = [re.sub(r"[^a-z_]", "", cell.casefold().replace("-", "")) for cell in cells]
        if tuple(names[: len(HEADER)]) == HEADER:
            self.hashed, self.columns = True, {name: n for n, name in enumerate(HEADER)}
            return True
        found = {
            what: n
            for what, known in COLUMNS.items()
            for n, name in reversed([*enumerate(names)])
            if name in known
        }
        if "target" in found and not any("@" in cell for cell in cells):
            self.columns = found
            return True
        return False

    def _cells(self, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self.delimiter), [])
        except csv.Error:
            return [line]

    # ── the rest ─────────────────────────────────────────────────────────────────────────────────────────
    def _cell(self, cells: Sequence[str], name: str, otherwise: str = "") -> str:
        at = (self.columns or {}).get(name)
        text = cells[at] if at is not None and at < len(cells) else ""
        return " ".join(text.split())[:LONGEST_TEXT] or otherwise

    def _target(self, cells: Sequence[str]) -> Listed:
        """An address or a domain: in its column, else in the first cell that is one."""
        named = self._cell(cells, "target")
        candidates = [named] if named else ([] if "target" in (self.columns or {}) else self._likely(cells))
        if not candidates:
            raise Invalid("there is no e-mail address or domain in it")
        keys = self.keys_for(candidates[0])
        return Listed(
            keys,
            self._cell(cells, "reason", self.reason),
            self._cell(cells, "source", self.source),
            self._at(cells),
            candidates[0],
        )

    @staticmethod
    def _likely(cells: Sequence[str]) -> list[str]:
        filled = [cell.strip() for cell in cells if cell.strip()]
        return [cell for cell in filled if "@" in cell] or filled[:1]

    def _hash(self, cells: Sequence[str]) -> Listed | None:
        """A keyed hash, once the file has proven that it was made with our key."""
        kind, digest = KINDS.get(self._cell(cells, "kind").casefold()), self._cell(cells, "hash").casefold()
        if kind is None or not HEX.fullmatch(digest):
            raise Invalid("it is no entry of an export")
        key = kind + bytes.fromhex(digest)
        if kind == PROOF:
            self.proven = key == self.proof
            return None
        if not self.proven:
            raise Invalid("this export was made with another key, so its entries match nobody here")
        reason = plain(self._cell(cells, "reason", self.reason))
        return Listed((key,), reason, plain(self._cell(cells, "source", self.source)), self._at(cells))

    def _at(self, cells: Sequence[str]) -> str:
        """When they asked, as far as it can be read and isn't ahead of us."""
        text = self._cell(cells, "at")
        try:
            at = parse(text)
        except ValueError:
            at = _day(text) or self.now
        return iso(min(at, self.now))


def _day(text: str) -> datetime | None:
    """A date, or a time without a zone, at the start of a text."""
    try:
        return datetime.fromisoformat(text[:19].strip()).replace(tzinfo=UTC)
    except ValueError:
        return None


def safe(text: str) -> str:
    """For a cell: a spreadsheet must not take it for a formula (ASVS 1.2.10)."""
    return f"'{text}" if text.startswith(FORMULA) else text


def plain(text: str) -> str:
    """The reverse of `safe`."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text
