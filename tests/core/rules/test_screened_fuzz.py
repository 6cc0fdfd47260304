"""1e5 fuzzed readings: not one that screening fails raises a warning, not even for a moment."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from rig.rulebook import (
    GATEWAY,
    at,
    bound,
    fold_of,
    ladder,
    place,
    play,
    reading,
    shuffled,
    timeline,
)

from egret_core.quality import Flag
from egret_core.rules.event import Change, Phase
from egret_core.rules.model import Family
from egret_core.rules.step import Receipt, Tick, step
from egret_core.screening.chain import Chain
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.spike import Limits

LAW = ScreeningLaw(
    sensor=Span(0.0, 6.0),
    operator=Span(0.2, 4.5),
    spike=Limits(0.5, 1.0),
    rate=Limits(0.02),
    flat=Stillness(0.05, 60_000, 120_000),
)
READINGS = 20_000  # a seed


def fuzz(seed: int) -> list[float]:
    """Rivers, nonsense, and values that stick, some of them just around the threshold."""
    dice, out, value = random.Random(seed), [], 2.0
    while len(out) < READINGS:
        kind = dice.randrange(8)
        if kind == 0:
            out.append(dice.choice((99.0, -5.0, 6.001, 1e300, -1e300, 65535.0)))
        elif kind == 1:
            stuck = dice.choice((2.98, 2.99, 3.02, value))
            out += [stuck + dice.choice((0.0, 0.01)) for _ in range(dice.randrange(5, 40))]
        else:
            value = min(5.9, max(0.0, value + dice.uniform(-0.6, 0.6)))
            out += [value + dice.uniform(-0.1, 0.1) for _ in range(dice.randrange(1, 6))]
    return out[:READINGS]


@pytest.mark.parametrize("seed", range(5))
def test_a_reading_that_screening_fails_raises_no_warning(seed: int) -> None:
    one = replace(place(), screening=LAW)
    fold = fold_of([one], [bound(ladder(("blue", 3.0, 2.9)), Family.LEVEL, one)])
    values = fuzz(seed)
    chain = Chain(LAW, "water_level")
    failed = {
        at(7 * n) for n, v in enumerate(values) if chain.take(at(7 * n), v)[0].flag == Flag.FAIL
    }
    said = []
    for n, value in enumerate(values):
        if n % 3 == 0:
            said += step(fold, Tick(at(7 * n)))[1]
        said += step(fold, Receipt(GATEWAY, at(7 * n + 1), [reading(7 * n, value)]))[1]
    rising = [e for e in said if e.change in (Change.RAISED, Change.UPGRADED)]
    rising = [e for e in rising if e.phase is not Phase.REFUTED]
    assert len(failed) > READINGS / 20
    assert len(rising) > 200
    assert not failed & {event.time_ms for event in rising}
    assert sum("screening" in event.evidence for event in rising) > 100


def test_out_of_order_none_settles_and_what_was_said_too_early_is_refuted() -> None:
    one = replace(place(), screening=LAW)
    fold = fold_of([one], [bound(ladder(("blue", 3.0, 2.9)), Family.LEVEL, one)])
    values = fuzz(9)
    chain = Chain(LAW, "water_level")
    flags = [chain.take(at(7 * n), value)[0] for n, value in enumerate(values)]
    failed = {said.time_ms for said in flags if said.flag == Flag.FAIL}
    rows = shuffled((reading(7 * n, value) for n, value in enumerate(values)), 9)
    said = play(fold, timeline(rows))
    rising = [e for e in said if e.change in (Change.RAISED, Change.UPGRADED)]
    settled = {e.time_ms for e in rising if e.phase is Phase.SETTLED}
    early = {e.id for e in rising if e.phase is Phase.PROVISIONAL and e.time_ms in failed}
    refuted = {e.provisional_id for e in rising if e.phase is Phase.REFUTED}
    assert len(settled) > 100
    assert not failed & settled
    assert early <= refuted
