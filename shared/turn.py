"""Whose turn it is to write: one process at a time, and whoever waited goes before whoever wrote last.

Two locks. Whoever wants to write waits holding `queue`, and lets it go on getting `writing`: a process that
writes without pause must queue behind the one that waits. SQLite's own waiting has no such order and starves
for seconds. The files stay open: opening one each time costs more than locking it. A holder's death frees both.
"""

import os
import threading
from pathlib import Path
from types import TracebackType

from filelock import lock_descriptor, unlock_descriptor

from shared.clock import SystemClock

LOOK_SECONDS = 0.000_5


class Turn:
    """`with turn:` around a write. Raises `TimeoutError` after `patience` seconds, `OSError` if files fail."""

    def __init__(self, database: Path, patience: float) -> None:
        flags = os.O_RDWR | os.O_CREAT
        self._queue = os.open(database.with_suffix(".queue"), flags, 0o600)
        self._writing = os.open(database.with_suffix(".lock"), flags, 0o600)
        self._patience = patience
        self._clock = SystemClock()
        self._pause = threading.Event()  # never set: waiting for it is a pause for a thread

    def __enter__(self) -> None:
        until = self._clock.monotonic() + self._patience
        self._take(self._queue, until)
        try:
            self._take(self._writing, until)
        finally:
            unlock_descriptor(self._queue)

    def _take(self, lock: int, until: float) -> None:
        while not lock_descriptor(lock, blocking=False):
            if self._clock.monotonic() > until:
                raise TimeoutError("another process is writing")
            self._pause.wait(LOOK_SECONDS)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        unlock_descriptor(self._writing)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._queue)
        os.close(self._writing)
