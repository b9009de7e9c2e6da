"""A tool: a typed async function of a server that a model may call, marked as reading or writing.

The function's first parameter is the opened server; the others are the tool's arguments. Its docstring is the
tool's description, its annotations are the schema. `ghl` + `upsert_contacts` is the tool `ghl_upsert_contacts`.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from shared.precedence import first

ToolFunction = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Tool:
    """What a host is told of a function. The four hints are what MCP calls annotations."""

    function: ToolFunction
    title: str
    writes: bool
    destructive: bool
    idempotent: bool
    open_world: bool
    stops: bool
    written_outside: frozenset[str] = frozenset()  # fields of the answer that strangers write freely

    @property
    def name(self) -> str:
        """The function's own name: the server's name is put in front of it."""
        return self.function.__name__


def reads(
    title: str, *, open_world: bool = True, written_outside: Collection[str] = ()
) -> Callable[[ToolFunction], Tool]:
    """Mark a tool that changes nothing outside. `open_world`: it asks a vendor.

    `written_outside`: fields that are labelled for a model, and withheld from it in lockdown.
    """

    def mark(function: ToolFunction) -> Tool:
        return Tool(
            function,
            title,
            writes=False,
            destructive=False,
            idempotent=True,
            open_world=open_world,
            stops=False,
            written_outside=frozenset(written_outside),
        )

    return mark


def writes(
    title: str,
    *,
    destructive: bool = False,
    idempotent: bool = True,
    open_world: bool = True,
    stops: bool = False,
    written_outside: Collection[str] = (),
) -> Callable[[ToolFunction], Tool]:
    """Mark a tool that goes through the gate. `stops`: it only ever stops someone or something, and goes first."""

    def mark(function: ToolFunction) -> Tool:
        return Tool(
            first(function) if stops else function,
            title,
            writes=True,
            destructive=destructive,
            idempotent=idempotent,
            open_world=open_world,
            stops=stops,
            written_outside=frozenset(written_outside),
        )

    return mark
