"""A day, a week or a month with plots: as a page of the Gatekeeper, and as a file that stands by itself."""

from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import reporting
from orchestrator.accounts import Visit
from orchestrator.periods import PeriodName, last_whole
from orchestrator.plots import plots_of
from orchestrator.report_data import Report
from orchestrator.report_text import headline, notes
from orchestrator.web.desk import desk, page, templates
from orchestrator.web.session import shown
from shared.errors import Invalid

PERIODS: tuple[PeriodName, ...] = ("daily", "weekly", "monthly")


@shown
async def show(request: Request, visit: Visit) -> Response:
    """The last whole period as it is now, or a kept report as it was then."""
    app, asked = desk(request).app, request.query_params
    name: PeriodName = next((one for one in PERIODS if one == asked.get("period")), "weekly")
    kept = asked.get("kept", "")
    if kept:
        found = await reporting.kept_one(app.kernel, name, kept)
        if found is None:
            raise Invalid("there is no such report", field="kept", code="not_found")
    else:
        period = last_whole(name, app.kernel.clock.now(), app.rules.schedules.zone)
        found = await reporting.make(app, period)
    history = await reporting.kept(app.kernel, limit=40)
    return await page(request, "reports.html", visit, kept=bool(kept), history=history, **_drawn(found))


def as_file(report: Report) -> str:
    """One HTML file without scripts; it loads nothing."""
    css = (files("orchestrator.web") / "static" / "gatekeeper.css").read_text(encoding="utf-8")
    environment: jinja2.Environment = templates()
    # Our own style sheet, as the Gatekeeper serves it; everything else is escaped.
    style = Markup(css)  # noqa: S704 - a file of ours
    return environment.get_template("report_file.html").render(css=style, **_drawn(report))


def _drawn(report: Report) -> dict[str, Any]:
    told = {"headline": headline(report), "notes": list(notes(report))}
    return {"report": report, "plots": plots_of(report), **told}
