"""The second fold's hand-over: what holds is told with its true instant, however slow the store."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from rig.lookback import SlowWatch, Watch, backlog, falls, live, past
from rig.rulebook import HOUR_MS, Arrival, at, bound, brief, ladder, place, prompt, rain, timeline

from egret_core.quality import Reason
from egret_core.rules.day_sum import DaySum
from egret_core.rules.event import Phase
from egret_core.rules.model import Family, IndexLaw, RainLaw, WindowLevel, WindowSum
from egret_core.rules.retrospect import AFTER_MAX, TRIES_MAX, due, end
from egret_core.rules.soil_water import SoilWater

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule
    from egret_core.rules.step import Item

GAUGE = place("rn", "rain_total")
RISING = ("raised", "upgraded")
STORM = bound(
    rain(("blue", 1, 3, 8), ("yellow", 2, 3, 15), ("orange", 3, 1, 12), ("red", 4, 1, 20)),
    Family.RAIN,
    GAUGE,
)
TWO_SUMS = WindowLevel("red", 2, 3 * HOUR_MS, 14_000_000, also=(WindowSum(HOUR_MS, 8_000_000),))
JOINT = bound(
    RainLaw((TWO_SUMS, WindowLevel("blue", 1, 2 * HOUR_MS, 6_000_000)), HOUR_MS), Family.RAIN, GAUGE
)


def _index(name: str, make: Any, *rungs: tuple[str, float, float], **times: float) -> BoundRule:
    steps = replace(ladder(*rungs, **times), unit="mm", datum="")
    return bound(IndexLaw(name, make, steps, 0, of_total=True), Family.RAIN, GAUGE)


DAY = _index("day_sum", partial(DaySum, 0, 12 * HOUR_MS, 900_000), ("blue", 5, 4), ("red", 25, 24))
WET = _index(
    "soil_water",
    partial(SoilWater, 600_000, 0),
    *(("blue", 6, 5), ("yellow", 12, 11), ("red", 22, 21)),
    persistence_s=300,
    hold_s=1800,
)
RULES = {"windows": STORM, "two sums": JOINT, "day sum": DAY, "wet ground": WET}
MIN = 60


def days(seed: int) -> tuple[list[Reading], list[Item]]:
    """A dry hour, then showers; away for more than any window; and what came when.

    A jump over that gap counts in no window, so that the live fold says nothing too high.
    """
    dice = random.Random(seed)
    tenths = [0] * 60
    while len(tenths) < 600:
        wet = dice.random() < 0.6
        span = range(dice.randrange(20, 90))
        tenths += [dice.choice((0, 1, 2, 4)) if wet else 0 for _ in span]
    rows = falls(*tenths[:600])
    from_row = dice.randrange(30, 60)
    to_row = from_row + dice.randrange(200, 300)
    late = backlog(rows[from_row:to_row], MIN * (to_row + dice.randrange(1, 40)) + 0.3, 0.05)
    heard = prompt([*rows[:from_row], *rows[to_row:]])
    return rows, timeline(_sorted(heard, late), tail_s=300)


def _sorted(*parts: Sequence[Arrival]) -> list[Arrival]:
    return sorted((one for part in parts for one in part), key=lambda one: one.received_ms)


def onset_ms(said: Sequence[ConditionEvent]) -> int | None:
    """Return when the level began that holds at the end, as a ledger would have it."""
    begun: int | None = None
    for event in live(said):
        if event.phase is Phase.SETTLED and event.change in RISING:
            begun = min(begun or event.time_ms, event.time_ms)
        elif event.phase is Phase.SETTLED and event.change == "returned":
            begun = None
    if begun is None:
        return None
    same = [
        event.time_ms
        for event in past(said)
        if event.change in RISING
        and event.evidence["gap_from_ms"] < begun <= event.evidence.get("same_rise_until_ms", 0)
    ]
    return min([begun, *same])


def held(watch: Watch) -> int:
    (detector,) = watch.fold.channels["st1"]["rn"].detectors
    return detector.rank


def told(said: Sequence[ConditionEvent]) -> int:
    return [0, *(one.rank for one in live(said) if one.phase is Phase.SETTLED)][-1]


def slow(rule: BoundRule, items: Sequence[Item], delays: Sequence[int], *, killed: bool) -> Any:
    """Play over a slow store; the fold is read back from its state before it has answered."""
    watch, said = SlowWatch([GAUGE], [rule], delays), []
    for item in items:
        said += watch.play([item])
        if killed and watch.reading:
            watch.restart()
            killed = False
    return watch, said


@pytest.mark.parametrize("killed", [False, True])
@pytest.mark.parametrize("name", RULES)
def test_the_onset_of_what_holds_is_that_of_one_who_heard_it_all(
    name: str, *, killed: bool
) -> None:
    rule, onsets = RULES[name], 0
    for seed in range(12):
        rows, items = days(seed)
        whole = Watch([GAUGE], [rule])
        expected = onset_ms(whole.play(timeline(prompt(rows), tail_s=300)))
        dice = random.Random(seed)
        for delays in ([], [dice.randrange(1, 80), 1], [dice.randrange(80, 700)]):
            watch, said = slow(rule, items, delays, killed=killed)
            assert len(watch.looked) == 1
            assert onset_ms(said) == expected, (seed, delays)
            assert told(said) == held(watch) == held(whole), (seed, delays)
        onsets += expected is not None
    assert onsets >= 5, "the streams say something"


# A storm in the gap that holds on, and one that is over before anybody knows.


def storm(after: Sequence[int], late_s: float, wet_from: int = 230) -> tuple[list[Reading], Any]:
    """Away from minute 30 to 250; 0.5 mm a minute from a minute on; then fresh readings."""
    rows = falls(*[0] * wet_from, *[5] * (250 - wet_from), *after)
    arrivals = _sorted(prompt([*rows[:30], *rows[250:]]), backlog(rows[30:250], late_s, 0.01))
    return rows, timeline(arrivals, tail_s=300)


def test_what_holds_is_told_as_if_it_had_been_known_in_time() -> None:
    rows, items = storm([2] * 60, MIN * 255)
    expected = Watch([GAUGE], [STORM]).play(timeline(prompt(rows), tail_s=300))
    watch, said = slow(STORM, items, [3], killed=False)
    settled = [one for one in live(said) if one.phase is Phase.SETTLED]
    assert [event.id for event in settled] == [
        event.id for event in expected if event.phase is Phase.SETTLED
    ]
    assert brief(settled)[:2] == [("raised", "blue", MIN * 245), ("upgraded", "orange", MIN * 259)]
    (detector,) = watch.fold.channels["st1"]["rn"].detectors
    whole = Watch([GAUGE], [STORM])
    whole.play(timeline(prompt(rows), tail_s=300))
    assert detector.dump() == whole.fold.channels["st1"]["rn"].detectors[0].dump()
    # Of the past is what began in the gap, and nothing of after it: that is told as of now.
    assert brief(past(said)) == [("raised", "blue", MIN * 245)]


LONG_AFTER = [4] * 6 + [0] * 250


def test_what_is_over_before_the_hand_over_is_of_the_past_with_its_true_instants() -> None:
    rows, items = storm(LONG_AFTER, MIN * 500, wet_from=238)
    expected = Watch([GAUGE], [STORM]).play(timeline(prompt(rows), tail_s=300))
    _, said = slow(STORM, items, [], killed=False)
    assert live(said) == []
    assert brief(past(said)) == brief(expected)
    assert brief(past(said)) == [("raised", "blue", MIN * 254), ("returned", "", MIN * 418)]
    begun = past(said)[0]
    assert begun.evidence["retrospective"] is True
    assert begun.evidence["same_rise_until_ms"] == at(MIN * 418)
    assert (begun.evidence["gap_from_ms"], begun.evidence["gap_to_ms"]) == (at(1740), at(15_000))


def test_what_began_in_the_gap_and_is_over_says_until_when_it_was_one_rise() -> None:
    _, items = storm(LONG_AFTER, MIN * 500)
    _, said = slow(STORM, items, [], killed=False)
    assert live(said) == []
    rises = [event for event in past(said) if event.change in RISING]
    until = {event.level: event.evidence.get("same_rise_until_ms") for event in rises}
    assert brief(past(said))[-1] == ("returned", "", MIN * 418)
    assert until["blue"] == at(MIN * 418)


def test_what_the_live_fold_has_said_is_not_said_twice() -> None:
    shower = [0] * 30 + [5] * 40 + [0] * 150 + [0] * 60
    rows = falls(*[0] * 250, *shower)
    late = backlog(rows[30:250], MIN * 400, 0.01)  # dry: it adds nothing
    heard = prompt([*rows[:30], *rows[250:]])
    alone = Watch([GAUGE], [STORM]).play(timeline(heard, tail_s=300))
    watch = Watch([GAUGE], [STORM])
    said = watch.play(timeline(_sorted(heard, late), tail_s=300))
    assert len(watch.looked) == 1
    assert len(brief(said)) >= 5
    assert said == alone


def test_what_the_live_fold_said_later_gets_its_earlier_instant_on_record() -> None:
    rows, items = storm([5] * 60 + [2] * 60, MIN * 330, wet_from=246)
    expected = Watch([GAUGE], [STORM]).play(timeline(prompt(rows), tail_s=300))
    _, said = slow(STORM, items, [], killed=False)
    own, earlier = brief(live(said)), brief(past(said))
    assert own[0] == ("raised", "blue", MIN * 266)
    assert [key for key in own if key in earlier] == []
    assert min(earlier, key=lambda key: key[2]) == brief(expected)[0]
    assert onset_ms(said) == onset_ms(expected) == at(MIN * 261)


def test_a_level_that_came_down_live_and_holds_all_the_same_is_raised_anew() -> None:
    """An event that was said is known by its id: to say it again would be to say nothing."""
    rule = bound(rain(("blue", 1, 1, 6), ("blue", 1, 3, 8)), Family.RAIN, GAUGE)
    _, items = storm([0] * 10 + [65] + [0] * 130, MIN * 380, wet_from=246)
    watch, said = slow(rule, items, [], killed=False)
    own = [event for event in live(said) if event.phase is Phase.SETTLED]
    assert brief(own)[:2] == [("raised", "blue", MIN * 260), ("returned", "", MIN * 320)]
    (again,) = own[2:]
    assert (str(again.change), again.time_ms) == ("raised", at(MIN * 380))
    assert told(said) == held(watch) == 1


def test_a_guess_that_waits_is_settled_by_what_is_told_of_now() -> None:
    rows = falls(*[0] * 230, *[5] * 20, *[0] * 4, 80, *[0] * 5)
    late = backlog(rows[30:250], MIN * 252.9, 0.01)
    items = timeline(_sorted(prompt([*rows[:30], *rows[250:]]), late), tail_s=300)
    watch, said = SlowWatch([GAUGE], [STORM], []), []
    for item in items:
        said += watch.play([item])
    guesses = [event for event in said if event.phase is Phase.PROVISIONAL]
    settled = {event.provisional_id for event in said if event.phase is Phase.SETTLED}
    refuted = {event.provisional_id for event in said if event.phase is Phase.REFUTED}
    assert guesses
    assert {event.id for event in guesses} == settled - {""}
    assert not refuted


def test_maintenance_at_the_hand_over_pours_no_rain_into_sums() -> None:
    rows = falls(*[0] * 250, *[0] * 40)
    poured = [
        one._replace(reasons=int(Reason.MAINTENANCE))
        for one in falls(*[50] * 6, from_s=MIN * 256, before=1000)
    ]
    after = falls(*[0] * 60, from_s=MIN * 268, before=1300)
    late = backlog(rows[30:250], MIN * 262, 0.01)
    heard = prompt([*rows[:30], *rows[250:256], *poured, *after])
    for rule in RULES.values():
        watch = SlowWatch([GAUGE], [rule], [])
        said = watch.play(timeline(_sorted(heard, late), tail_s=300))
        assert len(watch.looked) == 1
        assert said == []


def test_a_channel_that_went_on_meanwhile_is_read_on_with_from_there() -> None:
    _, items = storm([2] * 60, MIN * 255)
    watch = Watch([GAUGE], [STORM])
    channel = watch.fold.channels["st1"]["rn"]
    early = [one for one in items if _when(one) < at(MIN * 256)]
    watch.play(early)
    (look,) = due(watch.fold, at(MIN * 257), 16)
    rows = watch.archive.late(look)
    look.feed(rows)
    look.go_on(one for one in rows if one.time_ms >= look.span.to_ms)
    watch._look_back = lambda _: None  # type: ignore[method-assign]
    watch.play([one for one in items if at(MIN * 256) <= _when(one) < at(MIN * 270)])
    reached_ms = look.reached_ms
    assert not look.reaches(channel)
    assert end(watch.fold, [look], at(MIN * 270)) == (0, [look])
    more = watch.archive.late(look)
    assert more[0].time_ms == reached_ms + MIN * 1000
    look.go_on(more)
    assert end(watch.fold, [look], at(MIN * 270)) == (1, [])
    assert brief(channel.backlog.tell())[0] == ("raised", "blue", MIN * 245)


def test_a_present_that_is_not_reached_fills_the_sums_as_of_now() -> None:
    _, items = storm([2] * 60, MIN * 255)
    watch = Watch([GAUGE], [STORM])
    channel = watch.fold.channels["st1"]["rn"]
    watch._look_back = lambda _: None  # type: ignore[method-assign]
    watch.play([one for one in items if _when(one) < at(MIN * 280)])
    (look,) = due(watch.fold, at(MIN * 280), 16)
    look.feed(one for one in watch.archive.late(look) if one.time_ms < look.span.to_ms)
    for _ in range(TRIES_MAX):
        assert end(watch.fold, [look], at(MIN * 280)) == (0, [look])
    assert end(watch.fold, [look], at(MIN * 280)) == (1, [])
    now, *then = channel.backlog.tell()
    assert (now.level, now.time_ms) == ("orange", channel.settled_ms)
    assert brief(then) == [("raised", "blue", MIN * 245)]
    assert then[0].evidence["same_rise_until_ms"] >= now.time_ms


def test_readings_after_a_gap_are_bounded() -> None:
    _, items = storm([2] * 60, MIN * 255)
    watch = Watch([GAUGE], [STORM])
    watch._look_back = lambda _: None  # type: ignore[method-assign]
    watch.play([one for one in items if _when(one) < at(MIN * 280)])
    (look,) = due(watch.fold, at(MIN * 280), 16)
    look.feed(one for one in watch.archive.late(look) if one.time_ms < look.span.to_ms)
    assert look.wants_after
    look.go_on(falls(*[0] * AFTER_MAX, from_s=MIN * 250, step_s=0.05, before=1100))
    assert not look.wants_after
    assert not look.reaches(watch.fold.channels["st1"]["rn"])
    assert len(look._after) < AFTER_MAX, "what is settled is taken as it is read"


def test_what_was_found_is_told_before_what_settles_next() -> None:
    """It is older: a joint rule takes facts in their order."""
    _, items = storm([2] * 60, MIN * 255)
    watch, said = SlowWatch([GAUGE], [STORM], []), []
    channel = watch.fold.channels["st1"]["rn"]
    left = iter(items)
    while not channel.backlog.said:
        said += watch.play([next(left)])
    kept = list(channel.backlog.said)
    rest = falls(60, *[0] * 3, from_s=_when(items[-1]) / 1000 - at(0) / 1000, before=2000)
    out = watch.play(timeline(prompt(rest), ticks=False))
    assert kept
    assert [one for one in out if one.phase is Phase.SETTLED][: len(kept)] == kept


def _when(item: Item) -> int:
    return int(getattr(item, "received_ms", 0) or getattr(item, "now_ms", 0))


def test_a_gap_behind_one_begins_with_what_was_right_at_its_start() -> None:
    tenths = [0] * 230 + [5] * 20 + [0] * 10 + [2] * 60 + [0] * 20
    rows = falls(*tenths)
    heard = prompt([*rows[:30], *rows[250:260], *rows[320:]])
    late = backlog([*rows[260:320], *rows[30:250]], MIN * 325, 0.01)
    watch = Watch([GAUGE], [STORM])
    said = watch.play(timeline(_sorted(heard, late), tail_s=600))
    whole = Watch([GAUGE], [STORM])
    expected = whole.play(timeline(prompt(rows), tail_s=300))
    assert len(watch.looked) == 2
    begun = watch.fold.channels["st1"]["rn"].backlog.snapshots[-1][2][STORM.name]
    heard_all = Watch([GAUGE], [STORM])
    heard_all.play(timeline(prompt(rows[:260]), tail_s=300))
    assert begun == heard_all.fold.channels["st1"]["rn"].detectors[0].dump()
    assert onset_ms(said) == onset_ms(expected)
    assert told(said) == held(watch) == held(whole)
