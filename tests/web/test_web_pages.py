"""The pages: logging in, reviewing, stopping, looking up; and that text from outside is only text."""

import json
from urllib.parse import urlsplit

import httpx
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from orchestrator import review
from orchestrator.app import App
from orchestrator.links import first_admin_link
from orchestrator.web.app import create_web
from orchestrator.web.desk import when
from shared.approval import Person
from shared.pipeline_schema import campaign, handoff, reply
from shared.schema import audit_leaf
from shared.suite import Suite
from shared.webhook import MAX_BYTES
from tests.waiting import Vendor, person_of, put_campaign, row_of, somebody
from tests.web.conftest import HOST, OURS, PASSWORD, LogIn

NASTY = "<script>alert(1)</script><img src=x onerror=alert(1)>"


# ── logging in ───────────────────────────────────────────────────────────────────────────────────────────
async def test_first_admin_sets_up_logs_in_and_out(app: App, anybody: httpx.AsyncClient) -> None:
    setup = urlsplit(await first_admin_link(app.kernel, f"http://{HOST}")).path
    assert "first admin" in (await anybody.get(setup)).text
    fields = {"name": "Boss", "email": "boss@corp.com", "password": PASSWORD, "again": PASSWORD}
    assert (await anybody.post(setup, data=fields, headers=OURS)).headers["location"] == "/login?said=welcome"
    assert (await anybody.get(setup)).status_code == 404
    entered = {"email": "boss@corp.com", "password": PASSWORD, "next": "/safety"}
    answer = await anybody.post("/login", data=entered, headers=OURS)
    assert (answer.status_code, answer.headers["location"]) == (303, "/safety")
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/"))
    assert (await anybody.get("/")).status_code == 200
    await anybody.post("/logout", data={"csrf": ""}, headers=OURS)
    assert (await anybody.get("/")).status_code == 303


async def test_setup_keeps_what_was_typed_but_not_the_password(app: App, anybody: httpx.AsyncClient) -> None:
    setup = urlsplit(await first_admin_link(app.kernel, f"http://{HOST}")).path
    fields = {"name": "Boss", "email": "boss@corp.com", "password": PASSWORD, "again": "other"}
    answer = await anybody.post(setup, data=fields, headers=OURS)
    assert answer.status_code == 400
    assert "boss@corp.com" in answer.text
    assert PASSWORD not in answer.text


async def test_a_wrong_login_says_nothing_about_why(
    app: App, log_in: LogIn, anybody: httpx.AsyncClient
) -> None:
    await log_in("ae")
    tries = [{"email": "ae@corp.com", "password": "wrong"}, {"email": "no@corp.com", "password": "wrong"}]
    answers = [await anybody.post("/login", data=fields, headers=OURS) for fields in tries]
    first, second = [a.text.replace("ae@corp.com", "").replace("no@corp.com", "") for a in answers]
    assert first == second
    assert {a.status_code for a in answers} == {403}


@pytest.mark.parametrize(
    "to", ["https://evil.test", "//evil.test", "/\\evil.test", "/logout", "javascript:1", ""]
)
async def test_after_login_nobody_is_sent_elsewhere(
    log_in: LogIn, anybody: httpx.AsyncClient, to: str
) -> None:
    await log_in("ae")
    fields = {"email": "ae@corp.com", "password": PASSWORD, "next": to}
    assert (await anybody.post("/login", data=fields, headers=OURS)).headers["location"] == "/"


async def test_by_https_the_cookie_is_bound_to_the_host(app: App, log_in: LogIn) -> None:
    await log_in("ae")
    web = create_web(app, hosts=frozenset({"gate.corp.com:443"}), secure=True)
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="https://gate.corp.com:443") as http:
        headers = {"host": "gate.corp.com:443", "sec-fetch-site": "same-origin"}
        entered = {"email": "ae@corp.com", "password": PASSWORD}
        answer = await http.post("/login", data=entered, headers=headers)
    assert answer.headers["set-cookie"].startswith("__Host-gatekeeper=")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"]


