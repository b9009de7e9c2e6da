"""Files under SWARM_HOME as they concern one person: records of theirs leave a table, mentions leave other texts.

A file that isn't text (a spreadsheet, an archive, a copy of the database) can't be looked into: it is named, for a
person to look at.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.stores import GONE
from orchestrator.subject import Subject
from shared.turn import PLACES

# Ours, and watched over by others: keys, locks, the databases (cleaned by themselves), signed checkpoints.
OURS = frozenset({"keys", "checkpoints.jsonl", "spool.reserve", "KILL"})
ENDINGS = frozenset({*PLACES, ".lock", ".only", ".db", ".db-wal", ".db-shm"})
LONGEST_RECORD = 1_000  # lines: a quote that is never closed doesn't swallow a file
PROBE = 65_536


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found in the files: how many were changed, and which somebody has to look at."""

    changed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


def files(home: Path) -> Iterator[Path]:
    """Every file that may hold people."""
    for path in sorted(home.rglob("*")):
        inside = path.relative_to(home)
        ours = inside.parts[0] in OURS or (len(inside.parts) == 1 and path.suffix in ENDINGS)
        if path.is_file() and not path.is_symlink() and not ours:
            yield path


def mentioning(home: Path, subject: Subject) -> Looked:
    """Which files hold something of this person; none is changed."""
    every = list(files(home))
    named = tuple(_name(home, one) for one in every if _is_text(one) and _mentions(one, subject))
    return Looked(named, tuple(_name(home, one) for one in every if not _is_text(one)))


def erase(home: Path, subject: Subject) -> Looked:
    """Take this person out of every file and its name. Each is written anew beside itself, then takes its place."""
    _rename(home, subject)
    looked = mentioning(home, subject)
    for name in looked.changed:
        _rewrite(home / name, subject)
    return looked


def _rename(home: Path, subject: Subject) -> None:
    """A file that is named after them gets another name. With its ending, an address would be another one."""
    for path in list(files(home)):
        for name, ending in ((path.stem, path.suffix), (path.name, "")):
            if subject.pattern.search(name):
                fresh = subject.pattern.sub(f"erased-{secrets.token_hex(4)}", name)
                path.rename(path.with_name(fresh + ending))
                break


def _name(home: Path, path: Path) -> str:
    return path.relative_to(home).as_posix()


def _is_text(path: Path) -> bool:
    with path.open("rb") as file:
        return b"\0" not in file.read(PROBE)


def _mentions(path: Path, subject: Subject) -> bool:
    return any(subject.pattern.search(record) for record in _records(path))


def _rewrite(path: Path, subject: Subject) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", errors="surrogateescape", newline="") as out:
        partial.chmod(0o600)
        for record in _records(path):
            if subject.pattern.search(record):
                out.write("" if path.suffix == ".csv" else subject.pattern.sub(GONE, record))
            else:
                out.write(record)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)


def _records(path: Path) -> Iterator[str]:
    """Lines; in a table, those that an open quote joins."""
    table = path.suffix == ".csv"
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        waiting: list[str] = []
        for line in file:
            waiting.append(line)
            whole = not table or sum(one.count('"') for one in waiting) % 2 == 0
            if whole or len(waiting) > LONGEST_RECORD:
                yield from ["".join(waiting)] if whole else waiting
                waiting = []
        yield from waiting
