"""What is looked at every other second."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Literal: what is added here stays as it is."""
    op.drop_index(op.f("campaign_state"), table_name="campaign")
    op.create_index(
        "campaign_beginning", "campaign", ["state", "id", "run_id", "version", "cleared"], unique=False
    )
    op.create_index(
        "campaign_lead_found",
        "campaign_lead",
        ["campaign_id", "lead_id"],
        unique=False,
        sqlite_where=sa.text("findings != '[]'"),
        postgresql_where=sa.text("findings != '[]'"),
    )
