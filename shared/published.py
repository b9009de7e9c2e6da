"""Checkpoints that were given away: appended to files, best on disks that the database's owner can't write."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from shared.errors import Fatal
from shared.telemetry import logger

log = logger("published")


def append(files: Sequence[Path], text: str) -> None:
    """Add a checkpoint to each file, durably. One that can't be written is logged, the others get it."""
    for path in files:
        try:
            _append(path, json.dumps({"note": text}) + "\n")
        except OSError as error:
            log.error("checkpoint.not_published", file=path.name, error=type(error).__name__)  # noqa: TRY400


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


def read(files: Sequence[Path]) -> dict[str, list[str]]:
    """The checkpoints by file. `Fatal` for one that is there and can't be read: it may tell of a rollback."""
    try:
        return {str(path): _notes(path) for path in files if path.exists()}
    except OSError as error:
        raise Fatal("a file of published checkpoints can't be read", code="checkpoints_unreadable") from error


def _notes(path: Path) -> list[str]:
    """The checkpoints in a file; lines that a crash cut off are left out."""
    notes = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            notes.append(str(json.loads(line)["note"]))
        except (ValueError, KeyError, TypeError):
            continue
    return notes