# ── reviews ──────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_campaign_is_read_and_approved(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1), somebody(2)])
    browser = await log_in("ae")
    assert campaign_id in (await browser.get("/reviews")).text
    page = (await browser.get(f"/reviews/{campaign_id}")).text
    assert "Hi Dana" in page
    assert "disabled" in page
    ids = {"version": 1, "page": 1, "lead": [somebody(1).id, somebody(2).id]}
    await browser.post(f"/reviews/{campaign_id}/read", ids)
    answer = await browser.post(f"/reviews/{campaign_id}/approve", {"version": 1})
    assert answer.headers["location"] == f"/reviews/{campaign_id}?said=approved"
    row = await row_of(app.kernel, campaign_id)
    assert (row.state, row.decided_by) == ("approved", "ae@corp.com")


@pytest.mark.requirement("A6")
async def test_a_stale_page_approves_nothing(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1), somebody(2)])
    await review.leave_out(
        app.kernel, campaign_id, somebody(2).id, person=Person("o@corp.com", "ae"), version=1, reason="no"
    )
    answer = await (await log_in("ae")).post(f"/reviews/{campaign_id}/approve", {"version": 1})
    assert answer.status_code == 409
    assert "changed since you opened it" in answer.text


async def test_a_form_without_its_version_approves_nothing(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    answer = await (await log_in("ae")).post(f"/reviews/{campaign_id}/approve")
    assert answer.status_code == 400


async def test_rejecting_shows_its_reason(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    browser = await log_in("ae")
    await browser.post(f"/reviews/{campaign_id}/reject", {"version": 1, "reason": f"wrong tone {NASTY}"})
    page = (await browser.get(f"/reviews/{campaign_id}")).text
    assert "wrong tone &lt;script&gt;" in page
    assert NASTY not in page


async def test_a_message_is_edited(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    browser, path = await log_in("ae"), f"/reviews/{campaign_id}/{somebody(1).id}/1"
    page = (await browser.get(path)).text
    body = page.split("required>\n", 1)[1].split("</textarea>", 1)[0]
    answer = await browser.post(path, {"version": 1, "subject": "A new subject", "body": body})
    assert answer.headers["location"] == f"/reviews/{campaign_id}?said=edited"
    stored = json.loads((await person_of(app.kernel, somebody(1).id)).enrollment)
    assert stored["messages"][0]["subject"] == "A new subject"


async def test_an_edit_that_comes_too_late_is_not_lost(app: App, log_in: LogIn) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1), somebody(2)])
    browser, path = await log_in("ae"), f"/reviews/{campaign_id}/{somebody(1).id}/1"
    await browser.post(f"/reviews/{campaign_id}/{somebody(2).id}/out", {"version": 1, "reason": "no"})
    answer = await browser.post(path, {"version": 1, "subject": "Typed", "body": "and not lost"})
    assert answer.status_code == 400
    assert all(text in answer.text for text in ("changed since", "Typed", "and not lost", 'value="2"'))


@pytest.mark.requirement("X5", "F21")
async def test_text_from_outside_is_only_text(app: App, log_in: LogIn) -> None:
    person = somebody(1, title=f"Director {NASTY}", company=f"Corp {NASTY}", last_name=NASTY)
    campaign_id = await put_campaign(app.kernel, app.rules, [person])
    values = {"id": "h1", "lead_id": person.id, "event_id": "e1", "trigger": "pricing", "due_at": "2026"}
    words = {"event_id": "e1", "lead_id": person.id, "subject": NASTY, "text": f"\u202e{NASTY}"}

    def put(connection: sa.Connection) -> None:
        connection.execute(sa.insert(handoff).values(**values, destination="ae", priority="high"))
        connection.execute(sa.insert(reply).values(**words))

    await app.kernel.store.write(put)
    browser = await log_in("ae")
    paths = (f"/reviews/{campaign_id}", f"/leads/{person.id}", "/handoffs", "/reviews", "/campaigns")
    for text in [(await browser.get(path)).text for path in paths]:
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text


