"""How noise of 2 % reaches each family of rules: what is measured, so that the level moves by it.

Each way takes a rule, the rank that the noise is around, and the noise, one share a minute; it
returns what is measured before, for a day in the noise, and after it, in which the level must go.
"""

from __future__ import annotations

from dataclasses import replace
from math import radians, tan
from typing import TYPE_CHECKING, NamedTuple, cast

from rig.noisy import START_MS, Rows, ladder_of, terms_of

from egret_core.rules.model import Family, IndexLaw, RainLaw
from egret_core.rules.storm import Storm
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.rules.index import Index
    from egret_core.rules.model import BoundRule, LadderLaw

MIN_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
LEARN_D = 4  # days in which a nowcast scores a hundred of its forecasts
CALM_H = 14  # longer than any hold or flap of hours
WARM_D = 12  # days in which windows of movement fill
SPELL = 240  # minutes of one share where the ground itself lets no index move faster
POUR_MM = 4.0  # at most in a minute: less than ever fell


class Night(NamedTuple):
    """What is measured: up to the noise and in it, and after it."""

    noisy: Rows
    calm: Rows


def ladder(rule: BoundRule) -> LadderLaw:
    """Return the ladder of a rule that has one."""
    found = ladder_of(rule)
    assert found is not None
    return found


def minutes(values: Sequence[float], start_ms: int = START_MS) -> Rows:
    """Return one value a minute."""
    return [(start_ms + n * MIN_MS, value) for n, value in enumerate(values)]


def after(rows: Rows, values: Sequence[float]) -> Rows:
    """Return one value a minute, from a minute after these rows."""
    return minutes(values, rows[-1][0] + MIN_MS)


