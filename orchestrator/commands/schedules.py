"""swarm schedules: what is done again and again, when it was done last, when it is due next, and what lags."""

from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console

from orchestrator.commands.terminal import AsJson, kernel, run, show, table
from orchestrator.rules import load_rules
from orchestrator.schedules import Standing, standing
from orchestrator.timetable import TIMETABLE

commands = typer.Typer()


@commands.callback()
def _group() -> None:
    """Schedules."""


@commands.command()
def schedules(as_json: AsJson = False) -> None:
    """List schedules and the worker's parts: last run, next run, lag, and what came of it.

    Rhythms are those of schedules.yaml. A worker does them; without one, everything lags.
    """

    async def work() -> list[Standing]:
        async with kernel() as opened:
            rules = load_rules(opened.settings.folder).schedules
            return await standing(opened, rules, TIMETABLE)

    found = run(work)

    def human(console: Console) -> None:
        columns = ("", "", "state", "done last", "due next", "lag", "result")
        console.print(table("Schedules", columns, [_cells(one) for one in found]))

    show([_document(one) for one in found], as_json, human)


def _document(one: Standing) -> dict[str, Any]:
    return {**asdict(one), "late": one.late}


def _cells(one: Standing) -> tuple[str, ...]:
    lag = f"{one.lag_seconds / 60:.1f} min" if one.lag_seconds else ""
    state = f"{one.state}, late" if one.late else one.state
    return one.name, one.rhythm, state, one.last_done[:16], one.next_run[:16], lag, one.message
