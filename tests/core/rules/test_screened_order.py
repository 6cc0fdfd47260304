"""The flags of the centre are the same in order, shuffled, repeated, and cut anywhere."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.rulebook import (
    FOUR,
    SIGNALS,
    Arrival,
    at,
    bound,
    fold_of,
    ladder,
    outlived,
    place,
    play,
    prompt,
    rain,
    reading,
    river_and_storm,
    shuffled,
    silence,
    thrice,
    timeline,
)

from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.model import Family
from egret_core.rules.step import Fold, Tick
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.seasonal import Season
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.reading import Reading
    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.step import Item

ALL = ScreeningLaw(
    sensor=Span(0.0, 4.4),
    operator=Span(0.6, 3.9),
    seasons=(Season((7,), Span(0.5, 3.7)),),
    utc_offset_ms=8 * 3_600_000,
    spike=Limits(0.35, 0.42),
    rate=Limits(0.0065),
    flat=Stillness(0.06, 240_000, 480_000),
    movement=(("st1", "rn"),),
    neighbours=NeighbourLaw((("st2", "wl"),), 0.9, 1),
    gap_ms=600_000,
)
RIVER = replace(place(), screening=ALL)
BESIDE = place(station="st2")
GAUGE = replace(place("rn", "rain_total"), screening=ScreeningLaw(operator=Span(0.0, 240.0)))
PLACES = (RIVER, BESIDE, GAUGE)
RULES = (
    bound(ladder(*FOUR), Family.LEVEL, RIVER),
    bound(rain(*SIGNALS), Family.RAIN, GAUGE),
    bound(silence(300), Family.ABSENCE, RIVER, GAUGE),
)


def record(seed: int, steps: int) -> list[Reading]:
    """A river that is sometimes stuck or silent, a gauge, and another river."""
    dice = random.Random(seed)
    silent = [(n, n + dice.randrange(3, 30)) for n in range(50, steps, 97)]
    held, out = 0.0, []
    for one in river_and_storm(seed, steps, silent):
        minute = (one.time_ms - at(0)) // 60_000
        if one.channel == "wl" and minute % 60 >= 44:
            out.append(one._replace(value=held))
            continue
        held = one.value if one.channel == "wl" and one.value is not None else held
        out.append(one)
    return out + [reading(60 * n + 31, 2.0 + n % 5 / 10, BESIDE) for n in range(steps)]


def facts(fold: Fold) -> list[object]:
    channels = [channel for here in fold.channels.values() for channel in here.values()]
    return [
        (channel.place.name, channel.screened(), channel.screen.counts, channel.screen.dump())
        for channel in channels
        if channel.screen is not None
    ]


def told(items: Sequence[Item], cuts: frozenset[int] = frozenset()) -> tuple[str, object]:
    """Play, with a fold thrown away at every cut; return the settled hash and all flags."""
    out, fold = outlived(PLACES, RULES, items, cuts)
    return settled_hash(out), facts(fold)


def test_the_record_meets_every_test() -> None:
    fold = fold_of(PLACES, RULES)
    said = play(fold, timeline(prompt(record(1, 900))))
    counts = fold.channels["st1"]["wl"].screen.counts
    reasons = {"range", "seasonal", "spike", "rate", "flat_line", "neighbour"}
    assert set(counts) >= reasons
    assert counts["flat_line"][1] >= 10
    doubted = [e for e in said if e.phase is Phase.SETTLED and "screening" in e.evidence]
    assert len(doubted) > 20
    assert {str(e.hazard) for e in said} == {"level", "rain", "absence"}


@pytest.mark.parametrize("seed", range(6))
def test_shuffled_within_the_lateness(seed: int) -> None:
    rows = record(seed, 500)
    assert told(timeline(shuffled(rows, seed))) == told(timeline(prompt(rows)))


@pytest.mark.parametrize("seed", range(3))
def test_every_reading_three_times(seed: int) -> None:
    rows = record(seed, 300)
    whole = timeline(prompt(rows), tail_s=240)
    assert told(timeline(thrice(prompt(rows), seed), tail_s=240)) == told(whole)


@pytest.mark.parametrize("seed", range(4))
def test_thrown_away_at_random_points(seed: int) -> None:
    items = timeline(shuffled(record(seed, 300), seed))
    cuts = frozenset(random.Random(seed).sample(range(len(items)), 25))
    assert told(items, cuts) == told(items)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from((1.0, 1.0, 1.0, 3.2, 4.2, 9.0, -1.0)), max_size=40),
    order=st.randoms(use_true_random=False),
)
def test_any_small_record_in_any_order(values: list[float], order: random.Random) -> None:
    rows = [reading(45 * n, value, RIVER) for n, value in enumerate(values)]
    mixed = [Arrival(one.time_ms + order.randrange(29_000), one) for one in rows]
    mixed.sort(key=lambda arrival: arrival.received_ms)
    tail_s = 900  # until every silence is settled
    assert told(timeline(mixed, tail_s)) == told(timeline(prompt(rows), tail_s))


_ANY_VALUE = st.one_of(
    st.none(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from((1.0, 3.2, 99.0))
)
_ANY_RECEIPT = st.tuples(
    st.sampled_from(PLACES),
    st.integers(-5_000, 5_000),  # seconds that its stamp is off its receipt
    _ANY_VALUE,
    st.sampled_from((1, 2, 3, 4, 9)),
    st.sampled_from((0, 0, 1, 64)),
    st.integers(0, 400),  # seconds since the receipt before
)


@settings(max_examples=80, deadline=None)
@given(receipts=st.lists(_ANY_RECEIPT, max_size=60), cut=st.integers(0, 59))
def test_no_receipt_is_an_exception_and_the_state_stays_bounded(
    receipts: list[tuple[ChannelPlace, int, float | None, int, int, int]], cut: int
) -> None:
    now_s, items = 0, []
    for one, off_s, value, flag, reasons, step_s in receipts:
        now_s += step_s
        row = reading(now_s + off_s, value, one, flag, reasons)
        items += timeline([Arrival(at(now_s), row)], ticks=False)
        items.append(Tick(at(now_s)))
    items += [Tick(at(now_s + 10 * n)) for n in range(1, 90)]
    assert told(items, frozenset((cut,))) == told(items)
    fold = fold_of(PLACES, RULES)
    play(fold, items)
    assert all(len(body) < 40_000 for body in fold.changed().values() if body is not None)
    screens = [c.screen for here in fold.channels.values() for c in here.values() if c.screen]
    assert all(len(screen._waiting) == len(screen._doubts) == 0 for screen in screens)
