"""Verifies an audit log without the program that wrote it: only this file, Python and `cryptography` are needed.

    python verify_audit.py LOG --key audit.pub [--held FILE …] [--witness NAME=KEY …]

LOG is the SQLite database (best a copy made by `swarm backup`) or a file written by `swarm audit export`, which is
the way for PostgreSQL. `audit.pub` should come from whoever watches over the log, not from beside it. FILE holds
checkpoints that somebody else kept: a file that was published to, or a mail or chat message as text. Everything is
recomputed: each entry's hash, each detail's commitment, the Merkle tree (RFC 6962), each signature (Ed25519).

Exit status: 0 whole, 1 not whole, 2 wrong use.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PROGRAM = "alpha-swarm/audit"
FORMAT = "alpha-swarm/audit-export/1"
MOST = 100  # problems told in full
NOTE = re.compile(
    r"([!-~]{1,200})\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n\n((?:— [!-~]{1,200} [A-Za-z0-9+/]+={0,2}\n)+)"
)
ENTRIES = (
    "SELECT l.seq, l.hash, CAST(l.data AS BLOB), d.salt, CAST(d.subject AS BLOB), CAST(d.payload AS BLOB) "
    "FROM audit_leaf l LEFT JOIN audit_detail d ON d.seq = l.seq ORDER BY l.seq"
)
STRAY = "SELECT 1 FROM audit_detail WHERE seq < 0 OR seq > (SELECT coalesce(max(seq), -1) FROM audit_leaf) LIMIT 1"


class UnusableError(Exception):
    """What was given can't be verified at all."""


@dataclass(frozen=True)
class Entry:
    """One row of the log."""

    seq: int
    hash: bytes
    data: bytes
    salt: bytes | None
    subject: bytes
    payload: bytes

    @property
    def commitments(self) -> tuple[str, ...]:
        """What a leaf says instead of subject and payload."""
        return tuple(
            hmac.digest(self.salt or b"", text, "sha256").hex() for text in (self.subject, self.payload)
        )


@dataclass
class Log:
    """A log to be looked at: its entries can be read once, what else it says afterwards."""

    entries: Iterator[Entry]
    notes: list[str] = field(default_factory=list)
    beginnings: list[tuple[int, int, str]] = field(
        default_factory=list
    )  # number, entries kept, note given up
    head: tuple[int, bytes] | None = None  # size and root, as the log itself says
    problems: list[str] = field(default_factory=list)


def open_log(path: Path) -> Log:
    """The log in a file, whichever of the two kinds it is."""
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise UnusableError(f"{path} can't be read: {error.strerror}") from error
    return database(path) if start == b"SQLite format 3\x00" else export(path)


def database(path: Path) -> Log:
    """An SQLite database, as it is at this moment."""
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    db.execute("BEGIN")
    log = Log(
        iter(()),
        [note for (note,) in db.execute("SELECT note FROM audit_checkpoint")],
        beginnings(db),
        head(db),
    )

    def entries() -> Iterator[Entry]:
        with closing(db):
            for seq, digest, data, salt, subject, payload in db.execute(ENTRIES):
                yield Entry(seq, digest, data, salt, subject or b"", payload or b"")
            if db.execute(STRAY).fetchone():
                log.problems.append("there are details that belong to no entry")

    log.entries = entries()
    return log


def beginnings(db: sqlite3.Connection) -> list[tuple[int, int, str]]:
    """Where the log began anew, if this database knows of that."""
    known = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_beginning'").fetchone()
    return list(db.execute("SELECT number, size, held FROM audit_beginning")) if known else []


def head(db: sqlite3.Connection) -> tuple[int, bytes] | None:
    """What the database says its log's size and root are."""
    row = db.execute("SELECT size, frontier FROM audit_head").fetchone()
    if row is None:
        return None
    return row[0], joined([row[1][i : i + 32] for i in range(0, len(row[1]), 32)])


def export(path: Path) -> Log:
    """A file of JSON lines: what is said of the log, then its entries."""
    log = Log(iter(()))
    file = path.open("rb")
    record = strict(file.readline())
    if record.get("format") != FORMAT:
        raise UnusableError("this is neither an SQLite database nor an export of this program's log")
    while record.get("type") in {"log", "beginning", "checkpoint"}:
        note_down(log, record)
        record = strict(file.readline())

    def entries(record: dict) -> Iterator[Entry]:
        count = 0
        with file:
            while record.get("type") == "entry":
                yield exported(record)
                count += 1
                record = strict(file.readline())
            if (record.get("type"), record.get("entries")) != ("end", count) or file.read(1):
                log.problems.append("this export was cut off, or something in it is no entry")

    log.entries = entries(record)
    return log


