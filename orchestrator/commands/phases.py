"""swarm research · plan · implement · run · artefacts · cancel: the three phases, and what they left behind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import anyio.to_thread
import sqlalchemy as sa
import typer
from rich.console import Console

from orchestrator import anew, artefacts, foreseen, implementing, plans, runs, surveying, telling
from orchestrator.app import App, open_app
from orchestrator.commands.inputs import take_over
from orchestrator.commands.pipeline import bars, report_of
from orchestrator.commands.terminal import AsJson, Reason, operator, pairs, run, settings, show, table
from orchestrator.following import follow, follow_launch, somebody_works
from orchestrator.runs import Run
from shared.effect import Outcome
from shared.errors import Invalid

commands = typer.Typer()
LEAVES: Mapping[str, artefacts.Phase] = {"research": "research", "run": "plan"}
Files = Annotated[list[Path] | None, typer.Option("--file", help="a CSV to take leads from; repeatable")]
Posts = Annotated[list[str] | None, typer.Option("--post", help="a LinkedIn post whose commenters to take")]
RunId = Annotated[str, typer.Argument(help="the run's id, see `swarm runs`")]


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
            made = await _new(app, params)
            left = {} if made.state == "failed" else await _left(app, made.id, LEAVES[asked])
            return await report_of(app, made) | left

    _tell(run(work), as_json)


def _tell(report: dict[str, Any], as_json: bool) -> None:
    text = report.pop("text", "")
    show(report, as_json, lambda console: _print(console, report, text))
    if report["state"] == "failed" or report.get("outcome", {}).get("status") == "refused":
        raise typer.Exit(1)
    if report["summary"]["campaigns"].get("stalled"):
        raise typer.Exit(75)


def _print(console: Console, report: dict[str, Any], text: str) -> None:
    console.print(pairs(f"Run {report['id']}: {report['state']}", report["summary"]["funnel"]))
    if text:
        _words(console, text)
    if report["message"]:
        console.print(report["message"], style="red", markup=False)
    for line in _next_steps(report):
        console.print(line)


def _next_steps(report: dict[str, Any]) -> Iterator[str]:
    campaigns = report["summary"]["campaigns"]
    if stalled := campaigns.get("stalled", 0):
        yield f"{stalled} campaigns stalled in their launch; again: swarm implement {report['id']}"
    if waiting := campaigns.get("pending_review", 0):
        yield f"{waiting} campaigns wait for a person: swarm gatekeeper"
    if report["state"] == "researched":
        yield f"Next: swarm plan {report['id']}"


def _words(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@commands.command()
def research(
    file: Files = None,
    post: Posts = None,
    again: Annotated[
        str, typer.Option(help="a run whose people are scored anew, as they are known now")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Phase 1: take leads in, look up, score, save findings. Without options: everyone stored who is in no campaign."""
    if again and (file or post):
        raise Invalid("either a run to research anew, or files and posts for a new one", field="again")
    if again:
        _continue(again, "research", as_json)
    else:
        _begin(file, post, "research", as_json)


@commands.command("run")
def run_all(file: Files = None, post: Posts = None, as_json: AsJson = False) -> None:
    """All phases up to a person's review. Without options: everyone stored who is in no campaign."""
    _begin(file, post, "run", as_json)


def _continue(run_id: str, phase: Literal["research", "plan"], as_json: bool) -> None:
    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command") as app:
            found = await runs.get(app.kernel, run_id)
            if phase == "research":
                await anew.research_anew(app.kernel, run_id, actor=operator().name)
            else:
                await _plan(app, found)
            async with somebody_works(app):
                with bars() as watch:
                    await follow(app, run_id, watch)
            report = await report_of(app, await runs.get(app.kernel, run_id))
            if report["state"] != "failed":
                report |= await _left(app, run_id, phase)
            return report

    _tell(run(work), as_json)


async def _left(app: App, run_id: str, phase: artefacts.Phase, version: int = 0) -> dict[str, Any]:
    """What a phase left behind, for a program and in words."""
    found = await artefacts.get(app.kernel, run_id, phase, version)
    if phase == "research":
        return {phase: found.data, "text": telling.findings_text(surveying.findings_of(found))}
    if phase == "plan":
        plan = await plans.plan_of(app.kernel, run_id, version)
        return {phase: asdict(plan), "text": telling.plan_text(plan, whole=bool(version))}
    made = await implementing.report(app.kernel, run_id)
    return {"report": asdict(made), "text": telling.report_text(made)}


async def _plan(app: App, found: Run) -> None:
    if found.state not in {"researched", "review"}:
        raise Invalid(f"run {found.id} is {found.state}; plan follows research", field="run_id")
    if found.state == "researched":
        await runs.ask(app.kernel, found.id, "plan")


