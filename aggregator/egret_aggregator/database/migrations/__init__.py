"""Steps that bring an older `egret.db` up to date; run by Alembic at every opening."""
