"""A person's yes: to exact content, for a while, each part once."""

import asyncio
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel
import httpx
import pytest

from shared.approval import Item, Person
from shared.effect import Receipt
from shared.errors import Invalid
from shared.gate import Permit
from shared.kernel import Kernel
from shared.settings import Settings
from tests.shared.world import HandClock, Vendor, approve, contact, enrolment, kinds, opened, stricter

pytestmark = pytest.mark.both_databases
Make = Callable[..., Settings]


@pytest.fixture
async def kernel(settings_for: Callable[..., Settings]) -> AsyncIterator[Kernel]:
    async with opened(settings_for(SAFE_MODE="false")) as made:
        yield made


async def reason(kernel: Kernel, **changes: object) -> str:
    return (await kernel.gate.submit(enrolment(**changes), Vendor())).reason


async def test_what_was_approved_happens(kernel: Kernel) -> None:
    approval = await approve(kernel, enrolment())
    assert (await kernel.gate.submit(enrolment(approval=approval), Vendor())).status == "applied"


@pytest.mark.requirement("A3")
async def test_a_yes_is_used_by_one_effect(kernel: Kernel) -> None:
    approval = await approve(kernel, enrolment())
    await kernel.gate.submit(enrolment(approval=approval), Vendor())
    assert await reason(kernel, approval=approval, intent="once more") == "approval_mismatch"


async def test_a_yes_is_over_at_the_very_moment_that_it_names(settings_for: Make) -> None:
    clock = HandClock()
    async with opened(settings_for(SAFE_MODE="false"), clock) as kernel:
        approval, early = (
            await approve(kernel, enrolment()),
            await approve(kernel, enrolment("b@corp.example")),
        )
        clock.move(kernel.settings.safety.approvals.expires_hours * 3_600 - 0.001)
        assert await reason(kernel, email="b@corp.example", approval=early) == ""
        clock.move(0.001)
        assert await reason(kernel, approval=approval) == "approval_expired"


async def test_the_effect_that_used_it_may_try_again(kernel: Kernel) -> None:
    approval = await approve(kernel, enrolment())
    vendor = Vendor([Invalid("not now")])
    assert (await kernel.gate.submit(enrolment(approval=approval), vendor)).status == "failed"
    assert (await kernel.gate.submit(enrolment(approval=approval), vendor)).status == "applied"


@pytest.mark.requirement("A3")
async def test_two_effects_at_once_on_one_yes_are_one_effect(kernel: Kernel) -> None:
    approval = await approve(kernel, enrolment())
    vendor = Vendor()
    outcomes = await asyncio.gather(
        *(kernel.gate.submit(enrolment(approval=approval, intent=f"try {n}"), vendor) for n in range(10))
    )
    assert sorted(o.status for o in outcomes) == ["applied"] + ["refused"] * 9
    assert len(vendor.performed) == 1


@pytest.mark.requirement("A4")
async def test_a_yes_taken_back_stands_no_more(kernel: Kernel) -> None:
    approval = await approve(kernel, enrolment())

    def revoke() -> object:
        return kernel.store.write(
            lambda c: kernel.approvals.revoke_in(c, approval, actor="Ada", reason="edited")
        )

    assert await revoke() is True  # type: ignore[misc]
    assert await revoke() is False  # type: ignore[misc]
    assert await reason(kernel, approval=approval) == "needs_approval"
    assert (await kinds(kernel)).count("approval.revoked") == 1


async def test_a_yes_to_another_action_is_none(kernel: Kernel) -> None:
    approval = await kernel.store.write(
        lambda c: kernel.approvals.give_in(
            c,
            "campaign:c1",
            [Item("instantly.activate_campaign", enrolment().fingerprint)],
            person=Person("Ada", "ae"),
            fingerprint="f",
        )
    )
    assert await reason(kernel, approval=approval) == "approval_mismatch"


@pytest.mark.parametrize("role", ["viewer", "agent", "", "system"])
@pytest.mark.requirement("A5")
async def test_only_people_who_may_approve_do(kernel: Kernel, role: str) -> None:
    with pytest.raises(Invalid):
        await kernel.store.write(
            lambda c: kernel.approvals.give_in(c, "s", [], person=Person("x", role), fingerprint="f")
        )


@pytest.mark.requirement("L8")
async def test_a_yes_is_in_the_log_with_what_it_covers(kernel: Kernel) -> None:
    await approve(kernel, enrolment(), enrolment(), enrolment("joe@corp.example"))
    newest = (await kernel.audit.tail(1))[0]
    payload = newest["payload"]
    assert isinstance(payload, dict)
    assert (newest["kind"], newest["actor"], payload["items"]) == ("approval.given", "Ada", 2)


async def test_what_needs_no_yes_asks_for_none(kernel: Kernel) -> None:
    assert not kernel.approvals.needed(enrolment(action="pause_campaign"))
    assert kernel.approvals.needed(enrolment(stops=True))


async def test_a_yes_to_nothing_covers_nothing(kernel: Kernel) -> None:
    approval = await approve(kernel)
    outcome = await kernel.gate.submit(enrolment(approval=approval), vendor := Vendor())
    assert (outcome.reason, vendor.performed) == ("approval_mismatch", [])


class Polled(HandClock):
    """Tells when somebody waits for the first time; waiting takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self.polled = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.polled.set()
        await anyio.lowlevel.checkpoint()


@pytest.mark.requirement("A2", "A4")
async def test_a_yes_that_expires_while_the_effect_waits_for_its_turn_is_refused(settings_for: Make) -> None:
    clock, entered, leave = Polled(), anyio.Event(), anyio.Event()

    async def slow(permit: Permit) -> Receipt:
        entered.set()
        await leave.wait()
        return Receipt("r")

    live = stricter(settings_for(SAFE_MODE="false"), concurrent_calls=1)
    async with opened(live, clock) as kernel:
        given = await approve(kernel, enrolment())
        first = asyncio.create_task(kernel.gate.submit(contact("a@corp.example"), slow))
        await entered.wait()
        waiting = asyncio.create_task(kernel.gate.submit(enrolment(approval=given), vendor := Vendor()))
        await clock.polled.wait()  # it was looked at while the yes still stood
        assert not waiting.done()
        later = live.safety.approvals.expires_hours * 3600
        # On the writer's thread, so that no claim is half-way through its checks.
        await kernel.store.write(lambda _: clock.move(later))
        leave.set()
        outcome = await waiting
        await first
    assert (outcome.status, outcome.reason, vendor.performed) == ("refused", "approval_expired", [])


@pytest.mark.requirement("A2", "A4", "R4")
async def test_a_yes_that_expires_between_two_tries_stops_the_second(settings_for: Make) -> None:
    clock, asked = HandClock(), []
    live = settings_for(SAFE_MODE="false")
    soon = live.safety.approvals.model_copy(update={"expires_hours": 1})
    live = stricter(live, call_deadline_seconds=120, approvals=soon)

    async def away(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        # So much time passes as is left of the yes; less than the call may take.
        clock.move(20)
        raise httpx.ConnectError("refused")

    async with opened(live, clock, away) as kernel:
        given = await approve(kernel, enrolment())
        clock.move(live.safety.approvals.expires_hours * 3600 - 10)
        client = kernel.client("instantly")

        async def perform(permit: Permit) -> Receipt:
            await client.write(permit, "POST", "/leads", json={})
            return Receipt("r")

        outcome = await kernel.gate.submit(enrolment(approval=given), perform)
    assert (outcome.status, outcome.reason, len(asked)) == ("failed", "stopped", 1)
