"""Readings some seconds late: windows, persistence and days are as with round numbers."""

from __future__ import annotations

import pytest
from rig.packbook import GAUGE, PACKS, RIVER, judged, of_pack
from rig.rulebook import brief

from egret_core.rules.long_windows import LongWindows
from egret_core.rules.windows import Increment, Windows, reach_ms

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
Rows = list[tuple[float, float]]
STORM = 'levels = [{ level = "red", window_h = 3, sum = 120, and = [{ window_h = 1, over = 50 }] }]'


def hourly(mm: float, step_s: float, count: int = 8) -> Rows:
    return [(n * step_s, 1000 + mm * n) for n in range(count)]


@pytest.mark.parametrize("step_s", [3600, 3601, 3660, 3780])
@pytest.mark.parametrize(
    ("pack", "mm", "parameters", "word"),
    [
        ("flash-flood-prepare-move", 60, "", "move"),
        ("cn-rain-signals", 40, "", "orange"),
        ("generic-rain", 80, 'levels = [{ level = "red", window_h = 1, sum = 80 }]', "red"),
        (
            "generic-rain",
            80,
            STORM,
            "red",
        ),
    ],
)
def test_an_hourly_gauge_reaches_its_hour(
    pack: str, mm: float, parameters: str, word: str, step_s: float
) -> None:
    if pack == "flash-flood-prepare-move":
        parameters = (
            'levels = [{ level = "prepare", window_h = 1, sum = 30 },'
            ' { level = "move", window_h = 1, sum = 50 }]'
        )
    events = judged(of_pack(pack, GAUGE, parameters), GAUGE, hourly(mm, step_s))
    assert word in [level for _, level, _ in brief(events)]


def test_a_gap_of_more_than_a_twentieth_more_counts_in_no_shorter_window() -> None:
    assert reach_ms(HOUR_MS) == 3_780_000
    for gap_ms, within in ((3_780_000, 5), (3_780_001, 0)):
        windows, long = Windows((HOUR_MS, 3 * HOUR_MS)), LongWindows((HOUR_MS, DAY_MS), HOUR_MS)
        step = Increment(DAY_MS, 5, gap_ms)
        assert windows.preview(step, 0) == within
        windows.add(step)
        long.take(step)
        assert windows.sums_nm == [within, 5]
        assert long.sums_nm == [within, 5]
        windows.advance(DAY_MS + 3 * HOUR_MS)
        assert windows.sums_nm == [0, 0]


@pytest.mark.parametrize("step_s", [3600, 3601, 5401, 7200])
def test_persistence_holds_on_a_channel_read_rarely(step_s: float) -> None:
    ladder = 'unit = "m"\ndatum = "Local"\npersistence_s = 600\nlevels = [{ level = "red", '
    rule = of_pack("generic-level", RIVER, f"{ladder}raise = 3.0 }}]")
    events = judged(rule, RIVER, [(n * step_s, 4.0) for n in range(4)])
    assert brief(events) == [("raised", "red", step_s)]


@pytest.mark.parametrize("step_s", [3600, 3601])
def test_an_hourly_level_is_proposed_to_fall(step_s: float) -> None:
    ladder = 'unit = "m"\ndatum = "Local"\nlevels = [{ level = "red", raise = 3.0 }]'
    rows = [(n * step_s, 4.0 if n < 3 else 1.0) for n in range(8)]
    events = judged(of_pack("generic-level", RIVER, ladder), RIVER, rows)
    assert brief(events) == [("raised", "red", 0), ("returned", "", 4 * step_s)]


def test_the_defaults_leave_an_hourly_reading_room() -> None:
    for pack in PACKS.values():
        for name in ("gap_s", "boundary_gap_s"):
            if name in pack.parameters:
                assert pack.parameters[name].default > 3780, pack.id


def two_storms(step_s: float) -> Rows:
    """Rain by day on the first day and on the 31st, none between."""
    rows, total = [], 1000.0
    for n in range(int(40 * 86_400 / step_s)):
        day = n * step_s / 86_400
        total += 12 * step_s / 3600 if 0.3 < day < 0.9 or 30.1 < day < 30.9 else 0
        rows.append((n * step_s, round(total, 3)))
    return rows


@pytest.mark.parametrize("step_s", [3600, 3601, 7300])
def test_an_earlier_day_never_seen_to_end_swallows_no_new_rise(step_s: float) -> None:
    rule = of_pack("cn-rain-grades", GAUGE, 'starts_at = "08:00"\nutc_offset = "+08:00"')
    said = brief(judged(rule, GAUGE, two_storms(step_s)))
    rises = [at for change, _, at in said if change in ("raised", "upgraded")]
    assert [at for at in rises if at > 29 * 86_400], said
    assert [change for change, _, at in said if at < 29 * 86_400][-1] == "returned"