@pytest.mark.parametrize("path", ["/reviews/none", "/reviews/none/none/1", "/leads/none", "/nowhere"])
async def test_what_is_not_there_is_404(log_in: LogIn, path: str) -> None:
    assert (await (await log_in("ae")).get(path)).status_code == 404


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────────
async def test_a_campaign_is_paused_and_resumed(app: App, log_in: LogIn, web: Starlette) -> None:
    campaign_id = await put_campaign(app.kernel, app.rules, [somebody(1)])
    live = sa.update(campaign).values(state="live", vendor_ref="ref-1")
    await app.kernel.store.write(lambda c: c.execute(live))
    vendor = Vendor()
    there = App(app.kernel, Suite({"sequencer": vendor}, {}), app.rules, {})
    object.__setattr__(web.state.desk, "app", there)
    browser = await log_in("ae")
    answer = await browser.post(f"/campaigns/{campaign_id}/pause")
    assert answer.headers["location"] == "/campaigns?said=paused"
    assert "Resume" in (await browser.get("/campaigns")).text
    answer = await browser.post(f"/campaigns/{campaign_id}/resume", {"reason": "all fine"})
    assert answer.headers["location"] == "/campaigns?said=resumed"
    assert [what for what, _, _ in vendor.told] == ["pause", "resume"]


# ── safety ───────────────────────────────────────────────────────────────────────────────────────────────
async def test_the_kill_switch_is_pressed_and_signed(log_in: LogIn) -> None:
    browser = await log_in("ae")
    await browser.post("/safety/kill", {"reason": "complaints"})
    safety = await browser.kernel.switches.now()
    assert (safety.killed, safety.kill_reason) == (True, "complaints")
    assert (await browser.kernel.audit.head()).exposed == 0
    assert "complaints" in (await browser.get("/")).text


@pytest.mark.parametrize(("password", "killed"), [("wrong", True), (PASSWORD, False)])
async def test_releasing_needs_the_password_again(log_in: LogIn, password: str, killed: bool) -> None:
    browser = await log_in("admin")
    await browser.post("/safety/kill")
    await browser.post("/safety/release", {"epoch": 1, "reason": "checked", "password": password})
    assert (await browser.kernel.switches.now()).killed is killed


async def test_releasing_needs_a_reason(log_in: LogIn) -> None:
    browser = await log_in("admin")
    await browser.post("/safety/kill")
    assert (await browser.post("/safety/release", {"epoch": 1, "password": PASSWORD})).status_code == 400
    assert (await browser.kernel.switches.now()).killed


async def test_safe_mode_is_entered_by_an_ae_and_left_by_an_admin(log_in: LogIn) -> None:
    ae, admin = await log_in("ae"), await log_in("admin")
    await ae.post("/safety/safe-mode/on")
    assert (await ae.kernel.switches.now()).safe_mode
    await admin.post("/safety/safe-mode/off", {"epoch": 1, "reason": "checked", "password": PASSWORD})
    assert not (await ae.kernel.switches.now()).safe_mode


async def test_a_halt_is_cleared_by_an_admin_with_the_password(log_in: LogIn) -> None:
    operator, admin = await log_in("operator"), await log_in("admin")
    await admin.kernel.switches.pause("all", actor="rule", reason="bounces", kind="halt")
    fields = {"scope": "all", "reason": "list cleaned", "password": PASSWORD}
    assert (await operator.post("/safety/clear", fields)).status_code == 403
    assert (await admin.kernel.switches.now()).pauses
    await admin.post("/safety/clear", fields)
    assert not (await admin.kernel.switches.now()).pauses


async def test_only_what_is_there_can_be_paused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await browser.post("/safety/pause", {"scope": "vendor:none", "reason": "x"})).status_code == 400


