"""Figures for Prometheus: what each stage counts, under names that stay."""

from egret_aggregator.metrics.exposition import Figures, exposition, labelled
from egret_aggregator.metrics.families import FAMILIES, Family
from egret_aggregator.metrics.histogram import Histogram

__all__ = ["FAMILIES", "Family", "Figures", "Histogram", "exposition", "labelled"]
