"""In a real browser: approve, stop everything, take in whom an answer names; and what the database says then."""

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
import sqlalchemy as sa
import uvicorn

from orchestrator import handling
from orchestrator.accounts import Accounts
from orchestrator.app import App, webhook_sources
from orchestrator.rules import load_rules
from orchestrator.web.app import create_web
from shared.event import Event
from shared.kernel import Kernel
from shared.listener import Guard, listener
from shared.pipeline_schema import campaign_lead, lead, referral
from shared.schema import approval, effect
from shared.suite import Suite
from tests.conftest import CONFIG
from tests.orchestrator.world import rows
from tests.waiting import put_campaign, row_of, somebody

if TYPE_CHECKING:  # the browser may not be here
    from playwright.async_api import Page

CHROMIUM = shutil.which("chromium") or ""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MISSING = [
    name
    for name, there in {"chromium": CHROMIUM, "playwright": importlib.util.find_spec("playwright")}.items()
    if not there
]
LATER = ("reports", "learning", "schedules")
PASSWORD = "correct horse battery staple"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(MISSING), reason=f"not here: {', '.join(MISSING)}"),
    # asyncio's own warnings about the browser's pipes at the end of a test say nothing about the product
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@asynccontextmanager
async def _served(app: App) -> AsyncIterator[str]:
    """The application as it is really served: bound to loopback, behind the listener's guard."""
    at = listener("127.0.0.1:0")
    with at.bind() as bound:
        port = bound.getsockname()[1]
        web = create_web(app, hosts=frozenset(at.hosts(port)))
        config = uvicorn.Config(
            Guard(web, at.hosts(port)), log_level="critical", access_log=False, lifespan="on"
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [bound])
            yield at.url(port)
            server.should_exit = True


@asynccontextmanager
async def _browsing(
    app: App, *, width: int = 1280, javascript: bool = True
) -> AsyncIterator[tuple[str, "Page"]]:
    """A browser's page and where the application is; nothing in it may complain, and no dialogue may open."""
    from playwright.async_api import async_playwright

    complaints: list[str] = []
    async with (
        _served(app) as url,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        context = await browser.new_context(
            java_script_enabled=javascript, viewport={"width": width, "height": 900}
        )
        page = await context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        yield url, page
    assert complaints == []


async def _log_in(page: "Page", where: str) -> None:
    """Go there, and arrive there by way of the login."""
    await page.goto(where)
    await page.fill("#email", "olga@corp.com")
    await page.fill("#password", PASSWORD)
    await page.click("main button")
    await page.wait_for_url(where)


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_an_operator_approves_a_campaign_and_stops_everything(
    live_kernel: Kernel, tmp_path: Path, javascript: bool
) -> None:
    kernel, rules = live_kernel, load_rules(CONFIG)
    people = [somebody(1), somebody(2, title="VP Sales"), somebody(3, title="Chief Revenue Officer")]
    campaign_id = await put_campaign(kernel, rules, people)
    await Accounts(kernel).create("olga@corp.com", "Olga Operator", "operator", PASSWORD, by="test")
    app = App(kernel, Suite({}, {}), rules, webhook_sources(kernel.settings))
    async with _browsing(app, javascript=javascript) as (url, page):

        async def picture(name: str) -> None:
            await page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)

        await page.goto(f"{url}/reviews/{campaign_id}")
        await picture("login")
        await _log_in(page, f"{url}/reviews/{campaign_id}")
        assert await page.is_disabled("#approve")
        await picture("review")
        await page.click("text=I have read this one")
        await page.click("#read")
        await page.wait_for_selector("#approve:enabled")
        await picture("read")
        await page.click("#approve")
        await page.wait_for_selector(".said")
        row = await row_of(kernel, campaign_id)
        assert (row.state, row.decided_by) == ("approved", "olga@corp.com")

        for name in (
            "",
            "reviews",
            "campaigns",
            "handoffs",
            "leads",
            "suppression",
            "audit",
            "safety",
            *LATER,
        ):
            await page.goto(f"{url}/{name}")
            await picture(name or "dashboard")
        await page.click(".kill summary")
        await picture("kill")
        await page.click("#kill")
        await page.wait_for_selector(".banner.killed")
        await picture("killed")
        assert (await kernel.switches.now()).killed