def exported(record: dict) -> Entry:
    """An entry from its line."""
    try:
        salt = None if record["salt"] is None else bytes.fromhex(record["salt"])
        texts = [(record[name] or "").encode() for name in ("data", "subject", "payload")]
        return Entry(record["seq"], bytes.fromhex(record["hash"]), texts[0], salt, texts[1], texts[2])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnusableError("a line of this export is no entry") from error


def note_down(log: Log, record: dict) -> None:
    """A line that is no entry."""
    try:
        if record["type"] == "log":
            log.head = int(record["size"]), bytes.fromhex(record["root"])
        elif record["type"] == "checkpoint":
            log.notes.append(str(record["note"]))
        else:
            log.beginnings.append((int(record["number"]), int(record["size"]), str(record["held"])))
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableError("the beginning of this export can't be read") from error


def strict(data: bytes) -> dict:
    """JSON in which no key stands twice, as an object; empty if it is anything else."""

    def once(pairs: list[tuple[str, object]]) -> dict:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key twice")
        return found

    try:
        found = json.loads(data, object_pairs_hook=once, parse_constant=int)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def joined(hashes: list[bytes]) -> bytes:
    """The root over complete subtrees, largest first."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = hashlib.sha256(b"\x01" + left + root).digest()
    return root


def grow(hashes: list[bytes], size: int, leaf: bytes) -> None:
    """Add leaf number `size`."""
    while size & 1:
        leaf = hashlib.sha256(b"\x01" + hashes.pop() + leaf).digest()
        size >>= 1
    hashes.append(leaf)


@dataclass(frozen=True)
class Checkpoint:
    """One whose signature was checked."""

    beginning: int
    size: int
    root: bytes
    where: str
    cosigned: tuple[str, ...] = ()


def read_note(text: str, public: bytes, where: str, witnesses: dict[str, bytes]) -> Checkpoint:
    """The checkpoint in `text`; `ValueError` unless it is of the log with that key, and signed with it."""
    found = NOTE.fullmatch(text)
    if found is None:
        raise ValueError("it isn't one")
    origin, size, root, signed = found.groups()
    own = f"{PROGRAM}/{hashlib.sha256(public).hexdigest()[:16]}"
    again = re.fullmatch(re.escape(own) + r"(?:/([2-9]|[1-9][0-9]{1,5}))?", origin)
    if again is None:
        raise ValueError("it is of another log")
    body = f"{origin}\n{size}\n{root}\n".encode()
    lines = [line.split(" ")[1:] for line in signed.splitlines()]
    raws = [base64.b64decode(raw)[4:] for name, raw in lines if name == origin]
    if not any(verifies(public, raw, body) for raw in raws):
        raise ValueError("the signature doesn't match")
    names = cosigners(lines, body, witnesses)
    return Checkpoint(int(again[1] or 1), int(size), base64.b64decode(root), where, names)


def cosigners(lines: list[list[str]], body: bytes, witnesses: dict[str, bytes]) -> tuple[str, ...]:
    """The witnesses that put their name under it."""
    found = []
    for name, line in lines:
        raw = base64.b64decode(line)[4:]
        stated = f"cosignature/v1\ntime {int.from_bytes(raw[:8], 'big')}\n".encode() + body
        if name in witnesses and verifies(witnesses[name], raw[8:], stated):
            found.append(name)
    return tuple(found)


def verifies(public: bytes, raw: bytes, signed: bytes) -> bool:
    """Whether this is that key's signature."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, signed)
    except InvalidSignature:
        return False
    return True


def notes_in(text: str) -> Iterator[str]:
    """Every checkpoint in a text: JSON lines with a `note`, or checkpoints as they are."""
    for line in text.splitlines():
        if line.startswith("{") and isinstance(note := strict(line.encode()).get("note"), str):
            yield note
    plain = "\n".join(line.strip() for line in text.splitlines() if not line.startswith("{")) + "\n"
    yield from (found.group() for found in NOTE.finditer(plain) if found[1].startswith(PROGRAM))


