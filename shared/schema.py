"""Every table of ours, kernel first; `migrations/` holds the history that leads here.

One file, one transaction: a claim and its audit leaf commit together or not at all. Times are ISO 8601 text in
UTC, except in the limiter, which computes with seconds since 1970. Columns named `detail`, `content` and `data`
hold JSON; those that hold a person's data can be erased without breaking a proof.
"""

import sqlalchemy as sa

metadata = sa.MetaData()
T, N, F, B = sa.Text, sa.Integer, sa.Float, sa.LargeBinary


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, T, nullable=False, server_default=default)


# ── the kernel ───────────────────────────────────────────────────────────────────────────────────────────
process = sa.Table(
    "process",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("host"),
    sa.Column("pid", N, nullable=False),
    _text("role"),
    _text("started_at"),
    _text("seen_at"),
)
switch = sa.Table(
    "switch",
    metadata,
    sa.Column("name", T, primary_key=True),  # kill, safe_mode
    sa.Column("is_on", N, nullable=False),
    _text("reason"),
    _text("actor"),
    _text("at"),
    sa.Column("epoch", N, nullable=False, server_default="0"),  # counts changes
)
pause = sa.Table(
    "pause",
    metadata,
    sa.Column("scope", T, primary_key=True),  # all, vendor:ghl, campaign:42
    _text("kind", "pause"),  # pause, or halt: sticky until a named person clears it
    _text("reason"),
    _text("actor"),
    _text("at"),
    _text("until"),
)
halt = sa.Table(
    "halt",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    *map(_text, ("rule", "scope", "action", "at")),
    _text("numbers", "{}"),  # what was judged
    *map(_text, ("cleared_at", "cleared_by")),
)
sa.Index("halt_open", halt.c.cleared_at)
suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("key", sa.LargeBinary(17), primary_key=True),  # kind byte and 16 bytes of keyed hash
    _text("reason"),
    _text("source"),
    _text("actor"),
    _text("at"),
    _text("lifted_at"),
    _text("lifted_by"),
    sqlite_with_rowid=False,
)
approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("subject"),
    _text("fingerprint"),
    _text("state", "approved"),  # approved, revoked
    _text("actor"),
    _text("role"),
    _text("note"),
    _text("at"),
    _text("expires_at"),
)
approval_item = sa.Table(
    "approval_item",
    metadata,
    sa.Column("approval_id", T, sa.ForeignKey("approval.id"), primary_key=True),
    sa.Column("action", T, primary_key=True),
    sa.Column("fingerprint", T, primary_key=True),
    _text("used_by"),  # key of the effect that used it
)
effect = sa.Table(
    "effect",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    sa.Column("key", T, nullable=False, unique=True),
    _text("vendor"),
    _text("action"),
    _text("status"),
    _text("fingerprint"),
    _text("reason"),
    _text("message"),
    _text("reference"),
    _text("detail", "{}"),
    _text("target"),
    _text("intent"),
    _text("content", "{}"),
    _text("recipients", "[]"),
    _text("campaign"),
    _text("approval"),
    sa.Column("repeatable", N, nullable=False, server_default="0"),
    sa.Column("stops", N, nullable=False, server_default="0"),
    sa.Column("cost", N, nullable=False, server_default="0"),
    sa.Column("attempts", N, nullable=False, server_default="0"),
    _text("process"),
    _text("correlation_id"),
    _text("first_at"),
    _text("claimed_at"),
    _text("settled_at"),
)
sa.Index("effect_open", effect.c.status, effect.c.vendor)
sa.Index("effect_campaign", effect.c.campaign)
sa.Index("effect_target", effect.c.target)
sa.Index("effect_settled", effect.c.settled_at)
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("process"),
    _text("what"),
    sa.Column("until", F, nullable=False),
)
rate = sa.Table(
    "rate",
    metadata,
    sa.Column("bucket", T, primary_key=True),
    sa.Column("seq", N, nullable=False),
    sa.Column("last", F, nullable=False),
    sa.Column("blocked_until", F, nullable=False),
)
rate_slot = sa.Table(
    "rate_slot",
    metadata,
    sa.Column("bucket", T, primary_key=True),
    sa.Column("slot", N, primary_key=True),
    sa.Column("at", F, nullable=False),
    sqlite_with_rowid=False,
)
spend = sa.Table(
    "spend",
    metadata,
    sa.Column("name", T, primary_key=True),
    sa.Column("day", T, primary_key=True),
    sa.Column("amount", N, nullable=False),
)
audit_leaf = sa.Table(
    "audit_leaf",
    metadata,
    sa.Column("seq", N, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary(32), nullable=False),
    _text("data"),
)
audit_detail = sa.Table(
    "audit_detail",
    metadata,
    sa.Column("seq", N, primary_key=True, autoincrement=False),
    sa.Column("salt", sa.LargeBinary(16), nullable=False),
    _text("subject"),
    _text("payload", "{}"),
)
audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=False),
    sa.Column("size", N, nullable=False),
    sa.Column("frontier", B, nullable=False),
)
audit_checkpoint = sa.Table(
    "audit_checkpoint",
    metadata,
    sa.Column("size", N, primary_key=True, autoincrement=False),
    _text("note"),
    _text("at"),
    _text("why"),
)
inbound = sa.Table(
    "inbound",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    _text("vendor"),
    _text("event_id"),
    sa.Column("raw", B, nullable=False),
    _text("received_at"),
    _text("state", "new"),  # new, done, failed
    sa.Column("attempts", N, nullable=False, server_default="0"),
    _text("error"),
    _text("correlation_id"),
    sa.UniqueConstraint("vendor", "event_id", name="inbound_once"),
)
sa.Index("inbound_new", inbound.c.state, inbound.c.id)
alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", T, primary_key=True),  # of name and scope
    *map(_text, ("name", "scope", "severity", "text", "raised_at", "last_sent_at", "cleared_at")),
    *(_text(name, "{}") for name in ("numbers", "deliveries")),
)

