"""swarm import · research · plan · implement · run · runs: leads in, campaigns out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from orchestrator import outreach, runs
from orchestrator.app import App, open_app
from orchestrator.commands.inputs import borrowed, take_over
from orchestrator.commands.terminal import AsJson, pairs, run, settings, show, table
from orchestrator.following import Watcher, follow, follow_launch, somebody_works
from orchestrator.intake import Imported, import_path
from orchestrator.runs import Run
from orchestrator.summary import summarise
from shared.errors import Invalid

commands = typer.Typer()
Files = Annotated[list[Path] | None, typer.Option("--file", help="a CSV to take leads from; repeatable")]
Posts = Annotated[list[str] | None, typer.Option("--post", help="a LinkedIn post whose commenters to take")]
RunId = Annotated[str, typer.Argument(help="the run's id, see `swarm runs`")]


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


def _params(home: Path, files: list[Path] | None, posts: list[str] | None, asked: str) -> dict[str, Any]:
    return {
        # The worker that reads them may be another process, in another folder.
        "files": [str(take_over(home, file)) for file in files or []],
        "posts": [{"url": url, "kind": "commenters"} for url in posts or []],
        "stored": not files and not posts,
        "asked": asked,
    }


async def _new(app: App, params: dict[str, Any]) -> Run:
    made = await runs.create(app.kernel, params)
    async with somebody_works(app):
        with bars() as watch:
            return await follow(app, made.id, watch)


def _begin(files: list[Path] | None, posts: list[str] | None, asked: str, as_json: bool) -> None:
    found = settings()

    async def work() -> dict[str, Any]:
        async with open_app(found, role="command") as app:
            # Only now: what is configured wrongly leaves nothing of people behind.
            params = await anyio.to_thread.run_sync(_params, found.home, files, posts, asked)
            return await _report(app, await _new(app, params))

    _tell(run(work), as_json)


async def _report(app: App, found: Run) -> dict[str, Any]:
    return {**asdict(found), "summary": asdict(await summarise(app.kernel, found.id))}


def _tell(report: dict[str, Any], as_json: bool) -> None:
    def human(console: Console) -> None:
        console.print(pairs(f"Run {report['id']}: {report['state']}", report["summary"]["funnel"]))
        if report["message"]:
            console.print(report["message"], style="red", markup=False)
        if stalled := report["summary"]["campaigns"].get("stalled", 0):
            console.print(
                f"{stalled} campaigns stalled in their launch; again: swarm implement {report['id']}"
            )
        waiting = report["summary"]["campaigns"].get("pending_review", 0)
        if waiting:
            console.print(f"{waiting} campaigns wait for a person: swarm gatekeeper")
        if report["state"] == "researched":
            console.print(f"Next: swarm plan {report['id']}")

    show(report, as_json, human)
    if report["state"] == "failed":
        raise typer.Exit(1)
    if report["summary"]["campaigns"].get("stalled"):
        raise typer.Exit(75)


@commands.command()
def research(file: Files = None, post: Posts = None, as_json: AsJson = False) -> None:
    """Phase 1: take leads in, enrich and score them. Without options: everyone stored who is in no campaign."""
    _begin(file, post, "research", as_json)


@commands.command("run")
def run_all(file: Files = None, post: Posts = None, as_json: AsJson = False) -> None:
    """All phases up to a person's review. Without options: everyone stored who is in no campaign."""
    _begin(file, post, "run", as_json)


def _continue(run_id: str, phase: Literal["plan", "implement"], as_json: bool) -> None:
    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command") as app:
            found = await runs.get(app.kernel, run_id)
            if phase == "plan":
                await _plan(app, found)
            else:
                await outreach.again(app, run_id)
            async with somebody_works(app):
                with bars() as watch:
                    if phase == "implement":
                        await follow_launch(app, run_id, watch)
                    else:
                        await follow(app, run_id, watch)
            return await _report(app, await runs.get(app.kernel, run_id))

    _tell(run(work), as_json)


async def _plan(app: App, found: Run) -> None:
    if found.state not in {"researched", "review"}:
        raise Invalid(f"run {found.id} is {found.state}; plan follows research", field="run_id")
    if found.state == "researched":
        await runs.ask(app.kernel, found.id, "plan")


@commands.command()
def plan(run_id: RunId, as_json: AsJson = False) -> None:
    """Phase 2: group, write and check campaigns, and put them into review."""
    _continue(run_id, "plan", as_json)


@commands.command()
def implement(run_id: RunId, as_json: AsJson = False) -> None:
    """Phase 3: launch what a person approved, take stalled launches up again, and wait until each has ended.

    Campaigns that wait for a person are left to wait. Exit status 75 where one is stalled.
    """
    _continue(run_id, "implement", as_json)


@commands.command("runs")
def list_runs(
    run_id: Annotated[str, typer.Argument(help="one run in full")] = "", as_json: AsJson = False
) -> None:
    """List what ran, or show one run with its numbers."""
    if run_id:

        async def one() -> dict[str, Any]:
            async with open_app(settings(), role="command", ports=()) as app:
                return await _report(app, await runs.get(app.kernel, run_id))

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
    plain = {k: v for k, v in report.items() if k not in {"summary", "params"}}
    console.print(pairs("Run", plain))
    for name, values in report["summary"].items():
        if isinstance(values, dict) and values:
            console.print(pairs(name, values))