class Pass:
    """One pass over a log."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.edge: list[bytes] = []
        self.size = 0
        self.erased = 0
        self.roots: dict[int, bytes] = {}
        self.restored: list[int] = []  # entries that say the log began anew

    def run(self, sizes: set[int]) -> None:
        """Recompute everything; keeps the roots at these sizes."""
        for entry in self.log.entries:
            if entry.seq != self.size:
                self.log.problems.append(f"entry {self.size} is missing, stands twice or is out of order")
                return
            self.look_at(entry)
            grow(self.edge, self.size, entry.hash)
            self.size += 1
            if self.size in sizes:
                self.roots[self.size] = joined(self.edge)

    def look_at(self, entry: Entry) -> None:
        """Hash, place, spelling and commitments of one entry."""
        leaf = strict(entry.data)
        spelled = json.dumps(leaf, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if hashlib.sha256(b"\x00" + entry.data).digest() != entry.hash:
            self.tell(f"entry {entry.seq} was changed")
        elif leaf.get("seq") != entry.seq or spelled.encode("utf-8", "replace") != entry.data:
            self.tell(f"entry {entry.seq} says that it is another one")
        elif entry.salt is None:
            self.erased += 1
        elif entry.commitments != (leaf.get("subject"), leaf.get("payload")):
            self.tell(f"the detail of entry {entry.seq} was changed")
        if leaf.get("kind") == "log.restored":
            self.restored.append(entry.seq)

    def tell(self, problem: str) -> None:
        """Remember a problem, up to a point."""
        if len(self.log.problems) < MOST:
            self.log.problems.append(problem)


def judge(seen: Pass, claims: Iterable[Checkpoint]) -> list[str]:
    """What checkpoints say against the log as it is."""
    log, problems = seen.log, []
    if sorted(size for _, size, _ in log.beginnings) != seen.restored:
        problems.append("what the log says of having been restored doesn't match its entries")
    given_up = {number - 1: (size, held) for number, size, held in log.beginnings}
    for claim in claims:
        kept, held = given_up.get(claim.beginning, (None, ""))
        covered = int(held.split("\n")[1]) if held else 0
        if kept is not None and kept < claim.size <= covered:
            continue  # lost when an older copy was restored, and acknowledged by a named person
        if claim.size > seen.size:
            problems.append(f"{claim.where} covers {claim.size} entries, {seen.size} are here")
        elif claim.size and seen.roots.get(claim.size) != claim.root:
            problems.append(f"the checkpoint over {claim.size} entries in {claim.where} doesn't match")
    if log.head not in {None, (seen.size, joined(seen.edge))} or (log.head is None and seen.size):
        problems.append("the log's own head doesn't match its entries")
    return problems


def main(arguments: list[str] | None = None) -> int:
    """Verify, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("log", type=Path, help="swarm.db, or a file written by swarm audit export")
    parser.add_argument(
        "--key", required=True, help="the log's public key: 64 hex digits, or a file with them"
    )
    parser.add_argument("--held", type=Path, action="append", default=[], help="checkpoints that others keep")
    parser.add_argument("--witness", action="append", default=[], help="NAME=KEY of a witness")
    given = parser.parse_args(arguments)
    try:
        witnesses = {name: key_in(key) for name, _, key in (one.partition("=") for one in given.witness)}
        return verify(open_log(given.log), key_in(given.key), given.held, witnesses)
    except (UnusableError, OSError, sqlite3.Error) as error:
        print(f"can't be verified: {error}", file=sys.stderr)
        return 2


def key_in(text: str) -> bytes:
    """A public key, from hex digits or from a file."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        text = Path(text).read_text(encoding="ascii")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text.strip()):
        raise UnusableError("a key has 64 hex digits")
    return bytes.fromhex(text.strip())


def verify(log: Log, public: bytes, held: list[Path], witnesses: dict[str, bytes]) -> int:
    """Look at all of it and say what was found."""
    outside = [(path.name, note) for path in held for note in notes_in(path.read_text("utf-8", "replace"))]
    claims = checked(log, outside, public, witnesses)
    own = checked(log, [("the log itself", note) for note in log.notes], public, witnesses)
    seen = Pass(log)
    seen.run({claim.size for claim in (*claims, *own)})
    problems = [*log.problems, *judge(seen, (*claims, *own))]
    tell(seen, claims, own, problems)
    return int(bool(problems))


def checked(
    log: Log, notes: Iterable[tuple[str, str]], public: bytes, witnesses: dict[str, bytes]
) -> list[Checkpoint]:
    """Those of the notes that can be trusted; the others are problems of the log."""
    found = []
    for where, note in notes:
        try:
            found.append(read_note(note, public, where, witnesses))
        except ValueError as error:
            log.problems.append(f"a checkpoint in {where} can't be trusted: {error}")
    return found


def tell(seen: Pass, claims: list[Checkpoint], own: list[Checkpoint], problems: list[str]) -> None:
    """Print it."""
    print(f"{seen.size} entries, root {joined(seen.edge).hex()}")
    print(f"{len(own)} checkpoints in the log, {len(claims)} held elsewhere, {seen.erased} details erased")
    for number, size, _ in seen.log.beginnings:
        print(f"an older copy was restored: beginning {number} goes on from entry {size}")
    for name in sorted({name for claim in (*claims, *own) for name in claim.cosigned}):
        size = max(claim.size for claim in (*claims, *own) if name in claim.cosigned)
        print(f"witness {name} put its name under {size} entries")
    newest = max((claim.size for claim in claims), default=0)
    print(
        f"{max(0, seen.size - newest)} entries at the end could be cut off without a held checkpoint telling"
    )
    for problem in problems[:MOST]:
        print(f"PROBLEM: {problem}")
    print("NOT WHOLE" if problems else "WHOLE")


if __name__ == "__main__":
    sys.exit(main())
