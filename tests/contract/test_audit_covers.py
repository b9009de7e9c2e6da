"""Everything that counts leaves its entry: effects however they end, decisions, switches, logins, processes.

Each deed is done by the function that the product does it with; then the log is looked at.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from orchestrator import relaxing
from orchestrator.accounts import Accounts
from orchestrator.links import first_admin_link
from shared.approval import Person
from shared.effect import Receipt
from shared.errors import Fatal, InDoubt
from shared.kernel import Kernel, running
from shared.schema import audit_detail, audit_leaf
from shared.settings import Settings
from shared.suppression import Listed
from tests.shared.world import AE, HandClock, Vendor, approve, contact, enrolment, opened

Make = Callable[..., Settings]
Deed = Callable[[Kernel], Awaitable[object]]
ADMIN = Person("boss@corp.com", "admin")
PASSWORD = "correct horse battery staple"
ANN = "ann@corp.com"


@dataclass(frozen=True)
class Case:
    """What is done, and the kinds of entries that it leaves, each with its actor and whom it is about."""

    name: str
    deed: Deed
    left: tuple[tuple[str, str, str], ...]  # kind, actor ("" for whoever), part of the subject


async def fresh_account(kernel: Kernel) -> Accounts:
    accounts = Accounts(kernel)
    await accounts.create(ANN, "Ann", "ae", PASSWORD, by=ADMIN.name)
    await accounts.create("boss@corp.com", "Boss", "admin", PASSWORD, by=ADMIN.name)
    return accounts


async def log_in_and_out(kernel: Kernel) -> None:
    accounts = await fresh_account(kernel)
    cookie = await accounts.login(ANN, PASSWORD)
    assert cookie
    await accounts.logout(cookie)
    await accounts.logout(cookie)
    await accounts.logout("nobody's")


async def guess(kernel: Kernel) -> None:
    accounts = await fresh_account(kernel)
    for _ in range(6):
        assert await accounts.login(ANN, "wrong") is None
    for _ in range(6):
        assert await accounts.login("stranger@corp.com", "wrong") is None


async def confirm_wrongly(kernel: Kernel) -> None:
    accounts = await fresh_account(kernel)
    visit = await accounts.visit(await accounts.login(ANN, PASSWORD) or "")
    assert visit is not None
    assert not await accounts.confirm(visit, "wrong")


async def promote_and_disable(kernel: Kernel) -> None:
    accounts = await fresh_account(kernel)
    assert await accounts.change_role(ANN, "operator", by=ADMIN.name)
    assert not await accounts.change_role(ANN, "operator", by=ADMIN.name)
    assert await accounts.disable(ANN, by=ADMIN.name)


async def approve_and_use(kernel: Kernel) -> None:
    one = enrolment()
    await kernel.gate.submit(enrolment(approval=await approve(kernel, one)), Vendor())


async def revoke(kernel: Kernel) -> None:
    identifier = await approve(kernel, enrolment())
    await kernel.store.write(
        lambda c: kernel.approvals.revoke_in(c, identifier, actor="Ada", reason="wrong list")
    )


async def fail(kernel: Kernel) -> None:
    await kernel.gate.submit(contact(), Vendor([Fatal("no", code="credentials")]))


async def lose_the_answer(kernel: Kernel) -> None:
    await kernel.gate.submit(contact(), Vendor([InDoubt("lost", code="answer_lost")]))


async def do_once(kernel: Kernel) -> None:
    await kernel.gate.submit(contact(), Vendor([Receipt("r")]))


async def simulate(kernel: Kernel) -> None:
    await kernel.switches.engage_safe_mode(actor="Ada", reason="a look")
    await kernel.gate.submit(contact(), Vendor())
    await relaxing.leave_safe_mode(kernel, person=ADMIN, reason="seen")


async def kill_and_release(kernel: Kernel) -> None:
    await kernel.switches.kill(actor="Ada", reason="smoke")
    await kernel.gate.submit(contact(), Vendor())
    await relaxing.release(kernel, person=ADMIN, reason="no fire")


async def pause_and_clear(kernel: Kernel) -> None:
    await kernel.switches.pause("vendor:ghl", actor="Ada", reason="wait")
    await relaxing.clear(kernel, "vendor:ghl", person=ADMIN, reason="go")
    await kernel.switches.pause("all", actor="rule:bounces", reason="too many", kind="halt")


async def suppress_and_lift(kernel: Kernel) -> None:
    await kernel.suppression.add("jane@corp.com", reason="asked", source="page", actor=ANN)
    listed = Listed(kernel.suppression.keys_for("joe@corp.com"), "asked", "file", "")
    await kernel.store.write(
        lambda c: kernel.suppression.add_many_in(c, [listed], about="list.csv", actor="Ada")
    )
    await relaxing.lift(kernel, "jane@corp.com", person=ADMIN, reason="she wrote")


async def run_and_end(kernel: Kernel) -> None:
    async with running(kernel, "worker"):
        pass


CASES = (
    Case(
        "an effect that was done", do_once, (("effect.claimed", "", "jane@"), ("effect.applied", "", "jane@"))
    ),
    Case("an effect that failed", fail, (("effect.claimed", "", "jane@"), ("effect.failed", "", "jane@"))),
    Case(
        "an effect in doubt", lose_the_answer, (("effect.claimed", "", ""), ("effect.in_doubt", "", "jane@"))
    ),
    Case(
        "safe mode",
        simulate,
        (
            ("switch.safe_mode", "Ada", "on"),
            ("effect.simulated", "", "jane@"),
            ("switch.safe_mode", ADMIN.name, "off"),
        ),
    ),
    Case(
        "the kill switch",
        kill_and_release,
        (("switch.kill", "Ada", "on"), ("effect.refused", "", "jane@"), ("switch.kill", ADMIN.name, "off")),
    ),
    Case(
        "pauses and halts",
        pause_and_clear,
        (
            ("pause.set", "Ada", "vendor:ghl"),
            ("pause.cleared", ADMIN.name, "vendor:ghl"),
            ("halt.set", "rule:", "all"),
        ),
    ),
    Case(
        "an approval and its use",
        approve_and_use,
        (
            ("approval.given", AE.name, "campaign:"),
            ("effect.claimed", "", "jane@"),
            ("effect.applied", "", "jane@"),
        ),
    ),
    Case(
        "an approval taken back", revoke, (("approval.given", AE.name, ""), ("approval.revoked", "Ada", ""))
    ),
    Case(
        "suppressions",
        suppress_and_lift,
        (
            ("suppression.added", ANN, "jane@"),
            ("suppression.imported", "Ada", "list.csv"),
            ("suppression.lifted", ADMIN.name, "jane@"),
        ),
    ),
    Case(
        "logging in and out",
        log_in_and_out,
        (
            *(("account.created", ADMIN.name, who) for who in (ANN, "boss@")),
            ("account.logged_in", ANN, ANN),
            ("account.logged_out", ANN, ANN),
        ),
    ),
    Case(
        "guessing",
        guess,
        (
            *(("account.created", "", "") for _ in "12"),
            *(("account.login_failed", "", ANN) for _ in "1234"),
            ("account.locked", "", ANN),
            *(("account.login_failed", "", ANN) for _ in "12"),
            ("account.login_failed", "", "unknown addresses"),
        ),
    ),
    Case(
        "a wrong password again",
        confirm_wrongly,
        (
            *(("account.created", "", "") for _ in "12"),
            ("account.logged_in", ANN, ANN),
            ("account.login_failed", "", ANN),
        ),
    ),
    Case(
        "roles",
        promote_and_disable,
        (
            *(("account.created", "", "") for _ in "12"),
            ("account.role_changed", ADMIN.name, ANN),
            ("account.disabled", ADMIN.name, ANN),
        ),
    ),
    Case(
        "the first admin's link",
        lambda kernel: first_admin_link(kernel, "http://127.0.0.1:1"),
        (("account.link_made", "", "first admin"),),
    ),
    Case("a process", run_and_end, (("process.started", "", ""), ("process.stopped", "", ""))),
)


async def left_behind(kernel: Kernel) -> list[tuple[str, str, str]]:
    """Kind, actor and subject of every entry, oldest first."""
    entries = reversed(await kernel.audit.tail(1_000))
    return [(str(one["kind"]), str(one["actor"]), str(one["subject"])) for one in entries]


@pytest.mark.requirement("L8", "I6")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
async def test_what_is_done_leaves_exactly_its_entries(settings_for: Make, case: Case) -> None:
    async with opened(settings_for(SAFE_MODE="false"), HandClock()) as kernel:
        await case.deed(kernel)
        found = await left_behind(kernel)
        assert [kind for kind, _, _ in found] == [kind for kind, _, _ in case.left]
        for (_, actor, subject), (kind, by, about) in zip(found, case.left, strict=True):
            assert about in subject, kind
            assert by in actor or len(actor) == 64, f"{kind}: an address is committed to, a name is shown"
        assert (await kernel.audit.verify()).ok


@pytest.mark.requirement("I6")
async def test_every_row_of_the_ledger_has_its_entries(settings_for: Make) -> None:
    """The other way round: for whatever was done outside, the log has a claim before and an ending after."""
    async with opened(settings_for(SAFE_MODE="false"), HandClock()) as kernel:
        for name, script in (("a", []), ("b", [Fatal("no")]), ("c", [InDoubt("lost")]), ("d", [])):
            await kernel.gate.submit(contact(f"{name}@corp.example"), Vendor(list(script)))
        rows = await kernel.ledger.list(limit=100)
        payloads = await kernel.store.read(_of_effects)
        assert len(rows) == 4
        for row in rows:
            kinds = [kind for kind, key in payloads if key == row.key]
            assert kinds == ["effect.claimed", f"effect.{row.status}"]


def _of_effects(connection: sa.Connection) -> list[tuple[str, str]]:
    query = sa.select(audit_leaf.c.data, audit_detail.c.payload).join(
        audit_detail, audit_detail.c.seq == audit_leaf.c.seq
    )
    rows = connection.execute(query.order_by(audit_leaf.c.seq))
    return [(json.loads(row.data)["kind"], json.loads(row.payload).get("key", "")) for row in rows]
