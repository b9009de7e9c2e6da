"""What the tables gained before the first release: whatever the metadata has and the database hasn't."""

import sqlalchemy as sa
from alembic import op

from shared.pipeline_schema import lead  # whoever wants every table asks one of the last ones

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create missing tables, columns and indexes. Nothing is dropped."""
    bind = op.get_bind()
    before = sa.inspect(bind)
    known = {
        name: {column["name"] for column in before.get_columns(name)} for name in before.get_table_names()
    }
    lead.metadata.create_all(bind)
    for table in lead.metadata.sorted_tables:
        if table.name not in known:
            continue
        for column in table.columns:
            if column.name not in known[table.name]:
                op.add_column(
                    table.name,
                    sa.Column(
                        column.name,
                        column.type,
                        nullable=column.nullable,
                        server_default=column.server_default,
                    ),
                )
        indexes = {index["name"] for index in before.get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in indexes:
                index.create(bind)
