"""The tables of `egret.db`; migrations make them, `alembic check` keeps both alike."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

KEYS_MAX = 500  # keys in one statement: SQLite takes 32 766 variables, twelve columns a row

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Append-only: triggers refuse UPDATE and DELETE, the chain shows what went round them.
LEDGER = Table(
    "ledger",
    METADATA,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 without a gap
    Column("time_ms", BigInteger, nullable=False),  # when it was recorded, the centre's clock
    Column("actor", String(200), nullable=False),  # rule:ID@VERSION, ROLE:NAME, or console
    Column("kind", String(32), nullable=False),
    Column("warning", String(32), nullable=False),  # "" where no warning is concerned
    Column("key", String(300), nullable=True),  # makes a repeat one row: event id, act key
    Column("body", Text, nullable=False),  # canonical JSON
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    UniqueConstraint("key"),
    Index(None, "warning", "seq"),
)

# What the fold of the ledger says now; rebuilt from it at any time.
WARNING = Table(
    "warning",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("opened_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("rule", String(200), nullable=False),
    Column("subject", String(120), nullable=False),
    Column("station", String(48), nullable=False),
    Column("hazard", String(48), nullable=False),
    Column("state", String(16), nullable=False),
    Column("level", String(48), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("body", Text, nullable=False),  # canonical JSON of the whole state
    UniqueConstraint("opened_seq"),
    Index(None, "state", "opened_seq"),
    Index(None, "station", "opened_seq"),
    # One writer and this key: two readings a millisecond apart still make one warning.
    Index(
        "uq_warning_open",
        "rule",
        "subject",
        unique=True,
        sqlite_where=text("state != 'closed'"),
        postgresql_where=text("state != 'closed'"),
    ),
)

TOKEN = Table(
    "token",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("role", String(16), nullable=False),
    Column("hash", String(64), nullable=False),  # SHA-256 of the secret, never the secret
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger, nullable=True),
)
