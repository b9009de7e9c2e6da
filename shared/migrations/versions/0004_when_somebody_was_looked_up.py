"""When somebody was looked up."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
T = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by bytes, as SQLite does

# What the record says of it.
KNOWN = {
    "sqlite": "UPDATE lead SET looked_up_at ="
    " replace(coalesce(json_extract(data, '$.enriched_at'), ''), 'Z', '+00:00')",
    "postgresql": "UPDATE lead SET looked_up_at ="
    " replace(coalesce(data::json->>'enriched_at', ''), 'Z', '+00:00')",
}


def upgrade() -> None:
    """Literal: what is added here stays as it is."""
    op.add_column("lead", sa.Column("looked_up_at", T, server_default="", nullable=False))
    op.create_index("lead_looked_up", "lead", ["looked_up_at"], unique=False)
    op.execute(KNOWN[op.get_bind().dialect.name])
