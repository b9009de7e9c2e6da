"""swarm sample: input to try things with."""

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.commands.terminal import AsJson, show
from orchestrator.samples import write_sample

commands = typer.Typer()


@commands.callback()
def group() -> None:
    """Sample input."""


@commands.command()
def sample(
    leads: Annotated[int, typer.Option(min=2, max=1_000_000, help="how many people, over both files")] = 100,
    folder: Annotated[Path, typer.Option(help="where to write")] = Path("sample"),
    as_json: AsJson = False,
) -> None:
    """Write a LinkedIn Connections.csv and a provider's export, full of invented people."""
    made = write_sample(folder, leads)
    files = [str(made.connections), str(made.provider)]
    human = f"{leads} invented people in {files[0]} and {files[1]}\nNext: swarm import {files[0]}"
    show({"files": files, "leads": leads}, as_json, human)
