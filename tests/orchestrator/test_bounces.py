"""A bounce is the address's own matter; what its person asks for afterwards counts everywhere."""

import threading
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from orchestrator import catching_up, handling, intake, lists, opting_out, stopping, stops
from orchestrator.app import App
from orchestrator.intake import know_as, write_lead
from servers.ghl.events import parse
from shared.clock import iso
from shared.event import Event
from shared.kernel import Kernel
from shared.pipeline_schema import stop
from shared.ports import ContactView
from shared.spool import Kept
from shared.suppression import BOUNCED, Listed
from tests.orchestrator.world import alone, approved, launched, people, planned, put, rows, world

A, B = "person1@corp1.com", "person1@elsewhere.example"


async def bounced_at_a_and_known_at_b(kernel: Kernel) -> App:
    """One person of two addresses, the first of which bounced."""
    (one,) = people(1)
    assert one.email == A

    def change(connection: object) -> None:
        write_lead(connection, one, iso(kernel.clock.now()))  # type: ignore[arg-type]
        know_as(connection, one.id, [f"email:{B}"])  # type: ignore[arg-type]

    await kernel.store.write(change)
    await kernel.suppression.add(A, reason=BOUNCED, source="instantly")
    return alone(kernel)


async def why(kernel: Kernel, address: str) -> str:
    found = await kernel.suppression.find(address)
    return found.reason if found else ""


def bounce(email: str) -> Event:
    return Event(id=email, vendor="instantly", occurred_at="", type="bounced", email=email, bounce="hard")


def tagged(email: str) -> Event:
    """What the CRM tells of every change of a contact that has our tag."""
    body = {
        "type": "ContactTagUpdate",
        "id": f"c {email}",
        "email": email,
        "tags": ["dnc"],
        "webhookId": email,
    }
    return replace(parse(body), vendor="ghl")


@pytest.mark.requirement("I4", "U8")
async def test_a_mark_in_the_crm_after_a_bounce_stops_the_person_and_asks_the_vendors_once(
    tmp_path: Path,
) -> None:
    """It may be ours, and it may be theirs: nobody can tell, so it counts as theirs."""
    async with world(tmp_path) as it:
        await it.witness.act("ghl", "set_location", search_lag=0)
        (one,) = people(1)
        _, campaign_id = await approved(it.app, [one])
        await launched(it.app, campaign_id)
        await handling.handle(it.app, bounce(one.email))
        await stopping.work(it.app)
        (contact,) = (await it.app.suite.crm.list_dnc(limit=20, cursor="")).contacts
        assert contact.email == one.email, "the stop has marked it there"
        await handling.handle(it.app, tagged(one.email))
        assert await why(it.kernel, one.email) == "crm_dnc_tag"
        await it.kernel.store.write(lambda c: know_as(c, one.id, [f"email:{B}"]))
        await stops.sweep(it.kernel)
        assert await why(it.kernel, B) == "crm_dnc_tag", "an address that is learnt of later, too"
        await put(it.app, sa.update(stop).values(state="confirmed", confirmed_at=iso(it.kernel.clock.now())))
        await handling.handle(it.app, replace(tagged(one.email), id="again"))
        assert await catching_up.stop_all(it.app, [contact]) == 0
        assert {row.state for row in await rows(it.app, sa.select(stop))} == {"confirmed"}


