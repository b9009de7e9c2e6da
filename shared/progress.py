"""How far a long call is: a tool says so, and whoever asked for it is told. Nobody asked: nothing happens."""

import contextvars
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

Told = Callable[[int, int], Awaitable[None]]
MOST = 50  # times that one call reports, however much there is to do


async def _nobody(_done: int, _of: int) -> None:
    """The default: no host asked."""


_told: contextvars.ContextVar[Told] = contextvars.ContextVar("progress", default=_nobody)


@contextmanager
def telling(told: Told) -> Iterator[None]:
    """Inside, progress goes to `told`."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


class Progress:
    """Counts what is done of `of`, and tells at most `MOST` times, and always the last."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._done = 0
        self._step = max(1, -(-of // MOST))
        self._tell = _told.get()

    async def one(self) -> None:
        """One more is done."""
        self._done += 1
        if self._done % self._step == 0 or self._done == self._of:
            await self._tell(self._done, self._of)
