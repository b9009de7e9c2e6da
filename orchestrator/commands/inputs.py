"""Files that an operator names: copied into SWARM_HOME, where whoever does the work may read them.

The tool `hunter_import_file`, which an agent may call, stays inside its folders; a person at the host's own
command line may name any regular file. The same content is copied once.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import Invalid

MOST_BYTES = 2_000_000_000
CHUNK = 1 << 20
LONGEST_NAME = 80


def take_over(home: Path, file: Path) -> Path:
    """Where the file can be read: itself if it lies in `home`, else a copy there. `Invalid` for anything else."""
    try:
        real = file.expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise Invalid(f"no such file: {file}", field="file", code="not_found") from error
    if real.is_relative_to(home.resolve()):
        return real
    return _copy(real, home / "imports")


@contextmanager
def borrowed(home: Path, file: Path) -> Iterator[Path]:
    """As `take_over`, for as long as it takes to read: our copy of people's data doesn't outlive that."""
    taken = take_over(home, file)
    try:
        yield taken
    finally:
        if taken != file.expanduser().resolve():
            taken.unlink(missing_ok=True)


def _copy(real: Path, folder: Path) -> Path:
    """Stream it, so that memory doesn't grow with it; complete or not there."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = folder / f".{os.getpid()}.partial"
    try:
        digest = _stream(_open(real), partial)
        name = re.sub(r"[^\w.\-]+", "_", real.name)[-LONGEST_NAME:]
        kept = folder / f"{digest[:16]}-{name}"
        partial.replace(kept)
    except OSError as error:
        raise Invalid(
            f"{real.name} can't be copied into {folder}", field="file", code="unreadable"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return kept


def _open(real: Path) -> int:
    """A regular file only: a pipe or a device would never end."""
    descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES:
        return descriptor
    os.close(descriptor)
    raise Invalid(f"{real.name} is no regular file of at most 2 GB", field="file", code="not_a_file")


def _stream(descriptor: int, target: Path) -> str:
    """Copy, and return the SHA-256 of what was copied."""
    whole = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as source, target.open("wb") as out:
        target.chmod(0o600)
        while chunk := source.read(CHUNK):
            whole.update(chunk)
            out.write(chunk)
    return whole.hexdigest()
