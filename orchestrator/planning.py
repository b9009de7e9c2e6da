"""Plan: scored leads become campaigns with every word written and checked, ready for a person.

scored ─ grouped by type and tier ─ rendered ─ checked ─▶ campaign pending_review
                                             ├ blocked ─▶ held, with the finding
       ─ already in a campaign ─▶ held
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

import sqlalchemy as sa

from orchestrator import compliance, runs
from orchestrator.app import App
from orchestrator.campaigns import (
    Campaign,
    campaign_fingerprint,
    draft,
    enrollment,
    plan_campaigns,
    review_due,
    variant_of,
)
from orchestrator.intake import LEAD, read_leads
from orchestrator.rendering import render
from orchestrator.titles import seniority
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical
from shared.lead import Lead, Tier
from shared.ports import Enrollment
from shared.schema import campaign, campaign_lead, run, run_lead
from shared.schema import lead as lead_table

CHUNK = 500
# A person in one of these is being written to, or may be.
BUSY = ("live", "in_doubt", "drafted")
OVER = ("rejected", "completed", "failed")


async def group(app: App, run_id: str) -> dict[str, list[str]]:
    """Decide the campaigns of a run and write them down, without their words. Returns their ids."""
    await runs.mark(app.kernel, run_id, stage="planning")
    now = app.kernel.clock.now()

    def change(connection: sa.Connection) -> list[str]:
        planned = _plan_all(app, connection, run_id)
        for one in planned:
            if connection.execute(sa.select(campaign.c.id).where(campaign.c.id == one.id)).scalar() is None:
                values = _row(app, one, run_id)
                due = iso(review_due(one, now))
                times = {"created_at": iso(now), "updated_at": iso(now), "review_due": due}
                connection.execute(sa.insert(campaign).values(**values, **times))
        return [one.id for one in planned]

    return {"campaigns": await app.kernel.store.write(change)}


def _plan_all(app: App, connection: sa.Connection, run_id: str) -> list[Campaign]:
    """Campaigns by type and tier; C-level people apart, because an AE alone may not approve those."""
    others = plan_campaigns(
        ((lead, tier) for lead, tier in _scored(connection, run_id) if seniority(lead.title) != "c_level"),
        app.rules,
        run_id=run_id,
    )
    top = plan_campaigns(
        ((lead, tier) for lead, tier in _scored(connection, run_id) if seniority(lead.title) == "c_level"),
        app.rules,
        run_id=run_id,
    )
    return [*others, *(replace(one, name=f"{one.name} · C-level") for one in top)]


def _row(app: App, one: Campaign, run_id: str) -> dict[str, object]:
    made = asdict(one)
    return {
        "id": one.id,
        "run_id": run_id,
        "name": one.name,
        "type": one.type,
        "tier": one.tier,
        "state": "drafted",
        "draft": canonical(draft(one, app.rules)).decode(),
        "hypothesis": one.hypothesis,
        "decision": json.dumps({"plan": made, "views": {}}),
    }


def _scored(connection: sa.Connection, run_id: str) -> Iterator[tuple[Lead, Tier]]:
    """Scored leads who are in no other campaign, without holding them all."""
    busy = (
        sa.select(campaign_lead.c.lead_id)
        .join(campaign, campaign.c.id == campaign_lead.c.campaign_id)
        .join(run, run.c.id == campaign.c.run_id)
        .where(
            campaign_lead.c.state.in_(BUSY),
            campaign.c.run_id != run_id,
            campaign.c.state.not_in(OVER),
            run.c.mode == "live",  # what was only simulated holds nobody
        )
    )
    held = (run_lead.c.run_id == run_id, run_lead.c.state == "scored", run_lead.c.lead_id.in_(busy))
    why = {"state": "held", "reason": "already in another campaign"}
    connection.execute(sa.update(run_lead).where(*held).values(**why))
    query = (
        sa.select(lead_table.c.data, run_lead.c.tier)
        .join(run_lead, run_lead.c.lead_id == lead_table.c.id)
        .where(run_lead.c.run_id == run_id, run_lead.c.state.in_(("scored", "in_review")))
        .order_by(lead_table.c.id)
        .execution_options(yield_per=CHUNK)
    )
    for row in connection.execute(query):
        yield LEAD.validate_json(row.data), row.tier


async def write_words(app: App, run_id: str, campaign_id: str) -> dict[str, int]:
    """Render and check every message of one campaign, then hand it to review. Repeating changes nothing."""

    def change(connection: sa.Connection) -> dict[str, int]:
        row = connection.execute(sa.select(campaign).where(campaign.c.id == campaign_id)).one()
        if row.state != "drafted":
            return {}
        plan = _plan(row.decision)
        counts = {"drafted": 0, "held": 0}
        made: list[Enrollment] = []
        for start in range(0, len(plan.lead_ids), CHUNK):
            found = read_leads(connection, plan.lead_ids[start : start + CHUNK])
            made += _drafted(app, connection, run_id, plan, list(found.values()), counts)
        _hand_over(app, connection, plan, made, counts)
        return counts

    return await app.kernel.store.write(change)


def _plan(decision: str) -> Campaign:
    values = json.loads(decision)["plan"]
    tuples = ("lead_ids", "day_offsets", "linkedin_touch_days")
    return Campaign(**{**values, **{name: tuple(values[name]) for name in tuples}})


def _drafted(
    app: App,
    connection: sa.Connection,
    run_id: str,
    plan: Campaign,
    leads: Sequence[Lead],
    counts: dict[str, int],
) -> list[Enrollment]:
    """Write the words of some leads; those that may not go out are held with the reason."""
    ready = []
    for lead in leads:
        variant = variant_of(lead.id)
        messages = render(lead, plan, variant, app.rules)
        one = enrollment(plan, lead, variant, messages)
        findings = compliance.check(lead, messages, app.rules)
        stopped = compliance.verdict(findings) in {"blocked", "held"}
        state = "held" if stopped else "drafted"
        counts[state] += 1
        if not stopped:
            ready.append(one)
        values = {
            "email": lead.email,
            "variant": variant,
            "enrollment": canonical(one).decode(),
            "findings": json.dumps([asdict(found) for found in findings]),
            "state": state,
            "reason": findings[0].why if stopped else "",
        }
        connection.execute(sa.insert(campaign_lead).values(campaign_id=plan.id, lead_id=lead.id, **values))
        where = (run_lead.c.run_id == run_id, run_lead.c.lead_id == lead.id)
        moved = {
            "state": "held" if stopped else "in_review",
            "campaign_id": plan.id,
            "reason": values["reason"],
        }
        connection.execute(sa.update(run_lead).where(*where).values(**moved))
    return ready


def _hand_over(
    app: App, connection: sa.Connection, plan: Campaign, made: Sequence[Enrollment], counts: dict[str, int]
) -> None:
    """The campaign goes to a person, or ends here when nobody in it may be written to."""
    now = app.kernel.clock.now()
    content = campaign_fingerprint(draft(plan, app.rules), made)
    values = {
        "state": "pending_review" if made else "failed",
        "fingerprint": content,
        "updated_at": iso(now),
    }
    connection.execute(sa.update(campaign).where(campaign.c.id == plan.id).values(**values))
    payload: dict[str, Json] = {"fingerprint": content, **counts}
    append(connection, [Entry("campaign.drafted", plan.id, payload)], now)


async def to_review(app: App, run_id: str) -> dict[str, str]:
    """The plan is complete; a person decides now."""
    await runs.mark(app.kernel, run_id, stage="review", state="review")
    await runs.finish_if_done(app.kernel, run_id)
    return {"run": run_id}
