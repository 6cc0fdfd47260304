"""The recorded flood of 18 August 2017, as a gauge would serve it: hundredths of a foot."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "stream_plumtree_2016_2017"
STAGES = DATA / "stage_5min.csv.gz"
DAY = "2017-08-18"


def why_missing() -> str:
    """Return what is missing, "" for nothing."""
    return "" if STAGES.exists() else "../shared/data/stream_plumtree_2016_2017 is not there"


def stages(day: str = DAY) -> list[int]:
    """Return the day's stages in hundredths of a foot, five minutes apart."""
    with gzip.open(STAGES, "rt", newline="") as file:
        return [
            round(float(row["stage_ft"]) * 100)
            for row in csv.DictReader(file)
            if row["time_utc"].startswith(day)
        ]
