"""Late readings of a channel that the centre screens: the same tests, from the gap's start on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rig.lookback import Watch, backlog, falls, live, past
from rig.rulebook import Arrival, at, bound, brief, ladder, place, prompt, rain, reading, timeline

from egret_core.quality import Reason
from egret_core.rules.model import Family
from egret_core.rules.rain import Rain
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace

LAW = ScreeningLaw(sensor=Span(0.0, 12.0), operator=Span(0.0, 4.0))
LEVEL = replace(place(), screening=LAW)
GAUGE = replace(place("rn", "rain_total"), screening=ScreeningLaw(sensor=Span(0.0, 500.0)))
RIVER = bound(ladder(("blue", 3.0, 2.8), ("red", 5.0, 4.8)), Family.LEVEL, LEVEL)
STORM = bound(rain(("blue", 1, 3, 20)), Family.RAIN, GAUGE)


def watched(
    arrivals: list[Arrival], one: ChannelPlace, rule: BoundRule
) -> tuple[Watch, list[ConditionEvent]]:
    watch = Watch([one], [rule])
    rows = sorted(arrivals, key=lambda arrival: arrival.received_ms)
    return watch, watch.play(timeline(rows, tail_s=300))


def river(*values: float, from_s: float = 0, on: ChannelPlace = LEVEL) -> list[Arrival]:
    return prompt(reading(from_s + 60 * n, value, on) for n, value in enumerate(values))


CALM, AFTER = river(*[1.0] * 30), river(*[1.0] * 9, from_s=9000)
FLOOD_M = (2.0, 99.0, 3.5, 5.5, 99.0, 1.0)
FLOOD = [reading(5000 + 300 * n, value, LEVEL) for n, value in enumerate(FLOOD_M)]


def test_what_fails_is_not_judged_and_what_is_doubted_says_so() -> None:
    watch, said = watched([*CALM, *AFTER, *backlog(FLOOD, 9100)], LEVEL, RIVER)
    assert [look.fed for look in watch.looked] == [4]
    assert live(said) == []
    assert brief(past(said)) == [
        ("raised", "blue", 5600),
        ("upgraded", "red", 5900),
        ("returned", "", 6500),
    ]
    doubted = [event.evidence.get("unconfirmed", False) for event in past(said)]
    assert doubted == [False, True, False]
    assert past(said)[1].evidence["screening"] == ["range"]


def test_a_reading_that_fails_ends_no_gap() -> None:
    broken = river(99.0, from_s=8940)
    watch, said = watched([*CALM, *broken, *AFTER, *backlog(FLOOD, 9100)], LEVEL, RIVER)
    (gap,) = watch.fold.channels["st1"]["wl"].backlog.snapshots
    assert gap[:2] == [at(1740), at(9000)]
    assert len(past(said)) == 3


def test_a_total_that_fails_at_the_end_of_a_gap_is_in_no_sum() -> None:
    late = falls(*[5] * 60, from_s=5000, before=1000)  # 30 mm
    after = falls(*[0] * 9, from_s=9000, before=1300)
    wrong = [after[0]._replace(value=900.0), *after[1:]]
    watch, said = watched(
        [*prompt([*falls(*[0] * 30), *wrong]), *backlog(late, 9100)], GAUGE, STORM
    )
    (storm,) = watch.fold.channels["st1"]["rn"].detectors
    assert isinstance(storm, Rain)
    assert storm._windows.sums_nm == [30_000_000]
    assert [event.level for event in past(said)] == ["blue"]


def test_a_flood_without_witnesses_is_not_called_flat_or_a_spike() -> None:
    other = ("st1", "rn")
    law = ScreeningLaw(flat=Stillness(0.01, 600_000, 1_200_000), movement=(other,))
    one = replace(place(), screening=law)
    gauge = replace(place("rn", "rain_total"))
    rows = [
        *river(*[1.0 + n % 2 for n in range(30)], on=one),
        *river(*[1.0, 2.0] * 9, from_s=9000, on=one),
    ]
    high = [reading(5000 + 60 * n, 5.5, one) for n in range(40)]
    rule = bound(ladder(("blue", 3.0, 2.8), ("red", 5.0, 4.8)), Family.LEVEL, one)
    watch = Watch([one, gauge], [rule])
    arrivals = sorted([*rows, *backlog(high, 9100)], key=lambda arrival: arrival.received_ms)
    said = watch.play(timeline(arrivals, tail_s=300))
    assert [look.fed for look in watch.looked] == [40]
    assert [event.level for event in past(said)] == ["red"]


def test_the_tests_begin_at_the_gaps_start() -> None:
    law = ScreeningLaw(spike=Limits(0.5, 2.0))
    one = replace(place(), screening=law)
    rule = bound(ladder(("blue", 3.0, 2.8)), Family.LEVEL, one)
    late = [reading(5000 + 60 * n, value, one) for n, value in enumerate((1.0, 1.0, 3.9, 1.0, 1.0))]
    rows = [*river(*[1.0] * 30, on=one), *river(*[1.0] * 9, from_s=9000, on=one)]
    _, said = watched([*rows, *backlog(late, 9100)], one, rule)
    assert brief(past(said)) == [("raised", "blue", 5120), ("returned", "", 5180)]
    assert past(said)[0].evidence["screening"] == ["spike"]


def test_water_poured_at_work_in_a_gap_makes_nothing_after_it_doubtful() -> None:
    """The gauge has no rain rule: only the screening needs the totals that were read at work."""
    gauge = replace(GAUGE, screening=ScreeningLaw(rate=Limits(0.05)))
    full = bound(ladder(("blue", 900.1, 900.0)), Family.LEVEL, gauge)
    dry, after = falls(*[0] * 30), falls(*[0] * 9, from_s=9000, before=1002)
    work = [
        reading(5000 + 60 * n, 100.0 + 80.0 * n, gauge, reasons=int(Reason.MAINTENANCE))
        for n in range(11)
    ]
    late = [reading(4940, 100.0, gauge), *work, reading(5660, 900.2, gauge)]
    _, said = watched([*prompt([*dry, *after]), *backlog(late, 9100)], gauge, full)
    raised = past(said)[0]
    assert (raised.level, raised.time_ms) == ("blue", at(5660))
    assert "screening" not in raised.evidence
