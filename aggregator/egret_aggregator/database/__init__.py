"""The relational store: ledger, accounts; SQLAlchemy Core, migrations by Alembic."""
