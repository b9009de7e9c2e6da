"""swarm suppress · complaint · unsuppress · suppression · lead: who must not be written to, and one person."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import sqlalchemy as sa
import typer
from rich.console import Console

from orchestrator import complaints, lists, relaxing, stops, syncing
from orchestrator.app import open_app
from orchestrator.commands.outputs import write_new
from orchestrator.commands.terminal import (
    AsJson,
    Reason,
    confirmed,
    counting,
    kernel,
    operator,
    pairs,
    progress,
    run,
    settings,
    show,
    table,
)
from orchestrator.timeline import history
from orchestrator.unconfirmed import unconfirmed_in
from shared.address import ascii_domain, bare, read_address
from shared.errors import Fatal, Invalid
from shared.schema import suppression as suppression_table
from shared.spool import Kept, Spool
from shared.store import Unavailable
from shared.suppression import DOMAIN, EXACT

commands = typer.Typer()
suppression = typer.Typer(help="The do-not-contact list: look, take in, give out.", no_args_is_help=True)
commands.add_typer(suppression, name="suppression")


@commands.command()
def suppress(
    target: Annotated[str, typer.Argument(help="an e-mail address, or a company's domain")],
    reason: Reason = "asked to be left alone",
    as_json: AsJson = False,
) -> None:
    """Never write to this address, or to anyone at this domain; stops what runs for them, at once.

    Where the database can't be opened it waits in the spool, and nothing is sent before it was taken in.
    """
    who = operator().name

    async def work() -> dict[str, Any]:
        try:
            async with kernel() as opened:
                added = await stops.suppress(opened, target, reason=reason, source="operator", actor=who)
                return {"target": target, "added": added, "waits": opened.spool.waiting()}
        except (Unavailable, Fatal):
            await Spool(settings().home).keep(Kept((readable(target),), reason, "operator", who))
            return {"target": target, "added": True, "waits": True}

    result = run(work)
    human = f"{target} is suppressed." if result["added"] else f"{target} was on the list already."
    if result["waits"]:
        human = f"{target} waits to be put on the list: the database can't be written. Nothing is sent before it is."
    show(result, as_json, human)


@commands.command()
def complaint(
    email: Annotated[str, typer.Argument(help="the address of whoever complained")],
    reason: Annotated[str, typer.Option("--reason", help="How it was heard of; goes into the audit log.")],
    as_json: AsJson = False,
) -> None:
    """Note a spam complaint that came by telephone, letter, a provider's page, or in a reply that says so.

    They are never written to again, what runs for them stops, and it counts as a complaint at once: by the rules in
    `config/safety.yaml` that may stop everything (`swarm status`). The same address within a day counts once.
    """
    who = operator().name

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command", ports=()) as app:
            new = await complaints.note(app, email, reason=reason, actor=who)
            halts = [f"{one.rule}: {one.action} {one.scope}" for one in await app.kernel.halts.standing()]
            return {"email": email, "noted": new, "halts": halts}

    result = run(work)
    human = (
        f"{email} is suppressed, and counted as a complaint."
        if result["noted"]
        else f"{email} is noted already."
    )
    show(result, as_json, "\n".join([human, *(f"Stands still by a rule: {one}" for one in result["halts"])]))


def readable(target: str) -> str:
    """The target; `Invalid` for what is neither an address nor a domain, told at once although nothing is open."""
    if "@" in bare(target):
        read_address(target)
    elif "." not in ascii_domain(bare(target).strip(".")):
        raise Invalid("expected an e-mail address or a domain", field="target", code="not_an_address")
    return target


@commands.command()
def unsuppress(
    target: Annotated[str, typer.Argument(help="an e-mail address, or a company's domain")],
    reason: Annotated[
        str, typer.Option("--reason", help="Why, and who asked for it; goes into the audit log.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Without the second admin that this needs; everybody is told.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take somebody off the do-not-contact list. For the admin at this host; asks first.

    What vendors hold against them (block list, do-not-contact mark) is lifted there first, by hand: the next
    comparison brings back what they still hold.
    """
    if not confirmed(f"May {target} be written to again?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            answer = await relaxing.lift(opened, target, person=operator(), reason=reason, alone=alone)
            still = await opened.suppression.find(target)
            return {"target": target, "lifted": answer.moved, "still_suppressed": still is not None}

    result = run(work)
    human = f"{target} may be written to again." if result["lifted"] else f"{target} was not on the list."
    if result["still_suppressed"]:
        human = f"{target} is still suppressed, by its domain or another spelling."
    show(result, as_json, human)


@suppression.command("import")
def import_list(
    file: Annotated[Path, typer.Argument(help="addresses or domains, one a line, or CSV; or our own export")],
    reason: Reason = "imported",
    source: Annotated[str, typer.Option(help="where the list is from")] = "",
    as_json: AsJson = False,
) -> None:
    """Put everybody in a file on the list; lines that can't be taken go into a quarantine file with their reason.

    Taking the same file in twice changes nothing. Whoever is on it is taken out of running campaigns.
    """

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            with _readable(file) as raw, progress(file.stat().st_size, "bytes", as_json) as told:
                said = lists.Said(reason, source or file.name, operator().name)
                return asdict(await lists.take_in(opened, raw, file.name, said, told))

    result = run(work)

    def human(console: Console) -> None:
        kept = f"{result['new']} new, {result['known']} known before, {result['bad']} could not be taken"
        console.print(f"{kept}; {result['stopped']} people taken out of campaigns.", highlight=False)
        for problem in result["problems"]:
            console.print(problem, markup=False, highlight=False)
        if result["quarantine_file"]:
            console.print(f"Those lines are in {result['quarantine_file']}", highlight=False, markup=False)

    show(result, as_json, human)


def _readable(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise Invalid(f"{file} can't be read: {error.strerror}", field="file") from error


@suppression.command("export")
def export_list(
    file: Annotated[Path, typer.Argument(help="a new file; CSV of keyed hashes")], as_json: AsJson = False
) -> None:
    """Write the list to a file: keyed hashes with reason, source and time.

    Only an installation with the same key can take it in.
    """

    async def work() -> int:
        async with kernel() as opened:
            total = await opened.suppression.count()
            with progress(total, "entries", as_json) as told:
                return await write_new(file, lists.export(opened), told)

    count = run(work)
    show({"file": str(file), "entries": count}, as_json, f"{count} entries in {file}")


@suppression.command("check")
def check(
    target: Annotated[str, typer.Argument(help="an e-mail address or a domain")], as_json: AsJson = False
) -> None:
    """Say whether somebody is on the list, and why."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            # Who opted out while the database couldn't be written isn't on the list yet, and is refused all the same.
            await opened.spool.take_in(opened.store, opened.suppression, opened.clock)
            found = await opened.suppression.find(target)
            return {"target": target, "suppressed": found is not None, **(asdict(found) if found else {})}

    result = run(work)
    human = f"{target} is suppressed since {result.get('at')}: {result.get('reason')}"
    show(result, as_json, human if result["suppressed"] else f"{target} is not on the list.")


@suppression.command("sync")
def sync_lists(
    everything: Annotated[
        bool, typer.Option("--all", help="From end to end of every list, however long that takes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare our list with the CRM's do-not-contact marks and the sequencer's block list, and tell each what it lacks.

    The worker does this every few minutes, by what changed and a part of the whole. Nothing is taken off any list.
    Status 1 where a vendor hasn't confirmed an entry; `swarm suppression pending` lists those.
    """

    async def work() -> dict[str, Any]:
        async with open_app(settings(), role="command") as app:
            with counting("entries", as_json) as told:
                found = await syncing.sync(app, whole=everything, told=lambda so_far: told(so_far.looked_at))
            left = await app.kernel.store.read(lambda c: unconfirmed_in(c, app.kernel.clock.now()))
            return {**asdict(found), "unconfirmed": len(left)}

    result = run(work)
    human = (
        f"{result['looked_at']} entries looked at, {result['new']} new to us, {result['told']} told to vendors, "
        f"{result['unconfirmed']} not confirmed yet."
    )
    show(result, as_json, human)
    if result["unconfirmed"]:
        raise typer.Exit(1)


@suppression.command("pending")
def pending(as_json: AsJson = False) -> None:
    """List opt-outs that a vendor hasn't confirmed, the oldest first, with what is to be entered there by hand.

    Nothing goes to them from here meanwhile, and each is tried again by itself. The same list is on `/safety`.
    """

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            found = await opened.store.read(lambda c: unconfirmed_in(c, opened.clock.now()))
            return [asdict(one) for one in found]

    rows = run(work)

    def human(console: Console) -> None:
        cells = [
            (
                r["target"],
                r["reason"],
                f"{r['age_seconds'] / 60:.0f} min",
                r["attempts"],
                "; ".join(r["to_do"]),
            )
            for r in rows
        ]
        columns = ("who", "why", "for", "attempts", "to be done there")
        console.print(table(f"{len(rows)} not confirmed", columns, cells))

    show(rows, as_json, human)


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
