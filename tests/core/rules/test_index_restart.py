"""An index read back from its state stands, says and goes on as the one that was saved."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from rig.noisy import JUDGING, START_MS, rule_of

from egret_core.rules.index import Standing
from egret_core.rules.model import BoundRule, IndexLaw
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from egret_core.rules.index import Index

HOUR_MS = 3_600_000
INDICES = [pack for pack in JUDGING if isinstance(rule_of(pack).law, IndexLaw)]
STEPS = 1500


def steps(rule: BoundRule, dice: random.Random) -> list[tuple[int, float]]:
    """Return (ms, what it takes): rain of showers, or a value that creeps up with some noise."""
    law = rule.law
    assert isinstance(law, IndexLaw)
    # A third of them warms it up; what needs none is read every minute.
    step_ms = max(3 * law.span_ms // STEPS, 60_000)
    rain = (dice.choice((0, 0, 0, 200_000, NM_PER_MM)) for _ in range(STEPS))
    level = (15 + n / 500 + dice.uniform(-0.01, 0.01) for n in range(STEPS))
    values: list[float] = list(rain if law.of_total else level)
    waits = [dice.choice((step_ms, step_ms, step_ms, 3 * step_ms)) for _ in range(STEPS)]
    return [(START_MS + sum(waits[:n]), value) for n, value in enumerate(values)]


def read_back(law: IndexLaw, index: Index) -> Index:
    other = law.make()
    other.restore(json.loads(json.dumps(index.dump())))
    return other


@pytest.mark.parametrize("pack", INDICES)
def test_one_that_was_saved_often_says_what_one_that_never_was_says(pack: str) -> None:
    rule, seen = rule_of(pack), set[Standing]()
    law = rule.law
    assert isinstance(law, IndexLaw)
    whole, often = law.make(), law.make()
    for n, (time_ms, value) in enumerate(steps(rule, random.Random(len(pack)))):
        assert whole.take(time_ms, value) == often.take(time_ms, value), n
        assert said(often) == said(whole), n
        seen.add(whole.standing)
        if n % 7 == 0:
            often = read_back(law, often)
            assert often.standing is whole.standing, "nobody is shown another one after a start"
    # A nowcast speaks once it has forecast rises well: its restarts have a test beside its own.
    assert Standing.OK in seen or pack == "river-nowcast"


def said(index: Index) -> tuple[Standing, dict[str, Any]]:
    return index.standing, dict(index.evidence())
