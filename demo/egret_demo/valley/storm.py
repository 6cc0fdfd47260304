"""A design storm: how hard it rains at a time, and how much has fallen.

Chicago hyetograph (Keifer and Chu 1957) on a mean-intensity curve ``A / (D + b)^c``: the same
formula for every duration D, so that the storm is severe over 10 minutes and over an hour alike.
With r the share of the storm before its peak and t the distance from the peak in minutes:

    i(t) = A ((1 - c) t/r + b) / (t/r + b)^(1 + c)      before; with 1 - r instead of r after it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

CURVE_B_MIN = 12.0  # short bursts stay finite
CURVE_C = 0.6
DEPTH_SPREAD = 0.06  # one storm is up to so much wetter or drier than the next


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm.

    Attributes:
        depth_mm: all that falls; length_s: from the first drop to the last.
        peak_share: share of the length before the peak, 0 to 1.
        begins_s: seconds since the valley's beginning.
    """

    depth_mm: float
    length_s: float
    peak_share: float
    begins_s: float

    def intensity_mm_h(self, at_s: float) -> float:
        """Return the rain intensity at an instant, mm/h."""
        since = at_s - self.begins_s
        if not 0 <= since < self.length_s:
            return 0.0
        peak_s = self.length_s * self.peak_share
        share = self.peak_share if since < peak_s else 1 - self.peak_share
        distance_min = abs(since - peak_s) / 60 / share
        length_min = self.length_s / 60
        # The curve's A, so that the storm adds up to its depth.
        scale: float = self.depth_mm / length_min * (length_min + CURVE_B_MIN) ** CURVE_C
        shape = (1 - CURVE_C) * distance_min + CURVE_B_MIN
        spread: float = (distance_min + CURVE_B_MIN) ** (1 + CURVE_C)
        return scale * shape / spread * 60


def draw(random: Random, begins_s: float) -> Storm:
    """Return a storm of this valley: some 150 mm in 80 minutes, the peak in the first third."""
    return Storm(
        depth_mm=150.0 * random.uniform(1 - DEPTH_SPREAD, 1 + DEPTH_SPREAD),
        length_s=80 * 60.0,
        peak_share=random.uniform(0.26, 0.32),
        begins_s=begins_s,
    )
