"""Credentials that change by themselves: encrypted, renewed by one process at a time, lost only once."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import anyio
import pytest
import sqlalchemy as sa

from shared.errors import Fatal, Retryable
from shared.kernel import Kernel, open_kernel
from shared.schema import vault as table
from shared.settings import Settings
from shared.vault import HELD_SECONDS, Held, Vault, lost_in
from tests.shared.world import HandClock, kinds, opened

pytestmark = pytest.mark.both_databases

Make = Callable[..., Settings]
PAIR = {"access": "first-access-token", "refresh": "first-refresh-token"}


@pytest.fixture
async def kernel(settings_for: Make) -> AsyncIterator[Kernel]:
    async with opened(settings_for(), HandClock()) as made:
        yield made


async def row(kernel: Kernel) -> sa.Row[tuple[object, ...]]:
    return await kernel.store.read(lambda c: c.execute(sa.select(table)).one())


async def test_there_is_nothing_before_something_is_put_in(kernel: Kernel) -> None:
    assert await kernel.vault.read("ghl") == Held()


async def test_a_secret_is_read_back_and_stands_encrypted(kernel: Kernel) -> None:
    held = await kernel.vault.put("ghl", PAIR, after=0)
    assert (held, held.version) == (await kernel.vault.read("ghl"), 1)
    assert dict(held.secret) == PAIR
    stored = await row(kernel)
    assert all(value.encode() not in bytes(stored.sealed) for value in PAIR.values())


async def test_it_survives_a_restart(settings_for: Make) -> None:
    async with opened(settings_for()) as first:
        await first.vault.put("ghl", PAIR, after=0)
    async with opened(settings_for()) as second:
        assert dict((await second.vault.read("ghl")).secret) == PAIR


async def test_another_key_opens_nothing_and_says_so(kernel: Kernel) -> None:
    await kernel.vault.put("ghl", PAIR, after=0)
    with pytest.raises(Fatal) as caught:
        await Vault(kernel.store, kernel.clock, b"k" * 32).read("ghl")
    assert caught.value.code == "key_changed"


@pytest.mark.parametrize("change", [{"version": 7}, {"name": "other"}])
async def test_a_row_put_in_anothers_place_is_not_accepted(kernel: Kernel, change: dict[str, object]) -> None:
    await kernel.vault.put("ghl", PAIR, after=0)
    await kernel.store.write(lambda c: c.execute(sa.update(table).values(**change)))
    with pytest.raises(Fatal):
        await kernel.vault.read(str(change.get("name", "ghl")))


@pytest.mark.requirement("F17")
async def test_who_comes_second_finds_the_first_ones_secret(kernel: Kernel) -> None:
    await kernel.vault.put("ghl", PAIR, after=0)
    held = await kernel.vault.put("ghl", {"access": "late"}, after=0)
    assert (dict(held.secret), held.version) == (PAIR, 1)


@pytest.mark.requirement("F17")
async def test_only_one_is_inside_at_a_time(settings_for: Make) -> None:
    inside, most = 0, 0

    async def renew(kernel: Kernel) -> None:
        nonlocal inside, most
        async with kernel.vault.alone("ghl") as held:
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            await kernel.vault.put("ghl", {"n": str(held.version)}, after=held.version)
            inside -= 1

    async with open_kernel(settings_for()) as kernel:  # whoever waits must not make the minute pass
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(renew, kernel)
        assert (most, (await kernel.vault.read("ghl")).version) == (1, 8)


@pytest.mark.requirement("F17")
async def test_what_a_dead_process_holds_is_free_after_a_minute(kernel: Kernel) -> None:
    await kernel.vault.put("ghl", PAIR, after=0)
    until = kernel.clock.now().timestamp() + HELD_SECONDS
    dead = sa.update(table).values(holder="dead", until=until)
    await kernel.store.write(lambda c: c.execute(dead))
    began = kernel.clock.now().timestamp()
    async with kernel.vault.alone("ghl") as held:
        assert dict(held.secret) == PAIR
    assert HELD_SECONDS <= kernel.clock.now().timestamp() - began < HELD_SECONDS + 1


async def test_a_holder_that_never_comes_out_is_told_as_such(kernel: Kernel) -> None:
    clock = kernel.clock
    assert isinstance(clock, HandClock)

    async def hold_on() -> None:
        renewed = sa.update(table).values(holder="other", until=clock.now().timestamp() + HELD_SECONDS)
        await kernel.store.write(lambda c: c.execute(renewed))

    class Stubborn(HandClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            clock.at = self.at
            await hold_on()

    await kernel.vault.put("ghl", PAIR, after=0)
    await hold_on()
    patient = Vault(kernel.store, Stubborn(clock.now()), kernel.keys.vault)
    with pytest.raises(Retryable) as caught:
        async with patient.alone("ghl"):
            pass
    assert caught.value.code == "credentials_busy"


async def test_it_is_let_go_when_renewing_fails(kernel: Kernel) -> None:
    with pytest.raises(ValueError, match="no"):
        async with kernel.vault.alone("ghl"):
            raise ValueError("no")
    assert (await row(kernel)).holder == ""


@pytest.mark.requirement("F17")
async def test_lost_is_said_once_and_ends_with_a_new_secret(kernel: Kernel) -> None:
    held = await kernel.vault.put("ghl", PAIR, after=0)
    await kernel.vault.lose("ghl", "refused")
    await kernel.vault.lose("ghl", "refused again")
    assert (await kernel.vault.read("ghl")).lost == "refused"
    assert list(await kernel.store.read(lost_in)) == ["ghl"]
    assert (await kinds(kernel)).count("credentials.lost") == 1
    renewed = await kernel.vault.put("ghl", PAIR, after=held.version)
    assert renewed == replace(held, version=2)
    assert await kernel.store.read(lost_in) == {}


@pytest.mark.requirement("I7")
async def test_the_log_never_holds_the_secret(kernel: Kernel) -> None:
    await kernel.vault.put("ghl", PAIR, after=0)
    entries = str(await kernel.audit.tail(100))
    assert "credentials.renewed" in entries
    assert not [value for value in PAIR.values() if value in entries]
