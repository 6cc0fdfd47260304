"""The flat line against its definition, and on records: stuck sensors and quiet water."""

from __future__ import annotations

import csv
import gzip
import json
import random
from datetime import datetime
from pathlib import Path

import pytest

from egret_core.screening.flat_line import EXTREMES_MAX, FlatLine, Stillness

DATA = Path(__file__).parents[4] / "shared" / "data" / "stream_plumtree_2016_2017"
STEP_MS = 300_000
HOUR_MS = 3_600_000


def by_definition(rows: list[tuple[int, float]], limits: Stillness) -> list[int]:
    """Return flags: look back over every window there is."""
    out = []
    for n, (now_ms, _) in enumerate(rows):
        low = high = rows[n][1]
        since_ms = now_ms
        for time_ms, value in reversed(rows[: n + 1]):
            low, high = min(low, value), max(high, value)
            if high - low >= limits.tolerance:
                break
            since_ms = time_ms
        flat_ms = now_ms - since_ms
        fails = limits.fail_ms is not None and flat_ms >= limits.fail_ms
        out.append(4 if fails else 3 if flat_ms >= limits.suspect_ms else 1)
    return out


@pytest.mark.parametrize("seed", range(40))
def test_the_flags_are_those_of_the_definition_at_any_step(seed: int) -> None:
    dice = random.Random(seed)
    limits = Stillness(dice.choice((0.05, 0.3, 1.0)), 20_000, 60_000)
    rows, now_ms, value = [], 0, 0.0
    for _ in range(400):
        now_ms += dice.choice((1, 1000, 5000, 5000, 5000, 30_000))
        value += dice.choice((0, 0, 0, 0.01, -0.01, 0.1, -0.1, 2, -2))
        rows.append((now_ms, round(value, 2)))
    test = FlatLine(limits)
    assert [test.take(*row).flag for row in rows] == by_definition(rows, limits)


def test_a_drift_within_the_tolerance_keeps_a_bounded_state_and_never_overstates() -> None:
    limits = Stillness(1.0, 100_000, 10_000_000)
    rows = [(1000 * n, n * 0.0001 % 1.5) for n in range(20_000)]
    test = FlatLine(limits)
    said = []
    for row in rows:
        said.append(test.take(*row).flag)
        assert max(len(edge) for edge in test.dump()[1:]) <= EXTREMES_MAX
    exact = []
    start = 0
    for n, (now_ms, value) in enumerate(rows):
        while abs(value - rows[start][1]) >= 1.0 or value < rows[start][1]:
            start += 1
        exact.append(4 if now_ms - rows[start][0] >= limits.fail_ms else 1 + 2 * (n - start >= 100))
    assert all(mine <= true for mine, true in zip(said, exact, strict=True))
    assert said.count(3) > 0.9 * exact.count(3)


def test_the_state_is_json_and_restores() -> None:
    test = FlatLine(Stillness(0.5, 1000, 5000))
    for n in range(50):
        test.take(100 * n, n % 7 / 20)
    saved = json.loads(json.dumps(test.dump()))
    again = FlatLine(Stillness(0.5, 1000, 5000))
    again.restore(saved)
    for n in range(50, 120):
        assert again.take(100 * n, n % 9 / 10) == test.take(100 * n, n % 9 / 10)


def test_a_stuck_sensor_of_3503_equal_values_is_found_and_nothing_after_it() -> None:
    """6 h at 6 min is 60 steps, 3 h is 30: of the run, all but its first 60 fail."""
    dice = random.Random(6)
    moving = [round(dice.uniform(-1, 1), 3) for _ in range(2000)]
    values = [*moving, *[0.4321] * 3503, *moving]
    test = FlatLine(Stillness(0.001, 3 * HOUR_MS, 6 * HOUR_MS))
    flags = [test.take(360_000 * n, value).flag for n, value in enumerate(values)]
    assert (flags.count(4), flags.count(3)) == (3503 - 60, 30)
    assert flags[2000 + 3503 :] == [1] * 2000


@pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data/stream_plumtree_2016_2017")
def test_quiet_water_is_flat_for_days_so_limits_are_per_station() -> None:
    with gzip.open(DATA / "stage_5min.csv.gz", "rt") as file:
        rows = [
            (round(datetime.fromisoformat(row["time_utc"]).timestamp() * 1000), row["stage_ft"])
            for row in csv.DictReader(file)
        ]
    limits = Stillness(0.001, 3 * HOUR_MS, 6 * HOUR_MS)
    judged, excused = FlatLine(limits), FlatLine(limits)
    flags, starts = [], 0
    for time_ms, text in rows:
        flag = judged.take(time_ms, float(text)).flag
        starts += flag == 3 and flags[-1] == 1
        flags.append(flag)
        assert excused.take(time_ms, float(text), expected=False).flag == 1
    longest = flats = 0
    for flag in flags:
        flats = flats + 1 if flag >= 3 else 0
        longest = max(longest, flats)
    # 2,871 equal values: the first 36 are no 3 h yet. A healthy gauge, and a third of it "fails".
    assert longest == 2871 - 36
    assert starts >= 900
