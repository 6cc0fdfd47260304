"""Condition events and people's acts, folded into warnings on record."""

from __future__ import annotations

from egret_aggregator.warnings.ledger import Ledger

__all__ = ["Ledger"]
