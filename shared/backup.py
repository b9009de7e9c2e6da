"""Copies of the database file: taken while it is in use, looked at before one is put back. SQLite only.

By SQLite's own backup, never by copying the file: half of what was committed stands in the log beside it. PostgreSQL
has its own tools (docs/RUNBOOK.md).
"""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from shared.errors import Invalid
from shared.sqlite import sqlite
from shared.turn import PLACES

BESIDE = ("", "-wal", "-shm")  # a database, and what belongs to it
STAGED = "restoring.db"
LOCKS = (*PLACES, ".lock", ".only")
MAGIC = b"SQLite format 3\x00"


def take(database: Path, target: Path) -> int:
    """Copy the database as it is at this moment into a new file, durably; returns its bytes.

    Raises `Invalid` where `target` exists or can't be written.
    """
    try:
        with _written(target) as partial:
            _copy(database, partial)
        return target.stat().st_size
    except FileExistsError as error:
        raise Invalid(f"{target} is there already", field="file") from error
    except (OSError, sqlite.Error) as error:
        raise Invalid(f"{target} can't be written", field="file") from error


def check(file: Path) -> None:
    """Raise `Invalid` unless this is a whole SQLite database."""
    try:
        with file.open("rb") as raw:
            known = raw.read(len(MAGIC)) == MAGIC
        if not known:
            raise Invalid(f"{file} is no backup of this program", field="file")
        with closing(_opened(file)) as copy:
            told = [row[0] for row in copy.execute("PRAGMA integrity_check(1)")]
    except (OSError, sqlite.Error) as error:
        raise Invalid(f"{file} can't be read as a database", field="file") from error
    if told != ["ok"]:
        raise Invalid(f"{file} is damaged; take another copy", field="file")


def stage(file: Path, beside: Path) -> Path:
    """A copy of a backup in the database's own folder, from where it can be put in place at once."""
    check(file)
    staged = beside.with_name(STAGED)
    unstage(staged)
    try:
        with _written(staged) as partial:
            _copy(file, partial)
    except (OSError, sqlite.Error) as error:
        raise Invalid(f"{file} can't be copied to {beside.parent}", field="file") from error
    return staged


def unstage(staged: Path) -> None:
    """Away with it, and with what SQLite put beside it."""
    for ending in BESIDE:
        staged.with_name(staged.name + ending).unlink(missing_ok=True)
    for ending in LOCKS:
        staged.with_suffix(ending).unlink(missing_ok=True)


def put_in_place(staged: Path, database: Path, stamp: str) -> Path:
    """Move the database aside and the staged copy to its place; returns where the old one lies now."""
    with closing(sqlite.connect(staged, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode=DELETE")  # whatever its log holds belongs into the file
    aside = database.with_name(f"{database.name}.before-{stamp}")
    for ending in reversed(BESIDE):
        one = database.with_name(database.name + ending)
        if one.exists():
            one.rename(aside.with_name(aside.name + ending))
    staged.rename(database)
    unstage(staged)
    _sync(database.parent)
    return aside


def in_use(database: Path) -> list[str]:
    """The processes that have this database open, by their ids."""
    folder = database.parent / "processes"
    return sorted(path.stem for path in folder.glob("*.lock") if _is_held(path))


def _is_held(path: Path) -> bool:
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A file beside `target` that becomes it when all went well: whole, on the disk, and over nothing."""
    if target.exists():
        raise FileExistsError(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.link(partial, target)
        _sync(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _copy(database: Path, partial: Path) -> None:
    with closing(_opened(database)) as source, closing(sqlite.connect(partial, isolation_level=None)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")


def _opened(database: Path) -> Any:
    return sqlite.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _sync(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder can't be synced, and needn't be
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
