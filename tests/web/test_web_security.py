"""What every request passes: Host, origin, token, session, role, size; and what no answer shows."""

from datetime import timedelta

import httpx
import pytest
from starlette.applications import Starlette

from orchestrator.accounts import ABSOLUTE, GRACE
from orchestrator.app import App
from orchestrator.roles import RIGHTS, Right, allowed
from orchestrator.web.security import FORM_BYTES
from shared.clock import iso
from tests.web.conftest import HOST, OURS, Browser, LogIn

PAGES = (
    "/",
    "/reviews",
    "/campaigns",
    "/handoffs",
    "/replies",
    "/leads",
    "/suppression",
    "/audit",
    "/safety",
)
# Every form, with the right it needs.
FORMS: dict[str, Right] = {
    "/campaigns/x/pause": "stop",
    "/campaigns/x/resume": "resume",
    "/campaigns/plans/x/approve": "approve",
    "/campaigns/plans/x/reject": "approve",
    "/campaigns/plans/x/edit": "approve",
    "/campaigns/plans/x/implement": "approve",
    "/campaigns/tasks/x/done": "approve",
    "/campaigns/tasks/x/skip": "approve",
    "/handoffs/x/take": "approve",
    "/handoffs/x/close": "approve",
    "/handoffs/x/confirm": "suppress",
    "/handoffs/x/take-back": "approve",
    "/handoffs/named/x/take-in": "approve",
    "/handoffs/named/x/leave": "approve",
    "/replies/x/approve": "approve",
    "/replies/x/reject": "approve",
    "/replies/x/edit": "approve",
    "/reviews/x/read": "approve",
    "/reviews/x/words": "approve",
    "/reviews/x/approve": "approve",
    "/reviews/x/reject": "approve",
    "/reviews/x/y/out": "approve",
    "/reviews/x/y/in": "approve",
    "/reviews/x/y/1": "approve",
    "/leads": "read",
    "/suppression/check": "read",
    "/suppression/add": "suppress",
    "/suppression/upload": "suppress",
    "/suppression/lift": "relax",
    "/audit/verify": "read",
    "/safety/kill": "stop",
    "/safety/release": "relax",
    "/safety/safe-mode/on": "stop",
    "/safety/safe-mode/off": "relax",
    "/safety/pause": "stop",
    "/safety/clear": "clear_pause",
    "/safety/settle": "settle",
}
OPEN_FORMS = {"/login", "/logout", "/setup/{token}", "/webhooks/{vendor}", "/u/{token}"}
STOPPING = {"/campaigns/x/pause", "/safety/kill", "/safety/safe-mode/on", "/safety/pause"}
AGO = "2020-01-01T00:00:00.000000+00:00"


@pytest.mark.requirement("X3")
def test_every_form_is_in_the_table_of_rights(web: Starlette) -> None:
    posts = {route.path for route in web.routes if "POST" in (getattr(route, "methods", None) or ())}
    known = {path.replace("/x", "/{id}").replace("/y", "/{lead}") for path in FORMS}
    assert posts - OPEN_FORMS == {path.replace("{lead}/1", "{lead}/{step:int}") for path in known}


@pytest.mark.parametrize("role", ["viewer", "ae", "operator"])
@pytest.mark.requirement("X3", "K7")
async def test_a_form_is_refused_to_exactly_the_roles_without_its_right(log_in: LogIn, role: str) -> None:
    browser = await log_in(role)
    refused = {path for path in FORMS if (await browser.post(path)).status_code == 403}
    assert set(FORMS.values()) <= set(RIGHTS)
    assert refused == {path for path, right in FORMS.items() if not allowed(role, right)}


@pytest.mark.requirement("X1")
async def test_another_host_is_misdirected(anybody: httpx.AsyncClient) -> None:
    for host in ("evil.test", "127.0.0.1.evil.test", "localhost:9999", "127.0.0.1", "[::1]:8700", ""):
        assert (await anybody.get("/healthz", headers={"host": host})).status_code == 421


async def test_two_hosts_are_misdirected(anybody: httpx.AsyncClient) -> None:
    answer = await anybody.get("/healthz", headers=[("host", HOST), ("host", HOST)])
    assert answer.status_code == 421


async def test_no_page_without_a_session(anybody: httpx.AsyncClient) -> None:
    for path in PAGES:
        answer = await anybody.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


@pytest.mark.requirement("X2")
async def test_no_change_without_a_session(anybody: httpx.AsyncClient) -> None:
    for path in FORMS:
        answer = await anybody.post(path, data={"csrf": ""}, headers=OURS)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")


ELSEWHERE: tuple[dict[str, str], ...] = (
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.test"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "https://evil.test", "sec-fetch-site": "same-origin"},
    {"referer": "https://evil.test/"},
    {},
)


@pytest.mark.requirement("X2")
async def test_a_form_from_elsewhere_is_refused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    for headers in ELSEWHERE:
        answer = await browser.http.post("/safety/kill", data={"csrf": browser.csrf}, headers=headers)
        assert answer.status_code == 403
    assert not (await browser.kernel.switches.now()).killed


@pytest.mark.requirement("X2")
async def test_a_form_without_the_sessions_token_is_refused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    for token in ("", "wrong", "ünïcode"):
        assert (await browser.post("/safety/kill", {"csrf": token})).status_code == 403
    assert not (await browser.kernel.switches.now()).killed


