"""Safe mode on a live installation: nothing begins, what runs at the vendor is paused, and people are really stopped.

On one that was never live nothing leaves, stops included.
"""

from pathlib import Path

import pytest
import sqlalchemy as sa

from orchestrator import standstill, stopping, stops
from orchestrator.app import App
from orchestrator.later import Later
from shared.pipeline_schema import stop
from shared.schema import reached
from tests.orchestrator.world import World, approved, launched, opened, people, rows, the, world

FIRST = "person1@corp1.com"


async def _live(it: World) -> str:
    _, campaign_id = await approved(it.app, people(1))
    assert await launched(it.app, campaign_id) == "live"
    return campaign_id


async def _engage(it: World) -> None:
    await it.kernel.switches.engage_safe_mode(actor="test", reason="unsure")


async def _work(app: App, it: World) -> int:
    return await standstill.work(app, Later(it.clock, 1.0, 30.0))


async def _written(it: World, *accounts: str) -> int:
    """How much was written there; what a vendor sends by itself isn't ours."""
    logs = [await it.witness.log(account) for account in accounts or ("instantly", "ghl", "phantombuster")]
    return sum(entry["action"] != "send" for log in logs for entry in log)


@pytest.mark.requirement("S5")
async def test_campaigns_that_the_vendor_sends_are_paused_for_real(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await _engage(it)
        assert await _work(it.app, it) == 0
        reference = (await the(it.app, campaign_id)).vendor_ref
        page = await it.app.suite.sequencer.list_campaigns()
        assert [one.status for one in page.campaigns if one.id == reference] == ["paused"]
        assert (await the(it.app, campaign_id)).state == "paused"


@pytest.mark.requirement("S5")
async def test_somebody_who_opts_out_is_really_stopped(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _engage(it)
        await stops.suppress(it.kernel, FIRST, reason="asked", source="test")
        assert await stopping.work(it.app) == 0
        assert [row.state for row in await rows(it.app, sa.select(stop))] == ["confirmed"]
        assert not (await it.app.suite.sequencer.get_lead_status(email=FIRST)).found
        assert "dnc" in (await it.app.suite.crm.get_contact(email=FIRST)).contacts[0].tags


@pytest.mark.requirement("S5")
async def test_nothing_else_leaves(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await _engage(it)
        before = await _written(it)
        _, second = await approved(it.app, people(2, 5))
        assert await launched(it.app, second) == "simulated"
        assert await _written(it) == before


async def test_what_needs_a_persons_yes_is_simulated_whatever_it_calls_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        reference = (await the(it.app, campaign_id)).vendor_ref
        await _engage(it)
        said = await it.app.suite.sequencer.resume_campaign(
            campaign_ref=reference, campaign_id=campaign_id, approval=""
        )
        assert (said.status, said.reason) == ("refused", "needs_approval")


@pytest.mark.requirement("S5")
async def test_a_process_that_rehearses_stops_people_and_leaves_campaigns_alone(tmp_path: Path) -> None:
    """Started in safe mode by its environment: a rehearsal of its own, beside an installation that is live."""
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        settings = it.kernel.settings
        rehearsing = type(settings)(**{**_fields(settings), "safe_mode": True})
        async with opened(rehearsing, it.clock) as app:
            assert await _work(app, it) == 0
            assert (await the(it.app, campaign_id)).state == "live"
            await stops.suppress(app.kernel, FIRST, reason="asked", source="test")
            assert await stopping.work(app) == 0
        assert not (await it.app.suite.sequencer.get_lead_status(email=FIRST)).found


def _fields(settings: object) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}  # type: ignore[attr-defined]


@pytest.mark.requirement("S1", "S5")
async def test_where_nothing_was_ever_live_nothing_leaves(tmp_path: Path) -> None:
    async with world(tmp_path, safe=True) as it:
        _, campaign_id = await approved(it.app, people(1))
        assert await launched(it.app, campaign_id) == "simulated"
        await stops.suppress(it.kernel, FIRST, reason="asked", source="test")
        await stops.suppress(it.kernel, "corp9.com", reason="asked", source="test")
        await stopping.work(it.app)
        await it.app.suite.sequencer.pause_campaign(campaign_ref="x" * 8, reason="test")
        await it.app.suite.source.cancel_job(job_id="phantombuster:123")
        await _work(it.app, it)
        assert {row.state for row in await rows(it.app, sa.select(stop))} == {"simulated"}
        assert await _written(it) == 0
        assert await rows(it.app, sa.select(reached)) == []


@pytest.mark.requirement("S1", "S5")
@pytest.mark.parametrize("vendor", ["instantly", "ghl"])
async def test_what_was_done_at_an_emulator_is_no_reason_to_write_to_the_real_vendor(
    tmp_path: Path, vendor: str
) -> None:
    async with world(tmp_path) as it:
        await _live(it)
        await it.kernel.store.write(
            lambda c: c.execute(sa.update(reached).values(base_url="http://127.0.0.1:1"))
        )
        await _engage(it)
        before = await _written(it, vendor)
        await stops.suppress(it.kernel, FIRST, reason="asked", source="test")
        await stopping.work(it.app)
        assert {row.state for row in await rows(it.app, sa.select(stop))} == {"simulated"}
        assert await _written(it, vendor) == before


async def test_after_safe_mode_a_campaign_stays_paused_until_a_person_resumes_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        campaign_id = await _live(it)
        await _engage(it)
        await _work(it.app, it)
        await it.kernel.switches.leave_safe_mode(actor="test", reason="sure")
        await _work(it.app, it)
        assert (await the(it.app, campaign_id)).state == "paused"
