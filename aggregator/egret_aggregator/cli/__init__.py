"""The command `egret-aggregator`."""

from __future__ import annotations

from egret_aggregator.cli.main import main

__all__ = ["main"]
