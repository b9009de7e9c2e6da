"""What the orchestrator needs of each vendor, in its own words. A port's method is a tool of the server behind it.

`crm.upsert_contacts(…)` is the tool `ghl_upsert_contacts`: in process it is called directly, over MCP through
`remote.py`; both are built from the same tool, so both behave alike (`tests/contract/test_ports.py`).
Empty text and 0 mean "unknown": schemas without unions are the ones every model host accepts.
Records cross the edge, so their constraints are checked there; times are ISO 8601 in UTC.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

from shared.effect import Outcome
from shared.records import (
    BatchOutcome,
    BlocklistEntry,
    BlocklistPage,
    Budget,
    CampaignDraft,
    CampaignPage,
    CampaignView,
    Check,
    ContactPage,
    ContactRecord,
    ContactView,
    Email,
    Enrichment,
    EnrichmentPage,
    EnrichRequest,
    Enrollment,
    Extracted,
    FieldChange,
    Key,
    LeadPage,
    LeadStatus,
    LongText,
    Message,
    MessagePage,
    MissedEvent,
    MissedPage,
    Pipeline,
    PipelineStage,
    Quarantined,
    ReceivedMessage,
    ReplyMessage,
    SendingWindow,
    SourcedLead,
    SourceInfo,
    Text,
)

__all__ = [
    "BatchOutcome",
    "BlocklistEntry",
    "BlocklistPage",
    "Budget",
    "CampaignDraft",
    "CampaignPage",
    "CampaignView",
    "Check",
    "ContactPage",
    "ContactRecord",
    "ContactView",
    "Crm",
    "Documents",
    "Email",
    "EnrichRequest",
    "Enricher",
    "Enrichment",
    "EnrichmentPage",
    "Enrollment",
    "Extracted",
    "FieldChange",
    "Key",
    "LeadPage",
    "LeadSource",
    "LeadStatus",
    "LongText",
    "Message",
    "MessagePage",
    "MissedEvent",
    "MissedPage",
    "Pipeline",
    "PipelineStage",
    "Quarantined",
    "ReceivedMessage",
    "ReplyMessage",
    "SendingWindow",
    "Sequencer",
    "SourceInfo",
    "SourcedLead",
    "Text",
]


# ── people from an audience ──────────────────────────────────────────────────────────────────────────────
class LeadSource(Protocol):
    """Audiences: provider jobs and files."""

    async def list_sources(self) -> tuple[SourceInfo, ...]:
        """What can be sourced, and what is stopped by a restriction."""
        ...

    async def scrape_posts(
        self,
        post_url: str,
        kind: Literal["likers", "commenters"],
        limit: int = 500,
        idempotency_key: str = "",
    ) -> Outcome:
        """Start a provider job; `reference` of the outcome is the job id for `get_job`."""
        ...

    async def get_job(self, job_id: str, cursor: str = "") -> LeadPage:
        """A job's rows so far."""
        ...

    async def import_file(self, path: str, cursor: str = "", limit: int = 500) -> LeadPage:
        """Rows of a local CSV, a page at a time; bad rows are quarantined and named by line."""
        ...


# ── what is known of a person and a company ──────────────────────────────────────────────────────────────
class Enricher(Protocol):
    """Paid look-ups: each is a write, because it spends."""

    async def enrich_leads(
        self, requests: Sequence[EnrichRequest], idempotency_key: str = ""
    ) -> BatchOutcome:
        """Start look-ups, up to 100; `reference` of each outcome is what `get_result` takes."""
        ...

    async def get_result(self, references: Sequence[str]) -> EnrichmentPage:
        """Results of the given references, as far as they are there."""
        ...

    async def get_budget(self) -> Budget:
        """Credits allowed and spent today."""
        ...


