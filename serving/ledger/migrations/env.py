"""Alembic's environment: it migrates over the connection that `serving/ledger/database.py` hands it."""

from alembic import context

from serving.ledger.schema import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], target_metadata=METADATA, version_table=VERSION_TABLE
)
with context.begin_transaction():
    context.run_migrations()
