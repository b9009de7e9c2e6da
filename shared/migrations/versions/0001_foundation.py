"""The first schema, as it was: never edited, later revisions lead on from here."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

metadata = sa.MetaData()
T = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does
F, B = sa.Float, sa.LargeBinary
N = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite numbers rows in an INTEGER only


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, T, nullable=False, server_default=default)


process = sa.Table(
    "process",
    metadata,
    sa.Column("id", T, primary_key=True),
    _text("host"),
    sa.Column("pid", N, nullable=False),
    *map(_text, ("role", "started_at", "seen_at")),
)
switch = sa.Table(
    "switch",
    metadata,
    sa.Column("name", T, primary_key=True),
    sa.Column("is_on", N, nullable=False),
    *map(_text, ("reason", "actor", "at")),
    sa.Column("epoch", N, nullable=False, server_default="0"),
)
pause = sa.Table(
    "pause",
    metadata,
    sa.Column("scope", T, primary_key=True),
    _text("kind", "pause"),
    *map(_text, ("reason", "actor", "at", "until")),
)
halt = sa.Table(
    "halt",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    *map(_text, ("rule", "scope", "action", "at")),
    _text("numbers", "{}"),
    *map(_text, ("cleared_at", "cleared_by")),
)
sa.Index("halt_open", halt.c.cleared_at)
suppression = sa.Table(
    "suppression",
    metadata,
    sa.Column("key", sa.LargeBinary(17), primary_key=True),
    *map(_text, ("reason", "source", "actor", "at", "lifted_at", "lifted_by")),
    sqlite_with_rowid=False,
)
approval = sa.Table(
    "approval",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("subject", "fingerprint")),
    _text("state", "approved"),
    *map(_text, ("actor", "role", "note", "at", "expires_at")),
)
approval_item = sa.Table(
    "approval_item",
    metadata,
    sa.Column("approval_id", T, sa.ForeignKey("approval.id"), primary_key=True),
    sa.Column("action", T, primary_key=True),
    sa.Column("fingerprint", T, primary_key=True),
    _text("used_by"),
)
effect = sa.Table(
    "effect",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    sa.Column("key", T, nullable=False, unique=True),
    *map(_text, ("vendor", "action", "status", "fingerprint", "reason", "message", "reference")),
    _text("detail", "{}"),
    *map(_text, ("target", "intent")),
    _text("content", "{}"),
    _text("recipients", "[]"),
    *map(_text, ("campaign", "approval")),
    sa.Column("repeatable", N, nullable=False, server_default="0"),
    sa.Column("stops", N, nullable=False, server_default="0"),
    sa.Column("cost", N, nullable=False, server_default="0"),
    sa.Column("attempts", N, nullable=False, server_default="0"),
    *map(_text, ("process", "correlation_id", "first_at", "claimed_at", "settled_at")),
)
sa.Index("effect_open", effect.c.status, effect.c.vendor)
sa.Index("effect_campaign", effect.c.campaign)
sa.Index("effect_target", effect.c.target)
sa.Index("effect_settled", effect.c.settled_at)
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("process", "what")),
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
    *map(_text, ("note", "at", "why")),
)
inbound = sa.Table(
    "inbound",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    *map(_text, ("vendor", "event_id")),
    sa.Column("raw", B, nullable=False),
    _text("received_at"),
    _text("state", "new"),
    sa.Column("attempts", N, nullable=False, server_default="0"),
    *map(_text, ("error", "correlation_id")),
    sa.UniqueConstraint("vendor", "event_id", name="inbound_once"),
)
sa.Index("inbound_new", inbound.c.state, inbound.c.id)
alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("name", "scope", "severity", "text", "raised_at", "last_sent_at", "cleared_at")),
    *(_text(name, "{}") for name in ("numbers", "deliveries")),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("id", T, primary_key=True),
    sa.Column("email", T, nullable=False, unique=True),
    *map(_text, ("name", "role", "password", "created_at")),
    sa.Column("disabled", N, nullable=False, server_default="0"),
    sa.Column("failures", N, nullable=False, server_default="0"),
    _text("locked_until"),
)
login_link = sa.Table(
    "login_link",
    metadata,
    sa.Column("token", T, primary_key=True),
    *map(_text, ("role", "expires_at", "used_at")),
)
session = sa.Table(
    "session",
    metadata,
    sa.Column("token", T, primary_key=True),
    sa.Column("account_id", T, sa.ForeignKey("account.id"), nullable=False),
    *map(_text, ("csrf", "created_at", "seen_at")),
)

lead = sa.Table(
    "lead",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("email", "linkedin_url")),
    _text("data", "{}"),
    _text("status", "sourced"),
    *map(_text, ("created_at", "updated_at")),
)
sa.Index("lead_email", lead.c.email)
lead_key = sa.Table(
    "lead_key",
    metadata,
    sa.Column("key", T, primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), nullable=False),
)
sa.Index("lead_key_lead", lead_key.c.lead_id)
import_file = sa.Table(
    "import_file",
    metadata,
    sa.Column("id", N, primary_key=True, autoincrement=True),
    *map(_text, ("path", "sha256")),
    sa.Column("good", N, nullable=False, server_default="0"),
    sa.Column("bad", N, nullable=False, server_default="0"),
    *map(_text, ("quarantine_file", "at")),
)
run = sa.Table(
    "run",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("mode", "state", "stage")),
    _text("params", "{}"),
    _text("counts", "{}"),
    *map(_text, ("message", "correlation_id", "started_at", "finished_at")),
)
run_lead = sa.Table(
    "run_lead",
    metadata,
    sa.Column("run_id", T, sa.ForeignKey("run.id"), primary_key=True),
    sa.Column("lead_id", T, sa.ForeignKey("lead.id"), primary_key=True),
    sa.Column("batch", N, nullable=False),
    *map(_text, ("state", "tier")),
    sa.Column("score", N, nullable=False, server_default="0"),
    *map(_text, ("reason", "enrichment")),
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
    *map(_text, ("name", "type", "tier", "state")),
    _text("draft", "{}"),
    *map(
        _text,
        (
            "hypothesis",
            "fingerprint",
            "vendor_ref",
            "approval_id",
            "decided_by",
            "decision",
            "review_due",
            "created_at",
            "updated_at",
        ),
    ),
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
    *map(_text, ("email", "variant")),
    _text("enrollment", "{}"),
    _text("findings", "[]"),
    *map(_text, ("state", "reason", "contact_ref", "told")),
)
sa.Index("campaign_lead_email", campaign_lead.c.email)
sa.Index("campaign_lead_lead", campaign_lead.c.lead_id)
sa.Index("campaign_lead_contact", campaign_lead.c.contact_ref)
sa.Index("campaign_lead_told", campaign_lead.c.told)
event = sa.Table(
    "event",
    metadata,
    sa.Column("id", T, primary_key=True),
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
    *map(_text, ("lead_id", "campaign_id", "class")),
    sa.Column("confidence", F, nullable=False, server_default="0"),
    *map(_text, ("rule", "action", "subject", "text")),
    _text("state", "new"),
    _text("at"),
)
sa.Index("reply_lead", reply.c.lead_id)
handoff = sa.Table(
    "handoff",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("lead_id", "campaign_id", "event_id", "trigger", "destination", "priority")),
    _text("state", "pending"),
    *map(_text, ("due_at", "created_at", "acknowledged_by", "closed_by")),
)
sa.Index("handoff_state", handoff.c.state, handoff.c.due_at)
sa.Index("handoff_lead", handoff.c.lead_id)
stop = sa.Table(
    "stop",
    metadata,
    sa.Column("id", T, primary_key=True),
    *map(_text, ("kind", "target", "reason")),
    _text("state", "open"),
    sa.Column("attempts", N, nullable=False, server_default="0"),
    _text("detail", "{}"),
    *map(_text, ("at", "due_at", "confirmed_at")),
)
sa.Index("stop_due", stop.c.state, stop.c.due_at)
sa.Index("stop_confirmed", stop.c.confirmed_at)
sa.Index("stop_target", stop.c.target)


# The leaves of the audit log are never changed or removed, not even by a slip of our own.
GUARDS = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_leaf_no_{verb.lower()} BEFORE {verb} ON audit_leaf "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        (
            "CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
            "BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$"
        ),
        *(
            f"CREATE TRIGGER audit_leaf_no_{verb.lower()} BEFORE {verb} ON audit_leaf "
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only()"
            for verb in ("UPDATE", "DELETE", "TRUNCATE")
        ),
    ),
}


def upgrade() -> None:
    """Create every table."""
    bind = op.get_bind()
    metadata.create_all(bind)
    for guard in GUARDS[bind.dialect.name]:
        op.execute(guard)
