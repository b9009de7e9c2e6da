"""Alembic's entry: runs the history on the connection that `store.py` hands over."""

from alembic import context

from shared.pipeline_schema import lead  # whoever wants every table asks one of the last ones

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=lead.metadata, transactional_ddl=False)
context.run_migrations()
