"""Lines, angles and stages of a moving slope, through the fold, against the long way round.

A face that creeps, rests, hurries towards a failure and is stopped, with gaps, every tenth
reading twice, all shuffled within the lateness of an hour. Every reading is compared.
"""

from __future__ import annotations

import random
from collections import Counter
from math import atan, degrees
from typing import TYPE_CHECKING, Any

import pytest
from rig.millions import IDS, LATE_MS, feed, settled, times
from rig.plain_slope import Cells, Inverse, Learnt, Lowest, speed, stage_of
from rig.rulebook import GATEWAY, HOUR_MS, bound, fold_of
from rig.slopes import given

from egret_core.rules.index import Standing
from egret_core.rules.line import Line
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.rungs import index_ladder
from egret_core.rules.slope import Slope
from egret_core.rules.tangent_angle import TangentAngle, Uniform
from egret_core.rules.velocity import Bands, Velocity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.index import Index

AT = ("rules.toml", "rule[0].parameters")
GNSS = ChannelPlace("st1", "dx", "displacement", "mm", "", GATEWAY, LATE_MS / 1000)
COUNTS = [40_000, pytest.param(1_000_000, marks=pytest.mark.long)]  # ten lines drawn at each
WINDOW_MS, FIT_MS, HELD_MS, HORIZON_MS = 6 * HOUR_MS, 12 * HOUR_MS, 8_640_000, 12 * HOUR_MS
LEARN_MS = 48 * HOUR_MS
SIGMA_MM, CREEP = 0.05, 10.0  # mm/d
SPANS = {"window_s": 21_600, "fit_s": 43_200, "held_s": 8640, "horizon_s": 43_200}
WAITS_MS = (1, 500, 20_000, 60_000, 300_000, 420_000)
GAPS_MS = [hours * HOUR_MS for hours in (1, 3, 7, 20, 60)]
Rows = list[tuple[int, int]]  # ms, micrometres


HURRIES = ("alpha 2", "alpha 1.5")  # of Voight's law


def speed_of(spell: str, left_d: float) -> float:
    """Return a velocity, mm/d, so many days before a failure."""
    if spell in HURRIES:
        return 30 / left_d if spell == "alpha 2" else 10 * (3 / left_d) ** 2
    return {"creep": CREEP, "rest": 0.3, "back": -4.0, "fast": 55.0}[spell]


def face(count: int, seed: int) -> Rows:
    """A face in spells: creep, rest, steps back and forth, and those that end in a failure."""
    dice, out, um, before = random.Random(seed), [], 0.0, None
    spell, left_d, fails_d = "creep", 6.0, 0.0
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.0005):
        days = 0.0 if before is None else (now - before) / 86_400_000
        before, left_d = now, left_d - days
        fails_d -= days
        um += 1000 * days * speed_of(spell, max(fails_d, 0.02))
        if left_d <= 0 or (spell in HURRIES and fails_d < 0.1):
            spell = dice.choice(("creep", "creep", "rest", "back", "fast", *HURRIES, *HURRIES))
            left_d = 4.0 if spell in HURRIES else dice.uniform(0.3, 2.0)
            fails_d = 3.0
        out.append((now, round(um + 1000 * dice.gauss(0, SIGMA_MM))))
    return out


def through_the_fold(
    made: Sequence[tuple[Family, Index]], rows: Rows
) -> list[list[tuple[int, float | None, Any]]]:
    """Return time, index and evidence of each index after each reading."""
    ladder = index_ladder(AT, given("generic-velocity", v0_mm_per_day=1, sigma_mm=1), "mm/d")
    all_said, rules = [], []
    for family, index in made:
        said: list[tuple[int, float | None, Any]] = []
        take = index.take

        def noting(
            time_ms: int, value: float, take: Any = take, said: Any = said, index: Any = index
        ) -> float | None:
            found = take(time_ms, value)
            assert (found is not None) == (index.standing is Standing.OK)
            said.append((time_ms, found, index.evidence()))
            return found

        index.take = noting  # type: ignore[method-assign]
        law = IndexLaw(str(family), lambda index=index: index, ladder, 0)
        rules.append(bound(law, family, GNSS))
        all_said.append(said)
    feed(fold_of([GNSS], rules), GNSS, [(ms, um / 1000) for ms, um in rows], 3)
    for said in all_said:
        assert [row[0] for row in said] == [ms for ms, _ in settled(rows, said)]
    return all_said


def near(found: float, expected: float) -> bool:
    return abs(found - expected) <= 1e-9 * max(1.0, abs(expected))


