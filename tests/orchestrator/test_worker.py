"""The worker: each part goes round by itself, starts what rows ask for once, and outlives its own failures."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import sqlalchemy as sa
from filelock import FileLock

from orchestrator import runs, worker
from orchestrator.app import App
from orchestrator.engine import Args
from orchestrator.following import follow, follow_launch, somebody_works
from orchestrator.stops import suppress
from orchestrator.worker import Worker, open_worker
from shared.clock import SystemClock
from shared.errors import NotSent
from shared.kernel import Kernel, open_kernel
from shared.pipeline_schema import campaign, campaign_lead, stop
from shared.ports import ContactRecord
from shared.schema import effect
from tests.orchestrator.world import alone, approved, people, planned, put, rows, run_state, the, world
from tests.postgres import Server, name_in

LONG = 20.0


class Engine:
    """An engine in which flows end as they are told to."""

    def __init__(self, ended: str = "PENDING") -> None:
        self.ended = ended
        self.started: list[str] = []
        self.asked = 0
        self.left: set[str] = set()
        self.recovered: list[str] = []
        self.forgotten: list[tuple[str, datetime]] = []

    async def start(self, flow: str, identifier: str, args: Args) -> None:
        self.started.append(identifier)

    async def status(self, identifier: str) -> str:
        self.asked += 1
        return self.ended if identifier in self.started else ""

    async def cancel(self, identifier: str) -> None:
        raise NotImplementedError

    async def others(self) -> set[str]:
        return self.left

    async def forget(self, beginning: str, before: datetime) -> int:
        self.forgotten.append((beginning, before))
        return 0

    async def recover(self, gone: Collection[str]) -> int:
        self.recovered.extend(gone)
        return len(gone)


async def _until(look: Any) -> None:
    with anyio.fail_after(LONG):
        while not await look():
            await SystemClock().sleep(0.02)


@asynccontextmanager
async def _going_round(it: Worker) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.serve)
        yield
        tasks.cancel_scope.cancel()


# ── flows ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_what_rows_ask_for_is_started_once_and_the_engine_asked_once(live_kernel: Kernel) -> None:
    app, engine = alone(live_kernel), Engine()
    made = await runs.create(live_kernel, {"asked": "run"})
    _, campaign_id = await approved(app, people(1))
    await put(app, sa.text("UPDATE run SET state = 'review' WHERE params LIKE '%stored%'"))
    it = Worker(app, engine)
    assert [await it.start_flows() for _ in range(3)] == [2, 0, 0]
    assert engine.started == [f"run:{made.id}", f"launch:{campaign_id}:1"]
    assert engine.asked == 2


async def test_what_is_over_asks_for_nothing(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    await planned(app, people(1))
    await put(app, sa.update(campaign).values(state="live"))
    assert await live_kernel.store.read(worker._asked_for) == []


async def test_a_run_whose_flow_ended_without_a_word_fails_visibly(live_kernel: Kernel) -> None:
    app, engine = alone(live_kernel), Engine("ERROR")
    made = await runs.create(live_kernel, {"asked": "run"})
    it = Worker(app, engine)
    assert await it.give_up() == 0
    await it.start_flows()
    assert await it.give_up() == 1
    found = await runs.get(live_kernel, made.id)
    assert (found.state, found.message) == ("failed", worker.GAVE_UP)


async def test_a_launch_whose_flow_ended_without_a_word_is_stalled(live_kernel: Kernel) -> None:
    app, engine = alone(live_kernel), Engine("MAX_RECOVERY_ATTEMPTS_EXCEEDED")
    _, campaign_id = await approved(app, people(1))
    it = Worker(app, engine)
    await it.start_flows()
    await it.give_up()
    assert (await the(app, campaign_id)).state == "stalled"


async def test_a_flow_that_is_still_at_it_is_left_alone(live_kernel: Kernel) -> None:
    app, engine = alone(live_kernel), Engine("PENDING")
    made = await runs.create(live_kernel, {"asked": "run"})
    it = Worker(app, engine)
    await it.start_flows()
    assert await it.give_up() == 0
    assert await run_state(app, made.id) == "running"


async def test_a_flow_that_ends_while_it_is_asked_about_has_not_given_up(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    _, campaign_id = await approved(app, people(1))

    class Ending(Engine):
        """The flow ends well right before it is asked about."""

        async def status(self, identifier: str) -> str:
            if identifier in self.started:
                await put(app, sa.update(campaign).values(state="live"))
            return await super().status(identifier)

    it = Worker(app, Ending("SUCCESS"))
    await it.start_flows()
    assert await it.give_up() == 0
    assert (await the(app, campaign_id)).state == "live"


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_part_that_fails_or_breaks_does_not_end_the_worker(live_kernel: Kernel) -> None:
    it = Worker(alone(live_kernel), Engine())

    async def fails() -> None:
        raise NotSent("away")

    async def breaks() -> None:
        raise KeyError("a bug")

    assert not await it._once("fails", fails)
    assert not await it._once("breaks", breaks)


async def test_stopping_somebody_does_not_wait_behind_a_slow_vendor(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it:
        (there,) = (await it.app.suite.crm.upsert_contacts([ContactRecord("person1@corp1.com")])).outcomes
        await approved(it.app, people(1))
        due = sa.update(campaign_lead).values(told="contacted_due", contact_ref=there.reference)
        await put(it.app, due)
        await it.break_things(
            "ghl", {"kind": "delay", "seconds": 3.0, "method": "POST", "path": "/tags", "times": -1}
        )
        made = Worker(it.app, Engine())
        async with _going_round(made):

            async def under_way() -> bool:
                return bool(await rows(it.app, sa.select(effect).where(effect.c.status == "claimed")))

            await _until(under_way)  # with the slow vendor
            await suppress(it.kernel, "corp9.com", reason="asked", source="test")

            async def confirmed() -> bool:
                return [row.state for row in await rows(it.app, sa.select(stop))] == ["confirmed"]

            await _until(confirmed)
            assert await under_way()  # still


# ── a whole run ──────────────────────────────────────────────────────────────────────────────────────────
async def test_a_run_asked_for_by_rows_is_worked_off(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it, open_worker(it.app):
        run_id, campaign_id = await approved(it.app, people(2))
        with anyio.fail_after(LONG):
            assert await follow_launch(it.app, run_id, lambda *_: None) == {}
        assert (await the(it.app, campaign_id)).state == "live"
        assert await run_state(it.app, run_id) == "finished"


async def test_a_run_without_anybody_rests_as_finished(tmp_path: Path) -> None:
    async with world(tmp_path, clock=SystemClock()) as it, open_worker(it.app):
        made = await runs.create(it.kernel, {"stored": True, "asked": "run"})
        with anyio.fail_after(LONG):
            assert (await follow(it.app, made.id, lambda *_: None)).state == "finished"


async def test_following_a_launch_ends_where_it_stalls_or_waits_for_a_person(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    run_id, _ = await planned(app, people(1))
    with anyio.fail_after(LONG):
        assert await follow_launch(app, run_id, lambda *_: None) == {}
        await put(app, sa.update(campaign).values(state="stalled"))
        assert await follow_launch(app, run_id, lambda *_: None) == {"stalled": 1}


async def test_when_the_process_that_works_ends_another_takes_over(live_kernel: Kernel) -> None:
    app: App = alone(live_kernel)
    other = FileLock(live_kernel.settings.home / "engine.lock", thread_local=False)
    other.acquire()
    async with somebody_works(app) as ours:
        assert not ours
        other.release()
        made = await runs.create(live_kernel, {"asked": "run"})
        with anyio.fail_after(LONG):
            assert (await follow(app, made.id, lambda *_: None)).state == "finished"


async def test_where_nobody_works_this_process_does(live_kernel: Kernel) -> None:
    async with somebody_works(alone(live_kernel)) as ours:
        assert ours


# ── several processes ────────────────────────────────────────────────────────────────────────────────────
async def test_one_of_several_has_the_duty_and_another_takes_over(
    postgres: Server, settings_for: Any
) -> None:
    with postgres.lent() as url:
        settings = settings_for(DATABASE_URL=url)
        async with open_kernel(settings) as second:
            there = Worker(alone(second), Engine())
            async with open_kernel(settings) as first:
                here = Worker(alone(first), Engine())
                async with _going_round(here):
                    await _until(lambda: _is(here.on_duty))
                    async with _going_round(there):
                        ours = await runs.create(first, {"asked": "run"})
                        await _until(lambda: _is(f"run:{ours.id}" in here.engine.started))
                        assert (there.on_duty, there.engine.started) == (False, [])
            async with _going_round(there):
                await _until(lambda: _is(f"run:{ours.id}" in there.engine.started))
                assert there.on_duty


async def test_who_lost_its_session_lost_its_duty(postgres: Server, settings_for: Any) -> None:
    with postgres.lent() as url:
        settings = settings_for(DATABASE_URL=url)
        async with open_kernel(settings) as first, open_kernel(settings) as second:
            assert await first.store.write(lambda c: first.presence.takes(c, "x"))
            assert await first.store.write(lambda c: first.presence.takes(c, "x"))
            assert not await second.store.write(lambda c: second.presence.takes(c, "x"))
            others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            postgres.run(f"SELECT pg_terminate_backend(pid) {others}", name_in(url))
            assert await second.store.write(lambda c: second.presence.takes(c, "x"))
            assert not await first.store.write(lambda c: first.presence.takes(c, "x"))


async def test_flows_are_taken_over_from_whoever_is_missed_twice(postgres: Server, settings_for: Any) -> None:
    with postgres.lent() as url:
        settings = settings_for(DATABASE_URL=url)
        async with open_kernel(settings) as first, open_kernel(settings) as second:
            engine = Engine()
            engine.left = {"1-gone", second.presence.id}
            it = Worker(alone(first), engine)
            assert (await it.take_over(), engine.recovered) == (0, [])
            assert (await it.take_over(), engine.recovered) == (1, ["1-gone"])
            engine.left = {"2-gone"}
            await it.take_over()
            engine.left = set()  # it was only between two connections, and went on
            await it.take_over()
            engine.left = {"2-gone"}
            assert (await it.take_over(), engine.recovered) == (0, ["1-gone"])


async def _is(true: bool) -> bool:
    return true
