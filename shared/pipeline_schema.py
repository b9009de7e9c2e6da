"""The tables of the pipeline: leads, runs, campaigns, events, replies, handoffs, stops, schedules, privacy."""

import sqlalchemy as sa

from shared.schema import F, N, T, metadata, text

lead = sa.Table(
    "lead",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("email"),
    text("linkedin_url"),
    text("data", "{}"),
    text("status", "sourced"),
    text("created_at"),
    text("updated_at"),
    text("looked_up_at"),  # when a provider answered about them last, whatever it said
)
sa.Index("lead_email", lead.c.email)
sa.Index("lead_created", lead.c.created_at)
sa.Index("lead_looked_up", lead.c.looked_up_at)
lead_key = sa.Table(
    "lead_key",
    metadata,
    sa.Column("key", T, primary_key=True),  # profile:… or email:…
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), nullable=False),
)
sa.Index("lead_key_lead", lead_key.c.lead_id)
import_file = sa.Table(
    "import_file",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    text("path"),
    text("sha256"),
    sa.Column("good", N, nullable=False, server_default="0"),
    sa.Column("bad", N, nullable=False, server_default="0"),
    text("quarantine_file"),
    text("at"),
)
run = sa.Table(
    "run",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("mode"),  # safe, live
    text("state"),  # running, review, launching, finished, failed, cancelled
    text("stage"),
    text("params", "{}"),
    text("counts", "{}"),
    text("message"),
    text("correlation_id"),
    text("started_at"),
    text("finished_at"),
    text(
        "launches", "on_approval"
    ),  # of its words; on_implement: its plan is approved as well, and asked for
    sa.Column("turn", N, nullable=False, server_default="1"),  # how often a phase of it was begun anew
)
artefact = sa.Table(
    "artefact",
    metadata,
    sa.Column("id", T, primary_key=True),  # run:phase:version
    sa.Column("run_id", T, sa.ForeignKey("run.id"), nullable=False),
    text("phase"),  # research, plan, implement
    sa.Column("version", N, nullable=False),
    # research: saved; plan: drafting, pending_review, approved, rejected, superseded; implement: running, done
    text("state"),
    text("data", "{}"),
    text("covers", "{}"),  # a plan: what the yes was to
    *map(text, ("made_by", "why", "made_at", "decided_by", "decided_at", "reason")),
)
sa.Index("artefact_run", artefact.c.run_id, artefact.c.phase, artefact.c.version)
sa.Index("artefact_state", artefact.c.phase, artefact.c.state)
run_lead = sa.Table(
    "run_lead",
    metadata,
    sa.Column("run_id", T, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), primary_key=True),
    sa.Column("batch", N, nullable=False),
    # sourced, enriched, scored, held, disqualified, suppressed, in_review, rejected, live, simulated, failed, …
    text("state"),
    text("tier"),
    sa.Column("score", N, nullable=False, server_default="0"),
    text("reason"),
    text("enrichment"),  # known, found, not_found, failed, unanswered, or how the look-up ended: why
    text("data", "{}"),
    text("campaign_id"),
    text("seen"),  # fingerprint of the lead as it was scored
)
sa.Index("run_lead_batch", run_lead.c.run_id, run_lead.c.batch)
sa.Index("run_lead_lead", run_lead.c.lead_id)
sa.Index("run_lead_state", run_lead.c.run_id, run_lead.c.state)
# Templates and segments that somebody of rank has approved once.
familiar = sa.Table(
    "familiar",
    metadata,
    sa.Column("kind", T, primary_key=True),  # template, segment
    sa.Column("name", T, primary_key=True),
    *map(text, ("actor", "at")),
)
campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("run_id", T, sa.ForeignKey("run.id"), nullable=False),
    text("name"),
    text("type"),
    text("tier"),
    # drafted, pending_review, approved, rejected, superseded,
    # launching, stalled, live, simulated, paused, completed, failed
    text("state"),
    text("draft", "{}"),
    text("hypothesis"),
    text("fingerprint"),
    text("vendor_ref"),
    text("approval_id"),
    text("decided_by"),
    text("decision"),
    text("review_due"),
    text("created_at"),
    text("updated_at"),
    sa.Column("version", N, nullable=False, server_default="1"),
    text("line"),  # of the run's plan
    sa.Column("cleared", N, nullable=False, server_default="0"),  # the version that implement was asked for
)
sa.Index("campaign_run", campaign.c.run_id)
sa.Index(  # five times a second the worker asks which may begin, and must not go through every draft for it
    "campaign_beginning",
    *(campaign.c.state, campaign.c.id, campaign.c.run_id, campaign.c.version, campaign.c.cleared),
)
sa.Index("campaign_vendor_ref", campaign.c.vendor_ref)
campaign_lead = sa.Table(
    "campaign_lead",
    metadata,
    sa.Column("campaign_id", T, sa.ForeignKey("campaign.id"), primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), primary_key=True),
    text("email"),
    text("variant"),
    text("enrollment", "{}"),  # the whole Enrollment: what an approval is bound to
    text("findings", "[]"),
    text("state"),  # drafted, held, live, refused, failed, in_doubt, simulated, stopped
    text("reason"),
    text("contact_ref"),
    text("told"),  # what the CRM is to be told, or was told last; see marks.py
    sa.Column(
        "listed", N, nullable=False, server_default="0"
    ),  # the plan's version that implement was asked for
)
sa.Index("campaign_lead_email", campaign_lead.c.email)
sa.Index("campaign_lead_lead", campaign_lead.c.lead_id)
sa.Index("campaign_lead_contact", campaign_lead.c.contact_ref)
sa.Index("campaign_lead_told", campaign_lead.c.told)
FOUND = sa.literal_column("findings") != sa.literal_column("'[]'")  # literal, or no index is used for it
sa.Index(  # the few in whose messages something was found, for the halts, which look every other second
    "campaign_lead_found",
    *(campaign_lead.c.campaign_id, campaign_lead.c.lead_id),
    sqlite_where=FOUND,
    postgresql_where=FOUND,
)
sa.Index(  # for reports, which must not go through the messages of a million people
    "campaign_lead_variant", campaign_lead.c.campaign_id, campaign_lead.c.lead_id, campaign_lead.c.variant
)
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", T, primary_key=True),  # vendor:event id
    *map(text, ("vendor", "type", "occurred_at", "received_at", "lead_id", "campaign_id")),
    sa.Column("step", N, nullable=False, server_default="0"),
    text("variant"),
    text("reference"),  # the vendor's id of the message, job or opportunity
    text("bounce"),  # of what bounced, also of a reply that is a report of it: hard, soft, unknown
    text("detail", "{}"),
    text("correlation_id"),
)
sa.Index("event_lead", event.c.lead_id)
sa.Index("event_received", event.c.received_at)
sa.Index(
    "event_report",
    *(event.c.type, event.c.received_at, event.c.campaign_id, event.c.lead_id, event.c.step),
)
sa.Index("event_campaign", event.c.campaign_id, event.c.type)
sa.Index("event_reference", event.c.reference)
# Contacts to be read again at the CRM, and since when what webhooks may have missed was asked for.
reread = sa.Table("reread", metadata, sa.Column("contact_ref", T, primary_key=True), text("due_at"))
watermark = sa.Table(
    "watermark",
    metadata,
    sa.Column("name", T, primary_key=True),
    text("at"),  # when the last look began that came to its end
    text("began"),  # when the walk under way began
    text("cursor"),  # where it stands: what its newest page was asked with
)
# What is done again and again: when it was done last, and when it is due.
schedule = sa.Table(
    "schedule",
    metadata,
    sa.Column("name", T, primary_key=True),
    text(
        "state", "waiting"
    ),  # waiting, running; round: a part of the worker, which only says that it was done
    text("occasion"),  # the moment it was due at that was begun last
    sa.Column("turn", N, nullable=False, server_default="0"),  # how often that occasion was begun
    sa.Column("failures", N, nullable=False, server_default="0"),  # since it went well last
    text("holder"),  # the process that does it
    text("behind_since"),  # when it should have been done; empty once it is
    *map(text, ("due_at", "started_at", "finished_at", "message")),
    text("done_at"),  # when it went well last
)
reply = sa.Table(
    "reply",
    metadata,
    sa.Column("event_id", T, primary_key=True),
    text("lead_id"),
    text("campaign_id"),
    text("class"),
    sa.Column("confidence", F, nullable=False, server_default="0"),
    text("rule"),
    text("action"),
    text("subject"),
    text("text"),  # from outside
    text("state", "new"),
    text("at"),
    text("email"),  # who wrote it
    text("mailbox"),  # ours that it came to
    text("reference"),  # the sequencer's id of the message, if it has one
    text("also", "[]"),  # further classes its words speak for
    text("opinion"),  # what a model said of it
    text("resume_on"),  # a day: until then they are away
)
sa.Index("reply_lead", reply.c.lead_id)
sa.Index("reply_at", reply.c.at, reply.c["class"], reply.c.campaign_id, reply.c.lead_id)
sa.Index("reply_opinion", reply.c.opinion, reply.c.at)
sa.Index("reply_resume", reply.c.resume_on)
answer = sa.Table(  # to a reply: drafted, read by a person, sent once
    "answer",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(text, ("event_id", "lead_id", "campaign_id", "class")),
    *map(text, ("email", "mailbox", "reference", "subject", "body")),
    text("findings", "[]"),
    text(
        "state"
    ),  # pending_review, approved, sent, simulated, refused, rejected, in_doubt, failed, superseded
    sa.Column("version", N, nullable=False, server_default="1"),
    sa.Column("automatic", N, nullable=False, server_default="0"),  # approved by policy, by nobody in person
    *map(text, ("edited_by", "approval_id", "decided_by", "decided_at", "reason", "at")),
)
sa.Index("answer_state", answer.c.state, answer.c.at)
sa.Index("answer_email", answer.c.email, answer.c.at)
sa.Index("answer_event", answer.c.event_id)
handoff = sa.Table(
    "handoff",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("detail", "{}"),  # of what a person has to do at a vendor by hand: the steps
    *map(text, ("lead_id", "campaign_id", "event_id", "trigger", "destination", "priority")),
    text("state", "pending"),  # pending, acknowledged, closed
    *map(text, ("due_at", "created_at", "acknowledged_by", "closed_by", "breached_at", "note")),
    *map(text, ("acknowledged_at", "closed_at")),
    sa.Column("held", N, nullable=False, server_default="0"),  # somebody isn't written to until it is decided
)
sa.Index("handoff_created", handoff.c.created_at)
# Somebody whom an answer names: a proposal from outside, and what a person made of it.
referral = sa.Table(
    "referral",
    metadata,
    sa.Column("id", T, primary_key=True),  # of the event, and which of those it names
    *map(text, ("event_id", "lead_id")),  # the answer, and whose it is
    *map(text, ("email", "first_name", "last_name")),  # who is named; emptied where nobody wants them
    text("state", "offered"),  # offered, taken, declined; erased: is known as such, and isn't named here
    text("taken_as"),  # our id of them as a lead
    *map(text, ("at", "decided_by", "decided_at")),
)
sa.Index("referral_event", referral.c.event_id)
sa.Index("referral_state", referral.c.state, referral.c.at)
sa.Index("referral_lead", referral.c.lead_id)
# What was reported of a day, a week or a month, as it stood when it was made.
report = sa.Table(
    "report",
    metadata,
    sa.Column("period", T, primary_key=True),  # daily, weekly, monthly
    sa.Column("begins", T, primary_key=True),
    text("title"),
    text("data", "{}"),
    text("made_at"),
)
sa.Index("handoff_state", handoff.c.state, handoff.c.due_at)
sa.Index("handoff_lead", handoff.c.lead_id)
wording = sa.Table(
    "wording",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("campaign_id", T, sa.ForeignKey("campaign.id"), nullable=False),
    text("type"),
    text("tier"),
    text("state"),  # waiting, approved, superseded
    text("written_by"),  # template, agent
    text("departs_from"),  # a template by its words, or another wording
    text("why"),
    text("texts", "{}"),  # per variant and step, before they are filled in
    *map(text, ("correlation_id", "at", "decided_by", "decided_at")),
)
sa.Index("wording_campaign", wording.c.campaign_id)
sa.Index("wording_approved", wording.c.type, wording.c.tier, wording.c.state)
touch = sa.Table(
    "touch",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("campaign_id", T, sa.ForeignKey("campaign.id"), nullable=False),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), nullable=False),
    sa.Column("day", N, nullable=False),  # after the campaign's start
    text("due_at"),
    text("state", "open"),  # open, done, skipped
    *map(text, ("by", "note", "at")),
)
sa.Index("touch_due", touch.c.state, touch.c.due_at)
sa.Index("touch_lead", touch.c.lead_id)
sa.Index("touch_campaign", touch.c.campaign_id)
stop = sa.Table(
    "stop",
    metadata,
    sa.Column("id", T, primary_key=True),  # one person or domain to be stopped everywhere
    text("kind"),  # person, sequence, domain
    text("target"),
    text("reason"),
    text("state", "open"),  # open, simulated, confirmed
    sa.Column("attempts", N, nullable=False, server_default="0"),
    text("detail", "{}"),
    text("at"),
    text("due_at"),  # when it is tried next
    text("confirmed_at"),
)
sa.Index("stop_due", stop.c.state, stop.c.due_at)
sa.Index("stop_confirmed", stop.c.confirmed_at)
sa.Index("stop_target", stop.c.target)
# An entry of our list that a vendor has still to be told, with the address in plain text: gone once it shows it.
owed = sa.Table(
    "owed",
    metadata,
    sa.Column("id", T, primary_key=True),  # one address or domain at one port
    text("port"),  # sequencer, crm
    text("target"),
    text("reason"),
    text("state", "open"),  # open, simulated
    sa.Column("attempts", N, nullable=False, server_default="0"),
    text("problem"),
    text("correlation_id"),
    text("at"),
    text("due_at"),  # when it is tried next
)
sa.Index("owed_due", owed.c.port, owed.c.state, owed.c.due_at)
sa.Index("owed_since", owed.c.state, owed.c.at)
# What a person asked of us by right: to be shown, to be corrected, to be erased.
privacy_request = sa.Table(
    "privacy_request",
    metadata,
    sa.Column("id", T, primary_key=True),
    text("kind"),  # access, erasure, rectification
    text("state"),  # stopping, erasing, scrubbing, tickets, done
    text(
        "hashes"
    ),  # keyed hashes of the address, as on the suppression list: the same request is found again
    text("subject", "{}"),  # who it is, in plain text: emptied once they are erased
    text("detail", "{}"),  # counts and what it waits for; nothing of theirs
    *map(text, ("asked_by", "asked_at", "due_at", "done_at")),
)
sa.Index("privacy_request_state", privacy_request.c.state, privacy_request.c.due_at)
sa.Index("privacy_request_hashes", privacy_request.c.hashes)
erased = sa.Table(  # who was erased and isn't taken in again
    "erased",
    metadata,
    sa.Column("hash", sa.LargeBinary(17), primary_key=True),  # keyed, of an address or a profile
    text("at"),
    sqlite_with_rowid=False,
)