# ── looking up ───────────────────────────────────────────────────────────────────────────────────────────
async def test_a_lead_is_found_by_address_without_it_in_the_url(app: App, log_in: LogIn) -> None:
    await put_campaign(app.kernel, app.rules, [somebody(1)])
    browser = await log_in("viewer")
    answer = await browser.post("/leads", {"who": somebody(1).id})
    assert answer.headers["location"] == f"/leads/{somebody(1).id}"
    assert "Director of Revenue Operations" in (await browser.get(answer.headers["location"])).text


async def test_somebody_is_put_on_the_list_and_found_there(log_in: LogIn) -> None:
    browser = await log_in("ae")
    await browser.post("/suppression/add", {"target": "Jo@Corp.com", "reason": "asked by phone"})
    answer = await browser.post("/suppression/check", {"target": "jo@corp.com"})
    assert "asked by phone" in answer.text
    assert "not on the list" in (await browser.post("/suppression/check", {"target": "a@b.com"})).text


async def test_a_free_mail_domain_is_not_put_on_the_list(log_in: LogIn) -> None:
    answer = await (await log_in("ae")).post("/suppression/add", {"target": "gmail.com", "reason": "x"})
    assert answer.status_code == 400
    assert "free-mail" in answer.text


async def test_the_log_shows_which_account_acted(log_in: LogIn) -> None:
    browser = await log_in("ae")
    await browser.post("/safety/kill")
    page = (await browser.get("/audit")).text
    assert page.count("ae@corp.com") >= 2
    assert "somebody (" not in page


async def test_the_log_is_proven_whole_and_a_change_is_noticed(log_in: LogIn) -> None:
    browser = await log_in("viewer")
    assert "Whole:" in (await browser.post("/audit/verify")).text
    await browser.kernel.store.write(_forge)
    assert "does not verify" in (await browser.post("/audit/verify")).text


def _forge(connection: sa.Connection) -> None:
    """What somebody with the database file can do: drop what guards it, then change an entry."""
    guards = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").scalars()
    for name in guards.all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    connection.execute(
        sa.update(audit_leaf).where(audit_leaf.c.seq == 0).values(data=audit_leaf.c.data + " ")
    )


def test_a_time_is_shown_in_utc() -> None:
    assert when("2026-11-03T08:05:00+01:00") == "3 Nov 2026, 07:05 UTC"
    assert when("") == ""


# ── for machines ─────────────────────────────────────────────────────────────────────────────────────────
async def test_health_needs_no_login_and_tells_of_the_kill_switch(
    app: App, anybody: httpx.AsyncClient
) -> None:
    assert (await anybody.get("/healthz")).json() == {"status": "ok", "database": "ok", "kill_switch": False}
    await app.kernel.switches.kill(actor="test", reason="test")
    assert (await anybody.get("/healthz")).json()["kill_switch"] is True
    assert (await anybody.get("/readyz")).status_code == 200


@pytest.mark.parametrize(("status", "retry"), [(200, None), (401, None), (400, None), (503, "10")])
async def test_a_webhook_is_answered_as_the_inbox_says(app: App, status: int, retry: str | None) -> None:
    got: list[tuple[str, bytes]] = []

    async def receive(_: App, vendor: str, headers: object, raw: bytes) -> int:
        got.append((vendor, raw))
        return status

    web = create_web(app, hosts=frozenset({HOST}), receive=receive)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url=f"http://{HOST}") as http:
        answer = await http.post("/webhooks/instantly", content=b'{"a":1}')
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, retry)
    assert got == [("instantly", b'{"a":1}')]


async def test_an_unknown_vendors_webhook_is_404(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.post("/webhooks/nobody", content=b"{}")).status_code == 404


@pytest.mark.requirement("W4")
async def test_a_webhook_may_be_256_kb(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.post("/webhooks/instantly", content=b" " * (MAX_BYTES + 1))).status_code == 413

    async def endless():
        for _ in range(MAX_BYTES // 1024 + 2):
            yield b" " * 1024

    assert (await anybody.post("/webhooks/instantly", content=endless())).status_code == 413


@pytest.mark.requirement("W1", "F13")
async def test_a_forged_webhook_is_refused(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.post("/webhooks/instantly", content=b"{}")).status_code == 401
