"""What a length of time is counted in: the clock, for service, or readings, as some programs do.

By readings every reading stands for `reading_s`, however long ago the one before it was: so that
arithmetic can be compared with a program that ignores gaps (USGS `thresh`). Which one ran is in
the evidence of every event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.rungs import ms

if TYPE_CHECKING:
    from collections.abc import Mapping

CLOCK, READINGS = "clock", "readings"


def reading_ms(given: Mapping[str, Any]) -> int:
    """Return what a reading stands for, ms; 0 where time is counted by the clock."""
    return ms(given["reading_s"]) if given.get("counting") == READINGS else 0


def word(step_ms: int) -> str:
    """Return the word for the evidence."""
    return READINGS if step_ms else CLOCK
