"""Budgets that really stop: counted with the claim, given back exactly, and not fooled by clocks."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared.clock import iso
from shared.effect import Effect, Outcome, Receipt
from shared.errors import InDoubt, Invalid, NotSent
from shared.kernel import Kernel
from shared.schema import halt, spend
from shared.sending_rules import Caps, Mailbox, RampUp
from shared.settings import Settings
from shared.store import open_store
from tests.shared.world import HandClock, Shown, Vendor, contact, opened, stricter

Make = Callable[..., Settings]
LIVE = {"SAFE_MODE": "false", "INSTANTLY_API_KEY": "inst-12345678"}


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def enrolment(number: int = 0, domain: str = "", messages: int = 1, **changes: object) -> Effect:
    """Somebody added to a sequence; approvals are off in these tests."""
    email = f"p{number}@{domain or f'corp{number}.example'}"
    content = {"email": email, "messages": [f"Hello {n}" for n in range(messages)]}
    made = Effect("instantly", "add_lead", email, f"lead:{email}", content, (email,))
    return replace(made, **changes)  # type: ignore[arg-type]


def capped(settings: Settings, ramp_up: RampUp | None = None, **caps: object) -> Settings:
    """The same settings with these caps, and nobody's yes asked for."""
    free = settings.safety.approvals.model_copy(update={"required_for": ()})
    sending = {"sending": ("instantly.add_lead",), "also_mail": ("instantly.send_reply",)}
    wanted = Caps.model_validate({**sending, **caps})
    more = {"ramp_up": ramp_up} if ramp_up else {}
    return stricter(settings, approvals=free, caps=wanted, **more)


async def submit(kernel: Kernel, effect: Effect, *answers: Receipt | BaseException) -> Outcome:
    return await kernel.gate.submit(effect, Vendor(list(answers)))


async def reasons(kernel: Kernel, effects: list[Effect]) -> list[str]:
    return [(await submit(kernel, effect)).reason for effect in effects]


async def spent(kernel: Kernel) -> dict[tuple[str, str], int]:
    query = sa.select(spend.c.name, spend.c.day, spend.c.amount)
    return {
        (row.name, row.day): row.amount for row in await kernel.store.read(lambda c: c.execute(query).all())
    }


@pytest.fixture
async def paying(settings_for: Make, clock: HandClock) -> AsyncIterator[Kernel]:
    """Ten credits a day at Clay."""
    async with opened(capped(settings_for(**LIVE), credits_per_day={"clay": 10}), clock) as kernel:
        yield kernel


def look_up(number: int, cost: int = 3) -> Effect:
    return Effect("clay", "enrich", f"lead-{number}", f"enrich:{number}", {"n": number}, cost=cost)


# ── credits ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_credits_stop_before_they_are_over(paying: Kernel) -> None:
    assert await reasons(paying, [look_up(n) for n in range(5)]) == ["", "", "", "budget", "budget"]
    assert (await submit(paying, look_up(9, cost=1))).status == "applied"
    assert (await paying.budgets.credits("clay")).spent == 10


async def test_what_failed_for_sure_is_given_back_to_the_credit(paying: Kernel) -> None:
    await submit(paying, look_up(1), NotSent("away"))
    await submit(paying, look_up(2), Invalid("no"))
    assert set((await spent(paying)).values()) == {0}


async def test_what_is_in_doubt_stays_spent_until_somebody_knows(paying: Kernel) -> None:
    await submit(paying, look_up(1), InDoubt("lost"))
    assert (await paying.budgets.credits("clay")).spent == 3
    gone = Shown(None)
    vendor = Vendor([NotSent("away")])
    await paying.gate.submit(look_up(1), vendor, gone)
    assert (await paying.budgets.credits("clay")).spent == 0


async def test_a_refund_goes_to_the_day_that_paid(paying: Kernel, clock: HandClock) -> None:
    await submit(paying, look_up(1), InDoubt("lost"))
    clock.move(24 * 3600)
    await submit(paying, look_up(2))
    row = await paying.ledger.get(look_up(1).key)
    assert row is not None

    async def absent(_: Effect, /) -> None:
        return None

    await paying.gate.look(row, absent)
    amounts = {day: amount for (name, day), amount in (await spent(paying)).items() if name == "credits:clay"}
    assert amounts == {"2026-03-02": 0, "2026-03-03": 3}


async def test_giving_back_more_than_was_spent_leaves_nothing(paying: Kernel) -> None:
    await paying.store.write(lambda c: paying.budgets.give_back(c, [(look_up(1), "2026-03-02")]))
    assert (await paying.budgets.credits("clay")).spent == 0