@pytest.mark.requirement("X2")
async def test_no_change_by_get(log_in: LogIn) -> None:
    browser = await log_in("admin")
    before = (await browser.kernel.audit.head()).size
    for path in (*FORMS, "/logout", "/webhooks/instantly"):
        assert (await browser.get(path)).status_code in {200, 404, 405}
    assert (await browser.kernel.audit.head()).size == before


async def test_every_answer_carries_the_headers(log_in: LogIn, anybody: httpx.AsyncClient) -> None:
    browser = await log_in("ae")
    answers = [await browser.get("/"), await anybody.get("/login"), await anybody.get("/nowhere")]
    answers.append(await anybody.get("/healthz", headers={"host": "evil.test"}))
    for answer in answers:
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"


async def test_pages_need_no_exception_from_the_policy(log_in: LogIn) -> None:
    browser = await log_in("admin")
    for text in [(await browser.get(path)).text for path in PAGES]:
        assert "<style" not in text
        assert " style=" not in text
        assert "javascript:" not in text
        assert text.count("<script") == text.count("<script src=")


async def test_a_form_may_be_64_kb(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await browser.post("/leads", {"who": "x" * FORM_BYTES})).status_code == 413


async def test_other_content_types_are_refused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    answer = await browser.http.post("/safety/kill", json={"csrf": browser.csrf}, headers=OURS)
    assert answer.status_code == 415


async def test_too_many_fields_are_refused(log_in: LogIn) -> None:
    browser = await log_in("ae")
    assert (await browser.post("/leads", {f"f{n}": "1" for n in range(200)})).status_code == 400


async def test_a_fault_shows_its_id_and_nothing_else(app: App, web: Starlette) -> None:
    async def broken(*_: object) -> int:
        raise RuntimeError("password=hunter2 ann@corp.com")

    object.__setattr__(web.state.desk, "receive", broken)
    transport = httpx.ASGITransport(web, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        answer = await http.post("/webhooks/instantly", content=b"{}")
    assert answer.status_code == 500
    assert "hunter2" not in answer.text
    assert "ann@corp.com" not in answer.text
    assert "Traceback" not in answer.text


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────
async def _idle(log_in: LogIn, role: str) -> Browser:
    browser = await log_in(role)
    await browser.aged("seen_at", AGO)
    return browser


async def test_an_idle_session_sees_no_page(log_in: LogIn) -> None:
    answer = await (await _idle(log_in, "admin")).get("/reviews")
    assert answer.headers["location"] == "/login?next=/reviews"


@pytest.mark.requirement("K9", "X4")
async def test_an_idle_session_may_still_kill(log_in: LogIn) -> None:
    browser = await _idle(log_in, "ae")
    answer = await browser.post("/safety/kill")
    assert answer.status_code == 200
    assert "kill switch is on" in answer.text
    assert (await browser.kernel.switches.now()).killed


async def test_an_idle_session_may_still_pause(log_in: LogIn) -> None:
    browser = await _idle(log_in, "ae")
    await browser.post("/safety/pause", {"scope": "all", "reason": "look first"})
    assert [p.scope for p in (await browser.kernel.switches.now()).pauses] == ["all"]


@pytest.mark.requirement("K7")
async def test_an_idle_session_relaxes_nothing(log_in: LogIn) -> None:
    browser = await _idle(log_in, "admin")
    await browser.post("/safety/kill")
    answer = await browser.post("/safety/release", {"epoch": 1, "reason": "all good", "password": "x"})
    assert answer.headers["location"] == "/login?next=/"
    assert (await browser.kernel.switches.now()).killed


@pytest.mark.requirement("K9")
async def test_a_session_in_its_grace_may_stop_things_and_nothing_else(log_in: LogIn) -> None:
    browser = await log_in("admin")
    now = browser.kernel.clock.now()
    await browser.aged("created_at", iso(now - ABSOLUTE - GRACE + timedelta(minutes=1)))
    before = (await browser.kernel.audit.head()).size
    for path in [path for path in FORMS if path not in STOPPING]:
        assert (await browser.post(path)).headers["location"] == "/login?next=/", path
    assert (await browser.kernel.audit.head()).size == before
    await browser.post("/safety/pause", {"scope": "all", "reason": "look first"})
    await browser.post("/safety/kill")
    safety = await browser.kernel.switches.now()
    assert (safety.killed, len(safety.pauses)) == (True, 1)


async def test_a_session_beyond_its_grace_is_over(log_in: LogIn) -> None:
    browser = await log_in("ae")
    now = browser.kernel.clock.now()
    await browser.aged("created_at", iso(now - ABSOLUTE - GRACE - timedelta(minutes=1)))
    await browser.post("/safety/kill")
    assert not (await browser.kernel.switches.now()).killed


async def test_a_session_that_is_over_does_not_kill(log_in: LogIn) -> None:
    browser = await log_in("ae")
    await browser.aged("created_at", AGO)
    await browser.post("/safety/kill")
    assert not (await browser.kernel.switches.now()).killed


async def test_a_page_that_refreshes_itself_stays_when_the_session_is_idle(log_in: LogIn) -> None:
    answer = await (await _idle(log_in, "ae")).get("/", **{"hx-trigger": "live", "hx-request": "true"})
    assert answer.status_code == 204
