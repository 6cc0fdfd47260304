"""What warnings were worth: a worked example to the digit, and every way to bring both together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from rig.catalogues import STATIONS
from rig.rulebook import bound, ladder, place, rain, silence

from egret_aggregator import catalogue
from egret_aggregator.backtest import Outcome, Span
from egret_aggregator.backtest.observed import (
    Observed,
    Windows,
    check_stations,
    read_observed,
    scores,
)
from egret_core.errors import ConfigError
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Family

if TYPE_CHECKING:
    from typing import Any

    from egret_core.rules.model import BoundRule

HOUR = 3_600_000
DAY = 24 * HOUR
FAR = Span(0, 1000 * DAY)
RIVER = bound(ladder(("blue", 3.0, 2.8), ("red", 4.0, 3.8)), Family.LEVEL, place())
FALLEN = {"value": 1.0, "threshold": 2.8, "unit": "m", "datum": ""}


def event(
    change: Change, rank: int, time_ms: int, rule: BoundRule = RIVER, subject: str = "st1/wl"
) -> ConditionEvent:
    level = ("", "blue", "red")[rank]
    cause = "at_or_above" if rank else "below_clear"
    return ConditionEvent(
        *(rule.name, subject, rule.hazard, change, Phase.SETTLED, level, rank, time_ms, cause),
        FALLEN,
    )


def spell(start_ms: int, end_ms: int, **more: Any) -> list[ConditionEvent]:
    """A level that held from one instant to another."""
    return [
        event(Change.RAISED, 1, start_ms, **more),
        event(Change.RETURNED, 0, end_ms, **more),
    ]


def scored(
    events: list[ConditionEvent],
    observed: list[Observed],
    rules: tuple[BoundRule, ...] = (RIVER,),
    windows: Windows = Windows(),  # noqa: B008
    span: Span = FAR,
) -> list[dict[str, Any]]:
    found = Outcome(events=sorted(events, key=lambda one: one.time_ms))
    return [score.shown() for score in scores(found, observed, rules, span, windows)]


def test_the_worked_example() -> None:
    # 8 hits, 4 false alarms, 2 misses: POD 0.8000, FAR 0.3333, CSI 0.5714, bias 1.2000.
    hits = [10 * DAY * n for n in range(1, 9)]
    false = [10 * DAY * n for n in range(20, 24)]
    misses = [10 * DAY * n for n in range(40, 42)]
    events = [one for at in hits for one in spell(at - 2 * HOUR, at + HOUR)]
    events += [one for at in false for one in spell(at, at + HOUR)]
    (row,) = scored(events, [Observed(at, at, "") for at in hits + misses])
    assert (row["hits"], row["false_episodes"], row["misses"]) == (8, 4, 2)
    assert (row["pod"], row["far"], row["csi"], row["bias"]) == (0.8, 0.3333, 0.5714, 1.2)
    assert row["lead_median_s"] == 7200


def test_nothing_warned_and_nothing_observed_divide_by_nothing() -> None:
    (silent,) = scored([], [Observed(DAY, DAY, "")])
    assert (silent["level"], silent["misses"], silent["pod"], silent["far"]) == ("", 1, 0.0, None)
    (calm,) = scored(spell(DAY, 2 * DAY), [])
    assert (calm["pod"], calm["far"], calm["csi"], calm["bias"]) == (None, 1.0, 0.0, None)
    assert calm["lead_median_s"] is None


@pytest.mark.parametrize(
    ("start_h", "end_h", "hit", "lead_h"),
    [
        (95, 97, True, 1),  # raised before, standing at the event
        (96, 97, True, 0),  # raised as it begins
        (90, 92, True, 6),  # over by then, but not long before
        (71, 73, True, 24),  # stood a day ahead: that is the longest lead
        (60, 71, False, 0),  # too far ahead
        (97, 99, False, 0),  # raised too late
        (10, 99, True, 24),  # stood for days
    ],
)
def test_an_event_is_hit_by_what_stood_ahead_of_it(
    start_h: int, end_h: int, *, hit: bool, lead_h: int
) -> None:
    (row,) = scored(spell(start_h * HOUR, end_h * HOUR), [Observed(96 * HOUR, 96 * HOUR, "")])
    assert (row["hits"], row["misses"]) == ((1, 0) if hit else (0, 1))
    assert row["lead_median_s"] == (lead_h * 3600 if hit else None)


def test_an_episode_that_begins_while_an_event_goes_on_is_not_false() -> None:
    flood = [Observed(96 * HOUR, 120 * HOUR, "")]
    (late,) = scored(spell(100 * HOUR, 110 * HOUR), flood)
    assert (late["hits"], late["misses"], late["false_episodes"]) == (0, 1, 0)
    (after,) = scored(spell(121 * HOUR, 130 * HOUR), flood)
    assert after["false_episodes"] == 1


def test_warnings_close_together_are_one_episode() -> None:
    events = [one for h in (0, 10, 20, 80) for one in spell(h * HOUR, (h + 1) * HOUR)]
    assert scored(events, [])[0]["episodes"] == 2
    assert scored(events, [], windows=Windows(apart_ms=HOUR))[0]["episodes"] == 4


def test_each_level_has_its_score_and_a_higher_one_counts_for_the_lower() -> None:
    events = [
        event(Change.RAISED, 1, 90 * HOUR),
        event(Change.UPGRADED, 2, 95 * HOUR),
        event(Change.EASED, 1, 98 * HOUR),
        event(Change.RETURNED, 0, 99 * HOUR),
    ]
    blue, red = scored(events, [Observed(96 * HOUR, 96 * HOUR, "")])
    assert (blue["level"], blue["lead_median_s"]) == ("blue", 6 * 3600)
    assert (red["level"], red["lead_median_s"]) == ("red", 3600)


def test_with_stations_a_warning_counts_at_its_own_only() -> None:
    both = bound(ladder(("blue", 3.0, 2.8)), Family.LEVEL, place(), place(station="st2"))
    events = spell(95 * HOUR, 97 * HOUR, rule=both)
    at = 96 * HOUR
    (row,) = scored(events, [Observed(at, at, "st1"), Observed(at, at, "st2")], (both,))
    assert (row["hits"], row["misses"], row["events"]) == (1, 1, 2)
    (row,) = scored(events, [Observed(at, at, "st9")], (both,))
    assert (row["events"], row["false_episodes"]) == (0, 1)


def test_without_stations_a_warning_anywhere_counts() -> None:
    both = bound(ladder(("blue", 3.0, 2.8)), Family.LEVEL, place(), place(station="st2"))
    events = spell(95 * HOUR, 97 * HOUR, rule=both) + spell(
        96 * HOUR, 98 * HOUR, rule=both, subject="st2/wl"
    )
    (row,) = scored(events, [Observed(96 * HOUR, 96 * HOUR, "")], (both,))
    assert (row["hits"], row["episodes"]) == (1, 1)


def test_silence_is_no_alarm() -> None:
    rules = (bound(silence(600), Family.ABSENCE, place()),)
    assert scored([], [Observed(DAY, DAY, "")], rules) == []


def test_what_stands_at_the_beginning_and_what_holds_to_the_end_are_alarms() -> None:
    span = Span(50 * HOUR, 100 * HOUR)
    found = Outcome(events=[event(Change.RETURNED, 0, 60 * HOUR)])
    found.standing[RIVER.name, "st1/wl"] = event(Change.RAISED, 1, 10 * HOUR)
    observed = [Observed(55 * HOUR, 55 * HOUR, "")]
    (score,) = scores(found, observed, (RIVER,), span)
    assert score.leads == (5 * HOUR,)
    open_end = Outcome(events=[event(Change.RAISED, 1, 60 * HOUR)])
    (score,) = scores(open_end, [Observed(99 * HOUR, 99 * HOUR, "")], (RIVER,), span)
    assert score.leads == (DAY,)


def test_only_events_of_the_span_are_missed() -> None:
    observed = [Observed(at, at, "") for at in (DAY - 1, DAY, 2 * DAY - 1, 2 * DAY)]
    (row,) = scored([], observed, span=Span(DAY, 2 * DAY))
    assert row["misses"] == 2


def test_rules_are_scored_apart() -> None:
    storm = bound(rain(("blue", 1, 1, 20)), Family.RAIN, place("rn", "rain_total"))
    events = spell(95 * HOUR, 97 * HOUR)
    rows = scored(events, [Observed(96 * HOUR, 96 * HOUR, "")], (RIVER, storm))
    assert [(row["rule"], row["hits"]) for row in rows] == [("level@v1", 1), ("rain@v1", 0)]


def read(text: str) -> list[Observed]:
    return read_observed(text.splitlines(), "o.csv")


def test_a_file_of_instants() -> None:
    text = "station,time,note\nst1,1970-01-02T08:00:00+08:00,mud\n\nst2,1970-01-01T00:00:01Z,"
    assert read(text) == [Observed(1000, 1000, "st2"), Observed(DAY, DAY, "st1")]


def test_a_file_of_spans_without_stations() -> None:
    text = "\ufeffstart,end\n1970-01-02T00:00:00Z,1970-01-03T00:00:00Z"
    assert read(text) == [Observed(DAY, 2 * DAY, "")]


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("", "line 1", "begin with a line of names"),
        ("when\n1", "line 1", "begin with a line of names"),
        ("start\n1", "line 1", "begin with a line of names"),
        ("time\n1970-01-02", "line 2", "RFC 3339"),
        ("time,station\n1970-01-02T00:00:00Z", "line 2", "write 2 fields"),
        ("start,end\n1970-01-02T00:00:00Z,1970-01-01T00:00:00Z", "line 2", "after its start"),
        (
            "time,station\n1970-01-02T00:00:00Z,st1\n1970-01-02T00:00:00Z,",
            "station",
            "in every line, or in none",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_told_why(text: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(remedy)) as caught:
        read(text)
    assert (caught.value.file, caught.value.key) == ("o.csv", key)


def test_a_file_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egret_aggregator.backtest.observed.OBSERVED_MAX", 2)
    with pytest.raises(ConfigError, match="at most 2 lines"):
        read("time\n" + "1970-01-02T00:00:00Z\n" * 3)


def test_an_alarm_that_stands_at_the_event_is_a_hit_however_short_before_is() -> None:
    events = spell(10 * HOUR, 12 * HOUR)
    happened = [Observed(11 * HOUR + 540_000, 11 * HOUR + 540_000, "st1")]
    for before_ms in (0, 300_000):
        (row,) = scored(events, happened, windows=Windows(before_ms, DAY))
        assert (row["hits"], row["false_episodes"]) == (1, 0)
    (row,) = scored(events, [Observed(12 * HOUR, 12 * HOUR, "st1")], windows=Windows(0, DAY))
    assert row["hits"] == 0, "it had ended"


def test_an_unknown_station_is_refused_with_what_was_meant() -> None:
    places = catalogue.of_texts(STATIONS, "", "f")
    check_stations([Observed(1, 1, "st1"), Observed(1, 1, "")], places, "o.csv")
    with pytest.raises(ConfigError, match="'st1'") as caught:
        check_stations([Observed(1, 1, "St1")], places, "o.csv")
    assert (caught.value.file, caught.value.key, caught.value.seen) == ("o.csv", "station", "St1")


def test_a_field_without_an_end_is_named() -> None:
    with pytest.raises(ConfigError, match="quotes in pairs"):
        read_observed(["time\n", '"' + "x" * 200_000], "o.csv")
