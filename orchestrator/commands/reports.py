"""swarm report: a day, a week or a month in numbers, as Markdown, as JSON, or as a page with plots."""

import enum
from datetime import date, datetime
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

    def human(console: Console) -> None:
        console.print(markdown(found), markup=False, soft_wrap=True)

    show(REPORT.dump_python(found, mode="json"), as_json, human)


def _period(name: PeriodName, on: str, now: datetime, zone: ZoneInfo) -> Period:
    if not on:
        return last_whole(name, now, zone)
    try:
        return around(name, date.fromisoformat(on), zone)
    except ValueError:
        raise Invalid("a day is written as 2026-11-28", field="on", code="bad_day") from None
