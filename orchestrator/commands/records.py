"""swarm audit · effects: proof, and what was done outside."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import anyio.to_thread
import typer
from rich.console import Console
from rich.markup import escape

from orchestrator.commands.outputs import write_new
from orchestrator.commands.terminal import (
    AsJson,
    Reason,
    Yes,
    confirmed,
    kernel,
    operator,
    pairs,
    run,
    show,
    table,
)
from orchestrator.consents import approve, waiting
from orchestrator.doubts import Doubt, doubts, resolve
from shared.checkpoint import notes_in
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.ledger import Row, find, key_like
from shared.published import lines_of
from shared.transcript import transcript

ENTRY = '"type":"entry"}\n'  # how a line of an entry ends
commands = typer.Typer()
audit = typer.Typer(help="The log of everything, and the proof that it is whole.", no_args_is_help=True)
effects = typer.Typer(help="What was done outside, and what is in doubt.", no_args_is_help=True)
commands.add_typer(audit, name="audit")
commands.add_typer(effects, name="effects")


@audit.command()
def verify(
    held: Annotated[
        list[Path] | None, typer.Option(help="checkpoints that others kept: a file, a mail, a chat's text")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute every entry and compare with every signed checkpoint, those of files and witnesses included.

    Says how many entries at the end nobody outside has seen: those could be cut off unnoticed.
    """

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            verdict = await opened.audit.verify(await anyio.to_thread.run_sync(_given, held or []))
            head = await opened.audit.head()
            seen = [asdict(place) for place in await opened.audit.places()]
            window = {"exposed": head.exposed, "window": head.window, "places": seen}
            return {**asdict(verdict), "ok": verdict.ok, **window}

    result = run(work)
    show(result, as_json, lambda console: _verdict(console, result))
    if not result["ok"]:
        raise typer.Exit(1)


def _given(files: list[Path]) -> dict[str, list[str]]:
    """The checkpoints in files that somebody else kept: a published one, a mail, a chat's history."""
    found: dict[str, list[str]] = {}
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise Invalid(f"{file} can't be read: {error.strerror}", field="held") from error
        found[file.name] = [*lines_of(text), *notes_in(text)]
        if not found[file.name]:
            raise Invalid(f"no checkpoint is in {file}", field="held")
    return found


def _verdict(console: Console, result: dict[str, Any]) -> None:
    """What was found, and what can't be."""
    if result["ok"]:
        console.print(
            f"{result['size']} entries verified, {result['checkpoints']} checkpoints.", highlight=False
        )
    else:
        console.print("NOT whole:\n" + escape("\n".join(result["problems"])), highlight=False)
    if result["erased"]:
        console.print(f"{result['erased']} details were erased; their entries verify.", highlight=False)
    if result["lost"]:
        console.print(
            f"{result['lost']} entries were given up when an older copy was restored.", highlight=False
        )
    rows = [
        (p["name"], "yes" if p["outside"] else "no", p["size"], p["at"], p["problem"])
        for p in result["places"]
    ]
    console.print(table("Who holds checkpoints", ("where", "outside", "entries", "since", "problem"), rows))
    window = f"{result['window']} entries at the end could be cut off without anybody outside noticing."
    console.print(window, highlight=False)


@audit.command()
def tail(limit: Annotated[int, typer.Option(min=1, max=1000)] = 20, as_json: AsJson = False) -> None:
    """Show the newest entries."""

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            return [dict(entry) for entry in await opened.audit.tail(limit)]

    entries = run(work)

    def human(console: Console) -> None:
        rows = [(e["seq"], e["at"], e["kind"], e["actor"], e["subject"]) for e in entries]
        console.print(table("Newest entries", ("", "when", "what", "who", "about"), rows))

    show(entries, as_json, human)


@audit.command()
def checkpoint(as_json: AsJson = False) -> None:
    """Sign the head now and publish it."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            return asdict(await opened.audit.checkpoint("by hand"))

    result = run(work)
    show(result, as_json, f"Signed: {result['size']} entries, root {result['root'][:16]}…")


@audit.command()
def export(
    file: Annotated[Path, typer.Argument(help="a new file; JSON lines, for tools/verify_audit.py")],
    without_details: Annotated[
        bool, typer.Option("--without-details", help="leave personal data out; it still verifies")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write every entry and every checkpoint to a file, from which others can verify the log."""

    async def work() -> int:
        async with kernel() as opened:
            lines = transcript(opened.store, opened.keys, details=not without_details)
            return await write_new(file, _counted(lines))

    count = run(work)
    show({"file": str(file), "entries": count}, as_json, f"{count} entries in {file}")


