"""A person's yes: to exact content, for a while, each part once."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from shared.approval import Item, Person
from shared.errors import Invalid
from shared.kernel import Kernel
from shared.settings import Settings
from tests.shared.world import Vendor, approve, enrolment, kinds, opened

pytestmark = pytest.mark.both_databases


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
