"""Disks that go wrong: a small file system of its own that fills up or turns read-only, and a database that is held."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MEGABYTES = 8
MOUNTS = sys.platform == "linux" and os.geteuid() == 0 and bool(shutil.which("mount"))
needs_mount = pytest.mark.skipif(not MOUNTS, reason="mounting a small file system needs root on Linux")


class Disk:
    """A file system of a few megabytes, in memory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Not a byte is left."""
        with (self.path / "filler").open("wb", buffering=0) as filler:
            size = 65_536
            while size:
                try:
                    filler.write(b"x" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """There is room again."""
        (self.path / "filler").unlink()

    def turn(self, how: str) -> None:
        """`ro`: nothing can be written any more, by nobody; `rw`: it can."""
        _run("mount", "-o", f"remount,{how}", str(self.path))


@contextmanager
def mounted(folder: Path) -> Iterator[Disk]:
    """A disk of its own on that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder))
    try:
        yield Disk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
