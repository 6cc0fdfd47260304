"""More rain than ever fell: a rise of a rain total that no sky can explain.

The envelope of the world's records is 422 mm x h^0.475 (Jennings 1950, as WMO-No. 168 gives it).
A rise over it is another device, another counter or a wrong number, and no sum may hold it.
"""

from __future__ import annotations

RECORD_MM = 422.0
RECORD_POWER = 0.475
RECORD_LEAST_S = 60.0  # a bucket tips late and in steps: a span counts as a minute at least


def rain_most_mm(since_s: float) -> float:
    """Return more rain than ever fell anywhere on Earth in so many seconds, mm."""
    hours = max(since_s, RECORD_LEAST_S) / 3600
    return RECORD_MM * float(hours**RECORD_POWER)
