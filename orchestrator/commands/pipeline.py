"""swarm import · runs · undo: leads in, what became of them, and what a run changed in the CRM put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator import artefacts, runs, undoing
from orchestrator.app import App, open_app
from orchestrator.commands.inputs import borrowed
from orchestrator.commands.terminal import AsJson, operator, pairs, run, settings, show, table
from orchestrator.following import Watcher
from orchestrator.intake import Imported, import_path
from orchestrator.runs import Run
from orchestrator.summary import summarise
from orchestrator.undoing import Undone

commands = typer.Typer()


@commands.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="a CSV: LinkedIn's Connections.csv or a provider's export")],
    as_json: AsJson = False,
) -> None:
    """Take leads from a file. Bad rows are quarantined with line and reason; the good ones go on."""

    found = settings()

    async def work() -> Imported:
        async with open_app(found, role="command", ports=("source",)) as app:
            with borrowed(found.home, file) as taken:
                return await import_path(app, str(taken))

    done = run(work)

    def human(console: Console) -> None:
        console.print(f"{done.good} rows taken: {done.created} new people, {done.merged} known already.")
        where = f" in {done.quarantine_file}" if done.bad else "."
        console.print(f"{done.bad} rows quarantined{where}", style="yellow" if done.bad else "")
        for problem in done.problems:
            console.print(f"  {problem}", markup=False)

    show({**asdict(done), "path": str(file.absolute())}, as_json, human)


@contextmanager
def bars() -> Iterator[Watcher]:
    """Progress bars of a run on stderr: leads by how far they are."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        tasks = {name: progress.add_task(name, total=None) for name in ("enriched", "scored", "written")}

        def watch(_: Run, states: dict[str, int]) -> None:
            total = sum(states.values())
            sourced, enriched = states.get("sourced", 0), states.get("enriched", 0)
            scored = total - sourced - enriched
            done = {
                "enriched": total - sourced,
                "scored": scored,
                "written": scored - states.get("scored", 0),
            }
            for name, count in done.items():
                progress.update(tasks[name], completed=count, total=total or None)

        yield watch


async def report_of(app: App, found: Run) -> dict[str, Any]:
    """A run, its numbers, and what its phases left behind."""
    left = [asdict(kept) for kept in await artefacts.kept(app.kernel, found.id)]
    return {**asdict(found), "summary": asdict(await summarise(app.kernel, found.id)), "artefacts": left}


@commands.command("runs")
def list_runs(
    run_id: Annotated[str, typer.Argument(help="one run in full")] = "", as_json: AsJson = False
) -> None:
    """List what ran, or show one run with its numbers."""
    if run_id:

        async def one() -> dict[str, Any]:
            async with open_app(settings(), role="command", ports=()) as app:
                return await report_of(app, await runs.get(app.kernel, run_id))

        report = run(one)
        show(report, as_json, lambda console: _full(console, report))
        return

    async def work() -> list[dict[str, Any]]:
        async with open_app(settings(), role="command", ports=()) as app:
            return [asdict(found) for found in await runs.newest(app.kernel)]

    rows = run(work)
    cells = [(r["id"], r["mode"], r["state"], r["stage"], r["started_at"][:19], r["message"]) for r in rows]
    show(
        rows,
        as_json,
        lambda console: console.print(table("Runs", ("id", "mode", "state", "stage", "began", ""), cells)),
    )


def _full(console: Console, report: dict[str, Any]) -> None:
    plain = {k: v for k, v in report.items() if k not in {"summary", "params", "artefacts"}}
    console.print(pairs("Run", plain))
    for name, values in report["summary"].items():
        if isinstance(values, dict) and values:
            console.print(pairs(name, values))


@commands.command()
def undo(
    run_id: Annotated[str, typer.Argument(help="the run's id, see `swarm runs`")], as_json: AsJson = False
) -> None:
    """Put back every CRM field, tag and stage that a run changed, if nobody changed it since; says what it couldn't.

    New contacts and opportunities stay: nothing is deleted. Do-not-contact marks stay. In safe mode nothing is written.
    """

    async def work() -> list[Undone]:
        async with open_app(settings(), role="command", ports=("crm",)) as app:
            return await undoing.undo(app, run_id, actor=operator().name)

    done = run(work)
    counts: dict[str, int] = {}
    for one in done:
        counts[one.status] = counts.get(one.status, 0) + 1
    plain: dict[str, Any] = {"run": run_id, "counts": counts, "writes": [asdict(one) for one in done]}
    show(plain, as_json, lambda console: _print(console, done, counts))
    if any(one.status in {"failed", "in_doubt", "refused"} for one in done):
        raise typer.Exit(1)


def _print(console: Console, done: list[Undone], counts: dict[str, int]) -> None:
    if not done:
        console.print("This run wrote nothing into the CRM.")
        return
    rows = [(one.status, one.action, one.target, _what(one)) for one in done if one.status != "restored"]
    if rows:
        console.print(table("Not put back, or only in part", ("", "write", "of", "why"), rows))
    console.print(", ".join(f"{count} {status}" for status, count in sorted(counts.items())), highlight=False)


def _what(one: Undone) -> str:
    fields = f" ({', '.join(one.kept)})" if one.kept else ""
    return f"{one.message}{fields}".strip()