async def test_a_budget_without_a_cap_is_unlimited(paying: Kernel) -> None:
    state = await paying.budgets.credits("ghl")
    assert (state.limit, state.spent, state.day) == (-1, 0, "2026-03-02")


async def test_a_batch_is_stopped_in_its_middle(paying: Kernel) -> None:
    async def perform(permits: object) -> dict[str, Receipt]:
        return {key: Receipt("r") for key in permits}  # type: ignore[attr-defined]

    outcomes = await paying.gate.submit_batch([look_up(n, cost=4) for n in range(5)], perform)  # type: ignore[arg-type]
    assert [one.status for one in outcomes] == ["applied", "applied", "refused", "refused", "refused"]


SPENDER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from shared.effect import Effect, Receipt
from shared.errors import NotSent
from shared.kernel import open_kernel
from shared.settings import load_settings

async def main(home, number):
    settings = load_settings(Path("config"), {"SWARM_HOME": home, "SAFE_MODE": "false"})
    caps = settings.safety.caps.model_copy(update={"credits_per_day": {"bench": 50}})
    settings = replace(settings, safety=settings.safety.model_copy(update={"caps": caps}))
    done = 0
    async with open_kernel(settings) as kernel:
        async def one(n):
            nonlocal done
            async def perform(permit):
                if n % 3 == 0:
                    raise NotSent("away")
                return Receipt("r")
            effect = Effect("bench", "look", f"{number}/{n}", f"look:{number}/{n}", {"n": n}, cost=1)
            outcome = await kernel.gate.submit(effect, perform)
            done += outcome.status == "applied"
        await asyncio.gather(*(one(n) for n in range(40)))
    print(done)

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.requirement("R2")
async def test_four_processes_at_once_spend_exactly_what_there_is(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]

    async def process(number: int) -> int:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            SPENDER,
            str(tmp_path / "home"),
            str(number),
            cwd=root,
            stdout=subprocess.PIPE,
        )
        out, _ = await child.communicate()
        assert child.returncode == 0
        return int(out)

    done = await asyncio.gather(*(process(number) for number in range(4)))
    assert sum(done) == 50  # of 160 wanted, a third of which fail and are given back
    async with open_store(f"sqlite:///{tmp_path / 'home' / 'swarm.db'}") as store:
        amount = await store.read(
            lambda c: c.execute(sa.select(spend.c.amount).where(spend.c.name == "credits:bench")).scalar()
        )
    assert amount == 50


# ── people and mails ─────────────────────────────────────────────────────────────────────────────────────
async def test_only_so_many_people_of_one_company_are_written_to_on_a_day(
    settings_for: Make, clock: HandClock
) -> None:
    settings = capped(settings_for(SAFE_MODE="false"), people_per_domain=2)
    async with opened(settings, clock) as kernel:
        same = [enrolment(n, domain) for n, domain in enumerate(["corp.com", "eu.corp.com", "CORP.com"])]
        assert await reasons(kernel, same) == ["", "", "limit"]
        assert await reasons(kernel, [enrolment(9, "other.com")]) == [""]
        clock.move(24 * 3600)
        assert await reasons(kernel, [enrolment(8, "corp.com")]) == [""]
        names = {name for name, _ in await spent(kernel) if name.startswith("domain:")}
    assert len(names) == 2
    assert not any("corp" in name for name in names)


async def test_free_mail_is_no_company(settings_for: Make, clock: HandClock) -> None:
    async with opened(capped(settings_for(SAFE_MODE="false"), people_per_domain=1), clock) as kernel:
        assert await reasons(kernel, [enrolment(n, "gmail.com") for n in range(4)]) == [""] * 4


async def test_who_is_stopped_counts_against_no_cap(settings_for: Make, clock: HandClock) -> None:
    settings = capped(settings_for(SAFE_MODE="false"), effects_per_day={"instantly.remove_lead": 0})
    async with opened(settings, clock) as kernel:
        gone = enrolment(action="remove_lead", stops=True)
        assert await reasons(kernel, [gone]) == [""]


RAMP = RampUp(mailboxes=(Mailbox(address="alex@sender.example", started=date(2026, 3, 2)),))


async def test_a_new_mailbox_sends_five_mails_a_day_and_a_sequence_counts_whole(
    settings_for: Make, clock: HandClock
) -> None:
    async with opened(capped(settings_for(**LIVE), RAMP), clock) as kernel:
        assert await reasons(kernel, [enrolment(n, messages=2) for n in range(3)]) == ["", "", "limit"]
        assert await reasons(kernel, [enrolment(7)]) == [""]
        clock.move(24 * 3600)
        assert await reasons(kernel, [enrolment(n, messages=2) for n in range(10, 13)]) == ["", "", "limit"]


