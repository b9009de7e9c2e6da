"""What tests of the kernel stand on: a clock that is moved by hand, a vendor that counts, and effects to send it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio.lowlevel
import httpx
import psycopg
import sqlalchemy as sa

from shared import ledger
from shared.approval import Item, Person
from shared.effect import Effect, Receipt
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.ledger import Proposal
from shared.postgres import BEGIN_WRITING
from shared.settings import Settings
from shared.sqlite import sqlite

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
AE = Person("Ada", "ae")


class HandClock:
    """Time that passes only by sleeping, or by hand."""

    def __init__(self, start: datetime = START) -> None:
        self.at = start
        self.ticks = 1_000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.ticks

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.move(max(0.0, seconds))
        await anyio.lowlevel.checkpoint()

    def move(self, seconds: float) -> None:
        """Time passes; a negative number sets the wall clock back."""
        self.at += timedelta(seconds=seconds)
        self.ticks += max(0.0, seconds)

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock forward: no time passes."""
        self.at += timedelta(seconds=seconds)


@dataclass
class Vendor:
    """Performs what it is asked to, and counts; answers by `script`, then with receipts."""

    script: list[Receipt | BaseException] = field(default_factory=list)
    performed: list[str] = field(default_factory=list)

    async def __call__(self, permit: Permit) -> Receipt:
        self.performed.append(permit.effect.key)
        answer = self.script.pop(0) if self.script else Receipt(f"ref-{len(self.performed)}", {"n": 1})
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Shown:
    """What a vendor shows when it is looked at: a receipt, None for nothing, or an error."""

    answer: Receipt | BaseException | None
    looks: int = 0

    async def __call__(self, effect: Effect, /) -> Receipt | None:
        self.looks += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def contact(email: str = "jane@corp.example", **changes: Any) -> Effect:
    """An effect that needs no approval."""
    made = Effect("ghl", "create_contact", email, f"contact:{email}", {"email": email}, (email,))
    return replace(made, **changes)


def enrolment(email: str = "jane@corp.example", approval: str = "", **changes: Any) -> Effect:
    """An effect that a person must have approved."""
    made = Effect(
        "instantly",
        "add_lead",
        email,
        f"campaign:c1:lead:{email}",
        {"email": email, "messages": ["Hello Jane"]},
        (email,),
        campaign="c1",
        approval=approval,
    )
    return replace(made, **changes)


async def approve(kernel: Kernel, *effects: Effect) -> str:
    """A person's yes to exactly these."""
    items = [Item(effect.vendor_action, effect.fingerprint) for effect in effects]
    return await kernel.store.write(
        lambda c: kernel.approvals.give_in(c, "campaign:c1", items, person=AE, fingerprint="f")
    )


async def leave_claimed(kernel: Kernel, effect: Effect, process: str = "4242-gone") -> None:
    """The row that a process leaves when it dies between claim and answer."""
    proposal = Proposal(effect, None, "claimed", process=process)
    await kernel.store.write(lambda c: ledger.put(c, [proposal], kernel.clock.now()))


async def kinds(kernel: Kernel) -> list[str]:
    """The kinds of the audit log's entries, oldest first."""
    return [str(entry["kind"]) for entry in reversed(await kernel.audit.tail(1_000))]


def stricter(settings: Settings, **changes: Any) -> Settings:
    """The same settings with other values in safety.yaml."""
    return replace(settings, safety=settings.safety.model_copy(update=changes))


def unguard(connection: sa.Connection) -> None:
    """What an owner of the database can do before changing what must not be changed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("ALTER TABLE audit_leaf DISABLE TRIGGER USER")
        return
    for trigger in ("audit_leaf_no_update", "audit_leaf_no_delete"):
        connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {trigger}")


class Somebody:
    """Another writer on the same database, who holds it up."""

    def __init__(self, url: str) -> None:
        if url.startswith("sqlite:///"):
            self._connection = sqlite.connect(
                url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
            )
            self._begin = "BEGIN IMMEDIATE"
        else:
            self._connection = psycopg.connect(url, autocommit=True)
            self._begin = BEGIN_WRITING

    def begin(self) -> None:
        """Whoever wants to write has to wait; reading is free."""
        self._connection.execute(self._begin)

    def end(self) -> None:
        """Nothing was written."""
        self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


@contextmanager
def written_by_somebody(kernel: Kernel) -> Iterator[None]:
    """Inside, somebody else writes and doesn't come to an end."""
    with closing(Somebody(kernel.settings.database_url)) as somebody:
        somebody.begin()
        yield
        somebody.end()


Answering = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


@asynccontextmanager
async def opened(
    settings: Settings, clock: HandClock | None = None, answer: Answering | None = None
) -> AsyncIterator[Kernel]:
    """A kernel on a clock moved by hand, whose vendors are the function `answer`."""
    transport = None if answer is None else httpx.MockTransport(answer)  # type: ignore[arg-type]
    async with open_kernel(settings, clock=clock or HandClock(), transport=transport) as kernel:
        yield kernel


def json_answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """A vendor's answer."""
    return httpx.Response(status, json=data, headers=headers)