# ── people who log in ────────────────────────────────────────────────────────────────────────────────────
account = sa.Table(
    "account",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("email", T, nullable=False, unique=True),
    _text("name"),
    _text("role"),  # viewer, ae, operator, admin
    _text("password"),  # argon2id
    _text("created_at"),
    sa.Column("disabled", N, nullable=False, server_default="0"),
    sa.Column("failures", N, nullable=False, server_default="0"),
    _text("locked_until"),
)
login_link = sa.Table(
    "login_link",
    metadata,
    sa.Column("token", T, primary_key=True),  # SHA-256 of the token
    *map(_text, ("role", "expires_at", "used_at")),
)
session = sa.Table(
    "session",
    metadata,
    sa.Column("token", T, primary_key=True),  # SHA-256 of the cookie
    sa.Column("account_id", T, sa.ForeignKey("account.id"), nullable=False),
    *map(_text, ("csrf", "created_at", "seen_at")),
)

# ── the pipeline ─────────────────────────────────────────────────────────────────────────────────────────
lead = sa.Table(
    "lead",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("email"),
    _text("linkedin_url"),
    _text("data", "{}"),
    _text("status", "sourced"),
    _text("created_at"),
    _text("updated_at"),
)
sa.Index("lead_email", lead.c.email)
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
    _text("path"),
    _text("sha256"),
    sa.Column("good", N, nullable=False, server_default="0"),
    sa.Column("bad", N, nullable=False, server_default="0"),
    _text("quarantine_file"),
    _text("at"),
)
run = sa.Table(
    "run",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("mode"),  # safe, live
    _text("state"),  # running, review, launching, finished, failed, cancelled
    _text("stage"),
    _text("params", "{}"),
    _text("counts", "{}"),
    _text("message"),
    _text("correlation_id"),
    _text("started_at"),
    _text("finished_at"),
)
run_lead = sa.Table(
    "run_lead",
    metadata,
    sa.Column("run_id", T, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), primary_key=True),
    sa.Column("batch", N, nullable=False),
    # sourced, enriched, scored, held, disqualified, suppressed, in_review, rejected, live, simulated, failed, …
    _text("state"),
    _text("tier"),
    sa.Column("score", N, nullable=False, server_default="0"),
    _text("reason"),
    _text("enrichment"),  # known, found, not_found, failed, unanswered, or how the look-up ended: why
    _text("data", "{}"),
    _text("campaign_id"),
)
sa.Index("run_lead_batch", run_lead.c.run_id, run_lead.c.batch)
sa.Index("run_lead_lead", run_lead.c.lead_id)
sa.Index("run_lead_state", run_lead.c.run_id, run_lead.c.state)
campaign = sa.Table(
    "campaign",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("run_id", T, sa.ForeignKey("run.id"), nullable=False),
    _text("name"),
    _text("type"),
    _text("tier"),
    # drafted, pending_review, approved, rejected, launching, stalled, live, simulated, paused, completed, failed
    _text("state"),
    _text("draft", "{}"),
    _text("hypothesis"),
    _text("fingerprint"),
    _text("vendor_ref"),
    _text("approval_id"),
    _text("decided_by"),
    _text("decision"),
    _text("review_due"),
    _text("created_at"),
    _text("updated_at"),
    sa.Column("version", N, nullable=False, server_default="1"),
)
sa.Index("campaign_run", campaign.c.run_id)
sa.Index("campaign_state", campaign.c.state)
sa.Index("campaign_vendor_ref", campaign.c.vendor_ref)
campaign_lead = sa.Table(
    "campaign_lead",
    metadata,
    sa.Column("campaign_id", T, sa.ForeignKey("campaign.id"), primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), primary_key=True),
    _text("email"),
    _text("variant"),
    _text("enrollment", "{}"),  # the whole Enrollment: what an approval is bound to
    _text("findings", "[]"),
    _text("state"),  # drafted, held, live, refused, failed, in_doubt, simulated, stopped
    _text("reason"),
    _text("contact_ref"),
    _text("told"),  # what the CRM is to be told, or was told last; see marks.py
)
sa.Index("campaign_lead_email", campaign_lead.c.email)
sa.Index("campaign_lead_lead", campaign_lead.c.lead_id)
sa.Index("campaign_lead_contact", campaign_lead.c.contact_ref)
sa.Index("campaign_lead_told", campaign_lead.c.told)
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", T, primary_key=True),  # vendor:event id
    *map(_text, ("vendor", "type", "occurred_at", "received_at", "lead_id", "campaign_id")),
    sa.Column("step", N, nullable=False, server_default="0"),
    _text("variant"),
    _text("detail", "{}"),
    _text("correlation_id"),
)
sa.Index("event_lead", event.c.lead_id)
sa.Index("event_received", event.c.received_at)
sa.Index("event_campaign", event.c.campaign_id, event.c.type)
reply = sa.Table(
    "reply",
    metadata,
    sa.Column("event_id", T, primary_key=True),
    _text("lead_id"),
    _text("campaign_id"),
    _text("class"),
    sa.Column("confidence", F, nullable=False, server_default="0"),
    _text("rule"),
    _text("action"),
    _text("subject"),
    _text("text"),  # from outside
    _text("state", "new"),
    _text("at"),
)
sa.Index("reply_lead", reply.c.lead_id)
handoff = sa.Table(
    "handoff",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("lead_id", "campaign_id", "event_id", "trigger", "destination", "priority")),
    _text("state", "pending"),  # pending, acknowledged, closed
    *map(_text, ("due_at", "created_at", "acknowledged_by", "closed_by")),
)
sa.Index("handoff_state", handoff.c.state, handoff.c.due_at)
sa.Index("handoff_lead", handoff.c.lead_id)
stop = sa.Table(
    "stop",
    metadata,
    sa.Column("id", T, primary_key=True),  # one person or domain to be stopped everywhere
    _text("kind"),  # person, sequence, domain
    _text("target"),
    _text("reason"),
    _text("state", "open"),  # open, simulated, confirmed
    sa.Column("attempts", N, nullable=False, server_default="0"),
    _text("detail", "{}"),
    _text("at"),
    _text("due_at"),  # when it is tried next
    _text("confirmed_at"),
)
sa.Index("stop_due", stop.c.state, stop.c.due_at)
sa.Index("stop_confirmed", stop.c.confirmed_at)
sa.Index("stop_target", stop.c.target)
