"""Where things stand right now, for whoever stops them or lets them go on: one consistent read of the database."""

from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa

from orchestrator import mailboxes, relaxing, standstill
from orchestrator.relaxing import Asked
from orchestrator.standstill import Progress
from shared.kernel import Kernel
from shared.switches import Safety
from shared.wire import Call, on_the_wire


@dataclass(frozen=True, slots=True)
class Situation:
    """The switches, and what they don't reach by themselves."""

    safety: Safety
    calls: tuple[Call, ...]  # on the wire: each ends by itself
    at_vendor: Progress  # campaigns that the vendor sends
    mailboxes: Progress  # of ours, that the vendor sends from
    asked: tuple[Asked, ...]  # what waits for a second admin
    two_needed: bool


def situation_in(kernel: Kernel, connection: sa.Connection) -> Situation:
    """In the caller's transaction."""
    safety = kernel.switches.state(connection)
    return Situation(
        safety,
        tuple(on_the_wire(connection, kernel.clock.now())),
        standstill.progress(connection, safety),
        mailboxes.progress(connection, safety),
        tuple(relaxing.waiting(kernel, connection)),
        relaxing.two_needed(kernel, connection),
    )


async def situation(kernel: Kernel) -> Situation:
    """As it is now."""
    return await kernel.store.read(lambda c: situation_in(kernel, c))


def left_over(kernel: Kernel, found: Situation) -> dict[str, Any]:
    """What a stop leaves to end by itself, and what the vendor has yet to confirm; as a document."""
    rules = kernel.settings.safety
    return {
        "on_the_wire": [asdict(call) for call in found.calls],
        "bound": {"calls": rules.concurrent_calls, "seconds": rules.call_deadline_seconds},
        "vendor_campaigns": _told(found.at_vendor),
        "vendor_mailboxes": _told(found.mailboxes),
    }


def _told(one: Progress) -> dict[str, Any]:
    open_ones = [asdict(still) for still in one.open]
    return {"confirmed": one.confirmed, "of": one.of, "unconfirmed": open_ones}