async def _counted(parts: AsyncIterator[list[str]]) -> AsyncIterator[tuple[int, str]]:
    async for lines in parts:
        yield sum(line.endswith(ENTRY) for line in lines), "".join(lines)


@effects.command("list")
def list_effects(
    status: Annotated[str, typer.Option(help="applied, simulated, refused, failed, in_doubt")] = "",
    vendor: Annotated[str, typer.Option(help="ghl, instantly, clay, …")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """List effects, newest first; those in doubt with their age, and how they are found out."""

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            rows = await opened.ledger.list(status=status, vendor=vendor, limit=limit)
            open_ones = {one.key: one for one in await doubts(opened)}
            return [_effect(row, open_ones) for row in rows]

    rows = run(work)

    def human(console: Console) -> None:
        columns = ("key", "effect", "status", "why", "reference", "since", "in doubt for")
        cells = [
            (r["key"][:12], r["effect"], r["status"], r["reason"], r["reference"], r["at"], _age(r))
            for r in rows
        ]
        console.print(table(f"{len(rows)} effects", columns, cells))

    show(rows, as_json, human)


def _age(row: dict[str, Any]) -> str:
    seconds = row.get("in_doubt_seconds")
    return "" if seconds is None else f"{seconds / 3600:.1f} h"


@effects.command("show")
def show_effect(
    key: Annotated[str, typer.Argument(help="the key, or its beginning")], as_json: AsJson = False
) -> None:
    """Show one effect with its content; of one in doubt, how it may be found out."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            return await _shown(opened, key)

    result = run(work)
    show(result, as_json, lambda console: console.print(pairs("Effect", result)))


async def _shown(opened: Kernel, beginning: str) -> dict[str, Any]:
    row = await opened.store.read(lambda c: find(c, key_like(c, beginning)))
    if row is None:
        raise Invalid("no effect has this key", field="key")
    open_ones = {one.key: one for one in await doubts(opened)}
    return {**_effect(row, open_ones), "content": dict(row.effect.content), "detail": dict(row.detail)}


@effects.command("approve")
def approve_effect(
    key: Annotated[str, typer.Argument(help="the key, or its beginning")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Say yes to one refused send that no page reviews: a CRM workflow, an answer. Shows it, and asks first.

    The approval covers exactly what is shown, once; whoever asked for it asks again and names it.
    """

    async def look() -> dict[str, Any]:
        async with kernel() as opened:
            whole = await opened.store.read(lambda c: key_like(c, key))
            waiting(await opened.ledger.get(whole))
            return await _shown(opened, whole)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            given = await approve(opened, str(found["key"]), person=operator())
            return {"key": found["key"], "approval": given}

    found = run(look)
    if not as_json:
        show(found, as_json, lambda console: console.print(pairs("To be approved", found)))
    if not confirmed(f"Approve {found['effect']} to {found['target']}, exactly as shown?", yes):
        raise typer.Exit(1)
    result = run(work)
    show(result, as_json, f"Approved. Ask for the same again with approval {result['approval']}.")


@effects.command("resolve")
def resolve_effect(
    key: Annotated[str, typer.Argument(help="the key, or its beginning")],
    ended: Annotated[
        Literal["applied", "failed"],
        typer.Option("--as", help="applied: you saw it at the vendor; failed: it certainly isn't there"),
    ],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Say how an effect in doubt ended, after looking at the vendor. What failed may be tried again."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            whole = await opened.store.read(lambda c: key_like(c, key))
            await resolve(opened, whole, applied=ended == "applied", person=operator(), reason=reason)
            return await _shown(opened, whole)

    result = run(work)
    show(result, as_json, f"{result['effect']} to {result['target']}: {ended}, by your word.")


def _effect(row: Row, open_ones: Mapping[str, Doubt]) -> dict[str, Any]:
    doubt = open_ones.get(row.key)
    told = {"in_doubt_seconds": doubt.age_seconds, "how": doubt.how} if doubt else {}
    return {
        "key": row.key,
        "effect": f"{row.effect.vendor}.{row.effect.action}",
        "status": row.status,
        "reason": row.reason,
        "message": row.message,
        "reference": row.reference,
        "target": row.effect.target,
        "intent": row.effect.intent,
        "attempts": row.attempts,
        "at": row.settled_at or row.claimed_at or row.first_at,
        "correlation_id": row.correlation_id,
        **told,
    }
