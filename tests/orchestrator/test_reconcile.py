"""What is in doubt is looked up at its vendor; what nobody can tell is asked ever more seldom, and shown."""

from pathlib import Path

import sqlalchemy as sa

from orchestrator import doubts, outreach, reconcile
from orchestrator.later import Later
from shared.effect import Effect, Receipt
from shared.errors import InDoubt
from shared.gate import Permit
from shared.kernel import Kernel, open_kernel
from shared.schema import effect
from shared.settings import load_settings
from tests.conftest import CONFIG
from tests.orchestrator.world import World, alone, approved, people, put, rows, world


async def _lost(permit: Permit) -> Receipt:
    raise InDoubt("the answer was lost", code="answer_lost")


async def _doubtful(kernel: Kernel, count: int = 1) -> None:
    for number in range(count):
        made = Effect("clay", "enrich", f"lead {number}", "test", {"person": str(number)})
        await kernel.gate.submit(made, _lost)


async def _statuses(it: World) -> list[str]:
    return [row.status for row in await rows(it.app, sa.select(effect).order_by(effect.c.id))]


async def test_what_the_vendor_holds_is_settled_as_done(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        _, campaign_id = await approved(it.app, people(1))
        await outreach.begin(it.app, campaign_id, 1)
        await it.app.suite.sequencer.create_campaign(
            draft=outreach.DRAFT.validate_json(
                str((await rows(it.app, sa.text("SELECT draft FROM campaign")))[0].draft)
            )  # type: ignore[arg-type]  # plain SQL
        )
        await put(it.app, sa.update(effect).values(status="in_doubt"))
        assert await reconcile.settle(it.app, Later(it.clock, 10, 600)) == {"applied": 1}
        assert await _statuses(it) == ["applied"]


async def test_what_the_vendor_does_not_have_is_settled_as_failed(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        made = Effect(
            "instantly", "create_campaign", "x", "x", {"campaign_id": "x" * 16, "body": {}, "warning": ""}
        )
        await it.kernel.gate.submit(made, _lost)
        assert await reconcile.settle(it.app, Later(it.clock, 10, 600)) == {"failed": 1}


async def test_what_can_not_be_told_is_asked_again_only_later(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await _doubtful(it.kernel)
        later = Later(it.clock, 10, 600)
        assert await reconcile.settle(it.app, later) == {"in_doubt": 1}
        assert await reconcile.settle(it.app, later) == {}
        await it.clock.sleep(11)
        assert await reconcile.settle(it.app, later) == {"in_doubt": 1}
        await it.clock.sleep(11)
        assert await reconcile.settle(it.app, later) == {}


async def test_what_its_server_can_not_look_up_waits_for_a_person(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        await it.kernel.gate.submit(Effect("apify", "start_run", "post", "test", {}), _lost)
        assert await reconcile.settle(it.app, Later(it.clock, 10, 600)) == {"for_a_person": 1}
        (one,) = await doubts.doubts(it.kernel)
        assert (one.by_itself, "console" in one.how) == (False, True)


async def test_many_that_can_not_be_told_do_not_hide_an_older_one(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _doubtful(live_kernel, reconcile.LOOKED_AT + 3)
    later = Later(live_kernel.clock, 1000, 1000)
    assert await reconcile.settle(app, later) == {"for_a_person": reconcile.LOOKED_AT}
    assert await reconcile.settle(app, later) == {"for_a_person": 3}


async def test_a_claim_of_a_process_that_is_gone_is_in_doubt_though_nothing_can_look_it_up(
    tmp_path: Path,
) -> None:
    settings = load_settings(CONFIG, {"SWARM_HOME": str(tmp_path), "SAFE_MODE": "false"})
    async with open_kernel(settings) as kernel:
        app = alone(kernel)
        await _doubtful(kernel)
        await put(app, sa.update(effect).values(status="claimed", process="1-gone"))
        assert await reconcile.settle(app, Later(kernel.clock, 10, 600)) == {"in_doubt": 1}
        assert [row.status for row in await rows(app, sa.select(effect))] == ["in_doubt"]


async def test_a_claim_of_a_living_process_is_left_alone(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await _doubtful(live_kernel)
    await put(app, sa.update(effect).values(status="claimed", process=live_kernel.presence.id))
    assert await reconcile.settle(app, Later(live_kernel.clock, 10, 600)) == {}
