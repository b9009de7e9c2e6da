"""A run on its way through the three phases: researched, planned, approved, asked for."""

from typing import Any

import sqlalchemy as sa

from orchestrator import drift, implementing, plan_review, planning, plans, surveying
from orchestrator.app import App
from shared.approval import Person
from shared.effect import Outcome
from shared.lead import Lead
from shared.pipeline_schema import run, run_lead
from tests.orchestrator.world import a_run, put, say_yes

AE = Person("ae@alpha-swarm.example", "ae")
LINE = "event_followup/tier_3"


async def researched(app: App, leads: list[Lead], *, asked: str = "research", **more: Any) -> str:
    """A run as research leaves it, with its findings saved."""
    run_id = await a_run(app, leads, **more)
    launches = "on_approval" if asked == "run" else "on_implement"
    await put(app, sa.update(run).where(run.c.id == run_id).values(launches=launches))
    for one in leads:
        mine = (run_lead.c.run_id == run_id, run_lead.c.lead_id == one.id)
        await put(app, sa.update(run_lead).where(*mine).values(seen=drift.lead_fingerprint(one)))
    await surveying.write_findings(app, run_id)
    return run_id


async def drafted(app: App, run_id: str) -> list[str]:
    """Every stage of planning; returns the campaigns that count."""
    ids = (await planning.group(app, run_id))["campaigns"]
    for campaign_id in ids:
        await planning.write_words(app, run_id, campaign_id)
    await planning.to_review(app, run_id)
    return ids


async def planned(app: App, leads: list[Lead], **more: Any) -> tuple[str, list[str]]:
    run_id = await researched(app, leads, **more)
    return run_id, await drafted(app, run_id)


async def agreed(app: App, run_id: str, person: Person = AE) -> plans.Plan:
    """A person says yes to the plan as it stands."""
    plan = await plans.plan_of(app.kernel, run_id)
    await plan_review.approve(app.kernel, run_id, person=person, version=plan.version, content=plan.content)
    return plan


async def ready(app: App, leads: list[Lead], **more: Any) -> tuple[str, list[str]]:
    """A run whose words and plan are approved."""
    run_id, ids = await planned(app, leads, **more)
    for campaign_id in ids:
        await say_yes(app, campaign_id)
    await agreed(app, run_id)
    return run_id, ids


async def asked_for(app: App, run_id: str, *, dry_run: bool = False) -> Outcome:
    return await implementing.implement(app, run_id, actor="agent", dry_run=dry_run)
