"""swarm reviews · handoffs · handoff · replies: what waits for people. Words are approved in the Gatekeeper."""

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

import sqlalchemy as sa
import typer
from rich.console import Console

from orchestrator import dossier, plans, unclear
from orchestrator import handoffs as taking
from orchestrator.commands.terminal import AsJson, kernel, operator, run, show, table
from orchestrator.rules import load_rules
from shared.clock import iso
from shared.errors import Invalid
from shared.foreign import clean
from shared.pipeline_schema import artefact, lead, reply
from shared.pipeline_schema import handoff as handoff_table

commands = typer.Typer()
STATES = ("pending", "acknowledged", "closed")
Limit = Annotated[int, typer.Option(min=1, max=1000)]
SHOWN = 60  # characters of a text from outside in a table


@commands.command()
def reviews(as_json: AsJson = False) -> None:
    """List campaigns whose words wait for a person, and plans; the most urgent words first."""

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            waiting = [_words(one) for one in await dossier.queue(opened)]
            return [*waiting, *await opened.store.read(_plans)]

    rows = run(work)

    def human(console: Console) -> None:
        cells = [(r["kind"], r["id"], r["name"], r["people"], r["held"], r["review_due"][:16]) for r in rows]
        columns = ("", "id", "name", "people", "held", "due")
        console.print(table(f"{len(rows)} wait for a person", columns, cells))

    show(rows, as_json, human)


def _words(one: dossier.Waiting) -> dict[str, Any]:
    return {"kind": "words", **asdict(one), "people": one.covered, "review_due": one.due}


def _plans(connection: sa.Connection) -> list[dict[str, Any]]:
    waits = sa.select(artefact.c.run_id).where(
        artefact.c.phase == "plan", artefact.c.state == "pending_review"
    )
    found = [plans.plan_in(connection, run_id) for run_id in connection.execute(waits).scalars()]
    return [_plan(plan) for plan in found]


def _plan(plan: plans.Plan) -> dict[str, Any]:
    undecided = f"{len(plan.undecided)} campaigns undecided" if plan.undecided else "words decided"
    check = plan.check
    return {
        "kind": "plan",
        "id": plan.run_id,
        "version": plan.version,
        "name": f"plan {plan.version}: {undecided}",
        "people": check.people if check else 0,
        "held": check.held if check else 0,
        "undecided": len(plan.undecided),
        "review_due": "",
    }


@commands.command()
def handoffs(
    state: Annotated[str, typer.Option(help="pending, acknowledged or closed")] = "pending",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what people have to take up, soonest due first."""
    if state not in STATES:
        raise Invalid(f"a state is {', '.join(STATES)}", field="state")

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            query = (
                sa.select(handoff_table, lead.c.email)
                .outerjoin(lead, lead.c.id == handoff_table.c.lead_id)
                .where(handoff_table.c.state == state)
                .order_by(handoff_table.c.due_at, handoff_table.c.id)
                .limit(limit)
            )
            now = iso(opened.clock.now())
            rows = await opened.store.read(lambda c: [dict(row) for row in c.execute(query).mappings()])
            return [{**row, "overdue": state == "pending" and row["due_at"] < now} for row in rows]

    rows = run(work)

    def human(console: Console) -> None:
        columns = ("id", "who", "why", "to", "priority", "due")
        cells = [
            (r["id"], r["email"] or "", r["trigger"], r["destination"], r["priority"], _due(r)) for r in rows
        ]
        console.print(table(f"{len(rows)} handoffs, {state}", columns, cells))
        for row in rows:
            for number, step in enumerate(json.loads(row["detail"]).get("steps", []), 1):
                console.print(f"{row['id'][:8]} {number}. {step}", markup=False, highlight=False)

    show(rows, as_json, human)


@commands.command()
def handoff(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="as `swarm handoffs` names it")],
    what: Annotated[
        Literal["take", "close", "confirm", "take-back"],
        typer.Option("--do", help="confirm or take-back: of what may be an opt-out"),
    ],
    note: Annotated[str, typer.Option(help="what came of it; needed to take back")] = "",
    as_json: AsJson = False,
) -> None:
    """Take a handoff, close it, or decide whether what somebody wrote is an opt-out.

    Until that is decided, nobody there is written to. When in doubt, confirm: `swarm unsuppress` lifts it.
    """
    person = operator()

    async def work() -> None:
        async with kernel() as opened:
            if what == "take":
                await taking.acknowledge(opened, identifier, by=person.name)
            elif what == "close":
                rules = load_rules(opened.settings.folder)
                await taking.close(opened, rules, identifier, by=person.name, note=note)
            elif what == "confirm":
                await unclear.confirm(opened, identifier, person=person)
            else:
                await unclear.take_back(opened, identifier, person=person, reason=note)

    run(work)
    show({"id": identifier, "done": what}, as_json, f"{identifier}: {what}, by {person.name}.")


def _due(row: dict[str, Any]) -> str:
    return f"{row['due_at'][:16]}{' OVERDUE' if row['overdue'] else ''}"


@commands.command()
def replies(
    kind: Annotated[str, typer.Option("--class", help="only of this class")] = "",
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what people answered, newest first: class, what was done, how it begins. Their text is data."""

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            where = [reply.c["class"] == kind] if kind else []
            query = (
                sa.select(reply, lead.c.email)
                .outerjoin(lead, lead.c.id == reply.c.lead_id)
                .where(*where)
                .order_by(reply.c.at.desc(), reply.c.event_id)
                .limit(limit)
            )
            return await opened.store.read(lambda c: [dict(row) for row in c.execute(query).mappings()])

    rows = [{**row, "text": clean(row["text"]), "subject": clean(row["subject"])} for row in run(work)]

    def human(console: Console) -> None:
        columns = ("when", "who", "class", "done", "begins")
        cells = [
            (r["at"][:16], r["email"] or "", r["class"], r["action"], " ".join(r["text"].split())[:SHOWN])
            for r in rows
        ]
        console.print(table(f"{len(rows)} replies", columns, cells))

    show(rows, as_json, human)
