"""A real rain gauge: the greatest sums of 526 days by the clock, through the windows of a rule."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rig.rulebook import GATEWAY, HOUR_MS, SIGNALS, bound, fold_of, place, rain

from egret_core.reading import Reading
from egret_core.rules.event import Phase
from egret_core.rules.model import Family
from egret_core.rules.step import Receipt, step
from egret_core.rules.windows import Increment, Windows

DATA = Path(__file__).parents[4] / "shared" / "data" / "rain_seattle_landslides"
GAUGE = place("rn", "rain_total")
HOURS = (1, 3, 6, 12, 24)
# Published maxima, hundredths of an inch and mm, all at 2011-11-23 05.
GREATEST = {1: 31, 3: 68, 6: 110, 12: 176, 24: 256}
NM_PER_HUNDREDTH = 254_000  # of an inch
PEAK = datetime(2011, 11, 23, 5, 59, tzinfo=UTC)

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="no ../shared/data/rain_seattle_landslides"
)


@pytest.fixture(scope="module")
def hourly() -> list[tuple[int, int]]:
    """(ms at the end of the hour, hundredths of an inch)."""
    out = []
    for line in (DATA / "KPAE_t.txt").read_text().split():
        hour = datetime.strptime(line[2:12], "%Y%m%d%H").replace(tzinfo=UTC)
        out.append((round(hour.replace(minute=59).timestamp() * 1000), int(line[12:])))
    return out


def totals(hourly: list[tuple[int, int]]) -> list[Reading]:
    """The same rain as a never-decreasing total in mm."""
    total, out = 0, []
    for ms, hundredths in hourly:
        total += hundredths
        out.append(Reading("st1", "rn", ms, round(total * 0.254, 6)))
    return out


def test_the_file_is_the_one_that_was_described(hourly: list[tuple[int, int]]) -> None:
    assert (len(hourly), sum(n for _, n in hourly)) == (12_521, 4_978)
    steps_h = [(b - a) // HOUR_MS for (a, _), (b, _) in pairwise(hourly)]
    assert (sum(hours > 1 for hours in steps_h), sum(steps_h) - len(steps_h)) == (36, 103)


def test_the_greatest_sums_by_the_clock(hourly: list[tuple[int, int]]) -> None:
    windows = Windows(tuple(hours * HOUR_MS for hours in HOURS))
    greatest = dict.fromkeys(HOURS, (0, 0))
    for ms, hundredths in hourly:
        windows.add(Increment(ms, hundredths * NM_PER_HUNDREDTH, HOUR_MS))
        for at, hours in enumerate(HOURS):
            greatest[hours] = max(greatest[hours], (windows.sums_nm[at], -ms))
    peak_ms = -round(PEAK.timestamp() * 1000)
    assert greatest == {h: (n * NM_PER_HUNDREDTH, peak_ms) for h, n in GREATEST.items()}


@pytest.mark.parametrize("hours", HOURS)
def test_a_threshold_at_the_greatest_sum_is_reached_once_and_just_above_never(
    hourly: list[tuple[int, int]], hours: int
) -> None:
    greatest_mm = GREATEST[hours] * 0.254
    for extra, count in ((0.0, 1), (0.000001, 0)):
        law = rain(("red", 1, hours, greatest_mm + extra))
        fold = fold_of([GAUGE], [bound(law, Family.RAIN, GAUGE)], hourly[0][0])
        rows = totals(hourly)
        events = step(fold, Receipt(GATEWAY, rows[-1].time_ms, rows))[1]
        up = [e for e in events if e.phase is Phase.SETTLED and e.rank]
        assert len(up) == count
        assert all(e.time_ms == round(PEAK.timestamp() * 1000) for e in up)


def test_no_national_signal_is_ever_reached(hourly: list[tuple[int, int]]) -> None:
    fold = fold_of([GAUGE], [bound(rain(*SIGNALS), Family.RAIN, GAUGE)], hourly[0][0])
    rows = totals(hourly)
    assert step(fold, Receipt(GATEWAY, rows[-1].time_ms, rows))[1] == []
