"""Who is named in answers."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
T = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does


def upgrade() -> None:
    """Literal: what is added here stays as it is."""
    op.create_table(
        "referral",
        sa.Column("id", T, nullable=False),
        sa.Column("event_id", T, server_default="", nullable=False),
        sa.Column("lead_id", T, server_default="", nullable=False),
        sa.Column("email", T, server_default="", nullable=False),
        sa.Column("first_name", T, server_default="", nullable=False),
        sa.Column("last_name", T, server_default="", nullable=False),
        sa.Column("state", T, server_default="offered", nullable=False),
        sa.Column("taken_as", T, server_default="", nullable=False),
        sa.Column("at", T, server_default="", nullable=False),
        sa.Column("decided_by", T, server_default="", nullable=False),
        sa.Column("decided_at", T, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("referral_event", "referral", ["event_id"], unique=False)
    op.create_index("referral_lead", "referral", ["lead_id"], unique=False)
    op.create_index("referral_state", "referral", ["state", "at"], unique=False)
