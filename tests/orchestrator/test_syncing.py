"""One do-not-contact list: what a vendor has comes to us and to the other, what we have comes to both, until shown."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from orchestrator import owing, stops, syncing, walks
from orchestrator.lists import Said, take_in
from orchestrator.unconfirmed import unconfirmed_in
from orchestrator.walks import Page
from orchestrator.watching import decide, look
from shared.clock import iso
from shared.errors import Retryable
from shared.kernel import Kernel
from shared.metrics import Lag, lag, measure
from shared.owed import note_in
from shared.pipeline_schema import owed, stop
from tests.orchestrator.world import World, alone, approved, launched, people, put, rows, states, world

pytestmark = pytest.mark.asyncio(
    loop_scope="module"
)  # one installation for all: each test has people of its own
FIRST, STRANGER = "person1@corp1.com", "never.met@corp.example"
NEVER = timedelta(days=30)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with world(tmp_path_factory.mktemp("syncing")) as made:
        # The emulator's clock doesn't leap with ours.
        await made.witness.act("ghl", "set_location", search_lag=0)
        yield made


async def block(here: World, *values: str) -> None:
    """Somebody enters these in Instantly's own interface."""
    await here.witness.act("instantly", "block", values=list(values))


async def marked(here: World, email: str) -> bool:
    """Whether the CRM would not write to them."""
    return bool((await here.app.suite.crm.get_contact(email=email)).contacts[0].blocked)


async def listed(here: World, target: str) -> bool:
    return await here.kernel.suppression.find(target) is not None


async def owing_to(app: Any) -> list[tuple[str, str]]:
    return sorted((row.port, row.target) for row in await rows(app, sa.select(owed)))


# ── from the sequencer ───────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U13")
async def test_an_entry_of_the_block_list_is_on_ours_and_marked_in_the_crm(here: World) -> None:
    await syncing.sync(here.app)
    await here.witness.act("ghl", "enter", email="by.hand@corp.example")
    await block(here, "by.hand@corp.example", "whole.example")
    found = await syncing.sync(here.app)
    assert (found.new, found.told) == (2, 1)
    assert await listed(here, "by.hand@corp.example")
    assert await listed(here, "anybody@whole.example")
    assert await marked(here, "by.hand@corp.example")
    assert await owing_to(here.app) == []


@pytest.mark.requirement("U13")
async def test_an_entry_about_somebody_in_a_campaign_stops_them(here: World) -> None:
    _, campaign_id = await approved(here.app, people(2))
    assert await launched(here.app, campaign_id) == "live"
    await block(here, FIRST)
    await syncing.sync(here.app)
    assert sorted(state for state, _ in await states(here.app, campaign_id)) == ["live", "stopped"]
    assert [row.kind for row in await rows(here.app, sa.select(stop).where(stop.c.target == FIRST))] == [
        "person"
    ]


async def test_a_domain_that_belongs_to_everybody_is_left_at_the_vendor(here: World) -> None:
    await block(here, "gmail.com")
    assert (await syncing.sync(here.app)).new == 0
    assert not await listed(here, "somebody@gmail.com")


# ── from the CRM ─────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U13")
async def test_somebody_whom_the_crm_marks_is_on_the_block_list_though_we_never_met(here: World) -> None:
    await here.witness.act("ghl", "enter", email=STRANGER)
    await here.witness.act("ghl", "set_dnd", email=STRANGER)
    await here.clock.sleep(600)
    await syncing.sync(here.app)
    assert (await here.app.suite.sequencer.list_blocklist(search=STRANGER)).entries


@pytest.mark.requirement("U13")
async def test_a_contact_on_our_list_that_the_crm_would_write_to_is_marked(here: World) -> None:
    await here.kernel.suppression.add("only.here@corp.example", reason="asked", source="test")
    await here.witness.act("ghl", "enter", email="only.here@corp.example")
    await syncing.sync(here.app)
    assert await marked(here, "only.here@corp.example")
    await here.clock.sleep(600)
    assert (await syncing.sync(here.app)).told == 0


