"""Runs migrations on the connection, and in the transaction, that `ledger.migrating` gives."""

from alembic import context

from quantum_db.gateway.ledger.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True)
context.run_migrations()
