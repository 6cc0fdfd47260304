"""Rain of a day that names its boundary; grades after rounding to 0.1 mm."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.packbook import GAUGE, PACKS, RIVER, judged, of_pack, refused
from rig.rulebook import START_MS

from egret_core.rules.day_sum import DaySum
from egret_core.rules.index import Standing
from egret_core.rules.total import NM_PER_MM

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CHINA = 'utc_offset = "+08:00"\n'
MIDNIGHT = f'{CHINA}starts_at = "00:00"\n'


def utc(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def index_of(parameters: str) -> Any:
    return of_pack("cn-rain-grades", GAUGE, parameters).law.make()


@pytest.mark.parametrize(
    ("starts_at", "offset", "begins"),
    [
        ("08:00", "+08:00", "2023-09-05T00:00"),
        ("20:00", "+08:00", "2023-09-04T12:00"),
        ("00:00", "+08:00", "2023-09-04T16:00"),
        ("08:00", "-03:30", "2023-09-04T11:30"),
        ("00:00", "+00:00", "2023-09-05T00:00"),
    ],
)
def test_a_day_begins_at_its_named_hour_of_local_time(
    starts_at: str, offset: str, begins: str
) -> None:
    index = index_of(f'utc_offset = "{offset}"\nstarts_at = "{starts_at}"')
    index.take(utc("2023-09-05T03:00"), 0)
    assert index.evidence()["begun_ms"] == utc(begins)


def test_a_reading_at_the_boundary_ends_the_day_before() -> None:
    index = index_of(f'{CHINA}starts_at = "08:00"')
    eight = utc("2023-09-05T00:00")
    got = [
        index.take(eight + minutes * 60_000, mm * NM_PER_MM)
        for minutes, mm in ((-60, 0), (-1, 20), (0, 30), (1, 5), (60, 1))
    ]
    assert got == [0.0, 20.0, 50.0, 5.0, 6.0]


def test_half_days_begin_at_both_ends() -> None:
    index = index_of(f'{CHINA}starts_at = "08:00"\nperiod = "12 h"')
    index.take(utc("2023-09-05T11:00"), 0)
    assert index.take(utc("2023-09-05T12:00"), 7 * NM_PER_MM) == 7.0
    assert index.take(utc("2023-09-05T12:10"), 2 * NM_PER_MM) == 2.0
    assert index.evidence() == {"begun_ms": utc("2023-09-05T12:00"), "period_h": 12.0}


@pytest.mark.parametrize(
    ("period", "mm", "grade"),
    [
        ("24 h", 49.94, "none"),
        ("24 h", 49.95, "rainstorm"),
        ("24 h", 99.9, "rainstorm"),
        ("24 h", 100.0, "heavy rainstorm"),
        ("24 h", 249.94, "heavy rainstorm"),
        ("24 h", 250.0, "extraordinary rainstorm"),
        ("12 h", 29.94, "none"),
        ("12 h", 30.0, "rainstorm"),
        ("12 h", 69.9, "rainstorm"),
        ("12 h", 70.0, "heavy rainstorm"),
        ("12 h", 139.9, "heavy rainstorm"),
        ("12 h", 139.95, "extraordinary rainstorm"),
    ],
)
def test_grades_are_compared_after_rounding(period: str, mm: float, grade: str) -> None:
    rule = of_pack("cn-rain-grades", GAUGE, f'{MIDNIGHT}period = "{period}"')
    # From 02:00 local on, ten falls an hour apart.
    start_s = (utc("2017-07-14T18:00") - START_MS) / 1000
    rows = [(start_s + 3600 * n, round(1000 + mm * n / 10, 4)) for n in range(11)]
    rises = [e for e in judged(rule, GAUGE, rows) if str(e.change) in ("raised", "upgraded")]
    assert (rises[-1].level if rises else "none") == grade
    if rises:
        evidence = rises[-1].evidence
        assert (evidence["index"], evidence["unit"]) == ("day_sum", "mm")
        assert evidence["value"] >= evidence["threshold"]


def test_a_new_day_proposes_the_return() -> None:
    rule = of_pack("cn-rain-grades", GAUGE, MIDNIGHT)
    start_s = (utc("2017-07-14T10:00") - START_MS) / 1000
    rows = [(start_s + 600 * n, 1000.0 + 6 * min(n, 10)) for n in range(60)]
    events = judged(rule, GAUGE, rows)
    assert [str(e.change) for e in events] == ["raised", "returned"]
    assert events[1].evidence["since_ms"] == utc("2017-07-14T16:10"), "the new day's first reading"
    assert events[1].time_ms == utc("2017-07-14T17:10"), "and an hour of it, as the pack holds"


def test_a_day_seen_in_part_warms_up_and_can_only_raise() -> None:
    index = index_of(f'{CHINA}starts_at = "08:00"')
    index.take(utc("2023-09-05T05:00"), 0)
    assert index.take(utc("2023-09-05T05:10"), 60 * NM_PER_MM) == 60.0
    assert index.standing is Standing.WARMING_UP
    assert index.evidence()["at_least"] is True
    index.take(utc("2023-09-05T23:30"), 0)
    index.take(utc("2023-09-06T00:10"), 0)
    assert index.standing is Standing.OK
    assert "at_least" not in index.evidence()


MORE = ((6, 3), (9, 17))


def test_rain_over_a_long_gap_with_the_boundary_in_it_is_in_neither_day() -> None:
    index = index_of(f'{CHINA}starts_at = "08:00"')
    for hour in range(-30, -5):
        index.take(utc("2023-09-05T00:00") + hour * HOUR_MS, NM_PER_MM)
    got = index.take(utc("2023-09-05T02:00"), 70 * NM_PER_MM)
    assert got is None, "less than the 18 mm of the day before, and nobody knows the day's own"
    assert index.evidence()["unplaced_mm"] == 70.0
    assert index.standing is Standing.WARMING_UP
    got = [index.take(utc(f"2023-09-05T{hour:02}:00"), mm * NM_PER_MM) for hour, mm in MORE]
    assert got == [None, 20.0], "a gap within the day counts"


def test_a_long_gap_that_begins_at_the_boundary_itself_is_all_of_the_new_day() -> None:
    index = index_of(f'{CHINA}starts_at = "08:00"')
    index.take(utc("2023-09-05T00:00"), 0)
    assert index.take(utc("2023-09-05T05:00"), 40 * NM_PER_MM) == 40.0
    assert index.standing is Standing.OK


WAITS_S = st.sampled_from([60, 600, 3600, 7200, 50_000])
ROWS = st.lists(st.tuples(WAITS_S, st.integers(0, 300_000)), max_size=40)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.sampled_from([DAY_MS, DAY_MS // 2]))
def test_it_is_the_plain_sum_since_the_boundary(rows: list[tuple[int, int]], period: int) -> None:
    first = 5 * HOUR_MS
    index, now, falls = DaySum(first, period, HOUR_MS), 1_500_000_123_000, []
    index.take(now, 0)
    day = now // DAY_MS * DAY_MS - DAY_MS
    boundaries = range(day + first, day + 400 * DAY_MS, period)
    for wait_s, nm_100 in rows:
        before, now = now, now + wait_s * 1000
        falls.append((before, now, nm_100 * 100))
        begun = max(at for at in boundaries if at < now)
        said, partial = index.take(now, nm_100 * 100), index.standing is not Standing.OK
        over = "at_most" in index.evidence()  # of a day that is over, with what nobody can place
        since_ms = index.evidence()["begun_ms"]
        assert (since_ms < begun) == over
        inside = sum(
            nm
            for since, until, nm in falls
            if until > since_ms and (over or since >= begun or until - since <= HOUR_MS)
            if not over or since < since_ms + period
        )
        assert said == int(inside / 1e5 + 0.5) / 10 or (said is None and partial)


@pytest.mark.parametrize("stop", range(0, 40, 7))
def test_a_restart_anywhere_changes_nothing(stop: int) -> None:
    whole, part = (DaySum(0, DAY_MS // 2, HOUR_MS) for _ in range(2))
    for n in range(40):
        if n == stop:
            fresh = DaySum(0, DAY_MS // 2, HOUR_MS)
            fresh.restore(json.loads(json.dumps(part.dump())))
            assert fresh.standing is part.standing
            part = fresh
        time_ms, rain_nm = 1_500_000_000_000 + n * 5_000_000, n * 100_000
        assert part.take(time_ms, rain_nm) == whole.take(time_ms, rain_nm)
        assert part.evidence() == whole.evidence()


def test_history_covers_a_period_and_what_may_span_its_boundary() -> None:
    assert of_pack("cn-rain-grades", GAUGE, MIDNIGHT).law.span_ms == DAY_MS + 2 * HOUR_MS


@pytest.mark.parametrize("offset", ["8", "+8:00", "+15:00", "08:00", "+08:60", "Asia/Shanghai"])
def test_an_offset_that_is_none_is_refused(offset: str) -> None:
    seen = refused("cn-rain-grades", GAUGE, f'utc_offset = "{offset}"\nstarts_at = "08:00"')
    assert seen == ("utc_offset", "write the local time's offset, e.g. +08:00")


def test_the_boundary_and_the_offset_must_be_named() -> None:
    assert refused("cn-rain-grades", GAUGE, CHINA)[0] == "starts_at"
    assert refused("cn-rain-grades", GAUGE, 'starts_at = "08:00"')[0] == "utc_offset"
    assert "08:00, 20:00" in refused("cn-rain-grades", GAUGE, f'{CHINA}starts_at = "07:00"')[1]
    assert "rain_total" in refused("cn-rain-grades", RIVER, MIDNIGHT)[1]
    assert "not read" in PACKS["cn-rain-grades"].citation


def test_a_site_may_judge_the_lower_grades_too() -> None:
    lower = 'levels = [{ level = "heavy rain", raise = 25.0, period = "24 h" }]'
    assert len(of_pack("cn-rain-grades", GAUGE, f"{MIDNIGHT}{lower}").law.ladder.rungs) == 1
    half = MIDNIGHT + 'period = "12 h"\n'
    assert refused("cn-rain-grades", GAUGE, half + lower) == ("levels", "list a level for 12 h")