NAMED = "Wrong person, talk to Anna <script>alert(1)</script> Kunze, {}. Not to <b>Mallory</b>"


@pytest.fixture
async def asked(live_kernel: Kernel) -> App:
    """An installation where two answers name somebody: Anna with an address, Bob without one."""
    await Accounts(live_kernel).create("olga@corp.com", "Olga", "ae", PASSWORD, by="test")
    app = App(live_kernel, Suite({}, {}), load_rules(CONFIG), webhook_sources(live_kernel.settings))
    texts = (NAMED.format("anna.kunze@corp1.com"), "Wrong person. Talk to Bob Ray, he runs this")
    for number, text in enumerate(texts):
        by = f"jo{number}@corp1.com"
        await handling.handle(app, Event(f"r{number}", "instantly", "replied", "", email=by, text=text))
    return app


@pytest.mark.parametrize("width", [1280, 390])
async def test_whom_answers_name_is_taken_in_and_is_mailed_nothing(
    asked: App, tmp_path: Path, width: int
) -> None:
    async with _browsing(asked, width=width) as (url, page):
        await _log_in(page, f"{url}/handoffs")
        anna = page.locator(".handoff", has_text="anna.kunze@corp1.com")
        await anna.get_by_text("What they wrote").click()
        assert "Anna <script>alert(1)</script> Kunze" in await anna.locator(".mail").inner_text()
        await page.screenshot(path=str(tmp_path / "named.png"), full_page=True)
        await anna.get_by_role("button", name="Take in as a new lead").click()
        assert "wait for an approval" in await page.inner_text(".said")
        assert await anna.get_by_role("button", name="Take in").count() == 0
        bob = page.locator(".handoff", has_text="Bob Ray")
        take = bob.get_by_role("button", name="Take in as a new lead")
        await take.click()
        assert not await bob.get_by_label("Their address").evaluate("box => box.checkValidity()")
        assert len(await rows(asked, sa.select(lead))) == 1, "nobody is taken in without an address"
        await bob.get_by_label("Their address").fill("bob.ray@corp1.com")
        await take.click()
        await bob.get_by_role("link", name="their page").wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.screenshot(path=str(tmp_path / "taken.png"), full_page=True)
        await bob.get_by_role("link", name="their page").click()
        assert "bob.ray@corp1.com" in await page.inner_text("main")
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await page.screenshot(path=str(tmp_path / "lead.png"), full_page=True)
    made = {row.email for row in await rows(asked, sa.select(lead))}
    assert made == {"anna.kunze@corp1.com", "bob.ray@corp1.com"}
    for nothing in (effect, approval, campaign_lead):
        assert await rows(asked, sa.select(nothing)) == []


async def test_whom_nobody_wants_is_declined_on_a_telephone(asked: App, tmp_path: Path) -> None:
    async with _browsing(asked, width=390) as (url, page):
        await _log_in(page, f"{url}/handoffs")
        await page.screenshot(path=str(tmp_path / "named.png"), full_page=True)
        for one in range(2):
            await page.get_by_role("button", name="Don't").first.click()
            await page.get_by_text("Who it was is forgotten").wait_for()
            await page.get_by_text("Declined by olga@corp.com").nth(one).wait_for()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        await page.screenshot(path=str(tmp_path / "declined.png"), full_page=True)
    for row in await rows(asked, sa.select(referral)):
        assert (row.state, row.email, row.first_name) == ("declined", "", "")
    assert await rows(asked, sa.select(lead)) == []
