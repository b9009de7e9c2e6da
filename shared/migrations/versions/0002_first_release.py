"""What the tables gained before the first release."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
T = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does
N = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # SQLite numbers rows in an INTEGER only


def upgrade() -> None:
    """Literal: what is added here stays as it is."""
    op.create_table(
        "answer",
        sa.Column("id", T, nullable=False),
        sa.Column("event_id", T, server_default="", nullable=False),
        sa.Column("lead_id", T, server_default="", nullable=False),
        sa.Column("campaign_id", T, server_default="", nullable=False),
        sa.Column("class", T, server_default="", nullable=False),
        sa.Column("email", T, server_default="", nullable=False),
        sa.Column("mailbox", T, server_default="", nullable=False),
        sa.Column("reference", T, server_default="", nullable=False),
        sa.Column("subject", T, server_default="", nullable=False),
        sa.Column("body", T, server_default="", nullable=False),
        sa.Column("findings", T, server_default="[]", nullable=False),
        sa.Column("state", T, server_default="", nullable=False),
        sa.Column("version", N, server_default="1", nullable=False),
        sa.Column("automatic", N, server_default="0", nullable=False),
        sa.Column("edited_by", T, server_default="", nullable=False),
        sa.Column("approval_id", T, server_default="", nullable=False),
        sa.Column("decided_by", T, server_default="", nullable=False),
        sa.Column("decided_at", T, server_default="", nullable=False),
        sa.Column("reason", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("answer_email", "answer", ["email", "at"], unique=False)
    op.create_index("answer_event", "answer", ["event_id"], unique=False)
    op.create_index("answer_state", "answer", ["state", "at"], unique=False)
    op.create_table(
        "audit_beginning",
        sa.Column("number", N, autoincrement=False, nullable=False),
        sa.Column("size", N, nullable=False),
        sa.Column("held", T, server_default="", nullable=False),
        sa.Column("actor", T, server_default="", nullable=False),
        sa.Column("reason", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("finished_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "audit_place",
        sa.Column("name", T, nullable=False),
        sa.Column("outside", N, server_default="0", nullable=False),
        sa.Column("size", N, server_default="0", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("note", T, server_default="", nullable=False),
        sa.Column("problem", T, server_default="", nullable=False),
        sa.Column("tried_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "breaker",
        sa.Column("vendor", T, nullable=False),
        sa.Column("state", T, server_default="closed", nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("probes", N, nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("opened_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("vendor"),
    )
    op.create_table(
        "erased",
        sa.Column("hash", sa.LargeBinary(length=17), nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "familiar",
        sa.Column("kind", T, nullable=False),
        sa.Column("name", T, nullable=False),
        sa.Column("actor", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("kind", "name"),
    )
    op.create_table(
        "held",
        sa.Column("key", sa.LargeBinary(length=17), nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_table(
        "opt_out",
        sa.Column("domain", sa.LargeBinary(length=17), nullable=False),
        sa.Column("person", sa.LargeBinary(length=17), nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("domain", "person"),
    )
    op.create_index("opt_out_at", "opt_out", ["at"], unique=False)
    op.create_table(
        "owed",
        sa.Column("id", T, nullable=False),
        sa.Column("port", T, server_default="", nullable=False),
        sa.Column("target", T, server_default="", nullable=False),
        sa.Column("reason", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="open", nullable=False),
        sa.Column("attempts", N, server_default="0", nullable=False),
        sa.Column("problem", T, server_default="", nullable=False),
        sa.Column("correlation_id", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("due_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("owed_due", "owed", ["port", "state", "due_at"], unique=False)
    op.create_index("owed_since", "owed", ["state", "at"], unique=False)
    op.create_table(
        "privacy_request",
        sa.Column("id", T, nullable=False),
        sa.Column("kind", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="", nullable=False),
        sa.Column("hashes", T, server_default="", nullable=False),
        sa.Column("subject", T, server_default="{}", nullable=False),
        sa.Column("detail", T, server_default="{}", nullable=False),
        sa.Column("asked_by", T, server_default="", nullable=False),
        sa.Column("asked_at", T, server_default="", nullable=False),
        sa.Column("due_at", T, server_default="", nullable=False),
        sa.Column("done_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("privacy_request_hashes", "privacy_request", ["hashes"], unique=False)
    op.create_index("privacy_request_state", "privacy_request", ["state", "due_at"], unique=False)
    op.create_table(
        "reached",
        sa.Column("vendor", T, nullable=False),
        sa.Column("base_url", T, nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("vendor", "base_url"),
    )
    op.create_table(
        "relaxation",
        sa.Column("id", N, autoincrement=True, nullable=False),
        sa.Column("what", T, server_default="", nullable=False),
        sa.Column("scope", T, server_default="", nullable=False),
        sa.Column("epoch", N, server_default="0", nullable=False),
        sa.Column("stood_at", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="asked", nullable=False),
        sa.Column("actor", T, server_default="", nullable=False),
        sa.Column("reason", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("expires_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("relaxation_open", "relaxation", ["state"], unique=False)
    op.create_table(
        "report",
        sa.Column("period", T, nullable=False),
        sa.Column("begins", T, nullable=False),
        sa.Column("title", T, server_default="", nullable=False),
        sa.Column("data", T, server_default="{}", nullable=False),
        sa.Column("made_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("period", "begins"),
    )
    op.create_table(
        "reread",
        sa.Column("contact_ref", T, nullable=False),
        sa.Column("due_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("contact_ref"),
    )
    op.create_table(
        "schedule",
        sa.Column("name", T, nullable=False),
        sa.Column("state", T, server_default="waiting", nullable=False),
        sa.Column("occasion", T, server_default="", nullable=False),
        sa.Column("turn", N, server_default="0", nullable=False),
        sa.Column("failures", N, server_default="0", nullable=False),
        sa.Column("holder", T, server_default="", nullable=False),
        sa.Column("behind_since", T, server_default="", nullable=False),
        sa.Column("due_at", T, server_default="", nullable=False),
        sa.Column("started_at", T, server_default="", nullable=False),
        sa.Column("finished_at", T, server_default="", nullable=False),
        sa.Column("message", T, server_default="", nullable=False),
        sa.Column("done_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "traffic",
        sa.Column("vendor", T, nullable=False),
        sa.Column("slot", N, autoincrement=False, nullable=False),
        sa.Column("calls", N, nullable=False),
        sa.Column("retries", N, nullable=False),
        sa.Column("failures", N, nullable=False),
        sa.Column("waited", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("vendor", "slot"),
    )
    op.create_table(
        "vault",
        sa.Column("name", T, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("version", N, server_default="0", nullable=False),
        sa.Column("holder", T, server_default="", nullable=False),
        sa.Column("until", sa.Float(), server_default="0", nullable=False),
        sa.Column("lost", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "vendor_clock",
        sa.Column("vendor", T, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("vendor"),
    )
    op.create_table(
        "watermark",
        sa.Column("name", T, nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("began", T, server_default="", nullable=False),
        sa.Column("cursor", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "artefact",
        sa.Column("id", T, nullable=False),
        sa.Column("run_id", T, nullable=False),
        sa.Column("phase", T, server_default="", nullable=False),
        sa.Column("version", N, nullable=False),
        sa.Column("state", T, server_default="", nullable=False),
        sa.Column("data", T, server_default="{}", nullable=False),
        sa.Column("covers", T, server_default="{}", nullable=False),
        sa.Column("made_by", T, server_default="", nullable=False),
        sa.Column("why", T, server_default="", nullable=False),
        sa.Column("made_at", T, server_default="", nullable=False),
        sa.Column("decided_by", T, server_default="", nullable=False),
        sa.Column("decided_at", T, server_default="", nullable=False),
        sa.Column("reason", T, server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["run.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("artefact_run", "artefact", ["run_id", "phase", "version"], unique=False)
    op.create_index("artefact_state", "artefact", ["phase", "state"], unique=False)
    op.create_table(
        "touch",
        sa.Column("id", T, nullable=False),
        sa.Column("campaign_id", T, nullable=False),
        sa.Column("lead_id", T, nullable=False),
        sa.Column("day", N, nullable=False),
        sa.Column("due_at", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="open", nullable=False),
        sa.Column("by", T, server_default="", nullable=False),
        sa.Column("note", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.ForeignKeyConstraint(
            ["lead_id"],
            ["lead.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("touch_campaign", "touch", ["campaign_id"], unique=False)
    op.create_index("touch_due", "touch", ["state", "due_at"], unique=False)
    op.create_index("touch_lead", "touch", ["lead_id"], unique=False)
    op.create_table(
        "wording",
        sa.Column("id", T, nullable=False),
        sa.Column("campaign_id", T, nullable=False),
        sa.Column("type", T, server_default="", nullable=False),
        sa.Column("tier", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="", nullable=False),
        sa.Column("written_by", T, server_default="", nullable=False),
        sa.Column("departs_from", T, server_default="", nullable=False),
        sa.Column("why", T, server_default="", nullable=False),
        sa.Column("texts", T, server_default="{}", nullable=False),
        sa.Column("correlation_id", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("decided_by", T, server_default="", nullable=False),
        sa.Column("decided_at", T, server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"],
            ["campaign.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("wording_approved", "wording", ["type", "tier", "state"], unique=False)
    op.create_index("wording_campaign", "wording", ["campaign_id"], unique=False)
    op.add_column("audit_checkpoint", sa.Column("frontier", sa.LargeBinary(), nullable=True))
    op.add_column("campaign", sa.Column("line", T, server_default="", nullable=False))
    op.add_column("campaign", sa.Column("cleared", N, server_default="0", nullable=False))
    op.add_column("campaign_lead", sa.Column("listed", N, server_default="0", nullable=False))
    op.create_index(
        "campaign_lead_variant", "campaign_lead", ["campaign_id", "lead_id", "variant"], unique=False
    )
    op.create_index("effect_correlation", "effect", ["correlation_id"], unique=False)
    op.add_column("event", sa.Column("reference", T, server_default="", nullable=False))
    op.add_column("event", sa.Column("bounce", T, server_default="", nullable=False))
    op.create_index("event_reference", "event", ["reference"], unique=False)
    op.create_index(
        "event_report", "event", ["type", "received_at", "campaign_id", "lead_id", "step"], unique=False
    )
    op.add_column("handoff", sa.Column("detail", T, server_default="{}", nullable=False))
    op.add_column("handoff", sa.Column("breached_at", T, server_default="", nullable=False))
    op.add_column("handoff", sa.Column("note", T, server_default="", nullable=False))
    op.add_column("handoff", sa.Column("acknowledged_at", T, server_default="", nullable=False))
    op.add_column("handoff", sa.Column("closed_at", T, server_default="", nullable=False))
    op.add_column("handoff", sa.Column("held", N, server_default="0", nullable=False))
    op.create_index("handoff_created", "handoff", ["created_at"], unique=False)
    op.create_index("lead_created", "lead", ["created_at"], unique=False)
    op.add_column("login_link", sa.Column("email", T, server_default="", nullable=False))
    op.add_column("login_link", sa.Column("name", T, server_default="", nullable=False))
    op.add_column("rate", sa.Column("share", sa.Float(), server_default="1", nullable=False))
    op.add_column("rate", sa.Column("share_at", sa.Float(), server_default="0", nullable=False))
    op.add_column("rate", sa.Column("announced", N, server_default="0", nullable=False))
    op.add_column("rate", sa.Column("announced_until", sa.Float(), server_default="0", nullable=False))
    op.add_column("reply", sa.Column("email", T, server_default="", nullable=False))
    op.add_column("reply", sa.Column("mailbox", T, server_default="", nullable=False))
    op.add_column("reply", sa.Column("reference", T, server_default="", nullable=False))
    op.add_column("reply", sa.Column("also", T, server_default="[]", nullable=False))
    op.add_column("reply", sa.Column("opinion", T, server_default="", nullable=False))
    op.add_column("reply", sa.Column("resume_on", T, server_default="", nullable=False))
    op.create_index("reply_at", "reply", ["at", "class", "campaign_id", "lead_id"], unique=False)
    op.create_index("reply_opinion", "reply", ["opinion", "at"], unique=False)
    op.create_index("reply_resume", "reply", ["resume_on"], unique=False)
    op.add_column("run", sa.Column("launches", T, server_default="on_approval", nullable=False))
    op.add_column("run", sa.Column("turn", N, server_default="1", nullable=False))
    op.add_column("run_lead", sa.Column("seen", T, server_default="", nullable=False))
    op.add_column("session", sa.Column("confirmed_at", T, server_default="", nullable=False))
