"""Sums of days and the wetness of the ground, against what USGS `thresh` v1.0 printed for KPAE."""

from __future__ import annotations

import pytest
from rig.kpae import ABSENT, DATA, HOUR_MS, NM_PER_IN, UNDEFINED, expected, hourly

from egret_core.rules.long_windows import LongWindows
from egret_core.rules.recent_antecedent import RecentAntecedent, Terms
from egret_core.rules.wetness import Ground, Wetness
from egret_core.rules.windows import Increment

RECENT_MS, ANTECEDENT_MS = 72 * HOUR_MS, 360 * HOUR_MS
EVAPORATION_IN_100 = (0.054, 0.11, 0.2, 0.43, 0.54, 0.68, 0.72, 0.71, 0.47, 0.17, 0.076, 0.045)
EVAPORATION_M_H = tuple(x * 0.000254 for x in EVAPORATION_IN_100)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=ABSENT)


def sums(reading_ms: int) -> list[tuple[int, int, float | None]]:
    """Recent and antecedent sum, nm, and the index, at each reading."""
    machine = RecentAntecedent(Terms(RECENT_MS, ANTECEDENT_MS, 0.67, HOUR_MS, reading_ms))
    out = []
    for hour in hourly():
        index = machine.take(hour.time_ms, hour.rain_nm)
        out.append((*machine.sums_nm, index))
    return out


def awi(reading_ms: int) -> list[float]:
    """The wetness index, m, at each reading."""
    machine = Wetness(Ground(EVAPORATION_M_H, 0.01, 0.18, 0, 0, reading_ms))
    found = [machine.take(hour.time_ms, hour.rain_nm) for hour in hourly()]
    return [index for index in found if index is not None]


def test_both_sums_equal_the_program_s_by_readings() -> None:
    found, printed = sums(HOUR_MS), expected()
    assert [row.recent72h_in != UNDEFINED for row in printed].index(True) == 71
    assert [row.ante360h_in != UNDEFINED for row in printed].index(True) == 431
    assert [index is not None for *_, index in found].index(True) == 431
    for (recent_nm, antecedent_nm, _), row in zip(found, printed, strict=True):
        if row.recent72h_in != UNDEFINED:
            assert recent_nm / NM_PER_IN == pytest.approx(row.recent72h_in, abs=1e-9)
        if row.ante360h_in != UNDEFINED:
            assert antecedent_nm / NM_PER_IN == pytest.approx(row.ante360h_in, abs=1e-9)


def test_the_line_is_crossed_where_the_program_s_own_sums_cross_it() -> None:
    over = []
    for (*_, index), row in zip(sums(HOUR_MS), expected(), strict=True):
        if index is None:
            continue
        line_in = max(3.5 - 0.67 * row.ante360h_in, 0.0)
        theirs = row.recent72h_in > 0 and row.recent72h_in > line_in - 1e-9
        over.append((index >= 88.9 - 1e-9, theirs))
    assert sum(theirs for _, theirs in over) > 0
    assert [mine for mine, _ in over] == [theirs for _, theirs in over]


def test_by_the_clock_341_readings_differ_by_up_to_0_41_in() -> None:
    pairs = [
        (recent_nm / NM_PER_IN, row.recent72h_in)
        for (recent_nm, *_), row in zip(sums(0), expected(), strict=True)
        if row.recent72h_in != UNDEFINED
    ]
    apart = [abs(mine - theirs) for mine, theirs in pairs if abs(mine - theirs) > 1e-9]
    assert (len(apart), round(max(apart), 2)) == (341, 0.41)


def test_the_greatest_72_h_sum_by_the_clock() -> None:
    found = [recent_nm for recent_nm, *_ in sums(0)]
    assert max(found) == 377 * 254_000
    assert hourly()[found.index(max(found))].time_ms == 1_322_089_140_000  # 2011-11-23 22:59


def test_intensity_of_six_hours_to_print_rounding() -> None:
    windows, found = LongWindows((6 * HOUR_MS,), HOUR_MS), []
    for n, hour in enumerate(hourly(), 1):
        windows.take(Increment(n * HOUR_MS, hour.rain_nm, HOUR_MS))
        found.append(windows.sums_nm[0] / 6 / NM_PER_IN)
    printed = [row.intensity6h_in_h for row in expected()]
    assert [x != UNDEFINED for x in printed].index(True) == 5
    assert max(abs(a - b) for a, b in zip(found[5:], printed[5:], strict=True)) <= 3.4e-4


def test_wetness_to_print_rounding() -> None:
    found, printed = awi(HOUR_MS), [row.awi_m for row in expected()]
    assert max(abs(a - b) for a, b in zip(found, printed, strict=True)) <= 5.1e-4
    assert sum(x >= 0.02 for x in printed) == 533
    assert sum(x >= 0.02 for x in found) == 487
    peak_m, at = max((index, n) for n, index in enumerate(found))
    assert round(peak_m, 4) == 0.0527
    assert hourly()[at].time_ms == 1_300_204_740_000  # 2011-03-15 15:59


def test_wetness_by_the_clock_is_never_far_from_it() -> None:
    # 103 missing hours drain and evaporate by the clock, and do not by readings.
    pairs = list(zip(awi(0)[1:], awi(HOUR_MS)[1:], strict=True))
    assert 1e-4 < max(abs(a - b) for a, b in pairs) < 0.02
