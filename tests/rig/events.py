"""Condition events as the judge would send them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from egret_core.rules.event import Change, ConditionEvent, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping

LEVELS = ("", "blue", "yellow", "orange", "red")
STORM_MS = 1_503_014_400_000  # 18 August 2017, 00:00 UTC


def event(
    change: str,
    rank: int,
    minute: int = 0,
    *,
    phase: str = "settled",
    names: ConditionEvent | None = None,
    subject: str = "st0007/wl",
    rule: str = "river-level@1a2b3c4d",
) -> ConditionEvent:
    """Return an event `minute` minutes into the storm."""
    return ConditionEvent(
        rule=rule,
        subject=subject,
        hazard="level",
        change=Change(change),
        phase=Phase(phase),
        level=LEVELS[rank],
        rank=rank,
        time_ms=STORM_MS + minute * 60_000,
        reason="at_or_above" if rank else "below_clear",
        evidence={"value": 3.0 + rank / 10, "threshold": 3.0, "unit": "m", "datum": "Luoling"},
        provisional_id="" if names is None else names.id,
    )


def bare(level: str, rank: int, evidence: Mapping[str, object]) -> ConditionEvent:
    """Return the first event of a rule of which nothing else is known."""
    return ConditionEvent(
        rule="r@1",
        subject="st1/wl",
        hazard="level",
        change=Change.RAISED,
        phase=Phase.SETTLED,
        level=level,
        rank=rank,
        time_ms=1,
        reason="at_or_above",
        evidence=evidence,
    )


def forecast(change: str, rank: int, minute: int = 0, **more: str) -> ConditionEvent:
    """Return an event of a rule that looks ahead."""
    said = event(change, rank, minute, **{"rule": "river-ahead@5e6f7a8b", **more})
    ahead_ms = said.time_ms + 900_000
    evidence = {**said.evidence, "basis": "forecast", "lead_s": 900, "forecast_for_ms": ahead_ms}
    return replace(said, evidence=evidence)


def guess(change: str, rank: int, minute: int = 0, **more: str) -> ConditionEvent:
    """Return a provisional event."""
    return event(change, rank, minute, phase="provisional", **more)
