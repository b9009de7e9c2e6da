"""A small real server: every kind of answer, argument and failure, for the tests of the MCP side."""

import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import Field

from shared.effect import Json, Outcome
from shared.errors import ConfigError, Conflict, Invalid, NotSent
from shared.kernel import Kernel
from shared.ports import BatchOutcome, Check, ContactPage, ContactRecord, ContactView, Extracted
from shared.progress import Progress
from shared.resource import Argument, Prompt, Resource
from shared.settings import Settings, load_settings
from shared.suite import Server
from shared.telemetry import correlation
from shared.tool import reads, writes


@dataclass
class Little:
    """The opened server: remembers what it was asked to keep."""

    kept: list[ContactRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Moment:
    """A record with something that may be absent."""

    at: datetime
    until: datetime | None = None
    any_json: Mapping[str, Json] = field(default_factory=dict)


@reads("Find people", open_world=False)
async def find_people(
    little: Little,
    query: Annotated[str, Field(description="words in the name", min_length=1, max_length=50)] = "a",
    limit: Annotated[int, Field(ge=1, le=2000)] = 2,
    order: Literal["name", "age"] = "name",
) -> ContactPage:
    """People whose name holds the words, a page at a time."""
    contacts = tuple(ContactView(id=f"c{n}", email=f"{query}{n}@corp.example") for n in range(limit))
    return ContactPage(contacts, omitted=3, next_cursor="n2")


@reads("Check set-up")
async def check_setup(little: Little) -> tuple[Check, ...]:
    """Whether all is there."""
    return (Check("fields", ok=True), Check("tags", ok=False, message="Create the tag."))


@reads("Show a moment")
async def get_moment(little: Little, ended: bool = False) -> Moment:
    """A moment, which may have ended."""
    at = datetime(2026, 11, 1, tzinfo=UTC)
    return Moment(at, at if ended else None, {"deep": [{"er": None}]})


@reads("Parse")
async def parse(little: Little, path: str) -> Extracted:
    """A document with hidden characters and a lot of text."""
    return Extracted(path, {"zero\u200bwidth": ["\u202ereversed", "bell\x07"]}, "word \ud800" * 3_000)


@writes("Keep people")
async def upsert_contacts(little: Little, contacts: Sequence[ContactRecord]) -> BatchOutcome:
    """Keep people; those at blocked.example are refused."""
    progress = Progress(len(contacts))
    for one in contacts:
        little.kept.append(one)
        await progress.one()
    done = [
        Outcome("refused", "suppressed", "A recipient opted out.")
        if one.email.endswith("@blocked.example")
        else Outcome("applied", reference=f"ref-{one.email}", correlation_id=correlation())
        for one in contacts
    ]
    return BatchOutcome.of(done)


@writes("Remove a person", destructive=True, stops=True)
async def remove_lead(little: Little, email: str, reason: str = "") -> Outcome:
    """Remove a person."""
    return Outcome("simulated", "safe_mode", f"Would have removed {email}.", detail={"why": reason})


@reads("Fail")
async def fail_always(
    little: Little, how: Literal["invalid", "conflict", "retry", "config", "bug"]
) -> Outcome:
    """Fail in a chosen way."""
    errors: Mapping[str, Exception] = {
        "invalid": Invalid("The address lacks a domain.", field="email"),
        "conflict": Conflict("This key was used before with other content."),
        "retry": NotSent("The vendor asks to wait.", retry_after=7.5, code="rate_limited"),
        "config": ConfigError("password=hunter2 at line 3"),
        "bug": ValueError("connection string with password=hunter2"),
    }
    raise errors[how]


@reads("Rarely wanted")
async def get_rarity(little: Little) -> Mapping[str, int]:
    """In a toolset that is off by default."""
    return {"rare": 1}


async def rules(little: Little) -> str:
    """A text that there is one of, with something hidden in it."""
    return "# Rules\u200b\n\nBe kind.\u202e"


async def person(little: Little, id: str) -> str:  # noqa: A002 - the address calls it so
    """A text by an id; too long, unknown or broken on request."""
    if id == "nobody":
        raise Invalid("nobody is known by that id", field="uri", code="not_found")
    if id == "bug":
        raise ValueError("connection string with password=hunter2")
    return f"# {id}\n" + "line\n" * (20_000 if id == "long" else 1)


async def greet(little: Little, name: str, style: str = "") -> str:
    """A prompt with a needed and a free argument."""
    return f"Greet {name}{' ' + style if style else ''}."


RESOURCES = (
    Resource("little://rules", "rules", "Rules", "What holds here.", rules),
    Resource("little://people/{id}", "person", "A person", "By id.", person),
)
PROMPTS = (
    Prompt(
        "greet",
        "Greet",
        "Say hello.",
        greet,
        (Argument("name", "whom", required=True), Argument("style", "how")),
    ),
)

TOOLS = (
    find_people,
    check_setup,
    get_moment,
    parse,
    upsert_contacts,
    remove_lead,
    fail_always,
    get_rarity,
)


@asynccontextmanager
async def opened(kernel: Kernel) -> AsyncIterator[Little]:
    """Nothing to connect to."""
    yield Little()


SERVER = Server(
    name="little",
    title="Little",
    instructions="A server for tests.",
    open=opened,
    tools=TOOLS,
    ports=("documents",),
    toolsets={"rare": ("get_rarity",)},
    resources=RESOURCES,
    prompts=PROMPTS,
)


class Keeper(Protocol):
    """What the little server does, as a port."""

    async def check_setup(self) -> tuple[Check, ...]: ...

    async def find_people(self, query: str = "a", limit: int = 2) -> ContactPage: ...

    async def get_moment(self, ended: bool = False) -> Moment: ...

    async def upsert_contacts(self, contacts: Sequence[ContactRecord]) -> BatchOutcome: ...

    async def remove_lead(self, email: str, reason: str = "") -> Outcome: ...

    async def fail_always(self, how: str) -> Outcome: ...


def little_settings(folder: Path, binding: str = "in_process", **environ: str) -> Settings:
    """The shipped safety rules, and a suite of this one server."""
    config = folder / "config"
    (config / "vendors").mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).parent.parent / "config" / "safety.yaml", config)
    suite = (
        f"servers: {{little: tests.little}}\nports: {{documents: {{server: little, binding: '{binding}'}}}}\n"
    )
    (config / "suite.yaml").write_text(suite)
    home = {"SWARM_HOME": str(folder / "home"), "SWARM_CONFIG": str(config)}
    return load_settings(None, {**home, **environ})
