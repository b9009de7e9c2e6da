"""swarm suppress · suppression · lead: who must not be written to, and one person's whole history."""

from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
import typer
from rich.console import Console

from orchestrator import stops
from orchestrator.commands.terminal import AsJson, Reason, kernel, operator, pairs, run, show, table
from orchestrator.timeline import history
from shared.errors import Invalid
from shared.schema import suppression as suppression_table
from shared.suppression import DOMAIN, EXACT

commands = typer.Typer()
suppression = typer.Typer(help="Look at the do-not-contact list.", no_args_is_help=True)
commands.add_typer(suppression, name="suppression")


@commands.command()
def suppress(
    target: Annotated[str, typer.Argument(help="an e-mail address, or a company's domain")],
    reason: Reason = "asked to be left alone",
    as_json: AsJson = False,
) -> None:
    """Never write to this address, or to anyone at this domain; stops what runs for them, at once."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            added = await stops.suppress(
                opened, target, reason=reason, source="operator", actor=operator().name
            )
            return {"target": target, "added": added}

    result = run(work)
    show(
        result,
        as_json,
        f"{target} is suppressed." if result["added"] else f"{target} was on the list already.",
    )


@suppression.command("check")
def check(
    target: Annotated[str, typer.Argument(help="an e-mail address or a domain")], as_json: AsJson = False
) -> None:
    """Say whether somebody is on the list, and why."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            found = await opened.suppression.find(target)
            return {"target": target, "suppressed": found is not None, **(asdict(found) if found else {})}

    result = run(work)
    human = f"{target} is suppressed since {result.get('at')}: {result.get('reason')}"
    show(result, as_json, human if result["suppressed"] else f"{target} is not on the list.")


@suppression.command("list")
def list_entries(limit: Annotated[int, typer.Option(min=1, max=1000)] = 50, as_json: AsJson = False) -> None:
    """Show reasons and times of the newest entries. Addresses are kept as keyed hashes and can't be shown."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            columns = suppression_table.c
            query = (
                sa.select(columns.at, columns.reason, columns.source, columns.actor)
                .where(columns.lifted_at == "", sa.func.substr(columns.key, 1, 1).in_((EXACT, DOMAIN)))
                .order_by(columns.at.desc())
                .limit(limit)
            )
            rows = await opened.store.read(lambda c: [dict(row) for row in c.execute(query).mappings()])
            total = await opened.suppression.count()
            return {"total": total, "omitted": max(0, total - len(rows)), "entries": rows}

    result = run(work)

    def human(console: Console) -> None:
        rows = [(e["at"], e["reason"], e["source"], e["actor"]) for e in result["entries"]]
        console.print(table(f"{result['total']} suppressed", ("since", "why", "from", "who"), rows))

    show(result, as_json, human)


@commands.command()
def lead(
    who: Annotated[str, typer.Argument(help="e-mail address, profile URL or lead id")],
    as_json: AsJson = False,
) -> None:
    """Show one person's whole history: where found, how scored, what was sent, what came back."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            found = await history(opened, who)
            if found is None:
                raise Invalid(f"nobody is known as {who[:80]}", field="who")
            return found

    result = run(work)

    def human(console: Console) -> None:
        console.print(pairs("Person", dict(result["person"])))
        rows = [(e["at"], e["what"], e["detail"]) for e in result["timeline"]]
        console.print(table("History", ("when", "what", ""), rows))

    show(result, as_json, human)
