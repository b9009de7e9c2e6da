"""swarm report: a day, a week or a month in numbers, as Markdown, as JSON, or as a page with plots."""

import enum
from datetime import date, datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from orchestrator.commands.terminal import AsJson, kernel, run, show
from orchestrator.periods import Period, PeriodName, around, last_whole
from orchestrator.report_data import Report
from orchestrator.report_text import markdown
from orchestrator.reporting import REPORT, made
from orchestrator.rules import load_rules
from orchestrator.web.reports import as_file
from shared.errors import Invalid

commands = typer.Typer()


class Which(enum.StrEnum):
    """Whole days, weeks from Monday, calendar months."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@commands.callback()
def _group() -> None:
    """Reports."""


@commands.command()
def report(
    period: Annotated[Which, typer.Argument(help="Whole days, weeks from Monday, calendar months.")],
    on: Annotated[
        str,
        typer.Option(
            "--on", metavar="YYYY-MM-DD", help="The period with this day, instead of the last whole one."
        ),
    ] = "",
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write a page with plots there; it loads nothing."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Report the last whole day, week or month: funnel, tiers, replies, targets, promises, variants.

    Prints Markdown. Days are those of the time zone in schedules.yaml. Shares come with their 95 % interval, and of
    what can't be told yet that is said.
    """

    async def work() -> Report:
        async with kernel() as opened:
            rules = load_rules(opened.settings.folder)
            wanted = _period(period.value, on, opened.clock.now(), rules.schedules.zone)
            return await made(opened, rules, wanted)

    found = run(work)

    if html is not None:
        _write(html, found)

    def human(console: Console) -> None:
        console.print(f"Written to {html}." if html else markdown(found), markup=False, soft_wrap=True)

    show(REPORT.dump_python(found, mode="json"), as_json, human)


def _write(file: Path, found: Report) -> None:
    try:
        file.write_text(as_file(found), encoding="utf-8")
    except OSError as error:
        raise Invalid(f"{file} can't be written ({type(error).__name__})", field="html") from error


def _period(name: PeriodName, on: str, now: datetime, zone: ZoneInfo) -> Period:
    if not on:
        return last_whole(name, now, zone)
    try:
        return around(name, date.fromisoformat(on), zone)
    except ValueError:
        raise Invalid("a day is written as 2026-11-28", field="on", code="bad_day") from None
