"""Run by Alembic for one schema, on the connection and inside the transaction that `migrate` opened."""

from alembic import context

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]

context.configure(connection=connection, version_table="alembic_version", version_table_schema=schema)
with context.begin_transaction():
    context.run_migrations()
