"""Kill switch, safe mode, pauses and halts: anyone may tighten, only a named person loosens."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.clock import iso
from shared.errors import Invalid
from shared.kernel import Kernel, open_kernel
from shared.settings import Settings
from shared.store import Unavailable, open_store
from shared.switches import Switches, standing
from tests.shared.world import HandClock, Somebody, Vendor, contact, kinds, opened, written_by_somebody

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def kernel(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false"), clock) as made:
        yield made


@pytest.mark.requirement("K1", "K3")
async def test_kill_holds_in_every_process_and_after_a_restart(settings_for: Make) -> None:
    settings = settings_for(SAFE_MODE="false")
    async with opened(settings) as one, opened(settings) as two:
        assert await one.switches.kill(actor="agent", reason="odd replies")
        assert (await two.gate.submit(contact(), Vendor())).reason == "kill_switch"
    async with opened(settings) as later:
        safety = await later.switches.now()
        assert (safety.killed, safety.kill_reason) == (True, "odd replies")


@pytest.mark.parametrize("value", ["true", "1", "ON", "yes", "perhaps", "tru", "nil"])
@pytest.mark.requirement("K4")
async def test_an_environment_flag_that_is_on_or_unreadable_kills(settings_for: Make, value: str) -> None:
    async with opened(settings_for(SAFE_MODE="false", KILL_SWITCH=value)) as kernel:
        assert (await kernel.switches.now()).killed
        await kernel.switches.release(actor="root", reason="the database has no say in this")
        assert (await kernel.switches.now()).killed


@pytest.mark.parametrize(
    ("value", "safe"), [("false", False), ("0", False), ("", True), ("fasle", True), ("1", True)]
)
@pytest.mark.requirement("S2")
async def test_safe_mode_is_off_only_where_that_is_said_clearly(
    settings_for: Make, value: str, *, safe: bool
) -> None:
    async with opened(settings_for(SAFE_MODE=value)) as kernel:
        assert (await kernel.switches.now()).safe_mode is safe


@pytest.mark.requirement("K7")
async def test_only_a_named_person_with_a_reason_releases(kernel: Kernel) -> None:
    await kernel.switches.kill(actor="agent", reason="test")
    for actor, reason in (("", "fine"), ("  ", "fine"), ("root", " ")):
        with pytest.raises(Invalid):
            await kernel.switches.release(actor=actor, reason=reason)
    await kernel.switches.release(actor="root", reason="checked")
    safety = await kernel.switches.now()
    assert (safety.killed, bool(safety.released_at)) == (False, True)


async def test_who_pressed_first_stays_known(kernel: Kernel, clock: HandClock) -> None:
    first = iso(clock.now())
    await kernel.switches.kill(actor="agent", reason="first")
    clock.move(60)
    await kernel.switches.kill(actor="agent", reason="second")
    safety = await kernel.switches.now()
    assert (safety.kill_reason, safety.killed_at) == ("first", first)
    assert (await kinds(kernel)).count("switch.kill") == 2


@pytest.mark.requirement("K3", "F16")
async def test_kill_works_by_file_while_the_database_is_locked(settings_for: Make, tmp_path: Path) -> None:
    settings = settings_for(SAFE_MODE="false")
    async with open_kernel(settings, patience=0.1) as kernel:
        with written_by_somebody(kernel):
            assert await kernel.switches.kill(actor="ada", reason="now") is False
            assert (await kernel.switches.now()).kill_sources == ("flag file",)
        assert (await kernel.gate.submit(contact(), Vendor())).reason == "kill_switch"
        await kernel.switches.release(actor="root", reason="checked")
        assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"


@pytest.mark.requirement("K3")
async def test_kill_works_by_the_database_while_no_file_can_be_written(kernel: Kernel) -> None:
    for flag in kernel.switches.flags:
        (flag.with_name("KILL") / "in the way").mkdir(parents=True)
    assert await kernel.switches.kill(actor="ada", reason="now") is True
    assert "database" in (await kernel.switches.now()).kill_sources


@pytest.mark.requirement("K3")
async def test_a_kill_that_neither_file_nor_database_took_says_so(settings_for: Make, tmp_path: Path) -> None:
    settings = settings_for(SAFE_MODE="false", SWARM_HOME=str(tmp_path / "elsewhere"))
    async with open_store(settings.database_url, patience=0.1) as store:
        switches = Switches(store, HandClock(), settings)
        for flag in switches.flags:
            flag.parent.mkdir(parents=True, exist_ok=True)
            flag.symlink_to(tmp_path / "nowhere" / "KILL")
        with closing(Somebody(settings.database_url)) as somebody:
            somebody.begin()
            with pytest.raises(Unavailable):
                await switches.kill(actor="ada", reason="now")
        assert not (await switches.now()).killed


async def test_a_flag_that_is_there_stops_though_its_words_could_not_be_written(
    settings_for: Make, tmp_path: Path
) -> None:
    settings = settings_for(SAFE_MODE="false", SWARM_HOME=str(tmp_path / "elsewhere"))
    async with open_store(settings.database_url, patience=0.1) as store:
        switches = Switches(store, HandClock(), settings)
        for flag in switches.flags:
            flag.mkdir(parents=True)
        with closing(Somebody(settings.database_url)) as somebody:
            somebody.begin()
            assert await switches.kill(actor="ada", reason="now") is False
        assert (await switches.now()).killed


async def test_the_flag_is_seen_by_a_process_with_another_home_on_the_same_database(
    settings_for: Make, tmp_path: Path
) -> None:
    shared = f"sqlite:///{tmp_path}/shared/swarm.db"
    one = settings_for(SAFE_MODE="false", DATABASE_URL=shared, SWARM_HOME=str(tmp_path / "one"))
    two = settings_for(SAFE_MODE="false", DATABASE_URL=shared, SWARM_HOME=str(tmp_path / "two"))
    async with open_store(shared) as store:
        first, second = Switches(store, HandClock(), one), Switches(store, HandClock(), two)
        await first.kill(actor="ada", reason="now")
        assert "flag file" in (await second.now()).kill_sources


async def test_a_pause_is_never_shortened_by_another(kernel: Kernel, clock: HandClock) -> None:
    await kernel.switches.pause("all", actor="ada", reason="until I say so")
    await kernel.switches.pause(
        "all", actor="agent", reason="a minute", until=iso(clock.now() + timedelta(60))
    )
    clock.move(120 * 86_400)
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "paused"


async def test_a_pause_is_lengthened_by_another(kernel: Kernel, clock: HandClock) -> None:
    soon, later = (iso(clock.now() + timedelta(minutes=n)) for n in (1, 10))
    await kernel.switches.pause("all", actor="ada", reason="a minute", until=soon)
    await kernel.switches.pause("all", actor="ada", reason="ten", until=later)
    clock.move(120)
    assert (await kernel.switches.now()).pauses[0].until == later


async def test_a_pause_ends_by_itself(kernel: Kernel, clock: HandClock) -> None:
    await kernel.switches.pause("all", actor="ada", reason="x", until="2026-03-02T10:05:00+01:00")
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "paused"
    clock.move(301)
    assert (await kernel.gate.submit(contact(), Vendor())).status == "applied"


@pytest.mark.parametrize("until", ["tomorrow", "2026-03-02T10:05:00", "2026-13-02T10:05:00Z"])
async def test_a_pause_needs_an_end_that_can_be_read(kernel: Kernel, until: str) -> None:
    with pytest.raises(Invalid):
        await kernel.switches.pause("all", actor="ada", reason="x", until=until)


async def test_a_halt_is_not_softened_to_a_pause(kernel: Kernel) -> None:
    await kernel.switches.pause("all", actor="rule", reason="bounces", kind="halt")
    await kernel.switches.pause("all", actor="agent", reason="only a pause")
    assert (await kernel.switches.now()).pauses[0].kind == "halt"
    await kernel.switches.pause("vendor:ghl", actor="ada", reason="x")
    standing_now = standing(await kernel.switches.now(), "ghl", "")
    assert standing_now is not None
    assert standing_now.kind == "halt"


async def test_a_pause_becomes_a_halt(kernel: Kernel) -> None:
    await kernel.switches.pause("all", actor="ada", reason="lunch")
    await kernel.switches.pause("all", actor="rule", reason="bounces", kind="halt")
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "halted"


@pytest.mark.requirement("H4")
async def test_a_halt_for_some_days_does_not_shorten_a_pause_without_an_end(
    kernel: Kernel, clock: HandClock
) -> None:
    await kernel.switches.pause("all", actor="ada", reason="until I say so")
    soon = iso(clock.now() + timedelta(hours=72))
    await kernel.switches.pause("all", actor="rule", reason="a warning", kind="halt", until=soon)
    clock.move(100 * 3600)
    (stands,) = (await kernel.switches.now()).pauses
    assert (stands.kind, stands.until) == ("halt", "")


async def test_only_a_named_person_resumes(kernel: Kernel) -> None:
    await kernel.switches.pause("all", actor="ada", reason="lunch")
    with pytest.raises(Invalid):
        await kernel.switches.resume("all", actor="", reason="back")
    assert await kernel.switches.resume("all", actor="ada", reason="back")
    assert not await kernel.switches.resume("all", actor="ada", reason="back")


@pytest.mark.requirement("S2", "S3")
async def test_leaving_safe_mode_is_up_to_everyone_who_set_it(settings_for: Make) -> None:
    async with opened(settings_for()) as kernel:
        await kernel.switches.engage_safe_mode(actor="agent", reason="unsure")
        with pytest.raises(Invalid):
            await kernel.switches.leave_safe_mode(actor="", reason="sure")
        await kernel.switches.leave_safe_mode(actor="root", reason="sure")
        assert (await kernel.switches.now()).safe_sources == ("SAFE_MODE or safety.yaml",)


@pytest.mark.requirement("L8")
async def test_every_turn_of_a_switch_is_in_the_log(kernel: Kernel) -> None:
    await kernel.switches.engage_safe_mode(actor="agent", reason="a")
    await kernel.switches.leave_safe_mode(actor="root", reason="b")
    await kernel.switches.kill(actor="agent", reason="c")
    await kernel.switches.release(actor="root", reason="d")
    await kernel.switches.pause("all", actor="ada", reason="e")
    await kernel.switches.resume("all", actor="ada", reason="f")
    assert await kinds(kernel) == [
        "switch.safe_mode",
        "switch.safe_mode",
        "switch.kill",
        "switch.kill",
        "pause.set",
        "pause.cleared",
    ]


@pytest.mark.requirement("K1")
async def test_no_claim_is_later_than_a_kill_that_returned(kernel: Kernel) -> None:
    vendor = Vendor()
    tasks = [
        asyncio.create_task(kernel.gate.submit(contact(f"p{n}@corp.example"), vendor)) for n in range(60)
    ]
    await kernel.switches.kill(actor="ada", reason="now")
    performed = len(vendor.performed)
    await asyncio.gather(*tasks)
    log = await kinds(kernel)
    assert "effect.claimed" not in log[log.index("switch.kill") :]
    assert len(vendor.performed) - performed <= kernel.settings.safety.concurrent_calls


@pytest.mark.requirement("K4")
async def test_a_flag_that_cannot_be_looked_at_counts_as_raised(kernel: Kernel) -> None:
    kernel.switches.flags = (Path("/", "x" * 300),)  # no file system takes such a name
    assert (await kernel.switches.now()).kill_sources == ("flag file",)
    assert (await kernel.gate.submit(contact(), Vendor())).reason == "kill_switch"


@pytest.mark.requirement("K3")
async def test_a_kill_holds_by_the_database_where_no_flag_can_even_be_looked_at(kernel: Kernel) -> None:
    flags, kernel.switches.flags = kernel.switches.flags, (Path("/", "x" * 300),)
    assert await kernel.switches.kill(actor="ada", reason="now") is True
    kernel.switches.flags = flags
    assert (await kernel.switches.now()).kill_sources == ("database",)


@pytest.mark.requirement("K4")
async def test_a_flag_that_can_not_be_taken_away_goes_on_stopping(kernel: Kernel) -> None:
    for flag in kernel.switches.flags:
        flag.mkdir(parents=True)
    await kernel.switches.kill(actor="ada", reason="now")
    await kernel.switches.release(actor="root", reason="checked")
    assert (await kernel.switches.now()).kill_sources == ("flag file",)


@pytest.mark.parametrize(
    ("words", "told"), [("", ""), ("stop please", "stop please"), ("2026-03-02 no", "2026-03-02 no")]
)
@pytest.mark.requirement("K4")
async def test_a_flag_raised_by_hand_may_say_anything(kernel: Kernel, words: str, told: str) -> None:
    kernel.switches.flags[0].parent.mkdir(parents=True, exist_ok=True)
    kernel.switches.flags[0].write_text(words, encoding="utf-8")
    safety = await kernel.switches.now()
    assert (safety.killed, safety.kill_reason, safety.killed_at) == (True, told, "")


@pytest.mark.requirement("K1", "K3")
async def test_a_kill_during_a_release_keeps_its_flag(kernel: Kernel) -> None:
    await kernel.switches.kill(actor="ada", reason="first")
    seen = kernel.switches.raised()
    await kernel.switches.kill(actor="ada", reason="again")
    kernel.switches.lower(seen)
    assert "flag file" in (await kernel.switches.now()).kill_sources
    kernel.switches.lower(kernel.switches.raised())
    assert "flag file" not in (await kernel.switches.now()).kill_sources


@pytest.mark.requirement("H6")
async def test_a_session_that_stands_still_stops_what_uses_it_and_nothing_else(kernel: Kernel) -> None:
    await kernel.switches.pause("session:ghl:7", actor="rule:linkedin", reason="warned", kind="halt")
    given = {"7": "halted", "8": "applied", "": "applied"}
    outcomes = {
        name: await kernel.gate.submit(contact(f"p{name}@corp.example", session=name), Vendor())
        for name in given
    }
    assert {name: one.reason or one.status for name, one in outcomes.items()} == given


BOXES = ("Alex@sender.example", "sam@sender.example")


@pytest.mark.parametrize(
    ("content", "still", "ends"),
    [
        ({"mailboxes": BOXES}, ("alex@sender.example",), "applied"),
        ({"mailboxes": BOXES}, ("alex@sender.example", "sam@sender.example"), "halted"),
        ({"mailbox": BOXES[0]}, ("alex@sender.example",), "halted"),
        ({"mailbox": BOXES[0]}, ("sam@sender.example",), "applied"),
        ({"mailbox": 7, "mailboxes": "sam@sender.example"}, ("sam@sender.example",), "applied"),
        ({"mailboxes": ()}, ("sam@sender.example",), "applied"),
    ],
)
async def test_what_no_mailbox_is_left_for_does_not_happen(
    kernel: Kernel, content: dict[str, Any], still: tuple[str, ...], ends: str
) -> None:
    for box in still:
        await kernel.switches.pause(f"mailbox:{box}", actor="rule:complaint", reason="1", kind="halt")
    outcome = await kernel.gate.submit(contact(content=content), Vendor())
    assert (outcome.reason or outcome.status) == ends
    stop = contact("q@corp.example", content=content, stops=True)
    assert (await kernel.gate.submit(stop, Vendor())).status == "applied"
