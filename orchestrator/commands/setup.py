"""swarm init · doctor · connections: first steps, and whether everything is well."""

import json
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator import checkup
from orchestrator.app import App, open_app
from orchestrator.commands.terminal import AsJson, kernel, run, settings, show, table
from orchestrator.inbox import not_understood
from orchestrator.links import first_admin_link
from orchestrator.rules import load_rules
from shared.errors import Conflict, SwarmError
from shared.kernel import running
from shared.ports import Check
from shared.settings import Settings, configured_database, without_password

commands = typer.Typer()
FREE_BYTES = 500_000_000
PLACES = 2  # that the database's owner doesn't control
SERVERS = ("ghl", "hunter", "enricher", "instantly", "documents", "orchestrator")


@commands.command()
def init(
    folder: Annotated[Path, typer.Option(help="where config/ should stand")] = Path("config"),
    address: Annotated[
        str, typer.Option(help="the Gatekeeper's address, for the first admin's link")
    ] = "http://127.0.0.1:8080",
    as_json: AsJson = False,
) -> None:
    """Write a starter configuration if there is none, make the data folder and keys, and the first admin's link.

    Also prints the servers' entry for an MCP client, with absolute paths.
    """
    shipped = Path(__file__).parent.parent.parent / "config"
    written = False
    if not folder.exists():
        shutil.copytree(shipped, folder)
        written = True

    async def work() -> dict[str, Any]:
        # The checkpoints tie this folder to this database: without DATABASE_URL nothing starts here any more.
        async with kernel() as opened, running(opened, "init"):
            try:
                link = await first_admin_link(opened, address)
            except Conflict:
                link = ""
            return {
                "config": str(folder.absolute()),
                "config_written": written,
                "data": str(opened.settings.home),
                "first_admin": link,
                "mcp": mcp_entries(opened.settings),
            }

    result = run(work)

    def human(console: Console) -> None:
        console.print(f"Configuration in {result['config']}, data in {result['data']}", highlight=False)
        if result["first_admin"]:
            console.print(f"First admin, once, within a day: {result['first_admin']}", highlight=False)
        console.print("For an MCP client:")
        console.print_json(json.dumps(result["mcp"]))

    show(result, as_json, human)


def mcp_entries(found: Settings) -> dict[str, Any]:
    """What an MCP client that starts elsewhere needs: absolute paths, every variable spelled out."""
    environment = {
        "SWARM_HOME": str(found.home),
        "SWARM_CONFIG": str(found.folder.absolute()),
        "SAFE_MODE": "true",
    }
    if database := configured_database():  # one without it would keep a suppression list of its own
        environment["DATABASE_URL"] = without_password(database)
    entries = {
        name: {"command": sys.executable, "args": ["-m", "servers", name], "env": environment}
        for name in SERVERS
    }
    return {"mcpServers": entries}


@commands.command()
def doctor(as_json: AsJson = False) -> None:
    """Check configuration, data folder, database, audit log, clock, vendors, alerts and disk.

    Says what to do about each problem. A vendor is left alone while its breaker is open; nothing asks it here.
    """

    async def work() -> list[Check]:
        found = settings()
        checks = [
            Check("configuration", ok=True, message=f"{found.folder} is valid"),
            _disk(found),
        ]
        load_rules(found.folder)
        async with open_app(found, role="command", ports=()) as app:
            return [*checks, *await _inside(app)]

    _tell(run(work), "Health", as_json)


def _disk(found: Settings) -> Check:
    found.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(found.home).free
    return Check("disk", ok=free > FREE_BYTES, message=f"{free // 1_000_000:,} MB free at {found.home}")


async def _inside(app: App) -> list[Check]:
    health = await app.kernel.store.health()
    verdict = await app.kernel.audit.verify()
    counts = await app.kernel.ledger.counts()
    safety = await app.kernel.switches.now()
    doubtful, odd = counts.get("in_doubt", 0), await not_understood(app.kernel)
    return [
        Check("database", ok=health.durable, message=health.text),
        Check(
            "audit log",
            ok=verdict.ok,
            message="; ".join(verdict.problems) or f"{verdict.size} entries verified",
        ),
        _watched_over(app),
        Check(
            "effects in doubt", ok=doubtful == 0, message=f"{doubtful}; swarm effects list --status in_doubt"
        ),
        Check("webhooks not understood", ok=odd == 0, message=f"{odd}; the log has why"),
        *await checkup.look(app.kernel),
        Check("kill switch", ok=not safety.killed, message=", ".join(safety.kill_sources) or "off"),
        Check(
            "safe mode",
            ok=True,
            message="on: " + ", ".join(safety.safe_sources) if safety.safe_mode else "off",
        ),
    ]


def _watched_over(app: App) -> Check:
    """Who outside can prove a rollback. A must once anything real is sent; for emulators it's only told."""
    settings = app.kernel.settings
    due = settings.safety.checkpoints
    told = settings.variables.keys() & {"SLACK_WEBHOOK_URL", "SMTP_URL"} if due.tell_minutes else set()
    count = len(due.publish_to) + len(due.witnesses) + len(told)
    said = f"{count} places outside get checkpoints; two are needed (docs/RUNBOOK.md, Proof)"
    return Check("audit log watched over", ok=count >= PLACES or settings.all_sandbox, message=said)


@commands.command()
def connections(as_json: AsJson = False) -> None:
    """Ask each vendor whether credentials, scopes and set-up are right; changes nothing there."""

    async def work() -> list[Check]:
        async with open_app(settings(), role="command") as app:
            return [
                check
                for name in ("crm", "sequencer", "enricher", "source")
                for check in await _ask(app, name)
            ]

    _tell(run(work), "Vendors", as_json)


async def _ask(app: App, port: str) -> list[Check]:
    """One port's word for its vendors; a vendor that doesn't answer is a line, not an end."""
    try:
        return await ASK[port](app)
    except SwarmError as error:
        return [Check(port, ok=False, message=error.message)]


async def _crm(app: App) -> list[Check]:
    return list(await app.suite.crm.check_setup())


async def _sequencer(app: App) -> list[Check]:
    return list(await app.suite.sequencer.check_setup())


async def _enricher(app: App) -> list[Check]:
    budget = await app.suite.enricher.get_budget()
    return [Check("enricher", ok=True, message=f"{budget.spent} of {budget.limit} credits spent today")]


async def _source(app: App) -> list[Check]:
    return [
        Check(s.name, ok=s.ready, message=s.message or s.kind) for s in await app.suite.source.list_sources()
    ]


ASK: dict[str, Callable[[App], Awaitable[list[Check]]]] = {
    "crm": _crm,
    "sequencer": _sequencer,
    "enricher": _enricher,
    "source": _source,
}


def _tell(checks: list[Check], title: str, as_json: bool) -> None:
    rows = [("ok" if check.ok else "PROBLEM", check.name, check.message) for check in checks]
    plain = [{"name": check.name, "ok": check.ok, "message": check.message} for check in checks]
    show(plain, as_json, lambda console: console.print(table(title, ("", "what", ""), rows)))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
