"""Readings in InfluxDB 1.8+, 2.x or 3.x: written line by line, asked in InfluxQL."""

from egret_aggregator.store.influx.store import InfluxStore

__all__ = ["InfluxStore"]
