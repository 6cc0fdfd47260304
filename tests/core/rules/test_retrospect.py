"""The second fold: what late readings tell of a gap, and what they change for the present."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase as Stage
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.lookback import Watch, backlog, falls, live, past
from rig.lookback import watched as watched_with
from rig.rulebook import (
    FOUR,
    HOUR_MS,
    SIGNALS,
    START_MS,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    place,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.quality import Reason
from egret_core.rules.backlog import QUIET_MS
from egret_core.rules.event import Phase
from egret_core.rules.model import Family, RainLaw, WindowLevel, WindowSum
from egret_core.rules.rain import Rain
from egret_core.rules.retrospect import EVENTS_MAX, LookBack
from egret_core.rules.step import Change, Fold, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule

LEVEL, GAUGE = place(), place("rn", "rain_total")
RIVER = bound(ladder(*FOUR), Family.LEVEL, LEVEL)
STORM = bound(rain(*SIGNALS), Family.RAIN, GAUGE)
MIN = 60


def river(*values: float, from_s: float = 0, step_s: float = MIN) -> list[Reading]:
    return [reading(from_s + step_s * n, value) for n, value in enumerate(values)]


def watched(
    arrivals: Sequence[Arrival], rule: BoundRule = RIVER
) -> tuple[Watch, list[ConditionEvent]]:
    return watched_with(arrivals, rule)


CALM = river(*[1.0] * 30)  # to 1740 s
AFTER = river(*[1.0] * 10, from_s=9000)
FLOOD = river(2.0, 3.6, 5.2, 4.0, 2.0, from_s=5000, step_s=300)


def test_a_flood_in_the_gap_is_told_as_of_the_past() -> None:
    _, said = watched([*prompt(CALM), *prompt(AFTER), *backlog(FLOOD, 9100)])
    assert live(said) == []
    assert brief(past(said)) == [
        ("raised", "yellow", 5300),
        ("upgraded", "red", 5600),
        ("eased", "orange", 5900),
        ("returned", "", 6200),
    ]
    for event in past(said):
        assert event.phase is Phase.SETTLED
        assert event.evidence["gap_from_ms"] == at(1740)
        assert event.evidence["gap_to_ms"] == at(9000)
        assert "same_rise_until_ms" not in event.evidence
        assert event.evidence["unit"] == "m"


def test_an_event_of_the_past_bears_no_live_ones_id() -> None:
    _, said = watched([*prompt(CALM), *prompt(AFTER), *backlog(FLOOD, 9100)])
    one = past(said)[0]
    evidence = {key: value for key, value in one.evidence.items() if key != "retrospective"}
    assert replace(one, evidence=evidence).id != one.id


def test_it_waits_until_late_readings_stop_coming() -> None:
    slow = backlog(FLOOD, 9100, step_s=QUIET_MS / 1000 - 5)
    watch = Watch([LEVEL], [RIVER])
    items = timeline([*prompt(CALM), *prompt(AFTER), *slow], tail_s=120)
    items = sorted(items, key=lambda item: getattr(item, "received_ms", None) or item.now_ms)  # type: ignore[union-attr]
    stop_ms = slow[-1].received_ms
    early = [i for i in items if (getattr(i, "received_ms", None) or i.now_ms) < stop_ms + QUIET_MS]  # type: ignore[union-attr]
    assert past(watch.play(early)) == []
    assert len(past(watch.play(items[len(early) :]))) == 4
    assert len(watch.looked) == 1


def test_a_link_too_slow_to_wait_for_is_looked_at_every_hour() -> None:
    endless = backlog(river(*[2.0] * 300, from_s=2000, step_s=20), 9100, step_s=50)
    watch, _ = watched([*prompt(CALM), *prompt(river(*[1.0] * 300, from_s=9000)), *endless])
    assert len(watch.looked) == 5
    assert [look.fed for look in watch.looked][-1] == 300


def test_a_level_that_lasts_to_the_end_of_the_gap_says_until_when_it_is_the_same_rise() -> None:
    rising = river(2.0, 3.1, 5.2, 3.6, from_s=5000, step_s=1000)
    high = river(*[3.6] * 10, from_s=9000)
    for law, until_s in ((RIVER, 9000), (_slow(), 9600)):
        _, said = watched([*prompt(CALM), *prompt(high), *backlog(rising, 9100)], law)
        marked = {event.level: event.evidence.get("same_rise_until_ms") for event in past(said)}
        assert marked["blue"] == at(until_s)
        assert marked.get("red") is None
        assert all(event.time_ms >= at(9000) for event in live(said))


def _slow() -> BoundRule:
    return bound(ladder(*FOUR, persistence_s=600, gap_s=1800), Family.LEVEL, LEVEL)


def test_what_stood_before_the_gap_goes_on_in_it() -> None:
    high = river(*[3.1] * 30)
    deep = river(2.0, 5.5, 3.1, from_s=5000, step_s=1000)
    _, said = watched(
        [*prompt(high), *prompt(river(*[3.1] * 9, from_s=9000)), *backlog(deep, 9100)]
    )
    assert brief(live(said)) == [("raised", "blue", 0)]
    assert brief(past(said)) == [
        ("returned", "", 5000),
        ("raised", "red", 6000),
        ("eased", "blue", 7000),
    ]


def test_a_guess_of_the_live_fold_is_none_of_the_past() -> None:
    high = river(*[5.5] * 10, from_s=9000)
    rising = river(2.0, 5.5, from_s=5000, step_s=1000)
    _, said = watched([*prompt(CALM), *prompt(high), *backlog(rising, 9001)])
    assert [event.provisional_id for event in past(said)] == [""]
    assert [event.phase for event in live(said)] == [Phase.PROVISIONAL, Phase.SETTLED]


def test_late_readings_that_fill_no_gap_are_counted_and_nothing_more() -> None:
    rows = river(*[1.0] * 60)
    odd = river(*[9.0] * 20, from_s=30, step_s=60)
    watch, said = watched([*prompt(rows), *backlog(odd, 3600)])
    assert said == []
    assert watch.looked == []
    assert watch.fold.channels["st1"]["wl"].late == 20
    assert watch.fold.channels["st1"]["wl"].backlog.dump()[0] == []


def test_a_copy_fills_nothing_and_changes_nothing() -> None:
    whole = [*prompt(CALM), *prompt(AFTER)]
    copies = backlog([*CALM, *AFTER], 9700, step_s=0.1)
    watch, said = watched([*whole, *copies])
    assert (said, watch.looked) == ([], [])
    first = [*whole, *backlog(FLOOD, 9100)]
    watch, said = watched([*first, *backlog(FLOOD, 9700)])
    _, expected = watched(first)
    assert len(watch.looked) == 2
    assert {event.id for event in said} == {event.id for event in expected}


def test_bad_readings_of_the_gap_are_none() -> None:
    bad = [one._replace(flag=4) for one in FLOOD]
    wet = [one._replace(time_ms=one.time_ms + 1, reasons=int(Reason.MAINTENANCE)) for one in FLOOD]
    none = [one._replace(time_ms=one.time_ms + 2, value=None, flag=9) for one in FLOOD]
    watch, said = watched([*prompt(CALM), *prompt(AFTER), *backlog([*bad, *wet, *none], 9100)])
    assert (said, watch.looked) == ([], [])
    watch, said = watched([*prompt(CALM), *prompt(AFTER), *backlog([FLOOD[0], *bad, *wet], 9100)])
    assert (said, [look.fed for look in watch.looked]) == ([], [1])


def test_what_was_refused_as_it_came_is_not_taken_later() -> None:
    """A reading of the gap that came in time was not judged then, for a reason."""
    broken = [one._replace(flag=4) for one in river(*[1.0] * 100, from_s=2001)]
    watch, _ = watched([*prompt(CALM), *prompt(broken), *prompt(AFTER), *backlog(FLOOD, 9100)])
    (look,) = watch.looked
    assert look.span.received_ms == at(9000) - 60_000
    assert look.fed == len(FLOOD)


def test_killed_at_any_item_it_says_the_same() -> None:
    rain_rule = STORM
    wet = falls(*[9] * 60, from_s=5000, step_s=60, before=1000)
    drops = [*prompt(falls(*[0] * 30)), *prompt(falls(*[0] * 10, from_s=9000, before=1540))]
    rows = [*prompt(CALM), *prompt(AFTER), *backlog(FLOOD, 9100), *drops, *backlog(wet, 9150)]
    items = timeline(sorted(rows, key=lambda one: one.received_ms), tail_s=300)
    places = [LEVEL, GAUGE]
    expected = Watch(places, [RIVER, rain_rule]).play(items)
    assert len(past(expected)) > 4
    assert Watch(places, [RIVER, rain_rule]).play(items, range(len(items))) == expected


def test_a_rule_that_is_gone_says_nothing_and_a_new_one_neither() -> None:
    rows = timeline(sorted([*prompt(CALM), *prompt(AFTER)], key=lambda one: one.received_ms))
    watch = Watch([LEVEL], [RIVER])
    watch.play(rows)
    (gap,) = watch.fold.channels["st1"]["wl"].backlog.snapshots
    other = replace(RIVER, version="v2")
    look = LookBack(watch.fold.channels["st1"]["wl"], gap, [other, STORM], at(9999))
    look.feed(FLOOD)
    step(watch.fold, Change([LEVEL], [other], at(9990)))
    assert look.end(watch.fold.channels["st1"]["wl"])
    assert watch.fold.channels["st1"]["wl"].backlog.said == []
    moved = replace(LEVEL, datum="Elsewhere")
    step(watch.fold, Change([moved], [RIVER], at(9991)))
    assert not look.end(watch.fold.channels["st1"]["wl"])


def test_the_events_of_one_gap_are_bounded_and_the_highest_is_told() -> None:
    flaps = river(*[3.1, 1.0] * EVENTS_MAX, 5.5, from_s=2000, step_s=5)
    watch, said = watched([*prompt(CALM), *prompt(AFTER), *backlog(flaps, 9100, 0.01)])
    assert len(past(said)) == EVENTS_MAX + 1
    assert past(said)[-1].level == "red"
    assert watch.looked[0].left_out == EVENTS_MAX


# Rain: what fell in the gap stands in the sums in place of the jump over it.


def sums(fold: Fold) -> list[int]:
    (storm,) = fold.channels["st1"]["rn"].detectors
    assert isinstance(storm, Rain)
    return list(storm._windows.sums_nm)


def test_a_jump_that_late_readings_fill_counts_once_and_in_the_short_windows_too() -> None:
    before = falls(*[0] * 30)  # 100.0 mm
    late = falls(*[10] * 40, from_s=7000, step_s=50, before=1000)  # 40 mm in the last half hour
    after = falls(*[0] * 10, from_s=9000, before=1400)
    watch, said = watched([*prompt(before), *prompt(after)], STORM)
    assert sums(watch.fold) == [40_000_000] * 3, "the jump: in windows at least as long as it"
    watch, said = watched([*prompt(before), *prompt(after), *backlog(late, 9060)], STORM)
    assert sums(watch.fold) == [40_000_000] * 3
    assert said == []


def test_rain_of_a_long_gap_counts_in_the_windows_that_reach_into_it() -> None:
    before = falls(*[0] * 30)
    # 30 h away; 60 mm fell in the last two hours before the first fresh reading.
    end_s = 30 * 3600
    late = falls(0, *[5] * 120, from_s=end_s - 7260, before=1000)
    after = falls(*[0] * 10, from_s=end_s, before=1600)
    watch, said = watched([*prompt(before), *prompt(after)], STORM)
    assert (sums(watch.fold), said) == ([0, 0, 0], []), "a jump over 30 h proves nothing"
    watch, said = watched([*prompt(before), *prompt(after), *backlog(late, end_s + 60)], STORM)
    assert sums(watch.fold) == [60_000_000] * 3
    (now,) = live(said)
    # At the reading that made it 50 mm, and not when the centre knew of it.
    assert (now.level, now.evidence["value"], now.time_ms) == ("orange", 50.0, at(end_s - 1260))
    assert [event.level for event in past(said)] == ["orange"]
    assert past(said)[0].evidence["same_rise_until_ms"] >= now.time_ms
    assert said.index(now) < said.index(past(said)[0]), "what holds now goes on record first"


def test_a_gap_that_ends_in_maintenance_is_a_gap() -> None:
    before = falls(*[0] * 30)
    late = falls(*[5] * 100, from_s=3000, before=1000)
    work = [
        one._replace(reasons=int(Reason.MAINTENANCE))
        for one in falls(0, 900, from_s=9000, before=1500)
    ]
    after = falls(*[0] * 10, from_s=9120, before=2400)
    rows = [*prompt(before), *prompt([*work, *after]), *backlog(late, 9200)]
    watch, said = watched(rows, STORM)
    assert sums(watch.fold) == [50_000_000] * 3, "what fell, and nothing of what was poured"
    assert [event.level for event in live(said)] == ["orange"]


def test_a_gap_of_an_older_program_is_looked_at_and_its_sums_are_left_alone() -> None:
    before, late = falls(*[0] * 30), falls(*[5] * 120, from_s=3000, before=1000)
    after = falls(*[0] * 10, from_s=30 * 3600, before=1600)
    watch, _ = watched([*prompt(before), *prompt(after)], STORM)
    channel = watch.fold.channels["st1"]["rn"]
    look = LookBack(channel, channel.backlog.snapshots[0][:3], [STORM], at(31 * 3600))
    look.feed(late)
    assert look.end(channel)
    assert [event.level for event in channel.backlog.said] == ["orange"]
    assert sums(watch.fold) == [0, 0, 0]


def test_rain_of_one_gap_counts_in_what_is_found_in_the_next() -> None:
    first = falls(0, *[5] * 60, from_s=16_000, before=1000)  # 30 mm in an hour
    between = falls(*[0] * 3, from_s=19_900, before=1300)  # after five hours away
    second = falls(0, *[5] * 60, from_s=21_000, before=1300)  # and 30 mm in another
    heard = [*falls(*[0] * 30), *between, *falls(*[0] * 9, from_s=60_000, before=1600)]
    late = backlog([*second, *first], 60_100, 0.1)
    _, said = watched([*prompt(heard), *late], STORM)
    found = [(event.level, event.evidence["value"]) for event in past(said) if event.rank]
    assert found == [("orange", 50.0), ("blue", 0.0)]  # and when it eased, after the second
    assert past(said)[0].evidence["gap_from_ms"] == at(20_020)


UNSHRUNK = (Stage.explicit, Stage.reuse, Stage.generate)  # its examples are long
GAPS = st.lists(st.tuples(st.integers(10, 120), st.integers(25, 110)), min_size=1, max_size=2)


def met(fold: Fold) -> dict[tuple[int, int], int]:
    """Return since when sums were met lately, as far back as the longest window."""
    (storm,) = fold.channels["st1"]["rn"].detectors
    assert isinstance(storm, Rain)
    since_ms = (storm._last_ms or 0) - 12 * HOUR_MS
    return {key: row[0] for key, row in storm._met.items() if row[0] > since_ms}


TWO_SUMS = WindowLevel("red", 1, 12 * HOUR_MS, 4_000_000, also=(WindowSum(HOUR_MS, 2_000_000),))
JOINT = bound(RainLaw((TWO_SUMS,), 3_600_000), Family.RAIN, GAUGE)


@settings(max_examples=20, deadline=None, phases=UNSHRUNK)
@given(st.data(), GAPS, st.integers(1, 3), st.sampled_from([STORM, JOINT]))
def test_once_filled_the_sums_are_those_of_one_who_heard_it_all(
    data: st.DataObject, gaps: list[tuple[int, int]], portions: int, rule: BoundRule
) -> None:
    tenths = data.draw(st.lists(st.sampled_from([0, 0, 0, 2, 7]), min_size=520, max_size=520))
    rows = falls(*tenths, step_s=300)
    away: set[int] = set()
    at_row = 10
    for heard, silent in gaps:
        away |= set(range(at_row + heard, at_row + heard + silent))
        at_row += heard + silent
    back_s = 300 * 520
    prompt_rows = [one for n, one in enumerate(rows) if n not in away and n < 500]
    missed = [rows[n] for n in sorted(away) if n < 500]
    missed = data.draw(st.permutations(missed[:60])) + missed[60:]
    late: list[Arrival] = []
    for portion in range(portions):
        late += backlog(missed[portion::portions], back_s + 600 * portion, 0.01)
    last = prompt([reading(back_s + 3600, rows[-1].value, GAUGE)] * 1)
    watch = Watch([GAUGE], [rule])
    watch.play(timeline([*prompt(prompt_rows), *late, *last], tail_s=120, ticks=True, head_s=60))
    whole = fold_of([GAUGE], [rule])
    for item in timeline([*prompt(rows[:500]), *last], tail_s=120):
        step(whole, item)
    assert sums(watch.fold) == sums(whole)
    assert met(watch.fold) == met(whole)


def test_the_windows_are_those_of_the_signals() -> None:
    assert [hours * HOUR_MS for hours in (3, 6, 12)] == sorted(
        {level.window_ms for level in STORM.law.levels}  # type: ignore[union-attr]
    )
    assert at(0) == START_MS


@pytest.mark.parametrize("flag", [1, 2, 3])
def test_doubtful_readings_count_as_they_do_live(flag: int) -> None:
    rows = [one._replace(flag=flag) for one in FLOOD]
    _, said = watched([*prompt(CALM), *prompt(AFTER), *backlog(rows, 9100)])
    assert len(past(said)) == 4
