"""Silence over the boundary of a day: what was not seen lowers no grade, what was seen does."""

from __future__ import annotations

import json

import pytest
from rig.packbook import GAUGE, judged, of_pack
from rig.rulebook import START_MS

from egret_core.rules.day_sum import DaySum
from egret_core.rules.index import Standing
from egret_core.rules.total import NM_PER_MM

HOUR_S, DAY_S = 3600, 86_400
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MIDNIGHT_S = DAY_S - START_MS // 1000 % DAY_S  # of the first day, UTC
UTC = 'utc_offset = "+00:00"\nstarts_at = "00:00"'
Rows = list[tuple[float, float]]
Said = list[tuple[str, str, float]]


def said(rows: Rows, parameters: str = "") -> Said:
    """Return change, grade and hours since midnight of the first day of what is settled."""
    rule = of_pack("cn-rain-grades", GAUGE, f"{UTC}\n{parameters}")
    shifted = [(MIDNIGHT_S + hour * HOUR_S, total) for hour, total in rows]
    events = judged(rule, GAUGE, shifted)
    return [
        (str(e.change), e.level, ((e.time_ms - START_MS) / 1000 - MIDNIGHT_S) / HOUR_S)
        for e in events
    ]


def steady(from_h: float, to_h: float, total: float, step_h: float = 1 / 6) -> Rows:
    """Readings of a gauge in which nothing falls."""
    count = round((to_h - from_h) / step_h)
    return [(from_h + n * step_h, total) for n in range(count)]


# 120 mm by 10:00 of the first day, and the gauge is heard until 18:00.
WET: Rows = [(n / 6, 1000.0 + 2 * min(n, 60)) for n in range(108)]
RAISED: Said = [("raised", "rainstorm", 25 / 6), ("upgraded", "heavy rainstorm", 50 / 6)]


@pytest.mark.parametrize("back_h", [26.5, 28, 34, 44, 60])
def test_a_day_that_began_in_silence_lowers_nothing_and_the_next_one_does(back_h: float) -> None:
    end_h = 24 * (back_h // 24 + 1)
    today = [*WET, *steady(back_h, end_h, 1120.0)]
    assert said(today) == RAISED, "an unchanged total after a silence proves no dry day"
    tomorrow = [*today, *steady(end_h, end_h + 24, 1120.0)]
    assert said(tomorrow) == [*RAISED, ("returned", "", pytest.approx(end_h + 1 + 1 / 6))]


def test_without_the_silence_the_day_after_lowers_it_an_hour_into_it() -> None:
    rows = [*WET, *steady(18, 30, 1120.0)]
    assert said(rows) == [*RAISED, ("returned", "", pytest.approx(25 + 1 / 6))]


def test_a_silence_within_the_boundarys_gap_is_none() -> None:
    rows = [*WET, *steady(18, 23.5, 1120.0), *steady(25.2, 30, 1120.0)]
    assert said(rows)[-1] == ("returned", "", pytest.approx(26.2))


def test_a_silence_hardly_longer_than_the_boundarys_gap_lowers_nothing_that_day() -> None:
    rows = [*WET, *steady(18, 23, 1120.0), *steady(25.2, 48, 1120.0)]
    assert said(rows) == RAISED


def test_silence_for_ever_lowers_nothing() -> None:
    assert said(WET) == RAISED


def test_a_whole_day_with_less_rain_eases_to_its_own_grade() -> None:
    rows = [*WET, *steady(34, 48, 1120.0), (48, 1120.0)]
    wet = [(48 + n / 6, 1120.0 + 10 * min(n, 6)) for n in range(1, 24)]  # 60 mm in its first hour
    assert said([*rows, *wet])[2:] == [("eased", "rainstorm", pytest.approx(49 + 1 / 6))]


def test_a_silence_with_rain_in_it_lowers_nothing_either() -> None:
    rows = [*WET, *steady(34, 48, 1140.0)]
    assert said(rows) == RAISED


def test_in_a_day_that_began_in_silence_what_is_seen_still_raises() -> None:
    more = [(34 + n / 6, 1120.0 + 5 * n) for n in range(60)]  # 260 mm and more in that day alone
    found = said([*WET, *more])[2:]
    assert found == [("upgraded", "extraordinary rainstorm", pytest.approx(34 + 50 / 6))]


def test_maintenance_after_a_silence_does_not_make_the_day_a_whole_one() -> None:
    day = DaySum(0, DAY_MS, 2 * HOUR_MS)
    for hour in range(19):
        day.take(hour * HOUR_MS, 8 * NM_PER_MM)
    assert day.take(34 * HOUR_MS, 0) is None  # the total of the work, which counts nothing
    assert day.take(35 * HOUR_MS, 0) is None
    assert day.standing is Standing.WARMING_UP


@pytest.mark.parametrize("step_h", [7300 / 3600, 3.1, 5.9])
def test_a_gauge_that_meets_no_boundary_is_lowered_by_a_day_that_is_over(step_h: float) -> None:
    wet = [(n * step_h, 1000.0 + 15 * step_h * n) for n in range(1, int(23 / step_h))]
    dry = steady(wet[-1][0] + step_h, 96, wet[-1][1], step_h)
    found = said([*wet, *dry])
    falls = [row for row in found if row[0] in ("eased", "returned")]
    assert [row[0] for row in falls] == ["returned"]
    assert falls[0][2] >= 48, "the dry day itself must be over"


def test_a_gauge_that_is_read_every_seven_hours_has_outages_and_no_pace() -> None:
    rows = [*WET, *steady(25, 25 + 7 * 30, 1120.0, 7.001)]
    assert said(rows) == RAISED


def test_the_most_of_a_day_that_is_over_is_told_with_its_day_and_said_again() -> None:
    day = DaySum(0, DAY_MS, HOUR_MS)
    for hour in range(1, 22, 5):
        day.take(hour * HOUR_MS, 25 * NM_PER_MM)
    assert day.take(26 * HOUR_MS, 3 * NM_PER_MM) is None, "0 to 3 mm until now, and the day goes on"
    assert day.evidence()["at_least"] is True
    for hour in range(31, 47, 5):
        assert day.take(hour * HOUR_MS, NM_PER_MM) is None
    assert day.take(51 * HOUR_MS, 2 * NM_PER_MM) == 9.0, "3 and 4 mm, and 2 that may be either's"
    twin = DaySum(0, DAY_MS, HOUR_MS)
    twin.restore(json.loads(json.dumps(day.dump())))
    for one in (day, twin):
        assert one.evidence() == {"begun_ms": DAY_MS, "period_h": 24.0, "at_most": True}
        assert one.take(52 * HOUR_MS, 8 * NM_PER_MM) == 9.0
        assert one.take(53 * HOUR_MS, 2 * NM_PER_MM) == 10.0
        assert one.evidence()["at_least"] is True


@pytest.mark.parametrize("last", [[], [True], [False]])
def test_a_state_of_before_is_taken_as_one_with_an_outage(last: list[bool]) -> None:
    day = DaySum(0, DAY_MS, HOUR_MS)
    sums = [0, 0, 120 * NM_PER_MM]
    day.restore([sums, 45 * HOUR_MS, DAY_MS, True, *last])
    assert day.take(50 * HOUR_MS, 0) is None
    assert day.take(72 * HOUR_MS, 0) is None
    assert day.take(73 * HOUR_MS, 0) == 0.0
