"""Edges of one channel's fold: identities ahead, outages in a row, told cuts, history's bases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rig.packbook import of_pack
from rig.rulebook import (
    GATEWAY,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.messages import ChannelMeta
from egret_core.quality import Reason
from egret_core.rules.model import LATE_MAX_S, Family
from egret_core.rules.step import Facts, Fold, step
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.range import Span

RIVER, GAUGE = place(), place("rn", "rain_total")
LEVEL = bound(ladder(("blue", 3.0, 2.8)), Family.LEVEL, RIVER)
BASE = int(Reason.MAINTENANCE)


@pytest.mark.parametrize("again_s", [62, 75, 140, 200])
def test_a_copy_of_a_reading_that_was_ahead_is_the_same_identity(again_s: float) -> None:
    rows = [Arrival(at(0.5), reading(0, 1.0)), Arrival(at(60), reading(190, 3.5))]
    rows += [Arrival(at(s), reading(s, 2.0)) for s in (70, 80, 100, 120, 135, 150, 170, 230)]
    found = []
    for copies in ([], [Arrival(at(again_s), reading(190, 3.5))]):
        arrivals = sorted([*rows, *copies], key=lambda one: one.received_ms)
        found.append(brief(play(fold_of([RIVER], [LEVEL]), timeline(arrivals))))
    assert found[0] == found[1] == [("raised", "blue", 60), ("returned", "", 70)]


def gaps(*seconds: float) -> list[list[float]]:
    """Return from when to when the kept gaps of readings at these times are."""
    rule = bound(rain(("blue", 1, 1, 30)), Family.RAIN, GAUGE)
    fold = fold_of([GAUGE], [rule])
    play(fold, timeline(prompt([reading(second, 100.0, GAUGE) for second in seconds]), ticks=False))
    snapshots = fold.channels["st1"]["rn"].backlog.snapshots
    return [[gap[0] - at(0), gap[1] - at(0)] for gap in snapshots]


def test_two_outages_with_one_reading_between_them_are_two_gaps() -> None:
    usual = [60 * n for n in range(10)]
    assert gaps(*usual, 4140, 11_340, 11_400, 11_460) == [
        [540_000, 4_140_000],
        [4_140_000, 11_340_000],
    ]


def test_a_slower_pace_is_no_outage_for_ever() -> None:
    usual = [60 * n for n in range(10)]
    assert len(gaps(*usual, *(540 + 3600 * n for n in range(1, 30)))) == 3


def told(cut_s: float, late_s: float | None) -> Fold:
    fold = fold_of([replace(RIVER, late_s=late_s)], [LEVEL])
    meta = ChannelMeta("st1", "wl", "water_level", "m", "Local", cut_s=cut_s)
    step(fold, Facts(GATEWAY, [meta]))
    return fold


def test_a_told_cut_makes_the_lateness_no_longer_than_a_catalogue_may() -> None:
    for cut_s, late_s, wait_s, capped in (
        (60, None, 90, False),
        (600_000, None, LATE_MAX_S, True),
        (600_000, 45.0, 45, False),
    ):
        fold = told(cut_s, late_s)
        assert fold.channels["st1"]["wl"].late_ms == wait_s * 1000
        assert fold.capped() == (["st1/wl"] if capped else [])


def test_what_was_poured_in_history_is_no_doubt_of_the_screening() -> None:
    gauge = replace(GAUGE, screening=ScreeningLaw(sensor=Span(0.0, 100_000.0)))
    rule = of_pack("generic-rain", gauge, 'levels = [{ level = "y", window_h = 1, sum = 15 }]')
    past = [
        reading(60 * n, 10.0 if n < 40 else 510.0, GAUGE, reasons=BASE if n >= 40 else 0)
        for n in range(60)
    ]
    fold = fold_of([gauge], [rule], at(3600))
    (warmup,) = fold.cold
    start, end = warmup.begin()
    warmup.feed(one for one in past if start <= one.time_ms < end)
    warmup.end()
    fold.warmed(at(3600))
    live = [reading(3600 + 60 * n, 510.0 + 16 * n, GAUGE) for n in range(4)]
    events = play(fold, timeline(prompt(live), head_s=-3600))
    assert {event.evidence.get("unconfirmed") for event in events} == {None}
    assert brief(events) == [("raised", "y", 3660)]
    screen = fold.channels["st1"]["rn"].screen
    assert screen is not None
    assert screen.counts == {}
