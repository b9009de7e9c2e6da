"""The shipped rules, and a lead, a campaign and its messages that nothing is wrong with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.campaigns import Campaign, Variant, plan_campaigns
from orchestrator.rendering import render
from orchestrator.rules import load_rules
from shared.lead import Lead, Source, Tier
from shared.ports import Message

CONFIG = Path(__file__).parents[2] / "config"
RULES = load_rules(CONFIG)


def a_lead(**changes: Any) -> Lead:
    """A VP of sales in the United States who follows another vendor."""
    lead = Lead(
        id="lead-1",
        linkedin_url="https://www.linkedin.com/in/anna-berg",
        email="anna@acme.example",
        first_name="Anna",
        last_name="Berg",
        title="VP Sales",
        company="Acme",
        company_domain="acme.example",
        company_size=120,
        industry="Software Development",
        revenue_usd=20_000_000,
        technologies=("Salesforce",),
        country="US",
        phone="+15125550100",
        email_verdict="deliverable",
        signals={"funded_recently": False},
        sources=(Source("competitor_follower", name="Gong", captured_at="2026-01-05T00:00:00Z"),),
        data_source="LinkedIn",
        data_collected_at="2026-01-05T00:00:00Z",
    )
    return replace(lead, **changes)


def a_campaign(lead: Lead, tier: Tier = "tier_1") -> Campaign:
    """The one campaign of one lead."""
    (campaign,) = plan_campaigns([(lead, tier)], RULES, run_id="run-1")
    return campaign


def messages_for(lead: Lead, tier: Tier = "tier_1", variant: Variant = "A") -> tuple[Message, ...]:
    """What the lead would get."""
    return render(lead, a_campaign(lead, tier), variant, RULES)
