"""One-click unsubscribe: only a POST acts, whatever else is down, and no answer tells whose link it is."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from orchestrator import inbox, serving
from orchestrator.app import App
from orchestrator.opt_out_link import Links
from orchestrator.opting_out import links
from orchestrator.web.app import create_web
from shared.errors import ConfigError
from shared.kernel import Kernel
from shared.pipeline_schema import event
from shared.schema import inbound
from shared.sqlite import sqlite
from tests.web.conftest import HOST, LogIn

PUBLIC = "go.corp.example"
EMAIL = "jane@corp.example"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
# As a mail program's server sends it: from nowhere of ours.
FOREIGN = {"origin": "https://mail.test", "sec-fetch-site": "cross-site", "referer": "https://mail.test/"}


@pytest.fixture
async def outside(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody out there, who knows the public address."""
    public = replace(app.kernel.settings, public_url=f"https://{PUBLIC}")
    web = create_web(replace(app, kernel=replace(app.kernel, settings=public)), hosts=frozenset({HOST}))
    async with _client(web) as http:
        yield http


@asynccontextmanager
async def _client(web: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{PUBLIC}") as http:
        yield http


def path(kernel: Kernel, email: str = EMAIL) -> str:
    return f"/u/{links(kernel).token(email, 'c-1')}"


async def refused(kernel: Kernel) -> bool:
    return bool(await kernel.suppression.refused([EMAIL]))


async def count(kernel: Kernel, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return await kernel.store.read(lambda c: c.execute(query).scalar() or 0)


@pytest.mark.requirement("U21", "X2", "U10")
async def test_a_mail_programs_click_suppresses_at_once_and_only_here_foreign_posts_are_taken(
    outside: httpx.AsyncClient, live_kernel: Kernel, log_in: LogIn
) -> None:
    answer = await outside.post(path(live_kernel), data=ONE_CLICK, headers=FOREIGN)
    assert (answer.status_code, "location" in answer.headers, "set-cookie" in answer.headers) == (
        200,
        False,
        False,
    )
    assert await refused(live_kernel)
    browser = await log_in("ae")
    fields = {"csrf": browser.csrf, "target": "joe@corp.example", "reason": "x", **ONE_CLICK}
    for form in ("/suppression/add", "/safety/kill", "/u", "/suppression/add/u/x"):
        assert (await browser.http.post(form, data=fields, headers=FOREIGN)).status_code in {403, 404}
    assert not await live_kernel.suppression.find("joe@corp.example")


@pytest.mark.requirement("U21")
async def test_looking_changes_nothing_however_it_is_done(
    outside: httpx.AsyncClient, live_kernel: Kernel
) -> None:
    for headers in ({}, {"purpose": "prefetch", "sec-purpose": "prefetch"}, {"x-moz": "prefetch"}):
        page = await outside.get(path(live_kernel), headers=headers)
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert 'method="post"' in page.text
    assert EMAIL not in page.text
    head = await outside.head(path(live_kernel))
    assert (head.status_code, head.text) == (200, "")
    for wrong in ({}, {"List-Unsubscribe": "Two-Click"}, {"List": "One-Click"}):
        assert (await outside.post(path(live_kernel), data=wrong)).status_code == 400
    for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
        assert (await outside.request(method, path(live_kernel), data=ONE_CLICK)).status_code == 405
    assert not await refused(live_kernel)
    assert await count(live_kernel, inbound) == 0


@pytest.mark.requirement("U21")
async def test_both_kinds_of_form_are_read(outside: httpx.AsyncClient, live_kernel: Kernel) -> None:
    parts = {"List-Unsubscribe": (None, "One-Click")}
    assert (await outside.post(path(live_kernel), files=parts)).status_code == 200
    assert await refused(live_kernel)


@pytest.mark.requirement("U22")
async def test_a_link_that_is_not_ours_is_answered_alike_and_writes_nothing(
    outside: httpx.AsyncClient, live_kernel: Kernel
) -> None:
    ours = path(live_kernel)
    other = f"/u/{Links(b'another installation').token(EMAIL, 'c-1')}"
    answers = [await outside.post(one, data=ONE_CLICK) for one in (other, "/u/x", f"{ours}x", "/u/%C3%A9")]
    assert await count(live_kernel, inbound) == 0
    assert not await refused(live_kernel)
    answers.append(await outside.post(ours, data=ONE_CLICK))
    assert {(one.status_code, one.text) for one in answers} == {(200, answers[-1].text)}
    for one in answers:
        assert one.headers == answers[-1].headers


@pytest.mark.requirement("U21", "W2")
async def test_a_thousand_clicks_are_written_once_and_one_after_a_lift_counts_again(
    outside: httpx.AsyncClient, app: App, live_kernel: Kernel
) -> None:
    for _ in range(20):
        assert (await outside.post(path(live_kernel), data=ONE_CLICK)).status_code == 200
    size = (await live_kernel.audit.head()).size
    await outside.post(path(live_kernel), data=ONE_CLICK)
    assert (await live_kernel.audit.head()).size == size
    await inbox.drain(app)
    assert (await count(live_kernel, inbound), await count(live_kernel, event)) == (1, 1)
    await live_kernel.suppression.lift(EMAIL, actor="ada@corp.com", reason="asked back in")
    await outside.post(path(live_kernel), data=ONE_CLICK)
    assert await refused(live_kernel)


@pytest.mark.requirement("U21", "U11", "F16")
async def test_it_works_while_killed_and_with_the_database_locked(
    outside: httpx.AsyncClient, live_kernel: Kernel
) -> None:
    await live_kernel.switches.kill(actor="ada", reason="now")
    assert live_kernel.store.path is not None
    other = sqlite.connect(live_kernel.store.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        assert (await outside.post(path(live_kernel), data=ONE_CLICK)).status_code == 200
        assert live_kernel.spool.waiting()
    finally:
        other.rollback()
        other.close()
    await live_kernel.spool.take_in(live_kernel.store, live_kernel.suppression, live_kernel.clock)
    assert await refused(live_kernel)


@pytest.mark.requirement("U21", "F16")
async def test_it_works_with_all_other_parts_broken_and_says_so_where_nothing_can_be_kept(
    app: App, live_kernel: Kernel
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    store = type("Broken", (), {"read": broken, "write": broken})()
    nothing = replace(live_kernel, store=store, switches=None, audit=None, suppression=None)  # type: ignore[arg-type]  # all of it is gone
    web = create_web(replace(app, kernel=nothing), hosts=frozenset({PUBLIC}))
    async with _client(web) as http:
        assert (await http.get(path(live_kernel))).status_code == 200
        assert (await http.post(path(live_kernel), data=ONE_CLICK)).status_code == 200
        assert live_kernel.spool.waiting()
        live_kernel.spool.path.unlink()
        live_kernel.spool.path.mkdir()
        answer = await http.post(path(live_kernel), data=ONE_CLICK)
        live_kernel.spool.path.rmdir()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


@pytest.mark.requirement("U21", "U22")
async def test_served_by_itself_it_needs_no_database(live_kernel: Kernel) -> None:
    settings = live_kernel.settings
    async with (
        serving.closed(settings, "opt-outs only", known=links(live_kernel)) as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as http,
    ):
        assert (await http.post("/u/x", data=ONE_CLICK)).status_code == 200
        assert not live_kernel.spool.waiting()
        assert (await http.get(path(live_kernel))).status_code == 200
        for _ in range(3):
            assert (await http.post(path(live_kernel), data=ONE_CLICK, headers=FOREIGN)).status_code == 200
    assert len(live_kernel.spool.path.read_bytes().splitlines()) == 1, "it takes the room of once"
    await live_kernel.spool.take_in(live_kernel.store, live_kernel.suppression, live_kernel.clock)
    assert await refused(live_kernel)


@pytest.mark.requirement("U21")
async def test_without_the_installations_keys_nobody_is_told_that_it_is_done(
    live_kernel: Kernel, tmp_path: Path
) -> None:
    async with (
        serving.closed(live_kernel.settings, "the keys are gone") as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as http,
    ):
        assert (await http.post(path(live_kernel), data=ONE_CLICK)).status_code == 503
    with pytest.raises(ConfigError, match="keys"):
        await serving.only_opt_outs(replace(live_kernel.settings, home=tmp_path / "new"), "127.0.0.1", 0)


@pytest.mark.requirement("X1")
async def test_under_the_public_name_there_is_nothing_else(
    outside: httpx.AsyncClient, live_kernel: Kernel
) -> None:
    for other in ("/", "/login", "/safety", "/healthz", "/metrics", "/static/app.css", "/u", "/webhooksx/"):
        assert (await outside.get(other)).status_code == 421
    assert (await outside.post("/webhooks/instantly", content=b"{}")).status_code == 401
    elsewhere = {"host": "evil.test"}
    assert (await outside.post(path(live_kernel), data=ONE_CLICK, headers=elsewhere)).status_code == 421


@pytest.mark.requirement("W1")
async def test_no_webhook_is_believed_as_a_click(outside: httpx.AsyncClient, live_kernel: Kernel) -> None:
    raw = b'{"email": "jane@corp.example", "campaign_id": "c-1", "at": ""}'
    assert (await outside.post("/webhooks/one_click", content=raw)).status_code == 404
    assert not await refused(live_kernel)
