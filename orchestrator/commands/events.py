"""swarm events: every domain event in the order it happened."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from orchestrator.commands.terminal import AsJson, kernel, run, show, table
from orchestrator.happenings import KINDS, Happening, happenings
from shared.clock import iso
from shared.errors import Invalid

commands = typer.Typer()


@commands.callback()
def _group() -> None:
    """Events."""


@commands.command()
def events(
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only these; may be given several times.")
    ] = None,
    hours: Annotated[float, typer.Option("--hours", min=0, help="Of the last so many hours.")] = 24,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000)] = 100,
    as_json: AsJson = False,
) -> None:
    """List what happened to leads, runs, campaigns, handoffs and people, the oldest first; people go by our id."""
    wanted = kind or []
    if unknown := [one for one in wanted if one not in KINDS]:
        raise Invalid(f"there is no kind {unknown[0]}; there are {', '.join(KINDS)}", field="kind")

    async def work() -> list[Happening]:
        async with kernel() as opened:
            now = opened.clock.now()
            since = iso(now - timedelta(hours=hours))
            return await opened.store.read(
                lambda c: happenings(c, since, iso(now), kinds=wanted, limit=limit)
            )

    found = run(work)

    def human(console: Console) -> None:
        cells = [(one.at[:19], one.kind, one.subject, one.lead_id, one.detail) for one in found]
        console.print(table(f"{len(found)} events", ("at (UTC)", "kind", "about", "lead", ""), cells))

    show([asdict(one) for one in found], as_json, human)
