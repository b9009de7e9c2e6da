"""Plan: findings become lines, scored leads campaigns with every word written and checked, ready for a person.

scored ─ grouped by line and time zone ─ rendered ─ checked ─▶ campaign pending_review
                                                            ├ blocked ─▶ held, with the finding
       ─ already in a campaign ─▶ held                      (looked at again when the words are written)

Leads stream by: what is held in memory is one unfinished campaign for each line and zone.
"""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import anyio.to_thread
import sqlalchemy as sa

from orchestrator import compliance, drift, plans, runs
from orchestrator.app import App
from orchestrator.campaigns import (
    Campaign,
    Variant,
    campaign_fingerprint,
    campaign_type,
    draft,
    enrollment,
    line_key,
    own_zone,
    review_due,
    variants_for,
)
from orchestrator.dossier import plan_of
from orchestrator.drafts import of_template
from orchestrator.drift import lead_fingerprint
from orchestrator.familiar import template_print
from orchestrator.finding import Finding
from orchestrator.intake import LEAD, read_leads
from orchestrator.occupied import WHY, hold_scored, taken
from orchestrator.opt_out_link import Links
from orchestrator.opting_out import links
from orchestrator.plans import LEFT_OUT
from orchestrator.provenance import TEMPLATE, keep_in
from orchestrator.rendering import render
from orchestrator.rules import Rules
from orchestrator.strategy import Line, campaign_of
from orchestrator.titles import seniority
from shared.audit import Entry, append
from shared.clock import iso
from shared.effect import Json, canonical
from shared.lead import Lead, Tier
from shared.pipeline_schema import campaign, campaign_lead, run_lead
from shared.pipeline_schema import lead as lead_table
from shared.ports import Enrollment

TWICE = "another lead of this campaign has the same address"
CHUNK = 500
NO_LINE = "the plan has no line for them; research this run again"
Member = tuple[Lead, Tier]
Likeness = tuple[str, str]  # the line of the plan, and the time zone where it isn't the configured one


async def group(app: App, run_id: str) -> dict[str, list[str]]:
    """Decide the campaigns of a run and write them down, without their words. Returns their ids.

    Repeating it gives the same campaigns: those whose words are written stay, the rest is decided anew.
    """
    await runs.mark(app.kernel, run_id, stage="planning")
    version, strategy = await plans.begin(app, run_id)
    now = app.kernel.clock.now()
    ids = await app.kernel.store.write(lambda c: _begin(c, run_id))
    lines = {line.key: line for line in strategy.lines}
    groups: dict[Likeness, list[Member]] = {}
    held: dict[str, list[str]] = {}
    identity = f"{run_id}/{version}"
    async for lead, tier, seen in _scored(app, run_id):
        line = lines.get(_key_of(lead, tier, app.rules))
        if why := _why_not(app, line, lead, tier, seen):
            held.setdefault(why, []).append(lead.id)
        elif line is not None and (full := _join(app, groups, line, lead, tier)):
            ids += await _write_down(app, run_id, identity, full, line, now)
    for (key, _), members in sorted(groups.items()):
        ids += await _write_down(app, run_id, identity, members, lines[key], now)
    await app.kernel.store.write(lambda c: _hold(c, run_id, held))
    return {"campaigns": ids}


def _begin(connection: sa.Connection, run_id: str) -> list[str]:
    """Clear away what an earlier attempt left without words; returns the campaigns that have theirs."""
    unwritten = (campaign.c.run_id == run_id, campaign.c.state == "drafted")
    connection.execute(sa.delete(campaign).where(*unwritten))
    hold_scored(connection, run_id)
    written = (campaign.c.run_id == run_id, campaign.c.state != "superseded")
    kept = sa.select(campaign.c.id).where(*written).order_by(campaign.c.id)
    return list(connection.execute(kept).scalars())


def _key_of(lead: Lead, tier: Tier, rules: Rules) -> str:
    """The line of the plan for somebody. C-level apart: an AE alone may not approve those."""
    return line_key(campaign_type(lead, rules), tier, c_level=seniority(lead.title) == "c_level")


