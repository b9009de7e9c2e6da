"""What travels through a port: requests and answers, as frozen records with their constraints.

Empty text and 0 mean "unknown": schemas without unions are the ones every model host accepts. Times are ISO 8601
in UTC. What an `Enrollment`, a `CampaignDraft` and a `ReplyMessage` hold is what a person approves, to the letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from shared.effect import Json, Outcome

Text = Annotated[str, Field(max_length=500)]
LongText = Annotated[str, Field(max_length=20_000)]
Email = Annotated[str, Field(max_length=320)]
Key = Annotated[str, Field(max_length=200)]


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """One outcome per item, in the order given, and their counts by status."""

    outcomes: tuple[Outcome, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> "BatchOutcome":
        """Count `outcomes` by status."""
        counts: dict[str, int] = {}
        for outcome in outcomes:
            counts[outcome.status] = counts.get(outcome.status, 0) + 1
        return cls(tuple(outcomes), counts)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a health or set-up check, and what to do where it isn't `ok`."""

    name: str
    ok: bool
    message: str = ""


# ── people from an audience ──────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class SourcedLead:
    """A person as a source shows them: not yet normalised, merged or enriched. All text is from outside."""

    linkedin_url: Text = ""
    email: Email = ""
    email_verdict: Text = ""  # what the source says of it, in our vocabulary
    full_name: Text = ""
    first_name: Text = ""
    last_name: Text = ""
    title: Text = ""
    company: Text = ""
    company_url: Text = ""
    company_domain: Text = ""
    company_size: int = 0
    industry: Text = ""
    revenue_usd: int = 0
    location: Text = ""
    country: Text = ""
    phone: Text = ""
    connection_degree: int = 0
    source_type: Text = "unknown"
    source_name: Text = ""
    source_url: Text = ""
    activity: Text = ""
    action: Text = ""
    text: LongText = ""
    captured_at: Text = ""
    line: int = 0  # in the file it came from


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A row that could not be read: where it stood and why. The raw row is kept in the quarantine file."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeadPage:
    """Part of a file or of a job's result. `next_cursor` is empty on the last page."""

    status: Literal["running", "finished", "failed", "partial"]
    leads: tuple[SourcedLead, ...] = ()
    quarantined: tuple[Quarantined, ...] = ()
    next_cursor: str = ""
    message: str = ""
    quarantine_file: str = ""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A way to get an audience, and whether it works right now."""

    name: str
    kind: str
    ready: bool
    message: str = ""


# ── what is known of a person and a company ──────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class EnrichRequest:
    """Whom to look up. `lead_id` is ours and comes back with the result."""

    lead_id: Key
    linkedin_url: Text = ""
    email: Email = ""
    full_name: Text = ""
    company: Text = ""
    company_domain: Text = ""


@dataclass(frozen=True, slots=True)
class Enrichment:
    """What a provider answered, with its provenance. `email_verdict` is our normalised vocabulary."""

    lead_id: str
    status: Literal["found", "not_found", "failed"]
    email: Email = ""
    email_verdict: Text = "unknown"
    phone: Text = ""
    title: Text = ""
    company_name: Text = ""
    company_domain: Text = ""
    company_size: int = 0
    company_industry: Text = ""
    company_revenue: int = 0
    country: Text = ""
    technologies: tuple[Text, ...] = ()
    seniority_level: Text = ""
    department: Text = ""
    signals: Mapping[str, bool] = field(default_factory=dict)
    provider: str = ""
    collected_at: str = ""
    credits: int = 0


@dataclass(frozen=True, slots=True)
class EnrichmentPage:
    """What is known so far; `pending` are the references still being looked up."""

    results: tuple[Enrichment, ...]
    pending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Credits: what may be spent, and what was."""

    limit: int
    spent: int
    period: str


# ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class ContactRecord:
    """A contact as we want it to be. Empty fields are left alone, never blanked."""

    email: Email
    first_name: Text = ""
    last_name: Text = ""
    company: Text = ""
    title: Text = ""
    linkedin_url: Text = ""
    phone: Text = ""
    icp_score: int = -1  # -1: leave alone
    icp_tier: Text = ""
    last_campaign_id: Text = ""
    enriched_at: Text = ""
    contacted_at: Text = ""
    tags: tuple[Text, ...] = ()  # added, never replacing others


