"""Alembic's entry: runs the history on the connection that `store.py` hands over."""

from alembic import context

from shared.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
