"""swarm backup · restore · recover · migrate: a copy of the database, putting one back, and its schema's version."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
import typer

from orchestrator import restoring
from orchestrator.app import open_app
from orchestrator.commands.terminal import AsJson, Reason, confirmed, kernel, operator, run, settings, show
from shared import backup
from shared.errors import Invalid
from shared.store import schema_versions

commands = typer.Typer()
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


@commands.command("backup")
def take_backup(file: Annotated[Path, typer.Argument(help="a new file")], as_json: AsJson = False) -> None:
    """Copy the database into a file, whole and verified, while everything goes on. Keep SWARM_HOME/keys apart from it.

    For SQLite; PostgreSQL has its own tools (docs/RUNBOOK.md).
    """

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            path = opened.store.path
            if path is None:
                raise Invalid("PostgreSQL is copied with pg_dump; see docs/RUNBOOK.md", field="file")
            head = await opened.audit.checkpoint("backup")
            size = await anyio.to_thread.run_sync(backup.take, path, file)
            await anyio.to_thread.run_sync(backup.check, file)
            return {"file": str(file), "bytes": size, "entries": head.size}

    result = run(work)
    show(
        result,
        as_json,
        f"{result['bytes']:,} bytes in {file}, with {result['entries']} entries of the audit log.",
    )


@commands.command()
def restore(
    file: Annotated[
        Path | None, typer.Argument(help="a backup; left out where the database was put back by other means")
    ] = None,
    accept_loss: Annotated[
        bool,
        typer.Option("--accept-loss", help="It is older than what was done, and there is no newer one."),
    ] = False,
    reason: Reason = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in place. Every other process has to be stopped; what was there is moved aside, not deleted.

    An older one than others hold checkpoints over is refused. With --accept-loss and a reason it is taken, and then
    everything stands still until `swarm recover`.
    """
    if not confirmed(
        "Put this copy in place of the database?" if file else "Take the database as it is?", yes
    ):
        raise typer.Exit(1)
    said = {"person": operator(), "reason": reason, "accept_loss": accept_loss}
    result = run(lambda: restoring.restore(settings(), file, **said))  # type: ignore[arg-type]  # as named above
    show(asdict(result), as_json, restoring.summary(result))


@commands.command()
def recover(
    reason: Reason,
    yes: Yes = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Without the second admin that this needs; everybody is told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """After an older copy was restored: read opt-outs from the vendors, settle what is in doubt, and let things go on.

    Stops, and leaves everything standing still, where a vendor can't be asked or somebody has to settle an effect.
    """
    if not confirmed("Ask the vendors, and then let things go on?", yes):
        raise typer.Exit(1)

    async def work() -> restoring.Recovered:
        async with open_app(settings(), role="recover") as app:
            return await restoring.recover(app, person=operator(), reason=reason, alone=alone)

    result = run(work)
    human = f"{result.opt_outs} opt-outs were read from the vendors. "
    human += (
        "Things may go on; what has a cap begins again tomorrow."
        if result.done
        else f"Still standing still: {result.doubts} effects are in doubt; see swarm effects list --status in_doubt."
    )
    show(asdict(result), as_json, human)
    if not result.done:
        raise typer.Exit(1)


@commands.command()
def migrate(
    check: Annotated[
        bool, typer.Option("--check", help="Only look; ends with 1 if something is due.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to this program's schema. Each command does so by itself, where its role at the server may.

    On PostgreSQL with two roles, run it as the one that owns the tables before the new version starts.
    """

    async def work() -> dict[str, Any]:
        before, wanted = await schema_versions(settings().database_url)
        if not check:
            async with kernel():  # opening migrates
                pass
        return {"from": before, "to": wanted, "due": before != wanted, "done": not check}

    result = run(work)
    stood = f"at {result['from']}" if result["from"] else "not there yet"
    if not result["due"]:
        text = f"The schema is {stood}, as this program wants it."
    elif check:
        text = f"The schema is {stood}; {result['to']} is due: swarm migrate"
    else:
        text = f"The schema was {stood}; it is at {result['to']} now."
    show(result, as_json, text)
    if check and result["due"]:
        raise typer.Exit(1)
