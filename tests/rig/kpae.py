"""A real hourly rain gauge, what a reference program made of it, and the days on which slopes slid.

Everett, Paine Field (KPAE), 2010-07-24 to 2011-12-31; output of USGS `thresh` v1.0; landslides near
Mukilteo. Local standard time, kept as if it were UTC; an hour is dated at its last minute.
"""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "rain_seattle_landslides"
ABSENT = "no ../shared/data/rain_seattle_landslides"
NM_PER_HUNDREDTH = 254_000  # of an inch
MM_PER_IN = 25.4
NM_PER_IN = 25_400_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
UNDEFINED = -99.0


class Hour(NamedTuple):
    """One reading: ms at the end of the hour, hundredths of an inch."""

    time_ms: int
    hundredths: int

    @property
    def rain_nm(self) -> int:
        return self.hundredths * NM_PER_HUNDREDTH


class Expected(NamedTuple):
    """One row of the program's output; -99 is not yet defined."""

    hourly_in: float
    ante360h_in: float
    recent72h_in: float
    intensity_in_h: float
    duration_h: float
    intensity6h_in_h: float
    awi_m: float


@lru_cache(maxsize=1)
def hourly() -> tuple[Hour, ...]:
    """Every reading, in order; 103 hours are missing."""
    out = []
    for line in (DATA / "KPAE_t.txt").read_text().split():
        hour = datetime.strptime(line[2:12], "%Y%m%d%H").replace(tzinfo=UTC, minute=59)
        out.append(Hour(round(hour.timestamp() * 1000), int(line[12:])))
    return tuple(out)


@lru_cache(maxsize=1)
def expected() -> tuple[Expected, ...]:
    """What USGS `thresh` v1.0 printed, a row for each reading."""
    with (DATA / "expected_KPAE_thresh_output.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    return tuple(Expected(*(float(cell) for cell in row[2:])) for row in rows)


@lru_cache(maxsize=1)
def slide_days() -> tuple[int, ...]:
    """Days with landslides, counted from 1970-01-01."""
    words = (DATA / "landslide_dates_mukilteo.txt").read_text().split()
    epoch = date(1970, 1, 1)
    days = [datetime.strptime(word, "%m/%d/%Y").replace(tzinfo=UTC).date() for word in words]
    return tuple((day - epoch).days for day in days)


def day_of(time_ms: int) -> int:
    """The day of a reading, counted from 1970-01-01."""
    return time_ms // DAY_MS
