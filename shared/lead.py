"""Who: a person at a company, with where we know them from and on what legal basis."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

SourceType = Literal[
    "competitor_follower",
    "event_attendee",
    "group_member",
    "post_commenter",
    "post_liker",
    "website_visitor",
    "content_downloader",
    "webinar_registrant",
    "demo_requester",
    "connection",
    "referral",
    "unknown",
]
Tier = Literal["tier_1", "tier_2", "tier_3", "tier_4", "disqualified"]


@dataclass(frozen=True, slots=True)
class Source:
    """One place a lead was seen. `captured_at` is ISO 8601."""

    type: SourceType
    name: str = ""
    url: str = ""
    batch: str = ""
    captured_at: str = ""
    activity: str = ""  # group members: active, passive or unknown
    action: str = ""  # what they did: commented, liked, attended
    text: str = ""  # verbatim, from outside: data, never instruction


@dataclass(frozen=True, slots=True)
class Lead:
    """A person. Empty text and 0 mean unknown. Identity: `linkedin_url` (normalised), else `email`."""

    id: str
    linkedin_url: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    title: str = ""
    company: str = ""
    company_domain: str = ""
    company_url: str = ""
    company_size: int = 0  # employees
    industry: str = ""
    revenue_usd: int = 0  # a year
    technologies: tuple[str, ...] = ()
    location: str = ""
    country: str = ""  # ISO 3166-1 alpha-2
    phone: str = ""  # E.164
    connection_degree: int = 0
    email_verdict: str = ""  # deliverable, accept_all, undeliverable, never_send, unknown
    signals: Mapping[str, bool] = field(default_factory=dict)  # hiring_revops, funded_recently, …
    sources: tuple[Source, ...] = ()
    data_source: str = ""
    data_collected_at: str = ""  # ISO 8601
    legal_basis: str = "legitimate_interest"
    enriched_at: datetime | None = None

    @property
    def name(self) -> str:
        """First and last name, as far as known."""
        return f"{self.first_name} {self.last_name}".strip()
