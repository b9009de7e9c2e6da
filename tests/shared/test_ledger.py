"""The ledger: one row per key, and the first word about each attempt stands."""

from collections.abc import AsyncIterator, Callable

import pytest
import sqlalchemy as sa

from shared import ledger
from shared.effect import Effect, Receipt
from shared.errors import Invalid
from shared.gate import Permit
from shared.kernel import Kernel
from shared.ledger import Ending, Proposal
from shared.schema import spend
from shared.settings import Settings
from tests.shared.world import HandClock, Vendor, contact, opened

pytestmark = pytest.mark.both_databases


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings]) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false")) as made:
        yield made


async def claim(kernel: Kernel, effect: Effect) -> None:
    known = await kernel.ledger.get(effect.key)
    await kernel.store.write(
        lambda c: ledger.put(c, [Proposal(effect, known, "claimed")], kernel.clock.now())
    )


async def settle(kernel: Kernel, *endings: Ending) -> dict[str, str]:
    return await kernel.store.write(lambda c: ledger.settle(c, endings, kernel.clock.now()))


@pytest.mark.requirement("I2")
async def test_the_first_word_stands(kernel: Kernel) -> None:
    key = contact().key
    await claim(kernel, contact())
    assert list(await settle(kernel, Ending(key, 1, "applied", reference="r1"))) == [key]
    assert await settle(kernel, Ending(key, 1, "failed", "late")) == {}
    row = await kernel.ledger.get(key)
    assert row is not None
    assert (row.status, row.reference) == ("applied", "r1")


async def test_a_doubt_may_be_settled_later(kernel: Kernel) -> None:
    key = contact().key
    await claim(kernel, contact())
    await settle(kernel, Ending(key, 1, "in_doubt", "answer_lost"))
    assert list(await settle(kernel, Ending(key, 1, "applied"))) == [key]


async def test_an_answer_to_an_earlier_attempt_says_nothing_about_this_one(kernel: Kernel) -> None:
    key = contact().key
    await claim(kernel, contact())
    await settle(kernel, Ending(key, 1, "failed", "rejected"))
    await claim(kernel, contact())
    assert await settle(kernel, Ending(key, 1, "applied")) == {}
    row = await kernel.ledger.get(key)
    assert row is not None
    assert (row.status, row.attempts) == ("claimed", 2)


async def test_a_row_gives_its_effect_back_as_it_was(kernel: Kernel) -> None:
    effect = contact(campaign="c1", cost=3, stops=True, repeatable=True, idempotency_key="mine")
    await claim(kernel, effect)
    row = await kernel.ledger.get(effect.key)
    assert row is not None
    assert (row.effect.key, row.effect.fingerprint) == (effect.key, effect.fingerprint)
    assert (row.effect.cost, row.effect.stops, row.effect.repeatable, row.effect.campaign) == (
        3,
        True,
        True,
        "c1",
    )


async def test_a_proposal_that_changed_is_written_anew(kernel: Kernel) -> None:
    await kernel.switches.pause("all", actor="ada", reason="lunch")
    await kernel.gate.submit(contact(cost=1), Vendor())
    await kernel.switches.resume("all", actor="ada", reason="back")
    await kernel.gate.submit(contact(cost=2, repeatable=True), Vendor())
    row = await kernel.ledger.get(contact().key)
    assert row is not None
    assert (row.effect.cost, row.effect.repeatable) == (2, True)


async def test_many_rows_are_found_at_once(kernel: Kernel) -> None:
    effects = [contact(f"p{n}@corp.example") for n in range(1_200)]
    proposals = [Proposal(effect, None, "claimed") for effect in effects]
    await kernel.store.write(lambda c: ledger.put(c, proposals, kernel.clock.now()))
    found = await kernel.store.read(lambda c: ledger.find_many(c, [effect.key for effect in effects]))
    assert len(found) == 1_200
    endings = [Ending(effect.key, 1, "applied") for effect in effects]
    assert len(await settle(kernel, *endings)) == 1_200


async def test_the_list_is_newest_first_and_filtered(kernel: Kernel) -> None:
    for name in ("a", "b", "c"):
        await kernel.gate.submit(contact(f"{name}@corp.example", campaign=name), Vendor())
    rows = await kernel.ledger.list(status="applied", vendor="ghl", limit=2)
    assert [row.effect.target for row in rows] == ["c@corp.example", "b@corp.example"]
    assert [row.effect.target for row in await kernel.ledger.list(campaign="a")] == ["a@corp.example"]
    assert await kernel.ledger.counts() == {"applied": 3}


async def test_what_failed_is_given_back_to_the_day_it_was_claimed(
    settings_for: Callable[..., Settings],
) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:

        async def over_midnight(permit: Permit) -> Receipt:
            clock.move(24 * 3600)
            raise Invalid("no")

        assert (await kernel.gate.submit(contact(cost=4), over_midnight)).status == "failed"
        query = sa.select(spend.c.day, spend.c.amount).order_by(spend.c.day)
        rows = await kernel.store.read(lambda c: [tuple(row) for row in c.execute(query)])
        assert rows == [("2026-03-02", 0), ("2026-03-02", 0)]


async def test_the_beginning_of_a_key_is_enough_where_it_names_one_effect(kernel: Kernel) -> None:
    await claim(kernel, contact())
    await claim(kernel, contact("joe@corp.example"))
    key = contact().key

    async def named(beginning: str) -> str:
        return await kernel.store.read(lambda c: ledger.key_like(c, beginning))

    assert await named(key[:20]) == key
    with pytest.raises(Invalid, match="no effects"):
        await named("zzz")
    with pytest.raises(Invalid, match="several effects"):
        await named("")


async def test_the_list_can_be_of_some_actions_alone(kernel: Kernel) -> None:
    await claim(kernel, contact())
    await claim(kernel, contact("joe@corp.example", action="update_contact"))
    found = await kernel.ledger.list(actions=("update_contact", "tag_contact"))
    assert [row.effect.target for row in found] == ["joe@corp.example"]
