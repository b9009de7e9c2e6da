"""/metrics for this machine only, `swarm metrics`, and the alerts on the dashboard."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from orchestrator import reporting
from orchestrator.app import App
from orchestrator.schedules import Round, note_rounds
from shared.alerts import Alert, Alerts
from shared.pipeline_schema import event
from shared.safety_rules import AlertRules
from tests.conftest import CONFIG
from tests.web.conftest import HOST, LogIn

NASTY = "<script>alert(1)</script>"
DOUBT = Alert("in_doubt", "critical", "2 effects are in doubt", 42.5, 15, "minutes", "age of the oldest")


@pytest.fixture
async def stranger(web: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody on another machine."""
    transport = httpx.ASGITransport(web, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}") as http:
        yield http


# ── /metrics ─────────────────────────────────────────────────────────────────────────────────────────────
async def test_metrics_need_no_login_on_this_machine(app: App, anybody: httpx.AsyncClient) -> None:
    values = {"id": "1", "type": "sent"}
    await app.kernel.store.write(lambda c: c.execute(sa.insert(event).values(**values)))
    answer = await anybody.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert "\nswarm_sends_total 1.0\n" in answer.text


async def test_metrics_are_nothing_for_another_machine(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/metrics")
    assert answer.status_code == 404
    assert "swarm_" not in answer.text
    assert (await stranger.get("/healthz")).status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
async def test_metrics_are_nothing_behind_a_proxy(anybody: httpx.AsyncClient, header: str) -> None:
    assert (await anybody.get("/metrics", headers={header: "192.0.2.7"})).status_code == 404


async def test_metrics_say_when_the_database_is_gone(app: App, anybody: httpx.AsyncClient) -> None:
    app.kernel.store.close()
    answer = await anybody.get("/metrics")
    assert (answer.status_code, answer.text) == (503, "the database can't be read")


# ── swarm metrics ────────────────────────────────────────────────────────────────────────────────────────
def swarm(home: Path, *arguments: str) -> str:
    """What the command writes to stdout; a process of its own, since commands set up logging."""
    environment = {**os.environ, "SWARM_HOME": str(home), "SWARM_CONFIG": str(CONFIG)}
    command = [sys.executable, "-m", "orchestrator.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_command_prints_one_document(tmp_path: Path) -> None:
    assert json.loads(swarm(tmp_path, "metrics", "--json"))["events"]["sends"] == 0


def test_the_command_prints_a_table_for_a_person(tmp_path: Path) -> None:
    assert "suppression sync oldest seconds" in swarm(tmp_path, "metrics")


def test_the_command_lists_schedules(tmp_path: Path) -> None:
    found = json.loads(swarm(tmp_path, "schedules", "--json"))
    assert {"name", "last_done", "next_run", "lag_seconds", "late"} <= found[0].keys()


async def test_the_page_lists_schedules_and_parts_of_the_worker(app: App, log_in: LogIn) -> None:
    await note_rounds(app, [Round("inbox", 0.2, app.kernel.clock.now())], {"inbox"})
    page = (await (await log_in("viewer")).get("/schedules")).text
    assert all(text in page for text in ("suppression sweep", "every 5 min", "never", "inbox", "every 0.2 s"))


async def test_the_page_of_a_report_draws_it_and_lists_what_is_kept(app: App, log_in: LogIn) -> None:
    await reporting.keep(app, "daily", "2026-03-02T06:00:00+00:00")
    browser = await log_in("viewer")
    page = (await browser.get("/reports")).text
    assert all(text in page for text in ("<h2>Funnel</h2>", "As a table", "1 Mar 2026", "nobody yet"))
    begins = "2026-03-01T00:00:00.000000%2B00:00"
    assert "kept as it stood" in (await browser.get(f"/reports?period=daily&kept={begins}")).text
    assert (await browser.get("/reports?period=daily&kept=never")).status_code == 404


async def test_the_page_of_what_was_learnt_says_where_there_is_too_little(log_in: LogIn) -> None:
    page = (await (await log_in("viewer")).get("/learning")).text
    assert all(text in page for text in ("Too little data", "By send window", "Nothing: no rule"))


def test_the_command_reports_and_writes_a_page(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    found = json.loads(swarm(tmp_path, "report", "weekly", "--html", str(file), "--json"))
    assert {row["verdict"] for row in found["targets"]} == {"open"}
    assert "<svg" in file.read_text(encoding="utf-8")


# ── the dashboard ────────────────────────────────────────────────────────────────────────────────────────
async def test_the_dashboard_has_no_alerts_where_there_are_none(log_in: LogIn) -> None:
    assert 'id="alerts"' not in (await (await log_in("viewer")).get("/")).text


async def test_the_dashboard_shows_an_alert_that_nobody_can_be_told_of(app: App, log_in: LogIn) -> None:
    await Alerts(app.kernel.store, app.kernel.clock, AlertRules(), {}).see([DOUBT], set())
    text = (await (await log_in("viewer")).get("/")).text
    for shown in ("in doubt", "42.5 minutes", "threshold 15", "Nobody is told", "RUNBOOK.md#alert-in-doubt"):
        assert shown in text


async def test_the_dashboard_shows_what_a_channel_did_not_take(app: App, log_in: LogIn) -> None:
    async def broken(subject: str, text: str) -> None:
        raise OSError(NASTY)

    alerts = Alerts(app.kernel.store, app.kernel.clock, AlertRules(), {"slack": broken})
    await alerts.see([Alert("halt", "critical", "stopped", 1, 0, "halts", scope=NASTY)], set())
    await alerts.deliver()
    text = (await (await log_in("viewer")).get("/")).text
    assert "undelivered" in text
    assert "slack: OSError" in text
    assert NASTY not in text


async def test_the_dashboard_keeps_what_is_over_for_a_day(app: App, log_in: LogIn) -> None:
    alerts = Alerts(app.kernel.store, app.kernel.clock, AlertRules(), {})
    await alerts.see([DOUBT], set())
    await alerts.see([], {"in_doubt"})
    assert '<span class="state clear">over</span>' in (await (await log_in("viewer")).get("/")).text
