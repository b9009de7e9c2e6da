"""swarm demo: the main job, on emulated vendors, from nothing to a summary."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
import typer
from rich.console import Console

from orchestrator import demo as journey
from orchestrator.app import App
from orchestrator.commands.pipeline import bars
from orchestrator.commands.terminal import AsJson, pairs, run, show, table
from orchestrator.demo import Pass
from orchestrator.dossier import queue
from orchestrator.links import first_admin_link
from shared.clock import SystemClock
from shared.keys import load_keys
from shared.telemetry import configure

commands = typer.Typer()


@commands.callback()
def group() -> None:
    """The demo."""


@commands.command()
def demo(
    leads: Annotated[int, typer.Option(min=5, max=20_000, help="how many people")] = 100,
    approve_all: Annotated[
        bool, typer.Option("--approve-all", help="approve as the demo's operator; emulated vendors only")
    ] = False,
    live_sandbox: Annotated[
        bool, typer.Option("--live-sandbox/--safe-only", help="after the safe pass, act on the emulators")
    ] = True,
    home: Annotated[Path, typer.Option(help="data folder of the demo; emptied at its start")] = Path(
        ".swarm/demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Run the whole journey on emulated vendors: first simulated, then live, and print what came of it.

    At a terminal, without --approve-all, it waits for you to approve in the Gatekeeper.
    """
    console = Console(stderr=True)
    clock = SystemClock()
    started = clock.monotonic()
    approve = approve_all or not sys.stdin.isatty()
    passes = run(lambda: _demo(home.absolute(), leads, console, approve=approve, live=live_sandbox))
    elapsed = clock.monotonic() - started
    report = {"elapsed_seconds": round(elapsed, 1), "passes": [_plain(one) for one in passes]}
    show(report, as_json, lambda out: _print(out, passes, elapsed))
    if not all(one.proof.ok for one in passes):
        raise typer.Exit(1)


async def _demo(home: Path, leads: int, console: Console, *, approve: bool, live: bool) -> list[Pass]:
    await journey.refuse_used_database(home)
    folder = await anyio.to_thread.run_sync(journey.fresh_home, home)
    configure("WARNING", load_keys(folder).pepper)  # emulated vendors have no secrets

    def tell(text: str) -> None:
        console.print(text, highlight=False)

    async with journey.emulated(folder) as address:
        tell(f"Vendor emulators at {address}")
        tell("Pass 1, safe mode: everything is simulated")
        with bars() as watch:
            passes = [await journey.safe_pass(folder, address, leads, watch)]
        if live:
            tell("Pass 2, live against the emulators")
            with bars() as watch:
                decide = None if approve else _person(console)
                passes.append(
                    await journey.live_pass(folder, address, leads, watch, decide=decide, tell=tell)
                )
        return passes


def _person(console: Console) -> journey.Decide:
    """Wait for whoever sits here to decide in the browser."""

    async def decide(app: App, gatekeeper: str) -> int:
        link = await first_admin_link(app.kernel, gatekeeper)
        console.print(
            f"Make yourself the admin: {link}\nthen approve at {gatekeeper}/reviews", highlight=False
        )
        await anyio.to_thread.run_sync(input, "Press Enter when you have decided … ", abandon_on_cancel=True)
        return len(await queue(app.kernel))

    return decide


def _plain(one: Pass) -> dict[str, Any]:
    return {
        "mode": one.run.mode,
        "summary": asdict(one.summary),
        "vendor_writes": dict(one.writes),
        "mailed": one.sent_to,
        "campaigns_waiting": one.waiting,
        "audit": {"ok": one.proof.ok, "entries": one.proof.size, "checkpoints": one.proof.checkpoints},
    }


def _print(out: Console, passes: list[Pass], elapsed: float) -> None:
    first = passes[0]
    columns = ["", *("safe mode" if one.run.mode == "safe" else "live" for one in passes)]
    rows: list[list[object]] = [
        [name, *(one.summary.funnel.get(name, 0) for one in passes)] for name in first.summary.funnel
    ]
    rows += [
        ["campaigns that still wait for a person", *(one.waiting for one in passes)],
        ["written at vendors, by their own logs", *(sum(one.writes.values()) for one in passes)],
        ["people mailed, by the vendor's own log", *(one.sent_to for one in passes)],
    ]
    out.print(table("Funnel", columns, rows))
    last = passes[-1]
    out.print(pairs("Effects by outcome", last.summary.outcomes))
    out.print(pairs("Events received", last.summary.events))
    out.print(pairs("Replies by class", last.summary.replies))
    proof = "verified" if last.proof.ok else f"NOT WHOLE: {last.proof.problems}"
    out.print(
        pairs(
            "In the end",
            {
                "suppressed": last.summary.suppressed,
                "handoffs": last.summary.handoffs,
                "audit proof": f"{proof}: {last.proof.size} entries, {last.proof.checkpoints} checkpoints",
                "elapsed": f"{elapsed:.1f} s",
            },
        )
    )
