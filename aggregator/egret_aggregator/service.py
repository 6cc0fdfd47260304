"""The centre as one process: what stands where, and what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig


def database_path(settings: CentreConfig) -> Path:
    """Return where ledger, warnings and tokens are kept."""
    return settings.data / "egret.db"
