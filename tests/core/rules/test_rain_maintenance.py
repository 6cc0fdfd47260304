"""A gauge that is tried with water: what was poured is no rain, before, during and after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from rig.rulebook import (
    SIGNALS,
    at,
    bound,
    brief,
    fold_of,
    place,
    play,
    prompt,
    rain,
    reading,
    shuffled,
    thrice,
    timeline,
)

from egret_core.quality import Flag, Reason, is_base
from egret_core.rules.model import Family
from egret_core.rules.step import Change, Fold, Tick, step

if TYPE_CHECKING:
    from egret_core.reading import Reading

GAUGE = place("rn", "rain_total")
RULE = bound(rain(*SIGNALS), Family.RAIN, GAUGE)
WORK = int(Reason.MAINTENANCE)


def tried(poured_mm: float = 60.0, after_mm: float = 0.0) -> list[Reading]:
    """Ten quiet minutes, ten of work in which water is poured, ten in which it may rain."""
    before = [reading(60 * n, 100.0, GAUGE) for n in range(10)]
    during = [
        reading(600 + 60 * n, 100.0 + poured_mm * (n + 1) / 10, GAUGE, reasons=WORK)
        for n in range(10)
    ]
    start = 100.0 + poured_mm
    after = [reading(1200 + 60 * n, start + after_mm * (n + 1) / 10, GAUGE) for n in range(10)]
    return [*before, *during, *after]


def test_what_is_poured_in_maintenance_raises_nothing() -> None:
    assert play(fold_of([GAUGE], [RULE]), timeline(prompt(tried()))) == []


def test_the_same_water_outside_maintenance_would() -> None:
    rows = [one._replace(reasons=0) for one in tried()]
    assert brief(play(fold_of([GAUGE], [RULE]), timeline(prompt(rows))))[:1]


def test_rain_after_the_work_counts_by_itself() -> None:
    rows = tried(poured_mm=49.0, after_mm=49.0)
    assert play(fold_of([GAUGE], [RULE]), timeline(prompt(rows))) == []
    events = play(fold_of([GAUGE], [RULE]), timeline(prompt(tried(49.0, after_mm=50.0))))
    assert brief(events) == [("raised", "orange", 1740)]
    assert events[-1].evidence["value"] == 50.0


def test_rain_before_the_work_still_counts_after_it() -> None:
    wet = [reading(-600 + 60 * n, 60.0 + 4.0 * n, GAUGE) for n in range(10)]  # 36 mm, then 4 more
    rows = [*wet, *tried(after_mm=10.0)]
    events = play(fold_of([GAUGE], [RULE], at(-700)), timeline(prompt(rows), head_s=700))
    assert brief(events) == [("raised", "orange", 1740)]
    assert events[-1].evidence["value"] == 50.0


@pytest.mark.parametrize("seed", range(8))
def test_out_of_order_and_thrice_it_settles_alike(seed: int) -> None:
    rows = [one for n, one in enumerate(tried(after_mm=60.0)) if n != 20]
    straight = brief(play(fold_of([GAUGE], [RULE]), timeline(prompt(rows))))
    mixed = timeline(thrice(shuffled(rows, seed), seed))
    assert brief(play(fold_of([GAUGE], [RULE]), mixed)) == straight
    assert straight == [("raised", "orange", 1680)]


def test_a_restart_between_the_work_and_its_settling_says_the_same() -> None:
    rows = tried()
    fold = fold_of([GAUGE], [RULE])
    assert play(fold, timeline(prompt(rows[:20]), tail_s=0)) == []
    again = Fold()
    step(again, Change([GAUGE], [RULE], 0))
    saved = fold.changed()
    again.restore({k: json.dumps(json.loads(v)).encode() for k, v in saved.items() if v})
    assert play(again, timeline(prompt(rows[20:]))) == []


def test_a_failed_number_in_maintenance_moves_no_base() -> None:
    rows = tried(poured_mm=0.0)
    rows[15] = rows[15]._replace(value=0.0, flag=int(Flag.FAIL))
    assert play(fold_of([GAUGE], [RULE]), timeline(prompt(rows))) == []
    assert not is_base(int(Flag.FAIL), WORK)
    assert not is_base(int(Flag.GOOD), 0)
    assert is_base(int(Flag.SUSPECT), WORK | int(Reason.COUNTER_RESET))


@pytest.mark.parametrize("known", [False, True], ids=["new channel", "known channel"])
@pytest.mark.parametrize("change_s", [1300, 1210])
def test_a_rule_that_warms_up_on_it_counts_nothing_of_it(change_s: int, *, known: bool) -> None:
    past = [one for one in tried() if one.time_ms < at(change_s)]
    fold = fold_of([GAUGE] if known else [], [], at(0 if known else change_s))
    if known:
        play(fold, timeline(prompt(past), tail_s=0))
    step(fold, Change([GAUGE], [RULE], at(change_s)))
    for warmup in fold.cold:
        start, end = warmup.begin()
        warmup.feed([one for one in past if start <= one.time_ms < end])
        warmup.end()
    fold.warmed(at(change_s))
    rest = [one for one in tried() if one.time_ms >= at(change_s)]
    said = play(fold, timeline(prompt(rest), tail_s=300, head_s=-change_s))
    assert said == []
    assert play(fold, [Tick(at(2200 + 10 * n)) for n in range(10)]) == []