class Straight(Line):
    """A line as an index, to be shown to a fold: all that a fit says of it is its evidence."""

    standing = Standing.OK

    def take(self, time_ms: int, value: float) -> float:  # type: ignore[override]
        super().take(time_ms, round(value * 1_000_000))
        return 0.0

    def evidence(self) -> Any:
        return self.fit()


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_line_is_the_plain_one_through_the_whole_fold(count: int) -> None:
    rows = face(count, 31)
    (said,) = through_the_fold([(Family.VELOCITY, Straight(WINDOW_MS))], rows)  # type: ignore[list-item]
    cells, drawn = Cells(WINDOW_MS), 0
    for (now, um), (_, _, fit) in zip(rows, said, strict=False):
        cells.take(now, 1000 * um)
        line = cells.line()
        assert (fit is None) == (line is None)
        if line is None:
            continue
        drawn += 1
        assert (fit.points, fit.span_ms) == (line.points, line.span_ms)
        assert near(fit.slope, line.slope)
        assert near(fit.r2, line.r2)
        assert near(fit.mean_ms, line.mean_ms)
        assert near(fit.spread, line.squares)
        if line.r2 > 1e-3:  # else it meets 0 nowhere near
            assert near(fit.zero_ms - line.mean_ms, line.zero_ms - line.mean_ms)
    assert drawn > 0.9 * len(said)


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_bands_and_angles_are_the_plain_ones(count: int) -> None:
    rows = face(count, 32)
    floor = SIGMA_MM / 0.25
    angle = TangentAngle(Velocity(WINDOW_MS, SIGMA_MM), Uniform(0, LEARN_MS, floor), HELD_MS)
    made = [(Family.VELOCITY, Bands(WINDOW_MS, SIGMA_MM)), (Family.TANGENT_ANGLE, angle)]
    bands_said, angle_said = through_the_fold(made, rows)
    cells, learnt, lowest = Cells(WINDOW_MS), Learnt(LEARN_MS, floor), Lowest(HELD_MS)
    said = {"moving": 0, "noise": 0, "held": 0, "not yet": 0}
    for (now, um), (_, band, _), (_, found, told) in zip(
        rows, bands_said, angle_said, strict=False
    ):
        cells.take(now, 1000 * um)
        fast, uniform = speed(cells, SIGMA_MM), learnt.take(now, 1000 * um)
        expected = None
        if fast is None:
            assert band is None
        else:
            quiet = 0 <= fast.mm_per_day < fast.noise
            assert band is not None
            assert near(band, 0.0 if quiet else fast.mm_per_day)
            said["noise" if quiet else "moving"] += 1
            if uniform is not None:
                expected = lowest.take(now, degrees(atan(fast.mm_per_day / uniform)))
        assert (found is None) == (expected is None)
        said["not yet" if found is None else "held"] += 1
        if found is not None and expected is not None and uniform is not None:
            assert near(found, expected)
            assert told["v_eq_mm_per_day"] == round(uniform, 4)
    assert min(said.values()) > 300, said


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_failure_times_and_stages_are_the_plain_ones(count: int) -> None:
    rows = face(count, 33)
    terms = given("inverse-velocity", sigma_mm=SIGMA_MM, v_eq_mm_per_day=CREEP, **SPANS)
    (said,) = through_the_fold([(Family.SLOPE, Slope(terms))], rows)
    short_of, long_of = Cells(WINDOW_MS), Cells(2 * WINDOW_MS)
    inverse, lowest, stages, told_of = Inverse(FIT_MS, 0.9), Lowest(HELD_MS), Counter(), Counter()
    for (now, um), (_, found, told) in zip(rows, said, strict=False):
        short_of.take(now, 1000 * um)
        long_of.take(now, 1000 * um)
        short, long = speed(short_of, SIGMA_MM), speed(long_of, SIGMA_MM)
        if short is None:
            assert found is None
            continue
        zeros = inverse.zeros(short, long, CREEP)
        held = lowest.take(now, degrees(atan(short.mm_per_day / CREEP)))
        assert (found is None) == (held is None)
        if held is None:
            continue
        stages[found] += 1
        assert found == stage_of(now, (short, CREEP, held), zeros, HORIZON_MS)
        first = zeros.get("2.0") or zeros.get("1.5")
        assert ("failure_ms" in told) == bool(first)
        if first:
            told_of["since" if zeros["since"] else "no onset"] += 1
            told_of["alpha 2" if zeros["2.0"] else "alpha 1.5"] += 1
            ends = [end for end in (first, zeros["slow"], zeros["since"]) if end]
            expected = [first, min(ends), max(ends), zeros["2.2"], zeros["1.5"]]
            keys = ("ms", "from_ms", "to_ms", "alpha_2_2_ms", "alpha_1_5_ms")
            for key, at in zip(keys, expected, strict=True):
                one = told[f"failure_{key}"]
                assert (one is None) == (at is None)
                assert at is None or abs(one - at) <= 1, "whole ms"
    assert set(stages) == {1, 2, 3, 4}
    assert min(stages.values()) > 20, stages
    assert len(told_of) == 4, told_of
