"""One person's whole history."""

import sqlalchemy as sa

from orchestrator import handling
from orchestrator.stops import suppress
from orchestrator.timeline import history
from shared.event import Event
from shared.kernel import Kernel
from shared.schema import effect
from tests.orchestrator.world import alone, people, planned, put

FIRST = "person1@corp1.com"


async def test_everything_that_happened_to_a_person_is_told_oldest_first(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    made = {"key": "k", "vendor": "ghl", "action": "upsert_contact", "status": "applied", "target": FIRST}
    await put(app, sa.insert(effect).values(**made, settled_at="2026-11-02"))
    await handling.handle(app, Event("1", "instantly", "replied", "", email=FIRST, text="What does it cost?"))
    found = await history(live_kernel, FIRST)
    assert found is not None
    whats = [entry["what"].split(":")[0] for entry in found["timeline"]]
    for what in ("found", "event replied", "effect ghl.upsert_contact", "reply", "stop sequence"):
        assert what in whats, what
    assert [e["at"] for e in found["timeline"]] == sorted(e["at"] for e in found["timeline"])


async def test_somebody_who_may_not_be_written_to_is_shown_as_such(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await suppress(live_kernel, FIRST, reason="asked", source="test")
    found = await history(live_kernel, people(1)[0].id)
    assert found is not None
    assert found["person"]["suppressed"] == "suppressed"


async def test_what_they_wrote_is_not_part_of_the_history(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await handling.handle(
        app, Event("1", "instantly", "replied", "", email=FIRST, text="a very private answer")
    )
    assert "private" not in repr(await history(live_kernel, FIRST))


async def test_nobody_is_found_by_an_unknown_name(live_kernel: Kernel) -> None:
    for name in ("", "nobody", "nobody@corp1.com"):
        assert await history(live_kernel, name) is None, name
