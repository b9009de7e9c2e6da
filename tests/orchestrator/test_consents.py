"""A person's yes to one send that no page reviews: to exactly that, by somebody who may, not while killed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator import consents
from shared.approval import Person
from shared.effect import Effect, Outcome, Receipt
from shared.errors import Conflict, Invalid
from shared.gate import Permit
from shared.kernel import Kernel
from tests.orchestrator.world import OPERATOR, World, world

EMAIL = "jane@corp.example"
FLOW = "sandbox-workflow-1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        await made.witness.act("ghl", "enter", email=EMAIL)
        yield made


async def trigger(here: World, approval: str = "", **changes: Any) -> Outcome:
    opened = here.app.suite.server("ghl")
    tool = next(tool for tool in opened.server.tools if tool.name == "trigger_workflow")
    arguments = {"contact_id": "", "email": EMAIL, "workflow_id": FLOW, "approval": approval, **changes}
    outcome: Outcome = await tool.function(opened.instance, **arguments)
    return outcome


@pytest.mark.requirement("A1", "A3")
async def test_what_was_refused_is_approved_by_its_key_and_then_done_once(here: World) -> None:
    refused = await trigger(here)
    assert (refused.status, refused.reason) == ("refused", "needs_approval")
    yes = await consents.approve(here.kernel, refused.key, person=OPERATOR)
    assert [(await trigger(here, yes)).status for _ in range(2)] == ["applied", "replayed"]
    assert await here.wrote("ghl", "trigger_workflow") == [EMAIL]


@pytest.mark.requirement("A1")
async def test_it_covers_nothing_else(here: World) -> None:
    yes = await consents.approve(here.kernel, (await trigger(here)).key, person=OPERATOR)
    other = await trigger(here, yes, channel="sms")
    assert (other.status, other.reason) == ("refused", "approval_mismatch")


@pytest.mark.requirement("A5", "X3")
async def test_a_viewer_says_yes_to_nothing(here: World) -> None:
    refused = await trigger(here)
    with pytest.raises(Invalid) as caught:
        await consents.approve(here.kernel, refused.key, person=Person("v@corp.example", "viewer"))
    assert caught.value.code == "not_allowed"


@pytest.mark.requirement("A6")
async def test_nobody_says_yes_while_everything_is_killed(here: World) -> None:
    refused = await trigger(here)
    await here.kernel.switches.kill(actor="test", reason="drill")
    with pytest.raises(Conflict):
        await consents.approve(here.kernel, refused.key, person=OPERATOR)


async def test_what_waits_for_no_yes_gets_none(here: World) -> None:
    yes = await consents.approve(here.kernel, (await trigger(here)).key, person=OPERATOR)
    done = await trigger(here, yes)
    with pytest.raises(Invalid) as caught:
        await consents.approve(here.kernel, done.key, person=OPERATOR)
    assert caught.value.code == "not_waiting"
    with pytest.raises(Invalid):
        await consents.approve(here.kernel, "0" * 64, person=OPERATOR)


@pytest.mark.requirement("A5")
@pytest.mark.parametrize("action", ["add_lead", "activate_campaign", "resume_campaign", "resume_mailbox"])
async def test_what_belongs_to_more_is_approved_with_it_only(live_kernel: Kernel, action: str) -> None:
    async def never(_: Permit) -> Receipt:
        raise AssertionError("it was let through")

    effect = Effect("instantly", action, EMAIL, "i", {"email": EMAIL}, (EMAIL,), campaign="c1")
    refused = await live_kernel.gate.submit(effect, never)
    with pytest.raises(Invalid, match="Gatekeeper"):
        await consents.approve(live_kernel, refused.key, person=OPERATOR)


def test_every_action_that_needs_a_yes_gets_it_somewhere(live_kernel: Kernel) -> None:
    needed = set(live_kernel.settings.safety.approvals.required_for)
    reviewed = {"instantly.add_lead", "instantly.activate_campaign", "instantly.resume_campaign"}
    cleared = {"instantly.resume_mailbox"}  # by whoever clears its halt: tests/orchestrator/test_mailboxes.py
    assert needed == consents.SINGLE | reviewed | cleared
