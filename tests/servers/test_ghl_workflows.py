"""Starting a workflow is a send: approved by a person, the contact read right before, tried once, doubt a person's."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.approval import Item, Person
from shared.effect import Outcome
from shared.errors import Invalid
from tests.servers.ghl_world import Bench

FLOW, DRAFT = "sandbox-workflow-1", "sandbox-workflow-2"
EMAIL = "jane@corp.example"
AE = Person("Ada", "ae")


async def trigger(bench: Bench, approval: str = "", **changes: Any) -> Outcome:
    arguments = {"contact_id": "", "email": EMAIL, "workflow_id": FLOW, "approval": approval, **changes}
    outcome: Outcome = await bench.call("trigger_workflow", **arguments)
    return outcome


async def approved(bench: Bench, **changes: Any) -> str:
    """A person's yes to exactly what was refused for want of one."""
    refused = await trigger(bench, **changes)
    assert (refused.status, refused.reason) == ("refused", "needs_approval")
    row = await bench.kernel.ledger.get(refused.key)
    assert row is not None
    items = [Item(row.effect.vendor_action, row.effect.fingerprint)]
    return await bench.kernel.store.write(
        lambda c: bench.kernel.approvals.give_in(c, "workflow", items, person=AE, fingerprint="f")
    )


@pytest.mark.requirement("I5")
async def test_nothing_starts_without_a_persons_yes(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    outcome = await trigger(bench)
    assert (outcome.status, outcome.reason) == ("refused", "needs_approval")
    assert f"swarm effects approve {outcome.key[:16]}" in outcome.message
    assert await bench.committed("trigger_workflow") == []


async def test_with_a_yes_it_starts_once(bench: Bench) -> None:
    there = await bench.somebody(EMAIL)
    yes = await approved(bench)
    first, second = await trigger(bench, yes), await trigger(bench, yes)
    assert (first.status, first.reference, second.status) == ("applied", there, "replayed")
    assert len(await bench.committed("trigger_workflow")) == 1


@pytest.mark.requirement("A1")
async def test_a_yes_to_one_workflow_is_none_to_another_person(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    await bench.somebody("bob@corp.example")
    yes = await approved(bench)
    outcome = await trigger(bench, yes, email="bob@corp.example")
    assert (outcome.status, outcome.reason) == ("refused", "approval_mismatch")


@pytest.mark.requirement("D1", "D3")
@pytest.mark.parametrize("kind", ["drop_after", "drop_before", "error_after", "truncate", "error_body"])
async def test_one_in_doubt_is_never_tried_again_and_waits_for_a_person(bench: Bench, kind: str) -> None:
    await bench.somebody(EMAIL)
    yes = await approved(bench)
    await bench.faults({"kind": kind, "method": "POST", "path": "/workflow/"})
    first = await trigger(bench, yes)
    await bench.clock.sleep(3600)
    second = await trigger(bench, yes)
    assert (first.status, second.status) == ("in_doubt", "in_doubt")
    asked = [one for one in await bench.control("GET", "/requests") if "/workflow/" in one["path"]]
    assert len(asked) == 1


BLOCKS: dict[str, Callable[[Bench], Any]] = {
    "crm_dnd": lambda b: b.act("set_dnd", email=EMAIL, dnd=True, channels={"email": "inactive"}),
    "crm_dnd_email": lambda b: b.act("set_dnd", email=EMAIL, dnd=False, channels={"email": "permanent"}),
    "crm_dnc_tag": lambda b: b.act("add_tag", email=EMAIL, tag="DNC"),
}


@pytest.mark.requirement("F15")
@pytest.mark.parametrize("reason", BLOCKS)
async def test_whoever_opts_out_after_the_yes_is_not_written_to(bench: Bench, reason: str) -> None:
    await bench.somebody(EMAIL)
    yes = await approved(bench)
    await BLOCKS[reason](bench)
    with pytest.raises(Invalid) as caught:
        await trigger(bench, yes)
    assert caught.value.code == reason
    assert await bench.committed("trigger_workflow") == []


@pytest.mark.requirement("F15")
@pytest.mark.parametrize("reason", BLOCKS)
async def test_whoever_opts_out_after_the_claim_is_not_written_to(bench: Bench, reason: str) -> None:
    there = await bench.somebody(EMAIL)
    yes = await approved(bench)
    # The list of workflows is the last thing that is read before the contact.
    bench.recorder.then("/workflows/", lambda: BLOCKS[reason](bench))
    outcome = await trigger(bench, yes)
    assert (outcome.status, outcome.reason) == ("failed", reason)
    assert bench.recorder.exchanges[-1].path == f"/contacts/{there}"
    assert await bench.committed("trigger_workflow") == []


async def test_another_channel_that_is_closed_does_not_block_mail(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    await bench.act("set_dnd", email=EMAIL, dnd=False, channels={"sms": "permanent", "RCS": "active"})
    yes = await approved(bench)
    assert (await trigger(bench, yes)).status == "applied"
    with pytest.raises(Invalid) as caught:
        await trigger(bench, channel="sms")
    assert caught.value.code == "crm_dnd_sms"


@pytest.mark.requirement("U10")
async def test_any_address_of_the_contact_on_our_list_blocks(bench: Bench) -> None:
    await bench.somebody(EMAIL)
    await bench.act("add_address", email=EMAIL, second="jane@home.example")
    await bench.kernel.suppression.add("jane@home.example", reason="unsubscribed", source="test")
    outcome = await trigger(bench)
    assert (outcome.status, outcome.reason) == ("refused", "suppressed")


async def test_an_address_that_came_after_the_claim_is_asked_about_too(bench: Bench) -> None:
    await bench.kernel.suppression.add("jane@home.example", reason="unsubscribed", source="test")
    await bench.somebody(EMAIL)
    yes = await approved(bench)
    # It comes while the gate decides: the list of workflows is the last thing read before the contact.
    bench.recorder.then(
        "/workflows/", lambda: bench.act("add_address", email=EMAIL, second="jane@home.example")
    )
    outcome = await trigger(bench, yes)
    assert (outcome.status, outcome.reason) == ("failed", "suppressed")
    assert await bench.committed("trigger_workflow") == []


@pytest.mark.parametrize(("flow", "reason"), [(DRAFT, "not_published"), ("nothing", "not_found")])
async def test_a_workflow_that_does_not_run_is_refused_with_its_reason(
    bench: Bench, flow: str, reason: str
) -> None:
    await bench.somebody(EMAIL)
    yes = await approved(bench, workflow_id=flow)
    outcome = await trigger(bench, yes, workflow_id=flow)
    assert (outcome.status, outcome.reason, bench.asked("POST", "/workflow/")) == ("failed", reason, [])


async def test_nobody_of_that_address_is_a_validation_error(bench: Bench) -> None:
    with pytest.raises(Invalid) as caught:
        await trigger(bench)
    assert caught.value.code == "not_found"


async def test_in_safe_mode_it_is_simulated(opened: Callable[..., Any]) -> None:
    bench = await opened(SAFE_MODE="true")
    await bench.somebody(EMAIL)
    outcome = await trigger(bench)
    assert outcome.status in {"simulated", "refused"}
    assert await bench.committed("trigger_workflow") == []


async def test_workflows_are_listed_with_their_status(bench: Bench) -> None:
    found = {one.id: one.status for one in await bench.call("list_workflows")}
    assert found == {FLOW: "published", DRAFT: "draft"}
