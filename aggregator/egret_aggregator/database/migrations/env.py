"""Alembic's entry: it runs the steps on the connection that `Database` hands over."""

from __future__ import annotations

from alembic import context

from egret_aggregator.database.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters a table by copying it
    transaction_per_migration=False,
)
context.run_migrations()
