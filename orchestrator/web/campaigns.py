"""Campaigns after their review: what runs, and pausing and resuming it."""

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import review
from orchestrator.accounts import Visit
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown
from shared.effect import Outcome
from shared.pipeline_schema import campaign, campaign_lead
from shared.switches import Safety

MOST = 200


@shown
async def show(request: Request, visit: Visit) -> Response:
    """The newest campaigns with their people by state."""
    kernel = desk(request).app.kernel
    rows = await kernel.store.read(_rows)
    held = await kernel.switches.now()
    return await page(request, "campaigns.html", visit, campaigns=rows, paused=_scopes(held), most=MOST)


def _rows(connection: sa.Connection) -> list[tuple[sa.Row[tuple[object, ...]], dict[str, int]]]:
    newest = sa.select(campaign).order_by(campaign.c.created_at.desc(), campaign.c.id).limit(MOST)
    rows = connection.execute(newest).all()
    counted = (
        sa.select(campaign_lead.c.campaign_id, campaign_lead.c.state, sa.func.count())
        .where(campaign_lead.c.campaign_id.in_([row.id for row in rows]))
        .group_by(campaign_lead.c.campaign_id, campaign_lead.c.state)
    )
    people: dict[str, dict[str, int]] = {}
    for campaign_id, state, count in connection.execute(counted):
        people.setdefault(campaign_id, {})[state] = count
    return [(row, people.get(row.id, {})) for row in rows]


def _scopes(safety: Safety) -> dict[str, str]:
    """By campaign id: pause or halt."""
    prefix = "campaign:"
    return {p.scope.removeprefix(prefix): p.kind for p in safety.pauses if p.scope.startswith(prefix)}


@changing("stop", even_idle=True)
async def pause(request: Request, visit: Visit, form: Form) -> Response:
    """Stop it here, then at the vendor."""
    app, campaign_id = desk(request).app, request.path_params["id"]
    reason = form.text("reason").strip() or "paused on the campaigns page"
    outcome = await review.pause_campaign(
        app.kernel, app.suite, campaign_id, person=visit.person, reason=reason
    )
    return done("/campaigns", _said(outcome, "paused", "paused_unconfirmed", "paused_here"))


@changing("resume", confirmed=True)
async def resume(request: Request, visit: Visit, form: Form) -> Response:
    """Let it go on, by this person's yes."""
    app, campaign_id = desk(request).app, request.path_params["id"]
    outcome = await review.resume_campaign(
        app.kernel, app.suite, campaign_id, person=visit.person, reason=form.text("reason")
    )
    return done("/campaigns", _said(outcome, "resumed", "not_resumed", "resumed"))


def _said(outcome: Outcome | None, well: str, badly: str, nowhere: str) -> str:
    if outcome is None:
        return nowhere
    return well if outcome.done or outcome.status == "simulated" else badly
