"""5,000 opt-outs while mail is being sent: none is lost, none waits, nobody is written to after theirs."""

import asyncio
import math
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from shared.kernel import Kernel
from shared.schema import audit_detail, audit_leaf
from shared.settings import Settings
from tests.shared.world import Vendor, contact, opened

Make = Callable[..., Settings]
MANY = 5_000
AT_ONCE = 25  # answers that are waited for at the same time


def person(number: int) -> str:
    return f"p{number}@corp{number % 900}.example"


async def opt_out(kernel: Kernel, numbers: list[int], waits: list[float]) -> None:
    for number in numbers:
        began = time.perf_counter()
        await kernel.suppression.add(person(number), reason="unsubscribed", source="webhook")
        waits.append(time.perf_counter() - began)


async def send(kernel: Kernel, vendor: Vendor, over: asyncio.Event) -> None:
    """Write to everybody in turn, from the other end, as long as opt-outs come."""
    number = 0
    while not over.is_set():
        await kernel.gate.submit(
            contact(person(MANY - 1 - number % MANY), vendor="bench", intent=f"n{number}"), vendor
        )
        number += 1


def positions(connection: sa.Connection, kind: str) -> dict[str, int]:
    """Who an entry of that kind is about, and where in the log the last one stands."""
    both = audit_leaf.join(audit_detail, audit_detail.c.seq == audit_leaf.c.seq)
    query = sa.select(audit_detail.c.subject, audit_leaf.c.seq).select_from(both)
    rows = connection.execute(
        query.where(audit_leaf.c.data.contains(f'"kind":"{kind}"')).order_by(audit_leaf.c.seq)
    )
    return {row.subject: row.seq for row in rows}


@pytest.mark.requirement("F22", "I3", "I4", "U3")
async def test_five_thousand_opt_outs_in_a_minute(settings_for: Make) -> None:
    async with opened(settings_for(SAFE_MODE="false")) as kernel:
        vendor, waits, over = Vendor(), list[float](), asyncio.Event()
        sender = asyncio.create_task(send(kernel, vendor, over))
        began = time.perf_counter()
        await asyncio.gather(*(opt_out(kernel, list(range(n, MANY, AT_ONCE)), waits) for n in range(AT_ONCE)))
        took = time.perf_counter() - began
        over.set()
        await sender

        assert took < 60, f"{took:.1f} s"
        assert sorted(waits)[math.ceil(0.99 * MANY) - 1] < 1.0
        everybody = [person(n) for n in range(MANY)]
        assert set((await kernel.suppression.refused(everybody)).values()) == {"suppressed"}
        assert len(await kernel.suppression.refused(everybody)) == MANY, "none is lost"
        added = await kernel.store.read(lambda c: positions(c, "suppression.added"))
        sent = await kernel.store.read(lambda c: positions(c, "effect.claimed"))
        assert len(added) == MANY
        assert len(sent) > 20, "a sender was at work"
        assert not [email for email, at in sent.items() if at > added[email]], (
            "nobody after their own opt-out"
        )
        assert (await kernel.audit.verify()).ok