@dataclass(frozen=True, slots=True)
class ContactView:
    """A contact as the CRM has it. Text is from outside."""

    id: str
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    tags: tuple[str, ...] = ()
    dnd: bool = False
    dnd_email: bool = False
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    other_emails: tuple[str, ...] = ()
    channels: Mapping[str, str] = field(default_factory=dict)  # do-not-disturb by channel, unknown ones too
    blocked: str = ""  # why they may not be e-mailed


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Some contacts, how many were left out, and where the next page begins."""

    contacts: tuple[ContactView, ...]
    omitted: int = 0
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field that was changed, by our name: what stood there before, and what was written."""

    field: Text
    was: Text = ""
    now: Text = ""


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """An e-mail that came into the CRM. Subject and text are from outside."""

    id: str
    contact_id: str = ""
    email: str = ""
    received_at: str = ""
    subject: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class MissedEvent:
    """An event that a webhook should have brought: its payload as JSON, from outside, and the id of its message."""

    payload: str
    reference: str = ""


@dataclass(frozen=True, slots=True)
class MissedPage:
    """Some missed events, and where the next page begins."""

    events: tuple[MissedEvent, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages, and where the next page begins."""

    messages: tuple[ReceivedMessage, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class PipelineStage:
    """A stage of a pipeline."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its stages in order."""

    id: str
    name: str
    stages: tuple[PipelineStage, ...]


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class SendingWindow:
    """When mail may leave: local hours on the given weekdays (0 is Monday) in an IANA time zone."""

    timezone: Text = "America/Chicago"
    start: Annotated[str, Field(pattern=r"^\d\d:\d\d$")] = "09:00"
    end: Annotated[str, Field(pattern=r"^\d\d:\d\d$")] = "17:00"
    weekdays: tuple[Annotated[int, Field(ge=0, le=6)], ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """A campaign without its people. Words come with each enrollment, so the campaign holds no copy of its own.

    `day_offsets` are the days after the first message: (0, 3, 7, 14).
    """

    campaign_id: Key  # ours
    name: Text
    day_offsets: tuple[Annotated[int, Field(ge=0, le=365)], ...]
    mailboxes: tuple[Email, ...]
    window: SendingWindow = SendingWindow()
    daily_limit: Annotated[int, Field(ge=1, le=1000)] = 30


@dataclass(frozen=True, slots=True)
class Message:
    """One rendered message, exactly as it would be sent. Plain text; `subject` empty continues the thread."""

    subject: Annotated[str, Field(max_length=300)]
    body: LongText


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One person in one campaign with every message they would get: what an approval covers, to the letter."""

    campaign_id: Key  # ours
    lead_id: Key
    email: Email
    first_name: Text = ""
    last_name: Text = ""
    company: Text = ""
    variant: Annotated[str, Field(max_length=20)] = "A"
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplyMessage:
    """An answer to one received message, exactly as it would be sent: what an approval covers, to the letter."""

    message_ref: Key  # the sequencer's id of the message that is answered
    email: Email  # who wrote it, and gets the answer
    mailbox: Email  # ours that it came to
    subject: Annotated[str, Field(min_length=1, max_length=300)]
    body: Annotated[str, Field(min_length=1, max_length=20_000)]  # plain text
    campaign_id: Key = ""  # ours


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as the sequencer has it, without its figures."""

    id: str
    name: str
    status: Literal[
        "draft", "active", "paused", "completed", "unhealthy", "bounce_protect", "suspended", "unknown"
    ]


@dataclass(frozen=True, slots=True)
class CampaignPage:
    """Some campaigns, and where the next page begins."""

    campaigns: tuple[CampaignView, ...]
    next_cursor: str = ""


@dataclass(frozen=True, slots=True)
class LeadStatus:
    """Where a person stands at the sequencer. `campaigns` are the vendor's ids."""

    email: str
    found: bool
    status: str = ""
    campaigns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlocklistEntry:
    """An address or domain that the sequencer must not mail."""

    value: str
    is_domain: bool
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class BlocklistPage:
    """Some entries, and where the next page begins."""

    entries: tuple[BlocklistEntry, ...]
    next_cursor: str = ""


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Extracted:
    """A document's text or fields. All of it is from outside."""

    document: str
    fields: Mapping[str, Json] = field(default_factory=dict)
    text: LongText = ""
    omitted: int = 0  # characters left out
