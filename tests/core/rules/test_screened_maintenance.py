"""Water poured into a gauge in maintenance: the screening doubts neither it nor what follows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.rulebook import (
    LATE_MS,
    SIGNALS,
    at,
    bound,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    shuffled,
    silence,
    timeline,
)

from egret_core.quality import Flag, Reason
from egret_core.rules.model import Family
from egret_core.rules.step import Change, Fold, step
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from egret_core.reading import Reading
    from egret_core.rules.channel import Channel
    from egret_core.rules.model import BoundRule

LAW = ScreeningLaw(spike=Limits(5.0, 20.0), rate=Limits(0.05))  # mm, mm/s: 3 mm a minute
GAUGE = replace(place("rn", "rain_total"), screening=LAW)
SILENCE = bound(silence(900), Family.ABSENCE, GAUGE)
STORM = bound(rain(*SIGNALS), Family.RAIN, GAUGE)
HIGH = bound(ladder(("blue", 5000.0, 4000.0)), Family.LEVEL, GAUGE)
WORK = int(Reason.MAINTENANCE)
RULES = pytest.mark.parametrize(
    "rules", [(), (SILENCE,), (HIGH,), (SILENCE, STORM)], ids=["none", "silence", "level", "rain"]
)


def tried(poured_mm: float = 900.0, *, work: int = WORK) -> list[Reading]:
    """Ten dry minutes, ten of work in which the total leaps, then a tip of 0.2 mm a minute."""
    dry = [reading(60 * n, 100.0, GAUGE) for n in range(10)]
    poured = [
        reading(600 + 60 * n, 100.0 + poured_mm * (n + 1) / 10, GAUGE, reasons=work)
        for n in range(10)
    ]
    tips = [reading(1200 + 60 * n, 100.2 + poured_mm + 0.2 * n, GAUGE) for n in range(10)]
    return [*dry, *poured, *tips]


def channel(fold: Fold) -> Channel:
    return fold.channels["st1"]["rn"]


def doubted(fold: Fold) -> dict[str, list[int]]:
    """Return what the screening doubted, by reason."""
    screen = channel(fold).screen
    assert screen is not None
    return screen.counts


@RULES
def test_the_first_tip_after_the_work_is_no_leap(rules: tuple[BoundRule, ...]) -> None:
    fold = fold_of([GAUGE], rules)
    play(fold, timeline(prompt(tried())))
    assert doubted(fold) == {}
    assert channel(fold).screened() == []


@RULES
def test_the_same_water_outside_maintenance_is_doubted(rules: tuple[BoundRule, ...]) -> None:
    fold = fold_of([GAUGE], rules)
    play(fold, timeline(prompt(tried(work=0))))
    assert doubted(fold)["rate"][0] == 10


@RULES
def test_a_gauge_that_was_replaced_at_work_is_no_reset(rules: tuple[BoundRule, ...]) -> None:
    fold = fold_of([GAUGE], rules)
    play(fold, timeline(prompt(tried(poured_mm=-90.0))))
    assert doubted(fold) == {}


def test_a_leap_after_the_work_is_still_one() -> None:
    fold = fold_of([GAUGE], [SILENCE])
    rows = [*tried(), reading(1800, 1500.0, GAUGE), reading(1860, 1500.2, GAUGE)]
    play(fold, timeline(prompt(rows)))
    assert doubted(fold) == {"rate": [1, 0]}


def test_a_jump_just_before_the_work_is_told_for_good() -> None:
    rows = tried()
    rows[9] = rows[9]._replace(value=106.0)
    fold = fold_of([GAUGE], [SILENCE])
    play(fold, timeline(prompt(rows)))
    # The spike test has no next value for it: it is not evaluated, and the rate is what is left.
    assert [(one.time_ms, one.reasons, one.provisional) for one in channel(fold).screened()] == [
        (at(540), int(Reason.RATE), False)
    ]


def test_a_failed_number_in_the_work_moves_nothing() -> None:
    rows = tried(poured_mm=0.0)
    rows[15] = rows[15]._replace(value=0.0, flag=int(Flag.FAIL))
    fold = fold_of([GAUGE], [SILENCE])
    play(fold, timeline(prompt(rows)))
    assert doubted(fold) == {}


@pytest.mark.parametrize("seed", range(4))
def test_out_of_order_it_is_no_leap_either(seed: int) -> None:
    fold = fold_of([GAUGE], [SILENCE])
    play(fold, timeline(shuffled(tried(), seed, LATE_MS - 1000)))
    assert doubted(fold) == {}


@pytest.mark.parametrize("cut", [12, 19, 20, 21])
def test_after_a_restart_it_is_no_leap_either(cut: int) -> None:
    rows = tried()
    fold = fold_of([GAUGE], [SILENCE])
    play(fold, timeline(prompt(rows[:cut]), tail_s=0))
    again = Fold()
    step(again, Change([GAUGE], [SILENCE], 0))
    saved = fold.changed()
    again.restore({k: json.dumps(json.loads(v)).encode() for k, v in saved.items() if v})
    play(again, timeline(prompt(rows[cut:]), head_s=0))
    assert doubted(again) == {}


@pytest.mark.parametrize("known", [False, True], ids=["new channel", "known channel"])
def test_a_rule_that_warms_up_on_it_doubts_nothing_of_it(*, known: bool) -> None:
    change_s = 1310
    past = [one for one in tried() if one.time_ms < at(change_s)]
    fold = fold_of([GAUGE] if known else [], [], at(0 if known else change_s))
    if known:
        play(fold, timeline(prompt(past), tail_s=0))
    step(fold, Change([GAUGE], [SILENCE, HIGH], at(change_s)))
    for warmup in fold.cold:
        warmup.begin()
        warmup.feed(past)
        warmup.end()
    fold.warmed(at(change_s))
    rest = [one for one in tried() if one.time_ms >= at(change_s)]
    play(fold, timeline(prompt(rest), tail_s=300, head_s=-change_s))
    assert doubted(fold) == {}


def test_history_after_the_work_is_judged() -> None:
    strict = replace(GAUGE, screening=ScreeningLaw(rate=Limits(0.05, 0.1)))
    change_s = 1260 + LATE_MS // 1000
    past = [one for one in tried() if one.time_ms <= at(1200)]
    fold = fold_of([strict], [], at(0))
    play(fold, timeline(prompt([*past, reading(change_s - 1, 1000.2, GAUGE)]), tail_s=0))
    step(
        fold,
        Change(
            [strict], [bound(ladder(("blue", 1000.0, 900.0)), Family.LEVEL, strict)], at(change_s)
        ),
    )
    (warmup,) = fold.cold
    warmup.begin()
    warmup.feed(past)
    warmup.end()
    fold.warmed(at(change_s))
    said = play(fold, timeline([], tail_s=60, head_s=-change_s))
    assert [(str(one.change), one.level, one.time_ms) for one in said] == [
        ("raised", "blue", at(1200))
    ]