@pytest.mark.requirement("I4", "U8")
async def test_a_file_that_brings_another_address_of_theirs_brings_nobody_to_write_to(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as it:
        (one,) = people(1)
        _, campaign_id = await approved(it.app, [one])
        assert await launched(it.app, campaign_id) == "live"
        await handling.handle(it.app, bounce(one.email))
        link = opting_out.links(it.kernel).token(one.email, campaign_id)
        assert await opting_out.opt_out(it.app, link)
        file = it.kernel.settings.home / "later.csv"
        file.write_text(f"linkedInProfileUrl,email\n{one.linkedin_url},{B}\n", encoding="utf-8")
        assert (await intake.import_path(it.app, str(file))).merged == 1
        assert await why(it.kernel, B) == await why(it.kernel, one.email) == "unsubscribed"
        assert set(await it.kernel.store.read(lambda c: it.kernel.suppression.check(c, [one.email, B]))) == {
            one.email,
            B,
        }
        await stopping.work(it.app)
        assert {row.target for row in await rows(it.app, sa.select(stop))} == {one.email, B}
        assert sorted(await it.wrote("instantly", "block")) == sorted([one.email, B])


async def test_bounces_that_come_back_from_the_crm_hold_no_company(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    for n in range(3):
        await handling.handle(app, bounce(f"p{n}@big.example"))
        for told in ("once", "again"):
            await handling.handle(app, replace(tagged(f"p{n}@big.example"), id=f"{told} {n}"))
    assert await live_kernel.suppression.refused(["somebody@big.example"]) == {}
    for n in range(3, 6):
        await handling.handle(app, tagged(f"p{n}@big.example"))
    assert await live_kernel.suppression.refused(["somebody@big.example"]) != {}, "a mark of theirs does"


@pytest.mark.requirement("I4", "U8")
@pytest.mark.parametrize("blocked", ["crm_unsubscribed", "crm_dnd"])
async def test_who_unsubscribed_in_the_crm_after_a_bounce_has_opted_out(
    live_kernel: Kernel, blocked: str
) -> None:
    app = await bounced_at_a_and_known_at_b(live_kernel)
    contact = ContactView("c1", email=A, blocked=blocked)
    assert await catching_up.stop_all(app, [contact]) == 1
    assert await why(live_kernel, A) == blocked
    await stops.sweep(live_kernel)
    assert await why(live_kernel, B) == blocked
    assert await catching_up.stop_all(app, [contact]) == 0


@pytest.mark.requirement("I4", "U8")
async def test_a_link_that_is_used_again_after_a_bounce_counts(live_kernel: Kernel) -> None:
    app = alone(live_kernel)
    token = opting_out.links(live_kernel).token(A, "c-1")
    assert await opting_out.opt_out(app, token)
    first = await why(live_kernel, A)
    assert await live_kernel.suppression.lift(A, actor="Ada", reason="she wrote")
    await live_kernel.suppression.add(A, reason=BOUNCED, source="instantly")
    assert await opting_out.opt_out(app, token)
    assert await why(live_kernel, A) == first != BOUNCED


@pytest.mark.requirement("I4", "U8")
async def test_an_opt_out_that_waited_in_the_spool_reaches_their_other_address(live_kernel: Kernel) -> None:
    app = await bounced_at_a_and_known_at_b(live_kernel)
    await live_kernel.spool.keep(Kept((A,), "unsubscribed", "link", "system"))
    await live_kernel.spool.take_in(live_kernel.store, live_kernel.suppression, live_kernel.clock)
    await stops.sweep(app.kernel)
    assert await why(live_kernel, B) == "unsubscribed"


@pytest.mark.requirement("I4", "U8")
async def test_an_opt_out_by_list_reaches_their_other_address(live_kernel: Kernel) -> None:
    await bounced_at_a_and_known_at_b(live_kernel)
    keys = live_kernel.suppression.keys_for(A)
    entry = Listed(keys, "opt_out", "list", iso(live_kernel.clock.now()), A)
    await live_kernel.store.write(lambda c: lists._list(live_kernel, c, [entry], "list.csv", "Ada"))
    await stops.sweep(live_kernel)
    assert await why(live_kernel, B) == "opt_out"


async def test_a_mark_at_their_other_address_opens_the_stop_of_a_bounce_only_once(
    live_kernel: Kernel,
) -> None:
    app = await bounced_at_a_and_known_at_b(live_kernel)
    await handling.handle(app, bounce(A))
    both = replace(tagged(A), detail={"other_emails": [B]})
    await handling.handle(app, both)
    assert [await why(live_kernel, one) for one in (A, B)] == ["crm_dnc_tag", "crm_dnc_tag"]
    at = iso(live_kernel.clock.now())
    await put(app, sa.update(stop).values(state="confirmed", confirmed_at=at))
    await stops.sweep(live_kernel)
    assert {row.state for row in await rows(app, sa.select(stop))} == {"confirmed"}


async def test_a_sweep_that_finds_nothing_waits_for_no_writer(live_kernel: Kernel) -> None:
    app = await bounced_at_a_and_known_at_b(live_kernel)
    await planned(app, people(2, start=5))
    over = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(live_kernel.store.write, lambda _: over.wait(20))
        with anyio.fail_after(10):
            assert await stops.sweep(live_kernel) == 0
        over.set()