# ── from a list of ours ──────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U13")
async def test_an_imported_list_reaches_the_block_list_in_parts_of_hundreds(here: World) -> None:
    file = Path(here.kernel.settings.home) / "list.csv"
    file.write_text("\n".join(f"gone{n}@corp{n}.example" for n in range(600)), encoding="utf-8")
    before = len(await here.witness.requests("instantly"))
    for told in (600, 0):
        with file.open("rb") as raw:
            await take_in(here.kernel, raw, "list.csv", Said("asked", "elsewhere", "ada"))
        assert await owing.settle(here.app) == told
    requests = (await here.witness.requests("instantly"))[before:]
    posts = [one["json"]["bl_values"] for one in requests if one["path"].endswith("bulk-create")]
    assert [len(one) for one in posts] == [500, 100]


async def test_one_value_that_the_vendor_refuses_holds_up_only_itself(here: World) -> None:
    values = [f"soon{n}@corp{n}.example" for n in range(9)] + ["nobody@nowhere"]
    now = here.clock.now()
    await here.kernel.store.write(lambda c: note_in(c, "sequencer", values, "asked", now))
    for _ in range(5):
        await owing.settle(here.app)
        await here.clock.sleep(10)
    left = await rows(here.app, sa.select(owed))
    assert [(row.target, row.problem) for row in left] == [("nobody@nowhere", "failed")]
    found = await here.kernel.store.read(lambda c: unconfirmed_in(c, here.clock.now()))
    assert [one.to_do for one in found if one.kind == "entry"] == [
        ("put them on the mail vendor's block list",)
    ]
    await put(here.app, sa.delete(owed))


async def test_what_safe_mode_only_simulates_is_told_once_it_is_over(live_kernel: Kernel) -> None:
    app, now = alone(live_kernel), live_kernel.clock.now()
    await live_kernel.store.write(lambda c: note_in(c, "sequencer", [STRANGER], "asked", now))
    [row] = await rows(app, sa.select(owed))
    await live_kernel.store.write(lambda c: owing.note_how(app, c, [row], "simulated"))
    await live_kernel.switches.engage_safe_mode(actor="ada", reason="a rehearsal")
    assert await owing.due(app) == ([], [])
    await live_kernel.switches.leave_safe_mode(actor="ada", reason="live")
    assert [one.target for one in (await owing.due(app))[0]] == [STRANGER]


# ── long lists ───────────────────────────────────────────────────────────────────────────────────────────
class Shelf:
    """A vendor's list, which counts the pages it was asked for."""

    def __init__(self, entries: list[str], size: int = 10) -> None:
        self.entries, self.size, self.asked = entries, size, 0
        self.seen: set[str] = set()

    async def look(self, cursor: str) -> Page:
        self.asked += 1
        start = (
            self.entries.index(cursor) + 1
            if cursor in self.entries
            else 0
            if not cursor
            else len(self.entries)
        )
        shown = self.entries[start : start + self.size]
        new = set(shown) - self.seen
        self.seen |= set(shown)
        return Page(len(shown), len(new), shown[-1] if shown else "")


async def test_a_walk_goes_on_where_it_stopped_and_ends(live_kernel: Kernel) -> None:
    shelf = Shelf([f"{n:03}" for n in range(95)])
    went = [await walks.onwards(live_kernel, "shelf", NEVER, shelf.look, 3) for _ in range(5)]
    assert len(shelf.seen) == 95
    # Each look but the first reads the page again at which it stopped; the last page of all is empty.
    assert [one.pages for one in went] == [3, 3, 3, 3, 3]
    assert (await walks.onwards(live_kernel, "shelf", NEVER, shelf.look, 3)).pages == 0


async def test_what_is_put_behind_the_end_is_found_without_another_walk(live_kernel: Kernel) -> None:
    shelf = Shelf([f"{n:03}" for n in range(1_000)])
    await walks.onwards(live_kernel, "shelf", NEVER, shelf.look, 1_000)
    shelf.entries.append("new")
    shelf.asked = 0
    assert (await walks.tail(live_kernel, "shelf", shelf.look, 100)).new == 1
    assert shelf.asked == 3


async def test_what_is_put_in_front_is_found_without_another_walk() -> None:
    shelf = Shelf([f"{n:03}" for n in range(1_000)])
    shelf.seen = set(shelf.entries)
    shelf.entries = [f"new{n}" for n in range(12)] + shelf.entries
    assert (await walks.head(shelf.look, 100)).new == 12
    assert shelf.asked == 3


