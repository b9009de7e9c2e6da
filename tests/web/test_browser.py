"""One journey in a real browser: log in, read, approve, press the kill switch; what the database says afterwards."""

import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import uvicorn

from orchestrator.accounts import Accounts
from orchestrator.app import App, webhook_sources
from orchestrator.rules import load_rules
from orchestrator.web.app import create_web
from shared.kernel import Kernel
from shared.listener import Guard, listener
from shared.suite import Suite
from tests.conftest import CONFIG
from tests.waiting import put_campaign, row_of, somebody

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


@pytest.mark.parametrize("javascript", [True, False], ids=["with scripts", "without scripts"])
async def test_an_operator_approves_a_campaign_and_stops_everything(
    live_kernel: Kernel, tmp_path: Path, javascript: bool
) -> None:
    from playwright.async_api import async_playwright

    kernel, rules = live_kernel, load_rules(CONFIG)
    people = [somebody(1), somebody(2, title="VP Sales"), somebody(3, title="Chief Revenue Officer")]
    campaign_id = await put_campaign(kernel, rules, people)
    await Accounts(kernel).create("olga@corp.com", "Olga Operator", "operator", PASSWORD, by="test")
    app = App(kernel, Suite({}, {}), rules, webhook_sources(kernel.settings))
    complaints: list[str] = []
    async with (
        _served(app) as url,
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
    ):
        context = await browser.new_context(
            java_script_enabled=javascript, viewport={"width": 1280, "height": 900}
        )
        page = await context.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))

        async def picture(name: str) -> None:
            await page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)

        await page.goto(f"{url}/reviews/{campaign_id}")
        await picture("login")
        await page.fill("#email", "olga@corp.com")
        await page.fill("#password", PASSWORD)
        await page.click("main button")
        await page.wait_for_url(f"**/reviews/{campaign_id}")
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
    assert complaints == []
