"""The shape of `outreach.yaml`: sender, campaigns, tiers, what may be said, and where it may be sent."""

from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, model_validator

from orchestrator.scoring_rules import Days, Phrase
from shared.lead import SourceType, Tier
from shared.strict import Strict

CampaignType = Literal[
    "competitor_displacement", "event_followup", "thought_leadership", "community_outreach", "website_visitor"
]
Depth = Literal["minimal", "light", "medium", "deep"]
Permission = Literal["allow", "hold", "block"]
Hours = Annotated[float, Field(gt=0, le=24 * 365)]
Percent = Annotated[float, Field(ge=0, le=100)]


class Sender(Strict):
    """Who writes. The postal address is the advertiser's own, as the law asks."""

    name: str = Field(min_length=2)
    title: str
    company: str = Field(min_length=2)
    offer: str
    postal_address: str = Field(min_length=15, pattern=r"\d")
    privacy_url: str = Field(pattern=r"^https://")
    mailboxes: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = Field(min_length=1)

    @property
    def first_name(self) -> str:
        """What they sign with."""
        return self.name.split()[0]


class TierTreatment(Strict):
    """How a tier is written to and approved."""

    treatment: str
    depth: Depth
    sequence: str
    review_due_hours: Hours
    approval: Literal["each", "batch"]
    sample_percent: Percent = 100
    max_leads: Annotated[int, Field(ge=1, le=1000)]
    linkedin_touch_days: tuple[Days, ...] = ()


class IndustryContext(Strict):
    """What we may say to people of an industry; ours to vouch for."""

    phrases: tuple[Phrase, ...]
    hook: str
    pain_points: tuple[str, ...] = Field(min_length=1)
    value: str


class Competitor(Strict):
    """Another vendor, by every name a subject or a lead's company may use."""

    names: tuple[str, ...] = Field(min_length=1)
    domains: tuple[str, ...] = ()
    angle: str = ""


class Claim(Strict):
    """A figure we can prove; the sentence may then stand without its source."""

    text: str
    source: str


class BannedPhrase(Strict):
    """A phrase that may not be sent, as whole words."""

    phrase: Phrase
    severity: Literal["block", "hold", "warn"] = "block"
    why: str


class Compliance(Strict):
    """Where mail may go and what it may say."""

    countries: dict[Annotated[str, Field(pattern=r"^[A-Z]{2}$")], Permission]
    other_countries: Permission = "hold"
    unknown_country: Permission = "hold"
    notice_countries: frozenset[str]
    free_mail_blocked_in: frozenset[str]
    technical_roles: frozenset[str]
    general_roles: frozenset[str]
    email_verdicts: dict[str, Literal["allow", "warn", "hold", "block"]]
    max_links: Annotated[int, Field(ge=0, le=10)]
    shorteners: frozenset[str]
    banned_phrases: tuple[BannedPhrase, ...] = ()
    claims: tuple[Claim, ...] = ()
    source_notice: str
    source_notice_undated: str
    opt_out: str
    opt_out_with_link: str
    signature: tuple[str, ...]


class Target(Strict):
    """A rate in per cent to aim for, to keep, and to act on."""

    target: Percent
    minimum: Percent
    critical: Percent


class Privacy(Strict):
    """How long personal data is kept and how soon a person's request is met."""

    access_days: Days
    deletion_hours: Hours
    rectification_hours: Hours
    retention_active_months: Annotated[int, Field(ge=1, le=120)]
    retention_inactive_months: Annotated[int, Field(ge=1, le=120)]
    deletion_log_days: Days
    scraped_data_days: Days


class Window(Strict):
    """When mail may leave: local hours on weekdays (0 is Monday), by the recipient's clock where it is known.

    Else, and for everybody if `recipient_zones` is false, by that of `timezone`, an IANA name.
    """

    timezone: str
    recipient_zones: bool = True
    start: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    end: str = Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _real(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ValueError, ZoneInfoNotFoundError) as error:
            raise ValueError("timezone must be an IANA name such as America/Chicago") from error
        if self.start >= self.end:
            raise ValueError("end must be later than start")
        return self


class LinkedIn(Strict):
    """Touches that people make by hand: what each is, and how many a day an account bears."""

    touches_per_day: Annotated[int, Field(ge=1, le=500)]
    what: dict[Days, str]
    otherwise: str = Field(min_length=10)

    def task(self, day: int) -> str:
        """What is to be done on that day after the start."""
        return self.what.get(day, self.otherwise)


class Planning(Strict):
    """What findings show, what a plan's predictions rest on, and from when an answer counts as positive."""

    shown: Annotated[int, Field(ge=1, le=50)]
    people_per_company: Annotated[int, Field(ge=2)]
    history_people: Annotated[int, Field(ge=1)]
    history_days: Annotated[int, Field(ge=1, le=3650)]
    positive: tuple[str, ...]
    z: Annotated[float, Field(gt=0, le=5)]
    power_z: Annotated[float, Field(ge=0, le=5)]
    hopeless_points: Annotated[float, Field(gt=0, le=100)]
    answer_days: Annotated[int, Field(ge=1, le=365)]


class OutreachRules(Strict):
    """outreach.yaml."""

    sender: Sender
    campaign_sources: dict[CampaignType, tuple[SourceType, ...]]
    default_campaign: CampaignType
    sequences: dict[str, tuple[Days, ...]]
    tiers: dict[Tier, TierTreatment]
    window: Window
    daily_limit: Annotated[int, Field(ge=1, le=1000)]
    actions: dict[SourceType, str]
    data_sources: dict[str, str]
    industries: dict[str, IndustryContext]
    default_industry: str
    competitors: tuple[Competitor, ...]
    compliance: Compliance
    targets: dict[str, Target]
    planning: Planning
    linkedin: LinkedIn
    agent_link_hosts: frozenset[str] = Field(min_length=1)
    greeting_without_name: str = Field(min_length=2, pattern=r",$")
    subject_without_value: str = Field(min_length=3, max_length=100)
    personalisation: dict[Depth, tuple[str, ...]]
    fallbacks: dict[str, str]
    privacy: Privacy

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        unknown = {row.sequence for row in self.tiers.values()} - self.sequences.keys()
        if unknown:
            raise ValueError(f"no sequence is called {', '.join(sorted(unknown))}")
        if self.default_industry not in self.industries:
            raise ValueError(f"no industry is called {self.default_industry}")
        if set(self.personalisation) != set(get_args(Depth)):
            raise ValueError("personalisation needs a row for each depth")
        bad = [name for name, days in self.sequences.items() if not days or list(days) != sorted(set(days))]
        if bad:
            raise ValueError(f"days must rise in {', '.join(bad)}")
        return self
