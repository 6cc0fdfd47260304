"""Which store the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.store.influx import InfluxStore
from egret_aggregator.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.store.interface import TimeSeriesStore
    from egret_aggregator.store.settings import StoreSettings


def store(settings: StoreSettings, data: Path) -> TimeSeriesStore:
    """Return the store, not yet open.

    Args:
        settings: `[store]`.
        data: the centre's folder; each kind has a file of its own in it.
    """
    if settings.kind == "influx":
        return InfluxStore(settings, data / "influx.db")
    return SqliteStore(data / "series.db")
