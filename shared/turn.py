"""Whose turn it is to write: one process at a time, and whoever waited goes before whoever wrote last.

Locks in a row, the last of which is that of writing. Whoever has one waits for the next, and lets it go on getting
that: nobody is overtaken who has the first. So a process that writes without pause queues behind those that wait, and
of as many as there are places none is favoured, however the processor is shared out between them. SQLite's own waiting
has no such order and starves for seconds. The files stay open: opening one each time costs more than locking it. A
holder's death frees all of them.
"""

import os
import threading
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from filelock import lock_descriptor, unlock_descriptor

from shared.clock import SystemClock

LOOK_SECONDS = 0.000_5
NEXT_LOOK_SECONDS = (
    0.000_05  # of the one who is next: nobody writes until it has seen that the last one is done
)
PLACES = (".queue", ".queue2", ".queue3", ".queue4")  # from the last to the next who writes


class Turn:
    """`with turn:` around a write. Raises `TimeoutError` after `patience` seconds, `OSError` if files fail."""

    def __init__(self, database: Path, patience: float) -> None:
        flags = os.O_RDWR | os.O_CREAT
        self._row = [os.open(database.with_suffix(name), flags, 0o600) for name in (*PLACES, ".lock")]
        self._patience = patience
        self._clock = SystemClock()
        self._pause = threading.Event()  # never set: waiting for it is a pause for a thread

    def __enter__(self) -> None:
        until = self._clock.monotonic() + self._patience
        self._take(self._row[0], until, LOOK_SECONDS)
        for mine, following in pairwise(self._row):
            try:
                self._take(
                    following, until, NEXT_LOOK_SECONDS if following == self._row[-1] else LOOK_SECONDS
                )
            finally:
                unlock_descriptor(mine)

    def _take(self, lock: int, until: float, pause: float) -> None:
        while not lock_descriptor(lock, blocking=False):
            if self._clock.monotonic() > until:
                raise TimeoutError("another process is writing")
            self._pause.wait(pause)

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        unlock_descriptor(self._row[-1])

    def close(self) -> None:
        """Let go of the files."""
        for lock in self._row:
            os.close(lock)
