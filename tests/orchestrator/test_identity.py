"""Who stops with an address: the person behind it, and nobody else."""

import pytest
import sqlalchemy as sa

from orchestrator.identity import addresses_of, at_domain, same_mailbox
from orchestrator.later import Later
from orchestrator.passing import cured_by_time, may_pass
from shared.kernel import Kernel
from shared.pipeline_schema import campaign_lead
from tests.orchestrator.world import Leaping, alone, people, planned, put

MINE = ("anna@corp1.com", "anna+news@corp1.com", "annabel@corp1.com", "an.na@corp1.com", "anna@corp2.com")


async def _enrolled(kernel: Kernel, *addresses: str) -> None:
    app = alone(kernel)
    await planned(app, people(len(addresses)))
    for one, address in zip(people(len(addresses)), addresses, strict=True):
        here = sa.update(campaign_lead).where(campaign_lead.c.lead_id == one.id)
        await put(app, here.values(email=address))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("anna@corp1.com", {"anna@corp1.com", "anna+news@corp1.com"}),
        ("ANNA+Other@CORP1.com", {"anna@corp1.com", "anna+news@corp1.com"}),
        ("annabel@corp1.com", {"annabel@corp1.com"}),
        ("nobody@corp1.com", set()),
        ("no address", set()),
    ],
)
async def test_tags_tell_no_people_apart_and_dots_at_work_do(
    live_kernel: Kernel, given: str, found: set[str]
) -> None:
    await _enrolled(live_kernel, *MINE)
    assert set(await live_kernel.store.read(lambda c: same_mailbox(c, given))) == found


async def test_dots_tell_no_people_apart_at_personal_gmail(live_kernel: Kernel) -> None:
    await _enrolled(live_kernel, "an.na@gmail.com", "anna@googlemail.com", "hanna@gmail.com")
    found = await live_kernel.store.read(lambda c: same_mailbox(c, "a.n.n.a+x@gmail.com"))
    assert set(found) == {"an.na@gmail.com", "anna@googlemail.com"}


async def test_the_address_itself_comes_first_also_where_nobody_is_known(live_kernel: Kernel) -> None:
    assert await live_kernel.store.read(lambda c: addresses_of(c, "New@Corp1.com", "")) == ("new@corp1.com",)


async def test_a_domain_covers_what_is_below_it_and_not_what_ends_alike(live_kernel: Kernel) -> None:
    await _enrolled(live_kernel, "a@corp1.com", "b@mail.corp1.com", "c@notcorp1.com")
    query = sa.select(campaign_lead.c.email).where(at_domain(["corp1.com"]))
    found = await live_kernel.store.read(lambda c: set(c.execute(query).scalars()))
    assert found == {"a@corp1.com", "b@mail.corp1.com"}


@pytest.mark.parametrize(
    ("status", "reason", "by_time", "ever"),
    [
        ("in_doubt", "answer_lost", True, True),
        ("failed", "rate_limited", True, True),
        ("refused", "in_flight", True, True),
        ("refused", "kill_switch", False, True),
        ("refused", "approval_expired", False, True),
        ("refused", "suppressed", False, False),
        ("failed", "invalid_email", False, False),
        ("applied", "", False, False),
        ("simulated", "safe_mode", False, False),
    ],
)
def test_what_may_end_otherwise_is_told_from_what_is_final(
    status: str, reason: str, by_time: bool, ever: bool
) -> None:
    assert (cured_by_time(status, reason), may_pass(status, reason)) == (by_time, ever)


async def test_what_fails_again_and_again_is_tried_ever_more_seldom() -> None:
    clock = Leaping()
    later = Later(clock, 1.0, 5.0)
    waits = []
    for _ in range(5):
        later.put_off("x")
        waited = 0
        while not later.due("x"):
            await clock.sleep(1)
            waited += 1
        waits.append(waited)
    assert waits == [1, 2, 4, 5, 5]
    later.forget("x")
    later.put_off("x")
    await clock.sleep(1)
    assert later.due("x")