async def test_a_walk_whose_place_is_gone_begins_once_more(live_kernel: Kernel) -> None:
    shelf = Shelf([f"{n:03}" for n in range(60)])
    await walks.onwards(live_kernel, "shelf", NEVER, shelf.look, 3)
    shelf.entries.remove((await walks.standing(live_kernel, "shelf")).cursor)
    assert (await walks.onwards(live_kernel, "shelf", NEVER, shelf.look, 100)).entries == 59
    assert (await walks.standing(live_kernel, "shelf")).began == ""


async def test_a_long_list_costs_a_look_what_is_new(here: World) -> None:
    await block(here, *(f"long{n}@corp{n}.example" for n in range(400)))
    await here.kernel.store.write(lambda c: walks.anew_in(c, syncing.BLOCKLIST))
    assert (await syncing.sync(here.app)).new >= 400
    assert await owing_to(here.app) == []
    await syncing.sync(here.app)
    await block(here, "one.more@corp.example")
    before = len(await here.witness.requests("instantly"))
    assert (await syncing.sync(here.app)).new == 1
    asked = [r["path"] for r in (await here.witness.requests("instantly"))[before:]]
    assert asked.count("/api/v2/block-lists-entries") <= 4


# ── when it takes too long ───────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("U13")
async def test_what_no_vendor_confirms_within_an_hour_is_an_alert_and_on_the_manual_list(
    live_kernel: Kernel, note: Callable[[Kernel, float], Any]
) -> None:
    app = alone(live_kernel)
    await note(live_kernel, 59)
    alerts = decide(await look(live_kernel, {}), live_kernel.settings.safety.alerts)
    assert "suppression_sync" not in {one.name for one in alerts}
    await note(live_kernel, 61)
    alerts = decide(await look(live_kernel, {}), live_kernel.settings.safety.alerts)
    assert "suppression_sync" in {one.name for one in alerts}
    assert [verdict.rule for verdict in await live_kernel.halts.look()] == ["opt_outs"]
    found = await live_kernel.store.read(lambda c: unconfirmed_in(c, live_kernel.clock.now()))
    assert [one.target for one in found] == [STRANGER]
    assert (await measure(live_kernel)).standing.suppression_sync.count == len(await owing_to(app)) == 1


@pytest.fixture
def note() -> Callable[[Kernel, float], Any]:
    """An entry that has been owed for so many minutes."""

    async def noted(kernel: Kernel, minutes: float) -> None:
        since = kernel.clock.now() - timedelta(minutes=minutes)
        await kernel.store.write(lambda c: c.execute(sa.delete(owed)))
        await kernel.store.write(lambda c: note_in(c, "sequencer", [STRANGER], "asked", since))

    return noted


async def test_since_when_it_was_not_compared_is_measured_and_a_look_that_fails_does_not_count(
    here: World,
) -> None:
    await syncing.sync(here.app)
    await here.break_things(
        "instantly", {"kind": "status", "status": 503, "path": "block-lists", "times": -1}
    )
    await here.clock.sleep(3_700)
    with pytest.raises(Retryable):
        await syncing.sync(here.app)
    await here.break_things("instantly")
    await here.clock.sleep(120)  # what failed four times isn't asked for again at once
    assert (await measure(here.kernel)).standing.suppression_looked > 3_600
    await syncing.sync(here.app)
    assert (await measure(here.kernel)).standing.suppression_looked < 60


async def test_the_lag_is_that_from_the_opt_out_to_the_last_word(live_kernel: Kernel) -> None:
    now = live_kernel.clock.now()

    def change(connection: sa.Connection) -> None:
        for number, seconds in enumerate((1, 2, 30)):
            stops.open_in(connection, f"p{number}@corp.example", "asked", now - timedelta(seconds=seconds))
        connection.execute(sa.update(stop).values(state="confirmed", confirmed_at=iso(now)))

    await live_kernel.store.write(change)
    assert await live_kernel.store.read(lambda c: lag(c, now)) == Lag(3, 2.0, 30.0, 30.0)
