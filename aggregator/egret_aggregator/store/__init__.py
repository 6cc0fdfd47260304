"""Time series behind one small interface."""

from egret_aggregator.store.interface import TimeSeriesStore
from egret_aggregator.store.memory import MemoryStore
from egret_aggregator.store.model import (
    Aside,
    KeptAside,
    MetaFact,
    Note,
    Origin,
    Page,
    Receipt,
    StoredReading,
    StoreHealth,
)
from egret_aggregator.store.sqlite import SqliteStore

__all__ = [
    "Aside",
    "KeptAside",
    "MemoryStore",
    "MetaFact",
    "Note",
    "Origin",
    "Page",
    "Receipt",
    "SqliteStore",
    "StoreHealth",
    "StoredReading",
    "TimeSeriesStore",
]