def _why_not(app: App, line: Line | None, lead: Lead, tier: Tier, seen: str) -> str:
    """Why somebody is in no campaign of this plan; nothing for tiers without a treatment, who are in none anyway."""
    if tier not in app.rules.outreach.tiers:
        return ""
    if seen and seen != lead_fingerprint(lead):
        return drift.WHY
    if line is None:
        return NO_LINE
    return LEFT_OUT if line.left_out else ""


def _hold(connection: sa.Connection, run_id: str, held: Mapping[str, Sequence[str]]) -> None:
    for why, ids in held.items():
        for start in range(0, len(ids), CHUNK):
            here = (run_lead.c.run_id == run_id, run_lead.c.lead_id.in_(ids[start : start + CHUNK]))
            connection.execute(sa.update(run_lead).where(*here).values(state="held", reason=why))


def _join(
    app: App, groups: dict[Likeness, list[Member]], line: Line, lead: Lead, tier: Tier
) -> list[Member] | None:
    """Put a lead to its like; returns a group that is full."""
    like = (line.key, own_zone(lead, app.rules))
    members = groups.setdefault(like, [])
    members.append((lead, tier))
    if len(members) < app.rules.outreach.tiers[tier].max_leads:
        return None
    return groups.pop(like)


async def _write_down(
    app: App, run_id: str, identity: str, members: Sequence[Member], line: Line, now: datetime
) -> list[str]:
    """The campaign of these people, as a row."""
    ids, zone = [lead.id for lead, _ in members], own_zone(members[0][0], app.rules)
    one = campaign_of(line, ids, app.rules, run_id=identity, zone=zone)
    times = {"created_at": iso(now), "updated_at": iso(now), "review_due": iso(review_due(one, now))}
    await app.kernel.store.write(lambda c: c.execute(sa.insert(campaign), [_row(app, one, run_id) | times]))
    return [one.id]


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
        "decision": json.dumps({"plan": made, "template": template_print(one, app.rules), "views": {}}),
        "line": one.line,
    }


async def _scored(app: App, run_id: str) -> AsyncIterator[tuple[Lead, Tier, str]]:
    """Scored leads who are in no campaign, by id, a page at a time, with what scoring saw of them."""
    after = ""
    while True:
        page = (
            sa.select(lead_table.c.id, lead_table.c.data, run_lead.c.tier, run_lead.c.seen)
            .join(run_lead, run_lead.c.lead_id == lead_table.c.id)
            .where(run_lead.c.run_id == run_id, run_lead.c.state == "scored", run_lead.c.lead_id > after)
            .order_by(run_lead.c.lead_id)
            .limit(CHUNK)
        )
        rows = await app.kernel.store.read(lambda c, q=page: c.execute(q).all())  # type: ignore[misc]  # mypy can't infer it
        if not rows:
            return
        for row in rows:
            yield LEAD.validate_json(row.data), row.tier, row.seen
        after = rows[-1].id


async def write_words(app: App, run_id: str, campaign_id: str) -> dict[str, int]:
    """Render and check every message of one campaign, then hand it to review. Repeating changes nothing."""
    query = sa.select(campaign).where(campaign.c.id == campaign_id)
    row = await app.kernel.store.read(lambda c: c.execute(query).one())
    if row.state != "drafted":
        return {}
    plan = plan_of(row.decision)
    leads = await app.kernel.store.read(lambda c: read_leads(c, plan.lead_ids))
    # Rendering takes time that neither the loop nor the writer of the database has.
    drafts = await anyio.to_thread.run_sync(
        _draft_all, app.rules, links(app.kernel), plan, list(leads.values())
    )

    def change(connection: sa.Connection) -> dict[str, int]:
        if connection.execute(query).one().state != "drafted":
            return {}
        settled = _occupied_held(connection, plan, drafts)
        for one in settled:
            _put(connection, run_id, plan, one)
        return _hand_over(app, connection, plan, settled)

    return await app.kernel.store.write(change)


