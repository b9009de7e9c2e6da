"""The event log: each kind is read from where it is stored once, in order, and what isn't over is no event."""

from datetime import timedelta
from typing import get_args

import pytest
import sqlalchemy as sa

from orchestrator.happenings import KINDS, OWN, OwnKind, happenings
from shared.clock import iso
from shared.kernel import Kernel
from tests.orchestrator.past import MONDAY, Past

FROM, UNTIL = iso(MONDAY - timedelta(days=1)), iso(MONDAY + timedelta(days=1))


def test_each_kind_has_its_row_and_its_own_name() -> None:
    assert set(OWN) == set(get_args(OwnKind))
    assert len(KINDS) == len(set(KINDS))


@pytest.mark.both_databases
async def test_what_happened_is_told_once_and_in_order(kernel: Kernel) -> None:
    def change(connection: sa.Connection) -> None:
        made = Past(connection)
        made.campaign("one", ["A sent replied:not_interested"])
        made.handoff("h1", "pricing", MONDAY, 20)
        made.handoff("h2", "pricing", MONDAY, None)
        made.stop("x@corp.com", MONDAY, None)

    await kernel.store.write(change)
    found = await kernel.store.read(lambda c: happenings(c, FROM, UNTIL))
    assert [one.at for one in found] == sorted(one.at for one in found)
    counted = {kind: sum(one.kind == kind for one in found) for kind in KINDS}
    assert {kind: count for kind, count in counted.items() if count} == {
        "lead_found": 1,
        "run_started": 1,
        "campaign_drafted": 1,
        "campaign_approved": 1,
        "reply_classified": 1,
        "handoff_created": 2,
        "handoff_acknowledged": 1,
        "stop_asked": 1,
        "sent": 1,
        "replied": 1,
    }
    some = await kernel.store.read(
        lambda c: happenings(c, FROM, UNTIL, kinds=["sent", "handoff_created"], limit=2)
    )
    assert [one.kind for one in some] == ["handoff_created", "handoff_created"]
