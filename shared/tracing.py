"""Traces: what took how long inside of what. They go where `collector.py` says, else nowhere.

    tool call ─ run step ─ effect ─ call to a vendor

Nobody is in a span: its name and attributes are our own words, kinds, states and numbers.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

Attributes = Mapping[str, str | int | float | bool]
Tell = Callable[[Attributes], None]
Kind = Literal["internal", "server", "client"]


class Tracing:
    """Spans that nobody asked for: they cost next to nothing and go nowhere."""

    @contextmanager
    def span(self, _name: str, _attributes: Attributes, kind: Kind = "internal") -> Iterator[Tell]:  # noqa: ARG002 - for who exports
        """What is done inside. What becomes known of it meanwhile is told to what this gives."""
        yield _nobody


def _nobody(_: Attributes) -> None:
    """Nobody listens."""


NOWHERE = Tracing()