@commands.command()
def plan(run_id: RunId, as_json: AsJson = False) -> None:
    """Phase 2: findings become a plan, with every word written and checked, for a person to decide on."""
    _continue(run_id, "plan", as_json)


@commands.command()
def implement(
    run_id: RunId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only tell what would follow")] = False,
    as_json: AsJson = False,
) -> None:
    """Phase 3: carry out an approved plan, and wait until each launch has ended; stalled ones are taken up again.

    Exit status 1 where it is refused: no approved plan, or plan or leads moved since; 75 where a launch is stalled.
    Runs that `swarm run` made launch each campaign by its own approval.
    """

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command") as app:
            outcome = await implementing.implement(app, run_id, actor=operator().name, dry_run=dry_run)
            if not dry_run and outcome.status != "refused":
                async with somebody_works(app):
                    with bars() as watch:
                        await follow_launch(app, run_id, watch)
            report = await report_of(app, await runs.get(app.kernel, run_id))
            return report | {"outcome": asdict(outcome)} | await _implemented(app, run_id, outcome)

    _tell(run(work), as_json)


async def _implemented(app: App, run_id: str, outcome: Outcome) -> dict[str, Any]:
    said = f"{outcome.status}: {outcome.message}"
    counts = cast("Sequence[Mapping[str, Any]]", outcome.detail.get("effects", ()))
    listed = [f"- {one['count']:,} × {one['action']} ({one['when']})" for one in counts]
    asked = any(kept.phase == "implement" for kept in await artefacts.kept(app.kernel, run_id))
    if not asked or outcome.status in {"refused", "simulated"}:
        total = [f"In all {sum(one['count'] for one in counts):,} effects."] if listed else []
        return {"text": "\n".join([said, *listed, *total])}
    left = await _left(app, run_id, "implement")
    return {**left, "text": f"{said}\n{left['text']}"}


@commands.command("artefacts")
def list_artefacts(
    run_id: RunId,
    phase: Annotated[str, typer.Argument(help="research, plan or implement: show it in full")] = "",
    version: Annotated[int, typer.Option(min=0, help="0: the newest")] = 0,
    effects: Annotated[bool, typer.Option(help="list every external effect of the plan")] = False,
    as_json: AsJson = False,
) -> None:
    """List what a run's phases left behind, or show one: findings, plan, report."""
    if phase and phase not in artefacts.PHASES:
        raise Invalid(f"a phase is {', '.join(artefacts.PHASES)}", field="phase")

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command", ports=()) as app:
            await runs.get(app.kernel, run_id)
            if effects:
                return {"effects": await app.kernel.store.read(lambda c: _listed(c, run_id))}
            if phase:
                newest = (await artefacts.get(app.kernel, run_id, _phase(phase), version)).version
                return await _left(app, run_id, _phase(phase), newest)
            return {"artefacts": [asdict(kept) for kept in await artefacts.kept(app.kernel, run_id)]}

    report = run(work)
    text = report.pop("text", "")
    show(report, as_json, lambda console: _print_left(console, report, text))


def _print_left(console: Console, report: dict[str, Any], text: str) -> None:
    if text:
        _words(console, text)
    for one in report.get("effects", ()):
        _words(console, f"{one['when']}  {one['action']}  {one['target']}")
    if "artefacts" in report:
        names = ("phase", "version", "state", "made_by", "why", "made_at")
        rows = [
            [kept[name] for name in names[:-1]] + [_minute(kept["made_at"])] for kept in report["artefacts"]
        ]
        console.print(table("Artefacts", ("phase", "version", "state", "by", "why", "when"), rows))


def _minute(at: str) -> str:
    """`2026-11-28T23:41:07.5+00:00` → `2026-11-28 23:41`."""
    return at[:16].replace("T", " ")


def _phase(name: str) -> artefacts.Phase:
    return cast("artefacts.Phase", name)


def _listed(connection: sa.Connection, run_id: str) -> list[dict[str, Any]]:
    return [asdict(one) for one in foreseen.every_one(connection, run_id)]


@commands.command()
def cancel(run_id: RunId, reason: Reason = "cancelled by the operator", as_json: AsJson = False) -> None:
    """End a run: nothing of it begins any more; what is being launched is paused, what is live runs on."""

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command", ports=()) as app:
            done, paused = await anew.cancel(app.kernel, run_id, actor=operator().name, reason=reason)
            return {"run": run_id, "cancelled": done, "paused": paused}

    result = run(work)
    said = f"Run {run_id} is cancelled." if result["cancelled"] else f"Run {run_id} was over before."
    paused = f" Paused in their launch: {', '.join(result['paused'])}." if result["paused"] else ""
    show(result, as_json, said + paused)
