"""swarm privacy · retention: show what we hold of a person, correct it, erase it; what is removed by its age."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator import privacy, processing_record
from orchestrator import retention as ageing
from orchestrator.app import open_app
from orchestrator.commands.outputs import write_new
from orchestrator.commands.terminal import (
    AsJson,
    Yes,
    confirmed,
    kernel,
    operator,
    run,
    settings,
    show,
    table,
)
from orchestrator.rules import load_rules
from shared.errors import Invalid

commands = typer.Typer()
group = typer.Typer(
    help="A person's rights: export, erase, rectify; and where each request stands.", no_args_is_help=True
)
commands.add_typer(group, name="privacy")
Who = Annotated[str, typer.Argument(help="an e-mail address, a LinkedIn address, or our id of a lead")]


@commands.callback()
def _commands() -> None:
    """Privacy."""


@group.command()
def export(
    who: Who,
    file: Annotated[
        Path | None, typer.Option(help="Write it into this new file, readable by its owner only.")
    ] = None,
) -> None:
    """Show everything we hold of a person, as one JSON document: their rows by table, mentions, files, suppression.

    What vendors hold is exported there. Mentions in texts about many people are named by place, not quoted.
    """

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="privacy") as app:
            return await privacy.export(app, who, by=operator())

    document = run(work)
    if file is None:
        show(document, True, "")
        return
    run(lambda: write_new(file, _one(document)))
    show(
        {"file": str(file)},
        False,
        f"Written to {file}. It holds personal data: hand it over, then delete it.",
    )


async def _one(document: dict[str, Any]) -> AsyncIterator[tuple[int, str]]:
    yield 1, json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


@group.command()
def erase(who: Who, yes: Yes = False, as_json: AsJson = False) -> None:
    """Erase a person from everything of ours, after suppressing them so that nobody writes to them again.

    Stopped, or run again, it goes on where it stood; the schedule `privacy` goes on with what has to wait. What has to
    be done at vendors by hand becomes handoffs with steps and a due time. There is no way back.
    """
    if not confirmed("Erase this person everywhere here? There is no way back.", yes):
        raise typer.Exit(1)

    async def work() -> privacy.Request:
        async with open_app(settings(), role="privacy") as app:
            return await privacy.erase(app, who, by=operator())

    _tell(run(work), as_json)


@group.command()
def rectify(
    who: Who,
    change: Annotated[list[str], typer.Option("--set", help="field=value; may be given several times")],
    why: Annotated[
        str, typer.Option("--reason", help="Who says so: goes into the lead's sources and the audit log.")
    ],
    as_json: AsJson = False,
) -> None:
    """Correct what we know of a person: first_name, last_name, title, company, phone, linkedin_url, location, country.

    The CRM's contact is changed as well, through the gate; what has to be corrected elsewhere becomes handoffs.
    """
    changes = dict(_pair(one) for one in change)

    async def work() -> privacy.Request:
        async with open_app(settings(), role="privacy") as app:
            return await privacy.rectify(app, who, changes, by=operator(), why=why)

    _tell(run(work), as_json)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not value.strip():
        raise Invalid("expected field=value", field="set")
    return name.strip(), value.strip()


def _tell(found: privacy.Request, as_json: bool) -> None:
    waits = f" It waits for {found.waits_for}." if found.waits_for else ""
    show(
        asdict(found),
        as_json,
        f"Request {found.id}: {found.kind}, {found.state}, due {found.due_at[:16]}.{waits}",
    )


@group.command()
def close(
    handoff: Annotated[str, typer.Argument(help="its id, or the beginning of it: swarm handoffs")],
    note: Annotated[str, typer.Option("--note", help="What was done, without naming the person.")],
    as_json: AsJson = False,
) -> None:
    """Say that a handoff of a request is done: its steps at the vendor. The request ends with its last one."""

    async def work() -> privacy.Request:
        async with open_app(settings(), role="privacy") as app:
            return await privacy.close_ticket(app, handoff, by=operator(), note=note)

    _tell(run(work), as_json)


@group.command("list")
def list_requests(as_json: AsJson = False) -> None:
    """List requests with state and deadline; those that aren't done first. No request names its person."""

    async def work() -> list[privacy.Request]:
        async with kernel() as opened:
            return await privacy.listed(opened)

    found = run(work)

    def human(console: Console) -> None:
        cells = [
            (one.id, one.kind, one.state, one.asked_at[:16], _due(one), one.waits_for, one.asked_by)
            for one in found
        ]
        columns = ("id", "kind", "state", "asked", "due", "waits for", "by")
        console.print(table(f"{len(found)} requests", columns, cells))

    show([asdict(one) for one in found], as_json, human)


def _due(one: privacy.Request) -> str:
    return f"{one.due_at[:16]}{' OVERDUE' if one.overdue else ''}"


@group.command()
def record() -> None:
    """Print the record of processing (GDPR Art. 30) as Markdown, from privacy.yaml and what the program has."""
    found = settings()
    vendors = {name: one.base_url for name, one in found.vendors.items()}
    sys.stdout.write(processing_record.record(load_rules(found.folder).privacy, vendors))


@commands.command()
def retention(
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove it now; the schedule does so each night.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Show what is older than privacy.yaml allows, by kind; with --apply it is removed, a batch at a time.

    Nobody is removed while something of theirs is under way. The do-not-contact list stays.
    """
    if apply and not confirmed("Remove what is due? There is no way back.", yes):
        raise typer.Exit(1)

    async def work() -> list[ageing.Due]:
        async with open_app(settings(), role="retention", ports=()) as app:
            if apply:
                await ageing.apply(app)
            return await ageing.due(app.kernel, app.rules.privacy.retention)

    found = run(work)

    def human(console: Console) -> None:
        cells = [(one.name, one.days, one.count, one.why) for one in found]
        console.print(table("Due, after removing it" if apply else "Due", ("", "days", "due", "why"), cells))

    show([asdict(one) for one in found], as_json, human)
