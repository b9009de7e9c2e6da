"""swarm referrals · referral: whom answers name, and taking them in as leads of their own."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from orchestrator import referrals as named
from orchestrator.app import open_app
from orchestrator.commands.terminal import AsJson, operator, run, settings, show, table

commands = typer.Typer()


@commands.command()
def referrals(as_json: AsJson = False) -> None:
    """List people whom answers name and nobody has decided on, the newest first. Who they are is data from outside."""

    async def work() -> list[dict[str, Any]]:
        async with open_app(settings(), role="command", ports=()) as app:
            found = await app.kernel.store.read(lambda c: named.offers_in(app, c))
            return [asdict(one) for one in found]

    rows = run(work)

    def human(console: Console) -> None:
        cells = [(r["id"], r["name"], r["email"], _standing(r)) for r in rows]
        console.print(table(f"{len(rows)} named in answers", ("id", "name", "address", ""), cells))

    show(rows, as_json, human)


def _standing(row: dict[str, Any]) -> str:
    told = "a lead already" if row["known"] else "" if row["email"] else "no address: --email"
    return str(row["refused"] or told)


@commands.command()
def referral(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="as `swarm referrals` names it")],
    what: Annotated[Literal["take-in", "leave"], typer.Option("--do", help="leave: who it was is forgotten")],
    email: Annotated[str, typer.Option(help="their address, where the answer names none")] = "",
    as_json: AsJson = False,
) -> None:
    """Take in whom an answer names as a new lead, or leave them.

    The next run over everyone stored scores them and writes for them; their words are approved like anybody's.
    """
    person = operator()

    async def work() -> str:
        async with open_app(settings(), role="command", ports=()) as app:
            if what == "take-in":
                return await named.take(app, identifier, person=person, email=email)
            await named.decline(app, identifier, person=person)
            return ""

    lead = run(work)
    told = f"{identifier}: taken in as {lead}." if lead else f"{identifier}: left."
    show({"id": identifier, "done": what, "lead": lead}, as_json, told)
