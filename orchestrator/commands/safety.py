"""swarm status · kill · release · pause · resume · safe-mode: what stops the system, and what lets it go on.

Whatever is wrong with the configuration, the database or a vendor, `kill` stops: it raises the flag file first.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator import relaxing, standstill
from orchestrator.app import open_app
from orchestrator.commands.terminal import (
    AsJson,
    Reason,
    Yes,
    confirmed,
    kernel,
    operator,
    pairs,
    run,
    settings,
    show,
    table,
)
from orchestrator.situation import left_over, situation
from shared.clock import SystemClock
from shared.errors import ConfigError, SwarmError
from shared.kernel import Kernel, open_kernel
from shared.metrics import doubtful
from shared.settings import Settings, configured_home
from shared.switches import KILL_PATIENCE, raise_flag

commands = typer.Typer()


async def _state(opened: Kernel) -> dict[str, Any]:
    found = await situation(opened)
    safety, head = found.safety, await opened.audit.head()
    doubt = await opened.store.read(lambda c: doubtful(c, opened.clock.now()))
    return {
        "kill_switch": "on" if safety.killed else "off",
        "killed_by": list(safety.kill_sources),
        "kill_reason": safety.kill_reason if safety.killed else "",
        "killed_at": safety.killed_at,
        "safe_mode": "on" if safety.safe_mode else "off",
        "safe_mode_by": list(safety.safe_sources),
        "read_only": safety.read_only,
        "paused": [asdict(pause) for pause in safety.pauses],
        "effects": await opened.ledger.counts(),
        "in_doubt": asdict(doubt),
        **left_over(opened, found),
        "two_admins_needed": found.two_needed,
        "asked": [asdict(one) for one in found.asked],
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
        _print_left_over(console, state)
        if doubt := state["in_doubt"]["count"]:
            hours = state["in_doubt"]["oldest_seconds"] / 3600
            console.print(f"{doubt} effects in doubt, the oldest for {hours:.1f} h: swarm effects list")
        for one in state["asked"]:
            what = f"{one['what']} {one['scope']}".strip()
            console.print(f"{one['by']} asked to let {what} go on; another admin has to say so, too")

    return lines


def _print_left_over(console: Console, state: dict[str, Any]) -> None:
    """What ends by itself, and what the vendor hasn't confirmed."""
    if calls := [(one["what"], one["process"], one["ends_by"]) for one in state["on_the_wire"]]:
        console.print(table(f"{len(calls)} calls on the wire", ("what", "process", "ends by"), calls))
    for kind, kinds in (("campaign", "campaigns"), ("mailbox", "mailboxes")):
        vendor = state[f"vendor_{kinds}"]
        if vendor["of"]:
            console.print(f"The vendor confirmed {vendor['confirmed']} of {vendor['of']} {kinds} paused.")
        if rows := [(one["id"], one["name"], one["since"]) for one in vendor["unconfirmed"]]:
            console.print(table("May still be sending: pause them there", ("id", kind, "since"), rows))


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
    # First of all, without configuration and database: they may be wrong, locked, full or gone.
    flagged = _flagged(configured_home(), reason)
    try:
        found = settings()
    except ConfigError as error:
        if not flagged:
            raise
        problem = (
            f"the configuration can't be read ({error}); the flag file stops whoever uses this SWARM_HOME"
        )
        show({"kill_switch": "on", "in_database": False, "problem": problem}, as_json, f"Stopped. {problem}")
        return
    result = run(lambda: _kill(found, reason, flagged=flagged))
    show(result, as_json, _killed(result))


def _flagged(home: Path, reason: str) -> bool:
    try:
        raise_flag(home / "KILL", reason, SystemClock().now())
    except OSError as error:
        Console(stderr=True).print(f"the flag file can't be written ({error.strerror}); trying the database")
        return False
    return True


