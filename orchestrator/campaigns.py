"""Campaigns out of scored leads: which type, which rhythm, which variant, and what a person approves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from orchestrator.countries import permission
from orchestrator.outreach_rules import CampaignType, Depth
from orchestrator.rules import Rules
from orchestrator.zones import zone_of
from shared.effect import digest, fingerprint
from shared.lead import Lead, Tier
from shared.ports import CampaignDraft, Enrollment, Message, SendingWindow

Variant = Literal["A", "B"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True, slots=True)
class Campaign:
    """Leads of one type and tier who are written to alike. `lead_ids` are sorted, so equal sets are equal."""

    id: str
    name: str
    type: CampaignType
    tier: Tier
    depth: Depth
    lead_ids: tuple[str, ...]
    day_offsets: tuple[int, ...]
    linkedin_touch_days: tuple[int, ...]
    hypothesis: str
    approval: Literal["each", "batch"]
    sample_size: int  # of so many leads a person opens the messages before approving
    review_due_hours: float
    timezone: str = ""  # that its people work in; empty for the configured one
    # What the plan decided otherwise than the configuration; empty where it didn't.
    line: str = ""
    template: CampaignType | Literal[""] = ""
    hook: str = ""
    daily_limit: int = 0
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class LinkedInTask:
    """A touch on LinkedIn, for a person to do by hand."""

    campaign_id: str
    lead_id: str
    day: int


def campaign_type(lead: Lead, rules: Rules) -> CampaignType:
    """By where the lead is known from, in the order of the configuration, else the configured default."""
    seen = {source.type for source in lead.sources}
    rows = rules.outreach.campaign_sources.items()
    return next((name for name, kinds in rows if not seen.isdisjoint(kinds)), rules.outreach.default_campaign)


def line_key(kind: CampaignType, tier: Tier, *, c_level: bool) -> str:
    """The name of the line of a plan that people of this kind stand in."""
    return f"{kind}/{tier}" + ("/c_level" if c_level else "")


def variants_for(campaign_id: str, lead_ids: Iterable[str]) -> Mapping[str, Variant]:
    """A or B for each of a campaign's people: by lot, in equal halves, and the same lot in every process.

    The halves differ by one at most; which gets the odd one is by lot too.
    """
    drawn = sorted(lead_ids, key=lambda lead_id: digest("variant/v2", campaign_id, lead_id))
    first = int(digest("variant/v2", campaign_id)[:8], 16)
    return {lead_id: VARIANTS[(first + n) % len(VARIANTS)] for n, lead_id in enumerate(drawn)}


def plan_campaigns(leads: Iterable[tuple[Lead, Tier]], rules: Rules, *, run_id: str) -> tuple[Campaign, ...]:
    """Group leads by type, tier and time zone into campaigns no larger than a person can review.

    Disqualified leads, and tiers without a treatment, are in none. Leads of one run always give the same ids.
    """
    groups: dict[tuple[CampaignType, Tier, str], list[str]] = {}
    for lead, tier in leads:
        if tier in rules.outreach.tiers:
            key = (campaign_type(lead, rules), tier, own_zone(lead, rules))
            groups.setdefault(key, []).append(lead.id)
    planned = []
    for kind, tier, zone in sorted(groups):
        size = rules.outreach.tiers[tier].max_leads
        ids = sorted(set(groups[kind, tier, zone]))
        chunks = [ids[start : start + size] for start in range(0, len(ids), size)]
        planned += [make_campaign(kind, tier, tuple(chunk), rules, run_id, zone) for chunk in chunks]
    return tuple(planned)


def own_zone(lead: Lead, rules: Rules) -> str:
    """The zone whose hours count for somebody, where it is known, asked for and not the configured one; else "".

    Whom nobody may write to needs no campaign of their own.
    """
    window = rules.outreach.window
    if not window.recipient_zones or permission(lead, rules.outreach.compliance) == "block":
        return ""
    zone = zone_of(lead)
    return "" if zone == window.timezone else zone


def make_campaign(
    kind: CampaignType, tier: Tier, ids: tuple[str, ...], rules: Rules, run_id: str, zone: str = ""
) -> Campaign:
    """One campaign as configured. The same people of the same run always give the same id."""
    treatment = rules.outreach.tiers[tier]
    identity = digest("campaign/v1", run_id, kind, tier, list(ids))[:16]
    return Campaign(
        id=identity,
        name=" · ".join(part for part in (*_title(kind, tier), zone, identity[:6]) if part),
        type=kind,
        tier=tier,
        depth=treatment.depth,
        lead_ids=ids,
        day_offsets=rules.outreach.sequences[treatment.sequence],
        linkedin_touch_days=treatment.linkedin_touch_days,
        hypothesis=hypothesis(kind, rules),
        approval=treatment.approval,
        sample_size=sample_size(len(ids), treatment.sample_percent),
        review_due_hours=treatment.review_due_hours,
        timezone=zone,
    )


def _title(kind: CampaignType, tier: Tier) -> tuple[str, str]:
    return kind.replace("_", " ").capitalize(), tier.replace("_", " ")


def hypothesis(kind: CampaignType, rules: Rules) -> str:
    """What the two variants are to find out, in one sentence or two."""
    template = rules.templates[kind]
    ideas = "; ".join(f"{name} {variant.idea}" for name, variant in sorted(template.variants.items()))
    return f"{template.hypothesis} Compared by replies per person written to: {ideas}."


def sample_size(leads: int, percent: float) -> int:
    """How many leads' messages a person opens: the share rounded up, at least one of any."""
    return min(leads, max(1, -int(-leads * percent // 100))) if leads else 0


def review_due(campaign: Campaign, submitted: datetime) -> datetime:
    """By when a person should have decided."""
    return submitted + timedelta(hours=campaign.review_due_hours)


def linkedin_tasks(campaign: Campaign) -> tuple[LinkedInTask, ...]:
    """The touches a person does by hand; none is ever automated."""
    days = campaign.linkedin_touch_days
    return tuple(LinkedInTask(campaign.id, lead, day) for lead in campaign.lead_ids for day in days)


def draft(campaign: Campaign, rules: Rules) -> CampaignDraft:
    """What the sequencer is asked to create: the configured hours, by the clock of its people."""
    outreach, window = rules.outreach, rules.outreach.window
    return CampaignDraft(
        campaign_id=campaign.id,
        name=campaign.name,
        day_offsets=campaign.day_offsets,
        mailboxes=outreach.sender.mailboxes,
        window=SendingWindow(
            campaign.timezone or window.timezone,
            campaign.start or window.start,
            campaign.end or window.end,
            window.weekdays,
        ),
        daily_limit=campaign.daily_limit or outreach.daily_limit,
    )


def enrollment(campaign: Campaign, lead: Lead, variant: Variant, messages: Sequence[Message]) -> Enrollment:
    """One person's place in a campaign, with every word they would get."""
    return Enrollment(
        campaign_id=campaign.id,
        lead_id=lead.id,
        email=lead.email,
        first_name=lead.first_name,
        last_name=lead.last_name,
        company=lead.company,
        variant=variant,
        messages=tuple(messages),
    )


def campaign_fingerprint(made: CampaignDraft, enrollments: Sequence[Enrollment]) -> str:
    """What a campaign's approval binds to: people, words, sender, rhythm and hours, in whatever order."""
    people: Mapping[str, str] = {entry.lead_id: fingerprint(entry) for entry in enrollments}
    return digest("campaign-content/v1", made, sorted(people.items()))
