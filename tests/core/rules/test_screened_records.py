"""Screening on records: a real flash flood, and a real logger whose clock steps back."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from rig.rulebook import GATEWAY, Arrival, bound, fold_of, ladder, place, rain

from egret_core.quality import Flag, Reason
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.model import ChannelPlace, Family
from egret_core.rules.step import Receipt, Tick, step
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.spike import Limits
from egret_core.screening.total import TotalSteps

DATA = Path(__file__).parents[4] / "shared" / "data"
STREAM = DATA / "stream_plumtree_2016_2017" / "stage_5min.csv.gz"
RAIN = DATA / "piezometer_mukilteo" / "waMVD116_rain.txt"
FT = 0.3048
HOUR_MS = 3_600_000
LAW = ScreeningLaw(
    spike=Limits(0.5 * FT, 1.0 * FT),
    rate=Limits(0.5 * FT / 300),
    flat=Stillness(0.004 * FT, 3 * HOUR_MS),
)
PLAIN = ChannelPlace("plumtree", "wl", "water_level", "m", "Gauge", GATEWAY, None)
SCREENED = replace(PLAIN, screening=LAW)
LEVELS = replace(
    ladder(("yellow", 3.0 * FT, 3.0 * FT), ("orange", 4.0 * FT, 4.0 * FT)), datum="Gauge"
)

needs_stream = pytest.mark.skipif(not STREAM.exists(), reason=f"no {STREAM.name}")
needs_rain = pytest.mark.skipif(not RAIN.exists(), reason=f"no {RAIN.name}")


def epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture(scope="module")
def stage() -> list[Reading]:
    with gzip.open(STREAM, "rt") as file:
        rows = [(epoch_ms(row["time_utc"]), float(row["stage_ft"])) for row in csv.DictReader(file)]
    return [Reading("plumtree", "wl", ms, round(feet * FT, 9)) for ms, feet in rows]


def heard(one: ChannelPlace, stage: list[Reading]) -> list[tuple[int, ConditionEvent]]:
    """Play with a tick every 10 s around each reading; return events with when they were said."""
    fold = fold_of([one], [bound(LEVELS, Family.LEVEL, one)], stage[0].time_ms)
    out = []
    for reading in stage:
        now_ms = reading.time_ms + 500
        said = step(fold, Receipt(GATEWAY, now_ms, [reading]))[1]
        out += [(now_ms, event) for event in said]
        for tick_ms in range(now_ms, now_ms + 60_000, 10_000):
            out += [(tick_ms, event) for event in step(fold, Tick(tick_ms))[1]]
    return out


@needs_stream
def test_a_real_flash_flood_is_suspect_never_dropped_and_its_warning_not_delayed(
    stage: list[Reading],
) -> None:
    flood_ms = epoch_ms("2016-09-01T04:45:00+00:00")
    near = [one for one in stage if abs(one.time_ms - flood_ms) < 6 * HOUR_MS]
    plain, screened = heard(PLAIN, near), heard(SCREENED, near)
    assert plain, "the flood crosses a level"
    for (said_ms, event), (same_ms, same) in zip(plain, screened, strict=True):
        assert (said_ms, event.id) == (same_ms, same.id)
    at_the_jump = [event for _, event in screened if event.time_ms == flood_ms]
    assert {event.phase for event in at_the_jump} == {Phase.PROVISIONAL, Phase.SETTLED}
    for event in at_the_jump:
        assert event.evidence["screening"] == ["spike", "rate"]
        assert event.evidence["unconfirmed"] is True
    first_ms = min(said_ms for said_ms, event in screened if event.time_ms == flood_ms)
    assert first_ms == flood_ms + 500  # with its own receipt


@needs_stream
def test_two_years_lose_no_value_and_no_event(stage: list[Reading]) -> None:
    events = {}
    for one in (PLAIN, SCREENED):
        rule = bound(LEVELS, Family.LEVEL, one)
        fold = fold_of([one], [rule], stage[0].time_ms)
        said = []
        for start in range(0, len(stage), 200):
            part = stage[start : start + 200]
            said += step(fold, Receipt(GATEWAY, part[-1].time_ms + 500, part))[1]
        events[one.screening] = [e.id for e in said if e.phase is Phase.SETTLED]
    assert events[None] == events[LAW]
    counts = fold.channels["plumtree"]["wl"].screen.counts
    # [suspect, failed]: a spike that comes back by more than a foot is told, after the fact
    assert counts["rate"][1] == counts["flat_line"][1] == 0
    assert counts["rate"][0] >= 20
    assert counts["flat_line"][0] > 60_000  # quiet water: why a flat line wants a reason


def rain_log() -> list[tuple[int, float]]:
    """Return (stamp, inches of the 15 minutes), in the order of the file."""
    out = []
    for line in RAIN.read_text().split("\n"):
        words = line.split()
        if len(words) == 6:
            year, month, day, hour, minute = (int(float(word)) for word in words[:5])
            when = datetime(year, month, day, hour, minute, tzinfo=UTC)
            out.append((round(when.timestamp() * 1000), float(words[5])))
    return out


@needs_rain
def test_a_clock_that_steps_back_makes_no_duplicate_no_negative_step_and_no_double_rain() -> None:
    rows = rain_log()
    assert len(rows) == 13_082
    back = [n for n in range(1, len(rows)) if rows[n][0] <= rows[n - 1][0]]
    assert len(back) == 1
    total_in, readings = 0.0, []
    one = replace(place("rn", "rain_total"), screening=ScreeningLaw(gap_ms=1_000_000))
    for n, (stamp_ms, inches) in enumerate(rows):
        total_in += inches
        # The centre's clock does not step; the sixth reading, of 19:30, is missing.
        received_ms = rows[0][0] + (n + (n >= 5)) * 900_000 + 2000
        reading = Reading(one.station, one.channel, stamp_ms, round(total_in * 25.4, 3))
        readings.append(Arrival(received_ms, reading))
    fold = fold_of([one], [bound(rain(("wet", 1, 24, 1.0)), Family.RAIN, one)], rows[0][0])
    channel = fold.channels["st1"]["rn"]
    steps, seen = TotalSteps(rain=True), []
    for arrival in readings:
        step(fold, Tick(arrival.received_ms - 1000))
        step(fold, Receipt(GATEWAY, arrival.received_ms, [arrival.reading]))
        for later_ms in (20_000, 40_000):
            step(fold, Tick(arrival.received_ms + later_ms))
        if channel.settled_ms > (seen[-1][0] if seen else 0):
            seen.append((channel.settled_ms, arrival.reading.value))
            assert steps.take(*seen[-1]).flag == Flag.GOOD
    assert all(a[0] < b[0] for a, b in pairwise(seen))
    assert len(seen) == len({stamp for stamp, _ in rows}) == 13_078
    assert channel.late == 3  # the first of the four repeats the newest settled: nothing new
    gaps = [flag for flag in channel.screened() if flag.reasons & Reason.GAP]
    assert [flag.time_ms for flag in gaps] == [epoch_ms("2015-08-17T19:45:00+00:00")]
    assert seen[-1][1] == pytest.approx(17.06 * 25.4, abs=1e-3)
    rule = channel.detectors[0]
    assert rule.rebased == 0
