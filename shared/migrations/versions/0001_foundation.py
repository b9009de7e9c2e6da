"""The first schema: kernel, accounts and pipeline."""

from alembic import op

from shared.schema import metadata

revision = "0001"
down_revision = None

# The leaves of the audit log are never changed or removed, not even by a slip of our own.
GUARDS = tuple(
    f"CREATE TRIGGER audit_leaf_no_{verb.lower()} BEFORE {verb} ON audit_leaf "
    "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    for verb in ("UPDATE", "DELETE")
)


def upgrade() -> None:
    """Create every table."""
    bind = op.get_bind()
    metadata.create_all(bind)
    if bind.dialect.name == "sqlite":
        for guard in GUARDS:
            op.execute(guard)
