"""Thirty days of a flashy river and a rain gauge, one reading each every ten minutes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from rig.rulebook import place, reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.reading import Reading

SEED = 20260718
STEP_S, DAY = 600, 144  # seconds between readings; readings a day
FORTNIGHT = (8 * DAY, 22 * DAY)
STORMS = (300, 1000, 2090, 3148, 4000)  # one in the fortnight, one that reaches over its end
STORM_STEPS = 30
LEVEL, GAUGE = place(), place("rn", "rain_total")


def month(silent: Sequence[tuple[int, int]], storms: Sequence[int] = STORMS) -> list[Reading]:
    """Return its readings in time order, without those of the silent spells."""
    dice, level, total = random.Random(SEED), 2.5, 100.0
    out: list[Reading] = []
    for n in range(30 * DAY):
        level = max(0.5, level + dice.choice((-0.4, -0.1, 0.0, 0.1, 0.45)) + 0.02 * (3 - level))
        stormy = any(begin <= n < begin + STORM_STEPS for begin in storms)
        total = round(total + dice.choice((1.8, 2.6, 4.2) if stormy else (0.0, 0.0, 0.0, 0.2)), 3)
        if not any(start <= n < end for start, end in silent):
            out.append(reading(STEP_S * n, round(level, 3), LEVEL))
            out.append(reading(STEP_S * n + 7, total, GAUGE))
    return out