# ── the CRM ──────────────────────────────────────────────────────────────────────────────────────────────
class Crm(Protocol):
    """Contacts, tags, opportunities and the CRM's own do-not-contact marks."""

    async def get_contact(self, contact_id: str = "", email: str = "") -> ContactPage:
        """At most one contact, by id or by e-mail."""
        ...

    async def upsert_contacts(self, contacts: Sequence[ContactRecord]) -> BatchOutcome:
        """Look up, then create or update each; `reference` is the CRM's contact id."""
        ...

    async def tag_contact(
        self, contact_id: str, email: str, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Outcome:
        """Add and remove tags; others stay."""
        ...

    async def create_opportunity(
        self, contact_id: str, email: str, name: str, stage: str = "New", value_usd: int = 0
    ) -> Outcome:
        """One opportunity per contact and pipeline; an existing one is adopted."""
        ...

    async def update_contact(self, contact_id: str, contact: ContactRecord) -> Outcome:
        """Change known fields and add tags; the address must be the contact's."""
        ...

    async def move_opportunity(
        self, contact_id: str, email: str, stage: str, only_forward: bool = False
    ) -> Outcome:
        """Move the contact's opportunity to a stage of our pipeline, by the stage's name."""
        ...

    async def set_dnc(self, email: str, reason: str) -> Outcome:
        """Mark do-not-contact: tag and e-mail DND. Allowed while everything else is stopped."""
        ...

    async def list_dnc(self, limit: int = 100, cursor: str = "", changed_since: str = "") -> ContactPage:
        """Contacts that may not be written to; with `changed_since` only those that changed from then on."""
        ...

    async def find_contacts(
        self, query: str = "", tag: str = "", limit: int = 20, cursor: str = "", changed_since: str = ""
    ) -> ContactPage:
        """Contacts, a page at a time; with `changed_since` only those that changed from then on."""
        ...

    async def list_blocked(self, contact_ids: Sequence[str]) -> ContactPage:
        """Which of these may not be e-mailed, each read by its id at this moment; those that are gone count too."""
        ...

    async def list_replies(self, since: str, cursor: str = "") -> MessagePage:
        """E-mails received from `since` on, a page at a time."""
        ...

    async def restore_contact(
        self,
        contact_id: str,
        email: str,
        changes: Sequence[FieldChange] = (),
        tags: Sequence[str] = (),
        undoes: str = "",
    ) -> Outcome:
        """Put fields back and take off tags, each only where it still is as the write named in `undoes` left it."""
        ...

    async def restore_stage(
        self, opportunity_id: str, email: str, was: str, now: str, undoes: str = ""
    ) -> Outcome:
        """Move an opportunity back to where it was, if it still stands where that write put it."""
        ...

    async def check_setup(self) -> tuple[Check, ...]:
        """Whether fields, tags and pipeline are there, with what to do where not."""
        ...


# ── campaigns ────────────────────────────────────────────────────────────────────────────────────────────
class Sequencer(Protocol):
    """E-mail sequences at a sending vendor. `campaign_ref` is the vendor's id."""

    async def create_campaign(self, draft: CampaignDraft, idempotency_key: str = "") -> Outcome:
        """Always a draft, verified by reading back; `reference` is the vendor's id."""
        ...

    async def update_campaign(self, campaign_ref: str, draft: CampaignDraft) -> Outcome:
        """Bring a draft or a paused campaign to another draft; starting it then needs a new approval."""
        ...

    async def add_leads_to_campaign(
        self, campaign_ref: str, enrollments: Sequence[Enrollment], approval: str = ""
    ) -> BatchOutcome:
        """Each person checked on their own; needs an approval that covers each enrollment exactly."""
        ...

    async def activate_campaign(self, campaign_ref: str, campaign_id: str, approval: str = "") -> Outcome:
        """Start sending; needs an approval. Read back and compared with the draft first."""
        ...

    async def pause_campaign(self, campaign_ref: str, reason: str) -> Outcome:
        """Stop sending. Always allowed; confirmed by reading back."""
        ...

    async def resume_campaign(self, campaign_ref: str, campaign_id: str, approval: str = "") -> Outcome:
        """Start again what was paused; needs an approval."""
        ...

    async def pause_mailbox(self, mailbox: str, reason: str) -> Outcome:
        """Have a mailbox of ours send nothing. Always allowed; confirmed by reading back."""
        ...

    async def resume_mailbox(self, mailbox: str, approval: str = "") -> Outcome:
        """Let a mailbox send again that was paused here; needs an approval."""
        ...

    async def remove_lead(self, email: str, reason: str) -> Outcome:
        """Take a person out of every campaign. Always allowed."""
        ...

    async def add_to_blocklist(self, values: Sequence[str], reason: str) -> Outcome:
        """Addresses or domains the vendor must never mail. Always allowed."""
        ...

    async def list_blocklist(self, cursor: str = "", search: str = "") -> BlocklistPage:
        """What the vendor must never mail, a page at a time, in an order that is the vendor's own."""
        ...

    async def list_missed_events(
        self, kind: Literal["undelivered", "replies"], since: str, cursor: str = ""
    ) -> MissedPage:
        """Events from `since` on that couldn't be delivered here, or replies, each as a webhook would have told it."""
        ...

    async def get_lead_status(self, email: str) -> LeadStatus:
        """Where a person stands."""
        ...

    async def list_campaigns(self, cursor: str = "", search: str = "") -> CampaignPage:
        """Campaigns, a page at a time."""
        ...

    async def send_reply(self, reply: ReplyMessage, approval: str = "") -> Outcome:
        """Answer a received message once; needs an approval of exactly these words."""
        ...

    async def ensure_webhooks(self, base_url: str) -> Outcome:
        """Have the vendor send its events to our address. Repeating is harmless."""
        ...

    async def check_setup(self) -> tuple[Check, ...]:
        """Whether key, workspace, mailboxes and webhooks are ready, with what to do where not."""
        ...


# ── documents ────────────────────────────────────────────────────────────────────────────────────────────
class Documents(Protocol):
    """Text and fields out of files."""

    async def parse(self, path: str) -> Extracted:
        """A document's text."""
        ...
