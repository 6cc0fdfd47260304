"""What was published of two years at Plumtree holds of the record that was handed over.

Rises, quiet water, what its source interpolated, and how good it is to say that nothing changes.
"""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from egret_core.screening.flat_line import FlatLine, Stillness

DATA = Path(__file__).parents[4] / "shared" / "data" / "stream_plumtree_2016_2017"
STEP_S, HOUR_MS = 300, 3_600_000

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="no ../shared/data/stream_plumtree_2016_2017"
)


class Row(NamedTuple):
    """One reading: s since 1970, ft, ft3/s."""

    time_s: int
    stage_ft: float
    flow_cfs: str


@pytest.fixture(scope="module")
def record() -> list[Row]:
    with gzip.open(DATA / "stage_5min.csv.gz", "rt") as file:
        return [
            Row(
                round(datetime.fromisoformat(row["time_utc"]).timestamp()),
                float(row["stage_ft"]),
                row["discharge_cfs"],
            )
            for row in csv.DictReader(file)
        ]


def at(year: int, month: int, day: int, hour: int, minute: int) -> int:
    return round(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp())


def rises(record: list[Row], steps: int) -> list[tuple[float, int]]:
    """Return by how many ft it rose over so many steps, and when."""
    pairs = zip(record, record[steps:], strict=False)
    return [(round(b.stage_ft - a.stage_ft, 4), b.time_s) for a, b in pairs]


def test_its_length_and_its_crest(record: list[Row]) -> None:
    assert len(record) == 210_468
    assert {b.time_s - a.time_s for a, b in pairwise(record)} == {STEP_S}
    crest = max(record, key=lambda row: row.stage_ft)
    assert crest == Row(at(2017, 8, 18, 22, 35), 5.02, "939.0")


def test_its_greatest_rises(record: list[Row]) -> None:
    five = rises(record, 1)
    assert max(five) == (1.32, at(2016, 9, 1, 4, 45))
    assert max(rises(record, 3)) == (2.29, at(2017, 8, 18, 21, 55))
    assert [sum(feet >= least for feet, _ in five) for least in (0.5, 1.0)] == [43, 5]


def test_its_quiet_water_is_flat_for_hours_so_often(record: list[Row]) -> None:
    # A value stands for its five minutes: 36 of them are three hours, from first to last less.
    limits = Stillness(1e-6, 3 * HOUR_MS - STEP_S * 1000, 6 * HOUR_MS - STEP_S * 1000)
    test = FlatLine(limits)
    flags = [test.take(row.time_s * 1000, row.stage_ft).flag for row in record]
    began = [b for a, b in zip([1, *flags], flags, strict=False) if b > a]
    assert (began.count(3), began.count(4)) == (921, 565)


def test_so_much_of_it_was_never_measured(record: list[Row]) -> None:
    """Gauge heights are hundredths of a foot; what is between them is drawn by the source."""
    drawn = [abs(row.stage_ft * 100 - round(row.stage_ft * 100)) > 1e-6 for row in record]
    runs = [len(list(run)) for between, run in groupby(drawn) if between]
    assert (sum(runs), len(runs), max(runs)) == (5238, 31, 1366)


@pytest.mark.parametrize(("steps", "nse"), [(3, 0.969), (6, 0.919), (12, 0.799)])
def test_that_nothing_changes_has_a_high_efficiency_which_says_nothing(
    record: list[Row], steps: int, nse: float
) -> None:
    """Published of 2016-18: .973, .924, .807; these are the two years that were handed over."""
    stage = [row.stage_ft for row in record[: len(record) + steps - 12]]
    mean = sum(stage[steps:]) / (len(stage) - steps)
    errors = sum((b - a) ** 2 for a, b in zip(stage, stage[steps:], strict=False))
    assert 1 - errors / sum((x - mean) ** 2 for x in stage[steps:]) == pytest.approx(nse, abs=6e-4)