def measured(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A value that is judged as it is, or drawn on: a level, a flow, a forecast."""
    rungs = ladder(rule).rungs
    rows = minutes([rungs[rank - 1].raise_at * (1 + share) for share in noise])
    return Night(rows, after(rows, [rungs[0].clear_at * 0.9] * CALM_H * 60))


def learnt(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A level that has moved by as much for days below the threshold, which a nowcast learns.

    It comes slowly and goes slowly: a step would be a forecast that failed, and silence it.
    """
    at, day = ladder(rule).rungs[rank - 1].raise_at, len(noise)
    low, up = [0.9] * day, [0.9 + 0.1 * n / day for n in range(day)]
    base = [*low * LEARN_D, *up, *[1.0] * day]
    rows = minutes([at * one * (1 + noise[n % day]) for n, one in enumerate(base)])
    calm = [at * one * (1 + noise[n % day]) for n, one in enumerate([*up[::-1], *low])]
    return Night(rows, after(rows, calm))


def turned(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A stage whose index, a function of time and stage, moves by 2 %: found by halving."""
    law = cast("IndexLaw", rule.law)
    rungs = law.ladder.rungs

    def stage(time_ms: int, wanted: float) -> float:
        low, high = -50.0, 50.0
        for _ in range(40):
            middle = (low + high) / 2
            found = law.make().take(time_ms, middle)
            if middle < 10 if found is None else found < wanted:  # the table begins at 10 m
                low = middle
            else:
                high = middle
        return high

    rows = [
        (time_ms, stage(time_ms, rungs[rank - 1].raise_at * (1 + share)))
        for time_ms, share in minutes(noise)
    ]
    calm = after(rows, [0.0] * CALM_H * 60)
    return Night(rows, [(time_ms, stage(time_ms, rungs[0].clear_at * 0.9)) for time_ms, _ in calm])


def climbing(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A level that rises as fast as the threshold, give or take 2 %; then it stands."""
    per_min, at, values = ladder(rule).rungs[rank - 1].raise_at / 60, 1.0, []
    for share in noise:
        at += per_min * (1 + share)
        values.append(at)
    rows = minutes(values)
    return Night(rows, after(rows, [at] * CALM_H * 60))


def creeping(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A slope that moves as fast as the threshold, give or take 2 %; then it stands."""
    at_deg = ladder(rule).rungs[rank - 1].raise_at
    speeds = {
        Family.VELOCITY: at_deg,
        Family.TANGENT_ANGLE: 2 * tan(radians(min(at_deg, 89))),  # v_eq is 2 mm/d
        Family.SLOPE: 2 * {2: tan(radians(63.4)), 3: tan(radians(80)), 4: 5.0}.get(at_deg, 1.0),
    }
    per_day, at, rows, now_ms = speeds[rule.family], 0.0, [], START_MS
    for _ in range(WARM_D * 24):  # by the hour, until the windows are full
        at += per_day / 24 * 1.001
        now_ms += HOUR_MS
        rows.append((now_ms, at))
    for share in noise:
        at += per_day / 1440 * (1 + share)
        now_ms += MIN_MS
        rows.append((now_ms, at + share))  # the instrument itself is no better than its sigma
    return Night(rows, [(now_ms + n * HOUR_MS, at) for n in range(1, 30 * 24)])


class Sky:
    """Rain as a never-decreasing total, exact to 0.0001 mm.

    Args:
        now_ms: time of the first reading.
    """

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms
        self.total = 10_000_000  # of 0.0001 mm
        self.rows: Rows = [(now_ms, 1000.0)]

    def rain(self, mm: float, step_ms: int = MIN_MS) -> int:
        """Let so much fall until the next reading; return it in nanometres."""
        parts = round(mm * 10_000)
        self.total += parts
        self.now_ms += step_ms
        self.rows.append((self.now_ms, self.total / 10_000))
        return parts * NM_PER_MM // 10_000

    def calm(self, hours: float, noisy: Rows) -> Night:
        """Return what has fallen, and so many dry hours after it."""
        dry = after(self.rows, [self.total / 10_000] * round(hours * 60))
        return Night(noisy, dry)


def sums(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """Rain whose rate moves by 2 % around what fills a window of the level just so."""
    law, sky = cast("RainLaw", rule.law), Sky()
    # The window that needs the least rain: a longer one of a higher level would be over before it.
    ways = [level for level in law.levels if level.rank == rank]
    one = min(ways, key=lambda level: level.sum_nm / level.window_ms)
    count = one.window_ms // MIN_MS
    per_min = one.sum_nm / NM_PER_MM / count
    for share in [noise[0]] * (count - 2) + list(noise):
        sky.rain(per_min * (1 + share))
    return sky.calm(24 + CALM_H, sky.rows)


def by_the_day(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """Rain of a day whose rate moves by 2 % around what reaches the grade by its end."""
    law = cast("IndexLaw", rule.law)
    index = law.make()
    index.take(START_MS, 0)
    told = index.evidence()
    count = round(told["period_h"] * 60)
    sky = Sky(told["begun_ms"] + round(told["period_h"] * HOUR_MS))
    mean = sum(noise[:count]) / count
    # The whole period brings a fifth of a per cent more than the threshold.
    per_min = law.ladder.rungs[rank - 1].raise_at * 1.002 / (count * (1 + mean))
    for share in noise[:count]:
        sky.rain(per_min * (1 + share))
    return sky.calm(24 + CALM_H, sky.rows)


def wanted(
    index: Index, fresh: Index, now_ms: int, target: float, least_mm: float
) -> tuple[Index, float]:
    """Return a copy of the index to go on with, and the rain that brings it nearest to a target."""
    copies = []
    for nm in (0, NM_PER_MM):
        twin = type(fresh).__new__(type(fresh))
        twin.__dict__.update(fresh.__dict__)
        twin.restore(index.dump())
        copies.append(twin.take(now_ms, nm))
    dry, wet = copies
    if dry is None or wet is None or wet <= dry:
        return index, least_mm
    return index, min(max((target - dry) / (wet - dry), least_mm), POUR_MM)


def ground(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """Rain that leads an index of wet ground by 2 % around the level, as far as it can fall."""
    law, sky = cast("IndexLaw", rule.law), Sky()
    target = law.ladder.rungs[rank - 1].raise_at
    index = law.make()
    index.take(sky.now_ms, 0)
    for _ in range(law.span_ms // HOUR_MS + 24 * 31):
        index.take(sky.now_ms + HOUR_MS, sky.rain(0, HOUR_MS))
    slow = [noise[n // SPELL * SPELL] for n in range(len(noise))]
    for share in [-0.05] * 360 + slow:
        now_ms = sky.now_ms + MIN_MS
        index, mm = wanted(index, law.make(), now_ms, target * (1 + share), 0)
        index.take(now_ms, sky.rain(mm))
    return sky.calm(40 * 24, sky.rows)


def stormy(rule: BoundRule, rank: int, noise: Sequence[float]) -> Night:
    """A storm that stays by 2 % around its curve, a drizzle where it has to wait."""
    law, sky = cast("IndexLaw", rule.law), Sky()
    terms = terms_of(rule)
    target = 1.0
    if len(terms.curves) == 1:
        target = law.ladder.rungs[rank - 1].raise_at
    else:  # how many are reached is no measure of how near the next one is
        terms = replace(terms, curves=(terms.curves[rank - 1],))
    index = Storm(terms)
    index.take(sky.now_ms, 0)
    for _ in range(terms.gap_ms // MIN_MS + 60):
        index.take(sky.now_ms + MIN_MS, sky.rain(0))
    begin_ms = terms.from_ms + HOUR_MS
    per_min = 0.9 * target * terms.curves[0].at(begin_ms / HOUR_MS) / 60
    for _ in range(begin_ms // MIN_MS):
        index.take(sky.now_ms + MIN_MS, sky.rain(per_min))
    for share in noise:
        now_ms = sky.now_ms + MIN_MS
        _, mm = wanted(index, Storm(terms), now_ms, target * (1 + share), 0.0001)
        index.take(now_ms, sky.rain(mm))
    return sky.calm(CALM_H, sky.rows)


WAYS: Mapping[Family, Callable[[BoundRule, int, Sequence[float]], Night]] = {
    Family.LEVEL: measured,
    Family.FLOOD: measured,
    Family.REACH: measured,
    Family.MUSKINGUM: measured,
    Family.RAIN_FORECAST: measured,
    Family.NOWCAST: learnt,
    Family.RATING: turned,
    Family.SURGE: turned,
    Family.RISE: climbing,
    Family.VELOCITY: creeping,
    Family.TANGENT_ANGLE: creeping,
    Family.SLOPE: creeping,
    Family.RAIN: sums,
    Family.DAY_SUM: by_the_day,
    Family.STORM: stormy,
    Family.ANTECEDENT: ground,
    Family.RECENT_ANTECEDENT: ground,
    Family.WETNESS: ground,
    Family.SOIL_WATER: ground,
}
