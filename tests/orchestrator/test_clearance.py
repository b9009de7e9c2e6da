"""Right before anybody is added to a campaign, the CRM is asked by id whether they may be written to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import crm, enrolment, outreach
from shared.errors import SwarmError
from shared.pipeline_schema import stop
from tests.orchestrator.world import World, approved, people, rows, states, the, world

FIRST = "person1@corp1.com"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def up_to_the_campaign(here: World, count: int = 2) -> tuple[str, str]:
    """Everything of a launch but adding people."""
    _, campaign_id = await approved(here.app, people(count))
    (start,) = (await outreach.begin(here.app, campaign_id, (await the(here.app, campaign_id)).version))[
        "starts"
    ]
    await crm.write_crm(here.app, campaign_id, start)
    await outreach.create(here.app, campaign_id)
    return campaign_id, start


@pytest.mark.requirement("F15")
@pytest.mark.parametrize(
    "mark",
    [
        ("set_dnd", {"dnd": True, "channels": {"email": "inactive"}}),
        ("set_dnd", {"dnd": False, "channels": {"email": "permanent"}}),
        ("add_tag", {"tag": "dnc"}),
    ],
)
async def test_whoever_the_crm_blocks_is_not_added_and_is_stopped(
    here: World, mark: tuple[str, dict[str, object]]
) -> None:
    campaign_id, start = await up_to_the_campaign(here)
    await here.witness.act("ghl", mark[0], email=FIRST, **mark[1])
    assert await enrolment.enrol(here.app, campaign_id, start) == {"applied": 1, "refused": 1}
    assert FIRST not in await here.wrote("instantly", "add_lead")
    assert await here.kernel.suppression.find(FIRST)
    assert [row.target for row in await rows(here.app, sa.select(stop))] == [FIRST]
    assert sorted(state for state, _ in await states(here.app, campaign_id)) == ["live", "stopped"]


@pytest.mark.requirement("F15")
async def test_whoever_was_deleted_in_the_crm_is_not_added_and_not_suppressed(here: World) -> None:
    campaign_id, start = await up_to_the_campaign(here)
    await here.witness.act("ghl", "delete", email=FIRST)
    await enrolment.enrol(here.app, campaign_id, start)
    assert ("refused", "crm_gone") in await states(here.app, campaign_id)
    assert await here.kernel.suppression.find(FIRST) is None
    assert FIRST not in await here.wrote("instantly", "add_lead")


async def test_where_the_crm_can_not_be_asked_nobody_is_added(here: World) -> None:
    campaign_id, start = await up_to_the_campaign(here)
    await here.break_things("ghl", {"kind": "status", "status": 503, "path": "/contacts/", "times": -1})
    with pytest.raises(SwarmError):
        await enrolment.enrol(here.app, campaign_id, start)
    assert await here.wrote("instantly", "add_lead") == []


async def test_each_is_read_by_id_after_the_campaign_was_made_and_before_anybody_is_added(
    here: World,
) -> None:
    campaign_id, start = await up_to_the_campaign(here)
    before = len(await here.witness.requests("ghl"))
    await enrolment.enrol(here.app, campaign_id, start)
    read = [r["path"] for r in (await here.witness.requests("ghl"))[before:] if r["method"] == "GET"]
    assert len([path for path in read if path.startswith("/contacts/")]) == 2


async def test_a_rehearsal_asks_nobody(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as here:
        campaign_id, start = await up_to_the_campaign(here)
        before = len(await here.witness.requests("ghl"))
        assert (await enrolment.enrol(here.app, campaign_id, start))["simulated"] == 2
        assert len(await here.witness.requests("ghl")) == before