@dataclass(frozen=True, slots=True)
class _Draft:
    """One person's words, and what speaks against sending them; empty where nothing does."""

    lead: Lead
    enrollment: Enrollment
    findings: tuple[Finding, ...]
    held: str = ""


def _draft_all(rules: Rules, known: Links, plan: Campaign, leads: Sequence[Lead]) -> list[_Draft]:
    """Write the words of these leads and check them. Runs on a thread."""
    variants = variants_for(plan.id, plan.lead_ids)
    ordered = sorted(leads, key=lambda lead: lead.id)
    return [_draft(rules, known, plan, lead, variants[lead.id]) for lead in ordered]


def _draft(rules: Rules, known: Links, plan: Campaign, lead: Lead, variant: Variant) -> _Draft:
    messages = render(lead, plan, variant, rules, unsubscribe_url=known.of(lead.email, plan.id))
    findings = tuple(compliance.check(lead, messages, rules))
    stopped = compliance.verdict(findings) in {"blocked", "held"}
    made = enrollment(plan, lead, variant, messages)
    return _Draft(lead, made, findings, findings[0].why if stopped else "")


def _occupied_held(connection: sa.Connection, plan: Campaign, drafts: Sequence[_Draft]) -> list[_Draft]:
    """Whoever another campaign took meanwhile is held, and whoever stands here twice under one address."""
    busy = taken(connection, list(plan.lead_ids), plan.id)
    settled: list[_Draft] = []
    seen: set[str] = set()
    for one in drafts:
        why = WHY if one.lead.id in busy else TWICE if one.lead.email in seen else ""
        if not (one.held or why):
            seen.add(one.lead.email)
        settled.append(replace(one, held=one.held or why))
    return settled


def _put(connection: sa.Connection, run_id: str, plan: Campaign, one: _Draft) -> None:
    """One person in the campaign and in the run."""
    values = {
        "email": one.lead.email,
        "variant": one.enrollment.variant,
        "enrollment": canonical(one.enrollment).decode(),
        "findings": json.dumps([asdict(found) for found in one.findings]),
        "state": "held" if one.held else "drafted",
        "reason": one.held,
    }
    connection.execute(sa.insert(campaign_lead).values(campaign_id=plan.id, lead_id=one.lead.id, **values))
    where = (run_lead.c.run_id == run_id, run_lead.c.lead_id == one.lead.id)
    state = "held" if one.held else "in_review"
    moved = {"state": state, "campaign_id": plan.id, "reason": one.held}
    connection.execute(sa.update(run_lead).where(*where).values(**moved))


def _hand_over(
    app: App, connection: sa.Connection, plan: Campaign, drafts: Sequence[_Draft]
) -> dict[str, int]:
    """The campaign goes to a person, or ends here when nobody in it may be written to. Returns the counts."""
    made = [one.enrollment for one in drafts if not one.held]
    counts = {"drafted": len(made), "held": len(drafts) - len(made)}
    now = app.kernel.clock.now()
    content = campaign_fingerprint(draft(plan, app.rules), made)
    values = {
        "state": "pending_review" if made else "failed",
        "fingerprint": content,
        "updated_at": iso(now),
    }
    connection.execute(sa.update(campaign).where(campaign.c.id == plan.id).values(**values))
    departs_from = f"{plan.template or plan.type}@{template_print(plan, app.rules)[:12]}"
    texts = of_template(plan, app.rules)
    keep_in(connection, plan, texts, by=TEMPLATE, departs_from=departs_from, why="planned", at=iso(now))
    payload: dict[str, Json] = {"fingerprint": content, **counts}
    append(connection, [Entry("campaign.drafted", plan.id, payload)], now)
    return counts


async def to_review(app: App, run_id: str) -> dict[str, str]:
    """The plan is complete; a person decides now."""
    await plans.complete(app, run_id)
    await runs.rest_in_review(app.kernel, run_id)
    return {"run": run_id}
