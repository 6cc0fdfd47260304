"""Which store the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.store.influx import InfluxStore
from egret_aggregator.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.store.interface import TimeSeriesStore
    from egret_aggregator.store.settings import StoreSettings


def file(settings: StoreSettings, data: Path) -> Path:
    """Return the store's own file in the centre's folder; each kind has another."""
    return data / ("influx.db" if settings.kind == "influx" else "series.db")


def store(settings: StoreSettings, data: Path) -> TimeSeriesStore:
    """Return the store, not yet open.

    Args:
        settings: `[store]`.
        data: the centre's folder.
    """
    path = file(settings, data)
    return InfluxStore(settings, path) if settings.kind == "influx" else SqliteStore(path)
