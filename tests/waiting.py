"""A campaign that waits for a person, written to the database as planning leaves it."""

import json
from dataclasses import asdict

import sqlalchemy as sa
from pydantic import TypeAdapter

from orchestrator import compliance
from orchestrator.campaigns import Campaign, campaign_fingerprint, draft, enrollment, plan_campaigns
from orchestrator.familiar import template_print
from orchestrator.rendering import render
from orchestrator.rules import Rules
from shared.clock import iso
from shared.effect import Outcome, canonical
from shared.kernel import Kernel
from shared.lead import Lead, Source, Tier
from shared.pipeline_schema import campaign, campaign_lead, familiar, lead, run, run_lead
from shared.ports import Enrollment

LEAD = TypeAdapter(Lead)
RUN = "run1"


def somebody(number: int, title: str = "Director of Revenue Operations", **more: object) -> Lead:
    """A person whom nothing speaks against."""
    seen = Source("event_attendee", name="RevOps Day", captured_at="2026-11-01T09:00:00+00:00")
    known: dict[str, object] = {
        "id": f"{number:032x}",
        "linkedin_url": f"https://www.linkedin.com/in/person-{number}",
        "email": f"person{number}@corp{number}.com",
        "first_name": "Dana",
        "last_name": f"Field{number}",
        "title": title,
        "company": f"Corp {number}",
        "company_domain": f"corp{number}.com",
        "company_size": 120,
        "industry": "Software",
        "location": "Austin, Texas, United States",
        "country": "US",
        "email_verdict": "deliverable",
        "sources": (seen,),
        "data_source": "RevOps Day",
        "data_collected_at": "2026-11-01T09:00:00+00:00",
    }
    return Lead(**{**known, **more})  # type: ignore[arg-type]  # the keys are the fields


async def put_campaign(
    kernel: Kernel, rules: Rules, people: list[Lead], tier: Tier = "tier_3", *, new: bool = False
) -> str:
    """Write one campaign with these people, everybody drafted; returns its id.

    Its template and segment were approved before, unless it is to be `new`.
    """
    plan = plan_campaigns([(one, tier) for one in people], rules, run_id=RUN)[0]
    now = iso(kernel.clock.now())
    words_of = template_print(plan, rules)
    seen = [("template", words_of), ("segment", f"{plan.type}/{plan.tier}")]

    def change(connection: sa.Connection) -> None:
        if not new:
            rows = [{"kind": kind, "name": name} for kind, name in seen]
            connection.execute(sa.insert(familiar), rows)
        connection.execute(sa.insert(run).values(id=RUN, mode="live", state="review", started_at=now))
        made = [_put_person(connection, rules, plan, one, now) for one in people]
        words = draft(plan, rules)
        connection.execute(
            sa.insert(campaign).values(
                id=plan.id,
                run_id=RUN,
                name=plan.name,
                type=plan.type,
                tier=plan.tier,
                state="pending_review",
                draft=canonical(words).decode(),
                hypothesis=plan.hypothesis,
                fingerprint=campaign_fingerprint(words, [entry for entry, _ in made]),
                decision=json.dumps({"plan": asdict(plan), "template": words_of, "views": {}}),
                review_due=now,
                created_at=now,
                updated_at=now,
            )
        )
        for _, values in made:
            connection.execute(sa.insert(campaign_lead).values(campaign_id=plan.id, **values))

    await kernel.store.write(change)
    return plan.id


def _put_person(
    connection: sa.Connection, rules: Rules, plan: Campaign, one: Lead, now: str
) -> tuple[Enrollment, dict[str, str]]:
    data = LEAD.dump_json(one).decode()
    connection.execute(
        sa.insert(lead).values(id=one.id, email=one.email, data=data, created_at=now, updated_at=now)
    )
    connection.execute(
        sa.insert(run_lead).values(run_id=RUN, lead_id=one.id, batch=0, state="in_review", tier=plan.tier)
    )
    messages = render(one, plan, "A", rules)
    entry = enrollment(plan, one, "A", messages)
    found = [asdict(finding) for finding in compliance.check(one, messages, rules)]
    values = {"lead_id": one.id, "email": one.email, "variant": "A", "state": "drafted"}
    return entry, {**values, "enrollment": canonical(entry).decode(), "findings": json.dumps(found)}


async def row_of(kernel: Kernel, campaign_id: str) -> sa.Row[tuple[object, ...]]:
    """The campaign as it stands."""
    query = sa.select(campaign).where(campaign.c.id == campaign_id)
    return await kernel.store.read(lambda c: c.execute(query).one())


async def person_of(kernel: Kernel, lead_id: str) -> sa.Row[tuple[object, ...]]:
    """One person of it as they stand."""
    query = sa.select(campaign_lead).where(campaign_lead.c.lead_id == lead_id)
    return await kernel.store.read(lambda c: c.execute(query).one())


class Vendor:
    """The sequencer's end of the port: keeps what it is told, answers as it is set."""

    def __init__(self, status: str = "applied") -> None:
        self.told: list[tuple[str, str, str]] = []
        self.status = status

    async def pause_campaign(self, campaign_ref: str, reason: str) -> Outcome:
        self.told.append(("pause", campaign_ref, reason))
        return Outcome(self.status)  # type: ignore[arg-type]  # one of the statuses

    async def resume_campaign(self, campaign_ref: str, campaign_id: str, approval: str) -> Outcome:
        self.told.append(("resume", campaign_ref, approval))
        return Outcome(self.status, "why")  # type: ignore[arg-type]  # one of the statuses