async def test_an_answer_to_somebody_counts_and_is_never_refused(
    settings_for: Make, clock: HandClock
) -> None:
    async with opened(capped(settings_for(**LIVE), RAMP), clock) as kernel:
        answers = [enrolment(n, action="send_reply") for n in range(7)]
        assert await reasons(kernel, answers) == [""] * 7
        assert await reasons(kernel, [enrolment(50)]) == ["limit"]


async def test_after_a_halt_for_bounces_there_is_less(settings_for: Make, clock: HandClock) -> None:
    old = Mailbox(address="alex@sender.example", started=date(2026, 1, 1))
    ramp = RampUp(mailboxes=(old,))
    values = {"rule": "bounces", "scope": "all", "action": "halt", "at": iso(clock.now()), "cleared_at": "x"}
    async with opened(capped(settings_for(**LIVE), ramp), clock) as kernel:
        await kernel.store.write(lambda c: c.execute(sa.insert(halt).values(**values)).rowcount)
        assert await reasons(kernel, [enrolment(1, messages=31), enrolment(2, messages=30)]) == ["limit", ""]
        clock.move(8 * 24 * 3600)
        assert await reasons(kernel, [enrolment(3, messages=35)]) == [""]


async def test_a_mailbox_that_stands_still_adds_nothing(settings_for: Make, clock: HandClock) -> None:
    old = [Mailbox(address=f"{name}@sender.example", started=date(2026, 1, 1)) for name in ("Alex", "sam")]
    async with opened(capped(settings_for(**LIVE), RampUp(mailboxes=tuple(old))), clock) as kernel:
        scope, actor = "mailbox:alex@sender.example", "ada"
        await kernel.switches.pause(scope, actor=actor, reason="looked odd")
        assert await reasons(kernel, [enrolment(1, messages=36), enrolment(2, messages=1)]) == ["limit", ""]
        await kernel.switches.resume(scope, actor=actor, reason="looked well")
        assert await reasons(kernel, [enrolment(3, messages=69)]) == [""]


async def test_an_account_without_mailboxes_sends_nothing_and_an_emulator_anything(
    settings_for: Make, clock: HandClock
) -> None:
    async with opened(capped(settings_for(**LIVE)), clock) as kernel:
        assert await reasons(kernel, [enrolment()]) == ["limit"]
    async with opened(capped(settings_for(SAFE_MODE="false")), clock) as kernel:
        assert await reasons(kernel, [enrolment(1)]) == [""]


# ── days ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("R2", "F7")
@pytest.mark.parametrize("jump", [3 * 3600, 24 * 3600, 400 * 24 * 3600])
async def test_a_clock_that_jumps_ahead_and_back_grants_no_day_twice(
    paying: Kernel, clock: HandClock, jump: float
) -> None:
    clock.at = datetime(2026, 3, 2, 22, 30, tzinfo=UTC)
    assert await reasons(paying, [look_up(n) for n in range(4)]) == ["", "", "", "budget"]
    clock.move(jump)
    assert await reasons(paying, [look_up(n) for n in range(10, 14)]) == ["", "", "", "budget"]
    clock.move(-jump)
    assert await reasons(paying, [look_up(20)]) == ["budget"]
    clock.move(jump)
    assert await reasons(paying, [look_up(21)]) == ["budget"]


@pytest.mark.parametrize("change", [datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)])
async def test_a_day_on_which_clocks_change_is_a_day_in_utc(
    paying: Kernel, clock: HandClock, change: datetime
) -> None:
    clock.at = change
    assert await reasons(paying, [look_up(n) for n in range(4)]) == ["", "", "", "budget"]
    clock.move(24 * 3600 - 1)
    assert await reasons(paying, [look_up(5)]) == ["budget"]
    clock.move(1)
    assert await reasons(paying, [look_up(6)]) == [""]


async def test_after_a_restore_the_day_counts_as_spent(paying: Kernel, clock: HandClock) -> None:
    await paying.store.write(paying.budgets.count_as_spent)
    assert await reasons(paying, [look_up(1), contact()]) == ["budget", ""]
    clock.move(24 * 3600)
    assert await reasons(paying, [look_up(2)]) == [""]


async def test_an_address_that_cannot_be_read_belongs_to_no_company(settings_for: Make) -> None:
    """The gate refuses it for that; counting it must not fail the others of its batch."""
    settings = settings_for(SAFE_MODE="false")
    caps = Caps(people_per_domain=1, sending=("ghl.create_contact",))
    async with opened(stricter(settings, caps=caps)) as kernel:
        people = [
            contact("no address"),
            contact("nor this"),
            contact("a@corp.example"),
            contact("b@corp.example"),
        ]
        over = await kernel.store.write(lambda c: kernel.budgets.spend(c, people, lambda _: False))
    assert over == {people[3].key: "limit"}
