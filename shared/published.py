"""Checkpoints that were given away: appended to files, best on disks that the database's owner can't write."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import Fatal
from shared.settings import Settings
from shared.telemetry import logger

log = logger("published")
END_BYTES = 8_192  # of a file, where its newest checkpoints are
LATELY_BYTES = 262_144  # some hundred checkpoints: processes append theirs a little out of order
SIZE = re.compile(r"[^\n]*\n([0-9]{1,18})\n")  # a checkpoint's second line


@dataclass(frozen=True, slots=True)
class Files:
    """The file beside the data, and those that somebody else owns."""

    beside: Path
    outside: tuple[Path, ...] = ()

    @property
    def all(self) -> tuple[Path, ...]:
        """Every one of them."""
        return (self.beside, *self.outside)

    def append(self, text: str) -> dict[Path, str]:
        """Add a checkpoint to each. The kind of error by file, "" where it was taken."""
        return append(self.all, text)

    def read(self) -> dict[str, list[str]]:
        """The checkpoints by file."""
        return read(self.all)

    def read_ends(self) -> dict[str, list[str]]:
        """The newest checkpoints by file: for every start, which mustn't grow with the log."""
        return read(self.all, most=LATELY_BYTES)


def files_of(settings: Settings) -> Files:
    """The files that the configuration names."""
    outside = tuple(Path(name).expanduser() for name in settings.safety.checkpoints.publish_to)
    return Files(settings.home / "checkpoints.jsonl", outside)


def short(path: Path) -> str:
    """A file's name for people: with its folder, and without where that is."""
    return f"{path.parent.name}/{path.name}"


def append(files: Sequence[Path], text: str) -> dict[Path, str]:
    """Add a checkpoint to each file, durably. One that can't be written is logged and told, the others get it."""
    problems = dict.fromkeys(files, "")
    for path in files:
        try:
            _append(path, json.dumps({"note": text}) + "\n")
        except OSError as error:
            problems[path] = type(error).__name__
            log.error("checkpoint.not_published", file=path.name, error=type(error).__name__)  # noqa: TRY400 - no trace: which file and what kind is all
    return problems


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        file.seek(0, os.SEEK_END)
        if file.tell():
            file.seek(-1, os.SEEK_END)
            # A line that a crash cut off must not swallow this one.
            line = line if file.read(1) == b"\n" else "\n" + line
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def covered(path: Path) -> int:
    """How many entries the newest checkpoints in a file cover, as they say themselves; 0 if it can't be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - END_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return 0
    sizes = [SIZE.match(text) for text in _read_lines(lines)]
    return max((int(found[1]) for found in sizes if found), default=0)


def read(files: Sequence[Path], most: int = 0) -> dict[str, list[str]]:
    """The checkpoints by file, of its last `most` bytes if not 0.

    `Fatal` for one that is there and can't be read: it may tell of a rollback.
    """
    try:
        return {str(path): _notes(path, most) for path in files if path.exists()}
    except OSError as error:
        raise Fatal("a file of published checkpoints can't be read", code="checkpoints_unreadable") from error


def _notes(path: Path, most: int) -> list[str]:
    with path.open("rb") as file:
        if most:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return lines_of(file.read().decode("utf-8", "replace"))


def lines_of(text: str) -> list[str]:
    """The checkpoints in the text of such a file; lines that a crash cut off are left out."""
    return _read_lines(text.splitlines())


def _read_lines(lines: Sequence[str]) -> list[str]:
    notes = []
    for line in lines:
        try:
            notes.append(str(json.loads(line)["note"]))
        except (ValueError, KeyError, TypeError):
            continue
    return notes