async def _kill(found: Settings, reason: str, *, flagged: bool) -> dict[str, Any]:
    left: dict[str, Any] = {}
    try:
        async with open_kernel(found, role="command", patience=KILL_PATIENCE) as opened:
            in_database = await opened.switches.kill(actor=operator().name, reason=reason)
            if in_database:
                await opened.audit.checkpoint("kill")
            left = left_over(opened, await situation(opened))
    except (ConfigError, SwarmError, BaseExceptionGroup):
        if not flagged:
            raise
        in_database = False
    if in_database:
        left |= await _paused_at_vendor(found, reason)
    else:
        left["problem"] = "not tried: the database could not be written"
    return {"kill_switch": "on", "in_database": in_database, **left}


async def _paused_at_vendor(found: Settings, reason: str) -> dict[str, Any]:
    """What the vendor sends by itself stops too. Whatever is wrong there, the kill switch is on already."""
    try:
        async with open_app(found, role="command", ports=("sequencer",)) as app:
            safety = await app.kernel.switches.now()
            confirmed, total = await standstill.pause_at_vendor(app, safety, reason)
            left = left_over(app.kernel, await situation(app.kernel))
            return {**left, "paused": confirmed, "of": total, "problem": ""}
    except (ConfigError, SwarmError, BaseExceptionGroup):
        return {"problem": "the sequencer could not be opened; see swarm doctor"}


def _killed(result: dict[str, Any]) -> Callable[[Console], None]:
    def lines(console: Console) -> None:
        note = "" if result["in_database"] else " (by the flag file; the database could not be written)"
        console.print(
            f"Stopped. No effect begins any more{note}. `swarm release` lets it go on.", markup=False
        )
        if result["problem"]:
            console.print(f"Campaigns at the vendor were not paused: {result['problem']}.", markup=False)
        if "on_the_wire" in result:
            _print_left_over(console, result)

    return lines


Alone = Annotated[
    bool, typer.Option("--alone", help="Without the second admin that this needs; everybody is told.")
]


@commands.command()
def release(reason: Reason, yes: Yes = False, alone: Alone = False, as_json: AsJson = False) -> None:
    """Let effects begin again after a kill. For the admin at this host; asks first."""
    if not confirmed("Release the kill switch?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            answer = await relaxing.release(opened, person=operator(), reason=reason, alone=alone)
            return {**await _state(opened), "back_to_review": list(answer.to_review)}

    state = run(work)
    still, back = ", ".join(state["killed_by"]), len(state["back_to_review"])
    said = f"Still stopped by: {still}" if still else "Released. Effects may begin again."
    show(state, as_json, f"{said} {back} campaigns waited too long and go back to review." if back else said)


@commands.command()
def pause(
    scope: Annotated[str, typer.Argument(help="all, vendor:ghl, campaign:ID or mailbox:ADDRESS")] = "all",
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
    scope: Annotated[str, typer.Argument(help="all, vendor:ghl, campaign:ID or mailbox:ADDRESS")] = "all",
    reason: Reason = "by hand",
    yes: Yes = False,
    alone: Alone = False,
    as_json: AsJson = False,
) -> None:
    """Let what stood still move again. For the admin at this host; asks first."""
    if not confirmed(f"Resume {scope}?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            answer = await relaxing.clear(opened, scope, person=operator(), reason=reason, alone=alone)
            return {"scope": scope, "resumed": answer.moved}

    result = run(work)
    show(result, as_json, f"{scope} moves again." if result["resumed"] else f"{scope} did not stand still.")


@commands.command("safe-mode")
def safe_mode(
    to: Annotated[Literal["on", "off"], typer.Argument(help="on simulates everything; off needs the admin")],
    reason: Reason = "by hand",
    yes: Yes = False,
    alone: Alone = False,
    as_json: AsJson = False,
) -> None:
    """Simulate every effect, or stop doing so. The strictest of environment, file and database wins.

    Where something was really done before, stopping people stays real, and the worker pauses the vendor's campaigns.
    """
    if to == "off" and not confirmed("Leave safe mode?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            if to == "on":
                await opened.switches.engage_safe_mode(actor=operator().name, reason=reason)
            else:
                await relaxing.leave_safe_mode(opened, person=operator(), reason=reason, alone=alone)
            return await _state(opened)

    state = run(work)
    still = ", ".join(state["safe_mode_by"])
    show(state, as_json, f"Safe mode is on, by: {still}" if still else "Safe mode is off: effects are real.")
