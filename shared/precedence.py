"""What stops somebody goes first: a mark on everything that is done for it, its reads included."""

import contextvars
import functools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

_first: contextvars.ContextVar[bool] = contextvars.ContextVar("goes_first", default=False)


def goes_first() -> bool:
    """Whether what is done now stops somebody."""
    return _first.get()


@contextmanager
def going_first(first: bool = True) -> Iterator[None]:
    """Everything inside goes before ordinary calls; what does so already, goes on to."""
    token = _first.set(first or _first.get())
    try:
        yield
    finally:
        _first.reset(token)


def first(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The same function, going first."""

    @functools.wraps(function)
    async def marked(*args: Any, **named: Any) -> Any:
        with going_first():
            return await function(*args, **named)

    return marked
