"""The safety page: stopping whatever else is broken, letting go on by two, and what a stop leaves over."""

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa
import structlog

from orchestrator import stops
from orchestrator.accounts import Accounts
from orchestrator.app import App
from shared.clock import iso
from shared.effect import Receipt
from shared.errors import InDoubt
from shared.gate import Permit
from shared.pipeline_schema import campaign, stop
from shared.schema import approval, effect, lease, relaxation
from shared.sqlite import sqlite
from tests.shared.world import Vendor, contact, kinds
from tests.waiting import put_campaign, somebody
from tests.web.conftest import PASSWORD, Browser, LogIn

CONFIRMED = {"reason": "checked", "password": PASSWORD}


async def _two(log_in: LogIn) -> tuple[Browser, Browser]:
    """Two admins."""
    return await log_in("admin"), await log_in("admin", "second")


async def _killed(browser: Browser) -> bool:
    return (await browser.kernel.switches.now()).killed


# ── two persons ──────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("A7")
async def test_the_only_admin_releases_alone(log_in: LogIn) -> None:
    browser = await log_in("admin")
    await browser.post("/safety/kill")
    answer = await browser.post("/safety/release", {"epoch": 1, **CONFIRMED})
    assert answer.headers["location"] == "/safety?said=released"
    assert not await _killed(browser)


