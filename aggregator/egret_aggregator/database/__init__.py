"""The relational store: ledger, accounts; SQLAlchemy Core, migrations by Alembic."""

from __future__ import annotations

from egret_aggregator.database.engine import Database

__all__ = ["Database"]
