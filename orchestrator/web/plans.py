"""A run's plan in plain words, with what follows from it, and a person's decision about it; what research found."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from orchestrator import artefacts, foreseen, implementing, plan_review, plans, surveying
from orchestrator.accounts import Visit
from orchestrator.dossier import ACTIVATE, ADD_LEAD
from orchestrator.foreseen import Foreseen
from orchestrator.plans import Plan
from orchestrator.telling import DAYS, METRICS
from orchestrator.web.desk import desk, done, page
from orchestrator.web.session import Form, changing, shown
from shared.kernel import Kernel
from shared.pipeline_schema import artefact

PAGE = 50
# What an effect is to somebody who doesn't read the ledger.
IN_WORDS: Mapping[str, str] = {
    foreseen.CONTACT: "people written into the CRM, or brought up to date there",
    foreseen.DEAL: "opportunities opened in the CRM",
    foreseen.CREATE: "campaigns set up at the mail vendor",
    ADD_LEAD: "people added to a campaign, each with exactly the words that were approved",
    ACTIVATE: "campaigns started: from then on the vendor sends by itself",
    foreseen.TELL: "people marked as contacted in the CRM",
    foreseen.MOVE: "opportunities moved to Contacted",
}
ONE: Mapping[str, str] = {
    foreseen.CONTACT: "written into the CRM, or brought up to date there",
    foreseen.DEAL: "an opportunity is opened in the CRM",
    foreseen.CREATE: "the campaign is set up at the mail vendor",
    ADD_LEAD: "added to the campaign with the words that were approved",
    ACTIVATE: "the campaign is started",
    foreseen.TELL: "marked as contacted in the CRM",
    foreseen.MOVE: "opportunity moved to Contacted",
}
CHOICES = ("template", "depth", "sequence", "hook", "hypothesis", "start", "end", "linkedin")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A plan in the queue."""

    run_id: str
    version: int
    state: str
    made_at: str
    people: int
    undecided: int


async def waiting(kernel: Kernel) -> list[Waiting]:
    """Plans that wait for a person, the oldest first."""
    return await kernel.store.read(_waiting)


def _waiting(connection: sa.Connection) -> list[Waiting]:
    query = sa.select(artefact.c.run_id).where(
        artefact.c.phase == "plan", artefact.c.state == "pending_review"
    )
    found = [plans.plan_in(connection, run_id) for run_id in connection.execute(query).scalars()]
    rows = [
        Waiting(
            one.run_id, one.version, one.state, one.made_at,
            one.check.people if one.check else 0, len(one.undecided),
        )
        for one in found
    ]  # fmt: skip
    return sorted(rows, key=lambda row: row.made_at)


@shown
async def show(request: Request, visit: Visit) -> Response:
    """The plan as it stands, or an older version."""
    app, run_id = desk(request).app, request.path_params["id"]
    asked = request.query_params.get("version", "")
    plan = await plans.plan_of(app.kernel, run_id, int(asked) if asked.isdecimal() and len(asked) < 6 else 0)
    kept = await artefacts.kept(app.kernel, run_id)
    implemented = any(one.phase == "implement" for one in kept)
    return await page(
        request,
        "plan.html",
        visit,
        plan=plan,
        kept=kept,
        newest=plan.version == max(one.version for one in kept if one.phase == "plan"),
        report=await implementing.report(app.kernel, run_id) if implemented else None,
        words=IN_WORDS,
        metrics=METRICS,
        days=DAYS,
        offered=_offered(request),
    )


def _offered(request: Request) -> dict[str, list[str]]:
    """What a line may be changed to."""
    rules = desk(request).app.rules
    return {
        "template": sorted(rules.templates),
        "depth": ["minimal", "light", "medium", "deep"],
        "sequence": sorted(rules.outreach.sequences),
        "hook": sorted(rules.outreach.industries),
    }


@shown
async def show_effects(request: Request, visit: Visit) -> Response:
    """Every effect that would follow, a page at a time."""
    kernel, run_id = desk(request).app.kernel, request.path_params["id"]
    asked = request.query_params.get("page", "1")
    number = max(1, int(asked)) if asked.isdecimal() and len(asked) < 6 else 1

    def read(connection: sa.Connection) -> tuple[Plan, tuple[Foreseen, ...], int]:
        rows, total = implementing.listing(connection, run_id, (number - 1) * PAGE, PAGE)
        return plans.plan_in(connection, run_id), rows, total

    plan, rows, total = await kernel.store.read(read)
    pages = max(1, -(-total // PAGE))
    return await page(
        request, "effects.html", visit, plan=plan, effects=rows, total=total, number=number, pages=pages,
        words=ONE,
    )  # fmt: skip


@shown
async def show_findings(request: Request, visit: Visit) -> Response:
    """What research found, tier by tier."""
    kernel, run_id = desk(request).app.kernel, request.path_params["id"]
    found = await artefacts.get(kernel, run_id, "research")
    findings = surveying.findings_of(found)
    return await page(request, "findings.html", visit, run_id=run_id, kept=found, findings=findings)


@changing("approve", confirmed=True)
async def approve(request: Request, visit: Visit, form: Form) -> Response:
    """Yes to exactly what was shown."""
    run_id = request.path_params["id"]
    await plan_review.approve(
        desk(request).app.kernel, run_id,
        person=visit.person, version=form.number("version"), content=form.text("content"),
    )  # fmt: skip
    return done(f"/campaigns/plans/{run_id}", "plan_approved")


@changing("approve")
async def reject(request: Request, visit: Visit, form: Form) -> Response:
    """No to all of it, and why."""
    run_id, version = request.path_params["id"], form.number("version")
    await plan_review.reject(
        desk(request).app.kernel, run_id, person=visit.person, version=version, reason=form.text("reason")
    )
    return done(f"/campaigns/plans/{run_id}", "rejected")


@changing("approve")
async def edit(request: Request, visit: Visit, form: Form) -> Response:
    """Decide one line otherwise."""
    run_id = request.path_params["id"]
    given: dict[str, object] = {name: form.text(name).strip() for name in CHOICES}
    given["daily_limit"] = form.number("daily_limit") if form.text("daily_limit") else 0
    given["leave_out"] = form.text("leave_out") == "yes"
    await plan_review.edit(
        desk(request).app, run_id, form.text("line"), plan_review.read_choice(given),
        person=visit.person, version=form.number("version"), reason=form.text("reason"),
    )  # fmt: skip
    return done(f"/campaigns/plans/{run_id}", "plan_edited")


@changing("approve")
async def implement(request: Request, visit: Visit, form: Form) -> Response:  # noqa: ARG001 - nothing but the token is sent
    """Have the approved plan carried out."""
    run_id = request.path_params["id"]
    outcome = await implementing.implement(
        desk(request).app, run_id, actor=visit.account.email, dry_run=False
    )
    said = (
        "implementing" if outcome.status in {"applied", "replayed"} else f"not_implemented_{outcome.reason}"
    )
    return done(f"/campaigns/plans/{run_id}", said)