@pytest.mark.requirement("A7", "K7")
async def test_of_two_admins_both_have_to_say_so(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    await first.post("/safety/kill")
    for _ in range(2):  # saying it twice is no second person
        answer = await first.post("/safety/release", {"epoch": 1, **CONFIRMED})
        assert answer.headers["location"] == "/safety?said=asked"
        assert await _killed(first)
    assert "You asked" in (await first.get("/safety")).text
    assert "admin@corp.com asked" in (await second.get("/safety")).text
    answer = await second.post("/safety/release", {"epoch": 1, **CONFIRMED})
    assert answer.headers["location"] == "/safety?said=released"
    assert not await _killed(first)
    assert {"relax.asked", "relax.granted"} <= set(await kinds(first.kernel))


@pytest.mark.requirement("A7")
async def test_two_admins_at_the_same_moment_are_one_who_asks_and_one_who_releases(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    await first.post("/safety/kill")
    said = await asyncio.gather(
        *(one.post("/safety/release", {"epoch": 1, **CONFIRMED}) for one in (first, second))
    )
    assert sorted(answer.headers["location"] for answer in said) == [
        "/safety?said=asked",
        "/safety?said=released",
    ]


@pytest.mark.requirement("A7")
async def test_what_was_asked_for_lapses_in_time(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    await first.post("/safety/kill")
    await first.post("/safety/release", {"epoch": 1, **CONFIRMED})
    past = iso(first.kernel.clock.now() - timedelta(seconds=1))
    await first.kernel.store.write(lambda c: c.execute(sa.update(relaxation).values(expires_at=past)))
    assert "asked on" not in (await second.get("/safety")).text
    await second.post("/safety/release", {"epoch": 1, **CONFIRMED})
    assert await _killed(first)


@pytest.mark.requirement("A7")
async def test_what_was_asked_for_lapses_when_somebody_presses_again(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    await first.post("/safety/kill")
    await first.post("/safety/release", {"epoch": 1, **CONFIRMED})
    await second.post("/safety/kill", {"reason": "it happens again"})
    assert (await first.post("/safety/release", {"epoch": 1, **CONFIRMED})).status_code == 409
    assert (await second.post("/safety/release", {"epoch": 1, **CONFIRMED})).status_code == 409
    await second.post("/safety/release", {"epoch": 2, **CONFIRMED})
    assert await _killed(first)


@pytest.mark.requirement("A6", "K7")
async def test_a_page_from_before_the_kill_releases_nothing(log_in: LogIn) -> None:
    browser = await log_in("admin")
    await browser.post("/safety/kill")
    assert (await browser.post("/safety/release", {"epoch": 0, **CONFIRMED})).status_code == 409
    assert await _killed(browser)


@pytest.mark.requirement("A7", "S3", "H4")
async def test_safe_mode_and_a_halt_take_two_as_well(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    switches = first.kernel.switches
    await switches.engage_safe_mode(actor="agent", reason="unsure")
    await switches.pause("all", actor="rule:bounces", reason="bounces: 6 of 50", kind="halt")
    for browser, stands in ((first, True), (second, False)):
        await browser.post("/safety/safe-mode/off", {"epoch": 1, **CONFIRMED})
        await browser.post("/safety/clear", {"scope": "all", **CONFIRMED})
        safety = await switches.now()
        assert (safety.safe_mode, bool(safety.pauses)) == (stands, stands)


@pytest.mark.requirement("A7", "K6")
async def test_a_mailbox_is_cleared_by_two_and_the_second_ones_word_is_the_yes_to_its_sending_again(
    log_in: LogIn,
) -> None:
    first, second = await _two(log_in)
    kernel, scope = first.kernel, "mailbox:alex@sender.example"
    await kernel.switches.pause(scope, actor="rule:complaint", reason="complaint: 1", kind="halt")
    assert "0 of 1 mailboxes paused" in (await first.get("/safety")).text
    given = sa.select(approval.c.subject, approval.c.actor, approval.c.note)
    for browser, expected in ((first, []), (second, [(scope, "second@corp.com", "checked")])):
        await browser.post("/safety/clear", {"scope": scope, **CONFIRMED})
        assert [tuple(row) for row in await kernel.store.read(lambda c: c.execute(given).all())] == expected
    assert (await kernel.switches.now()).pauses == ()


async def test_what_was_asked_for_one_halt_is_nothing_for_the_next(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    switches = first.kernel.switches
    await switches.pause("all", actor="rule:bounces", reason="bounces", kind="halt")
    await first.post("/safety/clear", {"scope": "all", **CONFIRMED})
    await switches.resume("all", actor="test", reason="cleared elsewhere")
    await switches.pause("all", actor="rule:complaints", reason="complaints", kind="halt")
    await second.post("/safety/clear", {"scope": "all", **CONFIRMED})
    assert (await switches.now()).pauses


async def test_an_account_that_was_disabled_meanwhile_is_no_second_person(log_in: LogIn) -> None:
    first, second = await _two(log_in)
    await first.post("/safety/kill")
    await first.post("/safety/release", {"epoch": 1, **CONFIRMED})
    await Accounts(first.kernel).disable("second@corp.com", by="test")
    answer = await second.post("/safety/release", {"epoch": 1, **CONFIRMED})
    assert answer.headers["location"].startswith("/login")
    assert await _killed(first)


# ── pressing ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.requirement("K3", "F16")
async def test_the_kill_switch_works_while_the_database_is_locked(log_in: LogIn) -> None:
    browser = await log_in("ae")
    used = iso(browser.kernel.clock.now() - timedelta(minutes=5))
    await browser.aged("seen_at", used)  # so that noting its use would have to be written
    lock = sqlite.connect(browser.kernel.store.path, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        answer = await browser.post("/safety/kill", {"reason": "now"})
        assert answer.status_code == 200
        assert "The kill switch is on" in answer.text
        assert "could not be written yet" in answer.text
        assert (await browser.kernel.switches.now()).kill_sources == ("flag file",)
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    # The database takes it as soon as it can.
    await browser.kernel.store.write(lambda _: None)
    assert "database" in (await browser.kernel.switches.now()).kill_sources


@pytest.mark.requirement("K2", "K6")
async def test_who_pressed_sees_what_is_still_on_the_wire_and_at_the_vendor(app: App, log_in: LogIn) -> None:
    browser = await log_in("ae")
    await _sending(app)
    out = app.kernel.clock.now().timestamp() + 20
    values = {"id": "4242/1", "process": "4242-dead", "what": "instantly.add_lead", "until": out}
    await app.kernel.store.write(lambda c: c.execute(sa.insert(lease).values(**values)))
    await browser.aged("seen_at", "2020-01-01T00:00:00.000000+00:00")  # an idle session sees it, too
    with structlog.testing.capture_logs() as logs:
        text = (await browser.post("/safety/kill")).text
    assert "web.fault" not in {line["event"] for line in logs}  # the vendor can't be reached here
    assert "kill.vendor_not_reached" in {line["event"] for line in logs}
    assert "On the wire: 1" in text
    assert "instantly.add_lead" in text
    assert "0 of 1 campaigns paused" in text


async def _sending(app: App) -> None:
    """A campaign that the vendor sends."""
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    live = sa.update(campaign).values(state="live", vendor_ref="ref-1")
    await app.kernel.store.write(lambda c: c.execute(live))
    at = "2026-01-01T00:00:00.000000+00:00"
    values = {"key": "k", "vendor": "instantly", "action": "activate_campaign", "status": "applied"}
    started = sa.insert(effect).values(campaign=campaign_id, claimed_at=at, settled_at=at, **values)
    await app.kernel.store.write(lambda c: c.execute(started))


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────────────
async def _doubtful(app: App) -> str:
    async def lost(permit: Permit) -> Receipt:
        raise InDoubt("the answer was lost", code="answer_lost")

    return (await app.kernel.gate.submit(contact(), lost)).key


@pytest.mark.requirement("D3", "I8")
async def test_what_is_in_doubt_is_shown_with_its_age_and_how_it_is_found_out(
    app: App, log_in: LogIn
) -> None:
    browser, key = await log_in("operator"), await _doubtful(app)
    old = iso(app.kernel.clock.now() - timedelta(hours=3))
    await app.kernel.store.write(lambda c: c.execute(sa.update(effect).values(claimed_at=old)))
    text = (await browser.get("/safety")).text
    assert key[:12] in text
    assert '<span class="state critical">3.0 h</span>' in text
    assert "looked up at the vendor" in text


@pytest.mark.requirement("D3")
@pytest.mark.parametrize(("said", "again"), [("applied", "replayed"), ("failed", "applied")])
async def test_an_operator_settles_it_with_the_password(
    app: App, log_in: LogIn, said: str, again: str
) -> None:
    browser, key = await log_in("operator"), await _doubtful(app)
    fields = {"key": key, "as": said, "reason": "looked at the contact"}
    assert (await browser.post("/safety/settle", {**fields, "password": "wrong"})).status_code == 403
    answer = await browser.post("/safety/settle", {**fields, "password": PASSWORD})
    assert answer.headers["location"] == "/safety?said=settled"
    row = await app.kernel.ledger.get(key)
    assert row is not None
    assert (row.status, row.reason, row.message) == (said, "by_hand", "looked at the contact")
    assert "effect.resolved" in await kinds(app.kernel)
    assert (await app.kernel.gate.submit(contact(), Vendor())).status == again


@pytest.mark.requirement("D1")
async def test_what_is_not_in_doubt_is_not_settled(app: App, log_in: LogIn) -> None:
    browser = await log_in("operator")
    done = await app.kernel.gate.submit(contact(), Vendor())
    fields = {"as": "failed", "reason": "x", "password": PASSWORD}
    assert (await browser.post("/safety/settle", {"key": done.key, **fields})).status_code == 409
    assert (await browser.post("/safety/settle", {"key": "none", **fields})).status_code == 404
    assert (await browser.post("/safety/settle", {"key": done.key, **fields, "as": "?"})).status_code == 400
    row = await app.kernel.ledger.get(done.key)
    assert row is not None
    assert row.status == "applied"


@pytest.mark.requirement("U10", "I8")
async def test_an_opt_out_that_a_vendor_has_not_confirmed_is_listed_for_entering_it_by_hand(
    app: App, log_in: LogIn
) -> None:
    browser, now = await log_in("ae"), app.kernel.clock.now()
    await stops.suppress(app.kernel, "jane@corp.com", reason="asked", source="test")
    at = iso(now - timedelta(hours=2))
    done = sa.update(stop).values(
        at=at, attempts=3, detail='{"removed": "applied", "blocked": "error: timeout"}'
    )
    await app.kernel.store.write(lambda c: c.execute(done))
    text = (await browser.get("/safety")).text
    listed = text[text.index('id="unconfirmed"') : text.index('id="in-doubt"')]
    assert "jane@corp.com" in listed
    assert '<span class="state critical">2.0 h</span>' in listed
    assert "block list; mark them do-not-contact" in listed
    assert "take them out" not in listed
