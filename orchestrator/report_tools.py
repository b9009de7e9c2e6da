"""Reports as a tool and as a text: what an agent may read of a day, a week or a month. No person is named."""

from datetime import date
from typing import Annotated

from pydantic import Field

from orchestrator import reporting
from orchestrator.app import App
from orchestrator.periods import Period, PeriodName, around, last_whole
from orchestrator.report_data import Report
from orchestrator.report_text import markdown
from shared.errors import Invalid
from shared.tool import reads

PERIODS: tuple[PeriodName, ...] = ("daily", "weekly", "monthly")
Day = Annotated[
    str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$", description="a day in it; empty: the last whole one")
]


@reads("A report", open_world=False)
async def get_report(app: App, period: PeriodName, on: Day = "") -> Report:
    """A day, week or month: funnel, tiers, replies, targets, promises kept, variants. Shares in per cent, 95 % sure.

    Don't read a share without its interval; `verdict: open` means it can't be told yet.
    """
    return await reporting.make(app, _period(app, period, on))


def _period(app: App, name: PeriodName, on: str) -> Period:
    zone = app.rules.schedules.zone
    if not on:
        return last_whole(name, app.kernel.clock.now(), zone)
    try:
        return around(name, date.fromisoformat(on), zone)
    except ValueError:
        raise Invalid("there is no such day", field="on", code="bad_day") from None


async def text(app: App, period: str) -> str:
    """The last whole period as Markdown."""
    name = next((one for one in PERIODS if one == period), None)
    if name is None:
        raise Invalid(f"a report is {', '.join(PERIODS)}", field="uri", code="not_found")
    return markdown(await reporting.make(app, _period(app, name, "")))
