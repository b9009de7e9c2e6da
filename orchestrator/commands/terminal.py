"""How commands speak: one JSON document with `--json`, else a table or a sentence; errors on stderr with their kind."""

import getpass
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

import anyio
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from shared.approval import Person
from shared.kernel import Kernel, open_kernel
from shared.keys import load_keys
from shared.settings import Settings, load_settings
from shared.telemetry import configure, correlated, logger

if sys.platform != "win32":
    import pwd

ResultT = TypeVar("ResultT")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; goes into the audit log.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


def settings(level: str = "WARNING") -> Settings:
    """The configuration, and logging set up by it."""
    found = load_settings()
    # Only where there is an installation: a command that is refused for its configuration makes none.
    known = (found.home / "keys").is_dir()
    pepper = load_keys(found.home).pepper if known else secrets.token_bytes(32)
    configure(level, pepper, found.secret_values)
    for warning in found.warnings:
        logger("settings").warning("settings.unclear", note=warning)
    return found


def run(work: Callable[[], Awaitable[ResultT]]) -> ResultT:
    """Run an async command under a correlation id of its own."""

    async def traced() -> ResultT:
        with correlated():
            return await work()

    return anyio.run(traced)


@asynccontextmanager
async def kernel() -> AsyncIterator[Kernel]:
    """The kernel for a short command."""
    async with open_kernel(settings(), role="command") as opened:
        yield opened


def operator() -> Person:
    """Whoever sits at the host's own command line: the break-glass admin. By user id: a variable could say anything."""
    return Person(f"{_user()}@host", "admin")


def _user() -> str:
    if sys.platform == "win32":
        return getpass.getuser()
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user has a number and no name
        return str(os.getuid())


def show(value: Any, as_json: bool, human: Callable[[Console], None] | str) -> None:
    """Print a result for a program or for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
        return
    console = Console()
    if isinstance(human, str):
        console.print(escape(human))
    else:
        human(console)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A plain table; every cell is text, never markup."""
    headed = any(columns)
    made = Table(
        *columns,
        title=title,
        title_justify="left",
        header_style="bold",
        show_header=headed,
        min_width=min(len(title), 60),
    )
    cells = [[escape(str(cell)) for cell in row] for row in rows]
    for row in cells or [["none yet", *([""] * (len(columns) - 1))]]:
        made.add_row(*row)
    return made


def pairs(title: str, values: Mapping[str, object]) -> Table:
    """Names and values."""
    return table(title, ("", ""), [(name.replace("_", " "), value) for name, value in values.items()])


def fail(message: str, kind: str, status: int, field: str = "") -> NoReturn:
    """End the command with a sentence on stderr, or with JSON when it was asked for."""
    if "--json" in sys.argv:
        error = {"kind": kind, "message": message, **({"field": field} if field else {})}
        sys.stdout.write(json.dumps({"error": error}) + "\n")
    else:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]{kind}[/]: {escape(message)}")
    sys.exit(status)


@contextmanager
def progress(total: int, unit: str, as_json: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, fed with how much is done; nothing where nobody looks."""
    if as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=max(1, total))
        yield lambda done: bar.update(task, completed=min(done, total))


@contextmanager
def counting(unit: str, as_json: bool) -> Iterator[Callable[[int], None]]:
    """A count on a terminal, where nobody knows of how many; nothing where nobody looks."""
    if as_json or not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status(f"0 {unit}") as shown:
        yield lambda done: shown.update(f"{done:,} {unit}")


def confirmed(question: str, yes: bool) -> bool:
    """Ask before something that loosens safety; without a terminal only `--yes` will do."""
    if yes:
        return True
    if not sys.stdin.isatty():
        fail("this loosens safety: confirm with --yes, or run it at a terminal", "validation", 2)
    return typer.confirm(question, default=False)
