"""Alembic's scripts; `ledger.migrating` runs them."""
