"""swarm status · kill · release · pause · resume · safe-mode: what stops the system, and what lets it go on."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator import standstill
from orchestrator.app import open_app
from orchestrator.commands.terminal import (
    AsJson,
    Reason,
    confirmed,
    kernel,
    operator,
    pairs,
    run,
    settings,
    show,
    table,
)
from shared.errors import ConfigError, Retryable, SwarmError
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings
from shared.switches import raise_flag

commands = typer.Typer()
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


async def _state(opened: Kernel) -> dict[str, Any]:
    safety = await opened.switches.now()
    head = await opened.audit.head()
    return {
        "kill_switch": "on" if safety.killed else "off",
        "killed_by": list(safety.kill_sources),
        "kill_reason": safety.kill_reason if safety.killed else "",
        "safe_mode": "on" if safety.safe_mode else "off",
        "safe_mode_by": list(safety.safe_sources),
        "read_only": safety.read_only,
        "paused": [asdict(pause) for pause in safety.pauses],
        "effects": await opened.ledger.counts(),
        "suppressed": await opened.suppression.count(),
        "audit": {"entries": head.size, "since_checkpoint": head.exposed},
        "data": str(opened.settings.home),
        "vendors": {v.name: "sandbox" if v.sandbox else "live" for v in opened.settings.vendors.values()},
    }


def _human(state: dict[str, Any]) -> Callable[[Console], None]:
    def lines(console: Console) -> None:
        plain = {name: value for name, value in state.items() if not isinstance(value, dict | list)}
        console.print(pairs("Safety", plain))
        console.print(pairs("Effects so far", dict(state["effects"])))
        stands = [(p["scope"], p["kind"], p["reason"], p["actor"]) for p in state["paused"]]
        if stands:
            console.print(table("Standing still", ("what", "kind", "why", "who"), stands))

    return lines


@commands.command()
def status(as_json: AsJson = False) -> None:
    """Show every switch, what stands still, and how effects ended."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            return await _state(opened)

    state = run(work)
    show(state, as_json, _human(state))


@commands.command()
def kill(reason: Reason = "by hand", as_json: AsJson = False) -> None:
    """Stop every effect, in every process, from the moment this returns. Anyone may."""
    found = settings()
    # First of all, and without the database: it may be locked, full or gone.
    raise_flag(found.home / "KILL", f"{reason}\n")

    async def work() -> dict[str, Any]:
        try:
            async with open_kernel(found, role="command") as opened:
                in_database = await opened.switches.kill(actor=operator().name, reason=reason)
                await opened.audit.checkpoint("kill")
        except Retryable:
            in_database = False
        paused = await _paused_at_vendor(found, reason) if in_database else {"problem": "not tried"}
        return {"kill_switch": "on", "in_database": in_database, **paused}

    result = run(work)
    note = "" if result["in_database"] else " (by the flag file; the database could not be written)"
    left = f"Campaigns at the vendor were not paused: {result['problem']}."
    if not result["problem"]:
        left = f"The vendor confirmed {result['paused']} of {result['of']} campaigns paused."
    show(result, as_json, f"Stopped. No effect begins any more{note}. {left} `swarm release` lets it go on.")


async def _paused_at_vendor(found: Settings, reason: str) -> dict[str, Any]:
    """What the vendor sends by itself stops too. Whatever is wrong there, the kill switch is on already."""
    try:
        async with open_app(found, role="command", ports=("sequencer",)) as app:
            safety = await app.kernel.switches.now()
            confirmed, total = await standstill.pause_at_vendor(app, safety, reason)
            return {"paused": confirmed, "of": total, "problem": ""}
    except (ConfigError, SwarmError, BaseExceptionGroup):
        return {"problem": "the sequencer could not be opened; see swarm doctor"}


@commands.command()
def release(reason: Reason, yes: Yes = False, as_json: AsJson = False) -> None:
    """Let effects begin again after a kill. For the admin at this host; asks first."""
    if not confirmed("Release the kill switch?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            await opened.switches.release(actor=operator().name, reason=reason)
            return await _state(opened)

    state = run(work)
    still = ", ".join(state["killed_by"])
    show(state, as_json, f"Still stopped by: {still}" if still else "Released. Effects may begin again.")


@commands.command()
def pause(
    scope: Annotated[str, typer.Argument(help="all, vendor:ghl or campaign:ID")] = "all",
    reason: Reason = "by hand",
    as_json: AsJson = False,
) -> None:
    """Make everything, one vendor or one campaign stand still; stopping people goes on."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            await opened.switches.pause(scope, actor=operator().name, reason=reason)
            return await _state(opened)

    show(run(work), as_json, f"{scope} stands still.")


@commands.command()
def resume(
    scope: Annotated[str, typer.Argument(help="all, vendor:ghl or campaign:ID")] = "all",
    reason: Reason = "by hand",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Let what stood still move again. For the admin at this host; asks first."""
    if not confirmed(f"Resume {scope}?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            moved = await opened.switches.resume(scope, actor=operator().name, reason=reason)
            return {"scope": scope, "resumed": moved}

    result = run(work)
    show(result, as_json, f"{scope} moves again." if result["resumed"] else f"{scope} did not stand still.")


@commands.command("safe-mode")
def safe_mode(
    to: Annotated[Literal["on", "off"], typer.Argument(help="on simulates everything; off needs the admin")],
    reason: Reason = "by hand",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Simulate every effect, or stop doing so. The strictest of environment, file and database wins."""
    if to == "off" and not confirmed("Leave safe mode?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            turn = opened.switches.engage_safe_mode if to == "on" else opened.switches.leave_safe_mode
            await turn(actor=operator().name, reason=reason)
            return await _state(opened)

    state = run(work)
    still = ", ".join(state["safe_mode_by"])
    show(state, as_json, f"Safe mode is on, by: {still}" if still else "Safe mode is off: effects are real.")
