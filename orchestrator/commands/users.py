"""swarm user: who may log in at the Gatekeeper, and as what."""

from typing import Annotated, Any

import typer
from rich.console import Console

from orchestrator.accounts import Accounts
from orchestrator.commands.terminal import AsJson, Yes, confirmed, kernel, operator, run, show, table
from orchestrator.links import invitation, invited, password_link, withdraw
from orchestrator.roles import ROLES, allowed
from shared.errors import Invalid

commands = typer.Typer()
users = typer.Typer(no_args_is_help=True)
commands.add_typer(
    users, name="user", help="Who may log in: invite, list, change the role, give a new password, disable."
)
Email = Annotated[str, typer.Argument(help="the address to log in with")]
Role = Annotated[
    str,
    typer.Option(
        help="viewer reads · ae approves and stops · operator also C-level, new templates · admin all"
    ),
]
Address = Annotated[str, typer.Option(help="the Gatekeeper's address, for the link")]
LOCAL = "http://127.0.0.1:8080"


@users.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="as shown beside decisions")],
    role: Role = "viewer",
    address: Address = LOCAL,
    as_json: AsJson = False,
) -> None:
    """Invite somebody: prints a link, good once and for a day, with which they choose their own password."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            link = await invitation(opened, address, email, name, role, by=operator().name)
            return {"email": email, "role": role, "link": link}

    result = run(work)
    show(result, as_json, f"{email} becomes {role} with this link, once, within a day: {result['link']}")


@users.command("list")
def list_users(as_json: AsJson = False) -> None:
    """Everybody who has an account, and whom an invitation waits for."""

    async def work() -> list[dict[str, Any]]:
        async with kernel() as opened:
            have = [
                {
                    "email": one.email,
                    "name": one.name,
                    "role": one.role,
                    "state": "disabled" if one.disabled else "active",
                }
                for one in await Accounts(opened).all()
            ]
            wait = [
                {"email": email, "name": name, "role": role, "state": f"invited until {until}"}
                for email, name, role, until in await invited(opened)
            ]
            return have + wait

    found = run(work)
    rows = [tuple(one.values()) for one in found]

    def human(console: Console) -> None:
        console.print(table("Accounts", ("e-mail", "name", "role", "state"), rows))

    show(found, as_json, human)


@users.command()
def role(
    email: Email,
    to: Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(ROLES))],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give an account another role, at once in every session. The last admin keeps theirs."""
    if to not in ROLES:
        raise Invalid(f"a role is one of {', '.join(ROLES)}", field="role")
    if allowed(to, "relax") and not confirmed(f"{email} may then release the kill switch. Go on?", yes):
        raise typer.Exit(1)

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            changed = await Accounts(opened).change_role(email, to, by=operator().name)
            return {"email": email, "role": to, "changed": changed}

    result = run(work)
    show(result, as_json, f"{email} is {to}" + ("." if result["changed"] else " already."))


@users.command()
def password(email: Email, address: Address = LOCAL, as_json: AsJson = False) -> None:
    """For somebody who forgot theirs: prints a link, good once and for a day, to choose a new one."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            return {
                "email": email,
                "link": await password_link(opened, address, email, by=operator().name),
            }

    result = run(work)
    show(result, as_json, f"A new password for {email}, once, within a day: {result['link']}")


@users.command()
def disable(email: Email, as_json: AsJson = False) -> None:
    """Nobody logs in with it any more; its sessions and unopened links end at once. `swarm init` makes a new admin."""

    async def work() -> dict[str, Any]:
        async with kernel() as opened:
            ended = await Accounts(opened).disable(email, by=operator().name)
            return {"email": email, "disabled": ended, "link_withdrawn": await withdraw(opened, email)}

    result = run(work)
    if not result["disabled"] and not result["link_withdrawn"]:
        raise Invalid("there is no account in use and no invitation with this e-mail", field="email")
    show(result, as_json, f"{email} can't log in any more.")
