"""Alembic's environment: runs revisions on the connection that `upgrade` hands over."""

from alembic import context

from retail_platform.control.models import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
