"""swarm metrics: the numbers that `/metrics` shows, for a person or as JSON."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer
from rich.console import Console

from orchestrator.commands.terminal import AsJson, kernel, run, show, table
from shared.metrics import as_json as document
from shared.metrics import measure

commands = typer.Typer()


@commands.callback()
def _group() -> None:
    """Numbers."""


@commands.command()
def metrics(as_json: AsJson = False) -> None:
    """Count everything: what was sent and came back, what waits and for how long, what is in doubt."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            return document(await measure(opened))

    found = run(work)
    rows = [(name, _plain(value)) for name, value in _flat("", found)]

    def human(console: Console) -> None:
        console.print(table("Metrics", ("", ""), rows))

    show(found, as_json, human)


def _flat(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Each number with the path that leads to it."""
    for name, value in values.items():
        path = f"{prefix} {name.replace('_', ' ')}".strip().removeprefix("standing ")
        if isinstance(value, Mapping):
            yield from _flat(path, value)
        else:
            yield path, value


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
